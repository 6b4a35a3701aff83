#pragma once

// Nodes that call functions: their attributes, and how they get further outputs.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "graph/gradient_context.h"

namespace hub {

// Marks the While nodes that were loops of TensorFlow 1.
constexpr std::string_view kRaisedLoop = "_loop_of_frames";

const FunctionRef& function_attr(const Node& node, std::string_view name);
AttrValue types_attr(const std::vector<DType>& types);
AttrValue function_ref(const std::string& name);
std::vector<DType> dtypes_of(const GraphData& graph, const std::vector<OutputId>& ids);

// Gives a call further inputs and outputs, and the functions that have them.
void extend(GraphState& graph, int index, const std::vector<OutputId>& inputs,
            const std::vector<DType>& outputs, const std::map<std::string, AttrValue>& functions);

// The gradients of a call, a choice between functions, a loop of functions.
Gradients call_gradient(GradientContext& c, const FunctionRef& function, bool is_direct);
Gradients branch_gradient(GradientContext& c, const std::vector<FunctionRef>& functions,
                          const std::vector<std::string>& attr_names);
Gradients loop_gradient(GradientContext& c);

}  // namespace hub
