// Saving and restoring tensors as TensorFlow's checkpoints.

#include <filesystem>

#include "base/file.h"
#include "format/tensor_bundle.h"
#include "graph/shape_rules.h"
#include "ops/checkpoints.h"
#include "ops/kernel.h"

namespace hub {
namespace {

// --- shapes ---

Shapes save_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  c.with_rank(1, 1);
  c.with_rank(2, 1);
  return {};
}

Shapes restore_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  c.with_rank(1, 1);
  c.with_rank(2, 1);
  Shapes shapes(static_cast<std::size_t>(c.num_outputs()));
  const Tensor* specs = c.input_value(2);
  if (specs == nullptr || specs->num_elements() != c.num_outputs()) return shapes;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const std::string& spec = specs->data<std::string>()[i];
    if (spec.empty()) continue;
    shapes[i] = shape_of_spec(spec);
  }
  return shapes;
}

Shapes merge_shape(ShapeContext& c) {
  c.with_rank(0, 1);
  c.with_rank(1, 0);
  return {};
}

Shapes filename_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_inputs(); ++i) c.with_rank(i, 0);
  return {PartialShape::scalar()};
}

// --- kernels ---

// Names and slices of what is saved or restored. Errors: INVALID_ARGUMENT unless there is one
// of each for `count` tensors.
void check_names(const KernelContext& context, std::int64_t count) {
  for (int input = 1; input <= 2; ++input) {
    const Tensor& texts = context.input(input);
    if (texts.rank() != 1 || texts.num_elements() != count) {
      throw invalid_argument(context.node().op_name,
                             ": there must be a name and a slice for each of ", count,
                             " tensors. Details: input ", input, " has shape ", texts.shape(), ".");
    }
  }
}

void compute_save(KernelContext& context) {
  constexpr int kFirst = 3;
  const int count = context.num_inputs() - kFirst;
  check_names(context, count);
  const std::string* names = context.input(1).data<std::string>();
  const std::string* specs = context.input(2).data<std::string>();
  BundleWriter writer(scalar_string(context, 0, "the prefix"));
  for (int i = 0; i < count; ++i) {
    const Tensor& tensor = context.input(kFirst + i);
    if (specs[i].empty()) {
      writer.add(names[i], tensor);
    } else {
      const SliceSpec spec = parse_slice_spec(specs[i]);
      writer.add_slice(names[i], spec.full_shape, spec.slice, tensor);
    }
  }
  writer.finish();
}

void compute_restore(KernelContext& context) {
  const int count = context.num_outputs();
  check_names(context, count);
  const std::string* names = context.input(1).data<std::string>();
  const std::string* specs = context.input(2).data<std::string>();
  const BundleReader reader(scalar_string(context, 0, "the prefix"));
  for (int i = 0; i < count; ++i) restore_output(context, i, reader, names[i], specs[i]);
}

class MergeKernel final : public Kernel {
 public:
  explicit MergeKernel(const KernelInit& init)
      : delete_old_directories_(init.attr<bool>("delete_old_dirs")),
        allow_missing_files_(init.attr<bool>("allow_missing_files")) {}

  void compute(KernelContext& context) const override {
    std::vector<std::string> prefixes;
    for (const std::string& prefix : context.input(0).values<std::string>()) {
      if (path_exists(bundle_index_path(prefix))) {
        prefixes.push_back(prefix);
      } else if (!allow_missing_files_) {
        throw invalid_argument("MergeV2Checkpoints: every part must exist. Details: there is no \"",
                               bundle_index_path(prefix), "\".");
      }
    }
    const std::string& destination = scalar_string(context, 1, "the destination");
    const std::string directory = parent(destination);
    if (!directory.empty()) file_system().create_directories(directory);
    merge_bundles(prefixes, destination);
    if (!delete_old_directories_) return;
    for (const std::string& prefix : prefixes) {
      const std::string old = parent(prefix);
      if (old != directory && is_directory(old) && list_directory(old).empty())
        file_system().remove_all(old);
    }
  }

 private:
  static std::string parent(const std::string& path) {
    return std::filesystem::path(path).parent_path().string();
  }

  bool delete_old_directories_;
  bool allow_missing_files_;
};

std::string five_digits(std::int64_t number) {
  std::string digits = cat(number < 0 ? -number : number);
  const std::size_t width = number < 0 ? 4 : 5;
  if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
  return number < 0 ? cat("-", digits) : digits;
}

void set_scalar(KernelContext& context, std::string text) {
  *context.output(0, Shape{}).mutable_data<std::string>() = std::move(text);
}

void compute_filename(KernelContext& context) {
  const std::string& base = scalar_string(context, 0, "the base name");
  set_scalar(context, cat(base, "-", five_digits(integer_scalar(context, 1, "the shard")), "-of-",
                          five_digits(integer_scalar(context, 2, "the number of shards"))));
}

void compute_filespec(KernelContext& context) {
  const std::string& base = scalar_string(context, 0, "the base name");
  set_scalar(context, cat(base,
                          "-??"
                          "??"
                          "?-of-",
                          five_digits(integer_scalar(context, 1, "the number of shards"))));
}

constexpr OpDef kOps[] = {
    {.name = "SaveV2",
     .inputs = "prefix: string, tensor_names: string, shape_and_slices: string, tensors: dtypes",
     .attrs = "dtypes: list(type) >= 1",
     .shape = save_shape,
     .kernel = kernel_function<compute_save>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "RestoreV2",
     .inputs = "prefix: string, tensor_names: string, shape_and_slices: string",
     .outputs = "tensors: dtypes",
     .attrs = "dtypes: list(type) >= 1",
     .shape = restore_shape,
     .kernel = kernel_function<compute_restore>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "MergeV2Checkpoints",
     .inputs = "checkpoint_prefixes: string, destination_prefix: string",
     .attrs = "delete_old_dirs: bool = true; allow_missing_files: bool = false",
     .shape = merge_shape,
     .kernel = make_kernel<MergeKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ShardedFilename",
     .inputs = "basename: string, shard: int32, num_shards: int32",
     .outputs = "filename: string",
     .shape = filename_shape,
     .kernel = kernel_function<compute_filename>,
     .differentiable = Differentiable::kRefused},
    {.name = "ShardedFilespec",
     .inputs = "basename: string, num_shards: int32",
     .outputs = "filename: string",
     .shape = filename_shape,
     .kernel = kernel_function<compute_filespec>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily state_save_ops() { return kOps; }

}  // namespace hub
