// Ops that write rows into a tensor, and ParallelConcat. In TensorFlow they write into their
// input's memory whoever else holds it; here only where nobody does.

#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/update_functions.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

void check_rows(std::string_view op, const Tensor& target, const Tensor& rows,
                const Tensor& values) {
  const bool fits =
      rows.rank() == 1 && target.rank() == values.rank() && target.rank() >= 1 &&
      values.dim(0) == rows.dim(0) &&
      target.shape().slice(1, target.rank()) == values.shape().slice(1, values.rank());
  if (!fits) {
    throw invalid_argument(
        op, ": i must be a vector with one number for each row of v, of x's row shape. Details: x ",
        target.shape(), ", i ", rows.shape(), ", v ", values.shape(), ".");
  }
}

template <class Update>
void update_rows(KernelContext& ctx) {
  const Tensor rows = ctx.input(1);
  const Tensor values = ctx.input(2);
  const std::string& op = ctx.node().op_name;
  check_rows(op, ctx.input(0), rows, values);
  const Shape shape = ctx.input(0).shape();
  if (shape.num_elements() == 0 || values.num_elements() == 0)
    return ctx.set_output(0, ctx.input(0));
  Tensor& result = ctx.output_in_place(0, 0, shape);
  if (!result.shares_buffer_with(ctx.input(0))) copy_tensor(ctx, ctx.input(0), result);
  const std::int64_t count = shape.dim(0);
  const std::int64_t size = shape.num_elements() / count;
  for (std::int64_t i = 0; i < rows.num_elements(); ++i) {
    const std::int64_t row = (integer_at(rows, i) % count + count) % count;
    if constexpr (std::is_same_v<Update, ReplaceUpdate>) {
      copy_elements(result.dtype(), element_at(values, i * size), element_at(result, row * size),
                    size);
    } else {
      dispatch(Numbers{}, result.dtype(), [&]<class T>() {
        const T* from = values.data<T>() + i * size;
        T* to = result.mutable_data<T>() + row * size;
        for (std::int64_t k = 0; k < size; ++k) to[k] = Update::apply(to[k], from[k]);
      });
    }
  }
}

// TensorFlow cannot add strings or bools here: INVALID_ARGUMENT, not UNIMPLEMENTED.
template <class Update>
void compute_update_rows(KernelContext& ctx) {
  const DType dtype = ctx.input(0).dtype();
  if (!std::is_same_v<Update, ReplaceUpdate> && (dtype_size(dtype) == 0 || dtype == kBool)) {
    throw invalid_argument(ctx.node().op_name, ": the dtype must be a number's. Details: it is ",
                           dtype, ".");
  }
  update_rows<Update>(ctx);
}

Shapes parallel_concat_shape(ShapeContext& c) {
  const auto& shape = c.attr<PartialShape>("shape");
  if (!shape.is_fully_defined() || shape.rank() == 0) {
    throw invalid_argument(
        "ParallelConcat: the shape must be known, and of rank >= 1. Details: it is ", shape, ".");
  }
  PartialShape row = replace_dim(shape, 0, 1);
  for (int i = 0; i < c.num_inputs(); ++i) row = row.merge_with(c.input(i));
  return {shape};
}

class ParallelConcatKernel final : public Kernel {
 public:
  explicit ParallelConcatKernel(const KernelInit& init)
      : shape_(*init.attr<PartialShape>("shape").as_shape()) {}
  void compute(KernelContext& ctx) const override {
    const Shape row = shape_.with_dim(0, 1);
    if (shape_.dim(0) != ctx.num_inputs()) {
      throw invalid_argument("ParallelConcat: there must be one input for each row. Details: ",
                             ctx.num_inputs(), " inputs, the shape is ", shape_, ".");
    }
    Tensor& result = ctx.output(0, shape_);
    const std::int64_t size = row.num_elements();
    for (int i = 0; i < ctx.num_inputs(); ++i) {
      const Tensor& value = ctx.input(i);
      if (value.shape() != row) {
        throw invalid_argument(
            "ParallelConcat: an input must be a row of the result. Details: input ", i, " is ",
            value.shape(), ", the result ", shape_, ".");
      }
      copy_elements(value.dtype(), value.raw_data(), element_at(result, i * size), size);
    }
  }

 private:
  Shape shape_;
};

constexpr OpDef kOps[] = {
    {.name = "InplaceUpdate",
     .inputs = "x: T, i: int32, v: T",
     .outputs = "y: T",
     .attrs = "T: type",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_update_rows<ReplaceUpdate>>,
     .differentiable = Differentiable::kRefused},
    {.name = "InplaceAdd",
     .inputs = "x: T, i: int32, v: T",
     .outputs = "y: T",
     .attrs = "T: type",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_update_rows<AddUpdate>>,
     .differentiable = Differentiable::kRefused},
    {.name = "InplaceSub",
     .inputs = "x: T, i: int32, v: T",
     .outputs = "y: T",
     .attrs = "T: type",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_update_rows<SubUpdate>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ParallelConcat",
     .inputs = "values: N * T",
     .outputs = "output: T",
     .attrs = "N: int >= 1; T: type; shape: shape",
     .shape = parallel_concat_shape,
     .kernel = make_kernel<ParallelConcatKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily array_inplace_ops() { return kOps; }

}  // namespace hub
