#pragma once

// Products of a few rows with a large matrix: the time is that of reading the matrix, which lies in
// panels that are read from start to end.

#include <cstdint>
#include <memory>
#include <span>

namespace hub {

// The most rows of one product.
inline constexpr std::int64_t kFewRows = 12;

// A [k,n] matrix in panels of columns, the last one filled up with zeros.
class PanelMatrix {
 public:
  // Laid out for this many rows: all their sums for a panel lie in registers.
  // Errors: RESOURCE_EXHAUSTED.
  PanelMatrix(std::int64_t rows, std::int64_t k, std::int64_t n);

  static std::int64_t panel_columns(std::int64_t rows) { return rows <= 6 ? 64 : 32; }

  std::int64_t k() const { return k_; }
  std::int64_t n() const { return n_; }
  // The most rows that a product with it takes.
  std::int64_t max_rows() const { return columns_ == panel_columns(1) ? 6 : kFewRows; }
  std::int64_t columns() const { return columns_; }
  std::int64_t panels() const { return (n_ + columns_ - 1) / columns_; }
  const float* panel(std::int64_t i) const { return data_.get() + i * k_ * columns_; }
  // Fills panel i from b[row * row_step + column * column_step].
  void pack(std::int64_t i, const float* b, std::int64_t row_step, std::int64_t column_step);

 private:
  struct Free {
    void operator()(float* data) const;
  };
  std::int64_t columns_;
  std::int64_t k_;
  std::int64_t n_;
  std::unique_ptr<float[], Free> data_;
};

// c[m,n] = a[m,k] * b for panel i's columns, m <= b.max_rows(). An element is summed as oneDNN's
// kernels for many rows do it: along k in parts of `part`, which are added in order.
using FewRowsProduct = void (*)(const float* a, std::int64_t m, const PanelMatrix& b,
                                std::int64_t i, std::span<const std::int64_t> parts, float* c);

// Null where this CPU has none.
FewRowsProduct fastest_few_rows_product();

}  // namespace hub
