// Grey-scale dilation of images and its gradients: y = max over the window of x + filter,
// starting from the dtype's lowest finite value.

#include <algorithm>
#include <limits>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernels/window_loops.h"
#include "ops/nn_window.h"
#include "ops/wide.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

using dnn::ConvShape;

struct DilationAttrs {
  Padding padding = Padding::kValid;
  std::array<WindowAxis, 2> axes;
};

const std::vector<std::int64_t>& spatial_list(const AttrMap& attrs, std::string_view op,
                                              std::string_view name) {
  const auto& values = attr_value<AttrList>(attrs, op, name).ints;
  if (values.size() != 4 || values[1] < 1 || values[2] < 1 || values[1] >= kMaxWindowSize ||
      values[2] >= kMaxWindowSize) {
    throw invalid_argument(op, ": ", name, " must be four numbers, in [1, 2^31). Details: got [",
                           join(values, ","), "].");
  }
  if (values[0] != 1 || values[3] != 1) {
    throw unimplemented(op, ": ", name, " of batch and channels must be 1. Details: got [",
                        join(values, ","), "].");
  }
  return values;
}

DilationAttrs dilation_attrs(const AttrMap& attrs, std::string_view op) {
  const auto& strides = spatial_list(attrs, op, "strides");
  const auto& rates = spatial_list(attrs, op, "rates");
  DilationAttrs result;
  result.padding =
      attr_value<std::string>(attrs, op, "padding") == "SAME" ? Padding::kSame : Padding::kValid;
  for (std::size_t i = 0; i < 2; ++i) {
    result.axes[i].stride = strides[i + 1];
    result.axes[i].dilation = rates[i + 1];
  }
  return result;
}

// The windows as those of a pool of volumes.
ConvShape dilation_shape(std::string_view op, const DilationAttrs& attrs, const Shape& input,
                         const Shape& filter) {
  if (input.rank() != 4 || filter.rank() != 3 || input.dim(3) != filter.dim(2)) {
    throw invalid_argument(
        op,
        ": the input must have rank 4, the filter rank 3, and both equal depth. Details: ", input,
        " and ", filter, ".");
  }
  ConvShape shape;
  shape.spatial_dims = 3;
  shape.batch = input.dim(0);
  shape.in_channels = shape.out_channels = shape.groups = input.dim(3);
  shape.input = shape.kernel = shape.output = shape.stride = shape.dilation = {1, 1, 1};
  for (int i = 0; i < 2; ++i) {
    WindowAxis axis = attrs.axes[static_cast<std::size_t>(i)];
    axis.size = filter.dim(i);
    if (axis.size >= kMaxWindowSize)
      throw invalid_argument(op, ": the filter is too large. Details: its shape is ", filter, ".");
    const WindowSteps steps = window_steps(op, input.dim(i + 1), axis, attrs.padding);
    const auto a = static_cast<std::size_t>(i) + 1;
    shape.input[a] = input.dim(i + 1);
    shape.kernel[a] = axis.size;
    shape.output[a] = steps.output;
    shape.stride[a] = axis.stride;
    shape.dilation[a] = axis.dilation;
    shape.before[a] = steps.before;
  }
  return shape;
}

Shape output_of(const ConvShape& s) {
  return Shape{s.batch, s.output[1], s.output[2], s.out_channels};
}

template <class T>
struct Best {
  T value = lowest_finite<T>();
  std::int64_t pixel;  // of the input
  std::int64_t tap = 0;
};

// The first largest sum of a window, for one channel.
template <class T>
Best<T> find_best(const ConvShape& s, const T* image, const T* filter, std::int64_t output,
                  std::int64_t channel) {
  const auto at = position(output, s.output);
  Best<T> best;
  // Where nothing is above the lowest value, TensorFlow names the window's first element.
  const auto first = [&](std::size_t axis) {
    return std::max<std::int64_t>(at[axis] * s.stride[axis] - s.before[axis], 0);
  };
  best.pixel = first(1) * s.input[2] + first(2);
  each_tap(s, at, [&](std::int64_t tap, std::int64_t pixel) {
    const auto x = static_cast<Wide<T>>(image[pixel * s.in_channels + channel]);
    const auto sum =
        static_cast<T>(x + static_cast<Wide<T>>(filter[tap * s.in_channels + channel]));
    if (static_cast<Wide<T>>(sum) > static_cast<Wide<T>>(best.value)) best = {sum, pixel, tap};
  });
  return best;
}

class DilationKernel final : public Kernel {
 public:
  explicit DilationKernel(const KernelInit& init)
      : attrs_(dilation_attrs(init.node().attrs, init.op())) {}
  void compute(KernelContext& c) const override {
    const Tensor &x = c.input(0), &filter = c.input(1);
    const ConvShape s = dilation_shape(c.node().op_name, attrs_, x.shape(), filter.shape());
    Tensor& y = c.output(0, output_of(s));
    if (y.num_elements() == 0) return;
    dispatch(RealNumbers{}, x.dtype(), [&]<class T>() {
      const T *from = x.data<T>(), *weights = filter.data<T>();
      T* to = y.mutable_data<T>();
      const std::int64_t channels = s.in_channels, outputs = pixels(s.output);
      c.parallel_for(s.batch * outputs, 2.0 * static_cast<double>(pixels(s.kernel) * channels),
                     [&, from, weights, to](std::int64_t begin, std::int64_t end) {
                       for (std::int64_t i = begin * channels; i < end * channels; ++i) {
                         const std::int64_t output = i / channels;
                         const T* image = from + output / outputs * pixels(s.input) * channels;
                         to[i] = find_best(s, image, weights, output % outputs, i % channels).value;
                       }
                     });
    });
  }

