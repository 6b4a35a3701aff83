#include "graph/op.h"

namespace hub {

OpFamily image_ops() { return {}; }

}  // namespace hub
