// MatMul and BatchMatMul. float, half and bfloat16 go through oneDNN (the latter two are
// multiplied as float and rounded at the end); every other type through kernels/gemm.h.
// An element's value does not depend on the number of rows.

#include <algorithm>
#include <array>
#include <mutex>
#include <numeric>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/kernels/gemm.h"
#include "ops/onednn_matmul.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

Shapes matmul_shape(ShapeContext& c) {
  const PartialShape a = c.with_rank(0, 2);
  const PartialShape b = c.with_rank(1, 2);
  const int outer_a = c.attr<bool>("transpose_a") ? 1 : 0;
  const int outer_b = c.attr<bool>("transpose_b") ? 0 : 1;
  merge_dims(a.dim(1 - outer_a), b.dim(1 - outer_b), "MatMul: the inner dimensions");
  return {PartialShape{a.dim(outer_a), b.dim(outer_b)}};
}

template <bool kBroadcast>
Shapes batch_matmul_shape(ShapeContext& c) {
  const PartialShape a = c.at_least_rank(0, 2);
  const PartialShape b = c.at_least_rank(1, 2);
  PartialShape batch;
  if constexpr (kBroadcast) {
    batch = broadcast(sub_shape(a, 0, -2), sub_shape(b, 0, -2));
  } else {
    batch = sub_shape(a, 0, -2).merge_with(sub_shape(b, 0, -2));
  }
  const auto dim = [](const PartialShape& shape, bool last) {
    return shape.has_rank() ? shape.dim(shape.rank() - (last ? 1 : 2)) : -1;
  };
  const bool adj_x = c.attr<bool>("adj_x");
  const bool adj_y = c.attr<bool>("adj_y");
  merge_dims(dim(a, !adj_x), dim(b, adj_y), "BatchMatMul: the inner dimensions");
  return {concatenate(batch, PartialShape{dim(a, adj_x), dim(b, !adj_y)})};
}

// How one matrix is stored.
struct Side {
  bool transposed = false;
  bool conjugated = false;
};

// A batch of products a * b: which matrix of each input goes where.
struct Products {
  dnn::MatmulShape shape;
  std::vector<std::int64_t> a_index;  // for each product; the output's is its own
  std::vector<std::int64_t> b_index;
};

// out[columns, rows] = in[rows, columns], in squares that fit the cache.
template <class T>
void transpose_matrix(const T* in, std::int64_t rows, std::int64_t columns, bool conjugate,
                      T* out) {
  constexpr std::int64_t kSquare = 16;
  for (std::int64_t top = 0; top < rows; top += kSquare) {
    for (std::int64_t left = 0; left < columns; left += kSquare) {
      const std::int64_t bottom = std::min(top + kSquare, rows);
      const std::int64_t right = std::min(left + kSquare, columns);
      for (std::int64_t j = left; j < right; ++j) {
        for (std::int64_t i = top; i < bottom; ++i) out[j * rows + i] = in[i * columns + j];
      }
    }
  }
  if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>) {
    if (conjugate)
      std::transform(out, out + rows * columns, out, [](T value) { return std::conj(value); });
  }
}

// The matrices [.., rows, columns] of `x`, each transposed.
Tensor transposed_matrices(KernelContext& ctx, const Tensor& x, bool conjugate) {
  const std::int64_t rows = x.dim(x.rank() - 2);
  const std::int64_t columns = x.dim(x.rank() - 1);
  Tensor result = ctx.temporary(
      x.dtype(), x.shape().with_dim(x.rank() - 2, columns).with_dim(x.rank() - 1, rows));
  const std::int64_t size = rows * columns;
  dispatch(Numbers{}, x.dtype(), [&]<class T>() {
    const T* from = x.data<T>();
    T* to = result.mutable_data<T>();
    const std::int64_t count = x.num_elements() / std::max<std::int64_t>(1, size);
    ctx.parallel_for(count, 1.0 * static_cast<double>(size),
                     [&](std::int64_t begin, std::int64_t end) {
                       for (std::int64_t i = begin; i < end; ++i)
                         transpose_matrix(from + i * size, rows, columns, conjugate, to + i * size);
                     });
  });
  return result;
}

template <class From, class To>
void convert_values(const From* from, To* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    if constexpr (std::is_same_v<From, float> || std::is_same_v<To, float>) {
      to[i] = static_cast<To>(from[i]);
    } else {
      to[i] = static_cast<To>(static_cast<float>(from[i]));
    }
  }
}

