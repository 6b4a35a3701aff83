#include "graph/graph_data.h"

#include <algorithm>
#include <charconv>

#include "base/errors.h"
#include "graph/shape_context.h"

namespace hub {
namespace {

const OutputFact kUnknownFact{};

// Fits a node to its op's schema: attributes, inputs and outputs.
class NodeBuilder {
 public:
  NodeBuilder(const GraphData& graph, const OpDefMessage& schema, Node& node)
      : graph_(graph), schema_(schema), node_(node) {}

  void build() {
    infer_attrs_from_inputs();
    fill_defaults();
    for (const AttrDef& def : schema_.attrs) check_attr(def);
    assign_inputs();
    make_outputs();
  }

 private:
  const DType* type_attr(const std::string& name) const {
    const auto found = node_.attrs.find(name);
    return found == node_.attrs.end() ? nullptr : std::get_if<DType>(&found->second.value);
  }

  // A node that our own code adds may leave out type and number attributes.
  void infer_attrs_from_inputs() {
    const bool only_one_variadic = std::ranges::count_if(schema_.inputs, is_variadic) <= 1;
    std::size_t next = 0;
    for (std::size_t i = 0; i < schema_.inputs.size(); ++i) {
      const ArgDef& arg = schema_.inputs[i];
      std::size_t count = 1;
      if (is_variadic(arg)) {
        if (!only_one_variadic) return;
        const std::size_t others = schema_.inputs.size() - 1;
        count = node_.inputs.size() >= others ? node_.inputs.size() - others : 0;
      }
      if (next + count > node_.inputs.size()) return;
      infer_attrs_of(arg, next, count);
      next += count;
    }
  }

  void infer_attrs_of(const ArgDef& arg, std::size_t begin, std::size_t count) {
    if (!arg.number_attr.empty() && !node_.attrs.contains(arg.number_attr)) {
      node_.attrs[arg.number_attr] = AttrValue(static_cast<std::int64_t>(count));
    }
    if (!arg.type_attr.empty() && count > 0 && !node_.attrs.contains(arg.type_attr)) {
      const DType dtype = graph_.fact(node_.inputs[begin]).dtype;
      if (dtype != DType::kInvalid) node_.attrs[arg.type_attr] = AttrValue(dtype);
    }
    if (!arg.type_list_attr.empty() && !node_.attrs.contains(arg.type_list_attr)) {
      AttrList list;
      for (std::size_t i = 0; i < count; ++i)
        list.types.push_back(graph_.fact(node_.inputs[begin + i]).dtype);
      node_.attrs[arg.type_list_attr] = AttrValue(list);
    }
  }

  static bool is_variadic(const ArgDef& arg) {
    return !arg.number_attr.empty() || !arg.type_list_attr.empty();
  }

  void fill_defaults() {
    for (const AttrDef& def : schema_.attrs) {
      if (def.default_value) node_.attrs.try_emplace(def.name, *def.default_value);
    }
  }

  void check_attr(const AttrDef& def) const {
    const auto found = node_.attrs.find(def.name);
    if (found == node_.attrs.end()) {
      throw invalid_argument(node_.op_name, ": a required attribute is missing. Details: \"",
                             def.name, "\" (", def.type, ").");
    }
    const AttrValue& value = found->second;
    if (std::holds_alternative<AttrPlaceholder>(value.value)) return;  // inside a function's body
    if (!has_type(value, def.type)) {
      throw invalid_argument(node_.op_name, ": an attribute has the wrong type. Details: \"",
                             def.name, "\" is ", value, ", expected ", def.type, ".");
    }
    if (def.has_minimum) check_minimum(def, value);
    if (def.allowed_values) check_allowed(def, value);
  }

  static bool has_type(const AttrValue& value, std::string_view type) {
    const auto& v = value.value;
    if (type == "int") return std::holds_alternative<std::int64_t>(v);
    if (type == "float") return std::holds_alternative<float>(v);
    if (type == "bool") return std::holds_alternative<bool>(v);
    if (type == "string") return std::holds_alternative<std::string>(v);
    if (type == "type") return std::holds_alternative<DType>(v);
    if (type == "shape") return std::holds_alternative<PartialShape>(v);
    if (type == "tensor") return std::holds_alternative<Tensor>(v);
    if (type == "func") return std::holds_alternative<FunctionRef>(v);
    const AttrList* list = std::get_if<AttrList>(&v);
    return list != nullptr && list_size(*list) == list_size_of(*list, type);
  }

  static std::size_t list_size(const AttrList& list) {
    return list.strings.size() + list.ints.size() + list.floats.size() + list.bools.size() +
           list.types.size() + list.shapes.size() + list.tensors.size() + list.functions.size();
  }

