#include "ops/optimizer.h"

#include "graph/shape_rules.h"

namespace hub {
namespace {

bool is_gradient(std::string_view argument) { return argument == "grad" || argument == "delta"; }

// What is known of the shape of a variable behind input i.
PartialShape variable_shape(const ShapeContext& c, int i) {
  if (c.input_dtype(i) != DType::kResource) return c.input(i);
  c.with_rank(i, 0);
  const auto& handle = c.input_handle(i);
  return handle ? handle->shape : PartialShape{};
}

}  // namespace

OptimizerInputs::OptimizerInputs(const KernelInit& init, std::span<const std::string_view> slots,
                                 std::span<const std::string_view> scalar_names)
    : variables{init.input_range("var").begin} {
  for (const std::string_view slot : slots) variables.push_back(init.input_range(slot).begin);
  for (const std::string_view name : scalar_names) scalars.push_back(init.input_range(name).begin);
  const auto& args = init.node().op->schema().inputs;
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (is_gradient(args[i].name)) gradient = static_cast<int>(i);
    if (args[i].name == "indices") indices = static_cast<int>(i);
  }
}

UpdateOptions update_options(const KernelInit& init) {
  const auto flag = [&](std::string_view name, bool otherwise) {
    return init.has_attr(name) ? init.attr<bool>(name) : otherwise;
  };
  return {.sparse = init.op().find("SparseApply") != std::string_view::npos,
          .nesterov = flag("use_nesterov", false),
          .update_slots = flag("update_slots", true),
          .multiply_linear_by_lr = flag("multiply_linear_by_lr", false)};
}

UpdatedVariables::UpdatedVariables(const KernelContext& context, const std::vector<int>& inputs,
                                   DType dtype)
    : is_ref_(context.input(inputs[0]).dtype() != DType::kResource) {
  for (const int input : inputs) {
    variables_.push_back(is_ref_ ? context.ref_input(input)
                                 : context.resource<VariableResource>(input));
  }
  // In one order everywhere, so that two ops do not wait for each other.
  std::vector<VariableResource*> ordered;
  for (const auto& variable : variables_) ordered.push_back(variable.get());
  std::sort(ordered.begin(), ordered.end());
  ordered.erase(std::unique(ordered.begin(), ordered.end()), ordered.end());
  for (VariableResource* variable : ordered) locks_.emplace_back(variable->mutex);

  for (const auto& variable : variables_) {
    check_can_update(context, *variable, is_ref_, dtype);
    if (!(variable->value.shape() == shape())) {
      throw invalid_argument(context.node().op_name,
                             ": slots must have the variable's shape. Details: \"", variable->name,
                             "\" is ", variable->value.shape(), ", the variable ", shape(), ".");
    }
  }
  rewritten_.resize(variables_.size());
}

void* UpdatedVariables::start_rewriting(std::size_t i) {
  Tensor& value = variables_[i]->value;
  const Buffer* buffer = value.buffer().get();
  const bool in_place =
      value.is_exclusive() || (is_ref_ && buffer->writable() && !buffer->pinned());
  if (in_place) return value.mutable_raw_data();
  rewritten_[i] = Tensor(value.dtype(), value.shape());
  return rewritten_[i].mutable_raw_data();
}

void UpdatedVariables::finish() {
  for (std::size_t i = 0; i < variables_.size(); ++i) {
    ++variables_[i]->version;
    if (rewritten_[i].is_valid()) variables_[i]->value = std::move(rewritten_[i]);
  }
}

void check_scalars(const KernelContext& context, const std::vector<int>& inputs) {
  for (const int i : inputs) {
    const Tensor& tensor = context.input(i);
    if (tensor.rank() == 0) continue;
    const Node& node = context.node();
    throw invalid_argument(node.op_name, ": ",
                           node.op->schema().inputs[static_cast<std::size_t>(i)].name,
                           " must be a scalar. Details: its shape is ", tensor.shape(), ".");
  }
}

void check_dense_gradient(const KernelContext& context, const Shape& variable,
                          const Tensor& gradient) {
  if (gradient.shape() == variable) return;
  throw invalid_argument(context.node().op_name,
                         ": the gradient must have the variable's shape. Details: ",
                         gradient.shape(), " and ", variable, ".");
}

void check_sparse_gradient(const KernelContext& context, const Shape& variable,
                           const Tensor& gradient, const Tensor& indices) {
  const std::string& op = context.node().op_name;
  if (variable.rank() == 0) {
    throw invalid_argument(op, ": the variable must have rank >= 1. Details: it is a scalar.");
  }
  if (indices.rank() != 1) {
    throw invalid_argument(op, ": indices must be a vector. Details: their shape is ",
                           indices.shape(), ".");
  }
  const Shape& rows = gradient.shape();
  const bool fits = rows.rank() == variable.rank() && rows.dim(0) == indices.dim(0) &&
                    rows.slice(1, rows.rank()) == variable.slice(1, variable.rank());
  if (!fits) {
    throw invalid_argument(op, ": the gradient must have a row of the variable for each index. ",
                           "Details: the gradient is ", rows, ", the variable ", variable,
                           ", indices ", indices.shape(), ".");
  }
}

void throw_row_out_of_range(const KernelContext& context, std::int64_t position, std::int64_t index,
                            std::int64_t rows) {
  throw invalid_argument(context.node().op_name, ": an index is out of range. Details: indices[",
                         position, "] = ", index, " is not in [0, ", rows, ").");
}

void throw_no_columns(const KernelContext& context, const Shape& variable) {
  throw invalid_argument(context.node().op_name,
                         ": the variable's rows must have elements. Details: its shape is ",
                         variable, ".");
}

Shapes optimizer_shape(ShapeContext& c) {
  const auto& args = c.node().op->schema().inputs;
  PartialShape variable;
  PartialShape gradient;
  int indices = -1;
  for (int i = 0; i < c.num_inputs(); ++i) {
    const ArgDef& arg = args[static_cast<std::size_t>(i)];
    if (arg.is_ref || c.input_dtype(i) == DType::kResource) {
      variable = variable.merge_with(variable_shape(c, i));
    } else if (is_gradient(arg.name)) {
      gradient = c.input(i);
    } else if (arg.name == "indices") {
      indices = i;
    } else {
      c.with_rank(i, 0);
    }
  }
  if (indices < 0) {
    variable = variable.merge_with(gradient);
  } else {
    const PartialShape count = c.with_rank(indices, 1);
    if (gradient.has_rank() && gradient.rank() == 0) {
      throw invalid_argument(c.node().op_name, ": the gradient must have rank >= 1.");
    }
    if (gradient.has_rank() && count.has_rank()) {
      merge_dims(gradient.dim(0), count.dim(0), "rows of the gradient and indices");
    }
    if (gradient.has_rank()) variable = variable.merge_with(replace_dim(gradient, 0, -1));
  }
  if (c.num_outputs() == 0) return {};
  return {variable};
}

}  // namespace hub
