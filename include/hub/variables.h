#pragma once

// Variables: created once, shared by name, initialised as TensorFlow 1 does it.
//
//   hub::VariableScope scope(graph, "layer", {.initializer = hub::init::truncated_normal(0,
//   0.02)}); hub::Variable w = hub::get_variable(graph, "w", {784, 10});     // "layer/w"
//   hub::Output y = hub::ops::matmul(x, w);

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/export.h"
#include "hub/graph.h"

namespace hub {

struct VariableDef;  // what a file says of a variable

// Which part of a partitioned variable is initialised.
struct PartitionInfo {
  Shape full_shape;
  std::vector<std::int64_t> offset;
};

// Adds nodes that make a variable's initial value. `partition` is nullptr for a whole variable.
using Initializer = std::function<Output(const Graph& graph, const Shape& shape, DType dtype,
                                         const PartitionInfo* partition)>;
// Adds nodes that make a penalty of a variable's value: a scalar, or no tensor.
using Regularizer = std::function<Output(const Input& variable)>;
// How many parts along each axis; at most one axis has more than one.
using Partitioner = std::function<std::vector<int>(const Shape& shape, DType dtype)>;

// A variable of a graph: reference (VariableV2) or resource (VarHandleOp). A small value; the
// graph must outlive it. A partitioned variable is read as a whole; its parts are variables.
class HUB_EXPORT Variable {
 public:
  Variable() = default;  // none
  Variable(const Graph& graph, std::shared_ptr<const VariableDef> def);
  // A partitioned one.
  Variable(const Graph& graph, std::string name, Shape full_shape, std::vector<Variable> parts);

  bool is_valid() const { return state_ != nullptr; }
  explicit operator bool() const { return is_valid(); }

  const std::string& name() const;  // "layer/w"
  DType dtype() const;
  PartialShape shape() const;
  bool is_resource() const;
  bool trainable() const;
  Graph graph() const;

  bool is_partitioned() const;
  const std::vector<Variable>& parts() const;
  // A part's place in the whole variable.
  bool is_part() const;
  std::string full_name() const;
  PartitionInfo partition() const;

  // The VarHandleOp's or VariableV2's output. Errors: INVALID_ARGUMENT for a partitioned one, as
  // for everything below that is not said to read it.
  Output handle() const;
  Operation op() const { return handle().op(); }
  // The value as the node that was made with the variable reads it (a partitioned one: as new
  // nodes do).
  Output value() const;
  // Reads it now: a new node.
  Output read_value() const;
  operator Output() const;  // NOLINT: what an op reads: a resource's value now, a reference's value
  operator Input() const;   // NOLINT: the same, the reading node below the op's name
  Operation initializer() const;
  Output initial_value() const;
  // Whether it has a value: a new node.
  Output is_initialized() const;
  // Its value, or its initial value where it has none yet.
  Output initialized_value() const;

  // New nodes that write it.
  Operation assign(const Input& value, std::string_view name = {}) const;
  Operation assign_add(const Input& delta, std::string_view name = {}) const;
  Operation assign_sub(const Input& delta, std::string_view name = {}) const;

