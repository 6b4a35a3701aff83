#include "common/json_tensor.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <vector>

#include "base/errors.h"
#include "common/base64.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

using Json = nlohmann::json;
using JsonTypes = Join<PlainTypes, TypeList<std::string>>;

[[noreturn]] void throw_not_of_dtype(const Json& value, DType dtype, std::string_view place) {
  const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  throw type_error("Can't convert '", place, "': ", printable(text, 60), " is no ", dtype, ".");
}

// The dimensions, taken from the first element of each list.
Shape shape_of(const Json& json) {
  std::vector<std::int64_t> dims;
  for (const Json* level = &json; level->is_array(); level = &level->front()) {
    dims.push_back(static_cast<std::int64_t>(level->size()));
    if (level->empty()) break;
  }
  return Shape(dims);
}

// The elements in row-major order; every list must be as long as `shape` says.
void collect(const Json& json, const Shape& shape, int axis, std::string_view place,
             std::vector<const Json*>& elements) {
  if (axis == shape.rank()) {
    if (json.is_array()) {
      throw type_error("Can't convert '", place, "': lists are nested to different depths.");
    }
    elements.push_back(&json);
    return;
  }
  if (!json.is_array() || std::cmp_not_equal(json.size(), shape[axis])) {
    throw type_error("Can't convert '", place, "': lists of one level have different lengths.");
  }
  for (const Json& child : json) collect(child, shape, axis + 1, place, elements);
}

DType guess_dtype(const std::vector<const Json*>& elements, std::string_view place) {
  const auto all = [&](auto&& is) {
    return std::ranges::all_of(elements, [&](const Json* element) { return is(*element); });
  };
  if (elements.empty()) return kFloat;
  if (all([](const Json& json) { return json.is_boolean(); })) return kBool;
  if (all([](const Json& json) { return json.is_number_integer(); })) return kInt64;
  if (all([](const Json& json) { return json.is_number(); })) return kFloat;
  if (all([](const Json& json) { return json.is_string() || json.is_object(); })) return kString;
  throw type_error("Can't convert '", place, "': the elements are not all of one type.");
}

std::optional<double> as_double(const Json& json) {
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) {
    const auto& text = json.get_ref<const std::string&>();
    if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
    if (text == "inf") return std::numeric_limits<double>::infinity();
    if (text == "-inf") return -std::numeric_limits<double>::infinity();
  }
  return std::nullopt;
}

template <class T>
std::optional<T> as_integer(const Json& json) {
  if (json.is_number_unsigned()) {
    const auto value = json.get<std::uint64_t>();
    if (std::in_range<T>(value)) return static_cast<T>(value);
  } else if (json.is_number_integer()) {
    const auto value = json.get<std::int64_t>();
    if (std::in_range<T>(value)) return static_cast<T>(value);
  }
  return std::nullopt;
}

std::optional<std::string> as_string(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (json.is_object() && json.size() == 1 && json.contains("b64") && json["b64"].is_string()) {
    return base64_decode(json["b64"].get_ref<const std::string&>());
  }
  return std::nullopt;
}

template <class T>
struct IsComplex : std::false_type {};
template <class T>
struct IsComplex<std::complex<T>> : std::true_type {
  using Part = T;
};

template <class T>
std::optional<T> element_from_json(const Json& json) {
  if constexpr (std::is_same_v<T, std::string>) {
    return as_string(json);
  } else if constexpr (std::is_same_v<T, bool>) {
    return json.is_boolean() ? std::optional(json.get<bool>()) : std::nullopt;
  } else if constexpr (std::is_integral_v<T>) {
    return as_integer<T>(json);
  } else if constexpr (IsComplex<T>::value) {
    using Part = typename IsComplex<T>::Part;
    if (const auto real = as_double(json)) return T(static_cast<Part>(*real));
    if (!json.is_object() || !json.contains("real") || !json.contains("imag")) return std::nullopt;
    const auto real = as_double(json["real"]);
    const auto imag = as_double(json["imag"]);
    if (!real || !imag) return std::nullopt;
    return T(static_cast<Part>(*real), static_cast<Part>(*imag));
  } else {
    const auto value = as_double(json);
    if (!value) return std::nullopt;
    if constexpr (std::is_same_v<T, double>) return *value;
    return static_cast<T>(static_cast<float>(*value));
  }
}

template <class T>
Json number_to_json(T value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if constexpr (std::is_same_v<T, double>) return value;
  // The shortest text that gives this float, as the double that prints so.
  char text[32];
  const char* end = std::to_chars(text, text + sizeof text, value).ptr;
  double shortest = 0;
  std::from_chars(text, end, shortest);
  return shortest;
}

bool is_utf8(const std::string& text) {
  try {
    static_cast<void>(Json(text).dump());
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

template <class T>
Json element_to_json(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    if (is_utf8(value)) return value;
    return {{"b64", base64_encode(value)}};
  } else if constexpr (std::is_integral_v<T>) {
    return value;
  } else if constexpr (IsComplex<T>::value) {
    return {{"real", number_to_json(value.real())}, {"imag", number_to_json(value.imag())}};
  } else if constexpr (std::is_same_v<T, double> || std::is_same_v<T, float>) {
    return number_to_json(value);
  } else {
    return number_to_json(static_cast<float>(value));
  }
}

template <class T>
Json nested(const T*& next, const Shape& shape, int axis) {
  if (axis == shape.rank()) return element_to_json(*next++);
  Json list = Json::array();
  for (std::int64_t i = 0; i < shape[axis]; ++i) list.push_back(nested(next, shape, axis + 1));
  return list;
}

}  // namespace

Tensor tensor_from_json(const Json& json, std::optional<DType> dtype, std::string_view place) {
  const Shape shape = shape_of(json);
  std::vector<const Json*> elements;
  collect(json, shape, 0, place, elements);
  Tensor tensor(dtype ? *dtype : guess_dtype(elements, place), shape);
  dispatch(JsonTypes{}, tensor.dtype(), [&]<class T>() {
    T* out = tensor.mutable_data<T>();
    for (const Json* element : elements) {
      auto value = element_from_json<T>(*element);
      if (!value) throw_not_of_dtype(*element, tensor.dtype(), place);
      *out++ = std::move(*value);
    }
  });
  return tensor;
}

Json tensor_to_json(const Tensor& tensor) {
  Json json;
  dispatch(JsonTypes{}, tensor.dtype(), [&]<class T>() {
    const T* next = tensor.data<T>();
    json = nested(next, tensor.shape(), 0);
  });
  return json;
}

}  // namespace hub
