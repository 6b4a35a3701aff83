#include "ops/matmul.h"

#include <algorithm>
#include <complex>

#include "ops/elements.h"
#include "ops/kernels/gemm.h"
#include "ops/wrapping.h"
#include "tensor/buffers.h"

namespace hub {

Tensor transposed_matrices(KernelContext& ctx, const Tensor& x, bool conjugated) {
  const std::int64_t rows = x.dim(x.rank() - 2);
  const std::int64_t columns = x.dim(x.rank() - 1);
  Tensor result = ctx.temporary(
      x.dtype(), x.shape().with_dim(x.rank() - 2, columns).with_dim(x.rank() - 1, rows));
  if (x.num_elements() == 0) return result;
  const std::int64_t size = rows * columns;
  const CopyAxis axes[] = {
      {x.num_elements() / size, size, size}, {columns, 1, rows}, {rows, columns, 1}};
  copy_box(ctx, x.dtype(), axes, x.raw_data(), result.mutable_raw_data());
  const bool is_complex = x.dtype() == DType::kComplex64 || x.dtype() == DType::kComplex128;
  if (!conjugated || !is_complex) return result;
  dispatch(Complexes{}, x.dtype(), [&]<class T>() {
    for (T& value : result.mutable_values<T>()) value = std::conj(value);
  });
  return result;
}

std::shared_ptr<const dnn::PackedMatrix> PackedRight::get(KernelContext& ctx,
                                                          const dnn::Matmul& matmul,
                                                          const Tensor& b,
                                                          const dnn::MatmulShape& shape) const {
  const std::lock_guard lock(mutex_);
  if (source_.raw_data() != b.raw_data() || source_.shape() != b.shape()) {
    b.buffer()->pin();
    packed_ = {};
    source_ = b;
  }
  auto& packed = packed_[static_cast<std::size_t>(dnn::Matmul::layout(shape))];
  if (packed == nullptr) {
    packed = matmul.pack(ctx, b.data<float>(), shape);
    release_pages(b);
  }
  return packed;
}

bool is_worth_onednn(std::int64_t k, std::int64_t n) {
  // Smaller matrices are multiplied in less time than a call of oneDNN takes.
  constexpr std::int64_t kSmallMatrix = 4096;
  return k * n > kSmallMatrix;
}

namespace {

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
void multiply_generic(KernelContext& ctx, const T* a, const T* b, T* c,
                      const MatrixProducts& products) {
  const auto [m, k, n, unused] = products.shape;
  constexpr std::int64_t kBlock = 16;
  const std::int64_t blocks = (m + kBlock - 1) / kBlock;
  const auto count = static_cast<std::int64_t>(products.a_index.size());
  const double cost = static_cast<double>(std::min(kBlock, m) * k * n) * 0.1 * sizeof(T) / 4;
  const auto body = [&, m = m, k = k, n = n](std::int64_t begin, std::int64_t end) {
    for (std::int64_t unit = begin; unit < end; ++unit) {
      const auto product = static_cast<std::size_t>(unit / blocks);
      const gemm::Operands<T> operands = {.a = a + products.a_index[product] * m * k,
                                          .lda = k,
                                          .b = b + products.b_index[product] * k * n,
                                          .ldb = n,
                                          .c = c + unit / blocks * m * n,
                                          .ldc = n,
                                          .n = n,
                                          .k = k};
      const std::int64_t first = unit % blocks * kBlock;
      gemm::multiply_rows(operands, first, std::min(first + kBlock, m));
    }
  };
  ctx.parallel_for(count * blocks, cost, body);
}

void multiply_float(KernelContext& ctx, const dnn::Matmul& matmul, const Tensor& a, const Tensor& b,
                    Tensor& c, const MatrixProducts& products) {
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

void multiply(KernelContext& ctx, const dnn::Matmul& matmul, Tensor a, MatrixSide a_side, Tensor b,
              MatrixSide b_side, Tensor& c, MatrixProducts& products) {
  const dnn::MatmulShape& shape = products.shape;
  if (c.num_elements() == 0) return;
  if (shape.k == 0) {
    std::ranges::fill(c.mutable_bytes(), std::byte{0});
    return;
  }
  const bool is_float = a.dtype() == kFloat && is_worth_onednn(shape.k, shape.n);
  if (a_side.transposed) a = transposed_matrices(ctx, a, a_side.conjugated);
  products.shape.b_transposed = b_side.transposed && is_float;
  if (b_side.transposed && !is_float) b = transposed_matrices(ctx, b, b_side.conjugated);
  if (is_float) return multiply_float(ctx, matmul, a, b, c, products);
  dispatch(Join<Join<TypeList<float, double>, UnsignedIntegers>, Complexes>{},
           wrapping_dtype(a.dtype()), [&]<class T>() {
             multiply_generic(ctx, elements_as<T>(a), elements_as<T>(b), mutable_elements_as<T>(c),
                              products);
           });
}

// Rows of `a` that all meet one matrix are one product.
void join_rows_of_one_matrix(MatrixProducts& products) {
  const auto count = static_cast<std::int64_t>(products.a_index.size());
  for (std::int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (products.a_index[at] != i || products.b_index[at] != 0) return;
  }
  if (count == 0) return;
  products.shape.m *= count;
  products.a_index = products.b_index = {0};
}

// In which dtype products of `dtype` are computed.
DType working_dtype(DType dtype) {
  return dtype == DType::kFloat16 || dtype == DType::kBfloat16 ? kFloat : dtype;
}

}  // namespace

Shape broadcast_batch(const Shape& x, const Shape& y, MatrixProducts& products) {
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
          "The batch dimensions of matrices must fit each other for broadcasting. Details: ", x,
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

void multiply_matrices(KernelContext& ctx, const dnn::Matmul& matmul, const Tensor& a,
                       MatrixSide a_side, const Tensor& b, MatrixSide b_side,
                       MatrixProducts products, Tensor& result) {
  if (!a_side.transposed) join_rows_of_one_matrix(products);
  const DType working = working_dtype(result.dtype());
  Tensor product = working == result.dtype() ? result : ctx.temporary(working, result.shape());
  multiply(ctx, matmul, converted(ctx, a, working), a_side, converted(ctx, b, working), b_side,
           product, products);
  if (working != result.dtype()) round_to(ctx, product, result);
}

}  // namespace hub
