// GraphDef, FunctionDef, NodeDef and OpDef. What the structs do not hold (debug information,
// full types, fields of later versions) is kept as bytes and merged back when written.

#include "format/graph_def.h"

#include <google/protobuf/arena.h>

#include "base/errors.h"
#include "format/proto_convert.h"

namespace hub {

namespace {

using google::protobuf::Arena;

template <class Body>
decltype(auto) in_item(std::string_view kind, const std::string& name, Body&& body) {
  return with_context(std::forward<Body>(body),
                      [&] { return cat("in ", kind, " \"", printable(name), "\""); });
}

template <class Map>
std::map<std::string, std::string> read_string_map(Map& map) {
  return {map.begin(), map.end()};
}

std::string rest_of(pb::NodeDef& message) {
  if (!message.has_experimental_debug_info() && !message.has_experimental_type()) {
    return unknown_fields_of(message);
  }
  pb::NodeDef rest;
  if (message.has_experimental_debug_info()) {
    *rest.mutable_experimental_debug_info() = message.experimental_debug_info();
  }
  if (message.has_experimental_type())
    *rest.mutable_experimental_type() = message.experimental_type();
  return serialize_binary(rest) + unknown_fields_of(message);
}

std::string rest_of(pb::OpDef::ArgDef& message) {
  if (message.handle_data().empty() && !message.has_experimental_full_type()) {
    return unknown_fields_of(message);
  }
  pb::OpDef::ArgDef rest;
  *rest.mutable_handle_data() = message.handle_data();
  if (message.has_experimental_full_type()) {
    *rest.mutable_experimental_full_type() = message.experimental_full_type();
  }
  return serialize_binary(rest) + unknown_fields_of(message);
}

std::string rest_of(pb::FunctionDef& message) {
  if (message.arg_attr().empty() && message.resource_arg_unique_id().empty()) {
    return unknown_fields_of(message);
  }
  pb::FunctionDef rest;
  *rest.mutable_arg_attr() = message.arg_attr();
  *rest.mutable_resource_arg_unique_id() = message.resource_arg_unique_id();
  return serialize_binary(rest) + unknown_fields_of(message);
}

NodeDef read_node(pb::NodeDef& message, SplatBudget& budget) {
  NodeDef node;
  node.name = std::move(*message.mutable_name());
  node.op = std::move(*message.mutable_op());
  node.inputs.reserve(static_cast<std::size_t>(message.input_size()));
  for (auto& input : *message.mutable_input()) node.inputs.push_back(std::move(input));
  node.device = std::move(*message.mutable_device());
  in_item("node", node.name, [&] { node.attrs = read_attrs(*message.mutable_attr(), budget); });
  node.unknown_fields = rest_of(message);
  return node;
}

void write_node(const NodeDef& node, pb::NodeDef& message) {
  in_item("node", node.name, [&] {
    merge_rest(message, node.unknown_fields);
    message.set_name(node.name);
    message.set_op(node.op);
    for (const auto& input : node.inputs) message.add_input(input);
    message.set_device(node.device);
    write_attrs(node.attrs, *message.mutable_attr());
  });
}

ArgDef read_arg(pb::OpDef::ArgDef& message, DTypeRule rule) {
  ArgDef arg;
  arg.name = std::move(*message.mutable_name());
  arg.description = std::move(*message.mutable_description());
  in_item("argument", arg.name, [&] { arg.type = read_dtype(message.type(), rule); });
  arg.type_attr = std::move(*message.mutable_type_attr());
  arg.number_attr = std::move(*message.mutable_number_attr());
  arg.type_list_attr = std::move(*message.mutable_type_list_attr());
  arg.is_ref = message.is_ref();
  arg.unknown_fields = rest_of(message);
  return arg;
}

void write_arg(const ArgDef& arg, pb::OpDef::ArgDef& message) {
  merge_rest(message, arg.unknown_fields);
  message.set_name(arg.name);
  message.set_description(arg.description);
  message.set_type(static_cast<pb::DataType>(arg.type));
  message.set_type_attr(arg.type_attr);
  message.set_number_attr(arg.number_attr);
  message.set_type_list_attr(arg.type_list_attr);
  message.set_is_ref(arg.is_ref);
}

AttrDef read_attr_def(pb::OpDef::AttrDef& message, SplatBudget& budget, DTypeRule rule) {
  AttrDef attr;
  attr.name = std::move(*message.mutable_name());
  attr.type = std::move(*message.mutable_type());
  in_item("attribute", attr.name, [&] {
    if (message.has_default_value()) {
      attr.default_value = read_attr(*message.mutable_default_value(), budget, rule);
    }
    if (message.has_allowed_values()) {
      attr.allowed_values = read_attr(*message.mutable_allowed_values(), budget, rule);
    }
  });
  attr.description = std::move(*message.mutable_description());
  attr.has_minimum = message.has_minimum();
  attr.minimum = message.minimum();
  attr.unknown_fields = unknown_fields_of(message);
  return attr;
}

void write_attr_def(const AttrDef& attr, pb::OpDef::AttrDef& message) {
  merge_rest(message, attr.unknown_fields);
  message.set_name(attr.name);
  message.set_type(attr.type);
  if (attr.default_value) write_attr(*attr.default_value, *message.mutable_default_value());
  message.set_description(attr.description);
  message.set_has_minimum(attr.has_minimum);
  message.set_minimum(attr.minimum);
  if (attr.allowed_values) write_attr(*attr.allowed_values, *message.mutable_allowed_values());
}

FunctionDef read_function(pb::FunctionDef& message, SplatBudget& budget) {
  FunctionDef function;
  in_item("function", message.signature().name(), [&] {
    function.signature = read_op_def(*message.mutable_signature(), budget, DTypeRule::kKnown);
    function.nodes.reserve(static_cast<std::size_t>(message.node_def_size()));
    for (auto& node : *message.mutable_node_def())
      function.nodes.push_back(read_node(node, budget));
    function.attrs = read_attrs(*message.mutable_attr(), budget);
  });
  function.returns = read_string_map(message.ret());
  function.control_returns = read_string_map(message.control_ret());
  function.unknown_fields = rest_of(message);
  return function;
}

void write_function(const FunctionDef& function, pb::FunctionDef& message) {
  merge_rest(message, function.unknown_fields);
  write_op_def(function.signature, *message.mutable_signature());
  for (const NodeDef& node : function.nodes) write_node(node, *message.add_node_def());
  message.mutable_ret()->insert(function.returns.begin(), function.returns.end());
  message.mutable_control_ret()->insert(function.control_returns.begin(),
                                        function.control_returns.end());
  write_attrs(function.attrs, *message.mutable_attr());
}

FunctionLibrary read_library(pb::FunctionDefLibrary& message, SplatBudget& budget) {
  FunctionLibrary library;
  for (auto& function : *message.mutable_function()) {
    library.functions.push_back(read_function(function, budget));
  }
  for (auto& gradient : *message.mutable_gradient()) {
    library.gradients.push_back({.function_name = gradient.function_name(),
                                 .gradient_function = gradient.gradient_func(),
                                 .unknown_fields = unknown_fields_of(gradient)});
  }
  pb::FunctionDefLibrary rest;
  *rest.mutable_registered_gradients() = message.registered_gradients();
  library.unknown_fields = serialize_binary(rest) + unknown_fields_of(message);
  return library;
}

void write_library(const FunctionLibrary& library, pb::FunctionDefLibrary& message) {
  merge_rest(message, library.unknown_fields);
  for (const auto& function : library.functions) write_function(function, *message.add_function());
  for (const auto& gradient : library.gradients) {
    auto& out = *message.add_gradient();
    merge_rest(out, gradient.unknown_fields);
    out.set_function_name(gradient.function_name);
    out.set_gradient_func(gradient.gradient_function);
  }
}

}  // namespace

OpDefMessage read_op_def(pb::OpDef& message, SplatBudget& budget, DTypeRule rule) {
  OpDefMessage op;
  op.name = std::move(*message.mutable_name());
  in_item("op", op.name, [&] {
    for (auto& arg : *message.mutable_input_arg()) op.inputs.push_back(read_arg(arg, rule));
    for (auto& arg : *message.mutable_output_arg()) op.outputs.push_back(read_arg(arg, rule));
    for (auto& attr : *message.mutable_attr()) {
      op.attrs.push_back(read_attr_def(attr, budget, rule));
    }
  });
  op.control_outputs.assign(message.control_output().begin(), message.control_output().end());
  op.summary = std::move(*message.mutable_summary());
  op.description = std::move(*message.mutable_description());
  op.is_aggregate = message.is_aggregate();
  op.is_stateful = message.is_stateful();
  op.is_commutative = message.is_commutative();
  op.allows_uninitialized_input = message.allows_uninitialized_input();
  op.is_distributed_communication = message.is_distributed_communication();
  pb::OpDef rest;
  if (message.has_deprecation()) *rest.mutable_deprecation() = message.deprecation();
  op.unknown_fields = serialize_binary(rest) + unknown_fields_of(message);
  return op;
}

void write_op_def(const OpDefMessage& op, pb::OpDef& message) {
  merge_rest(message, op.unknown_fields);
  message.set_name(op.name);
  for (const ArgDef& arg : op.inputs) write_arg(arg, *message.add_input_arg());
  for (const ArgDef& arg : op.outputs) write_arg(arg, *message.add_output_arg());
  for (const auto& name : op.control_outputs) message.add_control_output(name);
  for (const AttrDef& attr : op.attrs) write_attr_def(attr, *message.add_attr());
  message.set_summary(op.summary);
  message.set_description(op.description);
  message.set_is_aggregate(op.is_aggregate);
  message.set_is_stateful(op.is_stateful);
  message.set_is_commutative(op.is_commutative);
  message.set_allows_uninitialized_input(op.allows_uninitialized_input);
  message.set_is_distributed_communication(op.is_distributed_communication);
}

GraphDef read_graph(pb::GraphDef& message, SplatBudget& budget) {
  GraphDef graph;
  graph.nodes.reserve(static_cast<std::size_t>(message.node_size()));
  for (auto& node : *message.mutable_node()) graph.nodes.push_back(read_node(node, budget));
  if (message.has_library()) graph.library = read_library(*message.mutable_library(), budget);
  const pb::VersionDef& versions = message.versions();
  graph.versions = {
      .producer = versions.producer(),
      .min_consumer = versions.min_consumer(),
      .bad_consumers = {versions.bad_consumers().begin(), versions.bad_consumers().end()},
      .unknown_fields = unknown_fields_of(versions)};
  pb::GraphDef rest;
  rest.set_version(message.version());
  if (message.has_debug_info()) *rest.mutable_debug_info() = message.debug_info();
  graph.unknown_fields = serialize_binary(rest) + unknown_fields_of(message);
  return graph;
}

void write_graph(const GraphDef& graph, pb::GraphDef& message) {
  merge_rest(message, graph.unknown_fields);
  message.mutable_node()->Reserve(static_cast<int>(graph.nodes.size()));
  for (const NodeDef& node : graph.nodes) write_node(node, *message.add_node());
  const FunctionLibrary& library = graph.library;
  if (!library.functions.empty() || !library.gradients.empty() || !library.unknown_fields.empty()) {
    write_library(library, *message.mutable_library());
  }
  auto& versions = *message.mutable_versions();
  merge_rest(versions, graph.versions.unknown_fields);
  versions.set_producer(graph.versions.producer);
  versions.set_min_consumer(graph.versions.min_consumer);
  versions.mutable_bad_consumers()->Add(graph.versions.bad_consumers.begin(),
                                        graph.versions.bad_consumers.end());
}

namespace {

// Parses each piece into a message that lives only until the next one.
template <class Message, class Read>
void read_each(const std::vector<std::string_view>& pieces, std::string_view what, Read read) {
  constexpr std::size_t kBlockBytes = std::size_t{64} << 10;
  const auto block = std::make_unique_for_overwrite<char[]>(kBlockBytes);
  google::protobuf::ArenaOptions options;
  options.initial_block = block.get();
  options.initial_block_size = kBlockBytes;
  Arena arena(options);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    auto& message = *Arena::CreateMessage<Message>(&arena);
    with_context([&] { parse_binary(message, pieces[i], what, ""); },
                 [&] { return cat("in the ", what, " with the index ", i); });
    read(message);
    arena.Reset();
  }
}

FunctionLibrary read_library(const std::vector<std::string_view>& pieces, SplatBudget& budget) {
  FieldPieces functions = {.number = pb::FunctionDefLibrary::kFunctionFieldNumber};
  pb::FunctionDefLibrary rest;
  for (const std::string_view bytes : pieces) {
    split_fields(bytes, {&functions, 1}, rest, "FunctionDefLibrary", "");
  }
  FunctionLibrary library = read_library(rest, budget);
  library.functions.reserve(functions.pieces.size());
  read_each<pb::FunctionDef>(functions.pieces, "FunctionDef", [&](pb::FunctionDef& message) {
    library.functions.push_back(read_function(message, budget));
  });
  return library;
}

}  // namespace