  // For the library's own code.
  const std::shared_ptr<const VariableDef>& def() const;
  // The same variable, of whatever collection it was taken.
  bool operator==(const Variable& other) const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

enum class Reuse : std::uint8_t {
  kInherit,  // as the scope around it: by default variables are created, and must be new
  kYes,      // variables must be there
  kAuto,     // created where they are not there
};

struct VariableOptions;
using VariableGetter = std::function<Variable(const std::string& name, const PartialShape& shape,
                                              const VariableOptions& options)>;
// Called instead of get_variable; `getter` is what it stands in for.
using CustomGetter =
    std::function<Variable(const VariableGetter& getter, const std::string& name,
                           const PartialShape& shape, const VariableOptions& options)>;

struct VariableOptions {
  DType dtype = DType::kInvalid;  // kInvalid: the scope's, float32 at first
  Initializer initializer = {};   // none: the scope's; then glorot_uniform, zeros for integers
  // Made of this value (the shape follows from it) instead of by an initialiser.
  std::optional<Input> initial_value = {};
  Regularizer regularizer = {};
  Partitioner partitioner = {};
  CustomGetter custom_getter = {};
  bool trainable = true;
  // Empty: the global variables.
  std::vector<std::string> collections = {};
  std::optional<bool> use_resource = {};
  std::optional<Reuse> reuse = {};
};

// The variable called so in the current variable scope, created where it is not there; names are
// full names of variable scopes, whatever the name scope. Adds it to its collections and its
// penalty to the regularisation losses.
// Errors: of kind value where the scope's reuse forbids to create or to share it, where shape or
// dtype differ from the one that is there, or are missing.
HUB_EXPORT Variable get_variable(const Graph& graph, std::string_view name,
                                 const PartialShape& shape = {},
                                 const VariableOptions& options = {});

// A new variable of this value, its name below the name scope and made unique (tf.Variable).
HUB_EXPORT Variable make_variable(const Graph& graph, const Input& initial_value,
                                  std::string_view name = {}, const VariableOptions& options = {});

// A variable on the left of an operator is read before the operator's node.
HUB_EXPORT Output operator+(const Variable& x, const Input& y);
HUB_EXPORT Output operator-(const Variable& x, const Input& y);
HUB_EXPORT Output operator*(const Variable& x, const Input& y);
HUB_EXPORT Output operator/(const Variable& x, const Input& y);

// The variables of a collection.
HUB_EXPORT std::vector<Variable> collection_variables(
    const Graph& graph, std::string_view key = Collections::kGlobalVariables);
HUB_EXPORT std::vector<Variable> trainable_variables(const Graph& graph);
HUB_EXPORT void add_to_collection(std::string_view key, const Variable& variable);
// One node that runs all of their initialisers: "init".
HUB_EXPORT Operation variables_initializer(const Graph& graph,
                                           const std::vector<Variable>& variables,
                                           std::string_view name = "init");
// The variable "global_step" (int64), created where it is not there.
HUB_EXPORT Variable get_or_create_global_step(const Graph& graph);
// No variable where there is none.
HUB_EXPORT Variable find_global_step(const Graph& graph);
// The losses that regularisers made, or that layers added.
HUB_EXPORT std::vector<Output> regularization_losses(const Graph& graph);
// Their sum: "total_regularization_loss". No tensor where there are none.
HUB_EXPORT Output total_regularization_loss(const Graph& graph);

struct VariableScopeOptions {
  Initializer initializer = {};
  Regularizer regularizer = {};
  Partitioner partitioner = {};
  CustomGetter custom_getter = {};
  Reuse reuse = Reuse::kInherit;
  DType dtype = DType::kInvalid;
  std::optional<bool> use_resource = {};
  // false: no name scope is opened; the current one stays.
  bool auxiliary_name_scope = true;
};

// What a variable scope is, to be entered again.
class HUB_EXPORT VariableScopeState {
 public:
  const std::string& name() const { return name_; }  // "a/b"
  // The name scope that was opened with it first: "a_1/b/".
  const std::string& original_name_scope() const { return name_scope_; }
  Reuse reuse() const { return reuse_; }
  const Initializer& initializer() const { return initializer_; }
  const Regularizer& regularizer() const { return regularizer_; }
  const Partitioner& partitioner() const { return partitioner_; }
  const CustomGetter& custom_getter() const { return custom_getter_; }
  DType dtype() const { return dtype_; }
  const std::optional<bool>& use_resource() const { return use_resource_; }

 private:
  friend class VariableScope;
  std::string name_;
  std::string name_scope_;
  Reuse reuse_ = Reuse::kInherit;
  Initializer initializer_;
  Regularizer regularizer_;
  Partitioner partitioner_;
  CustomGetter custom_getter_;
  DType dtype_ = DType::kFloat32;
  std::optional<bool> use_resource_;
};

// A name to be made unique where no scope is named (default_name of tf.variable_scope).
struct DefaultName {
  std::string name;
};

// Variables of get_variable get the scope's name before theirs, and what the scope says where they
// say nothing; other nodes get the name scope that is opened with it.
class HUB_EXPORT VariableScope {
 public:
  VariableScope(const Graph& graph, std::string_view name, VariableScopeOptions options = {});
  // "name", "name_1"... whichever no variable scope beside it has. Reuse: never.
  VariableScope(const Graph& graph, const DefaultName& name, VariableScopeOptions options = {});
  // The scope again, from wherever.
  VariableScope(const Graph& graph, const VariableScopeState& scope,
                VariableScopeOptions options = {});
  ~VariableScope();
  VariableScope(const VariableScope&) = delete;
  VariableScope& operator=(const VariableScope&) = delete;

