#pragma once

// Graphs that a program writes: nodes, their tensors, names and scopes.
//
//   hub::Graph graph;
//   hub::Output x = graph.op("Placeholder", {}, {{"dtype", hub::kFloat}}, "x");
//   hub::NameScope scope(graph, "tower");
//   hub::Output y = graph.op("Mul", {x, 2});          // "tower/Mul", its constant "tower/Mul/y"
//
// A graph is edited by one thread at a time, and not while a session runs it: both are
// FAILED_PRECONDITION. Any number of threads may read it while nobody edits it.

#include <compare>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "hub/export.h"
#include "hub/tensor.h"

namespace hub {

class Graph;
class GraphState;
class Operation;

// One tensor of a graph: an output of a node. A small value; the graph must outlive it.
class HUB_EXPORT Output {
 public:
  Output() = default;  // no tensor
  Output(GraphState* graph, int node, int index) : graph_(graph), node_(node), index_(index) {}

  bool is_valid() const { return graph_ != nullptr; }
  explicit operator bool() const { return is_valid(); }

  // What is known before anything runs. A reference's dtype is its value's.
  DType dtype() const;
  const PartialShape& shape() const;
  // True for the output of a reference variable, which some ops can write.
  bool is_reference() const;
  // "node:0".
  std::string name() const;
  Operation op() const;
  int index() const { return index_; }
  Graph graph() const;
  // Says more of the static shape. Errors: INVALID_ARGUMENT where it contradicts what is known.
  void set_shape(const PartialShape& shape) const;

  // For the library's own code: where it is.
  GraphState* graph_state() const { return graph_; }
  int node() const { return node_; }

  auto operator<=>(const Output&) const = default;

 private:
  GraphState* graph_ = nullptr;
  std::int32_t node_ = -1;
  std::int32_t index_ = 0;
};

// A variable's value, to be read where an op takes it.
struct VariableRead {
  Output handle;  // a resource
  DType dtype = DType::kInvalid;
  PartialShape shape;
};

// What an op takes: a tensor of the graph, or a value of which a constant is made. A number
// takes the dtype that the op's other inputs have; else whole numbers are int32 and others
// float32. A Tensor keeps its dtype.
class HUB_EXPORT Input {
 public:
  Input(Output output) : value_(output) {}                // NOLINT: made from what it is
  Input(Tensor tensor) : value_(std::move(tensor)) {}     // NOLINT
  Input(std::string text) : value_(std::move(text)) {}    // NOLINT
  Input(const char* text) : value_(std::string(text)) {}  // NOLINT
  Input(bool value) : value_(value) {}                    // NOLINT
  Input(std::integral auto value) : value_(static_cast<std::int64_t>(value)) {}  // NOLINT
  Input(std::floating_point auto value) : value_(static_cast<double>(value)) {}  // NOLINT
  Input(VariableRead read) : value_(std::move(read)) {}                          // NOLINT
  Input(const Operation& op);  // NOLINT: its only output

  using Value = std::variant<Output, Tensor, VariableRead, std::string, bool, std::int64_t, double>;
  const Value& value() const { return value_; }
  // The tensor, where it is one of a graph.
  const Output* output() const { return std::get_if<Output>(&value_); }
  // What is known of it: of a number, no dtype.
  DType dtype() const;
  PartialShape shape() const;
  // The graph that it belongs to, if to any.
  GraphState* graph_state() const;

 private:
  Value value_;
};

// A function of the graph's library, as an attribute's value.
struct FunctionName {
  std::string name;
  bool operator==(const FunctionName&) const = default;
};

// The value of an attribute.
class HUB_EXPORT Attr {
 public:
  using Value =
      std::variant<std::int64_t, float, bool, std::string, DType, PartialShape, Tensor,
                   FunctionName, std::vector<std::int64_t>, std::vector<float>, std::vector<bool>,
                   std::vector<std::string>, std::vector<DType>, std::vector<PartialShape>,
                   std::vector<Tensor>, std::vector<FunctionName>>;

