#include "hub/graph_module.h"

#include <algorithm>

#include "base/errors.h"
#include "module/apply_graph.h"
#include "module/apply_inputs.h"
#include "module/export_spec.h"
#include "module/state_graph.h"
#include "module/variable_slices.h"
#include "module/variants.h"

namespace hub {

struct Module::State {
  State(const Graph& module_graph, const ModuleSpec& module_spec)
      : graph(module_graph), spec(module_spec) {}

  Graph graph;
  ModuleSpec spec;
  const ModuleSpec::Impl::VariantGraph* variant = nullptr;
  bool trainable = false;
  std::string scope;
  StateGraph state;
};

Module::Module(const Graph& graph, const std::string& handle, const ModuleOptions& options)
    : Module(graph, load_module_spec(handle), options) {}

Module::Module(const Graph& graph, const ModuleSpec& spec, const ModuleOptions& options) {
  auto state = std::make_shared<State>(graph, spec);
  const ModuleSpec::Impl& impl = spec.impl();
  state->variant = impl.find(options.tags);
  if (state->variant == nullptr) {
    throw value_error("No such graph variant: tags=", tags_text(options.tags),
                      ". Details: ", impl.place(), " has ", impl.tags_text(), ".");
  }
  state->trainable = options.trainable;
  state->scope = take_state_scope(graph, options.name);
  const std::string_view scope = state->scope;
  const auto slash = scope.rfind('/');
  const NameScope parent(graph, slash == std::string_view::npos
                                    ? std::string()
                                    : std::string(scope.substr(0, slash + 1)));
  const ControlDependencies outside(graph);
  with_context(
      [&] {
        state->state =
            import_state_graph(graph, state->variant->meta_graph, state->scope, options.trainable);
        if (impl.checkpoint_prefix().empty() || state->state.variables.empty()) return;
        restore_from_checkpoint(graph, state->state.variables, impl.checkpoint());
        state->state.variables = variables_below(graph, state->scope);
      },
      [&] { return cat("while instantiating ", impl.place()); });
  state_ = std::move(state);
}

Outputs Module::apply_named(const ValueMap& inputs, std::string_view name) const {
  const BoundSignature& signature = find_signature(*state_->variant, name);
  check_supported(signature);
  std::string label = signature.name;
  std::ranges::replace(label, ':', '_');
  const std::string& scope = state_->scope;
  return with_context(
      [&] {
        return import_apply_graph(
            state_->graph, {.meta_graph = state_->variant->meta_graph,
                            .signature = signature,
                            .state = state_->state.tensors,
                            .inputs = convert_inputs(state_->graph, signature, inputs),
                            .name = cat(scope.substr(scope.rfind('/') + 1), "_apply_", label),
                            .trainable = state_->trainable});
      },
      [&] {
        return cat("while applying signature '", printable(signature.name), "' of ",
                   state_->spec.impl().place());
      });
}

namespace {

Value default_output(const Outputs& outputs) {
  if (outputs.contains("default")) return outputs["default"];
  throw type_error(
      "There is no output named 'default'. Use as_dict=True. Details: apply() gives "
      "all outputs.");
}

}  // namespace

Outputs Module::apply(const ValueMap& inputs, const ApplyOptions& options) const {
  return apply_named(inputs, options.signature);
}

Outputs Module::apply(const Value& input, const ApplyOptions& options) const {
  const BoundSignature& signature = find_signature(*state_->variant, options.signature);
  check_supported(signature);
  return apply_named(input.is_valid() ? only_input(signature, input) : ValueMap{},
                     options.signature);
}

Value Module::operator()(const ValueMap& inputs, const ApplyOptions& options) const {
  return default_output(apply(inputs, options));
}

Value Module::operator()(const Value& input, const ApplyOptions& options) const {
  return default_output(apply(input, options));
}

const std::map<std::string, Variable>& Module::variable_map() const {
  return state_->state.variables;
}

std::vector<Variable> Module::variables() const {
  std::vector<Variable> result;
  for (const auto& [name, variable] : state_->state.variables) {
    if (variable.is_partitioned()) {
      result.insert(result.end(), variable.parts().begin(), variable.parts().end());
    } else {
      result.push_back(variable);
    }
  }
  return result;
}

const ModuleSpec& Module::spec() const { return state_->spec; }
const Tags& Module::tags() const { return state_->variant->tags; }
bool Module::trainable() const { return state_->trainable; }
const std::string& Module::scope() const { return state_->scope; }
const Graph& Module::graph() const { return state_->graph; }

namespace {

// The values that variables have in a session.
class SessionValues final : public VariableValues {
 public:
  SessionValues(const std::map<std::string, Variable>& variables, const Session& session)
      : variables_(variables), session_(session) {}

  bool has(const std::string& name) const override { return variables_.contains(name); }

  void write(const std::string& name, BundleWriter& writer) const override {
    const Variable& variable = variables_.at(name);
    if (!variable.is_partitioned()) {
      writer.add(name, value_of(variable));
      return;
    }
    for (const Variable& part : variable.parts())
      writer.add_slice(name, part.partition().full_shape, slice_of(part), value_of(part));
  }

 private:
  Tensor value_of(const Variable& variable) const {
    Tensor value = session_.variable(variable.op());
    if (value.is_valid()) return value;
    throw failed_precondition("A module is exported with the values of its variables. Details: \"",
                              variable.name(), "\" is not initialized in the session.");
  }

  const std::map<std::string, Variable>& variables_;
  const Session& session_;
};

}  // namespace

void Module::export_to(const std::string& path, const Session& session) const {
  if (!(session.graph() == state_->graph)) {
    throw runtime_error(
        "A module is exported with a session of the graph that it was "
        "instantiated in. Details: the session is of another graph.");
  }
  export_spec(state_->spec.impl(), path, SessionValues(state_->state.variables, session));
}

}  // namespace hub
