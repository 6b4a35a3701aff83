// Diagonals of matrices: MatrixDiag*, MatrixDiagPart*, MatrixSetDiag*. Only V3 lets one choose
// how shorter diagonals are aligned; V2 has them at the left.

#include <algorithm>

#include "graph/shape_rules.h"
#include "ops/diagonals.h"
#include "ops/kernel.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// The diagonals that input `i` names, if known when the graph is built.
std::optional<Diagonals> known_diagonals(ShapeContext& c, int i) {
  c.at_most_rank(i, 1);
  const Tensor* k = c.input_value(i);
  if (k == nullptr) return std::nullopt;
  Diagonals diagonals;
  read_diagonal_range(c.node().op_name, *k, diagonals);
  if (diagonals.lower > diagonals.upper) {
    throw invalid_argument("The lower diagonal must not lie above the upper one. Details: ",
                           diagonals.lower, " > ", diagonals.upper, ".");
  }
  return diagonals;
}

PartialShape diag_shape_of(const PartialShape& diagonal, const Diagonals& d, std::int64_t rows,
                           std::int64_t columns) {
  if (!diagonal.has_rank()) return {};
  if (d.count() > 1 && diagonal.rank() < 2) {
    throw invalid_argument("Several diagonals must have rank 2 or more. Details: the shape is ",
                           diagonal, ".");
  }
  const PartialShape batch = sub_shape(diagonal, 0, diagonal.rank() - (d.count() > 1 ? 2 : 1));
  return concatenate(batch, PartialShape{rows, columns});
}

Shapes matrix_diag_shape(ShapeContext& c) {
  const PartialShape diagonal = c.at_least_rank(0, 1);
  const std::int64_t n = diagonal.has_rank() ? diagonal.dim(diagonal.rank() - 1) : -1;
  return {diag_shape_of(diagonal, {}, n, n)};
}

// Sizes of the matrix that holds these diagonals: -1 asks for the smallest that fits.
struct MatrixSize {
  std::int64_t rows;
  std::int64_t columns;
};

MatrixSize matrix_size(std::string_view op, const Diagonals& d, std::int64_t length,
                       MatrixSize wanted) {
  const std::int64_t min_rows = length - std::min<std::int64_t>(d.upper, 0);
  const std::int64_t min_columns = length + std::max<std::int64_t>(d.lower, 0);
  MatrixSize size = wanted;
  if (size.rows == -1 && size.columns == -1) {
    size.rows = size.columns = std::max(min_rows, min_columns);
  } else if (size.rows == -1) {
    size.rows = min_rows;
  } else if (size.columns == -1) {
    size.columns = min_columns;
  }
  const bool fits = size.rows >= min_rows && size.columns >= min_columns;
  if (!fits || (size.rows != min_rows && size.columns != min_columns)) {
    throw invalid_argument(
        op, ": the matrix must be as small as its diagonals allow in one direction. Details: ",
        wanted.rows, " rows and ", wanted.columns, " columns for diagonals ", d.lower, " to ",
        d.upper, " of up to ", length, " elements.");
  }
  return size;
}

Shapes matrix_diag_v2_shape(ShapeContext& c) {
  const PartialShape diagonal = c.at_least_rank(0, 1);
  for (const int scalar : {2, 3, 4}) c.with_rank(scalar, 0);
  const auto diagonals = known_diagonals(c, 1);
  if (!diagonals || !diagonal.has_rank()) return {PartialShape{}};
  const auto rows = c.input_as_int(2);
  const auto columns = c.input_as_int(3);
  const std::int64_t length = diagonal.dim(diagonal.rank() - 1);
  if (!rows || !columns || length < 0) {
    return {diag_shape_of(diagonal, *diagonals, rows.value_or(-1), columns.value_or(-1))};
  }
  const MatrixSize size = matrix_size("MatrixDiag", *diagonals, length, {*rows, *columns});
  return {diag_shape_of(diagonal, *diagonals, size.rows, size.columns)};
}

