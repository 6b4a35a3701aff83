#include "graph/function.h"

#include <algorithm>

#include "base/errors.h"
#include "graph/import.h"

namespace hub {
namespace {

// Replaces "$T" by the instantiation's value, also inside of attributes that name functions.
void substitute(AttrMap& attrs, const AttrMap& values) {
  for (auto& [name, attr] : attrs) {
    if (const auto* placeholder = std::get_if<AttrPlaceholder>(&attr.value)) {
      const auto found = values.find(placeholder->name);
      if (found == values.end()) {
        throw invalid_argument("An attribute of a function is not given. Details: \"",
                               placeholder->name, "\".");
      }
      attr = found->second;
    } else if (auto* function = std::get_if<FunctionRef>(&attr.value)) {
      substitute(function->attrs, values);
    } else if (auto* list = std::get_if<AttrList>(&attr.value)) {
      for (FunctionRef& element : list->functions) substitute(element.attrs, values);
    }
  }
}

std::vector<DType> arg_dtypes(const ArgDef& arg, const AttrMap& attrs,
                              const std::string& function) {
  if (!arg.type_list_attr.empty())
    return attr_value<AttrList>(attrs, function, arg.type_list_attr).types;
  const DType dtype =
      arg.type_attr.empty() ? arg.type : attr_value<DType>(attrs, function, arg.type_attr);
  std::int64_t count = 1;
  if (!arg.number_attr.empty()) count = attr_value<std::int64_t>(attrs, function, arg.number_attr);
  constexpr std::int64_t kMaxArgs = 1 << 16;
  if (count < 0 || count > kMaxArgs) {
    throw invalid_argument("A function's argument has too many parts. Details: \"", arg.name,
                           "\" has ", count, ".");
  }
  return std::vector<DType>(static_cast<std::size_t>(count), dtype);
}

class Instantiation {
 public:
  Instantiation(const FunctionDef& def, const AttrMap& attrs, const GraphData& library)
      : def_(def), attrs_(attrs), body_(std::make_unique<FunctionBody>(library.registry())) {
    body_->graph.functions = library.functions;
    body_->graph.function_gradients = library.function_gradients;
    for (const AttrDef& attr : def.signature.attrs) {
      if (attr.default_value) attrs_.try_emplace(attr.name, *attr.default_value);
    }
  }

  std::unique_ptr<FunctionBody> run() {
    add_arguments();
    GraphDef nodes;
    nodes.nodes = def_.nodes;
    for (NodeDef& node : nodes.nodes) substitute(node.attrs, attrs_);
    const std::vector<int> added = import_graph_def(nodes, options_, body_->graph);
    find_returns();
    for (const auto& [name, node] : def_.control_returns) add_target(body_->graph.find(node), name);
    for (const int node : added) {
      if (body_->graph.node(node).op != nullptr && body_->graph.node(node).op->def().stateful)
        body_->effects.push_back(node);
    }
    return std::move(body_);
  }

 private:
  void add_arguments() {
    options_.function_body = true;
    for (const ArgDef& arg : def_.signature.inputs) {
      const std::vector<DType> dtypes = arg_dtypes(arg, attrs_, def_.signature.name);
      const bool single = arg.number_attr.empty() && arg.type_list_attr.empty();
      for (std::size_t i = 0; i < dtypes.size(); ++i) {
        OutputFact fact;
        fact.dtype = dtypes[i];
        const std::string name = single ? arg.name : cat(arg.name, ":", i);
        const OutputId output{body_->graph.add_source(cat("_arg/", name), "_Arg", fact), 0};
        options_.input_map[name] = output;
        if (single) options_.input_map[cat(name, ":0")] = output;
        options_.input_map[cat("^", arg.name)] = output;
        body_->inputs.push_back(output);
      }
    }
  }

  void find_returns() {
    for (const ArgDef& arg : def_.signature.outputs) {
      const auto found = def_.returns.find(arg.name);
      if (found == def_.returns.end()) {
        throw invalid_argument("Every output of a function must be returned. Details: \"", arg.name,
                               "\".");
      }
      body_->outputs.push_back(resolve(found->second));
      body_->output_dtypes.push_back(body_->graph.fact(body_->outputs.back()).dtype);
    }
  }

  // "arg", "node:output:index".
  OutputId resolve(const std::string& text) const {
    if (const auto mapped = options_.input_map.find(text); mapped != options_.input_map.end())
      return mapped->second;
    const std::vector<std::string> parts = split(text, ':');
    const int node = body_->graph.find(parts[0]);
    if (node < 0 || parts.size() > 3) {
      throw invalid_argument(
          "A function returns \"argument\" or \"node:output:index\". Details: got \"",
          printable(text), "\".");
    }
    int index = 0;
    if (parts.size() == 3) index = parse_tensor_name(cat("n:", parts[2])).index;
    const Node& source = body_->graph.node(node);
    if (parts.size() >= 2) index += output_begin(source, parts[1]);
    if (index >= static_cast<int>(source.outputs.size()) && source.op != nullptr) {
      throw invalid_argument("A function returns an output that is not there. Details: \"",
                             printable(text), "\".");
    }
    return {node, index};
  }

  int output_begin(const Node& node, const std::string& name) const {
    const OpDefMessage* schema = node.op != nullptr ? &node.op->schema() : nullptr;
    if (const auto found = body_->graph.functions.find(node.op_name);
        schema == nullptr && found != body_->graph.functions.end()) {
      schema = &found->second->signature;
    }
    if (schema == nullptr) return 0;
    for (std::size_t i = 0; i < schema->outputs.size(); ++i) {
      if (schema->outputs[i].name == name) return node.output_arg_begins[i];
    }
    throw invalid_argument("A function returns an output that is not there. Details: \"", node.name,
                           ":", name, "\".");
  }

  void add_target(int node, const std::string& name) {
    if (node < 0)
      throw invalid_argument("A function's control output names no node. Details: \"", name, "\".");
    body_->targets.push_back(node);
  }

  const FunctionDef& def_;
  AttrMap attrs_;
  ImportOptions options_;
  std::unique_ptr<FunctionBody> body_;
};

}  // namespace

std::unique_ptr<FunctionBody> instantiate_function(const FunctionRef& function,
                                                   const GraphData& library) {
  const auto found = library.functions.find(function.name);
  if (found == library.functions.end()) {
    throw not_found("The library has no such function. Details: \"", printable(function.name),
                    "\".");
  }
  return with_context([&] { return Instantiation(*found->second, function.attrs, library).run(); },
                      [&] { return cat("in function \"", function.name, "\""); });
}

std::string function_key(const FunctionRef& function) {
  std::string key = function.name;
  for (const auto& [name, value] : function.attrs) key += cat(";", name, "=", value);
  return key;
}

}  // namespace hub
