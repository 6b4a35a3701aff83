#pragma once

// Kernels that compute each element of the result from one element of each operand. An op
// is a struct with the types that it has loops for, and what it does with one element:
//
//   struct SquareOp {
//     using Types = Join<WideFloats, WideIntegers>;
//     static constexpr double kCost = 0.3;  // ns an element, roughly; vectorised below kCalls
//     template <class T>
//     static T apply(T x) { return multiply(x, x); }
//   };
//   {.name = "Square", ..., .kernel = unary_kernel<SquareOp>}
//
// Loops exist for wide types only. Elements of a narrower type are widened block by block,
// and the results rounded (or wrapped) back: half and bfloat16 compute as float, small
// integers as int32, uint32 as int64, bool and quantized types as their integers.

#include <complex>
#include <cstdint>
#include <string>
#include <type_traits>

#include "ops/broadcast.h"
#include "ops/kernel.h"
#include "ops/lanes.h"
#include "tensor/dispatch.h"

namespace hub {

using WideFloats = TypeList<float, double>;
using WideIntegers = TypeList<std::int32_t, std::int64_t, std::uint64_t>;
using WideReals = Join<WideFloats, WideIntegers>;
using WideFields = Join<WideFloats, Complexes>;
using WideNumbers = Join<WideReals, Complexes>;

// Which loop computes a dtype's elements; itself where it is wide already.
DType wide_dtype(DType dtype);
// Converts elements of `dtype` to their wide type, and back.
void widen(DType dtype, const void* source, std::int64_t count, void* target);
void narrow(DType dtype, const void* source, std::int64_t count, void* target);

// Which operand of a binary loop is one value for all elements.
enum class Repeated : std::uint8_t { kNone, kFirst, kSecond };

using UnaryLoop = void (*)(const void* x, void* result, std::int64_t count);
using BinaryLoop = void (*)(const void* x, const void* y, void* result, std::int64_t count,
                            Repeated repeated);

// A loop for each wide type; nullptr where there is none.
template <class Loop>
struct Loops {
  Loop f32 = nullptr, f64 = nullptr, i32 = nullptr, i64 = nullptr, u64 = nullptr, c64 = nullptr,
       c128 = nullptr;
  // Of floats, past the caches (ops/kernels/streaming.h); nullptr where results are copied there
  // block by block.
  Loop f32_streaming = nullptr;