  static std::size_t list_size_of(const AttrList& list, std::string_view type) {
    if (type == "list(int)") return list.ints.size();
    if (type == "list(float)") return list.floats.size();
    if (type == "list(bool)") return list.bools.size();
    if (type == "list(string)") return list.strings.size();
    if (type == "list(type)") return list.types.size();
    if (type == "list(shape)") return list.shapes.size();
    if (type == "list(tensor)") return list.tensors.size();
    return list.functions.size();
  }

  void check_minimum(const AttrDef& def, const AttrValue& value) const {
    std::int64_t number = 0;
    if (const auto* integer = std::get_if<std::int64_t>(&value.value)) number = *integer;
    if (const auto* list = std::get_if<AttrList>(&value.value))
      number = static_cast<std::int64_t>(list_size(*list));
    if (number < def.minimum) {
      throw invalid_argument(node_.op_name, ": an attribute is below its minimum. Details: \"",
                             def.name, "\" is ", number, ", must be at least ", def.minimum, ".");
    }
  }

  void check_allowed(const AttrDef& def, const AttrValue& value) const {
    const AttrList& allowed = std::get<AttrList>(def.allowed_values->value);
    const auto type_allowed = [&](DType dtype) {
      return std::ranges::count(allowed.types, dtype) > 0;
    };
    const auto string_allowed = [&](const std::string& s) {
      return std::ranges::count(allowed.strings, s) > 0;
    };
    bool fine = true;
    if (const auto* dtype = std::get_if<DType>(&value.value)) fine = type_allowed(*dtype);
    if (const auto* text = std::get_if<std::string>(&value.value)) fine = string_allowed(*text);
    if (const auto* list = std::get_if<AttrList>(&value.value)) {
      fine = std::ranges::all_of(list->types, type_allowed) &&
             std::ranges::all_of(list->strings, string_allowed);
    }
    if (fine) return;
    const std::string choice = allowed.types.empty() ? join(allowed.strings) : join(allowed.types);
    throw invalid_argument(node_.op_name,
                           ": an attribute has a value that the op does not take. Details: \"",
                           def.name, "\" is ", value, ", allowed are ", choice, ".");
  }

  // The dtypes of one argument, as its attributes say.
  std::vector<DType> arg_types(const ArgDef& arg) const {
    if (!arg.type_list_attr.empty()) {
      return attr_value<AttrList>(node_.attrs, node_.name, arg.type_list_attr).types;
    }
    DType dtype = arg.type;
    if (!arg.type_attr.empty()) {
      const DType* attr = type_attr(arg.type_attr);
      dtype = attr ? *attr : DType::kInvalid;  // a placeholder in a function's body
    }
    std::int64_t count = 1;
    if (!arg.number_attr.empty())
      count = attr_value<std::int64_t>(node_.attrs, node_.name, arg.number_attr);
    constexpr std::int64_t kMaxArgs = 1 << 20;
    if (count < 0 || count > kMaxArgs) {
      throw invalid_argument(node_.op_name, ": an argument has too many parts. Details: \"",
                             arg.name, "\" has ", count, ".");
    }
    return std::vector<DType>(static_cast<std::size_t>(count), dtype);
  }

  void assign_inputs() {
    std::size_t next = 0;
    for (const ArgDef& arg : schema_.inputs) {
      node_.input_arg_begins.push_back(static_cast<std::int32_t>(next));
      const std::vector<DType> types = arg_types(arg);
      if (next + types.size() > node_.inputs.size()) wrong_input_count();
      for (const DType dtype : types) check_input(arg, next++, dtype);
    }
    node_.input_arg_begins.push_back(static_cast<std::int32_t>(next));
    if (next != node_.inputs.size()) wrong_input_count();
  }

  [[noreturn]] void wrong_input_count() const {
    std::size_t expected = 0;
    for (const ArgDef& arg : schema_.inputs) expected += arg_types(arg).size();
    throw invalid_argument(node_.op_name,
                           ": the node has the wrong number of inputs. Details: it has ",
                           node_.inputs.size(), ", its attributes say ", expected, ".");
  }

  void check_input(const ArgDef& arg, std::size_t index, DType expected) const {
    const OutputId source = node_.inputs[index];
    if (!source.is_valid()) return;
    const OutputFact& fact = graph_.fact(source);
    if (fact.dtype != DType::kInvalid && expected != DType::kInvalid && fact.dtype != expected) {
      throw invalid_argument(node_.op_name, ": an input has the wrong dtype. Details: input ",
                             index, " \"", arg.name, "\" is ", graph_.output_name(source), " of ",
                             fact.dtype, ", expected ", expected, ".");
    }
    if (arg.is_ref && fact.dtype != DType::kInvalid && !fact.is_ref) {
      throw invalid_argument(node_.op_name,
                             ": an input must be a reference to a variable. Details: input ", index,
                             " \"", arg.name, "\" is ", graph_.output_name(source), ".");
    }
  }

