// Reductions over any axes: Sum, Mean, Prod, Max, Min, EuclideanNorm, All, Any, L2Loss.
// Over nothing they give 0, NaN, 1, the lowest, the highest, 0, true, false, 0.

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/kernels/reduce_loops.h"
#include "ops/reduce_driver.h"
#include "ops/wrapping.h"

namespace hub {
namespace {

template <template <class> class R, class... Ts>
const ReduceLoops& find_loops(TypeList<Ts...> types, DType dtype) {
  const ReduceLoops* loops = nullptr;
  dispatch(types, dtype, [&]<class T>() { loops = &reduction::kLoops<R<T>>; });
  return *loops;
}

const ReduceLoops& prod_loops(DType t) {
  return find_loops<reduction::Prod>(WrappingNumbers{}, wrapping_dtype(t));
}
const ReduceLoops& mean_loops(DType t) { return find_loops<reduction::Mean>(Numbers{}, t); }
const ReduceLoops& norm_loops(DType t) {
  return find_loops<reduction::EuclideanNorm>(Numbers{}, t);
}
const ReduceLoops& max_loops(DType t) { return find_loops<reduction::Max>(RealNumbers{}, t); }
const ReduceLoops& min_loops(DType t) { return find_loops<reduction::Min>(RealNumbers{}, t); }
const ReduceLoops& all_loops(DType) { return reduction::kLoops<reduction::All>; }
const ReduceLoops& any_loops(DType) { return reduction::kLoops<reduction::Any>; }
const ReduceLoops& half_squares_loops(DType t) {
  return find_loops<reduction::HalfSquares>(Floats{}, t);
}

// Where nothing is joined, the result is the input, save for norms.
enum class Single { kIsResult, kIsComputed };

template <const ReduceLoops& (*kFindLoops)(DType), Single kSingle = Single::kIsResult>
class ReduceKernel final : public Kernel {
 public:
  explicit ReduceKernel(const KernelInit& init)
      : loops_(kFindLoops(init.output_dtype(0))), keep_dims_(init.attr<bool>("keep_dims")) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& x = ctx.input(0);
    const ReduceAxes axes = reduce_axes(ctx, x.shape(), 1);
    const Shape& shape = keep_dims_ ? axes.kept_as_ones : axes.kept;
    if (axes.trivial && kSingle == Single::kIsResult) {
      ctx.set_output(0, x.reshaped(shape));
    } else {
      reduce(ctx, loops_, x, axes.reduced, ctx.output(0, shape));
    }
  }

 private:
  const ReduceLoops& loops_;
  const bool keep_dims_;
};

void l2_loss(KernelContext& ctx) {
  const Tensor& x = ctx.input(0);
  const std::vector<bool> all_axes(static_cast<std::size_t>(x.rank()), true);
  reduce(ctx, half_squares_loops(x.dtype()), x, all_axes, ctx.output(0, Shape{}));
}

constexpr std::string_view kInputs = "input: T, reduction_indices: Tidx";
constexpr std::string_view kNumberAttrs =
    "keep_dims: bool = false; T: numbertype; Tidx: {int32, int64} = int32";
constexpr std::string_view kOrderedAttrs =
    "keep_dims: bool = false; "
    "T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, uint64, "
    "qint8, quint8, qint32, qint16, quint16}; "
    "Tidx: {int32, int64} = int32";
constexpr std::string_view kBoolInputs = "input: bool, reduction_indices: Tidx";
constexpr std::string_view kBoolAttrs = "keep_dims: bool = false; Tidx: {int32, int64} = int32";

constexpr OpDef kOps[] = {
    {.name = "Sum",
     .inputs = kInputs,
     .outputs = "output: T",
     .attrs = kNumberAttrs,
     .shape = reduction_shape,
     .kernel = make_kernel<ReduceKernel<sum_loops>>},
    {.name = "Mean",
     .inputs = kInputs,
     .outputs = "output: T",
     .attrs = kNumberAttrs,
     .shape = reduction_shape,
     .kernel = make_kernel<ReduceKernel<mean_loops>>},
    {.name = "Prod",
     .inputs = kInputs,
     .outputs = "output: T",
     .attrs = kNumberAttrs,
     .shape = reduction_shape,
     .kernel = make_kernel<ReduceKernel<prod_loops>>},
    {.name = "EuclideanNorm",
     .inputs = kInputs,
     .outputs = "output: T",
     .attrs = kNumberAttrs,
     .shape = reduction_shape,
     .kernel = make_kernel<ReduceKernel<norm_loops, Single::kIsComputed>>},
    {.name = "Max",
     .inputs = kInputs,
     .outputs = "output: T",
     .attrs = kOrderedAttrs,
     .shape = reduction_shape,
     .kernel = make_kernel<ReduceKernel<max_loops>>},
    {.name = "Min",
     .inputs = kInputs,
     .outputs = "output: T",
     .attrs = kOrderedAttrs,
     .shape = reduction_shape,
     .kernel = make_kernel<ReduceKernel<min_loops>>},
    {.name = "All",
     .inputs = kBoolInputs,
     .outputs = "output: bool",
     .attrs = kBoolAttrs,
     .shape = reduction_shape,
     .kernel = make_kernel<ReduceKernel<all_loops>>,
     .differentiable = Differentiable::kRefused},
    {.name = "Any",
     .inputs = kBoolInputs,
     .outputs = "output: bool",
     .attrs = kBoolAttrs,
     .shape = reduction_shape,
     .kernel = make_kernel<ReduceKernel<any_loops>>,
     .differentiable = Differentiable::kRefused},
    {.name = "L2Loss",
     .inputs = "t: T",
     .outputs = "output: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = scalar_shape,
     .kernel = kernel_function<l2_loss>},
};

}  // namespace

const ReduceLoops& sum_loops(DType dtype) {
  return find_loops<reduction::Sum>(WrappingNumbers{}, wrapping_dtype(dtype));
}

OpFamily reduce_ops() { return kOps; }

}  // namespace hub
