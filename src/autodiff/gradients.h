#pragma once

// Gradients over a graph: nodes that compute them are added to it.

#include <memory>
#include <string_view>
#include <vector>

#include "graph/function.h"
#include "graph/gradient_context.h"
#include "hub/gradients.h"
#include "hub/graph.h"

namespace hub {

// The gradient of a function as a body: it takes the function's arguments and then the gradients
// of its outputs, and gives a gradient for each argument, zeros where there is none. The
// function's own gradient counts where the library names one.
// Errors: those of `gradients` and of instantiate_function.
std::unique_ptr<FunctionBody> gradient_of_function(const FunctionRef& function,
                                                   const GraphData& library);

}  // namespace hub
