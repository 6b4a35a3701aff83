#include "ops/softmax_rows.h"

#include "ops/vector_math.h"
#include "ops/wide_lanes.h"

namespace hub {
namespace {

using ExponentialsOfRow = void (*)(const float* x, std::int64_t n, float maximum, float* exps);

void exponentials_in_lanes(const float* x, std::int64_t n, float maximum, float* exps) {
  for_lanes(n, [=](std::int64_t i) { exps[i] = vector_math::exp(x[i] - maximum); });
}

#if HUB_HAS_WIDE_LANES
HUB_WIDE_LANES void exponentials_in_wide_lanes(const float* x, std::int64_t n, float maximum,
                                               float* exps) {
  for_lanes<64>(n, [=](std::int64_t i) { exps[i] = vector_math::exp(x[i] - maximum); });
}
#endif

ExponentialsOfRow fastest_exponentials() {
#if HUB_HAS_WIDE_LANES
  if (cpu_has_wide_lanes()) return exponentials_in_wide_lanes;
#endif
  return exponentials_in_lanes;
}

}  // namespace

void exponentials_of_row(const float* x, std::int64_t n, float maximum, float* exps) {
  static const ExponentialsOfRow fastest = fastest_exponentials();
  fastest(x, n, maximum, exps);
}

}  // namespace hub
