#pragma once

// Signatures of a meta graph: what their inputs and outputs are, which tensors of the graph
// they stand for, and whether given tensors fit.

#include <map>
#include <string>
#include <vector>

#include "format/saved_model.h"
#include "hub/module.h"

namespace hub {

// An input or output of a signature, and the tensors ("node:0") of its parts, in the order of
// part_names.
struct BoundValue {
  ValueInfo info;
  std::vector<std::string> tensors;
  // What it is, where signatures of this library cannot have it ("IndexedSlices"). Such a
  // module can be loaded; the signature cannot be called.
  std::string unsupported_type;
};

struct BoundSignature {
  std::string name;
  std::map<std::string, BoundValue> inputs;
  std::map<std::string, BoundValue> outputs;

  Signature info() const;
};

BoundSignature bind_signature(const std::string& name, const SignatureDef& signature);

// What applying a model without naming a signature means: "default", or "serving_default"
// where only that is there.
std::string default_signature_name(const std::map<std::string, BoundSignature>& signatures);

// Errors: of kind value where it has an input or output of a type that this library cannot have.
void check_supported(const BoundSignature& signature);

// "['a', 'b']", for messages.
std::string quoted_list(const std::vector<std::string>& names);

// The tensors to feed: `inputs` checked against the signature, the parts of one input after
// the other as part_names and the signature order them. Errors, all with the input's name: of kind
// type for missing or extra inputs, another kind of value, a shape that does not fit; of kind value
// for another dtype, and where the signature has an input or output of an unsupported type.
std::vector<Tensor> bind_inputs(const BoundSignature& signature, const TensorMap& inputs);

}  // namespace hub
