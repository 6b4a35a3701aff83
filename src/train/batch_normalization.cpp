// Batch normalisation (keras/layers/normalization/batch_normalization.py as tf.layers uses it).

#include <algorithm>

#include "hub/control_flow.h"
#include "train/conv_support.h"
#include "train/node_support.h"

namespace hub::layers {
namespace {

bool is_half(DType dtype) { return dtype == DType::kFloat16 || dtype == DType::kBfloat16; }

struct Weights {
  Variable gamma;  // none without scale
  Variable beta;   // none without center
  Variable moving_mean;
  Variable moving_variance;
  DType dtype;
  std::int64_t size;
};

struct Statistics {
  Output mean;
  Output variance;
};

// What training is, where that is known.
std::optional<bool> known(const Training& training) {
  if (const bool* value = std::get_if<bool>(&training)) return *value;
  return std::nullopt;
}

Weights weights_of(const LayerScope& layer, DType dtype, std::int64_t size,
                   const BatchNormalizationOptions& options) {
  Weights result;
  result.dtype = is_half(dtype) ? kFloat : dtype;
  result.size = size;
  const auto add = [&](std::string_view name, const Initializer& initializer,
                       const Regularizer& regularizer, bool trainable) {
    return layer.add_weight(name, {size}, {initializer, regularizer, trainable, result.dtype});
  };
  if (options.scale) {
    result.gamma =
        add("gamma", options.gamma_initializer, options.gamma_regularizer, options.trainable);
  }
  if (options.center)
    result.beta =
        add("beta", options.beta_initializer, options.beta_regularizer, options.trainable);
  result.moving_mean = add("moving_mean", options.moving_mean_initializer, {}, false);
  result.moving_variance = add("moving_variance", options.moving_variance_initializer, {}, false);
  return result;
}

// variable -= (variable - value) * (1 - momentum); `momentum` is a number or a tensor.
Operation move_average(const Variable& variable, const Output& value, const Input& momentum) {
  const Graph graph = variable.graph();
  const NameScope scope(graph, "AssignMovingAvg");
  const Colocation colocation(graph, variable.op());
  Output decay;
  if (momentum.output() != nullptr) {
    decay = ops::cast(1.0 - momentum, variable.dtype());
  } else {
    const double number = std::get<double>(momentum.value());
    decay = ops::cast(ops::constant(graph, 1.0 - number, kFloat, "decay"), variable.dtype());
  }
  const Output now = variable;
  const Output delta = (now - ops::cast(value, variable.dtype())) * decay;
  if (!variable.is_resource()) return variable.assign_sub(delta, scope.name());
  const Operation update = variable.assign_sub(delta);
  // What assign_sub gives in Python: the value after it.
  const ControlDependencies after(graph, std::vector<Operation>{update});
  graph.op("ReadVariableOp", {variable.handle()}, {{"dtype", variable.dtype()}});
  return update;
}

void add_update(const Operation& update, const BatchNormalizationOptions& options) {
  if (options.trainable) update.graph().add_to_collection(Collections::kUpdateOps, update);
}

Operation fused_op(const Output& inputs, const Input& gamma, const Input& beta,
                   const Weights& weights, std::string_view format, double epsilon,
                   bool is_training) {
  return inputs.graph().op(
      "FusedBatchNormV3", {inputs, gamma, beta, weights.moving_mean, weights.moving_variance},
      {{"epsilon", epsilon}, {"data_format", format}, {"is_training", is_training}});
}

Output constant_vector(const Graph& graph, const Weights& weights, double value) {
  return ops::constant(
      graph, weights.dtype == kDouble
                 ? make_tensor<double>({weights.size}, std::vector<double>(weights.size, value))
                 : make_tensor<float>({weights.size},
                                      std::vector<float>(weights.size, static_cast<float>(value))));
}

Output fused(const Output& inputs, const Weights& weights, std::string_view format,
             const BatchNormalizationOptions& options) {
  const Graph graph = inputs.graph();
  const Output beta = weights.beta ? Output() : constant_vector(graph, weights, 0);
  const Output gamma = weights.gamma ? Output() : constant_vector(graph, weights, 1);
  const auto normalise = [&](bool is_training) {
    const Output g = weights.gamma ? Output(weights.gamma) : gamma;
    const Output b = weights.beta ? Output(weights.beta) : beta;
    const Operation op = fused_op(inputs, g, b, weights, format, options.epsilon, is_training);
    return std::vector<Output>{op.output(0), op.output(1), op.output(2)};
  };
  const std::optional<bool> training = known(options.training);
  std::vector<Output> result;
  if (training) {
    result = normalise(*training);
    if (!*training) return result[0];
  } else {
    result = cond(
        std::get<Output>(options.training), [&] { return normalise(true); },
        [&] { return normalise(false); });
  }
  Output momentum;
  if (training) {
    momentum = ops::constant(graph, options.momentum, kFloat);
  } else {
    momentum = cond(
        std::get<Output>(options.training),
        [&] { return ops::constant(graph, options.momentum, kFloat); },
        [&] { return ops::constant(graph, 1.0, kFloat); });
  }
  add_update(move_average(weights.moving_mean, result[1], momentum), options);
  add_update(move_average(weights.moving_variance, result[2], momentum), options);
  return result[0];
}

// tf.nn.moments.
Statistics moments(const Output& inputs, const std::vector<int>& axes) {
  const NameScope scope(inputs.graph(), "moments");
  const Output x = inputs.dtype() == DType::kFloat16 ? ops::cast(inputs, kFloat) : inputs;
  const Output mean = ops::reduce_mean(x, axes, KeepDims::kYes, "mean");
  const Output center = ops::stop_gradient(mean);
  const Output squares = ops::squared_difference(x, center);
  const Output variance = ops::reduce_mean(squares, axes, KeepDims::kYes, "variance");
  Statistics result;
  result.mean = ops::squeeze(mean, axes);
  result.variance = ops::squeeze(variance, axes);
  return result;
}

// tf.nn.batch_normalization; gamma and beta may be none.
Output normalised(const Output& x, const std::optional<Input>& mean,
                  const std::optional<Input>& variance, const std::optional<Input>& beta,
                  const std::optional<Input>& gamma, double epsilon) {
  const Graph graph = x.graph();
  const NameScope scope(graph, "batchnorm");
  // A resource is read where Python's operators read it: before the node of the operator.
  const auto read = [&](const Input& value) {
    const auto* variable = std::get_if<VariableRead>(&value.value());
    if (variable == nullptr) return *value.output();
    return Output(graph.op("ReadVariableOp", {variable->handle}, {{"dtype", variable->dtype}}));
  };
  Output inverse = ops::rsqrt(read(*variance) + epsilon);
  if (gamma) inverse = inverse * *gamma;
  const Output scaled = x * ops::cast(inverse, x.dtype());
  Output shift;
  if (beta) {
    const Output moved = *mean * inverse;
    shift = read(*beta) - moved;
  } else {
    const Output negated = graph.op("Neg", {*mean});
    shift = negated * inverse;
  }
  return scaled + ops::cast(shift, x.dtype());
}

// The update of an average in a conditional: nothing happens where the layer does not train.
Operation move_average_if(const Output& training, const Variable& variable, const Output& value,
                          double momentum) {
  const Output merged = cond(
      training,
      [&] {
        const Operation update = move_average(variable, value, momentum);
        if (!variable.is_resource()) return update.output(0);
        return ops::with_dependencies({update}, Output(variable));
      },
      [&] { return Output(variable); });
  return merged.op();
}

class Unfused {
 public:
  Unfused(const Output& inputs, const Weights& weights, int axis,
          const BatchNormalizationOptions& options)
      : inputs_(inputs), weights_(weights), options_(options) {
    const int rank = inputs.shape().rank();
    for (int i = 0; i < rank; ++i) {
      broadcast_shape_.push_back(i == axis ? weights.size : 1);
      if (i != axis) axes_.push_back(i);
    }
    is_last_ = axis == rank - 1;
  }

