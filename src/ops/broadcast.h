#pragma once

// Broadcasting as in NumPy. Results are computed in blocks: for a block, `operand` gives each
// operand's elements as one contiguous run, or as a single value that stands for all. So a
// kernel needs only loops over contiguous memory:
//
//   const Broadcast broadcast("Atan2", {&y.shape(), &x.shape()});
//   Tensor& result = binary_output(c, broadcast);
//   c.parallel_for(result.num_elements(), 10, [&](std::int64_t begin, std::int64_t end) {
//     Broadcast::Scratch a, b;
//     for (std::int64_t n; begin < end; begin += n) {
//       n = broadcast.block(begin, end);
//       const auto ys = broadcast.operand(0, y.raw_data(), sizeof(float), begin, n, a);
//       const auto xs = broadcast.operand(1, x.raw_data(), sizeof(float), begin, n, b);
//       ...
//     }
//   });

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "hub/tensor.h"

namespace hub {

class KernelContext;

// How up to three operands fit each other. Immutable: any thread may use it.
class Broadcast {
 public:
  static constexpr int kMaxOperands = 3;
  // The most results of one block, and the largest element in bytes.
  static constexpr std::int64_t kBlock = 1024;
  static constexpr std::size_t kMaxElement = 16;
  struct Scratch {
    alignas(64) std::byte bytes[kBlock * kMaxElement];
  };

  // Errors: INVALID_ARGUMENT, naming the op, where the shapes do not fit each other.
  Broadcast(std::string_view op, std::initializer_list<const Shape*> operands);

  // The shape of the result.
  const Shape& shape() const { return shape_; }
  // True where the operand has as many elements as the result: its element i is for result i.
  bool is_direct(int operand) const { return kinds_[index(operand)] == Kind::kDirect; }
  // True where the operand has a single element.
  bool is_repeated(int operand) const { return kinds_[index(operand)] == Kind::kRepeated; }

  // How many results from `begin` on to compute at once: 1..min(kBlock, end - begin).
  std::int64_t block(std::int64_t begin, std::int64_t end) const;

  struct Run {
    const void* data;
    bool repeated;  // one value stands for all
  };
  // The operand's elements for results [begin, begin + count). `data` are all its elements,
  // plain ones of `element_size` bytes. Copies to `scratch` where they are not contiguous.
  Run operand(int operand, const void* data, std::size_t element_size, std::int64_t begin,
              std::int64_t count, Scratch& scratch) const;

  // The operand's element for one result: slower, for elements that are objects.
  std::int64_t source(int operand, std::int64_t result) const;

 private:
  enum class Kind : std::uint8_t { kDirect, kRepeated, kGathered };
  // Neighbouring dimensions that all operands treat alike are one. Strides are in elements,
  // 0 where the operand is repeated along the dimension.
  struct Dim {
    std::int64_t size;
    std::array<std::int64_t, kMaxOperands> strides;
  };
  static std::size_t index(int operand) { return static_cast<std::size_t>(operand); }
  void find_shape(std::string_view op, std::span<const Shape* const> operands);
  void find_dims(std::span<const Shape* const> operands);
  template <class T>
  void repeat_row(const void* data, std::int64_t column, std::int64_t count, void* out) const;
  template <class T>
  void gather(std::size_t operand, const void* data, std::int64_t begin, std::int64_t count,
              void* out) const;

  Shape shape_;
  std::array<Kind, kMaxOperands> kinds_{};
  std::vector<Dim> dims_;  // innermost first; empty where nothing is gathered
};

// Output 0 of the result's shape, in the memory of input 0 or 1 where possible.
Tensor& binary_output(KernelContext& context, const Broadcast& broadcast);

}  // namespace hub
