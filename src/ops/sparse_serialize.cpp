// Tensors and sparse tensors as strings (serialized TensorProtos) or variants.

#include <algorithm>

#include "base/checked.h"
#include "format/graph_def.h"
#include "format/tensor_content.h"
#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/sparse_tensor.h"

namespace hub {
namespace {

// A tensor as an element of a variant tensor.
class TensorValue final : public VariantValue {
 public:
  explicit TensorValue(Tensor value) : tensor(std::move(value)) {}
  std::string_view type_name() const override { return "tensorflow::Tensor"; }
  const Tensor tensor;
};

void serialize_tensor(KernelContext& context) {
  context.output(0, Shape{}).mutable_data<std::string>()[0] =
      serialize_tensor_values(context.input(0));
}

Tensor parsed(const std::string& bytes, std::string_view op) {
  try {
    return parse_tensor_proto(bytes, op);
  } catch (const Error& error) {
    throw invalid_argument(op, ": the bytes must be a TensorProto. Details: ", error.what());
  }
}

void parse_tensor(KernelContext& context) {
  const Tensor& serialized = context.input(0);
  check_rank(context, 0, 0, "serialized");
  Tensor tensor = parsed(serialized.scalar<std::string>(), "ParseTensor");
  if (tensor.dtype() != context.output_dtype(0)) {
    throw invalid_argument("ParseTensor: the tensor must be of dtype out_type. Details: ",
                           tensor.dtype(), ", out_type ", context.output_dtype(0), ".");
  }
  context.set_output(0, std::move(tensor));
}

// Stores a tensor as an element of a string or variant tensor.
void store(Tensor& target, std::int64_t index, Tensor tensor) {
  if (target.dtype() == kString) {
    target.mutable_data<std::string>()[index] = serialize_tensor_content(tensor);
  } else {
    target.mutable_data<Variant>()[index].value = std::make_shared<TensorValue>(std::move(tensor));
  }
}

Tensor fetch(const Tensor& source, std::int64_t index, std::string_view op) {
  if (source.dtype() == kString) return parsed(source.data<std::string>()[index], op);
  const auto* value = dynamic_cast<const TensorValue*>(source.data<Variant>()[index].value.get());
  if (value == nullptr)
    throw invalid_argument(op, ": element ", index, " of the input holds no tensor.");
  return value->tensor;
}

void serialize_sparse(KernelContext& context) {
  sparse_input(context, 0, 1, 2, "sparse_");
  Tensor& result = context.output(0, Shape{3});
  for (int i = 0; i < 3; ++i) store(result, i, context.input(i));
}

// One sparse tensor for each row, without its first coordinate. Rows are in order.
void serialize_many_sparse(KernelContext& context) {
  const SparseInput sparse = sparse_input(context, 0, 1, 2, "sparse_");
  if (sparse.rank < 2) {
    throw invalid_argument("SerializeManySparse: the rank must be above 1. Details: got ",
                           sparse.rank, ".");
  }
  const std::int64_t rows = sparse.shape[0];
  const std::int64_t rank = sparse.rank - 1;
  Tensor& result = context.output(0, Shape{rows, 3});
  const Tensor shape = make_tensor<std::int64_t>(Shape{rank}, sparse.shape.subspan(1));
  std::int64_t entry = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t begin = entry;
    while (entry < sparse.count && sparse.index[entry * sparse.rank] == row) ++entry;
    Tensor indices(kInt64, Shape{entry - begin, rank});
    std::int64_t* to = indices.mutable_data<std::int64_t>();
    for (std::int64_t i = begin; i < entry; ++i)
      to = std::ranges::copy(sparse.coordinates(i).subspan(1), to).out;
    store(result, row * 3, std::move(indices));
    store(result, row * 3 + 1, sparse.values->rows(begin, entry).clone());
    store(result, row * 3 + 2, shape);
  }
  if (entry != sparse.count) {
    throw invalid_argument(
        "SerializeManySparse: rows must be in order and inside of the shape. Details: entry ",
        entry, " is in row ", sparse.index[entry * sparse.rank], " of ", rows, ".");
  }
}

struct SparseTriple {
  Tensor indices;
  Tensor values;
  Tensor shape;
};

SparseTriple fetch_sparse(const KernelContext& context, const Tensor& source, std::int64_t row) {
  const std::string_view op = context.node().op_name;
  SparseTriple triple{fetch(source, row * 3, op), fetch(source, row * 3 + 1, op),
                      fetch(source, row * 3 + 2, op)};
  if (triple.indices.dtype() != kInt64 || triple.shape.dtype() != kInt64 ||
      triple.values.dtype() != context.output_dtype(1)) {
    throw invalid_argument(
        op, ": a sparse tensor is of other dtypes. Details: ", triple.indices.dtype(), ", ",
        triple.values.dtype(), ", ", triple.shape.dtype(), "; wanted values of ",
        context.output_dtype(1), ".");
  }
  const bool fits = triple.indices.rank() == 2 && triple.values.rank() == 1 &&
                    triple.shape.rank() == 1 && triple.indices.dim(0) == triple.values.dim(0) &&
                    triple.indices.dim(1) == triple.shape.dim(0);
  if (!fits) {
    throw invalid_argument(
        op, ": indices, values and shape do not fit. Details: ", triple.indices.shape(), ", ",
        triple.values.shape(), ", ", triple.shape.shape(), ".");
  }
  return triple;
}

// The largest shape of all, after the dimensions `outer`.
std::vector<std::int64_t> united_shape(const KernelContext& context,
                                       const std::vector<SparseTriple>& triples,
                                       std::span<const std::int64_t> outer) {
  const auto first = triples[0].shape.values<std::int64_t>();
  std::vector<std::int64_t> shape(first.begin(), first.end());
  for (const SparseTriple& triple : triples) {
    const auto other = triple.shape.values<std::int64_t>();
    check_sizes(context, static_cast<std::int64_t>(other.size()),
                static_cast<std::int64_t>(shape.size()), "the ranks of the sparse tensors");
    for (std::size_t k = 0; k < shape.size(); ++k) shape[k] = std::max(shape[k], other[k]);
  }
  shape.insert(shape.begin(), outer.begin(), outer.end());
  return shape;
}

// [..., 3] elements to one sparse tensor, of which the outer dimensions come first.
void deserialize_sparse(KernelContext& context) {
  const Tensor& serialized = context.input(0);
  if (serialized.rank() < 1 || serialized.dim(serialized.rank() - 1) != 3) {
    throw invalid_argument(context.node().op_name,
                           ": the last dimension must be 3. Details: the shape is ",
                           serialized.shape(), ".");
  }
  const Shape outer = serialized.shape().slice(0, serialized.rank() - 1);
  if (outer.num_elements() == 0) {
    throw invalid_argument(context.node().op_name,
                           ": there must be a sparse tensor. Details: the shape is ",
                           serialized.shape(), ".");
  }
  std::vector<SparseTriple> triples;
  std::int64_t count = 0;
  for (std::int64_t row = 0; row < outer.num_elements(); ++row) {
    triples.push_back(fetch_sparse(context, serialized, row));
    count += triples.back().values.dim(0);
  }
  const std::vector<std::int64_t> shape = united_shape(context, triples, outer.dims());
  const auto rank = static_cast<std::int64_t>(shape.size());
  std::int64_t* to = context.output(0, Shape{count, rank}).mutable_data<std::int64_t>();
  Tensor& values = context.output(1, Shape{count});
  std::int64_t first = 0;
  for (std::size_t row = 0; row < triples.size(); ++row) {
    const SparseTriple& triple = triples[row];
    const std::int64_t inner = triple.shape.dim(0);
    for (std::int64_t i = 0; i < triple.values.dim(0); ++i) {
      auto rest = static_cast<std::int64_t>(row);
      for (int k = outer.rank() - 1; k >= 0; --k) {
        to[k] = rest % outer.dim(k);
        rest /= outer.dim(k);
      }
      std::copy_n(triple.indices.data<std::int64_t>() + i * inner, inner, to + outer.rank());
      to += rank;
    }
    copy_elements(values.dtype(), triple.values.raw_data(), element_at(values, first),
                  triple.values.dim(0));
    first += triple.values.dim(0);
  }
  output_vector(context, 2, shape);
}

void deserialize_many_sparse(KernelContext& context) {
  check_rank(context, 0, 2, "serialized_sparse");
  deserialize_sparse(context);
}

Shapes serialize_sparse_shape(ShapeContext& c) {
  c.with_rank(0, 2);
  c.with_rank(1, 1);
  c.with_rank(2, 1);
  return {PartialShape{3}};
}

Shapes serialize_many_sparse_shape(ShapeContext& c) {
  serialize_sparse_shape(c);
  return {PartialShape{-1, 3}};
}

Shapes deserialize_shape(ShapeContext& c) {
  c.at_least_rank(0, 1);
  return {PartialShape{-1, -1}, PartialShape{-1}, PartialShape{-1}};
}

Shapes parse_tensor_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  return {PartialShape()};
}

