// The nodes of v1 control flow. Switch, Merge, Enter, Exit, NextIteration and LoopCond have
// no kernels: they move values, which the frames executor does (runtime/frames.cpp).

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"

namespace hub {
namespace {

Shapes switch_shape(ShapeContext& c) {
  Shapes shapes(static_cast<std::size_t>(c.num_outputs()), c.input(0));
  for (int i = 0; i < c.num_outputs(); ++i) {
    if (c.input_handle(0)) c.set_output_handle(i, *c.input_handle(0));
  }
  return shapes;
}

// What all inputs agree on; a loop's back edge is not known yet, and then nothing is.
Shapes merge_shape(ShapeContext& c) {
  PartialShape shape = c.input(0);
  for (int i = 0; i < c.num_inputs(); ++i) {
    const OutputId source = c.node().inputs[static_cast<std::size_t>(i)];
    if (!source.is_valid()) return {PartialShape(), PartialShape(Shape())};
    const PartialShape& other = c.input(i);
    if (!shape.has_rank() || !other.has_rank() || shape.rank() != other.rank()) {
      shape = PartialShape();
      break;
    }
    std::vector<std::int64_t> dims(shape.dims().begin(), shape.dims().end());
    for (std::size_t k = 0; k < dims.size(); ++k) {
      if (dims[k] != other.dims()[k]) dims[k] = -1;
    }
    shape = PartialShape(dims);
  }
  if (c.input_handle(0)) c.set_output_handle(0, *c.input_handle(0));
  return {shape, PartialShape(Shape())};
}

Shapes passed_shape(ShapeContext& c) {
  if (c.input_handle(0)) c.set_output_handle(0, *c.input_handle(0));
  return {c.input(0)};
}

Shapes next_iteration_shape(ShapeContext& c) {
  if (c.input_handle(0)) c.set_output_handle(0, *c.input_handle(0));
  return {PartialShape()};
}

constexpr std::string_view kEnterAttrs =
    "T: type; frame_name: string; is_constant: bool = false; parallel_iterations: int = 10";

constexpr OpDef kOps[] = {
    {.name = "Switch",
     .inputs = "data: T, pred: bool",
     .outputs = "output_false: T, output_true: T",
     .attrs = "T: type",
     .shape = switch_shape,
     .control_flow = ControlFlow::kSwitch},
    {.name = "_SwitchN",
     .inputs = "data: T, output_index: int32",
     .outputs = "outputs: num_outs * T",
     .attrs = "num_outs: int >= 1; T: type",
     .shape = switch_shape,
     .control_flow = ControlFlow::kSwitch},
    {.name = "RefSwitch",
     .inputs = "data: Ref(T), pred: bool",
     .outputs = "output_false: Ref(T), output_true: Ref(T)",
     .attrs = "T: type",
     .shape = switch_shape,
     .allows_uninitialized_input = true,
     .control_flow = ControlFlow::kSwitch},
    {.name = "Merge",
     .inputs = "inputs: N * T",
     .outputs = "output: T, value_index: int32",
     .attrs = "T: type; N: int >= 1",
     .shape = merge_shape,
     .control_flow = ControlFlow::kMerge},
    {.name = "RefMerge",
     .inputs = "inputs: Ref(N * T)",
     .outputs = "output: Ref(T), value_index: int32",
     .attrs = "T: type; N: int >= 1",
     .shape = merge_shape,
     .control_flow = ControlFlow::kMerge},
    {.name = "Enter",
     .inputs = "data: T",
     .outputs = "output: T",
     .attrs = kEnterAttrs,
     .shape = passed_shape,
     .control_flow = ControlFlow::kEnter},
    {.name = "RefEnter",
     .inputs = "data: Ref(T)",
     .outputs = "output: Ref(T)",
     .attrs = kEnterAttrs,
     .shape = passed_shape,
     .control_flow = ControlFlow::kEnter},
    {.name = "Exit",
     .inputs = "data: T",
     .outputs = "output: T",
     .attrs = "T: type",
     .shape = passed_shape,
     .control_flow = ControlFlow::kExit},
    {.name = "RefExit",
     .inputs = "data: Ref(T)",
     .outputs = "output: Ref(T)",
     .attrs = "T: type",
     .shape = passed_shape,
     .control_flow = ControlFlow::kExit},
    {.name = "NextIteration",
     .inputs = "data: T",
     .outputs = "output: T",
     .attrs = "T: type",
     .shape = next_iteration_shape,
     .control_flow = ControlFlow::kNextIteration},
    {.name = "RefNextIteration",
     .inputs = "data: Ref(T)",
     .outputs = "output: Ref(T)",
     .attrs = "T: type",
     .shape = next_iteration_shape,
     .control_flow = ControlFlow::kNextIteration},
    {.name = "LoopCond",
     .inputs = "input: bool",
     .outputs = "output: bool",
     .shape = passed_shape,
     .control_flow = ControlFlow::kLoopCond},
    {.name = "ControlTrigger", .control_flow = ControlFlow::kControlTrigger},
};

}  // namespace

OpFamily control_ops() { return kOps; }

}  // namespace hub