// `x` as another dtype: what the mixed products of BatchMatMulV3 and the small floats need.
Tensor converted(KernelContext& ctx, const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  Tensor result = ctx.temporary(dtype, x.shape());
  dispatch(TypeList<Half, BFloat16, float, std::int8_t, std::uint8_t>{}, x.dtype(),
           [&]<class From>() {
             dispatch(TypeList<float, std::int32_t>{}, dtype, [&]<class To>() {
               const From* from = x.data<From>();
               To* to = result.mutable_data<To>();
               ctx.parallel_for(x.num_elements(), 1, [&](std::int64_t begin, std::int64_t end) {
                 convert_values(from + begin, to + begin, end - begin);
               });
             });
           });
  return result;
}

void round_to(KernelContext& ctx, const Tensor& values, Tensor& result) {
  dispatch(TypeList<Half, BFloat16>{}, result.dtype(), [&]<class To>() {
    const float* from = values.data<float>();
    To* to = result.mutable_data<To>();
    ctx.parallel_for(values.num_elements(), 1, [&](std::int64_t begin, std::int64_t end) {
      convert_values(from + begin, to + begin, end - begin);
    });
  });
}

template <class T>
void multiply_generic(KernelContext& ctx, const T* a, const T* b, T* c, const Products& products) {
  const auto [m, k, n, unused] = products.shape;
  constexpr std::int64_t kBlock = 16;
  const std::int64_t blocks = (m + kBlock - 1) / kBlock;
  const auto count = static_cast<std::int64_t>(products.a_index.size());
  const double cost = static_cast<double>(std::min(kBlock, m) * k * n) * 0.1 * sizeof(T) / 4;
  ctx.parallel_for(count * blocks, cost,
                   [&, m = m, k = k, n = n](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t unit = begin; unit < end; ++unit) {
                       const auto product = static_cast<std::size_t>(unit / blocks);
                       const gemm::Operands<T> operands = {a + products.a_index[product] * m * k,
                                                           k,
                                                           b + products.b_index[product] * k * n,
                                                           n,
                                                           c + unit / blocks * m * n,
                                                           n,
                                                           n,
                                                           k};
                       const std::int64_t first = unit % blocks * kBlock;
                       gemm::multiply_rows(operands, first, std::min(first + kBlock, m));
                     }
                   });
}

// Right-hand matrices of at most so many elements go through kernels/gemm.h: calling oneDNN
// would take longer than the product.
constexpr std::int64_t kSmallMatrix = 4096;

void multiply_float(KernelContext& ctx, const dnn::Matmul& matmul, const Tensor& a, const Tensor& b,
                    Tensor& c, const Products& products) {
  const dnn::MatmulShape& shape = products.shape;
  std::vector<dnn::MatmulOperands> batch;
  batch.reserve(products.a_index.size());
  float* to = c.mutable_data<float>();
  for (std::size_t i = 0; i < products.a_index.size(); ++i) {
    batch.push_back({a.data<float>() + products.a_index[i] * shape.m * shape.k,
                     b.data<float>() + products.b_index[i] * shape.k * shape.n,
                     to + static_cast<std::int64_t>(i) * shape.m * shape.n});
  }
  matmul.multiply(ctx, shape, batch);
}

// Integers wrap, so they are multiplied as unsigned ones.
template <class T>
using Wrapping = typename std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>,
                                             std::type_identity<T>>::type;

void multiply(KernelContext& ctx, const dnn::Matmul& matmul, Tensor a, Side a_side, Tensor b,
              Side b_side, Tensor& c, Products& products) {
  const dnn::MatmulShape& shape = products.shape;
  if (c.num_elements() == 0) return;
  if (shape.k == 0) {
    std::ranges::fill(c.mutable_bytes(), std::byte{0});
    return;
  }
  const bool is_float = a.dtype() == kFloat && shape.k * shape.n > kSmallMatrix;
  if (a_side.transposed) a = transposed_matrices(ctx, a, a_side.conjugated);
  products.shape.b_transposed = b_side.transposed && is_float;
  if (b_side.transposed && !is_float) b = transposed_matrices(ctx, b, b_side.conjugated);
  if (is_float) return multiply_float(ctx, matmul, a, b, c, products);
  dispatch(Join<Join<TypeList<float, double>, Integers>, Complexes>{}, a.dtype(), [&]<class T>() {
    using W = Wrapping<T>;
    multiply_generic(ctx, reinterpret_cast<const W*>(a.data<T>()),
                     reinterpret_cast<const W*>(b.data<T>()),
                     reinterpret_cast<W*>(c.mutable_data<T>()), products);
  });
}

// In which dtype products of `dtype` are computed.
DType working_dtype(DType dtype) {
  return dtype == DType::kFloat16 || dtype == DType::kBfloat16 ? kFloat : dtype;
}

