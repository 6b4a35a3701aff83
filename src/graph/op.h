#pragma once

// What an op is: one constexpr table entry with its schema, shape rule, kernel and
// gradient, and the registry that finds entries by name.

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "format/graph_def.h"
#include "hub/tensor.h"

namespace hub {

class ShapeContext;
class Kernel;
class KernelInit;
class GradientContext;
class Output;

using Shapes = std::vector<PartialShape>;
using ShapeFunction = Shapes (*)(ShapeContext&);
using KernelFactory = std::unique_ptr<Kernel> (*)(const KernelInit&);
// The gradients to the inputs, in order; an invalid Output where there is none.
using Gradients = std::vector<Output>;
using GradientFunction = Gradients (*)(GradientContext&);

// Ops that steer execution; everything else is ordinary.
enum class ControlFlow : std::uint8_t {
  kNone,
  kSwitch,
  kMerge,
  kEnter,
  kExit,
  kNextIteration,
  kLoopCond,
  kControlTrigger,
};

// What `tf.gradients` may do with an op that has no gradient function.
enum class Differentiable : std::uint8_t {
  kYes,      // the gradient slot says how (nullptr: not written yet)
  kNone,     // the gradient to every input is None (TensorFlow's NotDifferentiable)
  kRefused,  // asking for it is an error
};

// A table entry. Schemas are TensorFlow's, in its notation:
//   inputs, outputs: "x: T, values: N * T, ref: Ref(T), list: Tlist, size: int32"
//   attrs: "T: {half, float}; N: int >= 1; padding: {'SAME', 'VALID'}; strides: list(int);
//           keep_dims: bool = false; dtype: type = int32; shape: shape = ?"
// `?` is the shape of unknown rank. The words numbertype, realnumbertype and quantizedtype
// stand for TensorFlow's lists.
struct OpDef {
  std::string_view name;
  std::string_view inputs = {};
  std::string_view outputs = {};
  std::string_view attrs = {};
  ShapeFunction shape = nullptr;  // nullptr: nothing is known of the outputs
  KernelFactory kernel = nullptr;
  GradientFunction gradient = nullptr;
  Differentiable differentiable = Differentiable::kYes;
  bool stateful = false;
  bool commutative = false;
  bool aggregate = false;
  bool allows_uninitialized_input = false;
  ControlFlow control_flow = ControlFlow::kNone;
  // Takes a resource or reference, but never writes a variable.
  bool reads_variables_only = false;
  // The session's answer never changes (a variable's handle): may be computed at planning.
  bool constant_in_session = false;
};

using OpFamily = std::span<const OpDef>;

// An entry and its parsed schema.
class Op {
 public:
  explicit Op(const OpDef& def) : def_(&def) {}
  const OpDef& def() const { return *def_; }
  std::string_view name() const { return def_->name; }
  // Parsed at the first call; thread-safe. Errors: INTERNAL for a table entry that is wrong.
  const OpDefMessage& schema() const;

 private:
  const OpDef* def_;
  mutable std::once_flag parsed_;
  mutable OpDefMessage schema_;
};

// Ops by name. Immutable after construction, so any thread may read it.
class OpRegistry {
 public:
  explicit OpRegistry(std::span<const OpFamily> families);
  // nullptr where there is no such op.
  const Op* find(std::string_view name) const;
  // Sorted by name.
  std::vector<const Op*> ops() const;

 private:
  std::unordered_map<std::string_view, std::unique_ptr<Op>> ops_;
};

// Parses the schema notation. Errors: INTERNAL, naming the op and the text.
OpDefMessage parse_schema(const OpDef& def);

const AttrDef* find_attr_def(const OpDefMessage& schema, std::string_view name);

}  // namespace hub
