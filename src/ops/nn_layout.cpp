#include "ops/nn_layout.h"

#include <algorithm>

#include "tensor/dispatch.h"

namespace hub {
namespace {

// Each of `count` matrices [rows, columns] becomes [columns, rows].
template <class T>
void transpose_each(KernelContext& c, std::int64_t count, std::int64_t rows, std::int64_t columns,
                    const T* x, T* y) {
  constexpr std::int64_t kTile = 16;
  const std::int64_t tiles = (rows + kTile - 1) / kTile;
  const double tile_ns = 1.0 * static_cast<double>(kTile) * static_cast<double>(columns);
  c.parallel_for(count * tiles, tile_ns, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t item = begin; item < end; ++item) {
      const T* from = x + item / tiles * rows * columns;
      T* to = y + item / tiles * rows * columns;
      const std::int64_t first = item % tiles * kTile;
      const std::int64_t last = std::min(first + kTile, rows);
      for (std::int64_t column = 0; column < columns; ++column) {
        for (std::int64_t row = first; row < last; ++row)
          to[column * rows + row] = from[row * columns + column];
      }
    }
  });
}

Tensor transposed(KernelContext& c, const Tensor& x, const Shape& shape, std::int64_t rows,
                  std::int64_t columns) {
  Tensor y = c.temporary(x.dtype(), shape);
  if (x.num_elements() == 0) return y;
  dispatch_by_size(x.dtype(), [&]<class T>() {
    if constexpr (std::is_trivially_copyable_v<T>) {
      transpose_each(c, x.dim(0), rows, columns, static_cast<const T*>(x.raw_data()),
                     static_cast<T*>(y.mutable_raw_data()));
    }
  });
  return y;
}

}  // namespace

void transpose_matrices(KernelContext& c, std::int64_t count, std::int64_t rows,
                        std::int64_t columns, const float* x, float* y) {
  transpose_each(c, count, rows, columns, x, y);
}

Shape channels_last(const Shape& shape) {
  return shape.without_dim(1).with_inserted(shape.rank() - 1, shape.dim(1));
}

Shape channels_first(const Shape& shape) {
  return shape.without_dim(shape.rank() - 1).with_inserted(1, shape.dim(shape.rank() - 1));
}

Tensor channels_last(KernelContext& c, const Tensor& x) {
  const std::int64_t channels = x.dim(1);
  const std::int64_t pixels = x.shape().slice(2, x.rank()).num_elements();
  return transposed(c, x, channels_last(x.shape()), channels, pixels);
}

Tensor channels_first(KernelContext& c, const Tensor& x) {
  const std::int64_t channels = x.dim(x.rank() - 1);
  const std::int64_t pixels = x.shape().slice(1, x.rank() - 1).num_elements();
  return transposed(c, x, channels_first(x.shape()), pixels, channels);
}

Tensor converted(KernelContext& c, const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  Tensor y = c.temporary(dtype, x.shape());
  dispatch(Floats{}, x.dtype(), [&]<class From>() {
    dispatch(Floats{}, dtype, [&]<class To>() {
      const From* from = x.data<From>();
      To* to = y.mutable_data<To>();
      c.parallel_for(x.num_elements(), 1.0, [=](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
          to[i] = static_cast<To>(static_cast<float>(from[i]));
      });
    });
  });
  return y;
}

}  // namespace hub
