// Writing a strided slice of a variable.

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/strided_slice.h"
#include "ops/variable_update.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

Shapes assign_shape(ShapeContext& c) {
  for (int i = 1; i <= 3; ++i) c.with_rank(i, 1);
  if (c.num_outputs() == 0) return {};
  return {c.input(0)};
}

class StridedSliceAssignKernel final : public Kernel {
 public:
  explicit StridedSliceAssignKernel(const KernelInit& init) : masks_(init) {}

  void compute(KernelContext& context) const override {
    {
      const Tensor& value = context.input(4);
      VariableUpdate variable(context, 0, value.dtype());
      const StridedSlice slice =
          resolve_strided_slice(context, variable.value().shape(), 1, masks_);
      assign_strided_slice(context, slice, value, variable.writable());
    }
    pass_reference_on(context);
  }

 private:
  SliceMasks masks_;
};

constexpr OpDef kOps[] = {
    {.name = "StridedSliceAssign",
     .inputs = "ref: Ref(T), begin: Index, end: Index, strides: Index, value: T",
     .outputs = "output_ref: Ref(T)",
     .attrs = "T: type; Index: {int32, int64}; begin_mask: int = 0; end_mask: int = 0; "
              "ellipsis_mask: int = 0; new_axis_mask: int = 0; shrink_axis_mask: int = 0",
     .shape = assign_shape,
     .kernel = make_kernel<StridedSliceAssignKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceStridedSliceAssign",
     .inputs = "ref: resource, begin: Index, end: Index, strides: Index, value: T",
     .attrs = "T: type; Index: {int32, int64}; begin_mask: int = 0; end_mask: int = 0; "
              "ellipsis_mask: int = 0; new_axis_mask: int = 0; shrink_axis_mask: int = 0",
     .shape = assign_shape,
     .kernel = make_kernel<StridedSliceAssignKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
};

}  // namespace

OpFamily state_slice_ops() { return kOps; }

}  // namespace hub
