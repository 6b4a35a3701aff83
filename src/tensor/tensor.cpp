#include "hub/tensor.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/checked.h"
#include "base/errors.h"
#include "tensor/buffers.h"

namespace hub {

Resource::~Resource() = default;
VariantValue::~VariantValue() = default;
Buffer::~Buffer() = default;

namespace {

class HeapBuffer final : public Buffer {
 public:
  HeapBuffer(void* data, std::size_t size_bytes) : Buffer(data, size_bytes, true) {}
  ~HeapBuffer() override { std::free(data_); }
};

// Elements that have constructors.
template <class T>
class ObjectBuffer final : public Buffer {
 public:
  explicit ObjectBuffer(std::vector<T> objects)
      : Buffer(nullptr, objects.size() * sizeof(T), true), objects_(std::move(objects)) {
    data_ = objects_.data();
  }

 private:
  std::vector<T> objects_;
};

class BytesBuffer final : public Buffer {
 public:
  explicit BytesBuffer(std::string bytes)
      : Buffer(nullptr, bytes.size(), true), bytes_(std::move(bytes)) {
    data_ = bytes_.data();
  }

 private:
  std::string bytes_;
};

class BorrowedBuffer final : public Buffer {
 public:
  BorrowedBuffer(const void* data, std::size_t size_bytes, std::shared_ptr<const void> owner,
                 Pages pages)
      : Buffer(const_cast<void*>(data), size_bytes, false),
        owner_(std::move(owner)),
        pages_(pages) {}
  Pages pages() const { return pages_; }

