#include "graph/op.h"

namespace hub {

OpFamily text_ops() { return {}; }

}  // namespace hub
