// Files as a whole: ReadFile and WriteFile.

#include "base/file.h"

#include <filesystem>

#include "graph/shape_rules.h"
#include "ops/kernel.h"

namespace hub {
namespace {

Shapes read_shape(ShapeContext& c) { return {c.with_rank(0, 0)}; }

Shapes write_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  c.with_rank(1, 0);
  return {};
}

const std::string& scalar_string(const KernelContext& context, int input, std::string_view what) {
  const Tensor& tensor = context.input(input);
  if (tensor.rank() != 0) {
    throw invalid_argument(context.node().op_name, ": ", what, " must be a scalar. Details: its ",
                           "shape is ", tensor.shape(), ".");
  }
  return tensor.scalar<std::string>();
}

void compute_read(KernelContext& context) {
  std::string contents = read_file(scalar_string(context, 0, "the file name"));
  *context.output(0, Shape{}).mutable_data<std::string>() = std::move(contents);
}

void compute_write(KernelContext& context) {
  const std::string& path = scalar_string(context, 0, "the file name");
  const std::string& contents = scalar_string(context, 1, "the contents");
  const std::string directory = std::filesystem::path(path).parent_path().string();
  if (!directory.empty()) file_system().create_directories(directory);
  write_file_atomically(path, contents);
}

constexpr OpDef kOps[] = {
    {.name = "ReadFile",
     .inputs = "filename: string",
     .outputs = "contents: string",
     .shape = read_shape,
     .kernel = kernel_function<compute_read>,
     .differentiable = Differentiable::kRefused},
    {.name = "WriteFile",
     .inputs = "filename: string, contents: string",
     .shape = write_shape,
     .kernel = kernel_function<compute_write>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
};

}  // namespace

OpFamily file_ops() { return kOps; }

}  // namespace hub
