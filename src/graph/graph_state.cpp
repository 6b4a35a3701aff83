#include "graph/graph_state.h"

#include <algorithm>

#include "base/errors.h"
#include "graph/flow_context.h"
#include "graph/import.h"
#include "graph/shape_context.h"

namespace hub {
namespace {

constexpr std::string_view kColocation = "loc:@";
// tensorflow/python/framework/random_seed.py
constexpr std::int64_t kDefaultGraphSeed = 87654321;
constexpr std::int64_t kMaxInt32 = 2147483647;
// The versions of graphs that TensorFlow 1.15 writes (tensorflow/core/public/version.h).
constexpr std::int32_t kProducer = 134;
constexpr std::int32_t kMinConsumer = 12;

std::int64_t truncated_seed(std::int64_t seed) {
  const std::int64_t rest = seed % kMaxInt32;
  return rest < 0 ? rest + kMaxInt32 : rest;  // as Python's %
}

}  // namespace

GraphEdit::GraphEdit(GraphState& graph) : graph_(graph) {
  int expected = 0;
  if (graph.users_.compare_exchange_strong(expected, -1, std::memory_order_acquire)) return;
  if (expected > 0) {
    throw failed_precondition(
        "A graph is not edited while a session runs it. Details: it is running now.");
  }
  throw failed_precondition("A graph is edited by one thread at a time.");
}

GraphEdit::~GraphEdit() { graph_.users_.store(0, std::memory_order_release); }

GraphUse::GraphUse(GraphState& graph) : graph_(graph) {
  int users = graph.users_.load(std::memory_order_relaxed);
  do {
    if (users < 0) {
      throw failed_precondition(
          "A graph is not run while it is edited. Details: another thread "
          "adds a node to it now.");
    }
  } while (!graph.users_.compare_exchange_weak(users, users + 1, std::memory_order_acquire));
}

GraphUse::~GraphUse() { graph_.users_.fetch_sub(1, std::memory_order_release); }

GraphState::GraphState(const OpRegistry& registry) : data_(registry) {
  data_.versions.producer = kProducer;
  data_.versions.min_consumer = kMinConsumer;
}
GraphState::~GraphState() = default;

int GraphState::create(std::string_view op_type, std::vector<OutputId> inputs, AttrMap attrs,
                       std::string_view name) {
  NodeSpec spec;
  spec.name = name.ends_with('/') ? std::string(without_slash(name))
                                  : unique_name(name.empty() ? op_type : name, true);
  spec.op = op_type;
  spec.attrs = std::move(attrs);
  std::vector<int> input_nodes;
  for (const OutputId input : inputs) input_nodes.push_back(input.node);
  spec.inputs = std::move(inputs);
  spec.control_inputs = new_control_inputs(input_nodes);
  int node = -1;
  {
    const GraphEdit edit(*this);
    node = data_.add(std::move(spec));
  }
  if (flow_context != nullptr) {
    set_context_of(node, flow_context);
    flow_context->add_op(node);
  }
  for (ControlScope& scope : control_scopes) scope.seen.insert(node);
  // What writes a reference is placed where the variable is.
  const std::vector<int> references = reference_inputs(node);
  if (references.empty()) {
    apply_scopes(node);
    return node;
  }
  const auto devices = std::exchange(device_stack, {});
  const auto colocation = colocation_stack;
  for (std::size_t i = 0; i < references.size(); ++i)
    colocation_stack.push_back(input_nodes[static_cast<std::size_t>(references[i])]);
  apply_scopes(node);
  colocation_stack = colocation;
  device_stack = devices;
  return node;
}

// The inputs that the op takes as references.
std::vector<int> GraphState::reference_inputs(int node) const {
  std::vector<int> result;
  const Node& added = data_.node(node);
  if (added.op == nullptr) return result;
  const auto& args = added.op->schema().inputs;
  for (std::size_t i = 0; i < args.size(); ++i) {
    for (int k = added.input_arg_begins[i]; args[i].is_ref && k < added.input_arg_begins[i + 1];
         ++k)
      result.push_back(k);
  }
  return result;
}

// Graph._control_dependencies_for_inputs: nothing from a scope one of whose nodes is an input.
std::vector<int> GraphState::new_control_inputs(const std::vector<int>& input_nodes) const {
  std::vector<int> result;
  for (const ControlScope& scope : control_scopes) {
    const bool dominated =
        std::ranges::any_of(input_nodes, [&](int input) { return scope.seen.contains(input); });
    if (dominated) continue;
    for (const int control : scope.inputs) {
      if (std::ranges::count(input_nodes, control) == 0 && std::ranges::count(result, control) == 0)
        result.push_back(control);
    }
  }
  return result;
}

std::vector<std::string> GraphState::colocation_groups(int node) const {
  const Node& source = data_.node(node);
  std::vector<std::string> groups;
  if (const auto found = source.attrs.find("_class"); found != source.attrs.end()) {
    if (const auto* list = std::get_if<AttrList>(&found->second.value)) {
      for (const std::string& text : list->strings) {
        if (text.starts_with(kColocation)) groups.push_back(text);
      }
    }
  }
  if (groups.empty()) groups.push_back(cat(kColocation, source.name));
  return groups;
}

// What the device scopes make of a node's own device.
std::string GraphState::scoped_device(std::string device) const {
  for (auto scope = device_stack.rbegin(); scope != device_stack.rend(); ++scope) {
    if (!scope->has_value()) break;
    device = merged_device(device, **scope);
  }
  return device;
}

// Graph._create_op_helper: devices, then colocation, which wins.
void GraphState::apply_scopes(int node) {
  if (!attr_scope.empty()) {
    const GraphEdit edit(*this);
    for (const auto& [name, value] : attr_scope)
      data_.mutable_node(node).attrs.try_emplace(name, value);
  }
  if (device_stack.empty() && colocation_stack.empty()) return;
  std::string device = scoped_device(data_.node(node).device);
  std::vector<std::string> groups;
  bool device_set = false;
  for (auto op = colocation_stack.rbegin(); op != colocation_stack.rend(); ++op) {
    const std::vector<std::string> more = colocation_groups(*op);
    groups.insert(groups.end(), more.begin(), more.end());
    if (!device_set && !data_.node(*op).device.empty()) {
      device = data_.node(*op).device;
      device_set = true;
    }
  }
  const GraphEdit edit(*this);
  Node& added = data_.mutable_node(node);
  added.device = std::move(device);
  if (groups.empty()) return;
  std::ranges::sort(groups);
  AttrList list;
  std::ranges::unique_copy(groups, std::back_inserter(list.strings));
  added.attrs["_class"] = AttrValue(std::move(list));
}

std::vector<int> GraphState::import(const GraphDef& graph_def, const ImportOptions& options) {
  std::vector<int> added;
  {
    const GraphEdit edit(*this);
    added = import_graph_def(graph_def, options, data_);
  }
  for (const int node : added) names_in_use_.try_emplace(lower_case(data_.node(node).name), 1);
  adopt(added);
  return added;
}

// Graph._add_new_tf_operations: what is around an import holds for its nodes too.
void GraphState::adopt(std::vector<int> added) {
  std::ranges::sort(added);  // in the order in which they were added, inputs come first
  for (ControlScope& scope : control_scopes) scope.seen.insert(added.begin(), added.end());
  if (flow_context != nullptr) {
    for (const int node : added) set_context_of(node, flow_context);
  }
  for (const int node : added) {
    // importer.py, _ProcessNewOps: only device scopes, and only without constraints of its own.
    if (!device_stack.empty() && !data_.node(node).attrs.contains("_class"))
      set_device(node, scoped_device(data_.node(node).device));
    std::vector<int> inputs;
    for (const OutputId input : data_.node(node).inputs) inputs.push_back(input.node);
    for (const int control : new_control_inputs(inputs)) add_control_input(node, control);
    if (flow_context != nullptr) flow_context->add_op(node);
  }
}

void GraphState::set_input(int node, int input, OutputId output) {
  const GraphEdit edit(*this);
  data_.set_input(node, input, output);
  changed();
}

void GraphState::add_control_input(int node, int control) {
  const GraphEdit edit(*this);
  auto& controls = data_.mutable_node(node).control_inputs;
  if (std::ranges::count(controls, control) > 0) return;
  controls.push_back(control);
  changed();
}

void GraphState::remove_control_inputs(int node, const std::set<int>& controls) {
  const GraphEdit edit(*this);
  std::erase_if(data_.mutable_node(node).control_inputs,
                [&](int control) { return controls.contains(control); });
  changed();
}

void GraphState::set_attr(int node, std::string_view name, AttrValue value) {
  const GraphEdit edit(*this);
  data_.mutable_node(node).attrs[std::string(name)] = std::move(value);
  changed();
}

void GraphState::set_device(int node, std::string device) {
  const GraphEdit edit(*this);
  data_.mutable_node(node).device = std::move(device);
}

void GraphState::set_shape(OutputId output, const PartialShape& shape) {
  const GraphEdit edit(*this);
  PartialShape& known =
      data_.mutable_node(output.node).outputs.at(static_cast<std::size_t>(output.index)).shape;
  known = with_context([&] { return known.merge_with(shape); },
                       [&] { return cat("in \"", data_.output_name(output), "\""); });
}

void GraphState::add_function(std::shared_ptr<const FunctionDef> function) {
  const GraphEdit edit(*this);
  const std::string name = function->signature.name;
  if (!data_.functions.try_emplace(name, std::move(function)).second) {
    throw already_exists("The names of functions are unique. Details: \"", printable(name), "\".");
  }
}

void GraphState::set_versions(VersionDef versions) {
  const GraphEdit edit(*this);
  data_.versions = std::move(versions);
}

FlowContext* GraphState::context_of(int node) const {
  const auto index = static_cast<std::size_t>(node);
  return index < node_contexts_.size() ? node_contexts_[index] : nullptr;
}

void GraphState::set_context_of(int node, FlowContext* context) {
  const auto index = static_cast<std::size_t>(node);
  if (index >= node_contexts_.size()) node_contexts_.resize(index + 1, nullptr);
  node_contexts_[index] = context;
}

std::pair<std::int64_t, std::int64_t> GraphState::op_seeds(std::optional<std::int64_t> op_seed) {
  if (!seed && !op_seed) return {0, 0};
  if (seed && !op_seed)
    op_seed = seed_rule == OpSeedRule::kNumberOfOps ? data_.num_nodes() : seeds_given_++;
  const std::pair<std::int64_t, std::int64_t> seeds = {
      seed ? truncated_seed(*seed) : kDefaultGraphSeed, truncated_seed(*op_seed)};
  // Kernels take (0,0) for "no seed".
  if (seeds.first == 0 && seeds.second == 0) return {0, kMaxInt32};
  return seeds;
}

OutputId id_of(const Output& output, const GraphState& graph) {
  if (output.graph_state() != &graph) {
    throw invalid_argument(output.is_valid() ? "A tensor must belong to the graph that it is used "
                                               "in. Details: "
                                             : "A tensor is missing.",
                           output.is_valid() ? output.name() : std::string());
  }
  return {output.node(), output.index()};
}

int id_of(const Operation& op, const GraphState& graph) {
  if (op.graph_state() != &graph) {
    throw invalid_argument(op.is_valid() ? "An operation must belong to the graph that it is used "
                                           "in. Details: "
                                         : "An operation is missing.",
                           op.is_valid() ? op.name() : std::string());
  }
  return op.node();
}

}  // namespace hub
