#pragma once

// The inner loops of reductions, as a table of functions that reduce_driver.h steers. The
// order in which elements meet depends on the length of a row only.

#include <array>
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <type_traits>

#include "hub/tensor.h"
#include "ops/kernels/vector.h"
#include "ops/reduce_driver.h"

namespace hub::reduction {

// A reduction R says: In, Acc, Out; identity(); load(In) -> Acc; join(Acc, Acc) -> Acc;
// finish(Acc, count) -> Out. Where In is Acc, load and join take vectors too.
template <class R>
inline constexpr bool kUsesVectors = std::is_same_v<typename R::In, typename R::Acc>&&
    std::is_arithmetic_v<typename R::In>&& R::kVectors;

template <class R>
typename R::Acc reduce_vectors(const typename R::In* x, std::int64_t n) {
  using T = typename R::In;
  using V = Vector<T>;
  constexpr std::int64_t kStep = 4 * V::kLanes;
  typename V::type a = V::load(x);
  a = R::load(a);
  typename V::type b = R::load(V::load(x + V::kLanes));
  typename V::type c = R::load(V::load(x + 2 * V::kLanes));
  typename V::type d = R::load(V::load(x + 3 * V::kLanes));
  for (std::int64_t i = kStep; i < n; i += kStep) {
    a = R::join(a, R::load(V::load(x + i)));
    b = R::join(b, R::load(V::load(x + i + V::kLanes)));
    c = R::join(c, R::load(V::load(x + i + 2 * V::kLanes)));
    d = R::join(d, R::load(V::load(x + i + 3 * V::kLanes)));
  }
  a = R::join(R::join(a, b), R::join(c, d));
  return join_lanes<T>(a, [](const auto& p, const auto& q) { return R::join(p, q); });
}

// Largest and smallest floats: `R::quick` is one instruction, which loses NaNs. They are looked for
// beside it, and where there is one the row is joined again with care.
template <class R>
inline constexpr bool kHasQuick = false;

template <class R>
typename R::Acc reduce_quickly(const typename R::In* x, std::int64_t n) {
  using T = typename R::In;
  using V = Vector<T>;
  using Type = typename V::type;
  constexpr std::int64_t kStep = 4 * V::kLanes;
  Type a = V::load(x);
  Type b = V::load(x + V::kLanes);
  Type c = V::load(x + 2 * V::kLanes);
  Type d = V::load(x + 3 * V::kLanes);
  auto nan = (a != a) | (b != b) | (c != c) | (d != d);
  for (std::int64_t i = kStep; i < n; i += kStep) {
    const Type e = V::load(x + i);
    const Type f = V::load(x + i + V::kLanes);
    const Type g = V::load(x + i + 2 * V::kLanes);
    const Type h = V::load(x + i + 3 * V::kLanes);
    nan |= (e != e) | (f != f) | (g != g) | (h != h);
    a = R::quick(a, e);
    b = R::quick(b, f);
    c = R::quick(c, g);
    d = R::quick(d, h);
  }
  a = R::quick(R::quick(a, b), R::quick(c, d));
  std::array<std::uint64_t, 4> found;
  static_assert(sizeof found == sizeof nan);
  std::memcpy(found.data(), &nan, sizeof found);
  if ((found[0] | found[1] | found[2] | found[3]) != 0) {
    return std::accumulate(x, x + n, R::identity(), [](T p, T q) { return R::join(p, q); });
  }
  return join_lanes<T>(a, [](const auto& p, const auto& q) { return R::quick(p, q); });
}

template <class R>
typename R::Acc reduce_row(const typename R::In* x, std::int64_t n) {
  using Acc = typename R::Acc;
  Acc acc = R::identity();
  std::int64_t i = 0;
  if constexpr (kUsesVectors<R>) {
    constexpr std::int64_t kStep = 4 * Vector<Acc>::kLanes;
    if (n >= kStep) {
      i = n / kStep * kStep;
      if constexpr (kHasQuick<R>) {
        acc = reduce_quickly<R>(x, i);
      } else {
        acc = reduce_vectors<R>(x, i);
      }
    }
  } else if (n >= 8) {
    Acc lanes[4] = {acc, acc, acc, acc};
    for (; i + 4 <= n; i += 4) {
      for (int lane = 0; lane < 4; ++lane) lanes[lane] = R::join(lanes[lane], R::load(x[i + lane]));
    }
    acc = R::join(R::join(lanes[0], lanes[1]), R::join(lanes[2], lanes[3]));
  }
  for (; i < n; ++i) acc = R::join(acc, R::load(x[i]));
  return acc;
}

template <class R>
void reduce_rows(const void* x, std::int64_t count, std::int64_t n, void* acc) {
  const auto* in = static_cast<const typename R::In*>(x);
  auto* out = static_cast<typename R::Acc*>(acc);
  for (std::int64_t i = 0; i < count; ++i) out[i] = reduce_row<R>(in + i * n, n);
}

// acc[j] joins x[row][j], row after row; kRows rows at a time, so that `acc` is loaded and
// stored less often. With kAsks, asks for the rows that follow: the processor does not see far
// enough ahead where these rows fill a page.
template <class R, int kRows, bool kAsks>
void join_rows(const typename R::In* x, std::int64_t stride, std::int64_t width,
               typename R::Acc* acc) {
  using Acc = typename R::Acc;
  std::int64_t j = 0;
  if constexpr (kUsesVectors<R>) {
    using V = Vector<Acc>;
    for (; j + 2 * V::kLanes <= width; j += 2 * V::kLanes) {
      typename V::type a = V::load(acc + j);
      typename V::type b = V::load(acc + j + V::kLanes);
#pragma GCC unroll 8
      for (int row = 0; row < kRows; ++row) {
        const Acc* from = x + row * stride + j;
        if constexpr (kAsks) __builtin_prefetch(from + kRows * stride);
        a = R::join(a, R::load(V::load(from)));
        b = R::join(b, R::load(V::load(from + V::kLanes)));
      }
      V::store(acc + j, a);
      V::store(acc + j + V::kLanes, b);
    }
  }
  for (; j < width; ++j) {
    Acc a = acc[j];
    for (int row = 0; row < kRows; ++row) a = R::join(a, R::load(x[row * stride + j]));
    acc[j] = a;
  }
}

template <class R>
void reduce_columns(const void* x, std::int64_t rows, std::int64_t stride, std::int64_t width,
                    void* acc) {
  constexpr int kRows = 8;
  const auto* in = static_cast<const typename R::In*>(x);
  auto* out = static_cast<typename R::Acc*>(acc);
  std::int64_t row = 0;
  constexpr std::int64_t kPage = 4096;
  const bool asks = kRows * stride * static_cast<std::int64_t>(sizeof *in) > kPage;
  const auto join = asks ? join_rows<R, kRows, true> : join_rows<R, kRows, false>;
  for (; row + kRows <= rows; row += kRows) join(in + row * stride, stride, width, out);
  for (; row < rows; ++row) join_rows<R, 1, false>(in + row * stride, stride, width, out);
}

template <class R>
void fill_identity(void* acc, std::int64_t n) {
  auto* out = static_cast<typename R::Acc*>(acc);
  for (std::int64_t i = 0; i < n; ++i) out[i] = R::identity();
}

template <class R>
void combine(void* acc, const void* other, std::int64_t n) {
  auto* out = static_cast<typename R::Acc*>(acc);
  const auto* in = static_cast<const typename R::Acc*>(other);
  for (std::int64_t i = 0; i < n; ++i) out[i] = R::join(out[i], in[i]);
}

template <class R>
void finish(const void* acc, std::int64_t n, std::int64_t count, void* out) {
  const auto* in = static_cast<const typename R::Acc*>(acc);
  auto* to = static_cast<typename R::Out*>(out);
  for (std::int64_t i = 0; i < n; ++i) to[i] = R::finish(in[i], count);
}

template <class R>
inline constexpr ReduceLoops kLoops = {
    .input_size = sizeof(typename R::In),
    .acc_size = sizeof(typename R::Acc),
    .output_size = sizeof(typename R::Out),
    .fill = fill_identity<R>,
    .rows = reduce_rows<R>,
    .columns = reduce_columns<R>,
    .combine = combine<R>,
    .finish = finish<R>,
};

// What sums of T are computed in: integers wrap, so unsigned; half and bfloat16 in float.
template <class T>
struct Wide {
  using type = T;
};
template <std::integral T>
struct Wide<T> {
  using type = std::make_unsigned_t<T>;
};
template <>
struct Wide<Half> {
  using type = float;
};
template <>
struct Wide<BFloat16> {
  using type = float;
};

template <class T>
inline constexpr bool kIsComplex = false;
template <class T>
inline constexpr bool kIsComplex<std::complex<T>> = true;

// Sum, for T unsigned where it is an integer.
template <class T>
struct Sum {
  static constexpr bool kVectors = true;
  using In = T;
  using Acc = typename Wide<T>::type;
  using Out = T;
  static Acc identity() { return Acc(0); }
  template <class V>
  static V load(V x) {
    return x;
  }
  static Acc load(In x) requires(!std::is_same_v<In, Acc>) { return static_cast<Acc>(x); }
  template <class V>
  static V join(V a, V b) {
    return a + b;
  }
  static Out finish(Acc sum, std::int64_t) { return static_cast<Out>(sum); }
};

template <class T>
struct Prod : Sum<T> {
  using Acc = typename Sum<T>::Acc;
  static Acc identity() { return Acc(1); }
  template <class V>
  static V join(V a, V b) {
    // Small unsigned integers are promoted to int, whose product could overflow.
    if constexpr (std::is_same_v<V, std::uint16_t>) {
      return static_cast<V>(std::uint32_t{a} * b);
    } else {
      return a * b;
    }
  }
};

// Integers are summed in 64 bits; the quotient is cut.
template <class T>
struct Mean {
  static constexpr bool kVectors = true;
  using In = T;
  using Acc = std::conditional_t<std::is_integral_v<T>, std::uint64_t, typename Wide<T>::type>;
  using Out = T;
  static Acc identity() { return Acc(0); }
  template <class V>
  static V load(V x) {
    return x;
  }
  static Acc load(In x) requires(!std::is_same_v<In, Acc>) { return static_cast<Acc>(x); }
  template <class V>
  static V join(V a, V b) {
    return a + b;
  }
  static Out finish(Acc sum, std::int64_t count) {
    if constexpr (std::is_integral_v<T> || kIsComplex<T>) {
      if (count == 0) return T{0};  // of real numbers: NaN
    }
    if constexpr (std::is_integral_v<T>) {
      using Whole = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
      return static_cast<T>(static_cast<Whole>(sum) / static_cast<Whole>(count));
    } else {
      return static_cast<Out>(sum / static_cast<Acc>(static_cast<float>(count)));
    }
  }
};

template <class T>
struct Max {
  static constexpr bool kVectors = true;
  using In = T;
  using Acc = std::conditional_t<std::is_arithmetic_v<T>, T, float>;
  using Out = T;
  static Acc identity() {
    using Limits = std::numeric_limits<Acc>;
    return Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
  }
  template <class V>
  static V load(V x) {
    return x;
  }
  static Acc load(In x) requires(!std::is_same_v<In, Acc>) { return static_cast<Acc>(x); }
  template <class V>
  static V join(V a, V b) {
    return ((b > a) | (b != b)) ? b : a;
  }  // a NaN stays
  template <class V>
  static V quick(V a, V b) {
    return b > a ? b : a;
  }
  static Out finish(Acc value, std::int64_t) { return static_cast<Out>(value); }
};

template <class T>
struct Min : Max<T> {
  using Acc = typename Max<T>::Acc;
  static Acc identity() {
    using Limits = std::numeric_limits<Acc>;
    return Limits::has_infinity ? Limits::infinity() : Limits::max();
  }
  template <class V>
  static V join(V a, V b) {
    return ((b < a) | (b != b)) ? b : a;
  }
  template <class V>
  static V quick(V a, V b) {
    return b < a ? b : a;
  }
};

template <class T>
inline constexpr bool kHasQuick<Max<T>> = std::is_floating_point_v<T>;
template <class T>
inline constexpr bool kHasQuick<Min<T>> = std::is_floating_point_v<T>;

// Booleans are bytes of 0 and 1.
struct All {
  static constexpr bool kVectors = true;
  using In = std::uint8_t;
  using Acc = std::uint8_t;
  using Out = std::uint8_t;
  static Acc identity() { return 1; }
  template <class V>
  static V load(V x) {
    return x;
  }
  template <class V>
  static V join(V a, V b) {
    return a & b;
  }
  static Out finish(Acc value, std::int64_t) { return value; }
};

struct Any : All {
  static Acc identity() { return 0; }
  template <class V>
  static V join(V a, V b) {
    return a | b;
  }
};

// Half the sum of squares.
template <class T>
struct HalfSquares : Sum<T> {
  using In = T;
  using Acc = typename Sum<T>::Acc;
  template <class V>
  static V load(V x) {
    return x * x;
  }
  static Acc load(In x) requires(!std::is_same_v<In, Acc>) {
    const auto wide = static_cast<Acc>(x);
    return wide * wide;
  }
  static T finish(Acc sum, std::int64_t) { return static_cast<T>(sum * Acc(0.5)); }
};

// sqrt(sum(x * conj(x))); integers wrap before the root.
template <class T>
struct EuclideanNorm {
  static constexpr bool kVectors = std::is_floating_point_v<T>;
  using In = T;
  using Acc = typename Wide<T>::type;
  using Out = T;
  static Acc identity() { return Acc(0); }
  template <class V>
  static auto load(const V& x) {
    if constexpr (std::is_same_v<V, Half> || std::is_same_v<V, BFloat16>) {
      return static_cast<float>(x) * static_cast<float>(x);
    } else if constexpr (kIsComplex<V>) {
      return Acc(x.real() * x.real() + x.imag() * x.imag());
    } else if constexpr (std::is_integral_v<V>) {
      return static_cast<Acc>(static_cast<std::uint64_t>(x) * static_cast<std::uint64_t>(x));
    } else {
      return x * x;
    }
  }
  template <class V>
  static V join(V a, V b) {
    return a + b;
  }
  static Out finish(Acc sum, std::int64_t) {
    if constexpr (std::is_integral_v<T>) {
      const auto value = static_cast<T>(sum);
      // What the processor makes of the root of a negative number: the lowest one.
      if (value < T{0}) {
        return sizeof(T) < 4 ? T{0} : std::numeric_limits<T>::lowest();
      }
      return static_cast<T>(std::sqrt(static_cast<double>(value)));
    } else {
      return static_cast<Out>(std::sqrt(sum));
    }
  }
};

}  // namespace hub::reduction
