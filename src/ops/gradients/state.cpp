// Gradients of variables' values, arrays and lists of tensors, and random samples.

#include "ops/gradients.h"
#include "ops/gradients/build.h"

namespace hub {
namespace {

using namespace grad;  // NOLINT: the words of rules

Gradients read_variable(GradientContext& c) { return pass_on(c); }

// A TensorArray's gradient is an array of its own, found by its source's name; the flow says
// what was written before.
struct ArrayGradient {
  Output handle;
  Output flow;
};

ArrayGradient array_gradient(GradientContext& c, const Output& flow) {
  const Operation array =
      c.many("TensorArrayGradV3", {c.input(0), flow}, {{"source", "gradients"}});
  return {array.output(0), array.output(1)};
}

Gradients array_read(GradientContext& c) {
  const ArrayGradient array = array_gradient(c, c.input(2));
  return {{}, {}, op("TensorArrayWriteV3", {array.handle, c.input(1), c.dy(), array.flow})};
}

Gradients array_write(GradientContext& c) {
  const ArrayGradient array = array_gradient(c, c.dy());
  const Output value =
      op("TensorArrayReadV3", {array.handle, c.input(1), array.flow}, {{"dtype", c.dtype(2)}});
  return {{}, {}, value, c.dy()};
}

Gradients array_gather(GradientContext& c) {
  const ArrayGradient array = array_gradient(c, c.input(2));
  return {{}, {}, op("TensorArrayScatterV3", {array.handle, c.input(1), c.dy(), array.flow})};
}

Gradients array_scatter(GradientContext& c) {
  const ArrayGradient array = array_gradient(c, c.dy());
  const Output values =
      op("TensorArrayGatherV3", {array.handle, c.input(1), array.flow}, {{"dtype", c.dtype(2)}});
  return {{}, {}, values, c.dy()};
}

Gradients array_concat(GradientContext& c) {
  const ArrayGradient array = array_gradient(c, c.input(1));
  return {{}, op("TensorArraySplitV3", {array.handle, c.dy(0), c.output(1), array.flow})};
}

Gradients array_split(GradientContext& c) {
  const ArrayGradient array = array_gradient(c, c.dy());
  const Output values =
      c.many("TensorArrayConcatV3", {array.handle, array.flow}, {{"dtype", c.dtype(1)}}).output(0);
  return {{}, values, {}, c.dy()};
}

// Lists.
Output element_shape(const Output& list) {
  return op("TensorListElementShape", {list}, {{"shape_type", DType::kInt32}});
}
Output length_of(const Output& list) { return op("TensorListLength", {list}); }
Output inner_shape(const Output& tensor) { return slice(shape_of(tensor), 1); }
Output empty_like(const Output& list, DType dtype) {
  return op("TensorListReserve", {element_shape(list), length_of(list)},
            {{"element_dtype", dtype}});
}

Gradients push_back(GradientContext& c) {
  const DType dtype = c.attr<DType>("element_dtype");
  const Operation parts =
      c.many("TensorListPopBack", {c.dy(), shape_of(c.input(1))}, {{"element_dtype", dtype}});
  return {parts.output(0), parts.output(1)};
}

Gradients pop_back(GradientContext& c) {
  return {op("TensorListPushBack", {c.dy(0), c.dy(1)}), {}};
}

Gradients stack_list(GradientContext& c) {
  return c.pad({op("TensorListFromTensor", {c.dy(), inner_shape(c.dy())})});
}

Gradients from_tensor(GradientContext& c) {
  return {op("TensorListStack", {c.dy(), inner_shape(c.input(0))}, {{"element_dtype", c.dtype(0)}}),
          {}};
}

Gradients concat_list(GradientContext& c) {
  return c.pad({op("TensorListSplit", {c.dy(0), element_shape(c.input(0)), c.output(1)})});
}

Gradients split_list(GradientContext& c) {
  const Output shape = concat({ints({-1}), inner_shape(c.input(0))});
  return c.pad(
      {c.many("TensorListConcatV2", {c.dy(), shape, c.input(2)}, {{"element_dtype", c.dtype(0)}})
           .output(0)});
}

Gradients get_item(GradientContext& c) {
  const Output zeros = empty_like(c.input(0), c.dy().dtype());
  return {op("TensorListSetItem", {zeros, c.input(1), c.dy()}), {}, {}};
}

Gradients set_item(GradientContext& c) {
  const Output item = c.input(2);
  Output list = op("TensorListSetItem", {c.dy(), c.input(1), zeros_like(item)});
  const Output element = op("TensorListGetItem", {c.dy(), c.input(1), shape_of(item)},
                            {{"element_dtype", item.dtype()}});
  if (c.node().attrs.contains("resize_if_index_out_of_bounds") &&
      c.attr<bool>("resize_if_index_out_of_bounds")) {
    list = op("TensorListResize", {list, length_of(c.input(0))});
  }
  return {list, {}, element};
}

Gradients resize_list(GradientContext& c) {
  return {op("TensorListResize", {c.dy(), length_of(c.input(0))}), {}};
}

Gradients gather_list(GradientContext& c) {
  const Output zeros = empty_like(c.input(0), c.dy().dtype());
  return {op("TensorListScatterIntoExistingList", {zeros, c.dy(), c.input(1)}), {}, {}};
}

Output list_rows(GradientContext& c, const Output& tensor, const Output& indices) {
  return op("TensorListGather", {c.dy(), indices, inner_shape(tensor)},
            {{"element_dtype", tensor.dtype()}});
}

Gradients scatter_list(GradientContext& c) { return c.pad({list_rows(c, c.input(0), c.input(1))}); }

Gradients scatter_into(GradientContext& c) {
  const Output rest =
      op("TensorListScatterIntoExistingList", {c.dy(), zeros_like(c.input(1)), c.input(2)});
  return {rest, list_rows(c, c.input(1), c.input(2)), {}};
}

Gradients optional_from_value(GradientContext& c) {
  AttrList types;
  AttrList shapes;
  for (int i = 0; i < c.num_inputs(); ++i) {
    types.types.push_back(c.dtype(i));
    shapes.shapes.push_back(c.shape(i));
  }
  const Operation parts = c.many("OptionalGetValue", {c.dy()},
                                 {{"output_types", types.types}, {"output_shapes", shapes.shapes}});
  Gradients result;
  for (int i = 0; i < c.num_inputs(); ++i) result.push_back(parts.output(i));
  return result;
}

Gradients optional_get_value(GradientContext& c) {
  std::vector<Input> parts;
  for (int i = 0; i < c.num_outputs(); ++i) parts.emplace_back(c.dy(i));
  return {op("OptionalFromValue", parts)};
}

// Samples of the gamma distribution by implicit differentiation.
Gradients gamma(GradientContext& c, int alpha_index, bool shape_has_alpha) {
  const Output alpha = c.input(alpha_index);
  Output extra = element(shape_of(c.input(0)), 0);
  if (shape_has_alpha) extra = op("Sub", {extra, rank_of(alpha)});
  const Output ones = op("Fill", {expand(extra, 0), 1});
  const Output broad = reshape(alpha, concat({ones, shape_of(alpha)}));
  // The distribution function P(alpha, sample) stays as alpha moves.
  const Output sample = c.output();
  const Output density = exp((broad - 1.0) * op("Log", {sample}) - sample - op("Lgamma", {broad}));
  const Output partial = -op("IgammaGradA", {broad, sample}) / density;
  Gradients result = c.pad({});
  result[static_cast<std::size_t>(alpha_index)] =
      sum(c.dy() * partial, range(make_scalar<std::int32_t>(0), extra));
  return result;
}
Gradients random_gamma(GradientContext& c) { return gamma(c, 1, false); }
Gradients stateless_gamma_v2(GradientContext& c) { return gamma(c, 2, true); }
Gradients stateless_gamma_v3(GradientContext& c) { return gamma(c, 4, true); }

constexpr GradientRule kRules[] = {
    {"ReadVariableOp", read_variable},
    {"TensorArrayReadV3", array_read},
    {"TensorArrayWriteV3", array_write},
    {"TensorArrayGatherV3", array_gather},
    {"TensorArrayScatterV3", array_scatter},
    {"TensorArrayConcatV3", array_concat},
    {"TensorArraySplitV3", array_split},
    {"TensorListPushBack", push_back},
    {"TensorListPopBack", pop_back},
    {"TensorListStack", stack_list},
    {"TensorListFromTensor", from_tensor},
    {"TensorListConcat", concat_list},
    {"TensorListConcatV2", concat_list},
    {"TensorListSplit", split_list},
    {"TensorListGetItem", get_item},
    {"TensorListSetItem", set_item},
    {"TensorListResize", resize_list},
    {"TensorListGather", gather_list},
    {"TensorListScatter", scatter_list},
    {"TensorListScatterV2", scatter_list},
    {"TensorListScatterIntoExistingList", scatter_into},
    {"OptionalFromValue", optional_from_value},
    {"OptionalGetValue", optional_get_value},
    {"RandomGamma", random_gamma},
    {"StatelessRandomGammaV2", stateless_gamma_v2},
    {"StatelessRandomGammaV3", stateless_gamma_v3},
};

}  // namespace

GradientRules state_gradients() { return kRules; }

}  // namespace hub
