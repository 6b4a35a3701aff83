// hub::create_module_spec: modules made by functions.

#include <algorithm>
#include <set>

#include "base/errors.h"
#include "format/module_def.h"
#include "graph/meta_graph.h"
#include "hub/ops.h"
#include "module/spec_impl.h"
#include "module/state_ops.h"
#include "module/variants.h"

namespace hub {
namespace {

TensorInfo dense_info(const Output& tensor) {
  TensorInfo info;
  info.encoding = DenseEncoding{tensor.name()};
  info.dtype = tensor.dtype();
  info.is_reference = tensor.is_reference();
  info.shape = tensor.shape();
  return info;
}

// RaggedTensorSpec: (shape, dtype, ragged rank, dtype of the row splits).
TypeSpec ragged_type(const ValueInfo& info) {
  TupleValue state;
  state.values = {StructuredValue{info.shape}, StructuredValue{info.dtype},
                  StructuredValue{std::int64_t{info.ragged_rank}},
                  StructuredValue{info.row_splits_dtype}};
  TypeSpec type;
  type.type_class = kRaggedTensorSpec;
  type.class_name = "RaggedTensorSpec";
  type.state = std::make_shared<const StructuredValue>(StructuredValue{std::move(state)});
  return type;
}

TensorInfo to_tensor_info(const Value& value) {
  if (value.is_dense()) return dense_info(value.dense());
  const ValueInfo described = value.info();
  TensorInfo info;
  if (value.is_sparse()) {
    const SparseValue& sparse = value.sparse();
    info.encoding =
        SparseEncoding{sparse.values.name(), sparse.indices.name(), sparse.dense_shape.name(), {}};
    info.dtype = described.dtype;
    info.shape = described.shape;
    return info;
  }
  CompositeEncoding composite;
  composite.type_spec = ragged_type(described);
  for (const Output& part : value.parts()) composite.components.push_back(dense_info(part));
  info.encoding = std::move(composite);
  return info;
}

std::map<std::string, TensorInfo> to_tensor_infos(const ValueMap& values) {
  std::map<std::string, TensorInfo> infos;
  for (const auto& [name, value] : values) infos.emplace(name, to_tensor_info(value));
  return infos;
}

// "'x': IndexedSlices", for each value that signatures cannot have.
void find_unsupported(const ValueMap& values, std::vector<std::string>& found) {
  for (const auto& [name, value] : values) {
    if (value.is_dense() || value.is_sparse() || value.is_ragged()) continue;
    found.push_back(cat("'", printable(name), "': ", value.type_name()));
  }
}

void check_types(const std::string& name, const ValueMap& inputs, const ValueMap& outputs) {
  std::vector<std::string> bad;
  find_unsupported(inputs, bad);
  find_unsupported(outputs, bad);
  if (bad.empty()) return;
  throw value_error("The inputs and outputs of signature '", printable(name),
                    "' should have one of the types that are supported: Tensor, SparseTensor, "
                    "RaggedTensor. Details: ",
                    join(bad), ".");
}

void check_graph(const Graph& graph, const ValueMap& values) {
  for (const auto& [name, value] : values) {
    for (const Output& part : value.parts()) {
      if (part.graph_state() == &graph.state()) continue;
      throw value_error(
          "A module's signature takes and gives tensors of the module's graph. Details: '",
          printable(name), "'.");
    }
  }
}

// A fed tensor replaces an op's output: what is placed with that op would lose its place.
void check_input_colocation(const ValueMap& inputs) {
  for (const auto& [name, value] : inputs) {
    for (const Output& part : value.parts()) {
      const auto groups = part.graph_state()->colocation_groups(part.node());
      const std::string own = cat("loc:@", part.op().name());
      if (groups == std::vector<std::string>{own}) continue;
      throw value_error(
          "A tensor used as input '", printable(name),
          "' of a signature must not be subject to a colocation constraint: ", part.op().name(),
          " must not colocate with others. (The reverse is "
          "allowed.) Details: it has ",
          join(groups), ".");
    }
  }
}

// Inputs that are outputs of ops with several: "name='split:1'".
std::vector<std::string> multi_output_inputs(const ValueMap& inputs) {
  std::vector<std::string> result;
  for (const auto& [name, value] : inputs) {
    const std::vector<Output> parts = value.parts();
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (parts[i].op().num_outputs() == 1) continue;
      std::string part = name;
      if (value.is_sparse()) {
        constexpr const char* kParts[] = {".indices", ".values", ".dense_shape"};
        part += kParts[i];
      } else if (value.is_ragged()) {
        part += cat(".component_", i);
      }
      result.push_back(cat(part, "='", parts[i].name(), "'"));
    }
  }
  return result;
}

bool is_message_key(std::string_view key) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !key.empty() && is_letter(key.front()) && std::ranges::all_of(key, [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

ModuleBuilder::ModuleBuilder(std::map<std::string, Attr> arguments)
    : arguments_(std::move(arguments)) {}

Output ModuleBuilder::placeholder(DType dtype, const PartialShape& shape,
                                  std::string_view name) const {
  return ops::placeholder(graph_, dtype, shape, name);
}

SparseValue ModuleBuilder::sparse_placeholder(DType dtype, const PartialShape& shape,
                                              std::string_view name) const {
  const std::int64_t rank = shape.has_rank() ? shape.rank() : -1;
  const std::string prefix = name.empty() ? std::string() : cat(name, "/");
  SparseValue value;
  // Known dimensions are kept by a constant default (tf.sparse.placeholder, TensorFlow 1.15).
  if (shape.is_fully_defined()) {
    const auto dims = shape.dims();
    value.dense_shape = ops::placeholder_with_default(
        ops::constant(graph_, make_tensor<std::int64_t>(Shape{rank}, dims)), {rank},
        cat(prefix, "shape"));
  } else {
    value.dense_shape = placeholder(kInt64, {rank}, cat(prefix, "shape"));
  }
  value.values = placeholder(dtype, {-1}, cat(prefix, "values"));
  value.indices = placeholder(kInt64, {-1, rank}, cat(prefix, "indices"));
  return value;
}

RaggedValue ModuleBuilder::ragged_placeholder(DType dtype, int ragged_rank,
                                              const PartialShape& value_shape,
                                              std::string_view name) const {
  if (ragged_rank < 1) {
    throw value_error("A ragged value has at least one ragged dimension. Details: got ",
                      ragged_rank, ".");
  }
  const NameScope scope(graph_, name.empty() ? "RaggedPlaceholder" : name);
  PartialShape shape;
  if (value_shape.has_rank()) {
    std::vector<std::int64_t> dims = {-1};
    dims.insert(dims.end(), value_shape.dims().begin(), value_shape.dims().end());
    shape = PartialShape(std::move(dims));
  }
  RaggedValue value;
  value.values = placeholder(dtype, shape, "flat_values");
  for (int i = 0; i < ragged_rank; ++i)
    value.row_splits.push_back(placeholder(kInt64, {-1}, cat("row_splits_", i)));
  return value;
}

const Attr* ModuleBuilder::find_argument(std::string_view name) const {
  const auto found = arguments_.find(std::string(name));
  if (found == arguments_.end()) return nullptr;
  used_arguments_[found->first] = true;
  return &found->second;
}

void ModuleBuilder::refuse_argument(std::string_view name) {
  throw type_error(
      "An argument of a variant must be of the type that the module's function asks "
      "for. Details: argument '",
      printable(name), "'.");
}

void ModuleBuilder::add_signature(SignatureOptions signature) {
  std::string name = signature.name.empty() ? "default" : std::move(signature.name);
  check_types(name, signature.inputs, signature.outputs);
  check_graph(graph_, signature.inputs);
  check_graph(graph_, signature.outputs);
  const std::vector<std::string> affected = multi_output_inputs(signature.inputs);
  if (!affected.empty()) {
    warnings_.push_back(
        cat("WARNING: The inputs declared in hub.add_signature() should have a single output, else "
            "colocation constraints may be impossible to keep where the module is applied. "
            "Affected inputs: ",
            join(affected)));
  }
  check_input_colocation(signature.inputs);
  signatures_.push_back(
      {std::move(name), std::move(signature.inputs), std::move(signature.outputs)});
}

void ModuleBuilder::attach_message(std::string_view key, std::string bytes) {
  if (!is_message_key(key)) {
    throw value_error("hub.attach_message() called with malformed key '", printable(key),
                      "'. A key is a letter, then letters, digits and underscores.");
  }
  const auto found = std::ranges::find(messages_, key, &Message::key);
  if (found != messages_.end()) {
    found->bytes = std::move(bytes);
  } else {
    messages_.push_back({std::string(key), std::move(bytes)});
  }
}

void ModuleBuilder::attach_image_size(int height, int width) {
  attach_message("image_module_info",
                 serialize_image_module_info({.height = height, .width = width}));
}

// Runs the module's function for one variant.
class SpecCreator {
 public:
  SpecCreator(const ModuleFunction& function, const CreateOptions& options)
      : function_(function), options_(options) {}

  MetaGraph create(const GraphVariant& variant) const {
    ModuleBuilder builder(variant.arguments);
    {
      const VariableScope root(builder.graph_, "",
                               {.use_resource = true, .auxiliary_name_scope = false});
      function_(builder);
    }
    check_arguments(builder);
    for (const std::string& key : options_.drop_collections) builder.graph_.clear_collection(key);
    check_state_colocation(builder.graph_.state(), variant.tags);
    if (builder.signatures_.empty()) {
      throw value_error(
          "No signatures present. Call add_signature() at least once in the module's function.");
    }
    if (options_.log) {
      for (const std::string& warning : builder.warnings_) options_.log(warning);
    }
    return to_message(builder, variant.tags);
  }

 private:
  static void check_arguments(const ModuleBuilder& builder) {
    for (const auto& [name, value] : builder.arguments_) {
      if (builder.used_arguments_.contains(name)) continue;
      throw type_error("The module's function got an unexpected argument '", printable(name),
                       "': it does not ask for it.");
    }
  }

  // State is made once where a module is instantiated, everything else where it is applied.
  static void check_state_colocation(const GraphState& graph, const Tags& tags) {
    const GraphData& data = graph.data();
    std::set<std::string> states;
    for (const Node& node : data.nodes()) {
      if (is_state_op(node.op)) states.insert(cat("loc:@", node.name));
    }
    for (int i = 0; i < data.num_nodes(); ++i) {
      const Node& node = data.node(i);
      if (!is_state_op(node.op)) continue;
      for (const std::string& group : graph.colocation_groups(i)) {
        if (states.contains(group)) continue;
        throw value_error(
            "A state-holding node of a module's graph (a variable, a table) must not colocate with "
            "a node that holds no state. Details: \"",
            node.name, "\" (", node.op_name, ") has ", group,
            tags.empty() ? "" : cat(", in the graph ", tags_text(tags)), ".");
      }
    }
  }

  static MetaGraph to_message(const ModuleBuilder& builder, const Tags& tags) {
    MetaGraph meta_graph =
        to_meta_graph(builder.graph_.state(), {.strip_default_attrs = true, .tags = tags});
    for (const auto& declared : builder.signatures_) {
      SignatureDef signature;
      signature.inputs = to_tensor_infos(declared.inputs);
      signature.outputs = to_tensor_infos(declared.outputs);
      meta_graph.signatures[declared.name] = std::move(signature);
    }
    if (!builder.messages_.empty()) {
      ByteStrings messages;
      for (const auto& message : builder.messages_)
        messages.values.push_back(serialize_module_attachment({message.key, message.bytes}));
      meta_graph.collections["hub_module_attachments"].value = std::move(messages);
    }
    return meta_graph;
  }

  const ModuleFunction& function_;
  const CreateOptions& options_;
};

ModuleSpec create_module_spec(const ModuleFunction& function, const CreateOptions& options) {
  const SpecCreator creator(function, options);
  std::vector<MetaGraph> variants;
  if (options.variants.empty()) {
    variants.push_back(creator.create({}));
  } else {
    for (const GraphVariant& variant : options.variants)
      variants.push_back(creator.create(variant));
  }
  return ModuleSpec(
      std::make_shared<const ModuleSpec::Impl>(std::move(variants), "a module that was created"));
}

}  // namespace hub
