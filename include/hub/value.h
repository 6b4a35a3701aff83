#pragma once

// What signatures of modules take and give: dense, sparse and ragged tensors of a graph.

#include <concepts>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "hub/export.h"
#include "hub/graph.h"
#include "hub/indexed_slices.h"
#include "hub/module.h"
#include "hub/variables.h"

namespace hub {

// Elements by their places: indices int64 [n,rank], values [n], dense_shape int64 [rank].
struct SparseValue {
  Output indices;
  Output values;
  Output dense_shape;
};

// Rows of different lengths: the values of all rows one after the other, and where each row
// begins and ends, from the outermost ragged dimension inwards.
struct RaggedValue {
  Output values;
  std::vector<Output> row_splits;
};

// One input or output of a signature. Numbers, texts and Tensors may stand where a dense input is
// wanted: applying the module makes constants of the input's dtype of them. Variables, slices and
// lists can be given too, only to be refused by name.
class HUB_EXPORT Value {
 public:
  using List = std::vector<Output>;
  using Data = std::variant<std::monostate, Output, SparseValue, RaggedValue, Tensor, IndexedSlices,
                            Variable, List>;

  Value() = default;                                         // none
  Value(Output dense) : data_(dense) {}                      // NOLINT: made from what it is
  Value(SparseValue sparse) : data_(std::move(sparse)) {}    // NOLINT
  Value(RaggedValue ragged) : data_(std::move(ragged)) {}    // NOLINT
  Value(Tensor constant) : data_(std::move(constant)) {}     // NOLINT
  Value(IndexedSlices slices) : data_(std::move(slices)) {}  // NOLINT
  Value(Variable variable) : data_(std::move(variable)) {}   // NOLINT
  Value(List list) : data_(std::move(list)) {}               // NOLINT
  Value(const Operation& op);                                // NOLINT: its only output
  Value(const char* text) : Value(text_tensor(text)) {}      // NOLINT
  Value(std::same_as<std::string> auto text) : Value(text_tensor(std::move(text))) {}  // NOLINT
  Value(std::same_as<bool> auto value) : Value(bool_tensor(value)) {}                  // NOLINT
  template <std::integral T>
  requires(!std::same_as<T, bool>) Value(T value)
      : Value(number(static_cast<std::int64_t>(value))) {}                              // NOLINT
  Value(std::floating_point auto value) : Value(number(static_cast<double>(value))) {}  // NOLINT

  const Data& data() const { return data_; }
  bool is_valid() const { return data_.index() != 0; }
  // "Tensor", "SparseTensor", "RaggedTensor"; for others what they are.
  std::string_view type_name() const;
  bool is_dense() const { return std::holds_alternative<Output>(data_); }
  bool is_sparse() const { return std::holds_alternative<SparseValue>(data_); }
  bool is_ragged() const { return std::holds_alternative<RaggedValue>(data_); }

  // Errors: of kind type where it is something else.
  const Output& dense() const;
  const SparseValue& sparse() const;
  const RaggedValue& ragged() const;
  operator Output() const { return dense(); }  // NOLINT

  // Its tensors, in the order of part_names. Errors of both: of kind type unless it is dense,
  // sparse or ragged.
  std::vector<Output> parts() const;
  // What is known of it before anything runs.
  ValueInfo info() const;
  // The value whose tensors these are, in the order of part_names(name, info).
  static Value from_parts(const ValueInfo& info, std::vector<Output> parts);

 private:
  static Tensor text_tensor(std::string text);
  static Tensor bool_tensor(bool value);
  static Tensor number(std::int64_t value);
  static Tensor number(double value);

  Data data_;
};

using ValueMap = std::map<std::string, Value>;

// All outputs of a signature, in the order of their names.
class HUB_EXPORT Outputs {
 public:
  Outputs() = default;
  explicit Outputs(ValueMap values) : values_(std::move(values)) {}
  // Errors: of kind key, listing what there is.
  const Value& operator[](std::string_view name) const;
  bool contains(const std::string& name) const { return values_.contains(name); }
  std::size_t size() const { return values_.size(); }
  auto begin() const { return values_.begin(); }
  auto end() const { return values_.end(); }

 private:
  ValueMap values_;
};

}  // namespace hub
