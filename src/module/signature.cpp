#include "module/signature.h"

#include <algorithm>

#include "base/errors.h"

namespace hub {
namespace {

// "RaggedTensorSpec" without "Spec".
std::string type_name(const TypeSpec& spec) {
  std::string name = spec.class_name.empty() ? cat("type ", spec.type_class) : spec.class_name;
  if (name.ends_with("Spec")) name.resize(name.size() - 4);
  return name;
}

template <class T>
const T* element(const std::vector<StructuredValue>* elements, std::size_t i) {
  return elements != nullptr && i < elements->size() ? std::get_if<T>(&(*elements)[i].value)
                                                     : nullptr;
}

// The names of the components' tensors; nothing where one of them is not dense.
std::vector<std::string> component_names(const CompositeEncoding& composite) {
  std::vector<std::string> names;
  for (const TensorInfo& component : composite.components) {
    const auto* dense = std::get_if<DenseEncoding>(&component.encoding);
    if (dense == nullptr) return {};
    names.push_back(dense->name);
  }
  return names;
}

BoundValue bind_composite(const CompositeEncoding& composite) {
  BoundValue value;
  value.tensors = component_names(composite);
  const TypeSpec& spec = composite.type_spec;
  const auto* state = spec.state ? spec.state->elements() : nullptr;
  const auto* shape = element<PartialShape>(state, 0);
  const auto* dtype = element<DType>(state, 1);
  const auto* ragged_rank = element<std::int64_t>(state, 2);
  const auto* row_splits_dtype = element<DType>(state, 3);
  const bool has_type = shape != nullptr && dtype != nullptr;
  if (has_type && spec.type_class == kSparseTensorSpec && value.tensors.size() == 3) {
    value.info = {.kind = ValueKind::kSparse, .dtype = *dtype, .shape = *shape};
  } else if (has_type && spec.type_class == kRaggedTensorSpec && ragged_rank != nullptr &&
             row_splits_dtype != nullptr && *ragged_rank >= 1 &&
             std::cmp_equal(value.tensors.size(), *ragged_rank + 1)) {
    value.info = {.kind = ValueKind::kRagged,
                  .dtype = *dtype,
                  .shape = *shape,
                  .ragged_rank = static_cast<int>(*ragged_rank),
                  .row_splits_dtype = *row_splits_dtype};
  } else {
    value.unsupported_type = type_name(spec);
  }
  return value;
}

BoundValue bind_value(const TensorInfo& info) {
  if (const auto* composite = std::get_if<CompositeEncoding>(&info.encoding)) {
    return bind_composite(*composite);
  }
  BoundValue value;
  value.info.dtype = info.dtype;
  // An absent shape is a scalar's, but an operation ("__saved_model_init_op") has none at all.
  const PartialShape absent =
      info.dtype == DType::kInvalid ? PartialShape() : PartialShape(Shape());
  value.info.shape = info.shape.value_or(absent);
  if (const auto* dense = std::get_if<DenseEncoding>(&info.encoding)) {
    value.tensors = {dense->name};
  } else if (const auto* sparse = std::get_if<SparseEncoding>(&info.encoding)) {
    value.info.kind = ValueKind::kSparse;
    value.tensors = {sparse->indices, sparse->values, sparse->dense_shape};
  } else {
    value.unsupported_type = "value with an unsupported TensorInfo encoding";
  }
  return value;
}

}  // namespace

Signature BoundSignature::info() const {
  Signature signature;
  for (const auto& [key, value] : inputs) signature.inputs.emplace(key, value.info);
  for (const auto& [key, value] : outputs) signature.outputs.emplace(key, value.info);
  return signature;
}

BoundSignature bind_signature(const std::string& name, const SignatureDef& signature) {
  BoundSignature bound;
  bound.name = name;
  for (const auto& [key, info] : signature.inputs) bound.inputs.emplace(key, bind_value(info));
  for (const auto& [key, info] : signature.outputs) bound.outputs.emplace(key, bind_value(info));
  return bound;
}

std::string default_signature_name(const std::map<std::string, BoundSignature>& signatures) {
  constexpr const char* kServing = "serving_default";
  return signatures.contains("default") || !signatures.contains(kServing) ? "default" : kServing;
}

}  // namespace hub
