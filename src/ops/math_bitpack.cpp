// CompareAndBitpack: eight comparisons a byte, the first one in the highest bit.

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

constexpr std::int64_t kBits = 8;

Shapes bitpack_shape(ShapeContext& c) {
  const PartialShape input = c.at_least_rank(0, 1);
  c.with_rank(1, 0);
  if (!input.has_rank()) return {PartialShape::unknown_rank()};
  const int last = input.rank() - 1;
  const std::int64_t size = input.dim(last);
  if (size > 0 && size % kBits != 0) {
    throw invalid_argument(
        "CompareAndBitpack: the last dimension must be a multiple of 8. Details: ", input, ".");
  }
  return {replace_dim(input, last, size < 0 ? -1 : size / kBits)};
}

// Booleans are packed as they are: the threshold does not count.
template <class T>
bool is_above(T value, T threshold) {
  if constexpr (std::is_same_v<T, bool>) {
    return value;
  } else if constexpr (std::is_same_v<T, Half>) {
    return static_cast<float>(value) > static_cast<float>(threshold);
  } else {
    return value > threshold;
  }
}

void compute_bitpack(KernelContext& c) {
  const Tensor& input = c.input(0);
  const Tensor& threshold = c.input(1);
  if (threshold.rank() != 0 || input.rank() == 0 || input.dim(input.rank() - 1) % kBits != 0) {
    throw invalid_argument(
        "CompareAndBitpack: the threshold must be a scalar, the last dimension of the input a "
        "multiple of 8. Details: the shapes are ",
        threshold.shape(), " and ", input.shape(), ".");
  }
  const int last = input.rank() - 1;
  Tensor& result = c.output(0, input.shape().with_dim(last, input.dim(last) / kBits));
  auto* bytes = result.mutable_data<std::uint8_t>();
  using Types =
      TypeList<bool, Half, float, double, std::int8_t, std::int16_t, std::int32_t, std::int64_t>;
  dispatch(Types{}, input.dtype(), [&]<class T>() {
    const T* values = input.data<T>();
    const T limit = threshold.scalar<T>();
    c.parallel_for(result.num_elements(), 4, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        unsigned byte = 0;
        for (std::int64_t bit = 0; bit < kBits; ++bit) {
          byte = byte << 1 | (is_above(values[i * kBits + bit], limit) ? 1 : 0);
        }
        bytes[i] = static_cast<std::uint8_t>(byte);
      }
    });
  });
}

constexpr OpDef kOps[] = {
    {.name = "CompareAndBitpack",
     .inputs = "input: T, threshold: T",
     .outputs = "output: uint8",
     .attrs = "T: {bool, half, float, double, int8, int16, int32, int64}",
     .shape = bitpack_shape,
     .kernel = kernel_function<compute_bitpack>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily math_bitpack_ops() { return kOps; }

}  // namespace hub
