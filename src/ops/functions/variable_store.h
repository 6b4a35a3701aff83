#pragma once

// What a graph remembers of variables: those of get_variable by name, and the variable scopes.

#include <map>
#include <string>

#include "graph/graph_state.h"
#include "hub/variables.h"

namespace hub {

struct VariableStore {
  std::map<std::string, Variable, std::less<>> variables;
  std::map<std::string, Variable, std::less<>> partitioned;
  VariableScopeState scope;
  std::map<std::string, int, std::less<>> scope_counts;  // how often opened, by full name
};

inline VariableStore& variable_store(const Graph& graph) {
  return graph.state().extension<VariableStore>();
}

// How a variable is made.
struct VariableSpec {
  std::string name;  // a scope's name, made unique; "Variable" where empty
  // One of the two.
  std::function<Output()> make_value;
  std::optional<Input> value;
  DType dtype = DType::kInvalid;  // for a value that has none
  bool trainable = true;
  std::vector<std::string> collections;
  bool use_resource = false;
  std::optional<SaveSliceInfo> slice = {};
};
Variable create_variable(const Graph& graph, const VariableSpec& spec);

}  // namespace hub
