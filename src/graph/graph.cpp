// The public face: tensors, operations, graphs, scopes.

#include "hub/graph.h"

#include "base/errors.h"
#include "graph/flow_context.h"
#include "graph/graph_state.h"

namespace hub {
namespace {

const OutputFact& fact_of(const Output& output) {
  if (!output.is_valid()) throw invalid_argument("There is no tensor here.");
  return output.graph_state()->data().fact({output.node(), output.index()});
}

const Node& node_of(const Operation& op) {
  if (!op.is_valid()) throw invalid_argument("There is no operation here.");
  return op.graph_state()->data().node(op.node());
}

}  // namespace

DType Output::dtype() const { return fact_of(*this).dtype; }
const PartialShape& Output::shape() const { return fact_of(*this).shape; }
bool Output::is_reference() const { return fact_of(*this).is_ref; }
std::string Output::name() const { return cat(node_of(op()).name, ":", index_); }
Operation Output::op() const { return {graph_, node_}; }
Graph Output::graph() const {
  if (!is_valid()) throw invalid_argument("There is no tensor here.");
  return Graph(graph_->shared_from_this());
}
void Output::set_shape(const PartialShape& shape) const {
  fact_of(*this);
  graph_->set_shape({node_, index_}, shape);
}

Input::Input(const Operation& op) : value_(op.output(0)) {}

DType Input::dtype() const {
  if (const auto* out = std::get_if<Output>(&value_)) return out->dtype();
  if (const auto* tensor = std::get_if<Tensor>(&value_)) return tensor->dtype();
  if (const auto* read = std::get_if<VariableRead>(&value_)) return read->dtype;
  if (std::holds_alternative<std::string>(value_)) return kString;
  return std::holds_alternative<bool>(value_) ? kBool : DType::kInvalid;
}

PartialShape Input::shape() const {
  if (const auto* out = std::get_if<Output>(&value_)) return out->shape();
  if (const auto* tensor = std::get_if<Tensor>(&value_)) return tensor->shape();
  if (const auto* read = std::get_if<VariableRead>(&value_)) return read->shape;
  return PartialShape::scalar();
}

GraphState* Input::graph_state() const {
  if (const auto* out = std::get_if<Output>(&value_)) return out->graph_state();
  if (const auto* read = std::get_if<VariableRead>(&value_)) return read->handle.graph_state();
  return nullptr;
}

const std::string& Operation::name() const { return node_of(*this).name; }
const std::string& Operation::type() const { return node_of(*this).op_name; }
const std::string& Operation::device() const { return node_of(*this).device; }
int Operation::num_inputs() const { return static_cast<int>(node_of(*this).inputs.size()); }
int Operation::num_outputs() const { return static_cast<int>(node_of(*this).outputs.size()); }

Output Operation::input(int index) const {
  const Node& node = node_of(*this);
  if (index < 0 || index >= num_inputs()) {
    throw invalid_argument("The node has no such input. Details: \"", node.name, "\" has ",
                           num_inputs(), ", asked for ", index, ".");
  }
  return graph_->output(node.inputs[static_cast<std::size_t>(index)]);
}

std::vector<Operation> Operation::control_inputs() const {
  std::vector<Operation> result;
  for (const std::int32_t control : node_of(*this).control_inputs)
    result.push_back({graph_, control});
  return result;
}

Output Operation::output(int index) const {
  const Node& node = node_of(*this);
  if (index < 0 || index >= num_outputs()) {
    throw invalid_argument("The node has no such output. Details: \"", node.name, "\" has ",
                           num_outputs(), ", asked for ", index, ".");
  }
  return {graph_, node_, index};
}

bool Operation::has_attr(std::string_view name) const {
  return node_of(*this).attrs.contains(name);
}

Attr Operation::attr(std::string_view name) const {
  const Node& node = node_of(*this);
  const auto found = node.attrs.find(name);
  if (found == node.attrs.end()) {
    throw invalid_argument("The node has no such attribute. Details: \"", name, "\" of \"",
                           node.name, "\".");
  }
  return to_attr(found->second);
}

void Operation::set_attr(std::string_view name, const Attr& value) const {
  node_of(*this);
  graph_->set_attr(node_, name, to_attr_value(value));
}

void Operation::add_control_input(const Operation& op) const {
  node_of(*this);
  graph_->add_control_input(node_, id_of(op, *graph_));
}

void Operation::set_input(int index, const Output& output) const {
  const Output old = input(index);
  const OutputId id = id_of(output, *graph_);
  if (old.is_valid() && old.dtype() != output.dtype()) {
    throw invalid_argument("An input is replaced by one of its dtype. Details: \"", name(),
                           "\" input ", index, " is ", old.dtype(), ", the new one ",
                           output.dtype(), ".");
  }
  graph_->set_input(node_, index, id);
}

Graph Operation::graph() const {
  node_of(*this);
  return Graph(graph_->shared_from_this());
}

Operation Graph::op(std::string_view type, const std::vector<Input>& inputs, const Attrs& attrs,
                    std::string_view name) const {
  return {state_.get(), state_->build(type, inputs, to_attr_map(attrs), name)};
}

Operation Graph::find_operation(std::string_view name) const {
  const int node = state_->data().find(name);
  return node < 0 ? Operation() : Operation(state_.get(), node);
}

Operation Graph::operation(std::string_view name) const {
  const Operation found = find_operation(name);
  if (!found) {
    throw not_found("There is no such node in the graph. Details: \"", printable(name), "\".");
  }
  return found;
}

Output Graph::tensor(std::string_view name) const {
  const OutputId id = state_->data().find_output(name);
  if (id.index < 0) {
    throw invalid_argument("A tensor's name is \"node\" or \"node:index\". Details: got \"",
                           printable(name), "\".");
  }
  return state_->output(id);
}

std::vector<Operation> Graph::operations() const {
  std::vector<Operation> result;
  for (int i = 0; i < num_operations(); ++i) result.push_back({state_.get(), i});
  return result;
}

int Graph::num_operations() const { return state_->data().num_nodes(); }

std::string Graph::unique_name(std::string_view name, bool mark_as_used) const {
  return state_->unique_name(name, mark_as_used);
}

std::string Graph::name_scope() const {
  return state_->name_stack().empty() ? std::string() : cat(state_->name_stack(), "/");
}

bool Graph::is_name_in_use(std::string_view name) const { return state_->is_name_in_use(name); }

void Graph::add_to_collection(std::string_view key, const Output& output) const {
  state_->collections[std::string(key)].push_back({id_of(output, *state_)});
}

void Graph::add_to_collection(std::string_view key, const Operation& op) const {
  state_->collections[std::string(key)].push_back({std::int32_t{id_of(op, *state_)}});
}

std::vector<std::string> Graph::collection_keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, items] : state_->collections) {
    if (!items.empty()) keys.push_back(key);
  }
  return keys;
}

