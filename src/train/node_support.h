#pragma once

// Nodes that layers, losses, metrics and schedules share, named as TensorFlow's Python functions
// name them.

#include <string_view>

#include "hub/ops.h"
#include "hub/variables.h"
#include "ops/functions/function_support.h"

namespace hub {

// tf.cast: nothing where a tensor has the dtype; a number takes a scope "Cast".
Output cast_input(const Graph& graph, const Input& value, DType dtype);
// x[index], where an index of -1 is the last one; x[1:]; x[:count].
Output element_of(const Output& x, int index);
Output without_first(const Output& x);
Output first_elements(const Output& x, int count);
// tf.zeros_like, tf.ones_like: of constants where the shape is known.
Output zeros_like_of(const Output& x);
Output ones_like_of(const Output& x);
Output div_no_nan(const Input& x, const Input& y, std::string_view name);
// tf.range(1, tf.rank(x)).
Output axes_after_first(const Output& x);

// Errors: of kind value where the shapes cannot be equal.
void check_same_shape(const Output& predictions, const Output& labels);

struct LabelsAndPredictions {
  Output labels;
  Output predictions;
};
// Labels or predictions lose a last dimension of 1 that makes the ranks differ otherwise than by
// `expected_difference` (of predictions over labels). What has no known rank stays as it is.
LabelsAndPredictions remove_squeezable_dimensions(const Output& labels, const Output& predictions,
                                                  int expected_difference = 0);

// math_ops.assert_broadcastable: weights are a scalar, or have the values' rank and dimensions of
// 1 or the values'. Errors: of kind value where the shapes are known and do not fit; else the node
// fails.
Operation assert_broadcastable(const Graph& graph, const Input& weights, const Output& values);
// The weights in the shape of the values.
Output broadcast_weights(const Output& weights, const Output& values);

}  // namespace hub
