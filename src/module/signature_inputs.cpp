// Whether the tensors of a call are those that a signature declares.

#include <algorithm>
#include <optional>
#include <set>

#include "base/errors.h"
#include "module/signature.h"

namespace hub {

std::string quoted_list(const std::vector<std::string>& names) {
  std::string text = "[";
  for (const std::string& name : names) {
    text += cat(text.size() > 1 ? ", " : "", "'", printable(name), "'");
  }
  return text + "]";
}

void check_supported(const BoundSignature& signature) {
  const auto check = [&](const auto& values, std::string_view direction) {
    for (const auto& [name, value] : values) {
      if (value.unsupported_type.empty()) continue;
      throw value_error("Signature '", signature.name, "' expects a ", value.unsupported_type,
                        " for ", direction, " '", name,
                        "', which is not supported by this version of tensorflow_hub.");
    }
  };
  check(signature.inputs, "input");
  check(signature.outputs, "output");
}

namespace {

std::string_view python_name(ValueKind kind) {
  switch (kind) {
    case ValueKind::kDense: return "Tensor";
    case ValueKind::kSparse: return "SparseTensor";
    case ValueKind::kRagged: return "RaggedTensor";
  }
  return "";
}

// The kind of value that `inputs` hold under `name`, as far as the names of parts say.
std::optional<ValueKind> kind_given(const TensorMap& inputs, const std::string& name) {
  if (inputs.contains(name)) return ValueKind::kDense;
  if (inputs.contains(name + "/indices")) return ValueKind::kSparse;
  if (inputs.contains(name + "/values")) return ValueKind::kRagged;
  return std::nullopt;
}

void check_names(const BoundSignature& signature, const TensorMap& inputs) {
  std::vector<std::string> missing;
  std::set<std::string> known;
  for (const auto& [name, value] : signature.inputs) {
    const std::optional<ValueKind> kind = kind_given(inputs, name);
    if (!kind) {
      missing.push_back(name);
      continue;
    }
    if (*kind != value.info.kind) {
      throw type_error("Input '", name, "' is of another kind than its signature says. Got ",
                       python_name(*kind), ". Expected ", python_name(value.info.kind), ".");
    }
    for (const std::string& part : part_names(name, value.info)) {
      known.insert(part);
      if (!inputs.contains(part)) missing.push_back(part);
    }
  }
  std::vector<std::string> extra;
  for (const auto& [name, tensor] : inputs) {
    if (!known.contains(name)) extra.push_back(name);
  }
  if (missing.empty() && extra.empty()) return;
  std::sort(missing.begin(), missing.end());
  throw type_error("The inputs are not those of signature '", signature.name,
                   "'. Details: missing ", quoted_list(missing), ", extra given ",
                   quoted_list(extra), ".");
}

void check_shape(const std::string& name, const ValueInfo& got, const ValueInfo& expected) {
  if (got.shape.is_compatible_with(expected.shape)) return;
  throw type_error("Input '", name, "' does not fit its signature. Got ", to_string(got),
                   ". Expected ", to_string(expected), ".");
}

void check_dtype(const std::string& part, DType got, DType expected) {
  if (got == expected) return;
  throw value_error("Input '", part, "' is of another dtype than its signature says. Got ", got,
                    ". Expected ", expected, ".");
}

void check_dense(const std::string& name, const Tensor& tensor, const ValueInfo& expected) {
  check_dtype(name, tensor.dtype(), expected.dtype);
  check_shape(name, {.dtype = tensor.dtype(), .shape = tensor.shape()}, expected);
}

void check_sparse(const std::string& name, const std::vector<Tensor>& parts,
                  const ValueInfo& expected) {
  const Tensor& indices = parts[0];
  const Tensor& values = parts[1];
  const Tensor& dense_shape = parts[2];
  check_dtype(name + "/indices", indices.dtype(), DType::kInt64);
  check_dtype(name + "/values", values.dtype(), expected.dtype);
  check_dtype(name + "/dense_shape", dense_shape.dtype(), DType::kInt64);
  if (indices.rank() != 2 || values.rank() != 1 || dense_shape.rank() != 1 ||
      indices.dim(0) != values.dim(0) || indices.dim(1) != dense_shape.dim(0)) {
    throw type_error(
        "A sparse input has indices [n,rank], values [n] and a dense shape [rank]. Details: input "
        "'",
        name, "' has ", indices.shape(), ", ", values.shape(), " and ", dense_shape.shape(), ".");
  }
  const auto dims = dense_shape.values<std::int64_t>();
  if (std::any_of(dims.begin(), dims.end(), [](std::int64_t dim) { return dim < 0; })) {
    throw type_error("A dense shape has no negative dimensions. Details: input '", name, "'.");
  }
  ValueInfo got = expected;
  got.shape = PartialShape(std::vector<std::int64_t>(dims.begin(), dims.end()));
  check_shape(name, got, expected);
}

// The row splits are not compared with the values: the graph's ops do that.
void check_ragged(const std::string& name, const std::vector<Tensor>& parts,
                  const ValueInfo& expected) {
  const std::vector<std::string> names = part_names(name, expected);
  check_dtype(names[0], parts[0].dtype(), expected.dtype);
  if (parts[0].rank() < 1) {
    throw type_error("The values of a ragged input are no scalar. Details: input '", name, "'.");
  }
  for (std::size_t i = 1; i < parts.size(); ++i) {
    check_dtype(names[i], parts[i].dtype(), expected.row_splits_dtype);
    if (parts[i].rank() == 1 && parts[i].dim(0) >= 1) continue;
    throw type_error("Row splits are a vector that is not empty. Details: '", names[i],
                     "' has shape ", parts[i].shape(), ".");
  }
  // [rows, a ragged dimension for each row splits, the dimensions of one value].
  std::vector<std::int64_t> dims(parts.size(), -1);
  dims[0] = parts[1].dim(0) - 1;
  for (int axis = 1; axis < parts[0].rank(); ++axis) dims.push_back(parts[0].dim(axis));
  ValueInfo got = expected;
  got.shape = PartialShape(std::move(dims));
  check_shape(name, got, expected);
}

}  // namespace

std::vector<Tensor> bind_inputs(const BoundSignature& signature, const TensorMap& inputs) {
  check_supported(signature);
  check_names(signature, inputs);
  std::vector<Tensor> feeds;
  for (const auto& [name, value] : signature.inputs) {
    std::vector<Tensor> parts;
    for (const std::string& part : part_names(name, value.info)) parts.push_back(inputs.at(part));
    switch (value.info.kind) {
      case ValueKind::kDense: check_dense(name, parts[0], value.info); break;
      case ValueKind::kSparse: check_sparse(name, parts, value.info); break;
      case ValueKind::kRagged: check_ragged(name, parts, value.info); break;
    }
    for (Tensor& part : parts) feeds.push_back(std::move(part));
  }
  return feeds;
}

}  // namespace hub