  template <class T>
  constexpr void set(Loop loop) {
    if constexpr (std::is_same_v<T, float>) f32 = loop;
    if constexpr (std::is_same_v<T, double>) f64 = loop;
    if constexpr (std::is_same_v<T, std::int32_t>) i32 = loop;
    if constexpr (std::is_same_v<T, std::int64_t>) i64 = loop;
    if constexpr (std::is_same_v<T, std::uint64_t>) u64 = loop;
    if constexpr (std::is_same_v<T, std::complex<float>>) c64 = loop;
    if constexpr (std::is_same_v<T, std::complex<double>>) c128 = loop;
  }
  // nullptr where there is none for the dtype.
  Loop find(DType dtype) const {
    switch (wide_dtype(dtype)) {
      case DType::kFloat32: return f32;
      case DType::kFloat64: return f64;
      case DType::kInt32: return i32;
      case DType::kInt64: return i64;
      case DType::kUint64: return u64;
      case DType::kComplex64: return c64;
      case DType::kComplex128: return c128;
      default: return nullptr;
    }
  }
};

// Runs the loop over input 0 into output 0, which has its shape. Errors: UNIMPLEMENTED
// where there is no loop for the dtype.
void run_unary(KernelContext& context, const Loops<UnaryLoop>& loops, double cost_ns);
void run_unary(KernelContext& context, const Tensor& x, Tensor& result,
               const Loops<UnaryLoop>& loops, double cost_ns);
// The same over inputs 0 and 1, broadcast against each other. Loops may throw.
void run_binary(KernelContext& context, const Loops<BinaryLoop>& loops, double cost_ns);
// Into an output that exists, of the broadcast's shape.
void run_binary(KernelContext& context, const Broadcast& broadcast, const Tensor& x,
                const Tensor& y, Tensor& result, const Loops<BinaryLoop>& loops, double cost_ns);
// A loop over the operands' own type T, which need not be wide.
void run_native(KernelContext& context, BinaryLoop loop, double cost_ns);
// Inputs 0 and 1 have as many elements; the output has the shape of input 0. Errors:
// INVALID_ARGUMENT.
void run_same_size(KernelContext& context, const Loops<BinaryLoop>& loops, double cost_ns);

// Ops that cost as much call functions: there is nothing to vectorise.
inline constexpr double kCalls = 2;

template <class Op, class Body>
void loop_over(std::int64_t count, const Body& body) {
  if constexpr (Op::kCost < kCalls) {
    for_lanes(count, body);
  } else {
    for (std::int64_t i = 0; i < count; ++i) body(i);
  }
}

template <class Op, class T>
void unary_loop(const void* x, void* result, std::int64_t count) {
  const auto* from = static_cast<const T*>(x);
  auto* to = static_cast<decltype(Op::apply(T{}))*>(result);
  loop_over<Op>(count, [=](std::int64_t i) { to[i] = Op::apply(from[i]); });
}

template <class Op, class T>
void binary_loop(const void* x, const void* y, void* result, std::int64_t count,
                 Repeated repeated) {
  const auto* a = static_cast<const T*>(x);
  const auto* b = static_cast<const T*>(y);
  auto* to = static_cast<decltype(Op::apply(T{}, T{}))*>(result);
  if (repeated == Repeated::kNone) {
    loop_over<Op>(count, [=](std::int64_t i) { to[i] = Op::apply(a[i], b[i]); });
  } else if (repeated == Repeated::kSecond) {
    const T second = *b;
    loop_over<Op>(count, [=](std::int64_t i) { to[i] = Op::apply(a[i], second); });
  } else {
    const T first = *a;
    loop_over<Op>(count, [=](std::int64_t i) { to[i] = Op::apply(first, b[i]); });
  }
}

template <class Op, class... Ts>
constexpr Loops<UnaryLoop> make_unary_loops(TypeList<Ts...>) {
  Loops<UnaryLoop> loops;
  (loops.template set<Ts>(unary_loop<Op, Ts>), ...);
  return loops;
}
template <class Op, class... Ts>
constexpr Loops<BinaryLoop> make_binary_loops(TypeList<Ts...>) {
  Loops<BinaryLoop> loops;
  (loops.template set<Ts>(binary_loop<Op, Ts>), ...);
  return loops;
}
template <class Op>
inline constexpr Loops<UnaryLoop> unary_loops = make_unary_loops<Op>(typename Op::Types{});
template <class Op>
inline constexpr Loops<BinaryLoop> binary_loops = make_binary_loops<Op>(typename Op::Types{});

template <class Op>
void compute_unary(KernelContext& context) {
  run_unary(context, unary_loops<Op>, Op::kCost);
}
template <class Op>
void compute_binary(KernelContext& context) {
  run_binary(context, binary_loops<Op>, Op::kCost);
}
template <class Op>
void compute_same_size(KernelContext& context) {
  run_same_size(context, binary_loops<Op>, Op::kCost);
}
template <class Op>
inline constexpr KernelFactory unary_kernel = kernel_function<compute_unary<Op>>;
template <class Op>
inline constexpr KernelFactory binary_kernel = kernel_function<compute_binary<Op>>;
template <class Op>
inline constexpr KernelFactory same_size_kernel = kernel_function<compute_same_size<Op>>;

// Arithmetic that wraps around for signed integers, as TensorFlow's does.
template <class T>
T add(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
  } else {
    return a + b;
  }
}
template <class T>
T subtract(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(a) - static_cast<U>(b));
  } else {
    return a - b;
  }
}
template <class T>
inline constexpr bool kIsComplex = false;
template <class T>
inline constexpr bool kIsComplex<std::complex<T>> = true;
template <class T>
T multiply(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(a) * static_cast<U>(b));
  } else if constexpr (kIsComplex<T>) {
    // Without C's repair of infinities, as in TensorFlow's vector code.
    return T(a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real());
  } else {
    return a * b;
  }
}
template <class T>
T conjugate(T x) {
  if constexpr (kIsComplex<T>) {
    return std::conj(x);
  } else {
    return x;
  }
}

}  // namespace hub
