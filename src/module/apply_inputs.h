#pragma once

// What a caller gives, as a signature wants it.

#include "hub/graph.h"
#include "hub/value.h"
#include "module/signature.h"

namespace hub {

// The only input of the signature. Errors: of kind type where it has none, or several.
ValueMap only_input(const BoundSignature& signature, const Value& value);

// Every input as a tensor (or sparse or ragged value) of `graph` that fits the signature; numbers
// become constants of the declared dtype. Errors: as Module::operator().
ValueMap convert_inputs(const Graph& graph, const BoundSignature& signature,
                        const ValueMap& inputs);

}  // namespace hub
