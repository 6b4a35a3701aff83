#include "ops/broadcast.h"

#include <algorithm>
#include <complex>
#include <cstring>

#include "base/errors.h"
#include "ops/kernel.h"

namespace hub {
namespace {

// Rows at least this long are worth a block of their own; shorter ones are gathered.
constexpr std::int64_t kLongRow = 128;
constexpr std::int64_t kShortRow = 16;

// The operand's size along the result's axis, counted from the innermost.
std::int64_t dim_from_back(const Shape& shape, int back) {
  return back < shape.rank() ? shape.dim(shape.rank() - 1 - back) : 1;
}

}  // namespace

Broadcast::Broadcast(std::string_view op, std::initializer_list<const Shape*> operands) {
  HUB_ASSERT(operands.size() >= 1 && operands.size() <= kMaxOperands);
  const std::span<const Shape* const> shapes(operands.begin(), operands.size());
  find_shape(op, shapes);
  bool any_gathered = false;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const std::int64_t count = shapes[i]->num_elements();
    kinds_[i] = count == shape_.num_elements() ? Kind::kDirect
                : count == 1                   ? Kind::kRepeated
                                               : Kind::kGathered;
    any_gathered |= kinds_[i] == Kind::kGathered;
  }
  if (any_gathered && shape_.num_elements() > 0) find_dims(shapes);
}

void Broadcast::find_shape(std::string_view op, std::span<const Shape* const> operands) {
  shape_ = *operands.front();
  for (const Shape* other : operands.subspan(1)) {
    if (*other == shape_ || other->rank() == 0) continue;
    const int rank = std::max(shape_.rank(), other->rank());
    std::vector<std::int64_t> dims(static_cast<std::size_t>(rank));
    for (int back = 0; back < rank; ++back) {
      const std::int64_t a = dim_from_back(shape_, back);
      const std::int64_t b = dim_from_back(*other, back);
      if (a != b && a != 1 && b != 1) {
        throw invalid_argument(op, ": the shapes must fit each other for broadcasting. Details: ",
                               shape_, " and ", *other, ".");
      }
      dims[static_cast<std::size_t>(rank - 1 - back)] = a == 1 ? b : a;
    }
    shape_ = Shape(dims);
  }
}

void Broadcast::find_dims(std::span<const Shape* const> operands) {
  std::array<std::int64_t, kMaxOperands> next_stride;
  next_stride.fill(1);
  for (int back = 0; back < shape_.rank(); ++back) {
    Dim dim{.size = dim_from_back(shape_, back), .strides = {}};
    if (dim.size == 1) continue;
    bool joins = !dims_.empty();
    for (std::size_t i = 0; i < operands.size(); ++i) {
      if (dim_from_back(*operands[i], back) != 1) {
        dim.strides[i] = next_stride[i];
        next_stride[i] *= dim.size;
      }
      joins = joins && (dims_.back().strides[i] == 0) == (dim.strides[i] == 0);
    }
    if (joins) {
      dims_.back().size *= dim.size;
    } else {
      dims_.push_back(dim);
    }
  }
}

std::int64_t Broadcast::block(std::int64_t begin, std::int64_t end) const {
  std::int64_t limit = kBlock;
  if (!dims_.empty() && dims_.front().size >= kLongRow) {
    const std::int64_t row = dims_.front().size;
    limit = std::min(limit, row - begin % row);
  }
  return std::min(limit, end - begin);
}

