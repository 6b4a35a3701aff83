// The state of a loaded graph: variables from the checkpoint, tables filled.

#include <algorithm>

#include "base/errors.h"
#include "module/init_ops.h"
#include "module/model_runner.h"
#include "module/variable_slices.h"

namespace hub {
namespace {

// Parts of a variable differ in the first dimension only.
void check_rows(const ModelVariable& variable) {
  for (const VariablePart& part : variable.parts) {
    if (std::all_of(part.offset.begin() + 1, part.offset.end(),
                    [](std::int64_t start) { return start == 0; })) {
      continue;
    }
    throw unimplemented("Variables are partitioned along their first dimension. Details: \"",
                        part.node, "\" is not.");
  }
}

Tensor joined_rows(const ModelVariable& variable, const std::vector<Tensor>& parts) {
  std::int64_t rows = 0;
  for (const Tensor& part : parts) rows += part.dim(0);
  Tensor whole(variable.dtype, parts.front().shape().with_dim(0, rows));
  if (variable.dtype == DType::kString) {
    std::string* out = whole.mutable_data<std::string>();
    for (const Tensor& part : parts) out = std::ranges::copy(part.values<std::string>(), out).out;
    return whole;
  }
  std::byte* out = whole.mutable_bytes().data();
  for (const Tensor& part : parts) out = std::ranges::copy(part.bytes(), out).out;
  return whole;
}

}  // namespace

void ModelRunner::plan_initialization(const ModuleFiles& files, const MetaGraph& meta_graph) {
  for (const std::string& name : init_ops(files.kind, meta_graph)) {
    initializers_.push_back(find_node(name));
  }
}

void ModelRunner::initialize() const {
  if (!initializers_.empty()) engine_->run({}, {}, initializers_);
}

void ModelRunner::restore(const ModuleFiles& files, const MetaGraph& meta_graph) const {
  if (is_saved_model(files.kind) && meta_graph.saver &&
      !meta_graph.saver->restore_op_name.empty()) {
    if (files.checkpoint == nullptr) return;
    const SaverDef& saver = *meta_graph.saver;
    engine_->run({{saver.filename_tensor_name, make_scalar(files.checkpoint_prefix)}}, {},
                 {saver.restore_op_name});
    return;
  }
  if (files.kind == ModelKind::kGraphDef || variables_.empty()) return;
  if (files.checkpoint == nullptr) {
    throw not_found("The variables' checkpoint is missing. Details: there is no ",
                    bundle_index_path(files.checkpoint_prefix), ".");
  }
  for (const ModelVariable& variable : variables_) restore_variable(variable, *files.checkpoint);
}

void ModelRunner::restore_variable(const ModelVariable& variable,
                                   const BundleReader& checkpoint) const {
  const BundleEntry* entry = checkpoint.find(variable.name);
  if (entry == nullptr) {
    throw value_error(variable.name, " is not found in ", checkpoint.prefix(), " checkpoint.");
  }
  if (!variable.shape.is_compatible_with(entry->shape)) {
    throw value_error("Shape of variable ", variable.name, " (", variable.shape,
                      ") doesn't match with shape of tensor ", variable.name, " (", entry->shape,
                      ") from checkpoint ", checkpoint.prefix(), ".");
  }
  with_context(
      [&] {
        for (const VariablePart& part : variable.parts) {
          engine_->set_variable(find_node(part.node),
                                part.offset.empty()
                                    ? checkpoint.read(variable.name)
                                    : checkpoint.read_slice(variable.name, slice_of(part)));
        }
      },
      [&] { return cat("while restoring variable \"", variable.name, "\""); });
}

const ModelVariable& ModelRunner::find_variable(std::string_view name) const {
  for (const ModelVariable& variable : variables_) {
    if (variable.name == name && !variable.parts.empty()) return variable;
  }
  throw key_error("There is no such variable. Details: \"", printable(name), "\" in ", place_, ".");
}

Tensor ModelRunner::variable(std::string_view name) const {
  const ModelVariable& variable = find_variable(name);
  std::vector<Tensor> parts;
  for (const VariablePart& part : variable.parts) {
    parts.push_back(engine_->variable(find_node(part.node)));
    if (!parts.back().is_valid()) return {};
  }
  if (!variable.is_partitioned()) return parts.front();
  check_rows(variable);
  return joined_rows(variable, parts);
}

void ModelRunner::set_variable(std::string_view name, const Tensor& value) const {
  const ModelVariable& variable = find_variable(name);
  if (!variable.is_partitioned()) {
    engine_->set_variable(find_node(variable.parts.front().node), value);
    return;
  }
  check_rows(variable);
  if (!variable.shape.is_compatible_with(value.shape())) {
    throw invalid_argument("A value must fit its variable. Details: \"", variable.name, "\" is ",
                           variable.shape, ", the value is ", value.shape(), ".");
  }
  for (const VariablePart& part : variable.parts) {
    engine_->set_variable(find_node(part.node),
                          value.rows(part.offset[0], part.offset[0] + part.shape[0]));
  }
}

}  // namespace hub