  Attr(bool value) : value_(value) {}                                           // NOLINT
  Attr(std::integral auto value) : value_(static_cast<std::int64_t>(value)) {}  // NOLINT
  Attr(std::floating_point auto value) : value_(static_cast<float>(value)) {}   // NOLINT
  Attr(const char* text) : value_(std::string(text)) {}                         // NOLINT
  Attr(std::string_view text) : value_(std::string(text)) {}                    // NOLINT
  Attr(const Shape& shape) : value_(PartialShape(shape)) {}                     // NOLINT
  Attr(std::initializer_list<int> list)                                         // NOLINT
      : value_(std::vector<std::int64_t>(list.begin(), list.end())) {}
  Attr(std::string text) : value_(std::move(text)) {}                // NOLINT
  Attr(DType dtype) : value_(dtype) {}                               // NOLINT
  Attr(PartialShape shape) : value_(std::move(shape)) {}             // NOLINT
  Attr(Tensor tensor) : value_(std::move(tensor)) {}                 // NOLINT
  Attr(FunctionName function) : value_(std::move(function)) {}       // NOLINT
  Attr(std::vector<std::int64_t> list) : value_(std::move(list)) {}  // NOLINT
  Attr(std::vector<float> list) : value_(std::move(list)) {}         // NOLINT
  Attr(std::vector<bool> list) : value_(std::move(list)) {}          // NOLINT
  Attr(std::vector<std::string> list) : value_(std::move(list)) {}   // NOLINT
  Attr(std::vector<DType> list) : value_(std::move(list)) {}         // NOLINT
  Attr(std::vector<PartialShape> list) : value_(std::move(list)) {}  // NOLINT
  Attr(std::vector<Tensor> list) : value_(std::move(list)) {}        // NOLINT
  Attr(std::vector<FunctionName> list) : value_(std::move(list)) {}  // NOLINT

  const Value& value() const { return value_; }

 private:
  Value value_;
};
using Attrs = std::map<std::string, Attr, std::less<>>;

// A node of a graph. A small value; the graph must outlive it.
class HUB_EXPORT Operation {
 public:
  Operation() = default;  // no node
  Operation(GraphState* graph, int node) : graph_(graph), node_(node) {}

  bool is_valid() const { return graph_ != nullptr; }
  explicit operator bool() const { return is_valid(); }

  const std::string& name() const;
  // The op: "MatMul".
  const std::string& type() const;
  const std::string& device() const;
  int num_inputs() const;
  Output input(int index) const;
  std::vector<Operation> control_inputs() const;
  int num_outputs() const;
  // Errors: INVALID_ARGUMENT for an output that the node does not have.
  Output output(int index) const;
  operator Output() const { return output(0); }  // NOLINT: where an op gives one tensor
  bool has_attr(std::string_view name) const;
  // Errors: INVALID_ARGUMENT where it has none of this name.
  Attr attr(std::string_view name) const;
  void set_attr(std::string_view name, const Attr& value) const;
  // The node runs after `op` has.
  void add_control_input(const Operation& op) const;
  // Replaces an input; a session then compiles anew what it needs.
  // Errors: INVALID_ARGUMENT for another dtype.
  void set_input(int index, const Output& output) const;
  Graph graph() const;

  GraphState* graph_state() const { return graph_; }
  int node() const { return node_; }

  auto operator<=>(const Operation&) const = default;

 private:
  GraphState* graph_ = nullptr;
  std::int32_t node_ = -1;
};

// Names of the collections that TensorFlow's programs agree on.
struct Collections {
  static constexpr std::string_view kGlobalVariables = "variables";
  static constexpr std::string_view kLocalVariables = "local_variables";
  static constexpr std::string_view kTrainableVariables = "trainable_variables";
  static constexpr std::string_view kModelVariables = "model_variables";
  static constexpr std::string_view kMovingAverageVariables = "moving_average_variables";
  static constexpr std::string_view kUpdateOps = "update_ops";
  static constexpr std::string_view kRegularizationLosses = "regularization_losses";
  static constexpr std::string_view kLosses = "losses";
  static constexpr std::string_view kTableInitializers = "table_initializer";
  static constexpr std::string_view kAssetFilepaths = "asset_filepaths";
  static constexpr std::string_view kCondContext = "cond_context";
  static constexpr std::string_view kWhileContext = "while_context";
  static constexpr std::string_view kGlobalStep = "global_step";
  static constexpr std::string_view kActivations = "activations";
};

// Which op seed a random op gets where the graph has a seed and the op has none.
enum class OpSeedRule : std::uint8_t {
  kNumberOfOps,  // as TensorFlow 1: how many nodes the graph has at that moment
  kCounter,      // as TensorFlow 2: how many seeds were asked for before
};

// A graph. Copies are the same graph; tensors and scopes refer to it.
class HUB_EXPORT Graph {
 public:
  Graph();  // empty, for all ops of this library
  explicit Graph(std::shared_ptr<GraphState> state) : state_(std::move(state)) {}

