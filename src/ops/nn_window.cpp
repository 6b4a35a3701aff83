#include "ops/nn_window.h"

#include <algorithm>

#include "base/errors.h"

namespace hub {
namespace {

// Longer axes are refused, so that sums with windows cannot overflow.
constexpr std::int64_t kMaxInput = std::int64_t{1} << 61;

Padding padding_from(const std::string& name, std::string_view op) {
  if (name == "SAME") return Padding::kSame;
  if (name == "VALID") return Padding::kValid;
  if (name == "EXPLICIT") return Padding::kExplicit;
  throw invalid_argument(op, ": the padding must be SAME, VALID or EXPLICIT. Details: got \"",
                         printable(name), "\".");
}

const std::vector<std::int64_t>& int_list(const AttrMap& attrs, std::string_view op,
                                          std::string_view name) {
  return attr_value<AttrList>(attrs, op, name).ints;
}

void check_length(std::string_view op, std::string_view what, std::span<const std::int64_t> values,
                  int length) {
  if (values.size() == static_cast<std::size_t>(length)) return;
  throw invalid_argument(op, ": ", what, " must have ", length, " elements. Details: got [",
                         join(values, ","), "].");
}

void check_range(std::string_view op, std::string_view what, std::span<const std::int64_t> values,
                 std::int64_t least) {
  for (const std::int64_t value : values) {
    if (value >= least && value < kMaxWindowSize) continue;
    throw invalid_argument(op, ": ", what, " must be in [", least, ", 2^31). Details: got [",
                           join(values, ","), "].");
  }
}

ImageLayout layout_from(const AttrMap& attrs, std::string_view op, int spatial_dims) {
  ImageLayout layout{spatial_dims, false};
  if (!attrs.contains("data_format")) return layout;
  const std::string& format = attr_value<std::string>(attrs, op, "data_format");
  layout.channels_first = format == "NCHW" || format == "NCDHW";
  if (!layout.channels_first && format != "NHWC" && format != "NDHWC") {
    throw invalid_argument(
        op, ": the data format must be NHWC or NCHW (of volumes: NDHWC or NCDHW). Details: got \"",
        printable(format), "\".");
  }
  return layout;
}

// `explicit_paddings` has a pair for each axis of the layout.
void read_padding(WindowAttrs& result, const AttrMap& attrs, std::string_view op) {
  result.padding = padding_from(attr_value<std::string>(attrs, op, "padding"), op);
  if (!attrs.contains("explicit_paddings")) {
    if (result.padding != Padding::kExplicit) return;
    throw invalid_argument(op, ": there is no explicit padding.");
  }
  const auto& pads = int_list(attrs, op, "explicit_paddings");
  if (result.padding != Padding::kExplicit) {
    if (pads.empty()) return;
    throw invalid_argument(
        op, ": explicit_paddings must be empty unless the padding is EXPLICIT. Details: got [",
        join(pads, ","), "].");
  }
  check_length(op, "explicit_paddings", pads, 2 * result.layout.rank());
  check_range(op, "explicit_paddings", pads, 0);
  const auto pad = [&](int axis, int side) {
    return pads[static_cast<std::size_t>(2 * axis + side)];
  };
  const int channels = result.layout.channel_axis();
  if (pad(0, 0) != 0 || pad(0, 1) != 0 || pad(channels, 0) != 0 || pad(channels, 1) != 0) {
    throw invalid_argument(op,
                           ": batch and channels cannot be padded. Details: explicit_paddings is [",
                           join(pads, ","), "].");
  }
  for (int i = 0; i < result.layout.spatial_dims; ++i) {
    WindowAxis& axis = result.axes[static_cast<std::size_t>(i)];
    axis.before = pad(result.layout.spatial_axis(i), 0);
    axis.after = pad(result.layout.spatial_axis(i), 1);
  }
}

std::int64_t at(std::span<const std::int64_t> values, int axis) {
  return values[static_cast<std::size_t>(axis)];
}

}  // namespace

WindowSteps window_steps(std::string_view op, std::int64_t input, const WindowAxis& axis,
                         Padding padding) {
  if (input >= kMaxInput)
    throw invalid_argument(op, ": the input is too large. Details: an axis has ", input,
                           " elements.");
  const std::int64_t extent = axis.extent();
  WindowSteps steps;
  if (padding == Padding::kSame || padding == Padding::kSameCentered) {
    steps.output = input == 0 ? 0 : (input - 1) / axis.stride + 1;
    std::int64_t total = (steps.output - 1) * axis.stride + extent - input;
    if (padding == Padding::kSame || steps.output == 0) total = std::max<std::int64_t>(total, 0);
    steps.before = total / 2;
    steps.after = total - steps.before;
    return steps;
  }
  if (padding == Padding::kExplicit) {
    steps.before = axis.before;
    steps.after = axis.after;
  }
  // A negative number of steps that rounds to zero counts as zero, as in TensorFlow.
  const std::int64_t free = input + steps.before + steps.after - extent + axis.stride;
  if (free <= -axis.stride) {
    throw invalid_argument(op,
                           ": the window must fit into the padded input. Details: the input has ",
                           input, " elements along an axis, padded by ", steps.before, " and ",
                           steps.after, ", the window covers ", extent, ".");
  }
  steps.output = free / axis.stride;
  return steps;
}

std::int64_t window_output(std::string_view op, std::int64_t input, const WindowAxis& axis,
                           Padding padding) {
  if (input < 0) return -1;
  return window_steps(op, input, axis, padding).output;
}

namespace {

// TensorFlow's code depends on the op.
Error not_over_batch(std::string_view op, std::string_view what,
                     std::span<const std::int64_t> values) {
  const std::string message = cat(
      op, ": ", what, " of batch and channels must be 1. Details: got [", join(values, ","), "].");
  const bool known_gap = op == "Conv2D" || op == "Conv2DBackpropInput";
  return Error(known_gap ? ErrorCode::kUnimplemented : ErrorCode::kInvalidArgument, message);
}

}  // namespace

WindowAttrs convolution_attrs(const AttrMap& attrs, std::string_view op, int spatial_dims) {
  WindowAttrs result;
  result.layout = layout_from(attrs, op, spatial_dims);
  const int rank = result.layout.rank();
  const int channels = result.layout.channel_axis();
  const auto& strides = int_list(attrs, op, "strides");
  check_length(op, "strides", strides, rank);
  check_range(op, "strides", strides, 1);
  if (at(strides, 0) != 1 || at(strides, channels) != 1) {
    throw not_over_batch(op, "strides", strides);
  }
  std::vector<std::int64_t> dilations(static_cast<std::size_t>(rank), 1);
  if (attrs.contains("dilations")) dilations = int_list(attrs, op, "dilations");
  check_length(op, "dilations", dilations, rank);
  check_range(op, "dilations", dilations, 1);
  if (at(dilations, 0) != 1 || at(dilations, channels) != 1) {
    throw not_over_batch(op, "dilations", dilations);
  }
  for (int i = 0; i < spatial_dims; ++i) {
    WindowAxis& axis = result.axes[static_cast<std::size_t>(i)];
    axis.stride = at(strides, result.layout.spatial_axis(i));
    axis.dilation = at(dilations, result.layout.spatial_axis(i));
  }
  read_padding(result, attrs, op);
  return result;
}

WindowAttrs pool_attrs(const AttrMap& attrs, std::string_view op, int spatial_dims) {
  WindowAttrs result;
  result.layout = layout_from(attrs, op, spatial_dims);
  if (attrs.contains("ksize"))
    set_pool_window(result, op, int_list(attrs, op, "ksize"), int_list(attrs, op, "strides"));
  read_padding(result, attrs, op);
  return result;
}

void set_pool_window(WindowAttrs& attrs, std::string_view op, std::span<const std::int64_t> ksize,
                     std::span<const std::int64_t> strides) {
  const int rank = attrs.layout.rank();
  check_length(op, "ksize", ksize, rank);
  check_length(op, "strides", strides, rank);
  check_range(op, "ksize", ksize, 1);
  check_range(op, "strides", strides, 1);
  const int channels = attrs.layout.channel_axis();
  attrs.channel_size = at(ksize, channels);
  attrs.channel_stride = at(strides, channels);
  if (at(ksize, 0) != 1 || at(strides, 0) != 1) {
    throw unimplemented(op, ": pooling over the batch is not supported. Details: ksize is [",
                        join(ksize, ","), "], strides is [", join(strides, ","), "].");
  }
  for (int i = 0; i < attrs.layout.spatial_dims; ++i) {
    WindowAxis& axis = attrs.axes[static_cast<std::size_t>(i)];
    axis.size = at(ksize, attrs.layout.spatial_axis(i));
    axis.stride = at(strides, attrs.layout.spatial_axis(i));
  }
}

}  // namespace hub
