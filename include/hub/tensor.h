#pragma once

#include <array>
#include <atomic>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "hub/export.h"

namespace hub {

// TensorFlow's DataType, with its numbers (they are in files: do not change them).
enum class DType : std::uint8_t {
  kInvalid = 0,
  kFloat32 = 1,
  kFloat64 = 2,
  kInt32 = 3,
  kUint8 = 4,
  kInt16 = 5,
  kInt8 = 6,
  kString = 7,
  kComplex64 = 8,
  kInt64 = 9,
  kBool = 10,
  kQint8 = 11,
  kQuint8 = 12,
  kQint32 = 13,
  kBfloat16 = 14,
  kQint16 = 15,
  kQuint16 = 16,
  kUint16 = 17,
  kComplex128 = 18,
  kFloat16 = 19,
  kResource = 20,
  kVariant = 21,
  kUint32 = 22,
  kUint64 = 23,
};

inline constexpr DType kFloat = DType::kFloat32;
inline constexpr DType kDouble = DType::kFloat64;
inline constexpr DType kInt32 = DType::kInt32;
inline constexpr DType kInt64 = DType::kInt64;
inline constexpr DType kBool = DType::kBool;
inline constexpr DType kString = DType::kString;

// "float32", "int64", "string"...: the names of TensorFlow's Python. Invalid: "invalid".
HUB_EXPORT std::string_view dtype_name(DType dtype);
// The inverse; also takes the schema language's words ("float", "half"...). kInvalid if unknown.
HUB_EXPORT DType dtype_from_name(std::string_view name);
// Bytes of an element in files and in raw memory; 0 for string, resource and variant.
HUB_EXPORT std::size_t dtype_size(DType dtype);
// True for the numbers of TensorFlow's enum that this library knows (not for kInvalid).
HUB_EXPORT bool dtype_is_known(int number);
inline std::string to_string(DType dtype) { return std::string(dtype_name(dtype)); }

// IEEE half precision. Arithmetic is done in float; conversion rounds to nearest even.
struct HUB_EXPORT Half {
  std::uint16_t bits = 0;
  Half() = default;
  explicit Half(float value);
  explicit operator float() const;
  static constexpr Half from_bits(std::uint16_t bits) {
    Half half;
    half.bits = bits;
    return half;
  }
};

// The upper 16 bits of a float. Conversion rounds to nearest even.
struct HUB_EXPORT BFloat16 {
  std::uint16_t bits = 0;
  BFloat16() = default;
  explicit BFloat16(float value);
  explicit operator float() const;
  static constexpr BFloat16 from_bits(std::uint16_t bits) {
    BFloat16 value;
    value.bits = bits;
    return value;
  }
};

// Dimensions of a tensor, each >= 0, outermost first. Up to six dimensions need no heap.
// Errors: INVALID_ARGUMENT for a negative dimension, more than 254 dimensions, or a
// number of elements above 2^63 - 1.
class HUB_EXPORT Shape {
 public:
  static constexpr int kMaxRank = 254;

  Shape() = default;  // a scalar
  Shape(std::initializer_list<std::int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const std::int64_t> dims);
  explicit Shape(const std::vector<std::int64_t>& dims) : Shape(std::span(dims)) {}
  Shape(const Shape& other) { assign(other); }
  Shape(Shape&& other) noexcept;
  Shape& operator=(const Shape& other) {
    if (this != &other) assign(other);
    return *this;
  }
  Shape& operator=(Shape&& other) noexcept;
  ~Shape() = default;

  int rank() const { return rank_; }
  std::int64_t dim(int axis) const { return data()[axis]; }
  std::int64_t operator[](int axis) const { return data()[axis]; }
  std::span<const std::int64_t> dims() const { return {data(), static_cast<std::size_t>(rank_)}; }
  std::int64_t num_elements() const { return num_elements_; }

