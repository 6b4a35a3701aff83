#pragma once

// Memory that is handed out again: after the first run of a plan, repeated runs find all
// they need here and allocate nothing.

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>

#include "hub/tensor.h"

namespace hub {

// Thread-safe. Buffers may outlive the BufferPool object; the memory behind is freed with the last
// of them.
class BufferPool {
 public:
  BufferPool();
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // Uninitialised memory for `count` elements (objects are constructed, and not pooled).
  // Errors: RESOURCE_EXHAUSTED.
  BufferRef allocate(DType dtype, std::int64_t count);
  Tensor tensor(DType dtype, Shape shape);

  // Bytes handed out at this moment, and the most there ever were.
  std::size_t used_bytes() const;
  std::size_t peak_bytes() const;
  // Gives back to the system what nobody uses.
  void trim();

 private:
  class Core;
  class PooledBuffer;
  Core* core_;
};

}  // namespace hub
