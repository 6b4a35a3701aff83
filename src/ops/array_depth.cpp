// SpaceToDepth, DepthToSpace, and the patches of images and volumes.

#include <algorithm>
#include <array>

#include "base/checked.h"
#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/nn_window.h"

namespace hub {
namespace {

// Where the axes of an image are.
struct ImageAxes {
  int height;
  int width;
  int depth;
};
ImageAxes image_axes(std::string_view op, const std::string& format) {
  if (format == "NHWC") return {1, 2, 3};
  if (format == "NCHW") return {2, 3, 1};
  throw unimplemented(op, ": the data format must be NHWC or NCHW. Details: it is ", format, ".");
}

std::int64_t exact_quotient(std::string_view op, std::int64_t dim, std::int64_t by) {
  if (dim < 0) return -1;
  if (dim % by != 0) {
    throw invalid_argument(
        op, ": a dimension must be a multiple of the block size (squared for the depth). Details: ",
        dim, " and ", by, ".");
  }
  return dim / by;
}

std::int64_t product(std::int64_t a, std::int64_t b) {
  return a < 0 ? -1 : mul_or_throw(a, b, "A dimension");
}

PartialShape moved_shape(std::string_view op, const PartialShape& input, const ImageAxes& axes,
                         std::int64_t block, bool to_depth) {
  const std::int64_t square = mul_or_throw(block, block, "The block size");
  std::vector<std::int64_t> dims(input.dims().begin(), input.dims().end());
  for (const int axis : {axes.height, axes.width}) {
    std::int64_t& dim = dims[static_cast<std::size_t>(axis)];
    dim = to_depth ? exact_quotient(op, dim, block) : product(dim, block);
  }
  std::int64_t& depth = dims[static_cast<std::size_t>(axes.depth)];
  depth = to_depth ? product(depth, square) : exact_quotient(op, depth, square);
  return PartialShape(std::move(dims));
}

Shapes depth_shape(ShapeContext& c, bool to_depth) {
  const std::string& op = c.node().op_name;
  const std::string& format = c.attr<std::string>("data_format");
  if (format == "NCHW_VECT_C") return {PartialShape::unknown_dims(c.with_rank(0, 5).rank())};
  const PartialShape input = c.with_rank(0, 4);
  return {
      moved_shape(op, input, image_axes(op, format), c.attr<std::int64_t>("block_size"), to_depth)};
}

Shapes space_to_depth_shape(ShapeContext& c) { return depth_shape(c, true); }
Shapes depth_to_space_shape(ShapeContext& c) { return depth_shape(c, false); }

// Both are transposes: an image [batch, height / b, b, width / b, b, depth] against
// [batch, height / b, width / b, b, b, depth].
template <bool kToDepth>
class DepthKernel final : public Kernel {
 public:
  explicit DepthKernel(const KernelInit& init)
      : block_(init.attr<std::int64_t>("block_size")),
        format_(init.attr<std::string>("data_format")) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& input = ctx.input(0);
    const std::string& op = ctx.node().op_name;
    if (input.rank() != 4) {
      throw invalid_argument(op, ": the input must have rank 4. Details: its shape is ",
                             input.shape(), ".");
    }
    if (format_ != "NHWC") {  // TensorFlow's CPU kernel has no other
      throw invalid_argument(op, ": the data format must be NHWC. Details: it is ", format_, ".");
    }
    const ImageAxes axes = image_axes(op, format_);
    const Shape shape = *moved_shape(op, input.shape(), axes, block_, kToDepth).as_shape();
    Tensor& result = ctx.output(0, shape);
    if (result.num_elements() == 0) return;
    const Shape& wide = kToDepth ? input.shape() : shape;  // the side with more space
    const Shape& deep = kToDepth ? shape : input.shape();
    std::array<std::int64_t, 4> w{};
    std::array<std::int64_t, 4> d{};
    row_major_strides(wide.dims(), w);
    row_major_strides(deep.dims(), d);
    const auto h = static_cast<std::size_t>(axes.height);
    const auto x = static_cast<std::size_t>(axes.width);
    const auto c = static_cast<std::size_t>(axes.depth);
    const std::int64_t depth = wide.dim(axes.depth);
    std::vector<CopyAxis> box = {{wide.dim(0), w[0], d[0]},
                                 {deep.dim(axes.height), w[h] * block_, d[h]},
                                 {block_, w[h], d[c] * depth * block_},
                                 {deep.dim(axes.width), w[x] * block_, d[x]},
                                 {block_, w[x], d[c] * depth},
                                 {depth, w[c], d[c]}};
    if (!kToDepth) {
      for (CopyAxis& axis : box) std::swap(axis.from, axis.to);
    }
    // The result's own order of axes, innermost last, makes the longest runs.
    std::ranges::stable_sort(box, std::ranges::greater{}, &CopyAxis::to);
    copy_box(ctx, input.dtype(), box, input.raw_data(), result.mutable_raw_data());
  }

