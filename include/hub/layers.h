#pragma once

// Layers with tf.layers' defaults, nodes and variable names, so that checkpoints and seeds agree.
//
//   hub::Output y = hub::layers::dense(features, 10, {.activation = hub::ops::relu});
//
// A layer opens a variable scope: its name, else the layer's made unique ("dense", "dense_1"). With
// a name that was used and Reuse::kYes it shares the variables ("dense/kernel", "dense/bias").
// Kernels are initialised as the variable scope says, else by glorot_uniform; biases by zeros.
// Penalties of new variables go to the regularisation losses, updates of batch normalisation to
// "update_ops". Inputs are channels-last unless data_format says otherwise.
// Errors of all: of kind value where the input's rank does not fit or the channels are not known;
// those of get_variable.

#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "hub/export.h"
#include "hub/graph.h"
#include "hub/value.h"
#include "hub/variables.h"

namespace hub::layers {

// A function of a tensor: `ops::relu`, or a lambda.
class HUB_EXPORT Activation {
 public:
  Activation() = default;                                          // none
  Activation(Output (*function)(const Output&, std::string_view))  // NOLINT
      : function_([function](const Output& x) { return function(x, {}); }) {}
  template <std::invocable<const Output&> F>
  requires(!std::same_as<std::remove_cvref_t<F>, Activation>) Activation(F function)  // NOLINT
      : function_(std::move(function)) {}

  explicit operator bool() const { return static_cast<bool>(function_); }
  Output operator()(const Output& x) const { return function_ ? function_(x) : x; }

 private:
  std::function<Output(const Output&)> function_;
};

enum class Padding : std::uint8_t { kValid, kSame };
enum class DataFormat : std::uint8_t { kChannelsLast, kChannelsFirst };

// One number for all spatial axes, or one for each. Errors where it is used: of kind value for
// another count, or a number below 1.
class HUB_EXPORT Sizes {
 public:
  Sizes(int all) : values_{all} {}                            // NOLINT
  Sizes(std::initializer_list<int> each) : values_(each) {}   // NOLINT
  Sizes(std::vector<int> each) : values_(std::move(each)) {}  // NOLINT
  std::vector<int> of_rank(int rank, std::string_view what) const;

