#include "replay/compare.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <span>
#include <type_traits>
#include <vector>

#include "base/strings.h"
#include "tensor/dispatch.h"

namespace hub::replay {
namespace {

using ComparableTypes = Join<PlainTypes, TypeList<std::string>>;

template <class T>
inline constexpr bool is_complex = false;
template <class T>
inline constexpr bool is_complex<std::complex<T>> = true;

template <class T>
inline constexpr bool is_approximate = std::is_floating_point_v<T> || is_complex<T> ||
                                       std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

// Comparing as doubles keeps every float exact.
template <class T>
auto widened(const T& value) {
  if constexpr (is_complex<T>) {
    return std::complex<double>(value);
  } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return static_cast<double>(static_cast<float>(value));
  } else {
    return static_cast<double>(value);
  }
}

// How far beyond what is allowed, as a multiple of it: 0 where the two agree.
double excess(double got, double want, Tolerance tolerance) {
  if (std::isnan(got) && std::isnan(want)) return 0;
  if (got == want) return 0;
  if (!std::isfinite(got) || !std::isfinite(want)) return HUGE_VAL;
  const double off = std::abs(got - want);
  const double allowed = tolerance.atol + tolerance.rtol * std::abs(want);
  if (off <= allowed) return 0;
  return allowed > 0 ? off / allowed : HUGE_VAL;
}

bool is_finite(std::complex<double> value) {
  return std::isfinite(value.real()) && std::isfinite(value.imag());
}

double excess(std::complex<double> got, std::complex<double> want, Tolerance tolerance) {
  if (is_finite(got) && is_finite(want)) {
    if (got == want) return 0;
    const double off = std::abs(got - want);
    const double allowed = tolerance.atol + tolerance.rtol * std::abs(want);
    if (off <= allowed) return 0;
    return allowed > 0 ? off / allowed : HUGE_VAL;
  }
  return std::max(excess(got.real(), want.real(), tolerance),
                  excess(got.imag(), want.imag(), tolerance));
}

template <class T>
std::string element_text(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return cat('"', printable(value), '"');
  } else if constexpr (is_complex<T>) {
    return cat(value.real(), "+", value.imag(), "i");
  } else if constexpr (is_approximate<T>) {
    return cat(widened(value));
  } else {
    return cat(value);
  }
}

std::string position_text(std::int64_t flat, const Shape& shape) {
  std::vector<std::int64_t> at(static_cast<std::size_t>(shape.rank()));
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    at[static_cast<std::size_t>(axis)] = flat % shape[axis];
    flat /= shape[axis];
  }
  return cat("[", join(at, ","), "]");
}

template <class T>
std::optional<std::string> value_difference(const Tensor& got, const Tensor& want,
                                            Tolerance tolerance) {
  const std::span<const T> a = got.values<T>();
  const std::span<const T> b = want.values<T>();
  std::size_t count = 0;
  std::size_t worst = 0;
  double worst_excess = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    double here = 0;
    if constexpr (is_approximate<T>) {
      here = excess(widened(a[i]), widened(b[i]), tolerance);
    } else {
      here = a[i] == b[i] ? 0 : 1;
    }
    if (here == 0) continue;
    ++count;
    if (here > worst_excess) {
      worst_excess = here;
      worst = i;
    }
  }
  if (count == 0) return std::nullopt;
  std::string text = cat(count, " of ", a.size(), " elements differ, at ",
                         position_text(static_cast<std::int64_t>(worst), got.shape()), " got ",
                         element_text(a[worst]), " for ", element_text(b[worst]));
  if (is_approximate<T> && std::isfinite(worst_excess)) {
    text += cat(" (", worst_excess, " times what is allowed)");
  }
  return text;
}

}  // namespace

std::optional<std::string> type_difference(const Tensor& got, DType dtype, const Shape& shape) {
  if (got.dtype() == dtype && got.shape() == shape) return std::nullopt;
  return cat("got ", got.dtype(), " ", got.shape(), " for ", dtype, " ", shape);
}

std::optional<std::string> difference(const Tensor& got, const Tensor& want, Tolerance tolerance) {
  if (auto text = type_difference(got, want.dtype(), want.shape())) return text;
  if (got.dtype() == DType::kResource || got.dtype() == DType::kVariant) return std::nullopt;
  std::optional<std::string> result;
  dispatch(ComparableTypes{}, got.dtype(),
           [&]<class T>() { result = value_difference<T>(got, want, tolerance); });
  return result;
}

std::optional<std::string> fact_difference(const Tensor& got, DType dtype,
                                           const PartialShape& shape) {
  if (dtype != DType::kInvalid && dtype != got.dtype()) {
    return cat("the static dtype is ", dtype, ", the real one ", got.dtype());
  }
  if (!shape.is_compatible_with(got.shape())) {
    return cat("the inferred shape is ", shape, ", the real one ", got.shape());
  }
  return std::nullopt;
}

}  // namespace hub::replay
