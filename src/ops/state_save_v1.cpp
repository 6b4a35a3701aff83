// Saving and restoring tensors as TensorFlow's checkpoints of version 1.

#include "format/checkpoint_v1.h"
#include "graph/shape_rules.h"
#include "ops/checkpoints.h"
#include "ops/kernel.h"

namespace hub {
namespace {

// --- shapes ---

// Inputs before the tensors: the file, the names, and with them the slices.
template <int kFirst>
Shapes save_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  for (int input = 1; input < kFirst; ++input) {
    const std::int64_t count = c.num_inputs() - kFirst;
    const PartialShape texts = c.with_rank(input, 1);
    if (!texts.is_compatible_with(PartialShape{count})) {
      throw invalid_argument(c.node().op_name, ": there must be one text for each of ", count,
                             " tensors. Details: input ", input, " has shape ", texts, ".");
    }
  }
  return {};
}

Shapes restore_shape(ShapeContext& c) {
  for (int input = 0; input < c.num_inputs(); ++input) c.with_rank(input, 0);
  const Tensor* spec = c.num_inputs() > 2 ? c.input_value(2) : nullptr;
  if (spec == nullptr || spec->data<std::string>()->empty()) return {PartialShape()};
  return {shape_of_spec(*spec->data<std::string>())};
}

// --- kernels ---

template <int kFirst>
void compute_save(KernelContext& context) {
  const int count = context.num_inputs() - kFirst;
  const std::string& path = scalar_string(context, 0, "the file's name");
  for (int input = 1; input < kFirst; ++input) {
    const Tensor& texts = context.input(input);
    if (texts.num_elements() != count) {
      throw invalid_argument(context.node().op_name, ": there must be one text for each of ", count,
                             " tensors. Details: input ", input, " has shape ", texts.shape(), ".");
    }
  }
  CheckpointV1Writer writer(path);
  for (int i = 0; i < count; ++i) {
    const std::string& name = context.input(1).data<std::string>()[i];
    const Tensor& tensor = context.input(kFirst + i);
    const std::string& spec_text = kFirst > 2 ? context.input(2).data<std::string>()[i] : "";
    if (spec_text.empty()) {
      writer.add(name, tensor);
    } else {
      const SliceSpec spec = parse_slice_spec(spec_text);
      writer.add_slice(name, spec.full_shape, spec.slice, tensor);
    }
  }
  writer.finish();
}

// All files that match are looked into, whichever shard is preferred.
void compute_restore(KernelContext& context) {
  const BundleReader reader(scalar_string(context, 0, "the pattern"), Checksums::kFirstRead,
                            CheckpointVersion::kV1);
  const std::string& name = scalar_string(context, 1, "the name");
  const bool has_spec = context.num_inputs() > 2;
  restore_output(context, 0, reader, name,
                 has_spec ? scalar_string(context, 2, "the slice") : std::string());
}

constexpr OpDef kOps[] = {
    {.name = "Save",
     .inputs = "filename: string, tensor_names: string, data: T",
     .attrs = "T: list(type) >= 1",
     .shape = save_shape<2>,
     .kernel = kernel_function<compute_save<2>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "SaveSlices",
     .inputs = "filename: string, tensor_names: string, shapes_and_slices: string, data: T",
     .attrs = "T: list(type) >= 1",
     .shape = save_shape<3>,
     .kernel = kernel_function<compute_save<3>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "Restore",
     .inputs = "file_pattern: string, tensor_name: string",
     .outputs = "tensor: dt",
     .attrs = "dt: type; preferred_shard: int = -1",
     .shape = restore_shape,
     .kernel = kernel_function<compute_restore>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "RestoreSlice",
     .inputs = "file_pattern: string, tensor_name: string, shape_and_slice: string",
     .outputs = "tensor: dt",
     .attrs = "dt: type; preferred_shard: int = -1",
     .shape = restore_shape,
     .kernel = kernel_function<compute_restore>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
};

}  // namespace

OpFamily state_save_v1_ops() { return kOps; }

}  // namespace hub
