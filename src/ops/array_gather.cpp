// Ops that take elements, rows or slices by their indices.

#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/gather.h"
#include "ops/kernel.h"

namespace hub {
namespace {

std::int64_t normalized_batch_dims(std::int64_t batch_dims, int indices_rank) {
  if (batch_dims < -indices_rank || batch_dims > indices_rank) {
    throw invalid_argument("GatherV2: batch_dims must be in [", -indices_rank, ", ", indices_rank,
                           "]. Details: got ", batch_dims, ".");
  }
  return batch_dims < 0 ? batch_dims + indices_rank : batch_dims;
}

[[noreturn]] void bad_batch_dims(std::int64_t batch_dims, std::int64_t axis,
                                 const PartialShape& params) {
  throw invalid_argument(
      "GatherV2: batch_dims must be at most the axis and below the rank. Details: ", batch_dims,
      ", axis ", axis, ", params ", params, ".");
}

Shapes gather_v1_shape(ShapeContext& c) {
  const PartialShape params = c.at_least_rank(0, 1);
  return {concatenate(c.input(1), sub_shape(params, 1, params.rank()))};
}

// Where everything but the axis is known: the rank at least.
PartialShape gathered_rank(const PartialShape& params, const PartialShape& indices,
                           std::int64_t batch_dims) {
  if (!params.has_rank() || !indices.has_rank()) return {};
  const std::int64_t batch = batch_dims < 0 ? batch_dims + indices.rank() : batch_dims;
  if (batch < 0 || batch > indices.rank() || batch >= params.rank()) return {};
  return PartialShape::unknown_dims(static_cast<int>(params.rank() + indices.rank() - 1 - batch));
}

Shapes gather_v2_shape(ShapeContext& c) {
  const PartialShape params = c.at_least_rank(0, 1);
  const PartialShape& indices = c.input(1);
  c.with_rank(2, 0);
  const auto batch_attr = c.attr<std::int64_t>("batch_dims");
  const auto axis_value = constant_integers(c, 2);
  if (!axis_value || axis_value->size() != 1) return {gathered_rank(params, indices, batch_attr)};
  if (!params.has_rank()) return {PartialShape()};
  const int axis = normalized_axis(axis_value->front(), params.rank());
  if (!indices.has_rank()) return {PartialShape()};
  const std::int64_t batch_dims = batch_attr < 0 ? batch_attr + indices.rank() : batch_attr;
  if (batch_dims < 0 || batch_dims > std::min(axis, indices.rank())) return {PartialShape()};
  const auto batch = static_cast<int>(batch_dims);
  PartialShape result = sub_shape(params, 0, axis);
  for (int i = 0; i < batch; ++i) {
    if (params.dim(i) < 0) result = replace_dim(result, i, indices.dim(i));
  }
  result = concatenate(result, sub_shape(indices, batch, indices.rank()));
  return {concatenate(result, sub_shape(params, axis + 1, params.rank()))};
}

void require_axes(const Tensor& params, std::string_view op) {
  if (params.rank() == 0) throw invalid_argument(op, ": params must have at least one dimension.");
}

void compute_gather(KernelContext& ctx) {
  require_axes(ctx.input(0), "Gather");
  gather(ctx, ctx.input(0), ctx.input(1), 0, 0);
}

class GatherV2Kernel final : public Kernel {
 public:
  explicit GatherV2Kernel(const KernelInit& init)
      : batch_dims_(init.attr<std::int64_t>("batch_dims")) {}
  void compute(KernelContext& ctx) const override {
    const Tensor& params = ctx.input(0);
    const Tensor& indices = ctx.input(1);
    require_axes(params, "GatherV2");
    if (ctx.input(2).rank() != 0) {
      throw invalid_argument("GatherV2: the axis must be a scalar. Details: its shape is ",
                             ctx.input(2).shape(), ".");
    }
    const int axis = checked_axis(integer_scalar(ctx, 2, "axis"), params.rank(), "GatherV2");
    const auto batch = static_cast<int>(normalized_batch_dims(batch_dims_, indices.rank()));
    if (batch > axis) bad_batch_dims(batch, axis, params.shape());
    for (int i = 0; i < batch; ++i) {
      if (params.dim(i) != indices.dim(i)) {
        throw invalid_argument("GatherV2: the batch dimensions must agree. Details: axis ", i,
                               " of ", params.shape(), " and ", indices.shape(), ".");
      }
    }
    gather(ctx, params, indices, axis, batch);
  }

 private:
  std::int64_t batch_dims_;
};

Shapes gather_nd_shape(ShapeContext& c) {
  const PartialShape& params = c.input(0);
  const PartialShape indices = c.at_least_rank(1, 1);
  if (!indices.has_rank() || indices.dim(indices.rank() - 1) < 0 || !params.has_rank())
    return {PartialShape()};
  const std::int64_t depth = indices.dim(indices.rank() - 1);
  if (depth > params.rank()) {
    throw invalid_argument(
        "GatherNd: the last dimension of indices must be at most the rank of params. Details: ",
        indices, " and ", params, ".");
  }
  return {concatenate(sub_shape(indices, 0, indices.rank() - 1),
                      sub_shape(params, static_cast<int>(depth), params.rank()))};
}

void compute_gather_nd(KernelContext& ctx) { gather_nd(ctx, ctx.input(0), ctx.input(1)); }

constexpr OpDef kOps[] = {
    {.name = "Gather",
     .inputs = "params: Tparams, indices: Tindices",
     .outputs = "output: Tparams",
     .attrs = "validate_indices: bool = true; Tparams: type; Tindices: {int32, int64}",
     .shape = gather_v1_shape,
     .kernel = kernel_function<compute_gather>},
    {.name = "GatherV2",
     .inputs = "params: Tparams, indices: Tindices, axis: Taxis",
     .outputs = "output: Tparams",
     .attrs = "batch_dims: int = 0; Tparams: type; Tindices: {int16, int32, int64}; Taxis: "
              "{int32, int64}",
     .shape = gather_v2_shape,
     .kernel = make_kernel<GatherV2Kernel>},
    {.name = "GatherNd",
     .inputs = "params: Tparams, indices: Tindices",
     .outputs = "output: Tparams",
     .attrs = "Tparams: type; Tindices: {int16, int32, int64}",
     .shape = gather_nd_shape,
     .kernel = kernel_function<compute_gather_nd>},
};

}  // namespace

OpFamily array_gather_ops() { return kOps; }

}  // namespace hub
