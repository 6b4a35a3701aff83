#pragma once

// How TensorFlow's quantized integers stand for floats, shared by the ops that make them and
// the ops that compute with them.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>

#include "base/errors.h"
#include "hub/tensor.h"
#include "tensor/dispatch.h"

namespace hub {

// A tensor seen as [before, count, after]: each slice of the axis has a range of its own. A
// negative axis is none: there is one slice.
struct Slices {
  std::int64_t before = 1;
  std::int64_t count = 1;
  std::int64_t after = 1;

  // Errors: INVALID_ARGUMENT, naming the op, for an axis that the shape does not have.
  Slices(std::string_view op, const Shape& shape, std::int64_t axis) {
    if (axis >= shape.rank()) {
      throw invalid_argument(op, ": the axis must be one of the input's. Details: axis ", axis,
                             ", shape ", shape, ".");
    }
    if (axis < 0) {
      after = shape.num_elements();
      return;
    }
    const int at = static_cast<int>(axis);
    before = shape.slice(0, at).num_elements();
    count = shape.dim(at);
    after = shape.slice(at + 1, shape.rank()).num_elements();
  }

  // Calls body(begin, end) for the elements of one slice, run by run.
  template <class Body>
  void for_each_run(std::int64_t slice, const Body& body) const {
    for (std::int64_t i = 0; i < before; ++i) {
      const std::int64_t begin = (i * count + slice) * after;
      body(begin, begin + after);
    }
  }
};

// The integers that quantized dtypes are stored as.
using QuantizedTypes =
    TypeList<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::int32_t>;

// The floats that the lowest and the highest integer stand for.
struct QuantizedRange {
  float low;
  float high;
};

template <class T>
inline constexpr double kQuantizedSteps = static_cast<double>(std::int64_t{1} << (sizeof(T) * 8));

// A quantized number as a float, by linear interpolation in the range, moved so that 0 is exact.
// In single precision, as TensorFlow's vector code.
template <class T>
class Dequantizer {
 public:
  explicit Dequantizer(QuantizedRange range)
      : scale_(static_cast<float>((range.high - range.low) / (kQuantizedSteps<T> - 1))) {
    const double low = range.low == range.high
                           ? range.low
                           : std::round(static_cast<double>(range.low / scale_)) * scale_;
    offset_ =
        static_cast<float>(low) - static_cast<float>(std::numeric_limits<T>::lowest()) * scale_;
  }
  float operator()(T x) const { return offset_ + static_cast<float>(x) * scale_; }

 private:
  float scale_;
  float offset_;
};

// The same in double precision, for single numbers.
template <class T>
float dequantized(T x, QuantizedRange range) {
  if (range.low == range.high) return range.low;
  const double adjust = kQuantizedSteps<T> / (kQuantizedSteps<T> - 1);
  const double scale = (range.high - range.low) * adjust / kQuantizedSteps<T>;
  const auto scale_float = static_cast<float>(scale);
  const double low = std::round(static_cast<double>(range.low / scale_float)) * scale_float;
  const double steps =
      static_cast<double>(x) - static_cast<double>(std::numeric_limits<T>::lowest());
  return static_cast<float>(low + steps * scale);
}

// The inverse of Dequantizer; numbers outside of the range become its ends.
template <class T>
class LinearQuantizer {
 public:
  explicit LinearQuantizer(QuantizedRange range)
      : scale_(range.low == range.high
                   ? 0
                   : static_cast<float>((kQuantizedSteps<T> - 1) / (range.high - range.low))),
        offset_(static_cast<float>(std::round(static_cast<double>(range.low * scale_))) -
                static_cast<float>(std::numeric_limits<T>::lowest())) {}
  T operator()(float x) const {
    // The highest float below 2^31: the highest int32 is none.
    const float highest =
        std::min(static_cast<float>(std::numeric_limits<T>::max()), 2147483520.0f);
    const float steps = std::round(x * scale_) - offset_;
    const float bounded =
        std::min(std::max(steps, static_cast<float>(std::numeric_limits<T>::lowest())), highest);
    return static_cast<T>(static_cast<std::int32_t>(bounded));
  }

 private:
  float scale_;
  float offset_;
};

}  // namespace hub
