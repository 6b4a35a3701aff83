// Small ops on matrices and vectors: MatrixBandPart, Diag, DiagPart (of tensors), Cross.

#include <algorithm>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/wrapping.h"

namespace hub {
namespace {

Shapes matrix_band_part_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  c.with_rank(2, 0);
  return {c.at_least_rank(0, 2)};
}

Shapes diag_shape(ShapeContext& c) {
  const PartialShape diagonal = c.at_least_rank(0, 1);
  return {concatenate(diagonal, diagonal)};
}

Shapes diag_part_shape(ShapeContext& c) {
  const PartialShape& input = c.input(0);
  if (!input.has_rank()) return {PartialShape{}};
  if (input.rank() % 2 != 0 || input.rank() == 0) {
    throw invalid_argument("DiagPart: the rank must be even and positive. Details: the shape is ",
                           input, ".");
  }
  const int half = input.rank() / 2;
  return {sub_shape(input, 0, half).merge_with(sub_shape(input, half, input.rank()))};
}

Shapes cross_shape(ShapeContext& c) {
  PartialShape shape = c.at_least_rank(0, 1).merge_with(c.input(1));
  if (shape.has_rank())
    merge_dims(shape.dim(shape.rank() - 1), 3, "Cross: the last dimension and 3");
  return {shape};
}

// The scalar, not more than `limit`.
std::int64_t band_width(const KernelContext& ctx, int input, std::int64_t limit) {
  if (ctx.input(input).rank() != 0) {
    throw invalid_argument(
        "MatrixBandPart: the widths of the band must be scalars. Details: a shape is ",
        ctx.input(input).shape(), ".");
  }
  const std::int64_t width = integer_scalar(ctx, input, "the width of the band");
  if (width > limit) {
    throw invalid_argument(
        "MatrixBandPart: the widths of the band must not exceed the matrix. Details: got ", width,
        ", at most ", limit, ".");
  }
  return width;
}

// Copies row `row` and makes what is outside the band 0. A negative width has no limit.
template <class T>
void copy_band(const T* x, std::int64_t row, std::int64_t columns, std::int64_t lower,
               std::int64_t upper, T* y) {
  const std::int64_t begin = lower < 0 ? 0 : std::clamp<std::int64_t>(row - lower, 0, columns);
  const std::int64_t end =
      upper < 0 ? columns : std::clamp<std::int64_t>(row + upper + 1, begin, columns);
  std::fill(y, y + begin, T{});
  if (x != y) std::copy(x + begin, x + end, y + begin);
  std::fill(y + end, y + columns, T{});
}

void matrix_band_part(KernelContext& ctx) {
  const Tensor& x = ctx.input(0);
  if (x.rank() < 2) {
    throw invalid_argument(
        "MatrixBandPart: the input must have rank 2 or more. Details: its shape is ", x.shape(),
        ".");
  }
  const std::int64_t rows = x.dim(x.rank() - 2);
  const std::int64_t columns = x.dim(x.rank() - 1);
  const std::int64_t lower = band_width(ctx, 1, rows);
  const std::int64_t upper = band_width(ctx, 2, columns);
  dispatch_by_size(x.dtype(), [&]<class T>() {
    const T* in = static_cast<const T*>(x.raw_data());
    Tensor& y = ctx.output_in_place(0, 0, x.shape());
    if (y.num_elements() == 0) return;
    T* out = static_cast<T*>(y.mutable_raw_data());
    ctx.parallel_for(y.num_elements() / columns, static_cast<double>(columns),
                     [&](std::int64_t begin, std::int64_t end) {
                       for (std::int64_t i = begin; i < end; ++i) {
                         copy_band(in + i * columns, i % rows, columns, lower, upper,
                                   out + i * columns);
                       }
                     });
  });
}

void diag(KernelContext& ctx) {
  const Tensor& x = ctx.input(0);
  if (x.rank() < 1) throw invalid_argument("Diag: the input must have rank 1 or more.");
  std::vector<std::int64_t> dims(x.shape().dims().begin(), x.shape().dims().end());
  dims.insert(dims.end(), x.shape().dims().begin(), x.shape().dims().end());
  Tensor& y = ctx.output(0, Shape(dims));
  const std::int64_t n = x.num_elements();
  dispatch_by_size(x.dtype(), [&]<class T>() {
    const T* in = static_cast<const T*>(x.raw_data());
    T* out = static_cast<T*>(y.mutable_raw_data());
    std::fill_n(out, y.num_elements(), T{});
    for (std::int64_t i = 0; i < n; ++i) out[i * (n + 1)] = in[i];
  });
}

void diag_part(KernelContext& ctx) {
  const Tensor& x = ctx.input(0);
  const int half = x.rank() / 2;
  if (x.rank() == 0 || x.rank() % 2 != 0 ||
      x.shape().slice(0, half) != x.shape().slice(half, x.rank())) {
    throw invalid_argument(
        "DiagPart: the first half of the dimensions must be the second one. Details: the shape is ",
        x.shape(), ".");
  }
  Tensor& y = ctx.output(0, x.shape().slice(0, half));
  const std::int64_t n = y.num_elements();
  dispatch_by_size(x.dtype(), [&]<class T>() {
    const T* in = static_cast<const T*>(x.raw_data());
    T* out = static_cast<T*>(y.mutable_raw_data());
    for (std::int64_t i = 0; i < n; ++i) out[i] = in[i * (n + 1)];
  });
}

// a * d - b * c, each step rounded to T.
template <class T>
T difference_of_products(T a, T d, T b, T c) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(wrapping_multiply(a, d) - wrapping_multiply(b, c));
  } else if constexpr (std::is_floating_point_v<T>) {
    return a * d - b * c;
  } else {
    return T(static_cast<float>(wrapping_multiply(a, d)) -
             static_cast<float>(wrapping_multiply(b, c)));
  }
}

