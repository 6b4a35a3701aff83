#pragma once

// Transposes of 4-byte elements in tiles of 16 x 16, which fill whole cache lines on both sides.

#include <cstdint>

namespace hub {

inline constexpr std::int64_t kTransposeTile = 16;

// to[c * to_stride + r] = from[r * from_stride + c]; `rows` and `columns` are multiples of
// kTransposeTile. Where `streams` is set, `to` and its rows start cache lines, and are written past
// the caches: call finish_streaming() at the end.
using TransposeTiles = void (*)(const std::uint32_t* from, std::int64_t from_stride,
                                std::uint32_t* to, std::int64_t to_stride, std::int64_t rows,
                                std::int64_t columns, bool streams);

// Null where this CPU has nothing faster than the plain loop.
TransposeTiles fastest_transpose_tiles();

}  // namespace hub
