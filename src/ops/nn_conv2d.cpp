// Convolutions of images: dense, grouped, depthwise, and their gradients.

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/nn_conv.h"

namespace hub {
namespace {

// Two sizes are those of rows and columns: the rest follows from the other inputs.
Shapes backprop_input_shape(ShapeContext& c) {
  const PartialShape sizes = c.input_as_shape(0);
  if (sizes.has_rank() && sizes.rank() == 2) {
    return {PartialShape{c.with_rank(2, 4).dim(0), sizes.dim(0), sizes.dim(1),
                         c.with_rank(1, 4).dim(2)}};
  }
  return {sizes.merge_with(PartialShape::unknown_dims(4))};
}

constexpr OpDef kOps[] = {
    {.name = "Conv2D",
     .inputs = "input: T, filter: T",
     .outputs = "output: T",
     .attrs = "T: {half, bfloat16, float, double, int32}; strides: list(int); "
              "use_cudnn_on_gpu: bool = true; padding: {'SAME', 'VALID', 'EXPLICIT'}; "
              "explicit_paddings: list(int) = []; data_format: {'NHWC', 'NCHW'} = 'NHWC'; "
              "dilations: list(int) = [1, 1, 1, 1]",
     .shape = conv_shape_rule<2>,
     .kernel = make_conv<2>},
    {.name = "Conv2DBackpropFilter",
     .inputs = "input: T, filter_sizes: int32, out_backprop: T",
     .outputs = "output: T",
     .attrs = "T: {half, bfloat16, float, double}; strides: list(int); "
              "use_cudnn_on_gpu: bool = true; padding: {'SAME', 'VALID', 'EXPLICIT'}; "
              "explicit_paddings: list(int) = []; data_format: {'NHWC', 'NCHW'} = 'NHWC'; "
              "dilations: list(int) = [1, 1, 1, 1]",
     .shape = shape_from_vector<1, 4>,
     .kernel = make_conv_backward_filter<2>},
    {.name = "Conv2DBackpropInput",
     .inputs = "input_sizes: int32, filter: T, out_backprop: T",
     .outputs = "output: T",
     .attrs = "T: {half, bfloat16, float, double, int32}; strides: list(int); "
              "use_cudnn_on_gpu: bool = true; padding: {'SAME', 'VALID', 'EXPLICIT'}; "
              "explicit_paddings: list(int) = []; data_format: {'NHWC', 'NCHW'} = 'NHWC'; "
              "dilations: list(int) = [1, 1, 1, 1]",
     .shape = backprop_input_shape,
     .kernel = make_conv_backward_data<2>},
    {.name = "DepthwiseConv2dNative",
     .inputs = "input: T, filter: T",
     .outputs = "output: T",
     .attrs = "T: {half, bfloat16, float, double}; strides: list(int); padding: {'SAME', "
              "'VALID', 'EXPLICIT'}; explicit_paddings: list(int) = []; data_format: {'NHWC', "
              "'NCHW'} = 'NHWC'; dilations: list(int) = [1, 1, 1, 1]",
     .shape = conv_shape_rule<2, true>,
     .kernel = make_conv<2, true>},
    {.name = "DepthwiseConv2dNativeBackpropFilter",
     .inputs = "input: T, filter_sizes: int32, out_backprop: T",
     .outputs = "output: T",
     .attrs = "T: {half, bfloat16, float, double}; strides: list(int); padding: {'SAME', "
              "'VALID', 'EXPLICIT'}; explicit_paddings: list(int) = []; data_format: {'NHWC', "
              "'NCHW'} = 'NHWC'; dilations: list(int) = [1, 1, 1, 1]",
     .shape = shape_from_vector<1, 4>,
     .kernel = make_conv_backward_filter<2, true>},
    {.name = "DepthwiseConv2dNativeBackpropInput",
     .inputs = "input_sizes: int32, filter: T, out_backprop: T",
     .outputs = "output: T",
     .attrs = "T: {half, bfloat16, float, double}; strides: list(int); padding: {'SAME', "
              "'VALID', 'EXPLICIT'}; explicit_paddings: list(int) = []; data_format: {'NHWC', "
              "'NCHW'} = 'NHWC'; dilations: list(int) = [1, 1, 1, 1]",
     .shape = shape_from_vector<0, 4>,
     .kernel = make_conv_backward_data<2, true>},
};

}  // namespace

OpFamily nn_conv2d_ops() { return kOps; }

}  // namespace hub
