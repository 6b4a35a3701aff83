#pragma once

// Convolutions of float32 by oneDNN, channels last: data is [batch, spatial..., channels],
// filters are TensorFlow's [spatial..., channels of a group, output channels].

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace hub::dnn {

// Everything that a primitive is made for. Axes beyond `spatial_dims` do not count.
struct ConvShape {
  int spatial_dims = 2;
  std::int64_t batch = 1;
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  std::int64_t groups = 1;
  std::array<std::int64_t, 3> input{};
  std::array<std::int64_t, 3> kernel{};
  std::array<std::int64_t, 3> output{};
  std::array<std::int64_t, 3> stride{};
  std::array<std::int64_t, 3> dilation{};
  std::array<std::int64_t, 3> before{};

  bool operator==(const ConvShape&) const = default;
  std::int64_t in_pixels() const;
  std::int64_t out_pixels() const;
  std::int64_t filter_elements() const;
  // Multiplications and additions.
  double flops() const;
};

enum class Activation : std::uint8_t { kNone, kRelu, kRelu6 };

// What is done to a result before it is written: + bias, + what the output holds, activation.
struct Epilogue {
  bool bias = false;
  bool accumulate = false;
  Activation activation = Activation::kNone;
  bool operator==(const Epilogue&) const = default;
};

enum class ConvKind : std::uint8_t { kForward, kBackwardData, kBackwardFilter };

// A primitive, made once for a shape. Immutable, so that any thread may run it. It works on
// the calling thread alone.
class Convolution {
 public:
  // nullptr where oneDNN has only its reference implementation. With `like`, the filter is
  // packed as there, and nullptr also means that this cannot be.
  static std::shared_ptr<const Convolution> create(ConvKind kind, const ConvShape& shape,
                                                   const Epilogue& epilogue = {},
                                                   const Convolution* like = nullptr);
  // The name of what `create` would take, of oneDNN's implementations; "" where it has none.
  static std::string implementation(ConvKind kind, const ConvShape& shape,
                                    const Epilogue& epilogue);
  virtual ~Convolution() = default;

  virtual const std::string& implementation() const = 0;

  virtual std::size_t packed_bytes() const = 0;
  // Whether a filter packed by the other one fits this one.
  virtual bool packs_like(const Convolution& other) const = 0;
  virtual std::size_t scratch_bytes() const = 0;
  // Between TensorFlow's layout of the filter and the primitive's. `filter` points to the
  // first of `out_channels` of each row of `row_channels` output channels.
  virtual void pack(const float* filter, std::int64_t row_channels, void* packed) const = 0;
  virtual void unpack(const void* packed, float* filter) const = 0;
  // Forward: reads `input`, `packed` and `bias`, writes `output`. Backward data: reads
  // `output` (its gradient) and `packed`, writes `input`. Backward filter: reads both, writes
  // `packed`. `scratch` has scratch_bytes(), aligned to 64.
  virtual void run(float* input, void* packed, const float* bias, float* output,
                   void* scratch) const = 0;
};

}  // namespace hub::dnn
