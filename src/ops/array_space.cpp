// Ops that move space into the batch or the depth, and back.

#include <algorithm>

#include "base/checked.h"
#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"

namespace hub {
namespace {

// One blocked axis: how it is cut, and what is added to (or cut from) its ends.
struct BlockAxis {
  std::int64_t block = 1;
  std::int64_t before = 0;
  std::int64_t after = 0;
};

[[noreturn]] void bad_blocks(std::string_view op, std::string_view rule,
                             const PartialShape& input) {
  throw invalid_argument(op, ": ", rule, " Details: the input is ", input, ".");
}

// The blocks as numbers. `blocks` has one element for each axis, `borders` a pair.
std::vector<BlockAxis> block_axes(std::string_view op, const std::vector<std::int64_t>& blocks,
                                  const Tensor& borders) {
  const auto count = static_cast<std::int64_t>(blocks.size());
  if (borders.shape() != Shape{count, 2}) {
    throw invalid_argument(
        op, ": there must be a pair of paddings or crops for each blocked axis. Details: ", count,
        " axes, the shape of the pairs is ", borders.shape(), ".");
  }
  std::vector<BlockAxis> axes;
  for (std::int64_t i = 0; i < count; ++i) {
    axes.push_back({blocks[static_cast<std::size_t>(i)], integer_at(borders, 2 * i),
                    integer_at(borders, 2 * i + 1)});
    if (axes.back().block < 1 || axes.back().before < 0 || axes.back().after < 0) {
      throw invalid_argument(
          op, ": block sizes must be positive, paddings and crops >= 0. Details: axis ", i, " has ",
          axes.back().block, ", ", axes.back().before, " and ", axes.back().after, ".");
    }
  }
  return axes;
}

std::int64_t block_product(const std::vector<BlockAxis>& axes) {
  std::int64_t product = 1;
  for (const BlockAxis& axis : axes)
    product = mul_or_throw(product, axis.block, "The product of the block sizes");
  return product;
}

std::int64_t padded_dim(std::int64_t dim, const BlockAxis& axis) {
  return add_dims(dim, add_or_throw(axis.before, axis.after, "A padding"));
}

PartialShape space_to_batch_result(std::string_view op, const PartialShape& input,
                                   const std::vector<BlockAxis>& axes) {
  std::vector<std::int64_t> dims(input.dims().begin(), input.dims().end());
  if (dims.front() >= 0)
    dims.front() = mul_or_throw(dims.front(), block_product(axes), "The batch");
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::int64_t padded = padded_dim(dims[i + 1], axes[i]);
    if (padded >= 0 && padded % axes[i].block != 0)
      bad_blocks(op, "a padded dimension must be a multiple of its block size.", input);
    dims[i + 1] = padded < 0 ? -1 : padded / axes[i].block;
  }
  return PartialShape(std::move(dims));
}

PartialShape batch_to_space_result(std::string_view op, const PartialShape& input,
                                   const std::vector<BlockAxis>& axes) {
  std::vector<std::int64_t> dims(input.dims().begin(), input.dims().end());
  const std::int64_t product = block_product(axes);
  if (dims.front() >= 0) {
    if (dims.front() % product != 0)
      bad_blocks(op, "the batch must be a multiple of the product of the block sizes.", input);
    dims.front() /= product;
  }
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if (dims[i + 1] < 0) continue;
    const std::int64_t whole = mul_or_throw(dims[i + 1], axes[i].block, "A dimension");
    const std::int64_t crop = add_or_throw(axes[i].before, axes[i].after, "A crop");
    if (crop > whole) bad_blocks(op, "the crops must fit into a dimension.", input);
    dims[i + 1] = whole - crop;
  }
  return PartialShape(std::move(dims));
}

using BlockRule = PartialShape (*)(std::string_view, const PartialShape&,
                                   const std::vector<BlockAxis>&);

template <BlockRule kRule>
Shapes blocks_nd_shape(ShapeContext& c) {
  const PartialShape block_shape = c.with_rank(1, 1);
  PartialShape input = c.input(0);
  const auto blocks = constant_integers(c, 1);
  const Tensor* borders = c.input_value(2);
  const std::int64_t count =
      blocks ? static_cast<std::int64_t>(blocks->size()) : block_shape.dim(0);
  if (count >= 0)
    input =
        c.at_least_rank(0, static_cast<int>(std::min<std::int64_t>(count + 1, Shape::kMaxRank)));
  if (!input.has_rank()) return {PartialShape()};
  if (count < 0 || !blocks || borders == nullptr) return {PartialShape::unknown_dims(input.rank())};
  return {kRule(c.node().op_name, input, block_axes(c.node().op_name, *blocks, *borders))};
}

