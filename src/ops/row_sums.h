#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include "ops/kernel.h"

namespace hub {

// The sums of blocks of floats are added in double.
template <class W>
using SumOf = std::conditional_t<std::is_same_v<W, float>, double, W>;

// Sums over rows that do not depend on the number of threads: rows are added in blocks whose
// size follows from the shape of a row alone, then the blocks' sums in order.
// `add(begin, end, sums)` adds what rows [begin, end) contribute to `columns` sums of type W,
// which start from zero. A row costs as much as adding `row_elements` numbers.
template <class W, class Add>
std::vector<SumOf<W>> row_sums(KernelContext& c, std::int64_t rows, std::int64_t columns,
                               std::int64_t row_elements, Add&& add) {
  constexpr std::int64_t kBlockElements = 16384;
  constexpr std::int64_t kGroup =
      64;  // blocks at a time, so that memory does not grow with the rows
  const auto width = static_cast<std::size_t>(columns);
  std::vector<SumOf<W>> result(width);
  if (rows == 0 || columns == 0) return result;
  row_elements = std::max<std::int64_t>(row_elements, 1);
  const std::int64_t block = std::clamp<std::int64_t>(kBlockElements / row_elements, 1, rows);
  const std::int64_t blocks = (rows + block - 1) / block;
  std::vector<W> partial(width * static_cast<std::size_t>(std::min(blocks, kGroup)));
  const double block_ns = 0.5 * static_cast<double>(block) * static_cast<double>(row_elements);
  for (std::int64_t first = 0; first < blocks; first += kGroup) {
    const std::int64_t count = std::min(kGroup, blocks - first);
    std::fill(partial.begin(), partial.end(), W{});
    c.parallel_for(count, block_ns, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t row = (first + i) * block;
        add(row, std::min(row + block, rows), partial.data() + static_cast<std::size_t>(i) * width);
      }
    });
    for (std::int64_t i = 0; i < count; ++i) {
      const W* sums = partial.data() + static_cast<std::size_t>(i) * width;
      for (std::size_t j = 0; j < width; ++j)
        result[j] = static_cast<SumOf<W>>(result[j] + sums[j]);
    }
  }
  return result;
}

}  // namespace hub
