// Cast: from every number to every number. Floats truncate towards zero, integers wrap
// around, complex numbers lose their imaginary part.

#include <bit>
#include <cmath>

#include "graph/shape_rules.h"
#include "ops/elementwise.h"

namespace hub {
namespace {

// What narrow types are converted through: loops exist between these only.
using CastTypes = Join<WideNumbers, TypeList<bool>>;

DType cast_dtype(DType dtype) { return dtype == DType::kBool ? dtype : wide_dtype(dtype); }

// The dtype whose elements the cast produces before they are narrowed. A float becomes an
// unsigned number through int64, as on x86: negative ones wrap around.
template <class To, class From>
To convert(From x) {
  if constexpr (kIsComplex<From>) {
    if constexpr (kIsComplex<To>) {
      return To(static_cast<typename To::value_type>(x.real()),
                static_cast<typename To::value_type>(x.imag()));
    } else {
      return convert<To>(x.real());
    }
  } else if constexpr (kIsComplex<To>) {
    return To(static_cast<typename To::value_type>(x), 0);
  } else if constexpr (std::is_same_v<To, bool>) {
    return x != From{0};
  } else if constexpr (std::is_same_v<To, std::uint64_t> && std::is_floating_point_v<From>) {
    constexpr From kTwoTo63 = 9223372036854775808.0;
    return x < kTwoTo63 ? static_cast<std::uint64_t>(static_cast<std::int64_t>(x))
                        : static_cast<std::uint64_t>(static_cast<std::int64_t>(x - kTwoTo63)) ^
                              (std::uint64_t{1} << 63);
  } else {
    return static_cast<To>(x);
  }
}

template <class To, class From>
void cast_loop(const void* x, void* result, std::int64_t count) {
  const auto* from = static_cast<const From*>(x);
  auto* to = static_cast<To*>(result);
  for_lanes(count, [=](std::int64_t i) { to[i] = convert<To>(from[i]); });
}

UnaryLoop find_cast_loop(DType from, DType to) {
  UnaryLoop loop = nullptr;
  dispatch(CastTypes{}, from, [&]<class From>() {
    dispatch(CastTypes{}, to, [&]<class To>() { loop = cast_loop<To, From>; });
  });
  return loop;
}

// How many low bits of the mantissa are cut where Truncate is set. float64 to bfloat16 rounds
// all the same.
int bits_to_cut(DType from, DType to) {
  if (from == DType::kFloat32 && to == DType::kFloat16) return 13;
  if (from == DType::kFloat32 && to == DType::kBfloat16) return 16;
  if (from == DType::kFloat64 && to == DType::kFloat16) return 42;
  if (from == DType::kFloat64 && to == DType::kFloat32) return 29;
  return 0;
}

template <class Word, class T>
void cut_mantissas(const void* x, void* result, std::int64_t count, int bits) {
  const auto* from = static_cast<const T*>(x);
  auto* to = static_cast<T*>(result);
  const Word mask = ~Word{0} << bits;
  for (std::int64_t i = 0; i < count; ++i) {
    const T cut = std::bit_cast<T>(std::bit_cast<Word>(from[i]) & mask);
    to[i] = from[i] == from[i] ? cut : from[i];
  }
}

class CastKernel final : public Kernel {
 public:
  explicit CastKernel(const KernelInit& init)
      : from_(storage_dtype(init.attr<DType>("SrcT"))),
        to_(storage_dtype(init.attr<DType>("DstT"))),
        cut_(init.attr<bool>("Truncate") ? bits_to_cut(from_, to_) : 0) {
    if (from_ != to_ && dtype_size(from_) != 0 && dtype_size(to_) != 0) {
      loop_ = find_cast_loop(cast_dtype(from_), cast_dtype(to_));
    }
  }

  void compute(KernelContext& c) const override {
    const Tensor& x = c.input(0);
    if (from_ == to_) {
      return c.set_output(0, dtype_size(to_) == 0 ? x : x.bit_cast(c.output_dtype(0)));
    }
    if (loop_ == nullptr) {
      throw unimplemented("Cast: only numbers can be converted. Details: from ", from_, " to ", to_,
                          ".");
    }
    const auto* from = static_cast<const std::byte*>(x.raw_data());
    Tensor& y = c.output_in_place(0, 0, x.shape());
    auto* to = static_cast<std::byte*>(y.mutable_raw_data());
    c.parallel_for(x.num_elements(), 0.6, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t n; begin < end; begin += n) {
        n = std::min(Broadcast::kBlock, end - begin);
        cast_block(from + place(begin, from_), to + place(begin, to_), n);
      }
    });
  }

 private:
  static std::size_t place(std::int64_t i, DType dtype) {
    return static_cast<std::size_t>(i) * dtype_size(dtype);
  }

  void cast_block(const void* from, void* to, std::int64_t count) const {
    Broadcast::Scratch wide, result;
    if (cast_dtype(from_) != from_) {
      widen(from_, from, count, wide.bytes);
      from = wide.bytes;
    } else if (cut_ > 0) {
      from_ == DType::kFloat32
          ? cut_mantissas<std::uint32_t, float>(from, wide.bytes, count, cut_)
          : cut_mantissas<std::uint64_t, double>(from, wide.bytes, count, cut_);
      from = wide.bytes;
    }
    const bool narrows = cast_dtype(to_) != to_;
    loop_(from, narrows ? result.bytes : to, count);
    if (narrows) narrow(to_, result.bytes, count, to);
  }

  DType from_, to_;
  int cut_;
  UnaryLoop loop_ = nullptr;
};

Shapes cast_shape(ShapeContext& c) {
  const DType to = c.output_dtype(0);
  if (to == DType::kInt32 || to == DType::kInt64) {
    if (auto elements = c.input_partial_value(0)) {
      c.set_output_partial_value(0, std::move(*elements));
    }
  }
  return unchanged_shape(c);
}

constexpr OpDef kOps[] = {
    {.name = "Cast",
     .inputs = "x: SrcT",
     .outputs = "y: DstT",
     .attrs = "SrcT: type; DstT: type; Truncate: bool = false",
     .shape = cast_shape,
     .kernel = make_kernel<CastKernel>},
};

}  // namespace

OpFamily math_cast_ops() { return kOps; }

}  // namespace hub
