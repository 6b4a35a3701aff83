#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "hub/tensor.h"

namespace hub {

// Every allocated buffer starts at a multiple of this, for vector loads.
inline constexpr std::size_t kBufferAlignment = 64;

// Uninitialised memory. Errors: RESOURCE_EXHAUSTED.
BufferRef allocate_buffer(std::size_t size_bytes);
// Memory for `count` elements; strings, resources and variants are constructed.
BufferRef allocate_elements(DType dtype, std::int64_t count);
// Read-only memory of somebody else (a mapped file), kept alive by `owner`.
BufferRef borrow_buffer(const void* data, std::size_t size_bytes,
                        std::shared_ptr<const void> owner);
// The memory of a string, without copying it.
BufferRef adopt_bytes(std::string bytes);

}  // namespace hub