 private:
  std::vector<int> values_;
};

struct DenseOptions {
  Activation activation = {};
  bool use_bias = true;
  Initializer kernel_initializer = {};
  Initializer bias_initializer = init::zeros();
  Regularizer kernel_regularizer = {};
  Regularizer bias_regularizer = {};
  // Of the output, divided by the batch size.
  Activation activity_regularizer = {};
  bool trainable = true;
  std::string name = {};
  Reuse reuse = Reuse::kInherit;
};
// inputs (..., n) times a kernel [n, units], plus a bias.
HUB_EXPORT Output dense(const Output& inputs, int units, const DenseOptions& options = {});

struct ConvOptions {
  Sizes strides = 1;
  Padding padding = Padding::kValid;
  DataFormat data_format = DataFormat::kChannelsLast;
  Sizes dilation_rate = 1;
  Activation activation = {};
  bool use_bias = true;
  Initializer kernel_initializer = {};
  Initializer bias_initializer = init::zeros();
  Regularizer kernel_regularizer = {};
  Regularizer bias_regularizer = {};
  Activation activity_regularizer = {};
  bool trainable = true;
  std::string name = {};
  Reuse reuse = Reuse::kInherit;
};
// Rank 3, 4, 5: batch, one, two or three spatial axes, channels. Kernels
// [spatial..., channels, filters]. Errors: of kind value where strides and dilation_rate are both
// above 1.
HUB_EXPORT Output conv1d(const Output& inputs, int filters, const Sizes& kernel_size,
                         const ConvOptions& options = {});
HUB_EXPORT Output conv2d(const Output& inputs, int filters, const Sizes& kernel_size,
                         const ConvOptions& options = {});
HUB_EXPORT Output conv3d(const Output& inputs, int filters, const Sizes& kernel_size,
                         const ConvOptions& options = {});
// Kernels [spatial..., filters, channels]. No dilation.
HUB_EXPORT Output conv2d_transpose(const Output& inputs, int filters, const Sizes& kernel_size,
                                   const ConvOptions& options = {});
HUB_EXPORT Output conv3d_transpose(const Output& inputs, int filters, const Sizes& kernel_size,
                                   const ConvOptions& options = {});

struct SeparableConvOptions {
  Sizes strides = 1;
  Padding padding = Padding::kValid;
  DataFormat data_format = DataFormat::kChannelsLast;
  Sizes dilation_rate = 1;
  int depth_multiplier = 1;
  Activation activation = {};
  bool use_bias = true;
  Initializer depthwise_initializer = {};
  Initializer pointwise_initializer = {};
  Initializer bias_initializer = init::zeros();
  Regularizer depthwise_regularizer = {};
  Regularizer pointwise_regularizer = {};
  Regularizer bias_regularizer = {};
  Activation activity_regularizer = {};
  bool trainable = true;
  std::string name = {};
  Reuse reuse = Reuse::kInherit;
};
// Each channel on its own ("depthwise_kernel"), then a mix of channels ("pointwise_kernel").
HUB_EXPORT Output separable_conv1d(const Output& inputs, int filters, const Sizes& kernel_size,
                                   const SeparableConvOptions& options = {});
HUB_EXPORT Output separable_conv2d(const Output& inputs, int filters, const Sizes& kernel_size,
                                   const SeparableConvOptions& options = {});
// Only the first of the two: "depthwise_kernel", "bias"; channels * depth_multiplier outputs.
// (A layer of Keras; tf.layers has none.)
HUB_EXPORT Output depthwise_conv2d(const Output& inputs, const Sizes& kernel_size,
                                   const SeparableConvOptions& options = {});

struct PoolOptions {
  std::optional<Sizes> strides = {};  // the pool's size
  Padding padding = Padding::kValid;
  DataFormat data_format = DataFormat::kChannelsLast;
  std::string name = {};
};
// An average with Padding::kSame counts the cells that are there.
HUB_EXPORT Output max_pooling1d(const Output& inputs, const Sizes& pool_size,
                                const PoolOptions& options = {});
HUB_EXPORT Output max_pooling2d(const Output& inputs, const Sizes& pool_size,
                                const PoolOptions& options = {});
HUB_EXPORT Output max_pooling3d(const Output& inputs, const Sizes& pool_size,
                                const PoolOptions& options = {});
HUB_EXPORT Output average_pooling1d(const Output& inputs, const Sizes& pool_size,
                                    const PoolOptions& options = {});
HUB_EXPORT Output average_pooling2d(const Output& inputs, const Sizes& pool_size,
                                    const PoolOptions& options = {});
HUB_EXPORT Output average_pooling3d(const Output& inputs, const Sizes& pool_size,
                                    const PoolOptions& options = {});

// Whether a layer trains: known when the graph is written, or a bool scalar of it.
using Training = std::variant<bool, Output>;

struct BatchNormalizationOptions {
  int axis = -1;
  double momentum = 0.99;
  double epsilon = 1e-3;
  bool center = true;
  bool scale = true;
  Initializer beta_initializer = init::zeros();
  Initializer gamma_initializer = init::ones();
  Initializer moving_mean_initializer = init::zeros();
  Initializer moving_variance_initializer = init::ones();
  Regularizer beta_regularizer = {};
  Regularizer gamma_regularizer = {};
  Training training = false;
  // false: beta and gamma do not train, and no update goes to "update_ops".
  bool trainable = true;
  // One op for rank 4 and 5 with the channels last or at 1 (rank 5 as a 4-dimensional one);
  // false: never. Its moving variance has Bessel's correction, the other's has not.
  bool fused = true;
  std::string name = {};
  Reuse reuse = Reuse::kInherit;
};
// Variables "gamma", "beta", "moving_mean", "moving_variance". In training the batch's statistics
// normalise, and the nodes in "update_ops" move the averages: run them with each step.
HUB_EXPORT Output batch_normalization(const Output& inputs,
                                      const BatchNormalizationOptions& options = {});

struct DropoutOptions {
  double rate = 0.5;
  // Which parts drop together: of the input's rank, 1 where an axis shares, -1 for the input's
  // dimension. Empty: each element on its own.
  std::vector<int> noise_shape = {};
  std::optional<std::int64_t> seed = {};
  Training training = false;
  std::string name = {};
};
// In training elements become 0 with this rate, others are divided by 1 - rate.
// Errors: of kind value for a rate outside of [0,1).
HUB_EXPORT Output dropout(const Output& inputs, const DropoutOptions& options = {});

// [batch, everything else].
HUB_EXPORT Output flatten(const Output& inputs, DataFormat data_format = DataFormat::kChannelsLast,
                          std::string_view name = {});

// How ids are spread over the parts of a partitioned table: id % parts, or in equal ranges.
enum class PartitionStrategy : std::uint8_t { kMod, kDiv };

struct EmbeddingOptions {
  PartitionStrategy partition_strategy = PartitionStrategy::kMod;
  std::optional<double> max_norm = {};  // longer rows are cut to it
  std::string name = {};
};
// Rows of a table: ids of any shape, int32 or int64; the result's shape is theirs and a row's.
// Gradients are sparse. An id out of range is INVALID_ARGUMENT when the graph runs.
HUB_EXPORT Output embedding_lookup(const Variable& table, const Output& ids,
                                   const EmbeddingOptions& options = {});

enum class Combiner : std::uint8_t { kMean, kSum, kSqrtN };
struct SparseEmbeddingOptions {
  Combiner combiner = Combiner::kMean;
  PartitionStrategy partition_strategy = PartitionStrategy::kMod;
  std::optional<double> max_norm = {};
  std::string name = {};
};
// A row for each row of ids (0 for a row without ids that others follow):
// the sum of the ids' rows, divided by their number or its square root; with weights, a sparse
// value of the same places, by their sum or the root of the sum of their squares.
HUB_EXPORT Output embedding_lookup_sparse(const Variable& table, const SparseValue& ids,
                                          const SparseValue& weights = {},
                                          const SparseEmbeddingOptions& options = {});

}  // namespace hub::layers