  Output run() const {
    const Graph graph = inputs_.graph();
    const DType dtype = inputs_.dtype();
    const Output x = is_half(dtype) ? ops::cast(inputs_, kFloat) : inputs_;
    const std::optional<Input> gamma = broadcast(weights_.gamma);
    const std::optional<Input> beta = broadcast(weights_.beta);
    std::optional<Input> mean, variance;
    if (known(options_.training) == false) {
      mean = broadcast(weights_.moving_mean);
      variance = broadcast(weights_.moving_variance);
    } else {
      const Statistics statistics = batch_statistics(x);
      mean = broadcast(statistics.mean);
      variance = broadcast(statistics.variance);
    }
    const Output y = normalised(x, mean, variance, beta, gamma, options_.epsilon);
    const Output result = ops::cast(y, dtype);
    result.set_shape(inputs_.shape());
    return result;
  }

 private:
  std::optional<Input> broadcast(const Variable& variable) const {
    if (!variable) return std::nullopt;
    if (is_last_) return Input(variable);
    return Input(inputs_.graph().op("Reshape", {variable, shape_tensor()}));
  }
  std::optional<Input> broadcast(const Output& value) const {
    if (is_last_) return Input(value);
    return Input(ops::reshape(value, PartialShape(broadcast_shape_)));
  }
  Tensor shape_tensor() const {
    return int_vector(std::vector<int>(broadcast_shape_.begin(), broadcast_shape_.end()));
  }

