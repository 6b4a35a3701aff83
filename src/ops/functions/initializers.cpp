// Initialisers with TensorFlow's nodes and names (tensorflow/python/ops/init_ops.py,
// random_ops.py).

#include <algorithm>
#include <cmath>

#include "hub/variables.h"
#include "ops/functions/function_support.h"
#include "tensor/dispatch.h"

namespace hub::init {
namespace {

// The standard deviation of a normal distribution that is cut at two.
constexpr double kTruncatedStddev = 0.87962566103423978;

bool is_integer(DType dtype) {
  switch (dtype) {
    case DType::kInt32:
    case DType::kInt64: return true;
    default: return false;
  }
}

Output shape_tensor(const Graph& graph, const Shape& shape) {
  return ops::constant(graph, int_vector({shape.dims().begin(), shape.dims().end()}), "shape");
}

Attrs seed_attrs(const Graph& graph, Seed seed, DType dtype) {
  const auto [first, second] = graph.op_seeds(seed);
  return {{"seed", first}, {"seed2", second}, {"dtype", dtype}};
}

Output uniform(const Graph& graph, const Shape& shape, double min, double max, DType dtype,
               Seed seed) {
  const NameScope scope(graph, "random_uniform");
  const Output dims = shape_tensor(graph, shape);
  if (is_integer(dtype)) {
    const Output low = ops::constant(graph, static_cast<std::int64_t>(min), dtype, "min");
    const Output high = ops::constant(graph, static_cast<std::int64_t>(max), dtype, "max");
    const auto [first, second] = graph.op_seeds(seed);
    return graph.op("RandomUniformInt", {dims, low, high}, {{"seed", first}, {"seed2", second}},
                    scope.name());
  }
  const Output low = ops::constant(graph, min, dtype, "min");
  const Output high = ops::constant(graph, max, dtype, "max");
  const Output random = graph.op("RandomUniform", {dims}, seed_attrs(graph, seed, dtype));
  const Output width = high - low;
  return graph.op("AddV2", {random * width, low}, {}, scope.name());
}

Output normal(const Graph& graph, std::string_view op, std::string_view name, const Shape& shape,
              double mean, double stddev, DType dtype, Seed seed) {
  const NameScope scope(graph, name);
  const Output dims = shape_tensor(graph, shape);
  const Output center = ops::constant(graph, mean, dtype, "mean");
  const Output deviation = ops::constant(graph, stddev, dtype, "stddev");
  const Output random = graph.op(op, {dims}, seed_attrs(graph, seed, dtype));
  return graph.op("AddV2", {random * deviation, center}, {}, scope.name());
}

Output plain_normal(const Graph& graph, const Shape& shape, double mean, double stddev, DType dtype,
                    Seed seed) {
  return normal(graph, "RandomStandardNormal", "random_normal", shape, mean, stddev, dtype, seed);
}

Output cut_normal(const Graph& graph, const Shape& shape, double mean, double stddev, DType dtype,
                  Seed seed) {
  return normal(graph, "TruncatedNormal", "truncated_normal", shape, mean, stddev, dtype, seed);
}

struct Fans {
  double in = 1;
  double out = 1;
};

Fans fans_of(const Shape& shape) {
  const int rank = shape.rank();
  if (rank < 1) return {};
  if (rank == 1) return {static_cast<double>(shape.dim(0)), static_cast<double>(shape.dim(0))};
  double field = 1;
  for (int i = 0; i < rank - 2; ++i) field *= static_cast<double>(shape.dim(i));
  return {static_cast<double>(shape.dim(rank - 2)) * field,
          static_cast<double>(shape.dim(rank - 1)) * field};
}

double fan_of(const Shape& shape, FanMode mode) {
  const Fans fans = fans_of(shape);
  if (mode == FanMode::kFanIn) return fans.in;
  return mode == FanMode::kFanOut ? fans.out : (fans.in + fans.out) / 2;
}

const Shape& whole_shape(const Shape& shape, const PartitionInfo* partition) {
  return partition == nullptr ? shape : partition->full_shape;
}

// The values as another dtype.
Tensor converted(const Tensor& values, DType dtype) {
  if (values.dtype() == dtype) return values;
  std::vector<double> numbers;
  dispatch(RealNumbers{}, values.dtype(), [&]<class T>() {
    for (const T value : values.values<T>()) {
      if constexpr (std::is_arithmetic_v<T>) {
        numbers.push_back(static_cast<double>(value));
      } else {
        numbers.push_back(static_cast<double>(static_cast<float>(value)));
      }
    }
  });
  Tensor result(dtype, values.shape());
  dispatch(RealNumbers{}, dtype, [&]<class T>() {
    T* out = result.mutable_data<T>();
    for (const double number : numbers) {
      if constexpr (std::is_arithmetic_v<T>) {
        *out++ = static_cast<T>(number);
      } else {
        *out++ = T(static_cast<float>(number));
      }
    }
  });
  return result;
}

// The elements in order, the last one repeated.
Tensor filled_up(const Tensor& values, const Shape& shape) {
  if (values.num_elements() > shape.num_elements()) {
    throw value_error("Too many elements provided. Needed at most ", shape.num_elements(),
                      ", but received ", values.num_elements());
  }
  if (values.num_elements() == shape.num_elements()) return values.reshaped(shape);
  if (values.num_elements() == 0)
    throw value_error("A constant needs at least one value. Details: for shape ", shape, ".");
  Tensor result(values.dtype(), shape);
  dispatch_by_size(values.dtype(), [&]<class T>() {
    const auto* in = static_cast<const T*>(values.raw_data());
    auto* out = static_cast<T*>(result.mutable_raw_data());
    const std::int64_t last = values.num_elements() - 1;
    for (std::int64_t i = 0; i < shape.num_elements(); ++i) out[i] = in[std::min(i, last)];
  });
  return result;
}

// tf.eye.
Output eye(const Graph& graph, const Shape& shape, DType dtype) {
  const NameScope scope(graph, "eye");
  const std::int64_t size = std::min(shape.dim(0), shape.dim(1));
  const Output diagonal = ops::ones(graph, {size}, dtype);
  if (shape.dim(0) == shape.dim(1)) {
    const NameScope inside(graph, "diag");
    const auto number = [&](int value, std::string_view name) {
      return ops::constant(graph, value, kInt32, name);
    };
    const Output k = number(0, "k");
    const Output rows = number(-1, "num_rows");
    const Output columns = number(-1, "num_cols");
    const Output padding = ops::constant(graph, 0, dtype, "padding_value");
    return graph.op("MatrixDiagV3", {diagonal, k, rows, columns, padding}, {}, inside.name());
  }
  const Output zero = ops::zeros(graph, shape, dtype);
  const NameScope inside(graph, "set_diag");
  const Output k = ops::constant(graph, 0, kInt32, "k");
  return graph.op("MatrixSetDiagV3", {zero, diagonal, k}, {}, inside.name());
}

Output orthogonal_value(const Graph& graph, const Shape& shape, DType dtype, double gain,
                        Seed seed) {
  if (shape.rank() < 2) {
    throw value_error("The tensor to initialize must be at least two-dimensional. Details: shape ",
                      shape, ".");
  }
  const std::int64_t columns = shape.dim(shape.rank() - 1);
  const std::int64_t rows = columns == 0 ? 0 : shape.num_elements() / columns;
  const Shape flat = rows < columns ? Shape{columns, rows} : Shape{rows, columns};
  const Output random = plain_normal(graph, flat, 0, 1, dtype, seed);
  const Operation qr = graph.op("Qr", {random});
  const Output signs = ops::sign(graph.op("DiagPart", {qr.output(1)}));
  Output q = qr.output(0) * signs;
  if (rows < columns) {
    const NameScope scope(graph, "matrix_transpose");
    q = ops::transpose(q, {1, 0});
  }
  return gain * ops::reshape(q, PartialShape(shape));
}

}  // namespace

Initializer zeros() {
  return [](const Graph& graph, const Shape& shape, DType dtype, const PartitionInfo*) {
    return ops::zeros(graph, shape, dtype);
  };
}

Initializer ones() {
  return [](const Graph& graph, const Shape& shape, DType dtype, const PartitionInfo*) {
    return ops::ones(graph, shape, dtype);
  };
}

Initializer constant(double value) {
  return [value](const Graph& graph, const Shape& shape, DType dtype, const PartitionInfo*) {
    return ops::constant(graph, filled_up(make_scalar_of(dtype, value), shape));
  };
}

Initializer constant(const Tensor& values) {
  return [values](const Graph& graph, const Shape& shape, DType dtype, const PartitionInfo*) {
    return ops::constant(graph, filled_up(converted(values, dtype), shape));
  };
}

Initializer random_uniform(double min, double max, Seed seed) {
  return [=](const Graph& graph, const Shape& shape, DType dtype, const PartitionInfo*) {
    return uniform(graph, shape, min, max, dtype, seed);
  };
}

Initializer random_normal(double mean, double stddev, Seed seed) {
  return [=](const Graph& graph, const Shape& shape, DType dtype, const PartitionInfo*) {
    return plain_normal(graph, shape, mean, stddev, dtype, seed);
  };
}

Initializer truncated_normal(double mean, double stddev, Seed seed) {
  return [=](const Graph& graph, const Shape& shape, DType dtype, const PartitionInfo*) {
    return cut_normal(graph, shape, mean, stddev, dtype, seed);
  };
}

Initializer uniform_unit_scaling(double factor, Seed seed) {
  return [=](const Graph& graph, const Shape& shape, DType dtype, const PartitionInfo* partition) {
    const Shape& whole = whole_shape(shape, partition);
    double inputs = 1;
    for (int i = 0; i + 1 < whole.rank(); ++i) inputs *= static_cast<double>(whole.dim(i));
    const double limit = std::sqrt(3 / std::max(inputs, 1.0)) * factor;
    return uniform(graph, shape, -limit, limit, dtype, seed);
  };
}

Initializer variance_scaling(double scale, FanMode mode, Distribution distribution, Seed seed) {
  if (!(scale > 0)) throw value_error("`scale` must be positive float. Details: got ", scale, ".");
  return [=](const Graph& graph, const Shape& shape, DType dtype, const PartitionInfo* partition) {
    const double variance = scale / std::max(1.0, fan_of(whole_shape(shape, partition), mode));
    switch (distribution) {
      case Distribution::kTruncatedNormal:
        return cut_normal(graph, shape, 0, std::sqrt(variance) / kTruncatedStddev, dtype, seed);
      case Distribution::kUntruncatedNormal:
        return plain_normal(graph, shape, 0, std::sqrt(variance), dtype, seed);
      default: break;
    }
    const double limit = std::sqrt(3 * variance);
    return uniform(graph, shape, -limit, limit, dtype, seed);
  };
}

Initializer glorot_uniform(Seed seed) {
  return variance_scaling(1, FanMode::kFanAverage, Distribution::kUniform, seed);
}
Initializer glorot_normal(Seed seed) {
  return variance_scaling(1, FanMode::kFanAverage, Distribution::kTruncatedNormal, seed);
}
Initializer he_uniform(Seed seed) {
  return variance_scaling(2, FanMode::kFanIn, Distribution::kUniform, seed);
}
Initializer he_normal(Seed seed) {
  return variance_scaling(2, FanMode::kFanIn, Distribution::kTruncatedNormal, seed);
}
Initializer lecun_uniform(Seed seed) {
  return variance_scaling(1, FanMode::kFanIn, Distribution::kUniform, seed);
}
Initializer lecun_normal(Seed seed) {
  return variance_scaling(1, FanMode::kFanIn, Distribution::kTruncatedNormal, seed);
}

// tensorflow/contrib/layers/python/layers/initializers.py: a vector's fans are both its length.
Initializer contrib_variance_scaling(double factor, FanMode mode, bool is_uniform, Seed seed) {
  return [=](const Graph& graph, const Shape& shape, DType dtype, const PartitionInfo*) {
    const double n = fan_of(shape, mode);
    if (is_uniform) {
      const double limit = std::sqrt(3 * factor / n);
      return uniform(graph, shape, -limit, limit, dtype, seed);
    }
    return cut_normal(graph, shape, 0, std::sqrt(1.3 * factor / n), dtype, seed);
  };
}

Initializer xavier(bool is_uniform, Seed seed) {
  return contrib_variance_scaling(1, FanMode::kFanAverage, is_uniform, seed);
}

Initializer orthogonal(double gain, Seed seed) {
  return [=](const Graph& graph, const Shape& shape, DType dtype, const PartitionInfo*) {
    return orthogonal_value(graph, shape, dtype, gain, seed);
  };
}

Initializer identity(double gain) {
  return [=](const Graph& graph, const Shape& shape, DType dtype, const PartitionInfo* partition) {
    const Shape& whole = whole_shape(shape, partition);
    if (whole.rank() != 2) {
      throw value_error("The tensor to initialize must be two-dimensional. Details: shape ", shape,
                        ".");
    }
    Output value = eye(graph, whole, dtype);
    if (partition != nullptr) {
      value = ops::slice(value, partition->offset, {shape.dims().begin(), shape.dims().end()});
    }
    return gain * value;
  };
}

}  // namespace hub::init
