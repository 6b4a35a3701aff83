#pragma once

// Products of float matrices by oneDNN. An element's bits depend on its row of `a`, its
// column of `b` and the sizes k and n: not on m, on the place of its row, nor on threads.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ops/kernel.h"

namespace hub::dnn {

// [m,k] times [k,n], row-major; `b_transposed`: b is stored as [n,k].
struct MatmulShape {
  std::int64_t m = 0;
  std::int64_t k = 0;
  std::int64_t n = 0;
  bool b_transposed = false;
};

struct MatmulOperands {
  const float* a;
  const float* b;
  float* c;
};

// Rows [row, row + rows) and columns [column, column + columns) of a result.
struct MatmulBlock {
  std::int64_t row;
  std::int64_t rows;
  std::int64_t column;
  std::int64_t columns;
};

// A right-hand matrix laid out for fast products. Immutable.
class PackedMatrix;

// Memory for runs of primitives on one thread, aligned as oneDNN likes it.
class Scratch {
 public:
  void* get(std::size_t size);

 private:
  std::vector<std::byte> bytes_;
};
struct MatmulWorkspace {
  Scratch scratch;
  Scratch padding;
};

// Products of one size, each by one thread, for kernels that do more with a block than multiply.
// Immutable.
class BlockProduct {
 public:
  BlockProduct(BlockProduct&&) noexcept;
  ~BlockProduct();
  // c[m,n] = a[m,k] * b.
  void run(const float* a, const float* b, float* c, MatmulWorkspace& workspace) const;

 private:
  friend class Matmul;
  struct Run;
  explicit BlockProduct(std::unique_ptr<const Run> run);
  std::unique_ptr<const Run> run_;
};

// Keeps what oneDNN compiled for the sizes it has seen. Thread-safe.
class Matmul {
 public:
  Matmul();
  ~Matmul();
  Matmul(const Matmul&) = delete;
  Matmul& operator=(const Matmul&) = delete;

  // Each product of the batch; all sizes are positive.
  void multiply(KernelContext& context, const MatmulShape& shape,
                std::span<const MatmulOperands> batch) const;

  // For products of shape.m rows; any other number is possible, but may be slower.
  std::shared_ptr<const PackedMatrix> pack(KernelContext& context, const float* b,
                                           const MatmulShape& shape) const;
  // The number of the layout that `pack` would choose.
  static constexpr int kLayouts = 3;
  static int layout(const MatmulShape& shape);
  // c[m,n] = a[m,k] * b. `finish` is called for each block of c once it is there, by the thread
  // that made it.
  using FinishBlock = CallableRef<void(const MatmulBlock&)>;
  void multiply(KernelContext& context, std::int64_t m, const float* a, const PackedMatrix& b,
                float* c, FinishBlock finish) const;
  void multiply(KernelContext& context, std::int64_t m, const float* a, const PackedMatrix& b,
                float* c) const {
    multiply(context, m, a, b, c, [](const MatmulBlock&) {});
  }

  // All sizes are positive.
  BlockProduct block_product(const MatmulShape& shape) const;

 private:
  class Plans;
  std::unique_ptr<Plans> plans_;
};

}  // namespace hub::dnn
