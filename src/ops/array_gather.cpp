// Ops that take elements, rows or slices by their indices.

#include <algorithm>
#include <cstring>

#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

using IndexTypes = TypeList<std::int32_t, std::int64_t, std::int16_t, std::uint16_t>;

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
  const std::int64_t batch = normalized_batch_dims(batch_dims, indices.rank());
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
  const auto batch = static_cast<int>(normalized_batch_dims(batch_attr, indices.rank()));
  if (batch > axis) bad_batch_dims(batch, axis, params);
  PartialShape result = sub_shape(params, 0, axis);
  for (int i = 0; i < batch; ++i) {
    result = replace_dim(
        result, i, merge_dims(params.dim(i), indices.dim(i), "GatherV2: the batch dimensions"));
  }
  result = concatenate(result, sub_shape(indices, batch, indices.rank()));
  return {concatenate(result, sub_shape(params, axis + 1, params.rank()))};
}

// What a gather does, in counts: result[b, o, i, :] = params[b, o, indices[b, i], :].
struct GatherPlan {
  std::int64_t batch = 1;
  std::int64_t outer = 1;
  std::int64_t axis_size = 1;
  std::int64_t count = 1;  // indices of one batch
  std::int64_t inner = 1;
};

template <class Index>
void check_indices(std::span<const Index> indices, std::int64_t axis_size, std::string_view op) {
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const auto index = static_cast<std::int64_t>(indices[i]);
    if (index < 0 || index >= axis_size) {
      throw invalid_argument(op, ": indices must be in [0, ", axis_size, "). Details: element ", i,
                             " is ", index, ".");
    }
  }
}

template <class Index, class T>
void gather_elements(KernelContext& ctx, const GatherPlan& plan, const Index* indices,
                     const T* params, T* result) {
  ctx.parallel_for(plan.batch * plan.outer, static_cast<double>(plan.count) * 1.5,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t item = begin; item < end; ++item) {
                       const Index* row = indices + item / plan.outer * plan.count;
                       const T* from = params + item * plan.axis_size;
                       T* to = result + item * plan.count;
                       for (std::int64_t i = 0; i < plan.count; ++i) to[i] = from[row[i]];
                     }
                   });
}

template <class Index>
void gather_blocks(KernelContext& ctx, const GatherPlan& plan, const Index* indices,
                   const Tensor& params, Tensor& result) {
  const DType dtype = params.dtype();
  const double cost =
      static_cast<double>(plan.inner) * static_cast<double>(element_size(dtype)) / 4 + 5;
  ctx.parallel_for(
      plan.batch * plan.outer * plan.count, cost, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t item = begin; item < end; ++item) {
          const std::int64_t block = item / plan.count;  // of batch and outer
          const auto index = static_cast<std::int64_t>(
              indices[block / plan.outer * plan.count + item % plan.count]);
          copy_elements(dtype, element_at(params, (block * plan.axis_size + index) * plan.inner),
                        element_at(result, item * plan.inner), plan.inner);
        }
      });
}

// Gathers along `axis`; the first `batch` axes of params and indices go together.
void gather(KernelContext& ctx, const Tensor& params, const Tensor& indices, int axis, int batch) {
  const std::string& op = ctx.node().op_name;
  GatherPlan plan;
  plan.batch = params.shape().slice(0, batch).num_elements();
  plan.outer = params.shape().slice(batch, axis).num_elements();
  plan.axis_size = params.dim(axis);
  plan.count = indices.shape().slice(batch, indices.rank()).num_elements();
  plan.inner = params.shape().slice(axis + 1, params.rank()).num_elements();
  std::vector<std::int64_t> dims(params.shape().dims().begin(),
                                 params.shape().dims().begin() + axis);
  dims.insert(dims.end(), indices.shape().dims().begin() + batch, indices.shape().dims().end());
  dims.insert(dims.end(), params.shape().dims().begin() + axis + 1, params.shape().dims().end());
  const Shape shape(dims);
  dispatch(IndexTypes{}, indices.dtype(), [&]<class Index>() {
    const auto values = indices.values<Index>();
    // Where nothing is gathered, TensorFlow does not look at the indices.
    if (shape.num_elements() > 0 || plan.axis_size == 0) check_indices(values, plan.axis_size, op);
    Tensor& result = ctx.output(0, shape);
    if (shape.num_elements() == 0) return;
    if (plan.inner > 1 || dtype_size(params.dtype()) == 0) {
      return gather_blocks(ctx, plan, values.data(), params, result);
    }
    dispatch_by_size(params.dtype(), [&]<class T>() {
      gather_elements(ctx, plan, values.data(), static_cast<const T*>(params.raw_data()),
                      static_cast<T*>(result.mutable_raw_data()));
    });
  });
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

// Where each index of depth `depth` points, in slices.
template <class Index>
std::vector<std::int64_t> slice_offsets(const Tensor& params, const Tensor& indices, int depth,
                                        std::int64_t count) {
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(count));
  const Index* index = indices.data<Index>();
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t offset = 0;
    for (int axis = 0; axis < depth; ++axis, ++index) {
      const auto position = static_cast<std::int64_t>(*index);
      if (position < 0 || position >= params.dim(axis)) {
        throw invalid_argument("GatherNd: indices must lie in params. Details: index ", i, " is ",
                               position, " for axis ", axis, " of ", params.shape(), ".");
      }
      offset = offset * params.dim(axis) + position;
    }
    offsets[static_cast<std::size_t>(i)] = offset;
  }
  return offsets;
}

void compute_gather_nd(KernelContext& ctx) {
  const Tensor& params = ctx.input(0);
  const Tensor& indices = ctx.input(1);
  if (params.rank() == 0 || indices.rank() == 0) {
    throw invalid_argument(
        "GatherNd: params and indices must have at least one dimension. Details: ", params.shape(),
        " and ", indices.shape(), ".");
  }
  const std::int64_t depth = indices.dim(indices.rank() - 1);
  if (depth > params.rank()) {
    throw invalid_argument(
        "GatherNd: the last dimension of indices must be at most the rank of params. Details: ",
        indices.shape(), " and ", params.shape(), ".");
  }
  const Shape index_shape = indices.shape().slice(0, indices.rank() - 1);
  const Shape slice_shape = params.shape().slice(static_cast<int>(depth), params.rank());
  std::vector<std::int64_t> dims(index_shape.dims().begin(), index_shape.dims().end());
  dims.insert(dims.end(), slice_shape.dims().begin(), slice_shape.dims().end());
  const std::int64_t count = index_shape.num_elements();
  if (count > 0 && params.num_elements() == 0) {
    throw invalid_argument("GatherNd: there is nothing to gather from. Details: params ",
                           params.shape(), ", indices ", indices.shape(), ".");
  }
  Tensor& result = ctx.output(0, Shape(dims));
  if (result.num_elements() == 0) return;
  std::vector<std::int64_t> offsets;
  dispatch(IndexTypes{}, indices.dtype(), [&]<class Index>() {
    offsets = slice_offsets<Index>(params, indices, static_cast<int>(depth), count);
  });
  const GatherPlan plan{.count = count, .inner = slice_shape.num_elements()};
  gather_blocks(ctx, plan, offsets.data(), params, result);
}

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
