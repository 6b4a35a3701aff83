#pragma once

// What a hub::Graph is: the nodes, and what is around them while a program writes it (names in
// use, scopes, collections, seeds). Not thread-safe, but misuse is detected: see GraphEdit.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <typeindex>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "format/variable_def.h"
#include "graph/graph_data.h"
#include "graph/import.h"
#include "hub/graph.h"

namespace hub {

class FlowContext;

// An element of a collection.
struct CollectionItem {
  // A variable is one object, whatever collections it is in.
  std::variant<OutputId, std::int32_t, std::shared_ptr<const VariableDef>,
               std::shared_ptr<FlowContext>, std::shared_ptr<const std::string>>
      value;  // std::int32_t: a node; the last: bytes
};

class GraphState : public std::enable_shared_from_this<GraphState> {
 public:
  explicit GraphState(const OpRegistry& registry);
  ~GraphState();

  const GraphData& data() const { return data_; }
  // How often nodes that were there already have been changed: plans made before are stale.
  std::uint64_t changes() const { return changes_.load(std::memory_order_relaxed); }

  // Adds a node for `op_type` with the public API's rules (Graph::op).
  int build(std::string_view op_type, const std::vector<Input>& inputs, AttrMap attrs,
            std::string_view name);
  // The same for inputs that are tensors; `name` ends in '/' (taken as it is) or is made unique.
  int create(std::string_view op_type, std::vector<OutputId> inputs, AttrMap attrs,
             std::string_view name);
  // The same; what is added for its inputs is named below it.
  int create_scoped(std::string_view op_type, std::vector<OutputId> inputs, AttrMap attrs,
                    std::string_view name);
  // Adds a node that reads a resource variable.
  OutputId read_variable(OutputId handle, DType dtype);
  // Adds nodes of a GraphDef as they are, then marks their names. See import.h.
  std::vector<int> import(const GraphDef& graph_def, const ImportOptions& options);

  // Changes of nodes that are there.
  void set_input(int node, int input, OutputId output);
  void add_control_input(int node, int control);
  void remove_control_inputs(int node, const std::set<int>& controls);
  void set_attr(int node, std::string_view name, AttrValue value);
  void set_device(int node, std::string device);
  void set_shape(OutputId output, const PartialShape& shape);
  void add_function(std::shared_ptr<const FunctionDef> function);
  void set_versions(VersionDef versions);

  // Names.
  std::string unique_name(std::string_view name, bool mark_as_used);
  bool is_name_in_use(std::string_view name) const;
  const std::string& name_stack() const { return name_stack_; }  // "a/b"
  // Enters a scope ("" the top, "x/" as it is); gives what was current before.
  std::string push_name_scope(std::string_view name);
  void set_name_stack(std::string stack) { name_stack_ = std::move(stack); }

  // Scopes.
  struct ControlScope {
    std::vector<int> inputs;
    std::unordered_set<int> seen;  // nodes added inside
  };
  std::vector<ControlScope> control_scopes;
  std::vector<int> colocation_stack;
  AttrMap attr_scope;  // attributes that new nodes get where they have none of the name
  std::vector<std::optional<std::string>> device_stack;
  std::vector<int> new_control_inputs(const std::vector<int>& wanted) const;
  std::vector<std::string> colocation_groups(int node) const;

  // Loops and conditionals: the one that is being written, and that of each node.
  FlowContext* flow_context = nullptr;
  FlowContext* context_of(int node) const;
  void set_context_of(int node, FlowContext* context);
  // Contexts live as long as the graph.
  std::vector<std::shared_ptr<FlowContext>> flow_contexts;

  // Collections.
  std::map<std::string, std::vector<CollectionItem>, std::less<>> collections;

  // Seeds.
  std::optional<std::int64_t> seed;
  OpSeedRule seed_rule = OpSeedRule::kNumberOfOps;
  std::pair<std::int64_t, std::int64_t> op_seeds(std::optional<std::int64_t> op_seed);

  // What layers to the right keep with a graph: one object for each type.
  template <class T>
  T& extension() {
    std::shared_ptr<void>& slot = extensions_[std::type_index(typeid(T))];
    if (slot == nullptr) slot = std::make_shared<T>();
    return *std::static_pointer_cast<T>(slot);
  }

  Output output(OutputId id) { return id.is_valid() ? Output(this, id.node, id.index) : Output(); }
  Operation operation(int node) { return {this, node}; }

 private:
  friend class GraphEdit;
  friend class GraphUse;

  std::vector<OutputId> converted(std::string_view op_type, const OpDefMessage& schema,
                                  const std::vector<Input>& inputs, AttrMap& attrs);
  std::string scoped_device(std::string device) const;
  void apply_scopes(int node);
  void adopt(std::vector<int> added);
  std::vector<int> reference_inputs(int node) const;
  void changed() { changes_.fetch_add(1, std::memory_order_relaxed); }

  GraphData data_;
  std::atomic<std::uint64_t> changes_{0};
  std::atomic<int> users_{0};                          // runs that read it; -1: it is being edited
  std::unordered_map<std::string, int> names_in_use_;  // lower case, as TensorFlow 1.15
  std::string name_stack_;
  std::vector<FlowContext*> node_contexts_;
  std::int64_t seeds_given_ = 0;
  std::unordered_map<std::type_index, std::shared_ptr<void>> extensions_;
};

// Held while a graph is changed. Errors: FAILED_PRECONDITION where a session runs it, or
// another thread edits it.
class GraphEdit {
 public:
  explicit GraphEdit(GraphState& graph);
  ~GraphEdit();
  GraphEdit(const GraphEdit&) = delete;
  GraphEdit& operator=(const GraphEdit&) = delete;
  GraphData& data() const { return graph_.data_; }

 private:
  GraphState& graph_;
};

// Held by a session while it plans and runs. Errors: FAILED_PRECONDITION where a thread edits it.
class GraphUse {
 public:
  explicit GraphUse(GraphState& graph);
  ~GraphUse();
  GraphUse(const GraphUse&) = delete;
  GraphUse& operator=(const GraphUse&) = delete;

 private:
  GraphState& graph_;
};

// A tensor as indices. Errors: INVALID_ARGUMENT where it is none, or of another graph.
OutputId id_of(const Output& output, const GraphState& graph);
int id_of(const Operation& op, const GraphState& graph);

// Public attribute values and those of graphs.
AttrValue to_attr_value(const Attr& attr);
Attr to_attr(const AttrValue& value);
AttrMap to_attr_map(const Attrs& attrs);

// A scalar of this dtype. Errors: INVALID_ARGUMENT where the value does not fit the dtype.
Tensor make_scalar_of(DType dtype, double value);
Tensor make_scalar_of(DType dtype, std::int64_t value);

// The attributes of a Const of this value; a number is int32 or float32.
// Errors: INVALID_ARGUMENT where it is a tensor of a graph.
Attrs constant_attrs(const Input& value);

// "/cpu:0" and "/job:a/task:1" merged: what `inner` says counts. Canonical text.
// Errors: INVALID_ARGUMENT for text that is no device.
std::string merged_device(std::string_view inner, std::string_view outer);

// ASCII letters made small: names are compared so.
std::string lower_case(std::string_view text);

// "a/b" from "a/b/"...
inline std::string_view without_slash(std::string_view name) {
  return name.ends_with('/') ? name.substr(0, name.size() - 1) : name;
}

}  // namespace hub