  // Copies with one change.
  Shape with_dim(int axis, std::int64_t size) const;
  Shape without_dim(int axis) const;
  Shape with_inserted(int axis, std::int64_t size) const;
  // Dimensions [begin, end).
  Shape slice(int begin, int end) const {
    return Shape(
        dims().subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
  }

  bool operator==(const Shape& other) const;

 private:
  static constexpr int kInline = 6;
  const std::int64_t* data() const { return heap_ ? heap_.get() : inline_.data(); }
  void assign(const Shape& other);

  std::int64_t num_elements_ = 1;
  std::uint8_t rank_ = 0;
  std::array<std::int64_t, kInline> inline_;
  std::unique_ptr<std::int64_t[]> heap_;
};

// "[2,3]", "[]" for a scalar.
HUB_EXPORT std::string to_string(const Shape& shape);

// A shape of which dimensions (-1) or the rank may be unknown.
class HUB_EXPORT PartialShape {
 public:
  PartialShape() = default;  // unknown rank
  // -1 stands for an unknown dimension. Errors: INVALID_ARGUMENT below -1.
  PartialShape(std::initializer_list<std::int64_t> dims) : PartialShape(std::vector(dims)) {}
  explicit PartialShape(std::vector<std::int64_t> dims);
  PartialShape(const Shape& shape);  // NOLINT: a full shape is a partial one
  static PartialShape scalar() { return PartialShape(std::vector<std::int64_t>{}); }
  static PartialShape unknown_rank() { return {}; }
  static PartialShape unknown_dims(int rank) {
    return PartialShape(std::vector<std::int64_t>(static_cast<std::size_t>(rank), -1));
  }

  bool has_rank() const { return known_; }
  int rank() const { return known_ ? static_cast<int>(dims_.size()) : -1; }
  // -1 where unknown, also for every axis of an unknown rank.
  std::int64_t dim(int axis) const { return known_ ? dims_[static_cast<std::size_t>(axis)] : -1; }
  std::span<const std::int64_t> dims() const { return dims_; }
  bool is_fully_defined() const;
  // The shape, where fully defined.
  std::optional<Shape> as_shape() const;
  // True where some full shape fits both.
  bool is_compatible_with(const PartialShape& other) const;
  // What both say together. Errors: INVALID_ARGUMENT where they contradict.
  PartialShape merge_with(const PartialShape& other) const;

  bool operator==(const PartialShape& other) const = default;

 private:
  bool known_ = false;
  std::vector<std::int64_t> dims_;
};

// "[?,3]"; "?" for an unknown rank.
HUB_EXPORT std::string to_string(const PartialShape& shape);

// State that outlives a step (a variable, a table...), owned by a session.
class HUB_EXPORT Resource {
 public:
  virtual ~Resource();
};

// An element of a resource tensor: which resource, and the resource itself.
struct ResourceHandle {
  std::string container;
  std::string name;
  std::shared_ptr<Resource> resource;
};

// An element of a variant tensor: an immutable value of any type (a tensor list...).
class HUB_EXPORT VariantValue {
 public:
  virtual ~VariantValue();
  // As in files: "tensorflow::TensorList".
  virtual std::string_view type_name() const = 0;
};
struct Variant {
  std::shared_ptr<const VariantValue> value;
};

// Reference-counted memory of a tensor. The counting is thread-safe.
class HUB_EXPORT Buffer {
 public:
  Buffer(void* data, std::size_t size_bytes, bool writable)
      : data_(data), size_bytes_(size_bytes), writable_(writable) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* data() const { return data_; }
  std::size_t size_bytes() const { return size_bytes_; }
  bool writable() const { return writable_; }

  void retain() { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
  }
  bool is_unique() const { return references_.load(std::memory_order_acquire) == 1; }

  // A pinned buffer is never written in place again: something was derived from it.
  void pin() { pinned_.store(true, std::memory_order_relaxed); }
  bool pinned() const { return pinned_.load(std::memory_order_relaxed); }

 protected:
  virtual ~Buffer();
  // Called when the last reference is gone.
  virtual void destroy() { delete this; }
  // For buffers that are handed out again.
  void reset_references() {
    references_.store(1, std::memory_order_relaxed);
    pinned_.store(false, std::memory_order_relaxed);
  }
  void* data_;
  std::size_t size_bytes_;

