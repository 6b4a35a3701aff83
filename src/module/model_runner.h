#pragma once

// One graph of a model, loaded and ready: its signatures are called, its tensors fetched.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "format/module_files.h"
#include "graph/graph_data.h"
#include "hub/module.h"
#include "module/signature.h"
#include "module/variables.h"
#include "runtime/session.h"

namespace hub {

struct RunnerOptions {
  std::vector<std::string> tags = {};  // see find_variant
  EngineOptions engine = {};
  // Variables get their stored values and tables are filled. Without it both are up to the
  // caller: `set_variable`, then `initialize`.
  bool restore = true;
  // Random ops without a seed of their own get one that follows from this.
  std::optional<std::int64_t> seed = {};
};

// What a call does beside its signature.
struct CallOptions {
  // Only these outputs of the signature; nothing else is computed.
  std::optional<std::set<std::string>> outputs = {};
  TensorMap feeds = {};                   // tensors of the graph: "random/normal:0"
  std::vector<std::string> fetches = {};  // likewise; in the result under these names
  std::vector<std::string> targets = {};  // nodes that run for their effect
  EngineRunOptions run = {};
};

// All calls share the variables and tables. Any number of threads may call, but for
// `set_variable`.
class ModelRunner {
 public:
  // Errors: of kind value where there is no such variant, where a variable is not in the
  // checkpoint or has another shape; NOT_FOUND where the checkpoint is missing; those of
  // reading it, of the graph, and of the ops that fill tables.
  explicit ModelRunner(const ModuleFiles& files, const RunnerOptions& options = {});

  // Names may name signatures that cannot be called: only calling them fails.
  const std::map<std::string, BoundSignature>& signatures() const { return bound_; }
  // Errors: of kind value, listing what there is.
  const BoundSignature& signature(std::string_view name) const;

  // Plans without running. Errors: as `call`.
  void prepare(std::string_view signature_name) const;
  // What a call with inputs of these shapes takes, before anything runs; the values do not matter.
  // Errors: as `call`.
  MemoryEstimate estimate_memory(std::string_view signature_name, const TensorMap& inputs) const;
  // The outputs of the signature, and what the options add.
  // Errors: those of bind_inputs, NOT_FOUND for a tensor that is not in the graph, and those
  // of the graph's ops.
  TensorMap call(std::string_view signature_name, const TensorMap& inputs,
                 const CallOptions& options = {}) const;
  // The same without a signature: what the options say.
  TensorMap run(const CallOptions& options) const;

  const std::vector<ModelVariable>& variables() const { return variables_; }
  // The present value, put together from its parts; invalid where there is none.
  // Errors: of kind key for a name that is no variable.
  Tensor variable(std::string_view name) const;
  // Errors: also INVALID_ARGUMENT where the value does not fit.
  void set_variable(std::string_view name, const Tensor& value) const;
  // Fills tables and does what else the model wants done before it is used.
  void initialize() const;

  const GraphData& graph() const { return graph_; }
  Engine& engine() const { return *engine_; }

 private:
  // A signature with its tensors found in the graph.
  struct Target {
    std::vector<std::optional<OutputId>> feeds;  // as bind_inputs orders them; none: not needed
    struct Part {
      std::string output;
      std::string name;
      OutputId tensor;
    };
    std::vector<Part> parts;
    std::vector<int> nodes;      // outputs that are operations
    std::optional<Error> error;  // why it cannot be called
  };

  Target find_tensors(const BoundSignature& signature) const;
  const Target& target(std::string_view name) const;
  PreparedRun prepared(const Target& wanted) const;
  const ModelVariable& find_variable(std::string_view name) const;
  int find_node(std::string_view name) const;
  void restore(const ModuleFiles& files, const MetaGraph& meta_graph) const;
  void restore_variable(const ModelVariable& variable, const BundleReader& checkpoint) const;
  void plan_initialization(const ModuleFiles& files, const MetaGraph& meta_graph);

  std::string place_;
  GraphData graph_;
  std::map<std::string, BoundSignature> bound_;
  std::map<std::string, Target, std::less<>> targets_;
  std::vector<ModelVariable> variables_;
  std::vector<int> initializers_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace hub