std::vector<Output> Graph::collection(std::string_view key) const {
  std::vector<Output> result;
  const auto found = state_->collections.find(key);
  if (found == state_->collections.end()) return result;
  for (const CollectionItem& item : found->second) {
    if (const auto* output = std::get_if<OutputId>(&item.value))
      result.push_back(state_->output(*output));
  }
  return result;
}

std::vector<Operation> Graph::collection_operations(std::string_view key) const {
  std::vector<Operation> result;
  const auto found = state_->collections.find(key);
  if (found == state_->collections.end()) return result;
  for (const CollectionItem& item : found->second) {
    if (const auto* node = std::get_if<std::int32_t>(&item.value))
      result.push_back({state_.get(), *node});
  }
  return result;
}

void Graph::clear_collection(std::string_view key) const {
  if (const auto found = state_->collections.find(key); found != state_->collections.end())
    state_->collections.erase(found);
}

void Graph::set_seed(std::optional<std::int64_t> seed, OpSeedRule rule) const {
  state_->seed = seed;
  state_->seed_rule = rule;
}

std::optional<std::int64_t> Graph::seed() const { return state_->seed; }

std::pair<std::int64_t, std::int64_t> Graph::op_seeds(std::optional<std::int64_t> op_seed) const {
  return state_->op_seeds(op_seed);
}

