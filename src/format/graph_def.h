#pragma once

// TensorFlow's graph messages as plain structs. Readers check the bytes; unknown fields
// are kept and written again. Where a number in a file is not one that we know (a dtype,
// an enum), reading fails with the rule and the place.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "hub/tensor.h"

namespace hub {

struct AttrValue;
using AttrMap = std::map<std::string, AttrValue, std::less<>>;

// A function and the attributes that it is instantiated with (NameAttrList).
struct FunctionRef {
  std::string name;
  AttrMap attrs;
  std::string unknown_fields;
};

// list(int), list(shape)...: only one of the vectors is used, as the schema says.
struct AttrList {
  std::vector<std::string> strings;
  std::vector<std::int64_t> ints;
  std::vector<float> floats;
  std::vector<bool> bools;
  std::vector<DType> types;
  std::vector<PartialShape> shapes;
  std::vector<Tensor> tensors;
  std::vector<FunctionRef> functions;
  std::string unknown_fields;
};

// "$T" in a function body: the attribute of the instantiation.
struct AttrPlaceholder {
  std::string name;
};

// The value of an attribute. `value` holds monostate where the message has no kind set.
struct AttrValue {
  std::variant<std::monostate, std::string, std::int64_t, float, bool, DType, PartialShape, Tensor,
               FunctionRef, AttrList, AttrPlaceholder>
      value;
  std::string unknown_fields;

  AttrValue() = default;
  template <class T>
  AttrValue(T v) : value(std::move(v)) {}  // NOLINT: an attribute is made from its value
};

// Equal kinds and values (tensors by their bytes); unknown fields do not count.
bool operator==(const AttrValue& a, const AttrValue& b);
// "int 3", "type float32"...: for messages.
std::string to_string(const AttrValue& value);

// A variant's element that no code here understands: VariantTensorDataProto, serialized.
class OpaqueVariant final : public VariantValue {
 public:
  OpaqueVariant(std::string type_name, std::string bytes)
      : type_name_(std::move(type_name)), bytes_(std::move(bytes)) {}
  std::string_view type_name() const override { return type_name_; }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string type_name_;
  std::string bytes_;
};

struct NodeDef {
  std::string name;
  std::string op;
  std::vector<std::string> inputs;  // "node", "node:1", and last "^node" for control edges
  std::string device;
  AttrMap attrs;
  std::string unknown_fields;
};

struct ArgDef {
  std::string name;
  std::string description;
  DType type = DType::kInvalid;
  std::string type_attr;
  std::string number_attr;
  std::string type_list_attr;
  bool is_ref = false;
  std::string unknown_fields;  // handle_data, experimental_full_type
};

struct AttrDef {
  std::string name;
  std::string type;  // "int", "list(type)"...
  std::optional<AttrValue> default_value;
  std::string description;
  bool has_minimum = false;
  std::int64_t minimum = 0;
  std::optional<AttrValue> allowed_values;
  std::string unknown_fields;
};

// An op's schema as a message (the table entries of `graph/op.h` are made from text).
struct OpDefMessage {
  std::string name;
  std::vector<ArgDef> inputs;
  std::vector<ArgDef> outputs;
  std::vector<std::string> control_outputs;
  std::vector<AttrDef> attrs;
  std::string summary;
  std::string description;
  bool is_aggregate = false;
  bool is_stateful = false;
  bool is_commutative = false;
  bool allows_uninitialized_input = false;
  bool is_distributed_communication = false;
  std::string unknown_fields;  // deprecation
};

struct FunctionDef {
  OpDefMessage signature;
  std::vector<NodeDef> nodes;  // inputs here are "arg", "node:out_name:index", "^node"
  std::map<std::string, std::string> returns;          // output argument -> tensor
  std::map<std::string, std::string> control_returns;  // control output -> node
  AttrMap attrs;
  std::string unknown_fields;  // arg_attr, resource_arg_unique_id
};

struct GradientDef {
  std::string function_name;
  std::string gradient_function;
  std::string unknown_fields;
};

struct FunctionLibrary {
  std::vector<FunctionDef> functions;
  std::vector<GradientDef> gradients;
  std::string unknown_fields;  // registered_gradients
};

struct VersionDef {
  std::int32_t producer = 0;
  std::int32_t min_consumer = 0;
  std::vector<std::int32_t> bad_consumers;
  std::string unknown_fields;
};

struct GraphDef {
  std::vector<NodeDef> nodes;
  FunctionLibrary library;
  VersionDef versions;
  std::string unknown_fields;  // debug_info, the old version field
};

// What reading may allocate beyond what the bytes hold. A constant may give one value for a
// large shape; all such constants of one message together may take so much memory.
struct ParseLimits {
  std::uint64_t max_splat_bytes = std::uint64_t{1} << 31;
};

// Reading. `place` names the source in errors (a path).
// Errors: DATA_LOSS (kind decode) where the bytes are no GraphDef, INVALID_ARGUMENT for
// values that contradict (a tensor larger than its bytes say, an unknown dtype...),
// RESOURCE_EXHAUSTED beyond the limits. A dtype attribute may hold a reference dtype: see
// is_reference.
GraphDef parse_graph_def(std::string_view bytes, std::string_view place,
                         const ParseLimits& limits = {});
GraphDef parse_graph_def_text(std::string_view text, std::string_view place,
                              const ParseLimits& limits = {});
std::vector<OpDefMessage> parse_op_list(std::string_view bytes, std::string_view place);

// Files write the reference form of a dtype (a ref variable's output) as its number + 100.
constexpr bool is_reference(DType dtype) { return static_cast<int>(dtype) > 100; }
constexpr DType without_reference(DType dtype) {
  return is_reference(dtype) ? static_cast<DType>(static_cast<int>(dtype) - 100) : dtype;
}

// Writing: deterministic bytes (maps sorted by key).
std::string serialize_graph_def(const GraphDef& graph);
std::string graph_def_text(const GraphDef& graph);

// TensorProto, in its binary form. Elements of a variant tensor are OpaqueVariants; those of
// a resource tensor have names and no resource.
Tensor parse_tensor_proto(std::string_view bytes, std::string_view place);
std::string serialize_tensor_proto(const Tensor& tensor);

}  // namespace hub
