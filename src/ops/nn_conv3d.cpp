// Convolutions of volumes, and their gradients.

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/nn_conv.h"

namespace hub {
namespace {

template <int kInput>
Shapes shape_of_input(ShapeContext& c) {
  return {c.with_rank(kInput, 5)};
}

constexpr OpDef kOps[] = {
    {.name = "Conv3D",
     .inputs = "input: T, filter: T",
     .outputs = "output: T",
     .attrs = "T: {half, bfloat16, float, double}; strides: list(int) >= 5; padding: {'SAME', "
              "'VALID'}; data_format: {'NDHWC', 'NCDHW'} = 'NDHWC'; dilations: list(int) = [1, "
              "1, 1, 1, 1]",
     .shape = conv_shape_rule<3>,
     .kernel = make_conv<3>},
    {.name = "Conv3DBackpropFilter",
     .inputs = "input: T, filter: T, out_backprop: T",
     .outputs = "output: T",
     .attrs = "T: {half, float, double}; strides: list(int) >= 5; padding: {'SAME', 'VALID'}; "
              "dilations: list(int) = [1, 1, 1, 1, 1]",
     .shape = shape_of_input<1>,
     .kernel = make_conv_backward_filter<3, false, SizesFrom::kTensor>,
     .differentiable = Differentiable::kRefused},
    {.name = "Conv3DBackpropFilterV2",
     .inputs = "input: T, filter_sizes: int32, out_backprop: T",
     .outputs = "output: T",
     .attrs = "T: {half, bfloat16, float, double}; strides: list(int) >= 5; padding: {'SAME', "
              "'VALID'}; data_format: {'NDHWC', 'NCDHW'} = 'NDHWC'; dilations: list(int) = [1, "
              "1, 1, 1, 1]",
     .shape = shape_from_vector<1, 5>,
     .kernel = make_conv_backward_filter<3>},
    {.name = "Conv3DBackpropInput",
     .inputs = "input: T, filter: T, out_backprop: T",
     .outputs = "output: T",
     .attrs = "T: {half, float, double}; strides: list(int) >= 5; padding: {'SAME', 'VALID'}; "
              "dilations: list(int) = [1, 1, 1, 1, 1]",
     .shape = shape_of_input<0>,
     .kernel = make_conv_backward_data<3, false, SizesFrom::kTensor>,
     .differentiable = Differentiable::kRefused},
    {.name = "Conv3DBackpropInputV2",
     .inputs = "input_sizes: Tshape, filter: T, out_backprop: T",
     .outputs = "output: T",
     .attrs = "T: {half, bfloat16, float, double}; strides: list(int) >= 5; padding: {'SAME', "
              "'VALID'}; data_format: {'NDHWC', 'NCDHW'} = 'NDHWC'; dilations: list(int) = [1, "
              "1, 1, 1, 1]; Tshape: {int32, int64} = int32",
     .shape = shape_from_vector<0, 5>,
     .kernel = make_conv_backward_data<3>},
};

}  // namespace

OpFamily nn_conv3d_ops() { return kOps; }

}  // namespace hub
