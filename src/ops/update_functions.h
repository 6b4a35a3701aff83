#pragma once

// How an update changes an element of a variable: integers wrap around, half-width floats are
// computed in float and rounded once.

#include <complex>
#include <type_traits>

#include "hub/tensor.h"

namespace hub {

template <class T>
inline constexpr bool is_half_width = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

template <class T>
inline constexpr bool is_wrapping = std::is_integral_v<T> && !std::is_same_v<T, bool>;

// Applies `function` to values that can be computed with, without undefined overflow.
template <class T, class Function>
T computed(T a, T b, Function function) {
  if constexpr (is_half_width<T>) {
    return static_cast<T>(function(static_cast<float>(a), static_cast<float>(b)));
  } else if constexpr (is_wrapping<T>) {
    return static_cast<T>(function(static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(b)));
  } else {
    return function(a, b);
  }
}

struct AddUpdate {
  template <class T>
  static T apply(T old, T update) {
    return computed(old, update, [](auto a, auto b) { return a + b; });
  }
};

struct SubUpdate {
  template <class T>
  static T apply(T old, T update) {
    return computed(old, update, [](auto a, auto b) { return a - b; });
  }
};

struct MulUpdate {
  template <class T>
  static T apply(T old, T update) {
    return computed(old, update, [](auto a, auto b) { return a * b; });
  }
};

// The caller has refused integer divisors of zero.
struct DivUpdate {
  template <class T>
  static T apply(T old, T update) {
    if constexpr (is_half_width<T>) {
      return static_cast<T>(static_cast<float>(old) / static_cast<float>(update));
    } else if constexpr (std::is_signed_v<T> && is_wrapping<T>) {
      if (update == T{-1}) return SubUpdate::apply(T{0}, old);  // the lowest value wraps
      return static_cast<T>(old / update);
    } else {
      return static_cast<T>(old / update);
    }
  }
};

struct MinUpdate {
  template <class T>
  static T apply(T old, T update) {
    if constexpr (is_half_width<T>) {
      return static_cast<float>(update) < static_cast<float>(old) ? update : old;
    } else {
      return update < old ? update : old;
    }
  }
};

struct MaxUpdate {
  template <class T>
  static T apply(T old, T update) {
    if constexpr (is_half_width<T>) {
      return static_cast<float>(old) < static_cast<float>(update) ? update : old;
    } else {
      return old < update ? update : old;
    }
  }
};

struct ReplaceUpdate {
  template <class T>
  static T apply(const T&, const T& update) {
    return update;
  }
};

}  // namespace hub
