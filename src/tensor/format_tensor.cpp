// How a tensor is printed in messages.

#include <algorithm>

#include "base/strings.h"
#include "hub/tensor.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

constexpr std::int64_t kPrintedElements = 8;

template <class T>
std::string element_text(const T& value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return cat(static_cast<float>(value));
  } else if constexpr (std::is_same_v<T, std::complex<float>> ||
                       std::is_same_v<T, std::complex<double>>) {
    return cat("(", value.real(), ",", value.imag(), ")");
  } else if constexpr (std::is_same_v<T, std::string>) {
    return cat("\"", printable(value, 40), "\"");
  } else if constexpr (std::is_same_v<T, ResourceHandle>) {
    return cat("<resource ", value.name, ">");
  } else if constexpr (std::is_same_v<T, Variant>) {
    return cat("<", value.value ? value.value->type_name() : "empty variant", ">");
  } else {
    return cat(value);
  }
}

}  // namespace

std::string to_string(const Tensor& tensor) {
  if (!tensor.is_valid()) return "<no tensor>";
  std::string out = cat(tensor.dtype(), " ", tensor.shape());
  dispatch(AllTypes{}, tensor.dtype(), [&]<class T>() {
    const auto values = tensor.values<T>();
    const auto printed = std::min<std::size_t>(values.size(), kPrintedElements);
    for (std::size_t i = 0; i < printed; ++i) out += " " + element_text(values[i]);
    if (printed < values.size()) out += " ...";
  });
  return out;
}

}  // namespace hub