 private:
  bool writable_;
  std::atomic<bool> pinned_{false};
  std::atomic<std::uint32_t> references_{1};
};

// Owns one reference to a Buffer.
class BufferRef {
 public:
  BufferRef() = default;
  // Takes over the reference that a new buffer is born with.
  static BufferRef adopt(Buffer* buffer) {
    BufferRef ref;
    ref.buffer_ = buffer;
    return ref;
  }
  BufferRef(const BufferRef& other) : buffer_(other.buffer_) {
    if (buffer_) buffer_->retain();
  }
  BufferRef(BufferRef&& other) noexcept : buffer_(std::exchange(other.buffer_, nullptr)) {}
  BufferRef& operator=(BufferRef other) noexcept {
    std::swap(buffer_, other.buffer_);
    return *this;
  }
  ~BufferRef() {
    if (buffer_) buffer_->release();
  }
  Buffer* get() const { return buffer_; }
  Buffer* operator->() const { return buffer_; }
  explicit operator bool() const { return buffer_ != nullptr; }

 private:
  Buffer* buffer_ = nullptr;
};

// The C++ type of a dtype's elements, and back. Quantized dtypes are stored as their integers.
template <class T>
inline constexpr DType dtype_of = DType::kInvalid;
template <>
inline constexpr DType dtype_of<float> = DType::kFloat32;
template <>
inline constexpr DType dtype_of<double> = DType::kFloat64;
template <>
inline constexpr DType dtype_of<std::int8_t> = DType::kInt8;
template <>
inline constexpr DType dtype_of<std::int16_t> = DType::kInt16;
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::kInt32;
template <>
inline constexpr DType dtype_of<std::int64_t> = DType::kInt64;
template <>
inline constexpr DType dtype_of<std::uint8_t> = DType::kUint8;
template <>
inline constexpr DType dtype_of<std::uint16_t> = DType::kUint16;
template <>
inline constexpr DType dtype_of<std::uint32_t> = DType::kUint32;
template <>
inline constexpr DType dtype_of<std::uint64_t> = DType::kUint64;
template <>
inline constexpr DType dtype_of<bool> = DType::kBool;
template <>
inline constexpr DType dtype_of<std::string> = DType::kString;
template <>
inline constexpr DType dtype_of<std::complex<float>> = DType::kComplex64;
template <>
inline constexpr DType dtype_of<std::complex<double>> = DType::kComplex128;
template <>
inline constexpr DType dtype_of<Half> = DType::kFloat16;
template <>
inline constexpr DType dtype_of<BFloat16> = DType::kBfloat16;
template <>
inline constexpr DType dtype_of<ResourceHandle> = DType::kResource;
template <>
inline constexpr DType dtype_of<Variant> = DType::kVariant;

// The dtype that stores the same elements: the integer of a quantized dtype, else itself.
constexpr DType storage_dtype(DType dtype) {
  switch (dtype) {
    case DType::kQint8: return DType::kInt8;
    case DType::kQuint8: return DType::kUint8;
    case DType::kQint16: return DType::kInt16;
    case DType::kQuint16: return DType::kUint16;
    case DType::kQint32: return DType::kInt32;
    default: return dtype;
  }
}

// A dense, row-major array of one dtype. A value type: copies share the buffer, which is
// immutable by convention once the tensor was handed on. Strings are bytes. Reading from
// many threads is safe; writing needs a tensor that nobody else holds.
class HUB_EXPORT Tensor {
 public:
  Tensor() = default;  // no tensor: dtype() is kInvalid
  Tensor(const Tensor&) = default;
  Tensor& operator=(const Tensor&) = default;
  // A tensor that was moved from is no tensor.
  Tensor(Tensor&& other) noexcept
      : dtype_(std::exchange(other.dtype_, DType::kInvalid)),
        data_(std::exchange(other.data_, nullptr)),
        shape_(std::move(other.shape_)),
        buffer_(std::move(other.buffer_)) {}
  Tensor& operator=(Tensor&& other) noexcept {
    dtype_ = std::exchange(other.dtype_, DType::kInvalid);
    data_ = std::exchange(other.data_, nullptr);
    shape_ = std::move(other.shape_);
    buffer_ = std::move(other.buffer_);
    return *this;
  }
  ~Tensor() = default;
  // New memory: uninitialised for numbers, empty strings, no resources.
  // Errors: RESOURCE_EXHAUSTED where it cannot be had.
  Tensor(DType dtype, Shape shape);
  // A view of `buffer` from `offset_bytes` on, which must hold all elements.
  Tensor(DType dtype, Shape shape, BufferRef buffer, std::size_t offset_bytes = 0);

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  std::int64_t dim(int axis) const { return shape_.dim(axis); }
  std::int64_t num_elements() const { return shape_.num_elements(); }
  bool is_valid() const { return dtype_ != DType::kInvalid; }
  explicit operator bool() const { return is_valid(); }

