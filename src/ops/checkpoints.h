#pragma once

// What the ops that save and restore checkpoints of both versions share.

#include <string>
#include <string_view>

#include "format/tensor_bundle.h"
#include "ops/kernel.h"

namespace hub {

// Errors: INVALID_ARGUMENT unless the input is one string.
inline const std::string& scalar_string(const KernelContext& context, int input,
                                        std::string_view what) {
  const Tensor& tensor = context.input(input);
  if (tensor.num_elements() != 1) {
    throw invalid_argument(context.node().op_name, ": ", what, " must be one string. Details: its ",
                           "shape is ", tensor.shape(), ".");
  }
  return *tensor.data<std::string>();
}

// The shape of what a non-empty slice specification names.
inline Shape shape_of_spec(std::string_view text) {
  const SliceSpec spec = parse_slice_spec(text);
  return slice_shape(resolve_slice(spec.slice, spec.full_shape));
}

// Reads a tensor, or the part of it that a non-empty specification names, into an output.
// Errors: NOT_FOUND, and INVALID_ARGUMENT for another dtype or full shape.
inline void restore_output(KernelContext& context, int output, const BundleReader& reader,
                           const std::string& name, const std::string& spec_text) {
  const BundleEntry& stored = reader.entry(name);
  if (stored.dtype != context.output_dtype(output)) {
    throw invalid_argument(
        context.node().op_name, ": the stored tensor must have the wanted dtype. Details: \"", name,
        "\" is ", stored.dtype, ", expected ", context.output_dtype(output), ".");
  }
  if (spec_text.empty()) {
    context.set_output(output, reader.read(name));
    return;
  }
  const SliceSpec spec = parse_slice_spec(spec_text);
  if (!(spec.full_shape == stored.shape)) {
    throw invalid_argument(context.node().op_name,
                           ": the stored tensor must have the slice's full shape. Details: \"",
                           name, "\" is ", stored.shape, ", expected ", spec.full_shape, ".");
  }
  context.set_output(output, reader.read_slice(name, spec.slice));
}

}  // namespace hub
