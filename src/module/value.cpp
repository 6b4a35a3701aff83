#include "hub/value.h"

#include "base/errors.h"
#include "graph/graph_state.h"

namespace hub {
namespace {

// What is known of a sparse value's dense shape: its elements, or how many there are.
PartialShape sparse_shape(const Output& dense_shape) {
  const GraphData& graph = dense_shape.graph_state()->data();
  const OutputId id{dense_shape.node(), dense_shape.index()};
  if (const Tensor* constant = graph.constant(id)) {
    const auto dims = constant->values<std::int64_t>();
    return PartialShape(std::vector<std::int64_t>(dims.begin(), dims.end()));
  }
  const OutputFact& fact = graph.fact(id);
  if (fact.partial_value) return *fact.partial_value;
  if (!fact.shape.has_rank() || fact.shape.rank() != 1 || fact.shape.dim(0) < 0) return {};
  return PartialShape(std::vector<std::int64_t>(static_cast<std::size_t>(fact.shape.dim(0)), -1));
}

// [rows, a ragged dimension for each row splits, the dimensions of one value].
PartialShape ragged_shape(const RaggedValue& value) {
  const PartialShape& values = value.values.shape();
  if (!values.has_rank() || values.rank() < 1) return {};
  std::vector<std::int64_t> dims(value.row_splits.size() + 1, -1);
  const PartialShape& outermost = value.row_splits.front().shape();
  if (outermost.has_rank() && outermost.rank() == 1 && outermost.dim(0) > 0)
    dims[0] = outermost.dim(0) - 1;
  for (int axis = 1; axis < values.rank(); ++axis) dims.push_back(values.dim(axis));
  return PartialShape(std::move(dims));
}

}  // namespace

Value::Value(const Operation& op) : data_(op.output(0)) {}

Tensor Value::text_tensor(std::string text) { return make_scalar(std::move(text)); }
Tensor Value::bool_tensor(bool value) { return make_scalar(value); }
Tensor Value::number(std::int64_t value) { return make_scalar(value); }
Tensor Value::number(double value) { return make_scalar(value); }

std::string_view Value::type_name() const {
  constexpr std::string_view kNames[] = {"None",  "Tensor",        "SparseTensor", "RaggedTensor",
                                         "value", "IndexedSlices", "Variable",     "list"};
  static_assert(std::size(kNames) == std::variant_size_v<Data>);
  return kNames[data_.index()];
}

const Output& Value::dense() const {
  if (const auto* value = std::get_if<Output>(&data_)) return *value;
  throw type_error("Got ", type_name(), ". Expected Tensor.");
}
const SparseValue& Value::sparse() const {
  if (const auto* value = std::get_if<SparseValue>(&data_)) return *value;
  throw type_error("Got ", type_name(), ". Expected SparseTensor.");
}
const RaggedValue& Value::ragged() const {
  if (const auto* value = std::get_if<RaggedValue>(&data_)) return *value;
  throw type_error("Got ", type_name(), ". Expected RaggedTensor.");
}

std::vector<Output> Value::parts() const {
  if (is_dense()) return {dense()};
  if (is_sparse()) return {sparse().indices, sparse().values, sparse().dense_shape};
  std::vector<Output> parts = {ragged().values};
  parts.insert(parts.end(), ragged().row_splits.begin(), ragged().row_splits.end());
  return parts;
}

ValueInfo Value::info() const {
  if (is_dense()) return {.dtype = dense().dtype(), .shape = dense().shape()};
  if (is_sparse()) {
    return {.kind = ValueKind::kSparse,
            .dtype = sparse().values.dtype(),
            .shape = sparse_shape(sparse().dense_shape)};
  }
  const RaggedValue& value = ragged();
  if (value.row_splits.empty()) {
    throw type_error("A ragged value has row splits. Details: \"", value.values.name(), "\".");
  }
  return {.kind = ValueKind::kRagged,
          .dtype = value.values.dtype(),
          .shape = ragged_shape(value),
          .ragged_rank = static_cast<int>(value.row_splits.size()),
          .row_splits_dtype = value.row_splits.front().dtype()};
}

Value Value::from_parts(const ValueInfo& info, std::vector<Output> parts) {
  switch (info.kind) {
    case ValueKind::kDense: return parts.at(0);
    case ValueKind::kSparse: return SparseValue{parts.at(0), parts.at(1), parts.at(2)};
    case ValueKind::kRagged: break;
  }
  const Output values = parts.at(0);
  parts.erase(parts.begin());
  return RaggedValue{values, std::move(parts)};
}

const Value& Outputs::operator[](std::string_view name) const {
  const auto found = values_.find(std::string(name));
  if (found != values_.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& entry : values_) names.push_back(entry.first);
  throw key_error("The signature has no such output. Details: \"", printable(name), "\"; it has ",
                  join(names), ".");
}

}  // namespace hub