 private:
  std::int64_t block_;
  std::string format_;
};

// One attribute with the window's numbers: 1 for the batch and the depth.
void check_window_attr(std::string_view op, std::string_view name,
                       const std::vector<std::int64_t>& values, int spatial) {
  if (values.size() != static_cast<std::size_t>(spatial) + 2) {
    throw invalid_argument(op, ": the attribute needs ", spatial + 2, " values. Details: ", name,
                           " has ", values.size(), ".");
  }
  if (values.front() != 1 || values.back() != 1) {
    throw unimplemented(op, ": windows go over space only. Details: ", name, " is [",
                        join(values, ","), "].");
  }
  for (const std::int64_t value : values) {
    if (value < 1 || value >= kMaxWindowSize) {
      throw out_of_range(op, ": the attribute is out of range. Details: ", name, " is [",
                         join(values, ","), "].");
    }
  }
}

// The window of ExtractImagePatches (two spatial axes) or ExtractVolumePatches (three).
struct PatchWindow {
  std::vector<WindowAxis> axes;
  Padding padding;

  template <class Attrs>
  PatchWindow(const Attrs& attrs, std::string_view op, int spatial)
      : axes(static_cast<std::size_t>(spatial)),
        padding(attrs.template attr<std::string>("padding") == "SAME" ? Padding::kSame
                                                                      : Padding::kValid) {
    const auto read = [&](std::string_view name, std::int64_t WindowAxis::*field) {
      const auto& values = attrs.template attr<AttrList>(name).ints;
      check_window_attr(op, name, values, spatial);
      for (std::size_t i = 0; i < axes.size(); ++i) axes[i].*field = values[i + 1];
    };
    read("ksizes", &WindowAxis::size);
    read("strides", &WindowAxis::stride);
    if (spatial == 2) read("rates", &WindowAxis::dilation);
  }

  std::int64_t positions() const {
    std::int64_t count = 1;
    for (const WindowAxis& axis : axes) count = mul_or_throw(count, axis.size, "The window's size");
    return count;
  }
};

template <int kSpatial>
Shapes patches_shape(ShapeContext& c) {
  const std::string& op = c.node().op_name;
  const PartialShape input = c.with_rank(0, kSpatial + 2);
  const PatchWindow window(c, op, kSpatial);
  std::vector<std::int64_t> dims = {input.dim(0)};
  bool known = true;  // TensorFlow looks at the sizes only where it knows all of them
  for (int i = 0; i < kSpatial; ++i) known = known && input.dim(i + 1) >= 0;
  for (int i = 0; i < kSpatial; ++i) {
    const WindowAxis& axis = window.axes[static_cast<std::size_t>(i)];
    dims.push_back(known ? window_output(op, input.dim(i + 1), axis, window.padding) : -1);
  }
  dims.push_back(product(input.dim(kSpatial + 1), window.positions()));
  return {PartialShape(std::move(dims))};
}

template <int kSpatial>
class PatchesKernel final : public Kernel {
 public:
  explicit PatchesKernel(const KernelInit& init) : window_(init, init.op(), kSpatial) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& input = ctx.input(0);
    const std::string& op = ctx.node().op_name;
    if (input.rank() != kSpatial + 2) {
      throw invalid_argument(op, ": the input must have rank ", kSpatial + 2,
                             ". Details: its shape is ", input.shape(), ".");
    }
    std::array<WindowSteps, kSpatial> steps;
    std::vector<std::int64_t> dims = {input.dim(0)};
    for (std::size_t i = 0; i < kSpatial; ++i) {
      steps[i] =
          window_steps(op, input.dim(static_cast<int>(i) + 1), window_.axes[i], window_.padding);
      if (kSpatial == 3 && window_.padding == Padding::kSame) {
        // TensorFlow's volumes, unlike its images, begin inside where strides leave gaps.
        const std::int64_t covered =
            (steps[i].output - 1) * window_.axes[i].stride + window_.axes[i].extent();
        steps[i].before = (covered - input.dim(static_cast<int>(i) + 1)) / 2;
      }
      dims.push_back(steps[i].output);
    }
    const std::int64_t depth = input.dim(kSpatial + 1);
    dims.push_back(mul_or_throw(depth, window_.positions(), "The depth of the patches"));
    Tensor& result = ctx.output(0, Shape(dims));
    if (result.num_elements() == 0) return;
    const std::int64_t outputs = result.num_elements() / dims.back();
    ctx.parallel_for(outputs, static_cast<double>(dims.back()),
                     [&](std::int64_t begin, std::int64_t end) {
                       for (std::int64_t i = begin; i < end; ++i)
                         copy_patch(input, steps, i, depth, element_at(result, i * dims.back()));
                     });
  }

