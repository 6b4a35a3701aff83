#include "tensor/buffer_pool.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "base/checked.h"
#include "base/errors.h"
#include "tensor/buffers.h"

namespace hub {
namespace {

// Size classes: four to each power of two, from 64 bytes to 1 TiB.
constexpr std::size_t kSmallest = 64;
constexpr int kClassesPerDoubling = 4;
constexpr int kNumClasses = 34 * kClassesPerDoubling;

int size_class(std::size_t bytes) {
  if (bytes <= kSmallest) return 0;
  const int doubling = std::bit_width((bytes - 1) / kSmallest) - 1;
  const std::size_t base = kSmallest << doubling;
  const std::size_t quarter = std::max<std::size_t>(base / kClassesPerDoubling, 1);
  const auto step = static_cast<int>((bytes - base + quarter - 1) / quarter);
  return doubling * kClassesPerDoubling + step;
}

std::size_t class_bytes(int index) {
  const std::size_t base = kSmallest << (index / kClassesPerDoubling);
  const std::size_t bytes =
      base + base / kClassesPerDoubling * static_cast<std::size_t>(index % kClassesPerDoubling);
  return (bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
}

}  // namespace

class BufferPool::PooledBuffer final : public Buffer {
 public:
  PooledBuffer(Core& core, int size_class, void* data, std::size_t bytes)
      : Buffer(data, bytes, true), core_(&core), class_(size_class) {}
  ~PooledBuffer() override { std::free(data_); }

  void reuse(std::size_t bytes) {
    reset_references();
    size_bytes_ = bytes;
  }
  int size_class() const { return class_; }
  PooledBuffer* next = nullptr;

 private:
  void destroy() override;
  Core* core_;
  int class_;
};

// What the pool and its buffers share: lives until both are gone.
class BufferPool::Core {
 public:
  PooledBuffer* take(int index, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    used_ += class_bytes(index);
    peak_ = std::max(peak_, used_);
    ++users_;
    PooledBuffer*& head = free_[static_cast<std::size_t>(index)];
    if (head == nullptr) return nullptr;
    PooledBuffer* buffer = head;
    head = buffer->next;
    buffer->reuse(bytes);
    return buffer;
  }

  void take_failed(int index) {
    const std::lock_guard lock(mutex_);
    used_ -= class_bytes(index);
    --users_;
  }

  void give_back(PooledBuffer* buffer) {
    bool last = false;
    {
      const std::lock_guard lock(mutex_);
      used_ -= class_bytes(buffer->size_class());
      last = --users_ == 0 && closed_;
      if (!closed_) {
        PooledBuffer*& head = free_[static_cast<std::size_t>(buffer->size_class())];
        buffer->next = head;
        head = buffer;
        return;
      }
    }
    delete buffer;
    if (last) delete this;
  }

  void close() {
    trim();
    bool last = false;
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      last = users_ == 0;
    }
    if (last) delete this;
  }

  void trim() {
    std::array<PooledBuffer*, kNumClasses> lists{};
    {
      const std::lock_guard lock(mutex_);
      std::swap(lists, free_);
    }
    for (PooledBuffer* buffer : lists) {
      while (buffer != nullptr) delete std::exchange(buffer, buffer->next);
    }
  }

  std::size_t used() {
    const std::lock_guard lock(mutex_);
    return used_;
  }
  std::size_t peak() {
    const std::lock_guard lock(mutex_);
    return peak_;
  }

 private:
  std::mutex mutex_;
  std::array<PooledBuffer*, kNumClasses> free_{};
  std::size_t users_ = 0;
  std::size_t used_ = 0;
  std::size_t peak_ = 0;
  bool closed_ = false;
};

void BufferPool::PooledBuffer::destroy() { core_->give_back(this); }

BufferPool::BufferPool() : core_(new Core) {}
BufferPool::~BufferPool() { core_->close(); }

BufferRef BufferPool::allocate(DType dtype, std::int64_t count) {
  if (dtype_size(dtype) == 0) return allocate_elements(dtype, count);
  const auto bytes = checked_mul(static_cast<std::size_t>(count), dtype_size(dtype));
  if (!bytes || *bytes > class_bytes(kNumClasses - 1)) {
    throw resource_exhausted("Out of memory. Details: a tensor of ", count, " elements of ", dtype,
                             " was asked for.");
  }
  const int index = size_class(*bytes);
  if (PooledBuffer* buffer = core_->take(index, *bytes)) return BufferRef::adopt(buffer);
  void* data = allocate_aligned(class_bytes(index));
  if (data == nullptr) {
    core_->take_failed(index);
    throw resource_exhausted("Out of memory. Details: ", *bytes, " bytes were asked for.");
  }
  return BufferRef::adopt(new PooledBuffer(*core_, index, data, *bytes));
}

Tensor BufferPool::tensor(DType dtype, Shape shape) {
  BufferRef buffer = allocate(dtype, shape.num_elements());
  return Tensor(dtype, std::move(shape), std::move(buffer));
}

std::size_t BufferPool::used_bytes() const { return core_->used(); }
std::size_t BufferPool::peak_bytes() const { return core_->peak(); }
void BufferPool::trim() { core_->trim(); }

}  // namespace hub
