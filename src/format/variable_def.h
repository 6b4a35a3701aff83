#pragma once

// What the collections of a meta graph hold as bytes: variables and control-flow contexts.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace hub {

// Which part of a partitioned variable a variable is.
struct SaveSliceInfo {
  std::string full_name;
  std::vector<std::int64_t> full_shape;
  std::vector<std::int64_t> offset;
  std::vector<std::int64_t> shape;
  std::string unknown_fields;
};

struct VariableDef {
  std::string variable_name;     // "v:0"
  std::string initializer_name;  // "v/Assign"
  std::string snapshot_name;     // "v/Read/ReadVariableOp:0" or "v/read:0"
  std::string initial_value_name;
  std::optional<SaveSliceInfo> slice;
  bool is_resource = false;
  bool trainable = false;
  int synchronization = 0;
  int aggregation = 0;
  std::string unknown_fields;
};

// Tensors that a control-flow context sees, and the inner names of outer ones.
struct ContextValues {
  std::vector<std::string> values;
  std::map<std::string, std::string> external_values;
  std::string unknown_fields;
};

struct ControlFlowContext;

struct CondContext {
  std::string context_name;
  std::string pred_name;
  std::string pivot_name;
  std::int32_t branch = 0;
  ContextValues values;
  std::vector<ControlFlowContext> nested;
  std::string unknown_fields;
};

struct WhileContext {
  std::string context_name;
  std::int32_t parallel_iterations = 0;
  bool back_prop = false;
  bool swap_memory = false;
  std::string pivot_name;
  std::string pivot_for_pred_name;
  std::string pivot_for_body_name;
  std::vector<std::string> loop_exit_names;
  std::vector<std::string> loop_enter_names;
  std::string maximum_iterations_name;
  ContextValues values;
  std::vector<ControlFlowContext> nested;
  std::string unknown_fields;
};

struct ControlFlowContext {
  std::variant<std::monostate, CondContext, WhileContext> context;
  std::string unknown_fields;
};

// `place` names the source in errors. Errors: DATA_LOSS (kind decode).
VariableDef parse_variable_def(std::string_view bytes, std::string_view place);
CondContext parse_cond_context(std::string_view bytes, std::string_view place);
WhileContext parse_while_context(std::string_view bytes, std::string_view place);

std::string serialize_variable_def(const VariableDef& variable);
std::string serialize_cond_context(const CondContext& context);
std::string serialize_while_context(const WhileContext& context);

}  // namespace hub