 private:
  std::shared_ptr<const void> owner_;
  Pages pages_;
};

template <class T>
BufferRef new_objects(std::int64_t count) {
  try {
    return BufferRef::adopt(new ObjectBuffer<T>(std::vector<T>(static_cast<std::size_t>(count))));
  } catch (const std::bad_alloc&) {
    throw resource_exhausted("Out of memory. Details: a tensor of ", count,
                             " elements was asked for.");
  } catch (const std::length_error&) {
    throw resource_exhausted("Out of memory. Details: a tensor of ", count,
                             " elements was asked for.");
  }
}

}  // namespace

void* allocate_aligned(std::size_t size_bytes) {
  void* data = std::aligned_alloc(kBufferAlignment, size_bytes);
#ifdef MADV_HUGEPAGE
  constexpr std::size_t kLargePage = std::size_t{2} << 20;
  if (data != nullptr && size_bytes >= 2 * kLargePage) {
    // Only pages that lie inside: memory is not to become more.
    const auto start = reinterpret_cast<std::uintptr_t>(data);
    const std::uintptr_t first = (start + kLargePage - 1) / kLargePage * kLargePage;
    const std::uintptr_t last = (start + size_bytes) / kLargePage * kLargePage;
    if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
  }
#endif
  return data;
}

BufferRef allocate_buffer(std::size_t size_bytes) {
  const std::size_t rounded =
      (size_bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
  void* data =
      rounded < size_bytes ? nullptr : allocate_aligned(std::max(rounded, kBufferAlignment));
  if (data == nullptr) {
    throw resource_exhausted("Out of memory. Details: ", size_bytes, " bytes were asked for.");
  }
  return BufferRef::adopt(new HeapBuffer(data, size_bytes));
}

BufferRef borrow_buffer(const void* data, std::size_t size_bytes, std::shared_ptr<const void> owner,
                        Pages pages) {
  return BufferRef::adopt(new BorrowedBuffer(data, size_bytes, std::move(owner), pages));
}

void release_pages(const Tensor& tensor) {
  const auto* buffer = dynamic_cast<const BorrowedBuffer*>(tensor.buffer().get());
  if (buffer == nullptr || buffer->pages() != Pages::kOfFile) return;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto start = reinterpret_cast<std::uintptr_t>(tensor.raw_data());
  const std::uintptr_t first = (start + page - 1) / page * page;
  const std::uintptr_t last = (start + tensor.size_bytes()) / page * page;
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

BufferRef adopt_bytes(std::string bytes) {
  return BufferRef::adopt(new BytesBuffer(std::move(bytes)));
}

BufferRef allocate_elements(DType dtype, std::int64_t count) {
  switch (dtype) {
    case DType::kString: return new_objects<std::string>(count);
    case DType::kResource: return new_objects<ResourceHandle>(count);
    case DType::kVariant: return new_objects<Variant>(count);
    default: break;
  }
  const auto size = checked_mul(static_cast<std::size_t>(count), dtype_size(dtype));
  if (!size)
    throw resource_exhausted("Out of memory. Details: a tensor of ", count,
                             " elements was asked for.");
  return allocate_buffer(*size);
}

Tensor::Tensor(DType dtype, Shape shape) : dtype_(dtype), shape_(std::move(shape)) {
  HUB_ASSERT(dtype != DType::kInvalid);
  buffer_ = allocate_elements(dtype, shape_.num_elements());
  data_ = buffer_->data();
}

Tensor::Tensor(DType dtype, Shape shape, BufferRef buffer, std::size_t offset_bytes)
    : dtype_(dtype), shape_(std::move(shape)), buffer_(std::move(buffer)) {
  HUB_ASSERT(offset_bytes <= buffer_->size_bytes() &&
             size_bytes() <= buffer_->size_bytes() - offset_bytes);
  data_ = static_cast<std::byte*>(buffer_->data()) + offset_bytes;
}

std::size_t Tensor::size_bytes() const {
  const auto count = static_cast<std::size_t>(num_elements());
  switch (dtype_) {
    case DType::kString: return count * sizeof(std::string);
    case DType::kResource: return count * sizeof(ResourceHandle);
    case DType::kVariant: return count * sizeof(Variant);
    default: return count * dtype_size(dtype_);
  }
}

Tensor Tensor::reshaped(Shape shape) const {
  if (shape.num_elements() != num_elements()) {
    throw invalid_argument("A reshape must keep the number of elements. Details: ", shape_, " has ",
                           num_elements(), ", ", shape, " has ", shape.num_elements(), ".");
  }
  Tensor result = *this;
  result.shape_ = std::move(shape);
  return result;
}

Tensor Tensor::bit_cast(DType dtype) const {
  HUB_ASSERT(dtype_size(dtype) == dtype_size(dtype_));
  Tensor result = *this;
  result.dtype_ = dtype;
  return result;
}

Tensor Tensor::rows(std::int64_t begin, std::int64_t end) const {
  HUB_ASSERT(rank() > 0 && 0 <= begin && begin <= end && end <= dim(0));
  Tensor result = *this;
  result.shape_ = shape_.with_dim(0, end - begin);
  const std::size_t row_bytes = dim(0) == 0 ? 0 : size_bytes() / static_cast<std::size_t>(dim(0));
  result.data_ = static_cast<std::byte*>(data_) + static_cast<std::size_t>(begin) * row_bytes;
  return result;
}

Tensor Tensor::clone() const {
  if (!is_valid()) return {};
  Tensor copy(dtype_, shape_);
  const auto copy_objects = [&]<class T>(T*) {
    std::ranges::copy(values<T>(), copy.mutable_data<T>());
  };
  switch (dtype_) {
    case DType::kString: copy_objects(static_cast<std::string*>(nullptr)); break;
    case DType::kResource: copy_objects(static_cast<ResourceHandle*>(nullptr)); break;
    case DType::kVariant: copy_objects(static_cast<Variant*>(nullptr)); break;
    default:
      if (size_bytes() > 0) std::memcpy(copy.data_, data_, size_bytes());
  }
  return copy;
}

void Tensor::wrong_type(DType wanted) const {
  throw internal_error("a tensor of ", dtype_, " was read as ", wanted, ". Please report this.");
}

void Tensor::check_single() const {
  if (num_elements() != 1) {
    throw invalid_argument("Expected a single element. Details: the tensor has shape ", shape_,
                           ".");
  }
}

Tensor strings(const std::vector<std::string>& values) {
  return make_tensor<std::string>(Shape{static_cast<std::int64_t>(values.size())},
                                  std::span(values));
}

void internal::check_element_count(const Shape& shape, std::size_t count) {
  if (static_cast<std::size_t>(shape.num_elements()) != count) {
    throw invalid_argument("The values must fill the shape. Details: ", shape, " holds ",
                           shape.num_elements(), " elements, got ", count, ".");
  }
}

}  // namespace hub
