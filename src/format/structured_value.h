#pragma once

// Nested values as SavedModels write them: the state of a composite tensor's type, the
// signatures of functions.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "hub/tensor.h"

namespace hub {

struct StructuredValue;

struct TensorSpec {
  std::string name;
  PartialShape shape;
  DType dtype = DType::kInvalid;
};

struct BoundedTensorSpec {
  TensorSpec spec;
  Tensor minimum;
  Tensor maximum;
};

// Numbers of TypeSpecProto.TypeSpecClass that the library looks at.
inline constexpr int kSparseTensorSpec = 1;
inline constexpr int kRaggedTensorSpec = 3;

// The type of a composite tensor.
struct TypeSpec {
  int type_class = 0;
  std::shared_ptr<const StructuredValue> state;  // null: none
  std::string class_name;
  int num_flat_components = 0;
  std::string unknown_fields;  // of all that is nested in it
};

struct NoneValue {};
struct ListValue {
  std::vector<StructuredValue> values;
};
struct TupleValue {
  std::vector<StructuredValue> values;
};
struct DictValue {
  std::map<std::string, StructuredValue> fields;
};
struct NamedTupleValue {
  std::string name;
  std::vector<std::pair<std::string, StructuredValue>> values;
};
struct TensorValue {
  Tensor tensor;
  bool is_numpy = false;
};

// `value` holds monostate where the message has no kind set.
struct StructuredValue {
  std::variant<std::monostate, NoneValue, double, std::int64_t, std::string, bool, PartialShape,
               DType, TensorSpec, TypeSpec, BoundedTensorSpec, ListValue, TupleValue, DictValue,
               NamedTupleValue, TensorValue>
      value;

  // The elements of a list or tuple; null for other kinds.
  const std::vector<StructuredValue>* elements() const;
};

}  // namespace hub