PartialShape part_shape_of(const PartialShape& matrix, const Diagonals& d) {
  if (!matrix.has_rank()) return {};
  const std::int64_t rows = matrix.dim(matrix.rank() - 2);
  const std::int64_t columns = matrix.dim(matrix.rank() - 1);
  std::int64_t length = -1;
  if (rows >= 0 && columns >= 0) {
    d.check("MatrixDiagPart", rows, columns);
    length = d.max_length(rows, columns);
  }
  PartialShape shape = sub_shape(matrix, 0, -2);
  if (d.count() > 1) shape = concatenate(shape, PartialShape{d.count()});
  return concatenate(shape, PartialShape{length});
}

Shapes matrix_diag_part_shape(ShapeContext& c) {
  return {part_shape_of(c.at_least_rank(0, 2), {})};
}

Shapes matrix_diag_part_v2_shape(ShapeContext& c) {
  const PartialShape matrix = c.at_least_rank(0, 2);
  c.with_rank(2, 0);
  const auto diagonals = known_diagonals(c, 1);
  return {diagonals ? part_shape_of(matrix, *diagonals) : PartialShape{}};
}

Shapes matrix_set_diag_shape(ShapeContext& c) {
  c.at_least_rank(1, 1);
  if (c.num_inputs() > 2) c.at_most_rank(2, 1);
  return {c.at_least_rank(0, 2)};
}

// What the versions of an op have in common: V1 has no k, V2 no alignment.
class DiagonalKernel : public Kernel {
 public:
  explicit DiagonalKernel(const KernelInit& init) {
    if (init.has_attr("align")) read_alignment(init.attr<std::string>("align"), alignment_);
  }

 protected:
  Diagonals diagonals(const KernelContext& ctx, int k_input) const {
    Diagonals diagonals = alignment_;
    if (k_input < ctx.num_inputs())
      read_diagonal_range(ctx.node().op_name, ctx.input(k_input), diagonals);
    return diagonals;
  }

  template <class T>
  static T padding(const KernelContext& ctx, int input) {
    if (input >= ctx.num_inputs()) return T{};
    const Tensor& tensor = ctx.input(input);
    if (tensor.rank() != 0) {
      throw invalid_argument(ctx.node().op_name,
                             ": the padding value must be a scalar. Details: its shape is ",
                             tensor.shape(), ".");
    }
    return *static_cast<const T*>(tensor.raw_data());
  }

 private:
  Diagonals alignment_;
};

// Calls body(diagonal's element, matrix's element) for each element of the diagonals of one
// matrix, as offsets into its diagonals and itself.
template <class Body>
void for_each_element(const Diagonals& d, std::int64_t rows, std::int64_t columns, Body&& body) {
  const std::int64_t max_length = d.max_length(rows, columns);
  for (std::int64_t diagonal = d.upper; diagonal >= d.lower; --diagonal) {
    const std::int64_t length = Diagonals::length(diagonal, rows, columns);
    const std::int64_t from =
        (d.upper - diagonal) * max_length + d.offset(diagonal, length, max_length);
    const std::int64_t to =
        std::max<std::int64_t>(-diagonal, 0) * columns + std::max<std::int64_t>(diagonal, 0);
    for (std::int64_t i = 0; i < length; ++i) body(from + i, to + i * (columns + 1));
  }
}

// The last dimensions of a batch of matrices.
struct Matrices {
  std::int64_t count, rows, columns;

  explicit Matrices(const Shape& shape)
      : count(shape.slice(0, shape.rank() - 2).num_elements()),
        rows(shape.dim(shape.rank() - 2)),
        columns(shape.dim(shape.rank() - 1)) {}
  std::int64_t size() const { return rows * columns; }
};

class MatrixDiagPartKernel final : public DiagonalKernel {
 public:
  using DiagonalKernel::DiagonalKernel;