  // Adds a node. `inputs` are all inputs in order, those of a list one after the other; type
  // and number attributes follow from them; other attributes have the schema's defaults.
  // `name` (else the op's) is put below the current name scope and made unique; a name that
  // ends in '/' is taken as it is. Shapes are inferred at once.
  // Errors: NOT_FOUND for an op that does not exist; INVALID_ARGUMENT, naming the node, where
  // inputs and attributes do not fit the op.
  Operation op(std::string_view type, const std::vector<Input>& inputs = {},
               const Attrs& attrs = {}, std::string_view name = {}) const;

  // Errors: NOT_FOUND.
  Operation operation(std::string_view name) const;
  // "node:0" or "node". Errors: NOT_FOUND.
  Output tensor(std::string_view name) const;
  // No operation where there is none of this name.
  Operation find_operation(std::string_view name) const;
  // All nodes, in the order in which they were added.
  std::vector<Operation> operations() const;
  int num_operations() const;

  // The name that a node called so would get here; with `mark_as_used` nobody else gets it.
  std::string unique_name(std::string_view name, bool mark_as_used = true) const;
  // "a/b/" inside of scopes; "" at the top.
  std::string name_scope() const;
  // True where a scope or node of this full name was made already.
  bool is_name_in_use(std::string_view name) const;

  // Collections: lists by name that are exported with the graph.
  void add_to_collection(std::string_view key, const Output& output) const;
  void add_to_collection(std::string_view key, const Operation& op) const;
  std::vector<std::string> collection_keys() const;
  // The tensors in it, and its operations.
  std::vector<Output> collection(std::string_view key) const;
  std::vector<Operation> collection_operations(std::string_view key) const;
  void clear_collection(std::string_view key) const;

  // The graph-level seed of random ops.
  void set_seed(std::optional<std::int64_t> seed, OpSeedRule rule = OpSeedRule::kNumberOfOps) const;
  std::optional<std::int64_t> seed() const;
  // The attributes `seed` and `seed2` of a random op that is to have this seed
  // (tensorflow/python/framework/random_seed.py). (0,0): different at each run.
  std::pair<std::int64_t, std::int64_t> op_seeds(std::optional<std::int64_t> op_seed = {}) const;

  GraphState& state() const { return *state_; }
  const std::shared_ptr<GraphState>& shared_state() const { return state_; }
  bool operator==(const Graph&) const = default;

 private:
  std::shared_ptr<GraphState> state_;
};

// Scopes hold while the object lives; they end in the reverse order of their beginning.

// Names below `name`, which is made unique ("tower", then "tower_1"). With a '/' at its end it
// is entered again as it is; "" is the top.
// Errors: INVALID_ARGUMENT (kind value) for a name that TensorFlow does not accept.
class HUB_EXPORT NameScope {
 public:
  NameScope(const Graph& graph, std::string_view name);
  ~NameScope();
  NameScope(const NameScope&) = delete;
  NameScope& operator=(const NameScope&) = delete;
  // "tower_1/": an op of this name gets the scope's name. "" at the top.
  std::string name() const;

 private:
  Graph graph_;
  std::string old_;
};

// Nodes added inside run after these. Only the edges that are needed are made: a node whose
// inputs wait already gets none.
class HUB_EXPORT ControlDependencies {
 public:
  ControlDependencies(const Graph& graph, const std::vector<Operation>& operations);
  ControlDependencies(const Graph& graph, const std::vector<Output>& outputs);
  // None, whatever is around it; also leaves the loops and conditionals around it.
  explicit ControlDependencies(const Graph& graph);
  ~ControlDependencies();
  ControlDependencies(const ControlDependencies&) = delete;
  ControlDependencies& operator=(const ControlDependencies&) = delete;

 private:
  struct Saved;
  Graph graph_;
  std::unique_ptr<Saved> saved_;  // where everything was cleared
};

// Nodes added inside are placed where `op` is: attribute _class "loc:@op".
class HUB_EXPORT Colocation {
 public:
  Colocation(const Graph& graph, const Operation& op, bool ignore_existing = false);
  ~Colocation();
  Colocation(const Colocation&) = delete;
  Colocation& operator=(const Colocation&) = delete;

 private:
  struct Saved;
  Graph graph_;
  std::unique_ptr<Saved> saved_;
};

// Nodes added inside get this device ("/cpu:0", "/job:ps/task:1"); an outer scope adds what an
// inner one leaves open. Without a device: what is around it does not count.
class HUB_EXPORT DeviceScope {
 public:
  DeviceScope(const Graph& graph, std::optional<std::string_view> device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  Graph graph_;
};

}  // namespace hub
