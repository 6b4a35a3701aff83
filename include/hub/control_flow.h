#pragma once

// Conditionals, loops and functions.
//
//   hub::Output y = hub::cond(pred, [&] { return x * 2; }, [&] { return x + 1; });
//   auto out = hub::while_loop(graph, [&](auto& v) { return hub::ops::less(v[0], 10); },
//                              [&](auto& v) { return std::vector<hub::Output>{v[0] + 1}; }, {0});
//
// cond and while_loop write the nodes of TensorFlow 1 (Switch, Merge, Enter...) and say in the
// collections cond_context and while_context what belongs together, so that TensorFlow can
// differentiate an exported graph. Tensors from outside may be used in branches and bodies.

#include <concepts>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "hub/export.h"
#include "hub/graph.h"

namespace hub {

using Branch = std::function<std::vector<Output>()>;

// The branch that `pred` (a bool scalar) says; the other one does not run. Both give the same
// number of tensors of the same dtypes.
// Errors: of kind value where they do not, or give none.
HUB_EXPORT std::vector<Output> cond_branches(const Output& pred, const Branch& true_branch,
                                             const Branch& false_branch,
                                             std::string_view name = {});

// The same; a branch gives a tensor or a vector of tensors.
template <class True, class False>
auto cond(const Output& pred, True&& true_branch, False&& false_branch,
          std::string_view name = {}) {
  if constexpr (std::convertible_to<std::invoke_result_t<True>, Output>) {
    return cond_branches(
               pred, [&] { return std::vector<Output>{Output(true_branch())}; },
               [&] { return std::vector<Output>{Output(false_branch())}; }, name)
        .front();
  } else {
    return cond_branches(pred, true_branch, false_branch, name);
  }
}

struct WhileOptions {
  // Static shapes of the variables in all iterations, less than their initial shapes say; empty:
  // those stay.
  std::vector<PartialShape> shape_invariants = {};
  int parallel_iterations = 10;
  bool back_prop = true;
  bool swap_memory = false;
  std::optional<Input> maximum_iterations = {};  // an int32 (or int64) scalar
  std::string name = {};                         // "while"
};

using LoopCondition = std::function<Output(const std::vector<Output>& variables)>;
using LoopBody = std::function<std::vector<Output>(const std::vector<Output>& variables)>;

// Runs `body` as long as `condition` (a bool scalar) holds; gives the variables' last values.
// Errors: of kind value where the body gives another number of tensors, another dtype, or a shape
// that the invariants exclude.
HUB_EXPORT std::vector<Output> while_loop(const Graph& graph, const LoopCondition& condition,
                                          const LoopBody& body, const std::vector<Input>& variables,
                                          const WhileOptions& options = {});

struct MapOptions {
  // The results' dtypes; empty: those of `elements`.
  std::vector<DType> dtypes = {};
  int parallel_iterations = 10;
  bool back_prop = true;
  bool swap_memory = false;
  bool infer_shape = true;  // all results of one tensor have one shape
  std::string name = {};    // "map"
};

// `body` for each row of the elements, which all have as many; the results stacked.
HUB_EXPORT std::vector<Output> map_fn(const LoopBody& body, const std::vector<Output>& elements,
                                      const MapOptions& options = {});
HUB_EXPORT Output map_fn(const std::function<Output(const Output&)>& body, const Output& elements,
                         const MapOptions& options = {});

// An input of a function.
struct FunctionInput {
  std::string name;
  DType dtype = kFloat;
  PartialShape shape = {};
};

// Writes a function into the graph's library: `body` gets a graph of its own and that graph's
// inputs, and gives the outputs ("output_0"...). It may call the library's other functions, but
// uses nothing of the outer graph. The function is called by its name as an op,
// `graph.op(name, inputs)`, by `call_function`, or by ops that take functions ("If", "While":
// their attributes are FunctionName{name}).
// Errors: ALREADY_EXISTS for the name.
using FunctionBuilder =
    std::function<std::vector<Output>(const Graph& graph, const std::vector<Output>& inputs)>;
HUB_EXPORT void define_function(const Graph& graph, const std::string& name,
                                const std::vector<FunctionInput>& inputs,
                                const FunctionBuilder& body);
// PartitionedCall, or StatefulPartitionedCall where a node of the function has a state.
// Errors: NOT_FOUND.
HUB_EXPORT std::vector<Output> call_function(const Graph& graph, const std::string& function,
                                             const std::vector<Input>& inputs,
                                             std::string_view name = {});

}  // namespace hub
