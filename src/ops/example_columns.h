#pragma once

// Features of a batch of records, column by column, and their way into outputs.

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "format/example.h"
#include "ops/kernel.h"

namespace hub {

// One feature's values in all records, one after the other.
struct Column {
  std::string key;
  std::variant<std::vector<std::string>, std::vector<float>, std::vector<std::int64_t>> values;
  std::vector<std::int64_t> lengths;  // of each record

  Column(std::string name, DType dtype) : key(std::move(name)) {
    if (dtype == kFloat) values = std::vector<float>();
    if (dtype == kInt64) values = std::vector<std::int64_t>();
  }

  std::int64_t count() const {
    return std::visit([](const auto& list) { return static_cast<std::int64_t>(list.size()); },
                      values);
  }
  std::int64_t longest() const { return lengths.empty() ? 0 : std::ranges::max(lengths); }
};

// Adds one record's values; the feature has some. Errors: INVALID_ARGUMENT for another type.
inline void append(Column& column, const FeatureValues& feature, std::string_view op) {
  std::visit(
      [&]<class List>(List& list) {
        const List* from = std::get_if<List>(&feature);
        if (from == nullptr) {
          throw invalid_argument(op, ": a feature is of another type. Details: \"",
                                 printable(column.key), "\".");
        }
        list.insert(list.end(), from->begin(), from->end());
        column.lengths.push_back(static_cast<std::int64_t>(from->size()));
      },
      column.values);
}

// The same from a default value.
inline void append(Column& column, const Tensor& value) {
  std::visit(
      [&]<class T>(std::vector<T>& list) {
        const auto from = value.values<T>();
        list.insert(list.end(), from.begin(), from.end());
        column.lengths.push_back(value.num_elements());
      },
      column.values);
}

inline void append_nothing(Column& column) { column.lengths.push_back(0); }

// The feature where the record has it with some list, else nullptr.
inline const FeatureValues* find_feature(const Features& features, const std::string& key) {
  const auto found = features.find(key);
  if (found == features.end() || std::holds_alternative<std::monostate>(found->second))
    return nullptr;
  return &found->second;
}

// All values as output `i`, of `shape`, which has as many elements.
inline void output_values(KernelContext& context, int i, const Column& column, const Shape& shape) {
  Tensor& result = context.output(i, shape);
  std::visit([&]<class T>(
                 const std::vector<T>& list) { std::ranges::copy(list, result.mutable_data<T>()); },
             column.values);
}

// Rows of `width` values; what a row lacks is `filler`.
inline void output_padded(KernelContext& context, int i, const Column& column, const Shape& shape,
                          std::int64_t width, const Tensor& filler) {
  Tensor& result = context.output(i, shape);
  std::visit(
      [&]<class T>(const std::vector<T>& list) {
        T* to = result.mutable_data<T>();
        auto from = list.begin();
        for (const std::int64_t length : column.lengths) {
          std::copy_n(from, length, to);
          std::fill(to + length, to + width, filler.scalar<T>());
          from += length;
          to += width;
        }
      },
      column.values);
}

}  // namespace hub