NameScope::NameScope(const Graph& graph, std::string_view name)
    : graph_(graph), old_(graph.state().push_name_scope(name)) {}
NameScope::~NameScope() { graph_.state().set_name_stack(std::move(old_)); }
std::string NameScope::name() const { return graph_.name_scope(); }

struct ControlDependencies::Saved {
  std::vector<GraphState::ControlScope> scopes;
  FlowContext* context = nullptr;
};

namespace {

// Graph.control_dependencies: what is waited for already counts once.
void push_controls(GraphState& graph, const std::vector<int>& nodes) {
  GraphState::ControlScope scope;
  std::set<int> current;
  for (const auto& outer : graph.control_scopes)
    current.insert(outer.inputs.begin(), outer.inputs.end());
  for (const int node : nodes) {
    if (current.insert(node).second) scope.inputs.push_back(node);
  }
  graph.control_scopes.push_back(std::move(scope));
}

}  // namespace

ControlDependencies::ControlDependencies(const Graph& graph,
                                         const std::vector<Operation>& operations)
    : graph_(graph) {
  std::vector<int> nodes;
  for (const Operation& op : operations) nodes.push_back(id_of(op, graph.state()));
  push_controls(graph.state(), nodes);
}

ControlDependencies::ControlDependencies(const Graph& graph, const std::vector<Output>& outputs)
    : graph_(graph) {
  std::vector<int> nodes;
  for (const Output& output : outputs) nodes.push_back(id_of(output, graph.state()).node);
  push_controls(graph.state(), nodes);
}

ControlDependencies::ControlDependencies(const Graph& graph)
    : graph_(graph), saved_(std::make_unique<Saved>()) {
  GraphState& state = graph.state();
  saved_->scopes = std::exchange(state.control_scopes, {});
  saved_->context = std::exchange(state.flow_context, nullptr);
  state.control_scopes.emplace_back();
}

ControlDependencies::~ControlDependencies() {
  GraphState& state = graph_.state();
  state.control_scopes.pop_back();
  if (saved_ == nullptr) return;
  state.control_scopes = std::move(saved_->scopes);
  state.flow_context = saved_->context;
}

struct Colocation::Saved {
  std::vector<int> colocation;
  std::vector<std::optional<std::string>> devices;
};

Colocation::Colocation(const Graph& graph, const Operation& op, bool ignore_existing)
    : graph_(graph), saved_(std::make_unique<Saved>()) {
  GraphState& state = graph.state();
  const int node = op.is_valid() ? id_of(op, state) : -1;
  if (node < 0 && !ignore_existing) {
    throw value_error(
        "Colocation with nothing is only possible where the scopes around it do not "
        "count.");
  }
  saved_->devices = std::exchange(state.device_stack, {});
  saved_->colocation = state.colocation_stack;
  if (ignore_existing) state.colocation_stack.clear();
  if (node >= 0) state.colocation_stack.push_back(node);
}

Colocation::~Colocation() {
  graph_.state().colocation_stack = std::move(saved_->colocation);
  graph_.state().device_stack = std::move(saved_->devices);
}

DeviceScope::DeviceScope(const Graph& graph, std::optional<std::string_view> device)
    : graph_(graph) {
  std::optional<std::string> text;
  if (device) text = merged_device(*device, "");
  graph.state().device_stack.push_back(std::move(text));
}
DeviceScope::~DeviceScope() { graph_.state().device_stack.pop_back(); }

}  // namespace hub
