#pragma once

// What the fuzz targets of file formats share. The contract: a hub::Error is fine, anything
// else (another exception, a crash, memory that the bytes do not justify) is a bug.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "format/graph_def.h"
#include "hub/error.h"

namespace hub::fuzzing {

// Small, so that memory which the bytes do not justify is noticed.
inline constexpr ParseLimits kLimits = {.max_splat_bytes = 1 << 20};

inline std::string_view as_text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

inline void check(bool condition) {
  if (!condition) std::abort();
}

template <class Body>
int expect_error_or_success(Body body) {
  try {
    body();
  } catch (const Error& error) {
    check(error.code() != ErrorCode::kInternal && !error.message().empty());
  }
  return 0;
}

}  // namespace hub::fuzzing