void cross(KernelContext& ctx) {
  const Tensor& a = ctx.input(0);
  const Tensor& b = ctx.input(1);
  if (a.shape() != b.shape() || a.rank() < 1) {
    throw invalid_argument("Cross: both inputs must be of one shape of rank 1 or more. Details: ",
                           a.shape(), " and ", b.shape(), ".");
  }
  if (a.dim(a.rank() - 1) != 3) {
    throw failed_precondition("Cross: the last dimension must be 3. Details: the shape is ",
                              a.shape(), ".");
  }
  Tensor& y = ctx.output(0, a.shape());
  dispatch(Join<Floats, UnsignedIntegers>{}, wrapping_dtype(a.dtype()), [&]<class T>() {
    const T* u = elements_as<T>(a);
    const T* v = elements_as<T>(b);
    T* out = mutable_elements_as<T>(y);
    for (std::int64_t i = 0; i < y.num_elements(); i += 3) {
      out[i] = difference_of_products(u[i + 1], v[i + 2], u[i + 2], v[i + 1]);
      out[i + 1] = difference_of_products(u[i + 2], v[i], u[i], v[i + 2]);
      out[i + 2] = difference_of_products(u[i], v[i + 1], u[i + 1], v[i]);
    }
  });
}

constexpr OpDef kOps[] = {
    {.name = "MatrixBandPart",
     .inputs = "input: T, num_lower: Tindex, num_upper: Tindex",
     .outputs = "band: T",
     .attrs = "T: type; Tindex: {int32, int64} = int64",
     .shape = matrix_band_part_shape,
     .kernel = kernel_function<matrix_band_part>},
    {.name = "Diag",
     .inputs = "diagonal: T",
     .outputs = "output: T",
     .attrs = "T: {bfloat16, half, float, double, int32, int64, complex64, complex128}",
     .shape = diag_shape,
     .kernel = kernel_function<diag>},
    {.name = "DiagPart",
     .inputs = "input: T",
     .outputs = "diagonal: T",
     .attrs = "T: {bfloat16, half, float, double, int32, int64, complex64, complex128}",
     .shape = diag_part_shape,
     .kernel = kernel_function<diag_part>},
    {.name = "Cross",
     .inputs = "a: T, b: T",
     .outputs = "product: T",
     .attrs = "T: realnumbertype",
     .shape = cross_shape,
     .kernel = kernel_function<cross>},
};

}  // namespace

OpFamily linalg_band_ops() { return kOps; }

}  // namespace hub
