#include "ops/elementwise.h"

#include <algorithm>
#include <bit>

#include "base/errors.h"
#include "ops/kernels/streaming.h"

namespace hub {
namespace {

template <class Narrow>
using WideType = std::conditional_t<
    std::is_same_v<Narrow, Half> || std::is_same_v<Narrow, BFloat16>, float,
    std::conditional_t<std::is_same_v<Narrow, std::uint32_t>, std::int64_t, std::int32_t>>;

using NarrowTypes =
    TypeList<Half, BFloat16, std::int8_t, std::int16_t, std::uint8_t, std::uint16_t, std::uint32_t>;

// Bools are computed with as bytes that are 0 or 1.
DType stored(DType dtype) { return dtype == DType::kBool ? DType::kUint8 : storage_dtype(dtype); }

// The conversions of Half and BFloat16 without branches, so that they are vectorised. The
// results are those of the classes.

// x < limit ? a : b, for numbers below 2^31.
std::uint32_t select_below(std::uint32_t x, std::uint32_t limit, std::uint32_t a, std::uint32_t b) {
  const auto mask = static_cast<std::uint32_t>(static_cast<std::int32_t>(x - limit) >> 31);
  return (a & mask) | (b & ~mask);
}

float to_wide(Half half) {
  const std::uint32_t magnitude = half.bits & 0x7fffu;
  const auto subnormal = static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24f;
  const std::uint32_t normal = (magnitude << 13) + (112u << 23);
  const std::uint32_t special = (magnitude << 13) + (224u << 23);  // infinity, NaN
  const std::uint32_t finite =
      select_below(magnitude, 0x400, std::bit_cast<std::uint32_t>(subnormal), normal);
  const std::uint32_t sign = (half.bits & 0x8000u) << 16;
  return std::bit_cast<float>(select_below(magnitude, 0x7c00, finite, special) | sign);
}

float to_wide(BFloat16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

template <class T>
WideType<T> to_wide(T x) {
  return x;
}

template <class T, class From>
T to_narrow(From x) {
  if constexpr (std::is_same_v<T, Half>) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t magnitude = bits & 0x7fffffff;
    const std::uint32_t odd = (magnitude >> 13) & 1;
    const std::uint32_t normal = (magnitude - 0x38000000 + 0xfff + odd) >> 13;
    // Adding 0.5 puts the unit 2^-24 in the last place of the mantissa, rounding to even.
    const std::uint32_t subnormal =
        std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000;
    const std::uint32_t finite = select_below(magnitude, 0x38800000, subnormal, normal);
    const std::uint32_t bounded = select_below(magnitude, 0x477ff000, finite, 0x7c00);
    const std::uint32_t nan = 0x7e00 | ((magnitude >> 13) & 0x1ff);
    const std::uint32_t sign = (bits >> 16) & 0x8000;
    return Half::from_bits(
        static_cast<std::uint16_t>(select_below(magnitude, 0x7f800001, bounded, nan) | sign));
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t rounded = bits + 0x7fff + ((bits >> 16) & 1);
    return BFloat16::from_bits(static_cast<std::uint16_t>(
        select_below(bits & 0x7fffffff, 0x7f800001, rounded, bits | 0x400000) >> 16));
  } else {
    return static_cast<T>(x);
  }
}

// One operand of an elementwise computation.
struct Operand {
  explicit Operand(const Tensor& tensor)
      : dtype(tensor.dtype()),
        data(static_cast<const std::byte*>(tensor.raw_data())),
        size(dtype_size(tensor.dtype())),
        bytes(tensor.size_bytes()),
        widens(wide_dtype(dtype) != stored(dtype)) {}

  DType dtype;
  const std::byte* data;
  std::size_t size;   // of an element
  std::size_t bytes;  // of all
  bool widens;
};

// The elements in their wide type, in `scratch` where they must be converted.
const void* wide_elements(const Operand& operand, const void* data, std::int64_t count,
                          Broadcast::Scratch& scratch) {
  if (!operand.widens) return data;
  widen(operand.dtype, data, count, scratch.bytes);
  return scratch.bytes;
}

// Where results of a loop go: straight to the output, or through a block that is narrowed, or
// streamed to memory.
class ResultBlocks {
 public:
  // A result of the operands' own dtype comes out of the loop in the wide type.
  ResultBlocks(Tensor& result, std::initializer_list<const Operand*> operands)
      : dtype_(result.dtype()),
        data_(static_cast<std::byte*>(result.mutable_raw_data())),
        size_(dtype_size(result.dtype())),
        narrows_((*operands.begin())->widens && result.dtype() == (*operands.begin())->dtype),
        streams_(!narrows_ && is_streamed(read_bytes(operands), result.size_bytes()) &&
                 std::ranges::none_of(operands,
                                      [this](const Operand* x) { return x->data == data_; })) {}

