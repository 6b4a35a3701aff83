#pragma once

// Moving elements of any dtype: numbers as bytes, strings and handles as objects.

#include <cstddef>
#include <cstdint>
#include <span>

#include "hub/tensor.h"

namespace hub {

class KernelContext;

// Bytes from one element to the next in a tensor's memory.
std::size_t element_size(DType dtype);
inline const void* element_at(DType dtype, const void* data, std::int64_t index) {
  return static_cast<const std::byte*>(data) +
         static_cast<std::size_t>(index) * element_size(dtype);
}
inline void* element_at(DType dtype, void* data, std::int64_t index) {
  return static_cast<std::byte*>(data) + static_cast<std::size_t>(index) * element_size(dtype);
}
inline const void* element_at(const Tensor& tensor, std::int64_t index) {
  return element_at(tensor.dtype(), tensor.raw_data(), index);
}
inline void* element_at(Tensor& tensor, std::int64_t index) {
  return element_at(tensor.dtype(), tensor.mutable_raw_data(), index);
}

// Consecutive elements; the ranges do not overlap.
void copy_elements(DType dtype, const void* from, void* to, std::int64_t count);
// `count` times the element at `value`, which is not one of them.
void fill_elements(DType dtype, const void* value, void* to, std::int64_t count);
// Zeros, false, empty strings, no resources.
void zero_elements(DType dtype, void* to, std::int64_t count);

// The same for whole tensors, on several threads where that is worth it.
void copy_tensor(KernelContext& context, const Tensor& from, Tensor& to);
void fill_tensor(KernelContext& context, const void* value, Tensor& to);
void zero_tensor(KernelContext& context, Tensor& to);

// `count` elements from element `first` on, under another shape: a view of the same memory.
Tensor view_of(const Tensor& tensor, std::int64_t first, Shape shape);

// The elements of a small tensor of any integer dtype as int64 (uint64 wraps).
std::int64_t integer_at(const Tensor& tensor, std::int64_t index);

// Stores into an int32 or int64 tensor. Errors: INVALID_ARGUMENT where the value does not fit.
void set_integer(Tensor& tensor, std::int64_t index, std::int64_t value);

// One axis of a box of elements: how many, and how far apart they lie on either side.
struct CopyAxis {
  std::int64_t size;
  std::int64_t from;  // stride in elements; may be 0 (repeats) or negative (reversed)
  std::int64_t to;
};

// Copies a box, outermost axis first. `from` and `to` are the places of the box's first
// element; no element of the box lies outside of the memory behind them, `to` holds each
// place once, and the two do not overlap.
void copy_box(KernelContext& context, DType dtype, std::span<const CopyAxis> axes, const void* from,
              void* to);

// Strides of a row-major tensor, in elements.
void row_major_strides(std::span<const std::int64_t> dims, std::span<std::int64_t> strides);

}  // namespace hub