  void compute(KernelContext& ctx) const override {
    const Tensor& x = ctx.input(0);
    const std::string_view op = ctx.node().op_name;
    if (x.rank() < 2)
      throw invalid_argument(op, ": the input must have rank 2 or more. Details: its shape is ",
                             x.shape(), ".");
    const Diagonals d = diagonals(ctx, 1);
    const Matrices matrices(x.shape());
    d.check(op, matrices.rows, matrices.columns);
    const std::int64_t length = d.max_length(matrices.rows, matrices.columns);
    Shape shape = x.shape().slice(0, x.rank() - 2);
    if (d.count() > 1) shape = shape.with_inserted(shape.rank(), d.count());
    Tensor& y = ctx.output(0, shape.with_inserted(shape.rank(), length));
    dispatch_by_size(x.dtype(), [&]<class T>() {
      const T pad = padding<T>(ctx, 2);
      const T* in = static_cast<const T*>(x.raw_data());
      T* out = static_cast<T*>(y.mutable_raw_data());
      const std::int64_t size = d.count() * length;
      ctx.parallel_for(
          matrices.count, static_cast<double>(size), [&](std::int64_t begin, std::int64_t end) {
            std::fill(out + begin * size, out + end * size, pad);
            for (std::int64_t i = begin; i < end; ++i) {
              for_each_element(d, matrices.rows, matrices.columns,
                               [&](std::int64_t diagonal, std::int64_t matrix) {
                                 out[i * size + diagonal] = in[i * matrices.size() + matrix];
                               });
            }
          });
    });
  }
};

// Writes the diagonals of each matrix into `out`.
template <class T>
void write_diagonals(KernelContext& ctx, const Diagonals& d, const Matrices& matrices,
                     const T* diagonals, T* out) {
  const std::int64_t size = d.count() * d.max_length(matrices.rows, matrices.columns);
  ctx.parallel_for(
      matrices.count, static_cast<double>(size), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          for_each_element(d, matrices.rows, matrices.columns,
                           [&](std::int64_t diagonal, std::int64_t matrix) {
                             out[i * matrices.size() + matrix] = diagonals[i * size + diagonal];
                           });
        }
      });
}

// The wanted number of rows or columns, -1 where there is no such input.
std::int64_t wanted_size(const KernelContext& ctx, int input) {
  if (input >= ctx.num_inputs()) return -1;
  if (ctx.input(input).rank() != 0) {
    throw invalid_argument(
        ctx.node().op_name,
        ": the numbers of rows and columns must be scalars. Details: a shape is ",
        ctx.input(input).shape(), ".");
  }
  return integer_scalar(ctx, input, "the number of rows or columns");
}

class MatrixDiagKernel final : public DiagonalKernel {
 public:
  using DiagonalKernel::DiagonalKernel;

  void compute(KernelContext& ctx) const override {
    const Tensor& x = ctx.input(0);
    const std::string_view op = ctx.node().op_name;
    const Diagonals d = diagonals(ctx, 1);
    const bool several = d.count() > 1;
    if (d.lower > d.upper || x.rank() < (several ? 2 : 1) ||
        (several && x.dim(x.rank() - 2) != d.count())) {
      throw invalid_argument(op, ": the input must hold the diagonals ", d.lower, " to ", d.upper,
                             ". Details: its shape is ", x.shape(), ".");
    }
    const MatrixSize size =
        matrix_size(op, d, x.dim(x.rank() - 1), {wanted_size(ctx, 2), wanted_size(ctx, 3)});
    const Shape batch = x.shape().slice(0, x.rank() - (several ? 2 : 1));
    Tensor& y = ctx.output(
        0,
        batch.with_inserted(batch.rank(), size.rows).with_inserted(batch.rank() + 1, size.columns));
    dispatch_by_size(x.dtype(), [&]<class T>() {
      T* out = static_cast<T*>(y.mutable_raw_data());
      std::fill_n(out, y.num_elements(), padding<T>(ctx, 4));
      write_diagonals(ctx, d, Matrices(y.shape()), static_cast<const T*>(x.raw_data()), out);
    });
  }
};

class MatrixSetDiagKernel final : public DiagonalKernel {
 public:
  using DiagonalKernel::DiagonalKernel;

