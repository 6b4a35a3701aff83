#pragma once

// Limits for gradients (tf.clip_by_...).

#include <string_view>
#include <vector>

#include "hub/export.h"
#include "hub/gradients.h"
#include "hub/graph.h"
#include "hub/ops.h"

namespace hub {

namespace ops {

HUB_EXPORT Output clip_by_value(const Output& x, const Input& min, const Input& max,
                                std::string_view name = {});
// x * clip_norm / max(norm, clip_norm), the norm of everything or along axes.
HUB_EXPORT Output clip_by_norm(const Output& x, const Input& clip_norm, const Axes& axes = {},
                               std::string_view name = {});
// By the norm divided by the number of elements. float32.
HUB_EXPORT Output clip_by_average_norm(const Output& x, const Input& clip_norm,
                                       std::string_view name = {});
// The norm of all together; of rows, of those that are stored. Gradients that are none are left
// out. Errors: of kind value where all are none.
HUB_EXPORT Output global_norm(const std::vector<GradientValue>& gradients,
                              std::string_view name = {});
struct ClippedGradients {
  std::vector<GradientValue> gradients;
  Output norm;
};
// All multiplied by clip_norm / max(norm, clip_norm). Where the norm is not finite all become NaN.
// `use_norm` stands in for the norm. Errors: as global_norm.
HUB_EXPORT ClippedGradients clip_by_global_norm(const std::vector<GradientValue>& gradients,
                                                const Input& clip_norm, const Output& use_norm = {},
                                                std::string_view name = {});

}  // namespace ops
}  // namespace hub