  const std::string& name() const { return state().name(); }
  const std::string& original_name_scope() const { return state().original_name_scope(); }
  const VariableScopeState& state() const;

  // The one that holds now, at the top too.
  static const VariableScopeState& current(const Graph& graph);
  // From now on variables of the current scope must be there (reuse_variables()).
  static void set_reuse(const Graph& graph);
  // How a DefaultName would be called here; whether it was called (tf.variable_scope's count).
  static std::string unique_name(const Graph& graph, std::string_view name);

 private:
  void open_names(std::string_view name);
  void enter(VariableScopeState state, const VariableScopeOptions& options);

  Graph graph_;
  std::unique_ptr<NameScope> names_;
  VariableScopeState old_;
  std::string name_;
  bool entered_again_ = false;
  std::shared_ptr<void> old_counts_;
};

// Initialisers, with TensorFlow's nodes, so that seeds give its values.
namespace init {

using Seed = std::optional<std::int64_t>;

HUB_EXPORT Initializer zeros();
HUB_EXPORT Initializer ones();
// Everywhere the same; or these values, the last of them repeated.
HUB_EXPORT Initializer constant(double value);
HUB_EXPORT Initializer constant(const Tensor& values);
HUB_EXPORT Initializer random_uniform(double min = 0, double max = 1, Seed seed = {});
HUB_EXPORT Initializer random_normal(double mean = 0, double stddev = 1, Seed seed = {});
HUB_EXPORT Initializer truncated_normal(double mean = 0, double stddev = 1, Seed seed = {});
HUB_EXPORT Initializer uniform_unit_scaling(double factor = 1, Seed seed = {});

enum class FanMode : std::uint8_t { kFanIn, kFanOut, kFanAverage };
enum class Distribution : std::uint8_t { kTruncatedNormal, kUntruncatedNormal, kUniform };
// Errors: of kind value for a scale that is not positive.
HUB_EXPORT Initializer variance_scaling(double scale = 1, FanMode mode = FanMode::kFanIn,
                                        Distribution distribution = Distribution::kTruncatedNormal,
                                        Seed seed = {});
HUB_EXPORT Initializer glorot_uniform(Seed seed = {});
HUB_EXPORT Initializer glorot_normal(Seed seed = {});
HUB_EXPORT Initializer he_uniform(Seed seed = {});
HUB_EXPORT Initializer he_normal(Seed seed = {});
HUB_EXPORT Initializer lecun_uniform(Seed seed = {});
HUB_EXPORT Initializer lecun_normal(Seed seed = {});
// tf.contrib.layers': truncated normal of variance factor / n (times 1.3), or uniform.
HUB_EXPORT Initializer contrib_variance_scaling(double factor = 2, FanMode mode = FanMode::kFanIn,
                                                bool uniform = false, Seed seed = {});
HUB_EXPORT Initializer xavier(bool uniform = true, Seed seed = {});
// Rank 2 or more. Errors of both: of kind value for another rank.
HUB_EXPORT Initializer orthogonal(double gain = 1, Seed seed = {});
// Rank 2.
HUB_EXPORT Initializer identity(double gain = 1);

}  // namespace init

namespace regularize {

// scale * sum(|w|), scale * sum(w^2) / 2. Errors: of kind value for a negative scale.
HUB_EXPORT Regularizer l1(double scale);
HUB_EXPORT Regularizer l2(double scale);
HUB_EXPORT Regularizer l1_l2(double scale_l1, double scale_l2);
HUB_EXPORT Regularizer sum(std::vector<Regularizer> regularizers);

}  // namespace regularize

namespace partition {

// So many parts of `axis` (no more than it is long).
HUB_EXPORT Partitioner fixed_size(int shards, int axis = 0);
// Parts of at most so many bytes.
HUB_EXPORT Partitioner variable_axis_size(std::int64_t max_shard_bytes, int axis = 0,
                                          std::int64_t bytes_per_string_element = 16,
                                          std::optional<int> max_shards = {});
// As many parts as leave each at least so many bytes.
HUB_EXPORT Partitioner min_max(int max_partitions = 1, int axis = 0,
                               std::int64_t min_slice_bytes = 256 << 10,
                               std::int64_t bytes_per_string_element = 16);

}  // namespace partition

}  // namespace hub
