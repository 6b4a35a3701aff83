#pragma once

// Functions that add nodes for the ops which layers, gradients and people call, with
// TensorFlow's names for functions and for the nodes. Every other op is reached by name:
// `graph.op("SpaceToDepth", {x}, {{"block_size", 2}})`.
//
// Numbers may stand where tensors do and take the other operand's dtype: `ops::maximum(x, 0)`.
// At least one input must be a tensor of a graph. The last argument of every function is the
// node's name; empty: TensorFlow's. Errors: those of Graph::op, the shape rules' among them.

#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "hub/export.h"
#include "hub/graph.h"

namespace hub {

enum class KeepDims : bool { kNo, kYes };

// The axes of a reduction: all, some (negative ones count from the end), or a tensor's.
class HUB_EXPORT Axes {
 public:
  Axes() = default;                                                         // all
  Axes(int axis) : axes_(std::vector<int>{axis}), scalar_(true) {}          // NOLINT
  Axes(std::initializer_list<int> axes) : axes_(std::vector<int>(axes)) {}  // NOLINT
  Axes(std::vector<int> axes) : axes_(std::move(axes)) {}                   // NOLINT
  Axes(Output axes) : tensor_(axes) {}                                      // NOLINT

  const std::optional<std::vector<int>>& axes() const { return axes_; }
  bool is_scalar() const { return scalar_; }
  const Output& tensor() const { return tensor_; }

