#pragma once

// Distributions with parameters of which each sample takes an unknown number of draws: sample i
// begins at block 256 * i of the stream.

#include <limits>

#include "ops/random_distributions.h"
#include "ops/random_stream.h"

namespace hub {

// Uniform doubles from a stream, two from a block, the second one first (as TensorFlow does it).
class UniformDoubles {
 public:
  explicit UniformDoubles(Philox& generator) : generator_(generator) {}
  double next() {
    if (left_ == 0) {
      UniformDistribution<double>().fill(generator_, values_);
      generator_.skip(1);
      left_ = 2;
    }
    return values_[--left_];
  }

 private:
  Philox& generator_;
  double values_[2] = {};
  int left_ = 0;
};

// The same for normal numbers.
class NormalDoubles {
 public:
  explicit NormalDoubles(Philox& generator) : generator_(generator) {}
  double next() {
    if (left_ == 0) {
      NormalDistribution<double>().fill(generator_, values_);
      generator_.skip(1);
      left_ = 2;
    }
    return values_[--left_];
  }

 private:
  Philox& generator_;
  double values_[2] = {};
  int left_ = 0;
};

template <class T>
double to_double(T value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return static_cast<double>(static_cast<float>(value));
  } else {
    return static_cast<double>(value);
  }
}

// What an integer cannot hold becomes its lowest value, as x86 converts it.
template <class T>
T from_double(double value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return static_cast<T>(static_cast<float>(value));
  } else if constexpr (std::is_integral_v<T>) {
    constexpr T kLowest = std::numeric_limits<T>::lowest();
    constexpr auto kLow = static_cast<double>(kLowest);
    return value > kLow && value < -kLow ? static_cast<T>(value) : kLowest;
  } else {
    return static_cast<T>(value);
  }
}

// The result is [samples..., parameters...]; sample numbers run over the samples of the first
// parameter, then the second... Calls draw(parameter, sample number) for each.
template <class T, class Draw>
void draw_samples(KernelContext& context, std::int64_t parameters, Tensor& result, double cost_ns,
                  Draw&& draw) {
  T* out = result.mutable_data<T>();
  const std::int64_t samples = result.num_elements() / parameters;
  context.parallel_for(result.num_elements(), cost_ns, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t parameter = i / samples;
      out[i % samples * parameters + parameter] = from_double<T>(draw(parameter, i));
    }
  });
}

inline Philox at_sample(const Philox& start, std::int64_t sample,
                        std::uint64_t blocks = kBlocksPerOutput) {
  return start.skipped(static_cast<std::uint64_t>(sample) * blocks);
}

// Which element of a parameter belongs to an element of what parameters broadcast to.
inline std::vector<std::int64_t> broadcast_indices(const Shape& from, const Shape& to) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(to.num_elements()));
  for (std::int64_t i = 0; i < to.num_elements(); ++i) {
    std::int64_t rest = i;
    std::int64_t index = 0;
    std::int64_t stride = 1;
    for (int axis = to.rank() - 1; axis >= to.rank() - from.rank(); --axis) {
      const std::int64_t size = from.dim(axis - (to.rank() - from.rank()));
      if (size != 1) index += rest % to.dim(axis) * stride;
      stride *= size;
      rest /= to.dim(axis);
    }
    indices[static_cast<std::size_t>(i)] = index;
  }
  return indices;
}

// Errors: INVALID_ARGUMENT unless `shape` ends with `parameters`.
inline void check_ends_with(const KernelContext& context, const Shape& shape,
                            const Shape& parameters) {
  const int extra = shape.rank() - parameters.rank();
  if (extra < 0 || shape.slice(extra, shape.rank()) != parameters) {
    throw invalid_argument(context.node().op_name,
                           ": the shape must end with the parameters' shape. Details: ", shape,
                           " and ", parameters, ".");
  }
}

// The shape rule of ops whose shape input is in front of the parameters' shape.
inline Shapes samples_of_parameter_shape(ShapeContext& c) {
  return {concatenate(shape_from_input_0(c)[0], c.input(1))};
}

// The shape [input 0..., the shape of input 1...].
inline Shape samples_of_parameter(const KernelContext& context) {
  const Shape samples = random_shape_input(context, 0);
  std::vector<std::int64_t> dims(samples.dims().begin(), samples.dims().end());
  const auto parameters = context.input(1).shape().dims();
  dims.insert(dims.end(), parameters.begin(), parameters.end());
  return Shape(dims);
}

inline Shapes seeded_samples_shape(ShapeContext& c) {
  merge_dims(c.with_rank(1, 1).dim(0), 2, "The seed's size");
  return shape_from_input_0(c);
}

}  // namespace hub