// Common to all: converts the inputs, multiplies, rounds.
void multiply_as(KernelContext& ctx, const dnn::Matmul& matmul, Side a_side, Side b_side,
                 Products& products, const Shape& shape) {
  Tensor& result = ctx.output(0, shape);
  const DType working = working_dtype(result.dtype());
  Tensor product = working == result.dtype() ? result : ctx.temporary(working, shape);
  multiply(ctx, matmul, converted(ctx, ctx.input(0), working), a_side,
           converted(ctx, ctx.input(1), working), b_side, product, products);
  if (working != result.dtype()) round_to(ctx, product, result);
}

class MatMulKernel final : public Kernel {
 public:
  explicit MatMulKernel(const KernelInit& init)
      : a_side_{init.attr<bool>("transpose_a")},
        b_side_{init.attr<bool>("transpose_b")},
        keeps_packed_(init.input_is_stable(1)) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& a = ctx.input(0);
    const Tensor& b = ctx.input(1);
    if (a.rank() != 2 || b.rank() != 2) {
      throw invalid_argument("MatMul: both inputs must be matrices. Details: ", a.shape(), " and ",
                             b.shape(), ".");
    }
    const std::int64_t m = a.dim(a_side_.transposed ? 1 : 0);
    const std::int64_t k = a.dim(a_side_.transposed ? 0 : 1);
    const std::int64_t n = b.dim(b_side_.transposed ? 0 : 1);
    if (b.dim(b_side_.transposed ? 1 : 0) != k) {
      throw invalid_argument("MatMul: the inner dimensions must agree. Details: ", a.shape(),
                             a_side_.transposed ? " (transposed)" : "", " and ", b.shape(),
                             b_side_.transposed ? " (transposed)." : ".");
    }
    Products products = {{m, k, n, b_side_.transposed}, {0}, {0}};
    if (keeps_packed_ && a.dtype() == kFloat && m > 0 && k * n > kSmallMatrix) {
      Tensor& c = ctx.output(0, Shape{m, n});
      const Tensor left = a_side_.transposed ? transposed_matrices(ctx, a, false) : a;
      matmul_.multiply(ctx, m, left.data<float>(), *packed(ctx, b, products.shape),
                       c.mutable_data<float>());
    } else {
      multiply_as(ctx, matmul_, a_side_, b_side_, products, Shape{m, n});
    }
  }

 private:
  // b as oneDNN likes it: the one of the last call while the buffer is the same.
  std::shared_ptr<const dnn::PackedMatrix> packed(KernelContext& ctx, const Tensor& b,
                                                  const dnn::MatmulShape& shape) const {
    const std::lock_guard lock(mutex_);
    if (packed_ == nullptr || source_.raw_data() != b.raw_data() || source_.shape() != b.shape()) {
      packed_ = matmul_.pack(ctx, b.data<float>(), shape);
      source_ = b;
    }
    return packed_;
  }

  const Side a_side_;
  const Side b_side_;
  const bool keeps_packed_;
  dnn::Matmul matmul_;
  mutable std::mutex mutex_;
  mutable Tensor source_;  // held, so that its memory cannot become another tensor's
  mutable std::shared_ptr<const dnn::PackedMatrix> packed_;
};

// Fills in which matrix of x and of y each product of the broadcast batch takes.
Shape broadcast_batch(const Shape& x, const Shape& y, Products& products) {
  const int rank = std::max(x.rank(), y.rank());
  std::vector<std::int64_t> dims(static_cast<std::size_t>(rank), 1);
  std::vector<std::int64_t> x_strides(dims), y_strides(dims);
  std::int64_t x_stride = 1, y_stride = 1;
  for (int i = 1; i <= rank; ++i) {
    const auto at = static_cast<std::size_t>(rank - i);
    const std::int64_t x_dim = i <= x.rank() ? x.dim(x.rank() - i) : 1;
    const std::int64_t y_dim = i <= y.rank() ? y.dim(y.rank() - i) : 1;
    if (x_dim != y_dim && x_dim != 1 && y_dim != 1) {
      throw invalid_argument(
          "BatchMatMul: the batch dimensions must fit each other for broadcasting. Details: ", x,
          " and ", y, ".");
    }
    dims[at] = x_dim == 1 ? y_dim : x_dim;
    x_strides[at] = x_dim == 1 ? 0 : x_stride;
    y_strides[at] = y_dim == 1 ? 0 : y_stride;
    x_stride *= x_dim;
    y_stride *= y_dim;
  }
  const Shape batch(dims);
  const auto count = static_cast<std::size_t>(batch.num_elements());
  products.a_index.assign(count, 0);
  products.b_index.assign(count, 0);
  for (std::size_t i = 0; i < count; ++i) {
    auto rest = static_cast<std::int64_t>(i);
    for (int axis = rank - 1; axis >= 0; --axis) {
      const auto at = static_cast<std::size_t>(axis);
      products.a_index[i] += rest % dims[at] * x_strides[at];
      products.b_index[i] += rest % dims[at] * y_strides[at];
      rest /= dims[at];
    }
  }
  return batch;
}

