#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "hub/tensor.h"

namespace hub {

// Every allocated buffer starts at a multiple of this, for vector loads.
inline constexpr std::size_t kBufferAlignment = 64;

// As std::aligned_alloc with kBufferAlignment, of which `size_bytes` is a multiple; to be freed
// with std::free. Large memory is asked for in large pages: fewer faults when it is first written,
// and the processor reads ahead further.
void* allocate_aligned(std::size_t size_bytes);
// Uninitialised memory. Errors: RESOURCE_EXHAUSTED.
BufferRef allocate_buffer(std::size_t size_bytes);
// Memory for `count` elements; strings, resources and variants are constructed.
BufferRef allocate_elements(DType dtype, std::int64_t count);
// Read-only memory of somebody else (a mapped file), kept alive by `owner`.
enum class Pages : std::uint8_t { kOfMemory, kOfFile };
BufferRef borrow_buffer(const void* data, std::size_t size_bytes, std::shared_ptr<const void> owner,
                        Pages pages = Pages::kOfMemory);
// Where the tensor lies in a mapped file, its pages leave the process's memory, until they are read
// again: for what is kept in another form. Any thread may read it meanwhile.
void release_pages(const Tensor& tensor);
// The memory of a string, without copying it.
BufferRef adopt_bytes(std::string bytes);

}  // namespace hub