Broadcast::Run Broadcast::operand(int operand, const void* data, std::size_t element_size,
                                  std::int64_t begin, std::int64_t count, Scratch& scratch) const {
  const std::size_t i = index(operand);
  const auto* bytes = static_cast<const std::byte*>(data);
  if (kinds_[i] == Kind::kRepeated) return {data, true};
  if (kinds_[i] == Kind::kDirect) {
    return {bytes + static_cast<std::size_t>(begin) * element_size, false};
  }
  const Dim& inner = dims_.front();
  if (begin % inner.size + count <= inner.size) {  // within one row
    const auto first = static_cast<std::size_t>(source(operand, begin));
    return {bytes + first * element_size, inner.strides[i] == 0};
  }
  switch (element_size) {
    case 1: gather<std::uint8_t>(i, data, begin, count, scratch.bytes); break;
    case 2: gather<std::uint16_t>(i, data, begin, count, scratch.bytes); break;
    case 4: gather<std::uint32_t>(i, data, begin, count, scratch.bytes); break;
    case 8: gather<std::uint64_t>(i, data, begin, count, scratch.bytes); break;
    case 16: gather<std::array<std::uint64_t, 2>>(i, data, begin, count, scratch.bytes); break;
    default: HUB_ASSERT(false);
  }
  return {scratch.bytes, false};
}

std::int64_t Broadcast::source(int operand, std::int64_t result) const {
  const std::size_t i = index(operand);
  if (kinds_[i] == Kind::kRepeated) return 0;
  if (kinds_[i] == Kind::kDirect) return result;
  std::int64_t offset = 0;
  for (const Dim& dim : dims_) {
    offset += result % dim.size * dim.strides[i];
    result /= dim.size;
  }
  return offset;
}

// An operand that is the same in every row: its row over and over, from `column` on.
template <class T>
void Broadcast::repeat_row(const void* data, std::int64_t column, std::int64_t count,
                           void* out) const {
  const std::int64_t size = dims_.front().size;
  const auto* row = static_cast<const T*>(data);
  auto* to = static_cast<T*>(out);
  std::int64_t done = std::min(count, size);
  for (std::int64_t i = 0; i < done; ++i) to[i] = row[(column + i) % size];
  while (done < count) {  // what is there, copied behind itself
    const std::int64_t n = std::min(done, count - done);
    std::copy_n(to, n, to + done);
    done += n;
  }
}

// Row by row, counting the outer dimensions like an odometer.
template <class T>
void Broadcast::gather(std::size_t operand, const void* data, std::int64_t begin,
                       std::int64_t count, void* out) const {
  if (dims_.size() == 2 && dims_[1].strides[operand] == 0) {
    return repeat_row<T>(data, begin % dims_.front().size, count, out);
  }
  std::array<std::int64_t, Shape::kMaxRank> position;
  std::int64_t rest = begin;
  std::int64_t offset = 0;  // of the present row's first element
  for (std::size_t d = 0; d < dims_.size(); ++d) {
    position[d] = rest % dims_[d].size;
    rest /= dims_[d].size;
    if (d > 0) offset += position[d] * dims_[d].strides[operand];
  }
  const Dim& inner = dims_.front();
  const auto* from = static_cast<const T*>(data);
  auto* to = static_cast<T*>(out);
  std::int64_t column = position[0];
  while (count > 0) {
    const std::int64_t n = std::min(count, inner.size - column);
    const T* row = from + offset;
    if (inner.strides[operand] == 0) {
      for (std::int64_t i = 0; i < n; ++i) to[i] = *row;
    } else if (n < kShortRow) {  // a call of memmove would cost more
      for (std::int64_t i = 0; i < n; ++i) to[i] = row[column + i];
    } else {
      std::copy_n(row + column, n, to);
    }
    to += n;
    count -= n;
    column = 0;
    for (std::size_t d = 1; d < dims_.size(); ++d) {
      offset += dims_[d].strides[operand];
      if (++position[d] < dims_[d].size) break;
      offset -= dims_[d].size * dims_[d].strides[operand];
      position[d] = 0;
    }
  }
}

Tensor& binary_output(KernelContext& context, const Broadcast& broadcast) {
  const int from = broadcast.is_direct(0) || !broadcast.is_direct(1) ? 0 : 1;
  return context.output_in_place(from, 0, broadcast.shape());
}

}  // namespace hub
