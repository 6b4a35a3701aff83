#pragma once

// The editable graph: nodes by index, names for people and files.

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graph/node.h"

namespace hub {

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

// What `GraphData::add` makes a node of.
struct NodeSpec {
  std::string name;
  std::string op;
  std::vector<OutputId> inputs;
  std::vector<std::int32_t> control_inputs = {};
  AttrMap attrs = {};
  std::string device = {};
};

// Not thread-safe for writing; any number of threads may read it while nobody writes.
class GraphData {
 public:
  explicit GraphData(const OpRegistry& registry) : registry_(&registry) {}

  const OpRegistry& registry() const { return *registry_; }
  int num_nodes() const { return static_cast<int>(nodes_.size()); }
  const Node& node(int index) const { return nodes_[static_cast<std::size_t>(index)]; }
  Node& mutable_node(int index) { return nodes_[static_cast<std::size_t>(index)]; }
  const std::deque<Node>& nodes() const { return nodes_; }

  // -1 where there is no such node.
  int find(std::string_view name) const;
  // "node", "node:1" (and "^node", which gives index -1). Errors: INVALID_ARGUMENT for text
  // that is no tensor name, NOT_FOUND where there is no such node or output.
  OutputId find_output(std::string_view tensor_name) const;
  // "node:0".
  std::string output_name(OutputId output) const;
  // Facts of an output; of an unknown op's output: nothing is known.
  const OutputFact& fact(OutputId output) const;
  // The value of a constant, else nullptr.
  const Tensor* constant(OutputId output) const;

  // Adds a node: checks it against the op's schema, fills in defaults and the type
  // attributes that follow from the inputs, infers shapes. An input that is not valid
  // (node -1) is a loop's back edge, set later with `set_input`.
  // Errors: INVALID_ARGUMENT, naming the node and the rule; ALREADY_EXISTS for the name.
  int add(NodeSpec spec);
  void set_input(int node, int input, OutputId output);
  // Adds a node without an op whose outputs come from outside: a feed, a function's argument.
  int add_source(std::string name, std::string op_name, OutputFact fact);
  // Adds a node as it is (its inputs are those of this graph already), without any check.
  int add_copy(Node node);

  // A name that no node has: "name", "name_1"...
  std::string unique_name(std::string_view name) const;

  std::map<std::string, std::shared_ptr<const FunctionDef>, std::less<>> functions;
  std::map<std::string, std::string, std::less<>> function_gradients;  // function -> its gradient
  VersionDef versions;

 private:
  const OpRegistry* registry_;
  std::deque<Node> nodes_;
  std::unordered_map<std::string, std::int32_t, StringHash, std::equal_to<>> by_name_;
};

// "node:1" taken apart. Errors: INVALID_ARGUMENT for text that is no tensor name.
struct TensorName {
  std::string_view node;
  int index = 0;
  bool is_control = false;
};
TensorName parse_tensor_name(std::string_view text);

}  // namespace hub
