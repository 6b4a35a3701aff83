#include "graph/op.h"

namespace hub {

OpFamily state_ops() { return {}; }

}  // namespace hub
