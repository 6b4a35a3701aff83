#pragma once

// Lookup tables: state that ops with a table handle work on.

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "ops/kernel.h"

namespace hub {

// All functions are thread-safe. Keys are scalars (except in a dense table); a row of
// `value_shape()` belongs to each.
class LookupTable : public Resource {
 public:
  LookupTable(DType key_dtype, DType value_dtype, Shape key_shape, Shape value_shape)
      : key_dtype_(key_dtype),
        value_dtype_(value_dtype),
        key_shape_(std::move(key_shape)),
        value_shape_(std::move(value_shape)) {}

  DType key_dtype() const { return key_dtype_; }
  DType value_dtype() const { return value_dtype_; }
  const Shape& key_shape() const { return key_shape_; }
  const Shape& value_shape() const { return value_shape_; }

  // "HashTable"...: for messages.
  virtual std::string_view kind() const = 0;
  virtual std::int64_t size() const = 0;
  // Fills `values` with the rows of `keys`, or with `default_value`, which is one row or as
  // many as there are keys. Errors: FAILED_PRECONDITION before the initialisation.
  virtual void find(KernelContext& context, const Tensor& keys, const Tensor& default_value,
                    Tensor& values) const = 0;
  // From words to int64 values without tensors, where `finds_words()`: from any thread of a
  // parallel loop. Errors: as for `find`.
  virtual bool finds_words() const { return false; }
  virtual void find_words(std::span<const std::string_view> words, std::int64_t fallback,
                          std::int64_t* values) const;
  // Sets outputs 0 and 1. Errors: ABORTED before the initialisation.
  virtual void export_to(KernelContext& context) const = 0;
  // Fills an immutable table, once. Errors: FAILED_PRECONDITION for a key with two values, or
  // where there are other entries already; INVALID_ARGUMENT for a table of another kind.
  virtual void initialize(const Tensor& keys, const Tensor& values);
  // Whether `initialize` is how the table is filled.
  virtual bool is_immutable() const { return false; }
  virtual bool is_initialized() const { return true; }
  // For tables that change. Errors: UNIMPLEMENTED where it does not.
  virtual void insert(const Tensor& keys, const Tensor& values);
  virtual void remove(const Tensor& keys);
  // Replaces all entries.
  virtual void import(const Tensor& keys, const Tensor& values);

  // Errors: INVALID_ARGUMENT where tensors do not fit.
  virtual void check_import(const Tensor& keys, const Tensor& values) const;
  // Back to what a new table is.
  virtual void clear() = 0;

  // The table of this kernel's handle in input 0. Errors: NOT_FOUND where there is none.
  static std::shared_ptr<LookupTable> of_input(KernelContext& context);

 private:
  const DType key_dtype_;
  const DType value_dtype_;
  const Shape key_shape_;
  const Shape value_shape_;
};

// Where a session keeps the table of a node with the attributes container, shared_name and
// use_node_name_sharing.
struct TableName {
  std::string container;
  std::string name;
  explicit TableName(const KernelInit& init);
};

// Errors: INVALID_ARGUMENT where tensors do not fit the table.
void check_keys(const LookupTable& table, const Tensor& keys);
void check_entries(const LookupTable& table, const Tensor& keys, const Tensor& values);

}  // namespace hub