template <bool kBroadcast>
class BatchMatMulKernel final : public Kernel {
 public:
  explicit BatchMatMulKernel(const KernelInit& init)
      : adj_x_(init.attr<bool>("adj_x")), adj_y_(init.attr<bool>("adj_y")) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& x = ctx.input(0);
    const Tensor& y = ctx.input(1);
    check(x, y);
    const auto dim = [](const Tensor& t, bool last) { return t.dim(t.rank() - (last ? 1 : 2)); };
    Products products = {{dim(x, adj_x_), dim(x, !adj_x_), dim(y, !adj_y_)}, {}, {}};
    if (dim(y, adj_y_) != products.shape.k) {
      throw invalid_argument("BatchMatMul: the inner dimensions must agree. Details: ", x.shape(),
                             adj_x_ ? " (adjoint)" : "", " and ", y.shape(),
                             adj_y_ ? " (adjoint)." : ".");
    }
    const Shape batch = broadcast_batch(x.shape().slice(0, x.rank() - 2),
                                        y.shape().slice(0, y.rank() - 2), products);
    const Shape shape = batch.with_inserted(batch.rank(), products.shape.m)
                            .with_inserted(batch.rank() + 1, products.shape.n);
    // Rows of x that share one matrix are one product.
    if (!adj_x_ && y.rank() == 2 && products.a_index.size() > 1) {
      products.shape.m *= static_cast<std::int64_t>(products.a_index.size());
      products.a_index = products.b_index = {0};
    }
    multiply_as(ctx, matmul_, {adj_x_, true}, {adj_y_, true}, products, shape);
  }

 private:
  void check(const Tensor& x, const Tensor& y) const {
    if (x.rank() < 2 || y.rank() < 2) {
      throw invalid_argument("BatchMatMul: both inputs must have rank 2 or more. Details: ",
                             x.shape(), " and ", y.shape(), ".");
    }
    if (kBroadcast) return;
    if (x.rank() != y.rank() ||
        x.shape().slice(0, x.rank() - 2) != y.shape().slice(0, y.rank() - 2)) {
      throw invalid_argument("BatchMatMul: the batch dimensions must be the same. Details: ",
                             x.shape(), " and ", y.shape(), ".");
    }
  }

  const bool adj_x_;
  const bool adj_y_;
  dnn::Matmul matmul_;
};

constexpr OpDef kOps[] = {
    {.name = "MatMul",
     .inputs = "a: T, b: T",
     .outputs = "product: T",
     .attrs = "transpose_a: bool = false; transpose_b: bool = false; "
              "T: {bfloat16, half, float, double, int32, int64, uint8, uint16, uint32, uint64, "
              "complex64, complex128}",
     .shape = matmul_shape,
     .kernel = make_kernel<MatMulKernel>},
    {.name = "BatchMatMul",
     .inputs = "x: T, y: T",
     .outputs = "output: T",
     .attrs = "T: {bfloat16, half, float, double, int32, int64, complex64, complex128}; "
              "adj_x: bool = false; adj_y: bool = false",
     .shape = batch_matmul_shape<false>,
     .kernel = make_kernel<BatchMatMulKernel<false>>},
    {.name = "BatchMatMulV2",
     .inputs = "x: T, y: T",
     .outputs = "output: T",
     .attrs =
         "T: {bfloat16, half, float, double, int16, int32, int64, uint8, uint16, uint32, uint64, "
         "complex64, complex128}; adj_x: bool = false; adj_y: bool = false",
     .shape = batch_matmul_shape<true>,
     .kernel = make_kernel<BatchMatMulKernel<true>>},
    {.name = "BatchMatMulV3",
     .inputs = "x: Ta, y: Tb",
     .outputs = "output: Tout",
     .attrs = "Ta: {bfloat16, half, float, double, uint8, int8, int16, int32, int64, complex64, "
              "complex128}; "
              "Tb: {bfloat16, half, float, double, uint8, int8, int16, int32, int64, complex64, "
              "complex128}; "
              "Tout: {bfloat16, half, float, double, int16, int32, int64, complex64, complex128}; "
              "adj_x: bool = false; adj_y: bool = false",
     .shape = batch_matmul_shape<true>,
     .kernel = make_kernel<BatchMatMulKernel<true>>},
};

}  // namespace

OpFamily linalg_matmul_ops() { return kOps; }

}  // namespace hub