 private:
  // The patch of one output position: window positions in order, zeros outside of the input.
  void copy_patch(const Tensor& input, const std::array<WindowSteps, kSpatial>& steps,
                  std::int64_t output, std::int64_t depth, void* to) const {
    std::array<std::int64_t, kSpatial> origin{};
    for (std::size_t i = kSpatial; i-- > 0;) {
      origin[i] = output % steps[i].output * window_.axes[i].stride - steps[i].before;
      output /= steps[i].output;
    }
    const std::int64_t positions = window_.positions();
    for (std::int64_t p = 0; p < positions; ++p) {
      std::array<std::int64_t, kSpatial> offset{};
      std::int64_t rest = p;
      for (std::size_t i = kSpatial; i-- > 0;) {
        offset[i] = rest % window_.axes[i].size * window_.axes[i].dilation;
        rest /= window_.axes[i].size;
      }
      std::int64_t place = output;  // of the batch, then of the pixel
      bool inside = true;
      for (std::size_t i = 0; i < kSpatial; ++i) {
        const std::int64_t at = origin[i] + offset[i];
        const std::int64_t dim = input.dim(static_cast<int>(i) + 1);
        inside = inside && at >= 0 && at < dim;
        place = place * dim + at;
      }
      void* target = element_at(input.dtype(), to, p * depth);
      if (inside) {
        copy_elements(input.dtype(), element_at(input, place * depth), target, depth);
      } else {
        zero_elements(input.dtype(), target, depth);
      }
    }
  }

  PatchWindow window_;
};

constexpr OpDef kOps[] = {
    {.name = "SpaceToDepth",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "T: type; block_size: int >= 2; data_format: {'NHWC', 'NCHW', 'NCHW_VECT_C'} = "
              "'NHWC'",
     .shape = space_to_depth_shape,
     .kernel = make_kernel<DepthKernel<true>>},
    {.name = "DepthToSpace",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "T: type; block_size: int >= 2; data_format: {'NHWC', 'NCHW', 'NCHW_VECT_C'} = "
              "'NHWC'",
     .shape = depth_to_space_shape,
     .kernel = make_kernel<DepthKernel<false>>},
    {.name = "ExtractImagePatches",
     .inputs = "images: T",
     .outputs = "patches: T",
     .attrs = "ksizes: list(int) >= 4; strides: list(int) >= 4; rates: list(int) >= 4; T: "
              "{bfloat16, half, float, double, int8, int16, int32, int64, uint8, uint16, "
              "uint32, uint64, complex64, complex128, bool}; padding: {'SAME', 'VALID'}",
     .shape = patches_shape<2>,
     .kernel = make_kernel<PatchesKernel<2>>},
    {.name = "ExtractVolumePatches",
     .inputs = "input: T",
     .outputs = "patches: T",
     .attrs = "ksizes: list(int) >= 5; strides: list(int) >= 5; T: realnumbertype; padding: "
              "{'SAME', 'VALID'}",
     .shape = patches_shape<3>,
     .kernel = make_kernel<PatchesKernel<3>>},
};

}  // namespace

OpFamily array_depth_ops() { return kOps; }

}  // namespace hub
