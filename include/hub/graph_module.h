#pragma once

// Modules in graphs: instantiate one, apply it, export it.
//
//   hub::Graph graph;
//   hub::Module m(graph, "path/to/module");     // adds its variables, once
//   hub::Output y = m(x);                       // adds its computation, each time
//   hub::Session session(graph);
//   session.initialize();
//   hub::Tensor v = session.run(y, {{x, batch}});

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hub/export.h"
#include "hub/graph.h"
#include "hub/module_spec.h"
#include "hub/session.h"
#include "hub/value.h"
#include "hub/variables.h"

namespace hub {

struct ModuleOptions {
  // Its variable scope, made unique; "module/w".
  std::string name = "module";
  // Its variables are trained with the graph's others, and its penalties and update operations
  // stand in the graph's collections. Does not choose a graph for training: that is `tags`.
  bool trainable = false;
  Tags tags = {};
};

struct ApplyOptions {
  std::string signature = {};  // "default"
};

// An instance of a module: one set of variables and tables in a graph, applied any number of
// times. Copies are the same instance. Edits the graph, so one thread at a time.
class HUB_EXPORT Module {
 public:
  // Variables and tables are made below the current variable scope, whatever name scope,
  // control dependencies, loop or conditional is around. Their initialisers read the values that
  // are stored with the module, if any are.
  // Errors: those of load_module_spec; of kind value for tags that no graph of it has, for a
  // variable that is not stored or has another shape; NOT_FOUND for ops that this library does not
  // have, naming them; of kind runtime where the scope's name is taken.
  Module(const Graph& graph, const std::string& handle, const ModuleOptions& options = {});
  Module(const Graph& graph, const char* handle, const ModuleOptions& options = {})
      : Module(graph, std::string(handle), options) {}
  Module(const Graph& graph, const ModuleSpec& spec, const ModuleOptions& options = {});

  // Applies the signature "default", or the one named, and gives its output "default".
  // One value alone is the signature's only input. Numbers and Tensors become constants.
  // Errors: of kind value for an unknown signature, a tensor of another dtype, a kind of value
  // that signatures cannot have; of kind type for missing or extra inputs, another kind of value,
  // a shape that does not fit, and where there is no output "default"; of kind runtime for tensors
  // of another graph.
  Value operator()(const Value& input, const ApplyOptions& options = {}) const;
  Value operator()(const ValueMap& inputs, const ApplyOptions& options = {}) const;
  Value operator()() const { return (*this)(ValueMap{}); }

  // The same; all outputs.
  Outputs apply(const Value& input, const ApplyOptions& options = {}) const;
  Outputs apply(const ValueMap& inputs = {}, const ApplyOptions& options = {}) const;

  // By the names that the variables have in the module ("w", not "module/w"). A partitioned one is
  // one entry.
  const std::map<std::string, Variable>& variable_map() const;
  // In the order of those names, the parts of partitioned ones one by one.
  std::vector<Variable> variables() const;

  const ModuleSpec& spec() const;
  const Tags& tags() const;
  bool trainable() const;
  // The scope of its variables: "module".
  const std::string& scope() const;
  const Graph& graph() const;

  // Writes a module folder: all graphs of the spec, its assets, and the values that the instance's
  // variables have in the session; all or nothing.
  // Errors: of kind runtime for a session of another graph; FAILED_PRECONDITION for a variable
  // without a value, or a variable of another graph of the spec that has none; ALREADY_EXISTS
  // where the folder is a module already; those of writing.
  void export_to(const std::string& path, const Session& session) const;

 private:
  struct State;
  Outputs apply_named(const ValueMap& inputs, std::string_view signature) const;
  std::shared_ptr<const State> state_;
};

// A module as a function of tensors, in a graph and session of its own: what a test of a module
// that was just created wants. Variables and tables are initialised. `hub::load` is faster, but
// wants a module on disk.
class HUB_EXPORT EvalFunction {
 public:
  explicit EvalFunction(const ModuleSpec& spec, const Tags& tags = {}, SessionOptions options = {});
  // Tensors by name and part, as hub::Function. Errors: as Module's.
  TensorMap call(const TensorMap& inputs = {}, std::string_view signature = {}) const;
  // The output "default". Errors: of kind type where there is none that is dense.
  Tensor operator()(const TensorMap& inputs = {}, std::string_view signature = {}) const;
  Tensor operator()(const Tensor& only_input, std::string_view signature = {}) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace hub
