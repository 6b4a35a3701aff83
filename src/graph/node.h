#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/graph_def.h"
#include "graph/op.h"
#include "hub/tensor.h"

namespace hub {

// One tensor of a graph: an output of a node, by indices.
struct OutputId {
  std::int32_t node = -1;
  std::int32_t index = 0;
  bool is_valid() const { return node >= 0; }
  bool operator==(const OutputId&) const = default;
};

// What a resource holds (a variable's dtype and shape), as far as is known.
struct HandleFact {
  DType dtype = DType::kInvalid;
  PartialShape shape;
};

// What is known of an output before anything runs.
struct OutputFact {
  DType dtype = DType::kInvalid;  // kInvalid: an output of an op that we do not know
  bool is_ref = false;
  PartialShape shape;
  std::optional<HandleFact> handle;
  // For a small vector of integers: its elements as far as they are known (-1: not).
  std::optional<PartialShape> partial_value;
};

// Consecutive inputs (or outputs) that belong to one argument of the schema.
struct ArgRange {
  int begin = 0;
  int count = 0;
};

struct Node {
  std::string name;
  std::string op_name;
  const Op* op = nullptr;  // nullptr: an op that we do not know
  std::string device;
  AttrMap attrs;  // defaults are filled in
  std::vector<OutputId> inputs;
  std::vector<std::int32_t> control_inputs;
  std::vector<OutputFact> outputs;
  // Where each argument of the schema begins, one more than there are arguments.
  std::vector<std::int32_t> input_arg_begins;
  std::vector<std::int32_t> output_arg_begins;
};

// The attribute's value. Errors: INVALID_ARGUMENT where it is missing or of another kind.
template <class T>
const T& attr_value(const AttrMap& attrs, std::string_view node_name, std::string_view name);

template <>
const std::string& attr_value<std::string>(const AttrMap&, std::string_view, std::string_view);
template <>
const std::int64_t& attr_value<std::int64_t>(const AttrMap&, std::string_view, std::string_view);
template <>
const float& attr_value<float>(const AttrMap&, std::string_view, std::string_view);
template <>
const bool& attr_value<bool>(const AttrMap&, std::string_view, std::string_view);
template <>
const DType& attr_value<DType>(const AttrMap&, std::string_view, std::string_view);
template <>
const PartialShape& attr_value<PartialShape>(const AttrMap&, std::string_view, std::string_view);
template <>
const Tensor& attr_value<Tensor>(const AttrMap&, std::string_view, std::string_view);
template <>
const FunctionRef& attr_value<FunctionRef>(const AttrMap&, std::string_view, std::string_view);
template <>
const AttrList& attr_value<AttrList>(const AttrMap&, std::string_view, std::string_view);

// Inputs or outputs of the argument called `name`. Errors: INTERNAL for a wrong name.
ArgRange input_range(const Node& node, std::string_view name);
ArgRange output_range(const Node& node, std::string_view name);

}  // namespace hub
