// Variables as nodes, as TensorFlow writes them (tensorflow/python/ops/ref_variable.py,
// resource_variable_ops.py).

#include <algorithm>

#include "hub/control_flow.h"
#include "ops/functions/function_support.h"
#include "ops/functions/variable_store.h"

namespace hub {

struct Variable::State {
  GraphState* graph = nullptr;
  std::shared_ptr<const VariableDef> def;  // nullptr: a partitioned one
  std::string name;
  Shape full_shape;
  std::vector<Variable> parts;
};

Variable::Variable(const Graph& graph, std::shared_ptr<const VariableDef> def) {
  auto state = std::make_shared<State>();
  state->graph = &graph.state();
  state->name = parse_tensor_name(def->variable_name).node;
  state->def = std::move(def);
  state_ = std::move(state);
}

Variable::Variable(const Graph& graph, std::string name, Shape full_shape,
                   std::vector<Variable> parts) {
  auto state = std::make_shared<State>();
  state->graph = &graph.state();
  state->name = std::move(name);
  state->full_shape = std::move(full_shape);
  state->parts = std::move(parts);
  state_ = std::move(state);
}

const std::string& Variable::name() const {
  if (!state_) throw invalid_argument("There is no variable here.");
  return state_->name;
}

Graph Variable::graph() const {
  name();
  return Graph(state_->graph->shared_from_this());
}

bool Variable::is_partitioned() const { return state_ && state_->def == nullptr; }

const std::vector<Variable>& Variable::parts() const {
  name();
  return state_->parts;
}

const std::shared_ptr<const VariableDef>& Variable::def() const {
  if (is_partitioned()) {
    throw invalid_argument(
        "A partitioned variable is read as a whole, and written by its parts. "
        "Details: \"",
        name(), "\".");
  }
  name();
  return state_->def;
}

Output Variable::handle() const { return graph().tensor(def()->variable_name); }

DType Variable::dtype() const {
  if (is_partitioned()) return state_->parts.front().dtype();
  return is_resource() ? std::get<DType>(op().attr("dtype").value()) : handle().dtype();
}

PartialShape Variable::shape() const {
  if (is_partitioned()) return state_->full_shape;
  return std::get<PartialShape>(op().attr("shape").value());
}

bool Variable::is_resource() const {
  return is_partitioned() ? state_->parts.front().is_resource() : def()->is_resource;
}
bool Variable::trainable() const {
  return is_partitioned() ? state_->parts.front().trainable() : def()->trainable;
}
bool Variable::is_part() const { return !is_partitioned() && def()->slice.has_value(); }
std::string Variable::full_name() const { return is_part() ? def()->slice->full_name : name(); }

PartitionInfo Variable::partition() const {
  if (!is_part())
    throw invalid_argument("The variable is no part of another. Details: \"", name(), "\".");
  return {Shape(def()->slice->full_shape), def()->slice->offset};
}

bool Variable::operator==(const Variable& other) const {
  if (state_ == nullptr || other.state_ == nullptr) return state_ == other.state_;
  return state_ == other.state_ || (state_->def != nullptr && state_->def == other.state_->def);
}

// PartitionedVariable.as_tensor: new nodes at each reading.
static Output joined_parts(const Variable& variable) {
  const Graph graph = variable.graph();
  const ControlDependencies anywhere(graph);
  const std::vector<Variable>& parts = variable.parts();
  const NameScope top(graph, "");
  if (parts.size() == 1) return ops::identity(parts[0], variable.name());
  int axis = 0;
  for (int i = 0; i < variable.shape().rank(); ++i) {
    if (parts[0].shape().dim(i) != variable.shape().dim(i)) axis = i;
  }
  std::vector<Input> inputs(parts.begin(), parts.end());
  inputs.emplace_back(axis);
  Output joined;
  {
    const NameScope scope(graph, cat(variable.name(), "/ConcatPartitions/"));
    joined = graph.op("ConcatV2", inputs, {}, "concat");
  }
  return ops::identity(joined, variable.name());
}

Output Variable::value() const {
  if (is_partitioned()) return joined_parts(*this);
  return graph().tensor(def()->snapshot_name);
}

Variable::operator Output() const {
  if (is_partitioned() || !is_resource()) return value();
  return state_->graph->output(
      state_->graph->read_variable(id_of(handle(), *state_->graph), dtype()));
}

Variable::operator Input() const {
  if (is_partitioned() || !is_resource()) return value();
  return VariableRead{handle(), dtype(), shape()};
}

Output Variable::read_value() const {
  if (is_partitioned()) return joined_parts(*this);
  if (!is_resource()) return ops::identity(handle(), "read");
  Output read;
  {
    const NameScope scope(graph(), "Read");
    read = *this;
  }
  return ops::identity(read);
}

Operation Variable::initializer() const { return graph().operation(def()->initializer_name); }

Output Variable::initial_value() const {
  if (def()->initial_value_name.empty())
    throw invalid_argument("The variable's initial value is not known. Details: \"", name(), "\".");
  return graph().tensor(def()->initial_value_name);
}

Output Variable::is_initialized() const {
  return graph().op(is_resource() ? "VarIsInitializedOp" : "IsVariableInitialized", {handle()});
}

Output Variable::initialized_value() const {
  const Output there = is_initialized();
  return cond(
      there, [&] { return read_value(); }, [&] { return initial_value(); });
}

Operation Variable::assign(const Input& value, std::string_view name) const {
  if (!is_resource()) return graph().op("Assign", {handle(), value}, {}, name);
  return graph().op("AssignVariableOp", {handle(), value}, {{"dtype", dtype()}}, name);
}
Operation Variable::assign_add(const Input& delta, std::string_view name) const {
  if (!is_resource()) return graph().op("AssignAdd", {handle(), delta}, {}, name);
  return graph().op("AssignAddVariableOp", {handle(), delta}, {{"dtype", dtype()}}, name);
}
Operation Variable::assign_sub(const Input& delta, std::string_view name) const {
  if (!is_resource()) return graph().op("AssignSub", {handle(), delta}, {}, name);
  return graph().op("AssignSubVariableOp", {handle(), delta}, {{"dtype", dtype()}}, name);
}

Output operator+(const Variable& x, const Input& y) { return Output(x) + y; }
Output operator-(const Variable& x, const Input& y) { return Output(x) - y; }
Output operator*(const Variable& x, const Input& y) { return Output(x) * y; }
Output operator/(const Variable& x, const Input& y) { return Output(x) / y; }

namespace {

// New nodes get this attribute while it lives.
class ClassScope {
 public:
  ClassScope(const Graph& graph, const std::string& name) : state_(graph.state()) {
    old_ = state_.attr_scope;
    AttrList list;
    list.strings.push_back(cat("loc:@", name));
    state_.attr_scope["_class"] = AttrValue(std::move(list));
  }
  ~ClassScope() { state_.attr_scope = std::move(old_); }
  ClassScope(const ClassScope&) = delete;
  ClassScope& operator=(const ClassScope&) = delete;

