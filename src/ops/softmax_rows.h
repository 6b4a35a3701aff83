#pragma once

// What softmax and the losses over it do with one row of logits.

#include <cmath>
#include <vector>

#include "ops/elementwise.h"
#include "ops/kernels/reduce_loops.h"
#include "ops/kernels/streaming.h"

namespace hub {

template <class W>
struct RowExponentials {
  W maximum;
  W sum;
};

// row_exponentials of floats, by this CPU's fastest loop.
RowExponentials<float> exponentials_of_row(const float* x, std::int64_t n, float* exps);
// y[i] = exp(x[i]) / the sum of all; `y` may be `x`. n > 0.
void softmax_of_row(const float* x, std::int64_t n, float* y);

// exps[i] = exp(x[i] - maximum), and their sum; `exps` may be `x`. n > 0. The order of the
// sum depends on n alone.
template <class W>
RowExponentials<W> row_exponentials(const W* x, std::int64_t n, W* exps) {
  if constexpr (std::is_same_v<W, float>) {
    return exponentials_of_row(x, n, exps);
  } else {
    const W maximum = reduction::reduce_row<reduction::Max<W>>(x, n);
    for (std::int64_t i = 0; i < n; ++i) exps[i] = std::exp(x[i] - maximum);
    return {maximum, reduction::reduce_row<reduction::Sum<W>>(exps, n)};
  }
}

// A tensor's rows as float or double: in place, or widened into a buffer of one row.
template <class W>
class WideRows {
 public:
  WideRows(const Tensor& tensor, std::int64_t size)
      : dtype_(tensor.dtype()),
        data_(static_cast<const std::byte*>(tensor.raw_data())),
        row_bytes_(size * static_cast<std::int64_t>(dtype_size(tensor.dtype()))),
        size_(size) {
    if (dtype_ != dtype_of<W>) buffer_.resize(static_cast<std::size_t>(size));
  }
  // Valid until the next call.
  const W* row(std::int64_t i) {
    const std::byte* at = data_ + i * row_bytes_;
    if (buffer_.empty()) return reinterpret_cast<const W*>(at);
    widen(dtype_, at, size_, buffer_.data());
    return buffer_.data();
  }

 private:
  DType dtype_;
  const std::byte* data_;
  std::int64_t row_bytes_;
  std::int64_t size_;
  std::vector<W> buffer_;
};

// The other way: rows to write, each finished by `store`.
template <class W>
class NarrowRows {
 public:
  // Rows that are computed from `source` alone go past the caches where they are many.
  NarrowRows(Tensor& tensor, std::int64_t size, const Tensor* source = nullptr)
      : dtype_(tensor.dtype()),
        data_(static_cast<std::byte*>(tensor.mutable_raw_data())),
        row_bytes_(size * static_cast<std::int64_t>(dtype_size(tensor.dtype()))),
        size_(size),
        streams_(dtype_ == dtype_of<W> && source != nullptr && source->raw_data() != data_ &&
                 is_streamed(source->size_bytes(), tensor.size_bytes())) {
    if (dtype_ != dtype_of<W> || streams_) buffer_.resize(static_cast<std::size_t>(size));
  }
  NarrowRows(const NarrowRows&) = delete;
  NarrowRows& operator=(const NarrowRows&) = delete;
  ~NarrowRows() {
    if (streams_) finish_streaming();
  }

  W* row(std::int64_t i) {
    return buffer_.empty() ? reinterpret_cast<W*>(data_ + i * row_bytes_) : buffer_.data();
  }
  void store(std::int64_t i) {
    if (streams_) {
      stream_bytes(buffer_.data(), data_ + i * row_bytes_, static_cast<std::size_t>(row_bytes_));
    } else if (!buffer_.empty()) {
      narrow(dtype_, buffer_.data(), size_, data_ + i * row_bytes_);
    }
  }

 private:
  DType dtype_;
  std::byte* data_;
  std::int64_t row_bytes_;
  std::int64_t size_;
  bool streams_;
  std::vector<W> buffer_;
};

// Calls body with float or double: what rows of this dtype are computed in.
template <class Body>
void dispatch_wide(DType dtype, Body&& body) {
  dispatch(TypeList<float, double>{}, wide_dtype(dtype), std::forward<Body>(body));
}

}  // namespace hub