  void compute(KernelContext& ctx) const override {
    const Tensor& x = ctx.input(0);
    const Tensor& diagonal = ctx.input(1);
    const std::string_view op = ctx.node().op_name;
    if (x.rank() < 2)
      throw invalid_argument(op, ": the input must have rank 2 or more. Details: its shape is ",
                             x.shape(), ".");
    const Diagonals d = diagonals(ctx, 2);
    const Matrices matrices(x.shape());
    d.check(op, matrices.rows, matrices.columns);
    Shape wanted = x.shape().slice(0, x.rank() - 2);
    if (d.count() > 1) wanted = wanted.with_inserted(wanted.rank(), d.count());
    wanted = wanted.with_inserted(wanted.rank(), d.max_length(matrices.rows, matrices.columns));
    if (diagonal.shape() != wanted && (x.num_elements() > 0 || diagonal.num_elements() > 0)) {
      throw invalid_argument(op, ": the diagonals must have the shape ", wanted,
                             ". Details: it is ", diagonal.shape(), ".");
    }
    dispatch_by_size(x.dtype(), [&]<class T>() {
      const T* in = static_cast<const T*>(x.raw_data());
      Tensor& y = ctx.output_in_place(0, 0, x.shape());
      T* out = static_cast<T*>(y.mutable_raw_data());
      if (out != in) std::copy_n(in, y.num_elements(), out);
      if (y.num_elements() == 0) return;
      write_diagonals(ctx, d, matrices, static_cast<const T*>(diagonal.raw_data()), out);
    });
  }
};

constexpr std::string_view kAlignAttrs =
    "T: type; align: {'LEFT_RIGHT', 'RIGHT_LEFT', 'LEFT_LEFT', 'RIGHT_RIGHT'} = 'RIGHT_LEFT'";
constexpr std::string_view kDiagInputs =
    "diagonal: T, k: int32, num_rows: int32, num_cols: int32, padding_value: T";

constexpr OpDef kOps[] = {
    {.name = "MatrixDiag",
     .inputs = "diagonal: T",
     .outputs = "output: T",
     .attrs = "T: type",
     .shape = matrix_diag_shape,
     .kernel = make_kernel<MatrixDiagKernel>},
    {.name = "MatrixDiagV2",
     .inputs = kDiagInputs,
     .outputs = "output: T",
     .attrs = "T: type",
     .shape = matrix_diag_v2_shape,
     .kernel = make_kernel<MatrixDiagKernel>},
    {.name = "MatrixDiagV3",
     .inputs = kDiagInputs,
     .outputs = "output: T",
     .attrs = kAlignAttrs,
     .shape = matrix_diag_v2_shape,
     .kernel = make_kernel<MatrixDiagKernel>},
    {.name = "MatrixDiagPart",
     .inputs = "input: T",
     .outputs = "diagonal: T",
     .attrs = "T: type",
     .shape = matrix_diag_part_shape,
     .kernel = make_kernel<MatrixDiagPartKernel>},
    {.name = "MatrixDiagPartV2",
     .inputs = "input: T, k: int32, padding_value: T",
     .outputs = "diagonal: T",
     .attrs = "T: type",
     .shape = matrix_diag_part_v2_shape,
     .kernel = make_kernel<MatrixDiagPartKernel>},
    {.name = "MatrixDiagPartV3",
     .inputs = "input: T, k: int32, padding_value: T",
     .outputs = "diagonal: T",
     .attrs = kAlignAttrs,
     .shape = matrix_diag_part_v2_shape,
     .kernel = make_kernel<MatrixDiagPartKernel>},
    {.name = "MatrixSetDiag",
     .inputs = "input: T, diagonal: T",
     .outputs = "output: T",
     .attrs = "T: type",
     .shape = matrix_set_diag_shape,
     .kernel = make_kernel<MatrixSetDiagKernel>},
    {.name = "MatrixSetDiagV2",
     .inputs = "input: T, diagonal: T, k: int32",
     .outputs = "output: T",
     .attrs = "T: type",
     .shape = matrix_set_diag_shape,
     .kernel = make_kernel<MatrixSetDiagKernel>},
    {.name = "MatrixSetDiagV3",
     .inputs = "input: T, diagonal: T, k: int32",
     .outputs = "output: T",
     .attrs = kAlignAttrs,
     .shape = matrix_set_diag_shape,
     .kernel = make_kernel<MatrixSetDiagKernel>},
};

}  // namespace

OpFamily linalg_diag_ops() { return kOps; }

}  // namespace hub