template <BlockRule kRule>
Shapes blocks_2d_shape(ShapeContext& c) {
  const PartialShape input = c.with_rank(0, 4);
  c.with_rank(1, 2);
  const std::int64_t block = c.attr<std::int64_t>("block_size");
  const Tensor* borders = c.input_value(1);
  if (borders == nullptr) return {PartialShape{-1, -1, -1, input.dim(3)}};
  return {kRule(c.node().op_name, input, block_axes(c.node().op_name, {block, block}, *borders))};
}

// TensorFlow's limit on the axes that it cannot treat as part of the batch or of the rest.
void check_axis_count(std::string_view op, const std::vector<BlockAxis>& axes) {
  constexpr std::ptrdiff_t kMaxBlocked = 4;
  const auto matters = [](const BlockAxis& axis) {
    return axis.block != 1 || axis.before != 0 || axis.after != 0;
  };
  const auto first = std::ranges::find_if(axes, matters);
  const auto last = std::find_if(axes.rbegin(), std::make_reverse_iterator(first), matters).base();
  if (last - first > kMaxBlocked) {
    throw invalid_argument(op, ": at most ", kMaxBlocked, " axes may have blocks. Details: got ",
                           last - first, ".");
  }
}

// Copies between space [batch, dims..., rest] and blocks [product * batch, dims'..., rest]:
// each of the `product` parts of the batch is a box, seen from space with strides.
void copy_blocks(KernelContext& ctx, const std::vector<BlockAxis>& axes, DType dtype,
                 const Shape& space, const Shape& blocks, bool to_blocks, const void* from,
                 void* to) {
  const int rank = space.rank();
  std::vector<std::int64_t> space_strides(static_cast<std::size_t>(rank));
  std::vector<std::int64_t> block_strides(static_cast<std::size_t>(rank));
  row_major_strides(space.dims(), space_strides);
  row_major_strides(blocks.dims(), block_strides);
  const std::int64_t batch = space.dim(0);
  const std::int64_t parts = block_product(axes);
  std::vector<CopyAxis> box(static_cast<std::size_t>(rank));
  for (std::int64_t part = 0; part < parts; ++part) {
    std::int64_t space_first = 0;
    std::int64_t block_first = part * batch * block_strides[0];
    box[0] = {batch, space_strides[0], block_strides[0]};
    std::int64_t rest = part;
    for (std::size_t i = axes.size(); i-- > 0;) {
      const BlockAxis& axis = axes[i];
      const std::int64_t shift = rest % axis.block - axis.before;  // of block position 0 in space
      rest /= axis.block;
      const std::int64_t dim = space.dim(static_cast<int>(i) + 1);
      const std::int64_t begin = shift >= 0 ? 0 : (-shift + axis.block - 1) / axis.block;
      const std::int64_t end = shift >= dim ? 0 : (dim - shift + axis.block - 1) / axis.block;
      const std::int64_t last = std::min(end, blocks.dim(static_cast<int>(i) + 1));
      box[i + 1] = {std::max<std::int64_t>(last - begin, 0), axis.block * space_strides[i + 1],
                    block_strides[i + 1]};
      space_first += (begin * axis.block + shift) * space_strides[i + 1];
      block_first += begin * block_strides[i + 1];
    }
    for (int i = static_cast<int>(axes.size()) + 1; i < rank; ++i) {
      const auto k = static_cast<std::size_t>(i);
      box[k] = {space.dim(i), space_strides[k], block_strides[k]};
    }
    if (std::ranges::any_of(box, [](const CopyAxis& axis) { return axis.size == 0; })) continue;
    if (to_blocks) {
      copy_box(ctx, dtype, box, element_at(dtype, from, space_first),
               element_at(dtype, to, block_first));
    } else {
      std::vector<CopyAxis> back = box;
      for (CopyAxis& axis : back) std::swap(axis.from, axis.to);
      copy_box(ctx, dtype, back, element_at(dtype, from, block_first),
               element_at(dtype, to, space_first));
    }
  }
}

void require_rank(std::string_view op, const Tensor& input, std::size_t blocked) {
  if (static_cast<std::size_t>(input.rank()) < blocked + 1) {
    throw invalid_argument(
        op, ": the input needs a batch axis and the blocked ones. Details: its shape is ",
        input.shape(), ", ", blocked, " axes have blocks.");
  }
}