  // Bytes of all elements; for strings, resources and variants the elements' objects.
  std::size_t size_bytes() const;
  const void* raw_data() const { return data_; }
  void* mutable_raw_data() { return data_; }
  // The elements as bytes; only for dtypes with dtype_size() > 0.
  std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(data_), size_bytes()};
  }
  std::span<std::byte> mutable_bytes() { return {static_cast<std::byte*>(data_), size_bytes()}; }

  // The elements; T must be the dtype's type.
  template <class T>
  const T* data() const {
    check_type(dtype_of<T>);
    return static_cast<const T*>(data_);
  }
  template <class T>
  T* mutable_data() {
    check_type(dtype_of<T>);
    return static_cast<T*>(data_);
  }
  template <class T>
  std::span<const T> values() const {
    return {data<T>(), static_cast<std::size_t>(num_elements())};
  }
  template <class T>
  std::span<T> mutable_values() {
    return {mutable_data<T>(), static_cast<std::size_t>(num_elements())};
  }
  // The only element. Errors: INVALID_ARGUMENT where there is not exactly one.
  template <class T>
  const T& scalar() const {
    check_single();
    return *data<T>();
  }

  // The same elements under another shape. Errors: INVALID_ARGUMENT if the counts differ.
  Tensor reshaped(Shape shape) const;
  // The same bytes as another dtype of equal size.
  Tensor bit_cast(DType dtype) const;
  // Rows [begin, end) of axis 0, sharing the buffer.
  Tensor rows(std::int64_t begin, std::int64_t end) const;
  // A copy with its own buffer.
  Tensor clone() const;

  // True where nobody else holds the buffer and it may be written.
  bool is_exclusive() const {
    return buffer_ && buffer_->is_unique() && buffer_->writable() && !buffer_->pinned();
  }
  bool shares_buffer_with(const Tensor& other) const {
    return buffer_ && buffer_.get() == other.buffer_.get();
  }
  const BufferRef& buffer() const { return buffer_; }

 private:
  void check_type(DType wanted) const {
    if (wanted != storage_dtype(dtype_)) wrong_type(wanted);
  }
  [[noreturn]] void wrong_type(DType wanted) const;
  void check_single() const;

  DType dtype_ = DType::kInvalid;
  void* data_ = nullptr;
  Shape shape_;
  BufferRef buffer_;
};

// "float32 [2,3] 1 2 3 ...": dtype, shape and the first elements.
HUB_EXPORT std::string to_string(const Tensor& tensor);

// A tensor of these values. Errors: INVALID_ARGUMENT if the shape has another size.
template <class T>
Tensor make_tensor(Shape shape, std::span<const T> values);
template <class T>
Tensor make_tensor(Shape shape, std::initializer_list<T> values) {
  return make_tensor<T>(std::move(shape), std::span<const T>(values.begin(), values.size()));
}
template <class T>
Tensor make_vector(std::initializer_list<T> values) {
  return make_tensor<T>(Shape{static_cast<std::int64_t>(values.size())}, values);
}
template <class T>
Tensor make_scalar(const T& value) {
  return make_tensor<T>(Shape{}, std::span<const T>(&value, 1));
}
// A vector of strings.
HUB_EXPORT Tensor strings(const std::vector<std::string>& values);

namespace internal {
HUB_EXPORT void check_element_count(const Shape& shape, std::size_t count);
}

template <class T>
Tensor make_tensor(Shape shape, std::span<const T> values) {
  static_assert(dtype_of<T> != DType::kInvalid, "no dtype has this element type");
  internal::check_element_count(shape, values.size());
  Tensor tensor(dtype_of<T>, std::move(shape));
  T* out = tensor.mutable_data<T>();
  for (const T& value : values) *out++ = value;
  return tensor;
}

}  // namespace hub
