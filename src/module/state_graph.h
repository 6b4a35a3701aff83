#pragma once

// A module's state in a graph: its variables and tables, made once for each instance.

#include <map>
#include <string>
#include <string_view>

#include "graph/graph_state.h"
#include "hub/error.h"
#include "hub/variables.h"
#include "module/spec_impl.h"

namespace hub {

// The scope of a module's state: `name` made unique among the variable scopes below the current
// one, whatever the name scope; "vs/module_1". It is used from now on.
// Errors: of kind runtime where a name scope is called so already.
std::string take_state_scope(const Graph& graph, std::string_view name);

// By the names that variables have in the module. Parts become one entry.
using VariableMap = std::map<std::string, Variable>;

struct StateGraph {
  // "w:0" of the module -> the tensor that is it in this graph.
  std::map<std::string, OutputId, std::less<>> tensors;
  VariableMap variables;
};

// Adds the variant's nodes below `scope`, outside of all that is around; fills the collections of
// variables, tables and assets, and if trainable those of trainable variables and penalties.
// Errors: NOT_FOUND for ops that this library does not have; those of importing.
StateGraph import_state_graph(const Graph& graph, const MetaGraph& meta_graph,
                              const std::string& scope, bool trainable);

// Lets the variables' initialisers read the checkpoint. Nodes are added in the current scope.
// Errors: of kind value for a variable that is not in it or has another shape there.
void restore_from_checkpoint(const Graph& graph, const VariableMap& variables,
                             const BundleReader& checkpoint);

// Variables below `scope` ("module"), by their names relative to it, parts put together.
// Errors: of kind runtime where parts contradict each other.
VariableMap variables_below(const Graph& graph, std::string_view scope);

// What `body` does; where the graph of a file is refused (INVALID_ARGUMENT), the error is of kind
// value, as those of TensorFlow's importer are.
template <class Body>
auto importing(Body&& body) {
  try {
    return body();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidArgument || error.kind() != ErrorKind::kStatus) throw;
    Error as_value(error.code(), error.message(), ErrorKind::kValue);
    for (const std::string& line : error.context()) as_value.add_context(line);
    throw as_value;
  }
}

// Names every shared resource of the nodes below `scope` after it.
void prefix_shared_names(GraphDef& graph, std::string_view scope);

}  // namespace hub
