#include "ops/kernel.h"

#include <algorithm>

namespace hub {

void Step::check_cancelled() const {
  if (cancelled != nullptr && cancelled->load(std::memory_order_relaxed)) {
    throw Error(ErrorCode::kCancelled, "The run was cancelled.");
  }
  if (deadline && std::chrono::steady_clock::now() > *deadline) {
    throw deadline_exceeded("The run was stopped: its deadline has passed.");
  }
}

Tensor& KernelContext::output_in_place(int from, int i, const Shape& shape) {
  Tensor& source = *frame_.inputs[static_cast<std::size_t>(from)];
  const DType dtype = output_dtype(i);
  const bool usable = frame_.last_uses[static_cast<std::size_t>(from)] && source.is_exclusive() &&
                      dtype_size(dtype) != 0 && dtype_size(source.dtype()) == dtype_size(dtype) &&
                      source.num_elements() == shape.num_elements();
  if (!usable) return output(i, dtype, shape);
  Tensor& result = frame_.outputs[static_cast<std::size_t>(i)];
  const auto offset =
      static_cast<std::size_t>(static_cast<const std::byte*>(source.raw_data()) -
                               static_cast<const std::byte*>(source.buffer()->data()));
  result = Tensor(dtype, shape, source.buffer(), offset);
  return result;
}

const std::shared_ptr<VariableResource>& KernelContext::ref_input(int i) const {
  const auto index = static_cast<std::size_t>(i);
  if (index >= frame_.ref_inputs.size() || frame_.ref_inputs[index] == nullptr) {
    throw invalid_argument(frame_.node->op_name, ": input ", i,
                           " must be a reference to a variable.");
  }
  return frame_.ref_inputs[index];
}

void KernelContext::set_ref_output(int i, std::shared_ptr<VariableResource> variable) {
  HUB_ASSERT(static_cast<std::size_t>(i) < frame_.ref_outputs.size());
  frame_.ref_outputs[static_cast<std::size_t>(i)] = std::move(variable);
}

int KernelContext::useful_threads(std::int64_t count, double cost_ns) const {
  // A thread must have this much to do, or starting it costs more than it saves: 1 us where it
  // waits for work, 5 to 50 us where it sleeps.
  constexpr double kWorthwhileAwakeNs = 2'000, kWorthwhileAsleepNs = 8'000;
  const int most = frame_.step->max_threads;
  if (most <= 1) return 1;
  const double worthwhile_ns =
      frame_.step->pool->is_awake() ? kWorthwhileAwakeNs : kWorthwhileAsleepNs;
  const double total_ns = static_cast<double>(count) * cost_ns;
  const double threads =
      std::min({total_ns / worthwhile_ns, static_cast<double>(most), static_cast<double>(count)});
  return std::max(1, static_cast<int>(threads));
}

namespace {

const Tensor& integer_input(const KernelContext& context, int input, std::string_view what) {
  const Tensor& tensor = context.input(input);
  if (tensor.dtype() != DType::kInt32 && tensor.dtype() != DType::kInt64) {
    throw invalid_argument(context.node().op_name, ": ", what,
                           " must be int32 or int64. Details: it is ", tensor.dtype(), ".");
  }
  return tensor;
}

std::int64_t element(const Tensor& tensor, std::int64_t i) {
  return tensor.dtype() == DType::kInt32 ? tensor.data<std::int32_t>()[i]
                                         : tensor.data<std::int64_t>()[i];
}

}  // namespace

std::int64_t integer_scalar(const KernelContext& context, int input, std::string_view what) {
  const Tensor& tensor = integer_input(context, input, what);
  if (tensor.num_elements() != 1) {
    throw invalid_argument(context.node().op_name, ": ", what,
                           " must be a scalar. Details: its shape is ", tensor.shape(), ".");
  }
  return element(tensor, 0);
}

std::vector<std::int64_t> integer_vector(const KernelContext& context, int input,
                                         std::string_view what) {
  const Tensor& tensor = integer_input(context, input, what);
  if (tensor.rank() > 1) {
    throw invalid_argument(context.node().op_name, ": ", what,
                           " must be a vector. Details: its shape is ", tensor.shape(), ".");
  }
  std::vector<std::int64_t> values(static_cast<std::size_t>(tensor.num_elements()));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = element(tensor, static_cast<std::int64_t>(i));
  return values;
}

Shape shape_input(const KernelContext& context, int input, std::string_view what) {
  return Shape(integer_vector(context, input, what));
}

int checked_axis(std::int64_t axis, int rank, std::string_view op) {
  if (axis < -rank || axis >= rank) {
    throw invalid_argument(op, ": the axis must be in [", -rank, ", ", rank, "). Details: got ",
                           axis, ".");
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

}  // namespace hub