  void make_outputs() {
    for (const ArgDef& arg : schema_.outputs) {
      node_.output_arg_begins.push_back(static_cast<std::int32_t>(node_.outputs.size()));
      for (const DType dtype : arg_types(arg)) {
        OutputFact fact;
        fact.dtype = dtype;
        fact.is_ref = arg.is_ref;
        node_.outputs.push_back(std::move(fact));
      }
    }
    node_.output_arg_begins.push_back(static_cast<std::int32_t>(node_.outputs.size()));
  }

  const GraphData& graph_;
  const OpDefMessage& schema_;
  Node& node_;
};

}  // namespace

TensorName parse_tensor_name(std::string_view text) {
  TensorName name;
  if (text.starts_with('^')) {
    name.is_control = true;
    name.node = text.substr(1);
  } else if (const auto colon = text.rfind(':'); colon != std::string_view::npos) {
    name.node = text.substr(0, colon);
    const std::string_view digits = text.substr(colon + 1);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), name.index);
    if (error != std::errc() || end != digits.data() + digits.size() || name.index < 0) {
      throw invalid_argument("A tensor's name is \"node\" or \"node:index\". Details: got \"",
                             printable(text), "\".");
    }
  } else {
    name.node = text;
  }
  if (name.node.empty()) {
    throw invalid_argument("A tensor's name is \"node\" or \"node:index\". Details: got \"",
                           printable(text), "\".");
  }
  return name;
}

int GraphData::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? -1 : found->second;
}

OutputId GraphData::find_output(std::string_view tensor_name) const {
  const TensorName name = parse_tensor_name(tensor_name);
  const int node_index = find(name.node);
  if (node_index < 0) {
    throw not_found("There is no such node in the graph. Details: \"", printable(tensor_name),
                    "\".");
  }
  if (name.is_control) return {node_index, -1};
  const Node& found = node(node_index);
  if (found.op != nullptr && name.index >= static_cast<int>(found.outputs.size())) {
    throw not_found("The node has no such output. Details: \"", printable(tensor_name),
                    "\": ", found.op_name, " has ", found.outputs.size(), " outputs.");
  }
  return {node_index, name.index};
}

std::string GraphData::output_name(OutputId output) const {
  return cat(node(output.node).name, ":", output.index);
}

const OutputFact& GraphData::fact(OutputId output) const {
  if (!output.is_valid()) return kUnknownFact;
  const Node& source = node(output.node);
  const auto index = static_cast<std::size_t>(output.index);
  return index < source.outputs.size() ? source.outputs[index] : kUnknownFact;
}

const Tensor* GraphData::constant(OutputId output) const {
  if (!output.is_valid()) return nullptr;
  const Node& source = node(output.node);
  if (source.op_name != "Const") return nullptr;
  const auto found = source.attrs.find("value");
  return found == source.attrs.end() ? nullptr : std::get_if<Tensor>(&found->second.value);
}

int GraphData::add(NodeSpec spec) {
  if (find(spec.name) >= 0) {
    throw already_exists("The names of nodes are unique. Details: \"", printable(spec.name),
                         "\" is there twice.");
  }
  Node node;
  node.name = std::move(spec.name);
  node.op_name = std::move(spec.op);
  node.op = registry_->find(node.op_name);
  node.device = std::move(spec.device);
  node.attrs = std::move(spec.attrs);
  node.inputs = std::move(spec.inputs);
  node.control_inputs = std::move(spec.control_inputs);
  const auto function = node.op == nullptr ? functions.find(node.op_name) : functions.end();
  if (node.op != nullptr || function != functions.end()) {
    with_context(
        [&] {
          // A function's name may stand where an op's stands.
          NodeBuilder(*this, node.op != nullptr ? node.op->schema() : function->second->signature,
                      node)
              .build();
          if (node.op != nullptr) infer_shapes(*this, node);
        },
        [&] { return cat("in node \"", node.name, "\" (", node.op_name, ")"); });
  }
  const int index = num_nodes();
  by_name_.emplace(node.name, index);
  nodes_.push_back(std::move(node));
  return index;
}

int GraphData::add_source(std::string name, std::string op_name, OutputFact fact) {
  Node node;
  node.name = std::move(name);
  node.op_name = std::move(op_name);
  node.outputs.push_back(std::move(fact));
  return add_copy(std::move(node));
}

int GraphData::add_copy(Node node) {
  const int index = num_nodes();
  by_name_.try_emplace(node.name, index);
  nodes_.push_back(std::move(node));
  return index;
}

void GraphData::set_input(int node, int input, OutputId output) {
  nodes_[static_cast<std::size_t>(node)].inputs[static_cast<std::size_t>(input)] = output;
}

std::string GraphData::unique_name(std::string_view name) const {
  if (find(name) < 0) return std::string(name);
  for (int suffix = 1;; ++suffix) {
    std::string candidate = cat(name, "_", suffix);
    if (find(candidate) < 0) return candidate;
  }
}

}  // namespace hub
