// Variable scopes (tensorflow/python/ops/variable_scope.py, variable_scope and
// _pure_variable_scope).

#include "ops/functions/function_support.h"
#include "ops/functions/variable_store.h"

namespace hub {
namespace {

using Counts = std::map<std::string, int, std::less<>>;

std::string last_part(std::string_view name) {
  const auto slash = name.rfind('/');
  return std::string(slash == std::string_view::npos ? name : name.substr(slash + 1));
}

// The inner getter gets what the outer one makes of the true getter.
CustomGetter wrapped(const CustomGetter& inner, const CustomGetter& outer) {
  if (!inner) return outer;
  if (!outer) return inner;
  return [inner, outer](const VariableGetter& getter, const std::string& name,
                        const PartialShape& shape, const VariableOptions& options) {
    const VariableGetter through_outer = [&](const std::string& n, const PartialShape& s,
                                             const VariableOptions& o) {
      return outer(getter, n, s, o);
    };
    return inner(through_outer, name, shape, options);
  };
}

}  // namespace

void VariableScope::open_names(std::string_view name) {
  names_ = std::make_unique<NameScope>(graph_, name);
}

void VariableScope::enter(VariableScopeState state, const VariableScopeOptions& options) {
  if (options.reuse != Reuse::kInherit) state.reuse_ = options.reuse;
  if (options.initializer) state.initializer_ = options.initializer;
  if (options.regularizer) state.regularizer_ = options.regularizer;
  if (options.partitioner) state.partitioner_ = options.partitioner;
  state.custom_getter_ = wrapped(options.custom_getter, state.custom_getter_);
  if (options.dtype != DType::kInvalid) state.dtype_ = options.dtype;
  if (options.use_resource) state.use_resource_ = options.use_resource;
  VariableStore& store = variable_store(graph_);
  name_ = state.name_;
  ++store.scope_counts[name_];
  old_ = std::exchange(store.scope, std::move(state));
  if (entered_again_) old_counts_ = std::make_shared<Counts>(store.scope_counts);
}

VariableScope::VariableScope(const Graph& graph, std::string_view name,
                             VariableScopeOptions options)
    : graph_(graph) {
  std::string name_scope(name);
  if (!options.auxiliary_name_scope) {
    open_names(graph.name_scope());
    name_scope = graph.name_scope();
  } else if (!name.empty()) {
    open_names(name);
    name_scope = graph.name_scope();
  }
  VariableScopeState state = variable_store(graph).scope;
  state.name_ = state.name_.empty() ? std::string(name) : cat(state.name_, "/", name);
  state.name_scope_ = std::move(name_scope);
  enter(std::move(state), options);
}

VariableScope::VariableScope(const Graph& graph, const DefaultName& name,
                             VariableScopeOptions options)
    : graph_(graph) {
  if (options.reuse != Reuse::kInherit)
    throw value_error("reuse=True cannot be used without a name_or_scope");
  open_names(options.auxiliary_name_scope ? name.name : graph.name_scope());
  VariableScopeState state = variable_store(graph).scope;
  const std::string unique = unique_name(graph, name.name);
  state.name_ = state.name_.empty() ? unique : cat(state.name_, "/", unique);
  state.name_scope_ = graph.name_scope();
  enter(std::move(state), options);
}

VariableScope::VariableScope(const Graph& graph, const VariableScopeState& scope,
                             VariableScopeOptions options)
    : graph_(graph), entered_again_(true) {
  const std::string name = last_part(scope.name());
  if (!options.auxiliary_name_scope) {
    open_names(graph.name_scope());
  } else if (!name.empty()) {
    open_names(name);
  }
  enter(scope, options);
}

VariableScope::~VariableScope() {
  VariableStore& store = variable_store(graph_);
  if (entered_again_) {
    store.scope_counts = *std::static_pointer_cast<Counts>(old_counts_);
  } else {
    const std::string below = cat(name_, "/");
    for (auto& [name, count] : store.scope_counts) {
      if (name.starts_with(below)) count = 0;
    }
  }
  store.scope = std::move(old_);
}

const VariableScopeState& VariableScope::state() const { return variable_store(graph_).scope; }

const VariableScopeState& VariableScope::current(const Graph& graph) {
  return variable_store(graph).scope;
}

void VariableScope::set_reuse(const Graph& graph) {
  variable_store(graph).scope.reuse_ = Reuse::kYes;
}

std::string VariableScope::unique_name(const Graph& graph, std::string_view name) {
  const VariableStore& store = variable_store(graph);
  const std::string& outer = store.scope.name();
  const std::string full = outer.empty() ? std::string(name) : cat(outer, "/", name);
  const auto used = [&](const std::string& candidate) {
    const auto found = store.scope_counts.find(candidate);
    return found != store.scope_counts.end() && found->second > 0;
  };
  if (!used(full)) return std::string(name);
  int index = 1;
  while (used(cat(full, "_", index))) ++index;
  return cat(name, "_", index);
}

}  // namespace hub