  Statistics batch_statistics(const Output& x) const {
    Statistics result = moments(ops::cast(x, weights_.dtype), axes_);
    if (known(options_.training)) {
      add_update(move_average(weights_.moving_mean, result.mean, options_.momentum), options_);
      add_update(move_average(weights_.moving_variance, result.variance, options_.momentum),
                 options_);
      return result;
    }
    const Output& training = std::get<Output>(options_.training);
    const auto chosen = [&](const Output& batch, const Variable& moving) {
      return cond(
          training, [&] { return batch; }, [&] { return Output(moving); });
    };
    result.mean = chosen(result.mean, weights_.moving_mean);
    result.variance = chosen(result.variance, weights_.moving_variance);
    add_update(move_average_if(training, weights_.moving_mean, result.mean, options_.momentum),
               options_);
    add_update(
        move_average_if(training, weights_.moving_variance, result.variance, options_.momentum),
        options_);
    return result;
  }

  const Output& inputs_;
  const Weights& weights_;
  const BatchNormalizationOptions& options_;
  std::vector<int> axes_;
  std::vector<std::int64_t> broadcast_shape_;
  bool is_last_ = true;
};

// The format in which one op does it; "" where none does.
std::string_view fused_format(int rank, int axis, DType dtype, bool wanted) {
  if (!wanted || dtype == kDouble) return "";
  if (rank == 4 && axis == 3) return "NHWC";
  if (rank == 4 && axis == 1) return "NCHW";
  if (rank == 5 && axis == 4) return "NDHWC";
  if (rank == 5 && axis == 1) return "NCDHW";
  return "";
}

}  // namespace

Output batch_normalization(const Output& inputs, const BatchNormalizationOptions& options) {
  const PartialShape& shape = inputs.shape();
  if (!shape.has_rank() || shape.rank() < 1) {
    throw value_error("Input of batch_normalization has an unknown rank or none. Details: \"",
                      inputs.name(), "\" has shape ", shape, ".");
  }
  const int axis = options.axis < 0 ? options.axis + shape.rank() : options.axis;
  if (axis < 0 || axis >= shape.rank()) {
    throw value_error("Invalid axis. Details: axis ", options.axis, " of shape ", shape, ".");
  }
  const std::int64_t size = known_channels("batch_normalization", inputs, axis);
  const LayerScope layer(inputs.graph(), "batch_normalization", options.name, options.reuse);
  const Weights weights = weights_of(layer, inputs.dtype(), size, options);
  const std::string_view format = fused_format(shape.rank(), axis, inputs.dtype(), options.fused);
  if (!format.empty()) return fused(inputs, weights, format, options);
  return Unfused(inputs, weights, axis, options).run();
}

}  // namespace hub::layers