void space_to_batch(KernelContext& ctx, const std::vector<BlockAxis>& axes) {
  const Tensor& input = ctx.input(0);
  const std::string& op = ctx.node().op_name;
  require_rank(op, input, axes.size());
  check_axis_count(op, axes);
  const Shape shape = *space_to_batch_result(op, input.shape(), axes).as_shape();
  Tensor& result = ctx.output(0, shape);
  const bool padded =
      std::ranges::any_of(axes, [](const BlockAxis& axis) { return axis.before + axis.after > 0; });
  if (padded) zero_tensor(ctx, result);
  if (result.num_elements() == 0) return;
  copy_blocks(ctx, axes, input.dtype(), input.shape(), shape, true, input.raw_data(),
              result.mutable_raw_data());
}

void batch_to_space(KernelContext& ctx, const std::vector<BlockAxis>& axes) {
  const Tensor& input = ctx.input(0);
  const std::string& op = ctx.node().op_name;
  require_rank(op, input, axes.size());
  check_axis_count(op, axes);
  const Shape shape = *batch_to_space_result(op, input.shape(), axes).as_shape();
  Tensor& result = ctx.output(0, shape);
  if (result.num_elements() == 0) return;
  copy_blocks(ctx, axes, input.dtype(), shape, input.shape(), false, input.raw_data(),
              result.mutable_raw_data());
}

std::vector<BlockAxis> block_inputs(const KernelContext& ctx) {
  if (ctx.input(1).rank() != 1) {
    throw invalid_argument(ctx.node().op_name,
                           ": block_shape must be a vector. Details: its shape is ",
                           ctx.input(1).shape(), ".");
  }
  require_rank(ctx.node().op_name, ctx.input(0),
               static_cast<std::size_t>(ctx.input(1).num_elements()));
  return block_axes(ctx.node().op_name, integer_vector(ctx, 1, "block_shape"), ctx.input(2));
}

void compute_space_to_batch_nd(KernelContext& ctx) { space_to_batch(ctx, block_inputs(ctx)); }
void compute_batch_to_space_nd(KernelContext& ctx) { batch_to_space(ctx, block_inputs(ctx)); }

// The older form: images, one block size.
template <void (*kMove)(KernelContext&, const std::vector<BlockAxis>&)>
class ImageBlocksKernel final : public Kernel {
 public:
  explicit ImageBlocksKernel(const KernelInit& init)
      : block_(init.attr<std::int64_t>("block_size")) {}
  void compute(KernelContext& ctx) const override {
    if (ctx.input(0).rank() != 4) {
      throw invalid_argument(ctx.node().op_name,
                             ": the input must have rank 4. Details: its shape is ",
                             ctx.input(0).shape(), ".");
    }
    kMove(ctx, block_axes(ctx.node().op_name, {block_, block_}, ctx.input(1)));
  }

 private:
  std::int64_t block_;
};

constexpr OpDef kOps[] = {
    {.name = "SpaceToBatchND",
     .inputs = "input: T, block_shape: Tblock_shape, paddings: Tpaddings",
     .outputs = "output: T",
     .attrs = "T: type; Tblock_shape: {int32, int64} = int32; Tpaddings: {int32, int64} = int32",
     .shape = blocks_nd_shape<space_to_batch_result>,
     .kernel = kernel_function<compute_space_to_batch_nd>},
    {.name = "BatchToSpaceND",
     .inputs = "input: T, block_shape: Tblock_shape, crops: Tcrops",
     .outputs = "output: T",
     .attrs = "T: type; Tblock_shape: {int32, int64} = int32; Tcrops: {int32, int64} = int32",
     .shape = blocks_nd_shape<batch_to_space_result>,
     .kernel = kernel_function<compute_batch_to_space_nd>},
    {.name = "SpaceToBatch",
     .inputs = "input: T, paddings: Tpaddings",
     .outputs = "output: T",
     .attrs = "T: type; Tpaddings: {int32, int64} = int32; block_size: int >= 2",
     .shape = blocks_2d_shape<space_to_batch_result>,
     .kernel = make_kernel<ImageBlocksKernel<space_to_batch>>},
    {.name = "BatchToSpace",
     .inputs = "input: T, crops: Tidx",
     .outputs = "output: T",
     .attrs = "T: type; block_size: int >= 2; Tidx: {int32, int64} = int32",
     .shape = blocks_2d_shape<batch_to_space_result>,
     .kernel = make_kernel<ImageBlocksKernel<batch_to_space>>},
};

}  // namespace

OpFamily array_space_ops() { return kOps; }

}  // namespace hub