 private:
  DilationAttrs attrs_;
};

// (x, filter, gradient): each gradient goes to the input, or the filter's tap, of its maximum.
template <bool kToFilter>
class DilationGradKernel final : public Kernel {
 public:
  explicit DilationGradKernel(const KernelInit& init)
      : attrs_(dilation_attrs(init.node().attrs, init.op())) {}
  void compute(KernelContext& c) const override {
    const Tensor &x = c.input(0), &filter = c.input(1), &dy = c.input(2);
    const ConvShape s = dilation_shape(c.node().op_name, attrs_, x.shape(), filter.shape());
    if (!(dy.shape() == output_of(s))) {
      throw invalid_argument(
          c.node().op_name,
          ": the gradient must have the shape of the dilation's result. Details: ", dy.shape(),
          " instead of ", output_of(s), ".");
    }
    Tensor& result = c.output(0, kToFilter ? filter.shape() : x.shape());
    dispatch(RealNumbers{}, x.dtype(), [&]<class T>() {
      std::fill_n(result.mutable_data<T>(), result.num_elements(), T{});
      if (result.num_elements() == 0) return;
      scatter<T>(c, s, x.data<T>(), filter.data<T>(), dy.data<T>(), result.mutable_data<T>());
    });
  }

 private:
  // Channels are independent of each other.
  template <class T>
  static void scatter(KernelContext& c, const ConvShape& s, const T* x, const T* filter,
                      const T* dy, T* result) {
    const std::int64_t channels = s.in_channels, outputs = pixels(s.output);
    const double channel_ns =
        2.0 * static_cast<double>(s.batch) * static_cast<double>(outputs * pixels(s.kernel));
    c.parallel_for(channels, channel_ns, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t output = 0; output < s.batch * outputs; ++output) {
        const std::int64_t image = output / outputs * pixels(s.input);
        for (std::int64_t channel = begin; channel < end; ++channel) {
          const Best<T> best =
              find_best(s, x + image * channels, filter, output % outputs, channel);
          T& sum = result[(kToFilter ? best.tap : image + best.pixel) * channels + channel];
          sum = static_cast<T>(static_cast<Wide<T>>(sum) +
                               static_cast<Wide<T>>(dy[output * channels + channel]));
        }
      }
    });
  }

  DilationAttrs attrs_;
};

Shapes dilation_shape_rule(ShapeContext& c) {
  const std::string& op = c.node().op_name;
  const DilationAttrs attrs = dilation_attrs(c.node().attrs, op);
  const PartialShape input = c.with_rank(0, 4), filter = c.with_rank(1, 3);
  const std::int64_t depth =
      merge_dims(input.dim(3), filter.dim(2), "The depths of input and filter");
  std::vector<std::int64_t> dims{input.dim(0), -1, -1, depth};
  for (int i = 0; i < 2; ++i) {
    WindowAxis axis = attrs.axes[static_cast<std::size_t>(i)];
    axis.size = filter.dim(i);
    if (axis.size < 0 || axis.size >= kMaxWindowSize) continue;
    dims[static_cast<std::size_t>(i) + 1] =
        window_output(op, input.dim(i + 1), axis, attrs.padding);
  }
  return {PartialShape(std::move(dims))};
}

template <int kInput, int kRank>
Shapes same_as(ShapeContext& c) {
  return {c.with_rank(kInput, kRank)};
}

constexpr OpDef kOps[] = {
    {.name = "Dilation2D",
     .inputs = "input: T, filter: T",
     .outputs = "output: T",
     .attrs = "T: realnumbertype; strides: list(int) >= 4; rates: list(int) >= 4; "
              "padding: {'SAME', 'VALID'}",
     .shape = dilation_shape_rule,
     .kernel = make_kernel<DilationKernel>},
    {.name = "Dilation2DBackpropFilter",
     .inputs = "input: T, filter: T, out_backprop: T",
     .outputs = "filter_backprop: T",
     .attrs = "T: realnumbertype; strides: list(int) >= 4; rates: list(int) >= 4; "
              "padding: {'SAME', 'VALID'}",
     .shape = same_as<1, 3>,
     .kernel = make_kernel<DilationGradKernel<true>>,
     .differentiable = Differentiable::kRefused},
    {.name = "Dilation2DBackpropInput",
     .inputs = "input: T, filter: T, out_backprop: T",
     .outputs = "in_backprop: T",
     .attrs = "T: realnumbertype; strides: list(int) >= 4; rates: list(int) >= 4; "
              "padding: {'SAME', 'VALID'}",
     .shape = same_as<0, 4>,
     .kernel = make_kernel<DilationGradKernel<false>>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily nn_dilation_ops() { return kOps; }

}  // namespace hub