GraphDef read_graph(const std::vector<std::string_view>& pieces, SplatBudget& budget) {
  FieldPieces fields[] = {{.number = pb::GraphDef::kNodeFieldNumber},
                          {.number = pb::GraphDef::kLibraryFieldNumber}};
  pb::GraphDef rest;
  for (const std::string_view bytes : pieces) split_fields(bytes, fields, rest, "GraphDef", "");
  GraphDef graph = read_graph(rest, budget);
  graph.nodes.reserve(fields[0].pieces.size());
  read_each<pb::NodeDef>(fields[0].pieces, "NodeDef", [&](pb::NodeDef& message) {
    graph.nodes.push_back(read_node(message, budget));
  });
  if (!fields[1].pieces.empty()) graph.library = read_library(fields[1].pieces, budget);
  return graph;
}

GraphDef parse_graph_def(std::string_view bytes, std::string_view place,
                         const ParseLimits& limits) {
  SplatBudget budget(limits);
  return with_context([&] { return read_graph({bytes}, budget); },
                      [&] { return cat("in ", place); });
}

GraphDef parse_graph_def_text(std::string_view text, std::string_view place,
                              const ParseLimits& limits) {
  Arena arena;
  auto& message = *Arena::CreateMessage<pb::GraphDef>(&arena);
  parse_text(message, text, "GraphDef", place);
  SplatBudget budget(limits);
  return with_context([&] { return read_graph(message, budget); },
                      [&] { return cat("in ", place); });
}

std::vector<OpDefMessage> parse_op_list(std::string_view bytes, std::string_view place) {
  pb::OpList message;
  parse_binary(message, bytes, "OpList", place);
  SplatBudget budget({});
  std::vector<OpDefMessage> ops;
  with_context(
      [&] {
        for (auto& op : *message.mutable_op()) {
          ops.push_back(read_op_def(op, budget, DTypeRule::kAnyone));
        }
      },
      [&] { return cat("in ", place); });
  return ops;
}

std::string serialize_graph_def(const GraphDef& graph) {
  Arena arena;
  auto& message = *Arena::CreateMessage<pb::GraphDef>(&arena);
  write_graph(graph, message);
  return serialize_binary(message);
}

std::string graph_def_text(const GraphDef& graph) {
  Arena arena;
  auto& message = *Arena::CreateMessage<pb::GraphDef>(&arena);
  write_graph(graph, message);
  return serialize_text(message);
}

}  // namespace hub