  bool streams() const { return streams_; }
  // How many results go through a block at most.
  std::int64_t block() const { return static_cast<std::int64_t>(kStreamedBlock / size_); }
  std::byte* place(std::int64_t i) const { return data_ + static_cast<std::size_t>(i) * size_; }
  void* begin(std::int64_t first, Broadcast::Scratch& scratch) const {
    return narrows_ || streams_ ? static_cast<void*>(scratch.bytes) : place(first);
  }
  void end(std::int64_t first, std::int64_t count, const Broadcast::Scratch& scratch) const {
    if (narrows_) narrow(dtype_, scratch.bytes, count, place(first));
    if (streams_) {
      stream_bytes(scratch.bytes, place(first), static_cast<std::size_t>(count) * size_);
    }
  }
  // After the last block of a thread.
  void finish() const {
    if (streams_) finish_streaming();
  }

 private:
  static std::size_t read_bytes(std::initializer_list<const Operand*> operands) {
    std::size_t bytes = 0;
    for (const Operand* operand : operands) bytes += operand->bytes;
    return bytes;
  }

  static constexpr std::size_t kStreamedBlock = 1024;
  static_assert(kStreamedBlock <= sizeof(Broadcast::Scratch));

  DType dtype_;
  std::byte* data_;
  std::size_t size_;
  bool narrows_;
  bool streams_;
};

Error no_loop(const KernelContext& context, DType dtype) {
  return unimplemented(context.node().op_name, ": there is no kernel for dtype ", dtype, ".");
}

// Calls body(first, count, where its results go) for all, at once where they are not streamed.
template <class Body>
void in_streamed_blocks(const ResultBlocks& blocks, std::int64_t begin, std::int64_t end,
                        const Body& body) {
  if (!blocks.streams()) return body(begin, end - begin, blocks.place(begin));
  Broadcast::Scratch out;
  for (std::int64_t n; begin < end; begin += n) {
    n = std::min(blocks.block(), end - begin);
    body(begin, n, blocks.begin(begin, out));
    blocks.end(begin, n, out);
  }
  blocks.finish();
}

void run_blocks(const Broadcast& broadcast, const Operand& x, const Operand& y,
                const ResultBlocks& result, BinaryLoop loop, std::int64_t begin, std::int64_t end) {
  Broadcast::Scratch gathered_x, gathered_y, wide_x, wide_y, out;
  for (std::int64_t n; begin < end; begin += n) {
    n = broadcast.block(begin, end);
    const auto xs = broadcast.operand(0, x.data, x.size, begin, n, gathered_x);
    const auto ys = broadcast.operand(1, y.data, y.size, begin, n, gathered_y);
    const void* a = wide_elements(x, xs.data, xs.repeated ? 1 : n, wide_x);
    const void* b = wide_elements(y, ys.data, ys.repeated ? 1 : n, wide_y);
    void* to = result.begin(begin, out);
    loop(a, b, to, n,
         xs.repeated   ? Repeated::kFirst
         : ys.repeated ? Repeated::kSecond
                       : Repeated::kNone);
    result.end(begin, n, out);
  }
  result.finish();
}

void run_loop(KernelContext& context, const Broadcast& broadcast, const Operand& x,
              const Operand& y, Tensor& result, BinaryLoop loop, double cost_ns) {
  const ResultBlocks blocks(result, {&x, &y});
  const bool whole = !x.widens && (broadcast.is_direct(0) || broadcast.is_repeated(0)) &&
                     (broadcast.is_direct(1) || broadcast.is_repeated(1));
  const Repeated repeated = broadcast.is_repeated(0)   ? Repeated::kFirst
                            : broadcast.is_repeated(1) ? Repeated::kSecond
                                                       : Repeated::kNone;
  context.parallel_for(result.num_elements(), cost_ns, [&](std::int64_t begin, std::int64_t end) {
    if (!whole) return run_blocks(broadcast, x, y, blocks, loop, begin, end);
    const auto at = [&](const Operand& operand, int i, std::int64_t element) {
      return operand.data +
             (broadcast.is_direct(i) ? static_cast<std::size_t>(element) * operand.size : 0);
    };
    in_streamed_blocks(blocks, begin, end, [&](std::int64_t first, std::int64_t n, void* to) {
      loop(at(x, 0, first), at(y, 1, first), to, n, repeated);
    });
  });
}

}  // namespace

DType wide_dtype(DType dtype) {
  switch (stored(dtype)) {
    case DType::kFloat16:
    case DType::kBfloat16: return DType::kFloat32;
    case DType::kInt8:
    case DType::kInt16:
    case DType::kUint8:
    case DType::kUint16: return DType::kInt32;
    case DType::kUint32: return DType::kInt64;
    default: return stored(dtype);
  }
}

void widen(DType dtype, const void* source, std::int64_t count, void* target) {
  dispatch(NarrowTypes{}, stored(dtype), [&]<class T>() {
    const auto* from = static_cast<const T*>(source);
    auto* to = static_cast<WideType<T>*>(target);
    for_lanes(count, [=](std::int64_t i) { to[i] = to_wide(from[i]); });
  });
}

void narrow(DType dtype, const void* source, std::int64_t count, void* target) {
  dispatch(NarrowTypes{}, stored(dtype), [&]<class T>() {
    const auto* from = static_cast<const WideType<T>*>(source);
    auto* to = static_cast<T*>(target);
    for_lanes(count, [=](std::int64_t i) { to[i] = to_narrow<T>(from[i]); });
  });
}

void run_unary(KernelContext& context, const Loops<UnaryLoop>& loops, double cost_ns) {
  const Tensor& x = context.input(0);
  if (loops.find(x.dtype()) == nullptr) throw no_loop(context, x.dtype());
  run_unary(context, x, context.output_in_place(0, 0, x.shape()), loops, cost_ns);
}

void run_unary(KernelContext& context, const Tensor& x, Tensor& result,
               const Loops<UnaryLoop>& loops, double cost_ns) {
  const UnaryLoop loop = loops.find(x.dtype());
  if (loop == nullptr) throw no_loop(context, x.dtype());
  const Operand operand(x);
  const ResultBlocks blocks(result, {&operand});
  context.parallel_for(x.num_elements(), cost_ns, [&](std::int64_t begin, std::int64_t end) {
    const auto at = [&](std::int64_t i) {
      return operand.data + static_cast<std::size_t>(i) * operand.size;
    };
    if (blocks.streams() && x.dtype() == kFloat && loops.f32_streaming != nullptr) {
      loops.f32_streaming(at(begin), blocks.place(begin), end - begin);
      return blocks.finish();
    }
    if (!operand.widens) {
      return in_streamed_blocks(
          blocks, begin, end,
          [&](std::int64_t first, std::int64_t n, void* to) { loop(at(first), to, n); });
    }
    Broadcast::Scratch wide, out;
    for (std::int64_t n; begin < end; begin += n) {
      n = std::min(Broadcast::kBlock, end - begin);
      loop(wide_elements(operand, at(begin), n, wide), blocks.begin(begin, out), n);
      blocks.end(begin, n, out);
    }
  });
}

void run_binary(KernelContext& context, const Loops<BinaryLoop>& loops, double cost_ns) {
  const Tensor& x = context.input(0);
  const Tensor& y = context.input(1);
  const Broadcast broadcast(context.node().op_name, {&x.shape(), &y.shape()});
  if (loops.find(x.dtype()) == nullptr) throw no_loop(context, x.dtype());
  run_binary(context, broadcast, x, y, binary_output(context, broadcast), loops, cost_ns);
}

void run_binary(KernelContext& context, const Broadcast& broadcast, const Tensor& x,
                const Tensor& y, Tensor& result, const Loops<BinaryLoop>& loops, double cost_ns) {
  const BinaryLoop loop = loops.find(x.dtype());
  if (loop == nullptr) throw no_loop(context, x.dtype());
  run_loop(context, broadcast, Operand(x), Operand(y), result, loop, cost_ns);
}

void run_native(KernelContext& context, BinaryLoop loop, double cost_ns) {
  const Tensor& x = context.input(0);
  const Tensor& y = context.input(1);
  const Broadcast broadcast(context.node().op_name, {&x.shape(), &y.shape()});
  Operand a(x), b(y);
  a.widens = b.widens = false;
  run_loop(context, broadcast, a, b, binary_output(context, broadcast), loop, cost_ns);
}

void run_same_size(KernelContext& context, const Loops<BinaryLoop>& loops, double cost_ns) {
  const Tensor& x = context.input(0);
  const Tensor y = context.input(1);
  if (x.num_elements() != y.num_elements()) {
    throw invalid_argument(context.node().op_name,
                           ": the inputs must have as many elements. Details: ", x.shape(), " and ",
                           y.shape(), ".");
  }
  const Broadcast broadcast(context.node().op_name, {&x.shape(), &x.shape()});
  Tensor& result = context.output_in_place(0, 0, x.shape());
  run_binary(context, broadcast, x, y.reshaped(x.shape()), result, loops, cost_ns);
}

}  // namespace hub