 private:
  std::optional<std::vector<int>> axes_;
  bool scalar_ = false;
  Output tensor_;
};

namespace ops {

// Sources.
HUB_EXPORT Output constant(const Graph& graph, const Tensor& value, std::string_view name = {});
// A scalar; int32, float32, bool or string where no dtype is given.
HUB_EXPORT Output constant(const Graph& graph, const Input& value, DType dtype = DType::kInvalid,
                           std::string_view name = {});
HUB_EXPORT Output placeholder(const Graph& graph, DType dtype, const PartialShape& shape = {},
                              std::string_view name = {});
HUB_EXPORT Output placeholder_with_default(const Output& value, const PartialShape& shape,
                                           std::string_view name = {});
HUB_EXPORT Output zeros(const Graph& graph, const Shape& shape, DType dtype = kFloat,
                        std::string_view name = {});
HUB_EXPORT Output ones(const Graph& graph, const Shape& shape, DType dtype = kFloat,
                       std::string_view name = {});
HUB_EXPORT Output fill(const Output& dims, const Input& value, std::string_view name = {});
HUB_EXPORT Output range(const Input& start, const Input& limit, const Input& delta,
                        std::string_view name = {});

// Values and steps.
HUB_EXPORT Output identity(const Input& x, std::string_view name = {});
HUB_EXPORT Output stop_gradient(const Output& x, std::string_view name = {});
HUB_EXPORT Output zeros_like(const Output& x, std::string_view name = {});
HUB_EXPORT Output ones_like(const Output& x, std::string_view name = {});
HUB_EXPORT Output cast(const Output& x, DType dtype, std::string_view name = {});
HUB_EXPORT Operation no_op(const Graph& graph, std::string_view name = {});
// A node that runs after all of these.
HUB_EXPORT Operation group(const Graph& graph, const std::vector<Operation>& operations,
                           std::string_view name = {});
// The tensor, which waits for the operations.
HUB_EXPORT Output with_dependencies(const std::vector<Operation>& operations, const Output& x,
                                    std::string_view name = {});

// Two operands, broadcast.
HUB_EXPORT Output add(const Input& x, const Input& y, std::string_view name = {});
HUB_EXPORT Output subtract(const Input& x, const Input& y, std::string_view name = {});
HUB_EXPORT Output multiply(const Input& x, const Input& y, std::string_view name = {});
// Python's `/`: floats divide, integers become float64 (small ones float32).
HUB_EXPORT Output divide(const Input& x, const Input& y, std::string_view name = {});
HUB_EXPORT Output floor_div(const Input& x, const Input& y, std::string_view name = {});
HUB_EXPORT Output floor_mod(const Input& x, const Input& y, std::string_view name = {});
HUB_EXPORT Output pow(const Input& x, const Input& y, std::string_view name = {});
HUB_EXPORT Output maximum(const Input& x, const Input& y, std::string_view name = {});
HUB_EXPORT Output minimum(const Input& x, const Input& y, std::string_view name = {});
HUB_EXPORT Output squared_difference(const Input& x, const Input& y, std::string_view name = {});
HUB_EXPORT Output equal(const Input& x, const Input& y, std::string_view name = {});
HUB_EXPORT Output not_equal(const Input& x, const Input& y, std::string_view name = {});
HUB_EXPORT Output less(const Input& x, const Input& y, std::string_view name = {});
HUB_EXPORT Output less_equal(const Input& x, const Input& y, std::string_view name = {});
HUB_EXPORT Output greater(const Input& x, const Input& y, std::string_view name = {});
HUB_EXPORT Output greater_equal(const Input& x, const Input& y, std::string_view name = {});
HUB_EXPORT Output logical_and(const Input& x, const Input& y, std::string_view name = {});
HUB_EXPORT Output logical_or(const Input& x, const Input& y, std::string_view name = {});
HUB_EXPORT Output logical_not(const Output& x, std::string_view name = {});
HUB_EXPORT Output add_n(const std::vector<Output>& xs, std::string_view name = {});
// Rows (or elements) of x where the condition holds, else of y; shapes as TensorFlow 1's where.
HUB_EXPORT Output select(const Output& condition, const Output& x, const Output& y,
                         std::string_view name = {});

// One operand, elementwise.
HUB_EXPORT Output negative(const Output& x, std::string_view name = {});
HUB_EXPORT Output abs(const Output& x, std::string_view name = {});
HUB_EXPORT Output sign(const Output& x, std::string_view name = {});
HUB_EXPORT Output square(const Output& x, std::string_view name = {});
HUB_EXPORT Output sqrt(const Output& x, std::string_view name = {});
HUB_EXPORT Output rsqrt(const Output& x, std::string_view name = {});
HUB_EXPORT Output reciprocal(const Output& x, std::string_view name = {});
HUB_EXPORT Output exp(const Output& x, std::string_view name = {});
HUB_EXPORT Output log(const Output& x, std::string_view name = {});
HUB_EXPORT Output log1p(const Output& x, std::string_view name = {});
HUB_EXPORT Output floor(const Output& x, std::string_view name = {});
HUB_EXPORT Output tanh(const Output& x, std::string_view name = {});
HUB_EXPORT Output sigmoid(const Output& x, std::string_view name = {});
HUB_EXPORT Output sin(const Output& x, std::string_view name = {});
HUB_EXPORT Output cos(const Output& x, std::string_view name = {});
HUB_EXPORT Output relu(const Output& x, std::string_view name = {});
HUB_EXPORT Output relu6(const Output& x, std::string_view name = {});
HUB_EXPORT Output elu(const Output& x, std::string_view name = {});
HUB_EXPORT Output softplus(const Output& x, std::string_view name = {});
// Over the last axis.
HUB_EXPORT Output softmax(const Output& logits, std::string_view name = {});
HUB_EXPORT Output log_softmax(const Output& logits, std::string_view name = {});

// Reductions; int32 axes.
HUB_EXPORT Output reduce_sum(const Output& x, const Axes& axes = {}, KeepDims keep = KeepDims::kNo,
                             std::string_view name = {});
HUB_EXPORT Output reduce_mean(const Output& x, const Axes& axes = {}, KeepDims keep = KeepDims::kNo,
                              std::string_view name = {});
HUB_EXPORT Output reduce_prod(const Output& x, const Axes& axes = {}, KeepDims keep = KeepDims::kNo,
                              std::string_view name = {});
HUB_EXPORT Output reduce_max(const Output& x, const Axes& axes = {}, KeepDims keep = KeepDims::kNo,
                             std::string_view name = {});
HUB_EXPORT Output reduce_min(const Output& x, const Axes& axes = {}, KeepDims keep = KeepDims::kNo,
                             std::string_view name = {});
HUB_EXPORT Output reduce_any(const Output& x, const Axes& axes = {}, KeepDims keep = KeepDims::kNo,
                             std::string_view name = {});
HUB_EXPORT Output reduce_all(const Output& x, const Axes& axes = {}, KeepDims keep = KeepDims::kNo,
                             std::string_view name = {});
HUB_EXPORT Output argmax(const Output& x, int axis, std::string_view name = {});
// Half the sum of the squares.
HUB_EXPORT Output l2_loss(const Input& x, std::string_view name = {});

// Matrices. Of rank above 2 the product is one of batches.
HUB_EXPORT Output matmul(const Input& a, const Input& b, bool transpose_a = false,
                         bool transpose_b = false, std::string_view name = {});
HUB_EXPORT Output bias_add(const Input& x, const Input& bias, std::string_view name = {});

// Shapes and parts. What is known of the static shape becomes a constant.
HUB_EXPORT Output shape(const Output& x, DType out_type = kInt32, std::string_view name = {});
HUB_EXPORT Output size(const Output& x, DType out_type = kInt32, std::string_view name = {});
HUB_EXPORT Output rank(const Output& x, std::string_view name = {});
HUB_EXPORT Output reshape(const Output& x, const Output& shape, std::string_view name = {});
// At most one dimension -1.
HUB_EXPORT Output reshape(const Output& x, const PartialShape& shape, std::string_view name = {});
HUB_EXPORT Output broadcast_to(const Output& x, const Output& shape, std::string_view name = {});
HUB_EXPORT Output expand_dims(const Output& x, int axis, std::string_view name = {});
// Empty: every dimension of size 1.
HUB_EXPORT Output squeeze(const Output& x, const std::vector<int>& axes = {},
                          std::string_view name = {});
HUB_EXPORT Output transpose(const Output& x, const std::vector<int>& permutation,
                            std::string_view name = {});
HUB_EXPORT Output concat(const std::vector<Output>& values, int axis, std::string_view name = {});
HUB_EXPORT std::vector<Output> split(const Output& value, int num_splits, int axis,
                                     std::string_view name = {});
HUB_EXPORT Output stack(const std::vector<Output>& values, int axis = 0,
                        std::string_view name = {});
HUB_EXPORT std::vector<Output> unstack(const Output& value, int num, int axis = 0,
                                       std::string_view name = {});
HUB_EXPORT Output slice(const Output& x, const std::vector<std::int64_t>& begin,
                        const std::vector<std::int64_t>& size, std::string_view name = {});
HUB_EXPORT Output tile(const Output& x, const Output& multiples, std::string_view name = {});
HUB_EXPORT Output gather(const Input& params, const Input& indices, int axis = 0,
                         std::string_view name = {});
HUB_EXPORT Output one_hot(const Output& indices, int depth, const Input& on_value,
                          const Input& off_value, std::string_view name = {});

}  // namespace ops

// Nodes are named as by Python's operators: "add", "mul"...
HUB_EXPORT Output operator+(const Input& x, const Input& y);
HUB_EXPORT Output operator-(const Input& x, const Input& y);
HUB_EXPORT Output operator*(const Input& x, const Input& y);
HUB_EXPORT Output operator/(const Input& x, const Input& y);
HUB_EXPORT Output operator-(const Output& x);

}  // namespace hub