 private:
  GraphState& state_;
  AttrMap old_;
};

// The initial value as a tensor, here.
Output initial_tensor(const Graph& graph, const VariableSpec& spec) {
  if (spec.make_value) return spec.make_value();
  if (const Output* output = spec.value->output()) return *output;
  if (const auto* read = std::get_if<VariableRead>(&spec.value->value())) {
    return graph.state().output(
        graph.state().read_variable(id_of(read->handle, graph.state()), read->dtype));
  }
  return ops::constant(graph, *spec.value, spec.dtype, "initial_value");
}

void check_initial_value(const Graph& graph, const Output& value, std::string_view name) {
  if (graph.state().context_of(value.node()) != nullptr) {
    throw value_error(
        "A variable's initial value is made outside of loops and conditionals; give "
        "an initializer instead. Details: variable \"",
        name, "\", value \"", value.name(), "\".");
  }
  if (!value.shape().is_fully_defined()) {
    throw value_error("initial_value must have a shape specified. Details: variable \"", name,
                      "\", value \"", value.name(), "\" of shape ", value.shape(), ".");
  }
}

void add_reference_variable(const Graph& graph, const VariableSpec& spec, const NameScope& scope,
                            VariableDef& def) {
  const std::string name(without_slash(scope.name()));
  Output value;
  Operation variable;
  const auto make_variable = [&] {
    check_initial_value(graph, value, name);
    variable = graph.op("VariableV2", {}, {{"dtype", value.dtype()}, {"shape", value.shape()}},
                        scope.name());
  };
  if (spec.make_value) {
    const ClassScope placed(graph, name);
    {
      const NameScope inside(graph, "Initializer");
      const DeviceScope anywhere(graph, std::nullopt);
      value = initial_tensor(graph, spec);
    }
    make_variable();
  } else {
    value = initial_tensor(graph, spec);
    make_variable();
  }
  const Operation assign = graph.op("Assign", {variable, value});
  const Colocation colocation(graph, variable);
  const Output read = ops::identity(variable, "read");
  def.variable_name = variable.output(0).name();
  def.initial_value_name = value.name();
  def.initializer_name = assign.name();
  def.snapshot_name = read.name();
}

void add_resource_variable(const Graph& graph, const VariableSpec& spec, const NameScope& scope,
                           VariableDef& def) {
  const std::string name(without_slash(scope.name()));
  Output value;
  Operation variable;
  {
    const ClassScope placed(graph, name);
    {
      const NameScope inside(graph, "Initializer");
      const DeviceScope anywhere(graph, std::nullopt);
      value = initial_tensor(graph, spec);
    }
    check_initial_value(graph, value, name);
    variable = graph.op("VarHandleOp", {},
                        {{"dtype", value.dtype()}, {"shape", value.shape()}, {"shared_name", name}},
                        scope.name());
  }
  {
    const NameScope inside(graph, "IsInitialized");
    graph.op("VarIsInitializedOp", {variable});
  }
  Operation assign;
  {
    const NameScope inside(graph, "Assign");
    const Colocation nowhere(graph, Operation(), true);
    assign = graph.op("AssignVariableOp", {variable, value}, {}, inside.name());
  }
  const NameScope inside(graph, "Read");
  const Operation read = graph.op("ReadVariableOp", {variable}, {{"dtype", value.dtype()}});
  def.variable_name = variable.output(0).name();
  def.initial_value_name = value.name();
  def.initializer_name = assign.name();
  def.snapshot_name = read.output(0).name();
  def.is_resource = true;
}

}  // namespace

Variable create_variable(const Graph& graph, const VariableSpec& spec) {
  auto def = std::make_shared<VariableDef>();
  {
    const ControlDependencies outside_of_loops(graph);
    const NameScope scope(graph, name_or(spec.name, "Variable"));
    if (spec.use_resource) {
      add_resource_variable(graph, spec, scope, *def);
    } else {
      add_reference_variable(graph, spec, scope, *def);
    }
  }
  def->trainable = spec.trainable;
  def->slice = spec.slice;
  const Variable variable(graph, std::move(def));
  std::vector<std::string> keys = spec.collections;
  if (keys.empty()) keys.emplace_back(Collections::kGlobalVariables);
  if (spec.trainable) keys.emplace_back(Collections::kTrainableVariables);
  std::vector<std::string> done;
  for (const std::string& key : keys) {
    if (std::ranges::count(done, key) == 0) add_to_collection(key, variable);
    done.push_back(key);
  }
  return variable;
}

Variable make_variable(const Graph& graph, const Input& initial_value, std::string_view name,
                       const VariableOptions& options) {
  VariableSpec spec;
  spec.name = name;
  spec.value = initial_value;
  spec.dtype = options.dtype;
  spec.trainable = options.trainable;
  spec.collections = options.collections;
  spec.use_resource =
      options.use_resource.value_or(variable_store(graph).scope.use_resource().value_or(false));
  return create_variable(graph, spec);
}

void add_to_collection(std::string_view key, const Variable& variable) {
  variable.graph().state().collections[std::string(key)].push_back({variable.def()});
}

std::vector<Variable> collection_variables(const Graph& graph, std::string_view key) {
  std::vector<Variable> result;
  const auto& collections = graph.state().collections;
  const auto found = collections.find(key);
  if (found == collections.end()) return result;
  for (const CollectionItem& item : found->second) {
    if (const auto* def = std::get_if<std::shared_ptr<const VariableDef>>(&item.value))
      result.emplace_back(graph, *def);
  }
  return result;
}

std::vector<Variable> trainable_variables(const Graph& graph) {
  return collection_variables(graph, Collections::kTrainableVariables);
}

Operation variables_initializer(const Graph& graph, const std::vector<Variable>& variables,
                                std::string_view name) {
  std::vector<Operation> initializers;
  for (const Variable& variable : variables) {
    if (!variable.is_partitioned()) initializers.push_back(variable.initializer());
    for (const Variable& part : variable.parts()) initializers.push_back(part.initializer());
  }
  return ops::group(graph, initializers, name);
}

Variable find_global_step(const Graph& graph) {
  const std::vector<Variable> found = collection_variables(graph, Collections::kGlobalStep);
  return found.empty() ? Variable() : found.front();
}

Variable get_or_create_global_step(const Graph& graph) {
  if (const Variable found = find_global_step(graph)) return found;
  VariableOptions options;
  options.dtype = kInt64;
  options.initializer = init::zeros();
  options.trainable = false;
  options.collections = {std::string(Collections::kGlobalVariables),
                         std::string(Collections::kGlobalStep)};
  return get_variable(graph, "global_step", PartialShape::scalar(), options);
}

std::vector<Output> regularization_losses(const Graph& graph) {
  return graph.collection(Collections::kRegularizationLosses);
}

Output total_regularization_loss(const Graph& graph) {
  const std::vector<Output> losses = regularization_losses(graph);
  if (losses.empty()) return {};
  return graph.op("AddN", {losses.begin(), losses.end()}, {}, "total_regularization_loss");
}

}  // namespace hub
