#include "graph/shape_context.h"

#include "base/errors.h"
#include "graph/graph_data.h"

namespace hub {
namespace {

constexpr std::int64_t kMaxPartialValue = Shape::kMaxRank;

// An integer tensor of rank 0 or 1 as a list of numbers.
std::optional<std::vector<std::int64_t>> small_integers(const Tensor& tensor) {
  if (tensor.rank() > 1 || tensor.num_elements() > kMaxPartialValue) return std::nullopt;
  std::vector<std::int64_t> numbers;
  if (tensor.dtype() == DType::kInt32) {
    for (const std::int32_t value : tensor.values<std::int32_t>()) numbers.push_back(value);
  } else if (tensor.dtype() == DType::kInt64) {
    for (const std::int64_t value : tensor.values<std::int64_t>()) numbers.push_back(value);
  } else {
    return std::nullopt;
  }
  return numbers;
}

}  // namespace

ShapeContext::ShapeContext(const GraphData& graph, Node& node) : graph_(graph), node_(node) {}

const OutputFact& ShapeContext::input_fact(int i) const {
  return graph_.fact(node_.inputs[static_cast<std::size_t>(i)]);
}

const Tensor* ShapeContext::input_value(int i) const {
  return graph_.constant(node_.inputs[static_cast<std::size_t>(i)]);
}

std::optional<PartialShape> ShapeContext::input_partial_value(int i) const {
  if (const Tensor* value = input_value(i)) {
    auto numbers = small_integers(*value);
    if (!numbers) return std::nullopt;
    for (std::int64_t& number : *numbers) {
      if (number < -1) return std::nullopt;  // cannot be told from "unknown" in a shape
    }
    return PartialShape(std::move(*numbers));
  }
  return input_fact(i).partial_value;
}

PartialShape ShapeContext::input_as_shape(int i) const {
  if (input(i).has_rank() && input(i).rank() == 0) return {};  // a scalar -1 says: of any rank
  if (const auto value = input_partial_value(i)) return *value;
  if (const Tensor* value = input_value(i)) {
    const auto numbers = small_integers(*value);
    if (numbers) {
      throw invalid_argument("A shape's dimensions must be >= -1. Details: got [",
                             join(*numbers, ","), "].");
    }
  }
  const PartialShape& shape = input(i);
  if (shape.has_rank() && shape.rank() == 1 && shape.dim(0) >= 0 &&
      shape.dim(0) <= kMaxPartialValue) {
    return PartialShape::unknown_dims(static_cast<int>(shape.dim(0)));
  }
  return {};
}

std::optional<std::int64_t> ShapeContext::input_as_int(int i) const {
  if (const Tensor* value = input_value(i)) {
    const auto numbers = small_integers(*value);
    if (numbers && numbers->size() == 1) return numbers->front();
    return std::nullopt;
  }
  const auto& partial = input_fact(i).partial_value;
  if (partial && partial->rank() == 1 && partial->dim(0) >= 0) return partial->dim(0);
  return std::nullopt;
}

PartialShape ShapeContext::with_rank(int i, int rank) const {
  const PartialShape& shape = input(i);
  if (!shape.has_rank()) return PartialShape::unknown_dims(rank);
  if (shape.rank() != rank) {
    throw invalid_argument(node_.op_name, ": input ", i, " must have rank ", rank,
                           ". Details: its shape is ", shape, ".");
  }
  return shape;
}

PartialShape ShapeContext::at_least_rank(int i, int rank) const {
  const PartialShape& shape = input(i);
  if (shape.has_rank() && shape.rank() < rank) {
    throw invalid_argument(node_.op_name, ": input ", i, " must have rank >= ", rank,
                           ". Details: its shape is ", shape, ".");
  }
  return shape;
}

PartialShape ShapeContext::at_most_rank(int i, int rank) const {
  const PartialShape& shape = input(i);
  if (shape.has_rank() && shape.rank() > rank) {
    throw invalid_argument(node_.op_name, ": input ", i, " must have rank <= ", rank,
                           ". Details: its shape is ", shape, ".");
  }
  return shape;
}

void infer_shapes(const GraphData& graph, Node& node) {
  const ShapeFunction shape = node.op->def().shape;
  if (shape == nullptr) return;
  ShapeContext context(graph, node);
  Shapes shapes = shape(context);
  HUB_ASSERT(shapes.size() == node.outputs.size());
  for (std::size_t i = 0; i < shapes.size(); ++i) node.outputs[i].shape = std::move(shapes[i]);
}

}  // namespace hub