constexpr OpDef kOps[] = {
    {.name = "SerializeTensor",
     .inputs = "tensor: T",
     .outputs = "serialized: string",
     .attrs = "T: type",
     .shape = scalar_shape,
     .kernel = kernel_function<serialize_tensor>,
     .differentiable = Differentiable::kNone},
    {.name = "ParseTensor",
     .inputs = "serialized: string",
     .outputs = "output: out_type",
     .attrs = "out_type: type",
     .shape = parse_tensor_shape,
     .kernel = kernel_function<parse_tensor>,
     .differentiable = Differentiable::kNone},
    {.name = "SerializeSparse",
     .inputs = "sparse_indices: int64, sparse_values: T, sparse_shape: int64",
     .outputs = "serialized_sparse: out_type",
     .attrs = "T: type; out_type: {string, variant} = string",
     .shape = serialize_sparse_shape,
     .kernel = kernel_function<serialize_sparse>,
     .differentiable = Differentiable::kRefused},
    {.name = "SerializeManySparse",
     .inputs = "sparse_indices: int64, sparse_values: T, sparse_shape: int64",
     .outputs = "serialized_sparse: out_type",
     .attrs = "T: type; out_type: {string, variant} = string",
     .shape = serialize_many_sparse_shape,
     .kernel = kernel_function<serialize_many_sparse>,
     .differentiable = Differentiable::kRefused},
    {.name = "DeserializeSparse",
     .inputs = "serialized_sparse: Tserialized",
     .outputs = "sparse_indices: int64, sparse_values: dtype, sparse_shape: int64",
     .attrs = "dtype: type; Tserialized: {string, variant} = string",
     .shape = deserialize_shape,
     .kernel = kernel_function<deserialize_sparse>,
     .differentiable = Differentiable::kRefused},
    {.name = "DeserializeManySparse",
     .inputs = "serialized_sparse: string",
     .outputs = "sparse_indices: int64, sparse_values: dtype, sparse_shape: int64",
     .attrs = "dtype: type",
     .shape = deserialize_shape,
     .kernel = kernel_function<deserialize_many_sparse>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily sparse_serialize_ops() { return kOps; }

}  // namespace hub
