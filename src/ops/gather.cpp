#include "ops/gather.h"

#include <algorithm>

#include "ops/elements.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

using IndexTypes = TypeList<std::int32_t, std::int64_t, std::int16_t, std::uint16_t>;

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
  // Rows of a large table come from memory: they are asked for some time ahead.
  constexpr std::int64_t kAhead = 8;
  const DType dtype = params.dtype();
  const std::size_t bytes = static_cast<std::size_t>(plan.inner) * element_size(dtype);
  const double cost = static_cast<double>(bytes) / 4 + 5;
  const auto source = [&](std::int64_t block, std::int64_t i) {  // of batch and outer
    const auto index = static_cast<std::int64_t>(indices[block / plan.outer * plan.count + i]);
    return element_at(params, (block * plan.axis_size + index) * plan.inner);
  };
  ctx.parallel_for(
      plan.batch * plan.outer * plan.count, cost, [&](std::int64_t begin, std::int64_t end) {
        std::int64_t block = begin / plan.count;
        std::int64_t i = begin % plan.count;
        for (std::int64_t item = begin; item < end; ++item) {
          if (i + kAhead < plan.count) __builtin_prefetch(source(block, i + kAhead));
          copy_elements(dtype, source(block, i), element_at(result, item * plan.inner), plan.inner);
          if (++i == plan.count) {
            i = 0;
            ++block;
          }
        }
      });
}

}  // namespace

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
    if (shape.num_elements() > 0) check_indices(values, plan.axis_size, op);
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

namespace {

// Where each index of depth `depth` points, in slices.
template <class Index>
std::vector<std::int64_t> slice_offsets(std::string_view op, const Tensor& params,
                                        const Tensor& indices, int depth, std::int64_t count) {
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(count));
  const Index* index = indices.data<Index>();
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t offset = 0;
    for (int axis = 0; axis < depth; ++axis, ++index) {
      const auto position = static_cast<std::int64_t>(*index);
      if (position < 0 || position >= params.dim(axis)) {
        throw invalid_argument(op, ": indices must lie in params. Details: index ", i, " is ",
                               position, " for axis ", axis, " of ", params.shape(), ".");
      }
      offset = offset * params.dim(axis) + position;
    }
    offsets[static_cast<std::size_t>(i)] = offset;
  }
  return offsets;
}

}  // namespace

void gather_nd(KernelContext& ctx, const Tensor& params, const Tensor& indices) {
  const std::string& op = ctx.node().op_name;
  if (params.rank() == 0 || indices.rank() == 0) {
    throw invalid_argument(op, ": params and indices must have at least one dimension. Details: ",
                           params.shape(), " and ", indices.shape(), ".");
  }
  const std::int64_t depth = indices.dim(indices.rank() - 1);
  if (depth > params.rank()) {
    throw invalid_argument(
        op, ": the last dimension of indices must be at most the rank of params. Details: ",
        indices.shape(), " and ", params.shape(), ".");
  }
  const Shape index_shape = indices.shape().slice(0, indices.rank() - 1);
  const Shape slice_shape = params.shape().slice(static_cast<int>(depth), params.rank());
  std::vector<std::int64_t> dims(index_shape.dims().begin(), index_shape.dims().end());
  dims.insert(dims.end(), slice_shape.dims().begin(), slice_shape.dims().end());
  const std::int64_t count = index_shape.num_elements();
  if (count > 0 && params.num_elements() == 0) {
    throw invalid_argument(op, ": there is nothing to gather from. Details: params ",
                           params.shape(), ", indices ", indices.shape(), ".");
  }
  Tensor& result = ctx.output(0, Shape(dims));
  if (result.num_elements() == 0) return;
  std::vector<std::int64_t> offsets;
  dispatch(IndexTypes{}, indices.dtype(), [&]<class Index>() {
    offsets = slice_offsets<Index>(op, params, indices, static_cast<int>(depth), count);
  });
  const GatherPlan plan{.count = count, .inner = slice_shape.num_elements()};
  gather_blocks(ctx, plan, offsets.data(), params, result);
}

}  // namespace hub
