#include "replay/golden_value.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <filesystem>
#include <vector>

#include "base/errors.h"
#include "base/file.h"
#include "common/base64.h"
#include "replay/compare.h"
#include "replay/picture.h"
#include "tensor/dispatch.h"

namespace hub::replay {
namespace {

using Json = nlohmann::json;

constexpr double kGeneralRtol = 1e-4;
// Of the largest magnitude, which counts as at most so many times the median.
constexpr double kGeneralAtolShare = 1e-5;
constexpr double kMaxOverMedian = 1e4;

Shape shape_of(const Json& value) {
  return Shape(value.at("shape").get<std::vector<std::int64_t>>());
}

DType dtype_in(const Json& value) {
  const auto name = value.at("dtype").get<std::string>();
  const DType dtype = dtype_from_name(name);
  if (dtype == DType::kInvalid) {
    throw invalid_argument("A golden value has a dtype. Details: got \"", name, "\".");
  }
  return dtype;
}

std::string string_element(const Json& element, const std::string& module_path) {
  if (element.is_string()) return element.get<std::string>();
  if (element.contains("base64")) return base64_decode(element.at("base64").get<std::string>());
  return cat(module_path, "/", element.at("module_path").get<std::string>());
}

Tensor string_tensor(const Json& value, const std::string& module_path) {
  std::vector<std::string> elements;
  for (const Json& element : value.at("strings")) {
    elements.push_back(string_element(element, module_path));
  }
  return strings(elements).reshaped(shape_of(value));
}

// uint8 arrays that stand for floats: u8 * scale + offset, in single precision.
Tensor scaled(const Tensor& array, float scale, float offset) {
  Tensor result(kFloat, array.shape());
  std::ranges::transform(array.values<std::uint8_t>(), result.mutable_data<float>(),
                         [&](std::uint8_t byte) {
                           const float product = static_cast<float>(byte) * scale;
                           return product + offset;
                         });
  return result;
}

Tensor bfloat16_of(const Tensor& floats) {
  Tensor result(DType::kBfloat16, floats.shape());
  std::ranges::transform(floats.values<float>(), result.mutable_data<BFloat16>(),
                         [](float value) { return BFloat16(value); });
  return result;
}

// The magnitudes of the elements that are finite and not 0: where most elements are 0 (after
// a Relu) the others still have a scale.
std::vector<double> magnitudes_of(const Tensor& tensor) {
  std::vector<double> result;
  const auto add = [&](double magnitude) {
    if (std::isfinite(magnitude) && magnitude > 0) result.push_back(magnitude);
  };
  using Approximate = Join<Floats, Complexes>;
  dispatch(Approximate{}, tensor.dtype(), [&]<class T>() {
    for (const T& value : tensor.values<T>()) {
      if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
        add(std::abs(static_cast<double>(static_cast<float>(value))));
      } else {
        add(static_cast<double>(std::abs(value)));
      }
    }
  });
  return result;
}

bool is_approximate(DType dtype) {
  switch (dtype) {
    case DType::kFloat16:
    case DType::kBfloat16:
    case DType::kFloat32:
    case DType::kFloat64:
    case DType::kComplex64:
    case DType::kComplex128: return true;
    default: return false;
  }
}

// The value's own tolerance, else the case's, else the general one.
Tolerance tolerance_of(const Json& value, const Json& golden_case, const Tensor& want) {
  Tolerance tolerance{.rtol = kGeneralRtol, .atol = 0};
  if (!is_approximate(want.dtype())) return {};
  std::vector<double> magnitudes = magnitudes_of(want);
  if (!magnitudes.empty()) {
    const auto middle = magnitudes.begin() + static_cast<std::ptrdiff_t>(magnitudes.size() / 2);
    std::ranges::nth_element(magnitudes, middle);
    const double median = *middle;
    tolerance.atol = kGeneralAtolShare *
                     std::min(*std::ranges::max_element(magnitudes), kMaxOverMedian * median);
  }
  for (const Json* from : {&golden_case, &value}) {
    if (const auto found = from->find("rtol"); found != from->end() && found->is_number()) {
      tolerance.rtol = found->get<double>();
    }
    if (const auto found = from->find("atol"); found != from->end() && found->is_number()) {
      tolerance.atol = found->get<double>();
    }
  }
  return tolerance;
}

// Elements 0, stride, 2 stride... as a vector.
Tensor sampled(const Tensor& tensor, std::int64_t stride) {
  const std::int64_t count = (tensor.num_elements() + stride - 1) / stride;
  Tensor result(tensor.dtype(), {count});
  dispatch_by_size(tensor.dtype(), [&]<class T>() {
    const auto* in = static_cast<const T*>(tensor.raw_data());
    auto* out = static_cast<T*>(result.mutable_raw_data());
    for (std::int64_t i = 0; i < count; ++i) out[i] = in[i * stride];
  });
  return result;
}

// The sum and the largest magnitude of a whole output of which a sample is stored. The sum's
// tolerance adds up those of the elements.
std::optional<std::string> totals_difference(const Json& value, const Tensor& got,
                                             Tolerance tolerance) {
  if (!value.contains("sum")) return std::nullopt;
  double sum = 0;
  double abs_sum = 0;
  double abs_max = 0;
  dispatch(RealNumbers{}, got.dtype(), [&]<class T>() {
    for (const T& element : got.values<T>()) {
      double number = 0;
      if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
        number = static_cast<double>(static_cast<float>(element));
      } else {
        number = static_cast<double>(element);
      }
      sum += number;
      abs_sum += std::abs(number);
      abs_max = std::max(abs_max, std::abs(number));
    }
  });
  const auto want_sum = value.at("sum").get<double>();
  const auto want_max = value.at("abs_max").get<double>();
  const double sum_allowed =
      static_cast<double>(got.num_elements()) * tolerance.atol + tolerance.rtol * abs_sum;
  if (!(std::abs(sum - want_sum) <= sum_allowed)) {
    return cat("the sum of all elements is ", sum, " for ", want_sum);
  }
  if (!(std::abs(abs_max - want_max) <= tolerance.atol + tolerance.rtol * want_max)) {
    return cat("the largest magnitude is ", abs_max, " for ", want_max);
  }
  return std::nullopt;
}

}  // namespace

GoldenFolder::GoldenFolder(std::string path) : path_(std::move(path)) {
  const std::string json_path = cat(path_, "/golden.json");
  try {
    json_ = Json::parse(read_file(json_path));
  } catch (const Json::exception& error) {
    throw data_loss("A golden.json is JSON. Details: \"", json_path, "\": ", error.what(), ".");
  }
  if (!json_.is_object() || !json_.contains("cases")) {
    throw data_loss("A golden.json has cases. Details: \"", json_path, "\" has none.");
  }
  const std::string arrays = cat(path_, "/golden.npz");
  if (path_exists(arrays)) arrays_ = std::make_unique<NpzFile>(arrays);
}

std::string GoldenFolder::kind() const { return json_.value("kind", "hub_module"); }

std::string GoldenFolder::model_path() const { return absolute(json_.value("model", "module")); }

std::string GoldenFolder::absolute(const std::string& relative) const {
  return std::filesystem::weakly_canonical(std::filesystem::path(path_) / relative).string();
}

std::map<std::string, const Json*> parts_of_value(const std::string& name, const Json& value) {
  const std::string kind = value.value("kind", "dense");
  std::map<std::string, const Json*> parts;
  if (kind == "sparse") {
    for (const char* part : {"indices", "values", "dense_shape"}) {
      parts[cat(name, "/", part)] = &value.at(part);
    }
  } else if (kind == "ragged") {
    parts[cat(name, "/values")] = &value.at("flat_values");
    const Json& splits = value.at("row_splits");
    for (std::size_t i = 0; i < splits.size(); ++i) {
      parts[splits.size() == 1 ? cat(name, "/row_splits") : cat(name, "/row_splits_", i)] =
          &splits[i];
    }
  } else {
    parts[name] = &value;
  }
  return parts;
}

Tensor GoldenFolder::array(const Json& value) const {
  const auto key = value.at("npz").get<std::string>();
  if (!arrays_)
    throw not_found("The golden has no arrays. Details: \"", path_, "\" lacks ", key, ".");
  return arrays_->read(key);
}

Tensor GoldenFolder::tensor(const Json& value, const std::string& module_path) const {
  if (value.contains("strings")) return string_tensor(value, module_path);
  const Shape shape = shape_of(value);
  if (value.contains("file")) {
    std::string content = read_file(absolute(value.at("file").get<std::string>()));
    if (value.contains("decode")) {
      return decode_picture(content, value.at("decode").get<std::string>());
    }
    return make_scalar(content).reshaped(shape);
  }
  const DType dtype = dtype_in(value);
  if (value.contains("formula")) {
    Tensor result = synthetic_weights(value.at("formula_name").get<std::string>(), shape);
    const auto scale = value.value("scale", 1.0f);
    for (float& element : result.mutable_values<float>()) element *= scale;
    return result;
  }
  Tensor stored = array(value);
  if (value.contains("scale")) {
    stored = scaled(stored, value.at("scale").get<float>(), value.at("offset").get<float>());
  } else if (dtype == DType::kBfloat16 && stored.dtype() == kFloat) {
    stored = bfloat16_of(stored);
  } else if (stored.dtype() != dtype) {
    // bfloat16 as its bits, quantized types as their integers.
    stored = stored.bit_cast(dtype);
  }
  return value.contains("sample") ? stored : stored.reshaped(shape);
}

std::map<std::string, Tensor> GoldenFolder::input(const std::string& name, const Json& value,
                                                  const std::string& module_path) const {
  std::map<std::string, Tensor> result;
  for (const auto& [part, json] : parts_of_value(name, value)) {
    result[part] = tensor(*json, module_path);
  }
  return result;
}

std::optional<std::string> GoldenFolder::tensor_difference(const Json& value,
                                                           const Json& golden_case,
                                                           const Tensor& got,
                                                           const std::string& module_path) const {
  if (auto text = type_difference(got, dtype_in(value), shape_of(value))) return text;
  if (value.value("shape_only", false)) return std::nullopt;
  const Tensor want = tensor(value, module_path);
  const Tolerance tolerance = tolerance_of(value, golden_case, want);
  if (!value.contains("sample")) return difference(got, want, tolerance);
  const auto stride = value.at("sample").at("stride").get<std::int64_t>();
  if (stride < 1) throw invalid_argument("A sample has a stride >= 1. Details: got ", stride, ".");
  if (auto text =
          difference(sampled(got, stride), want.reshaped({want.num_elements()}), tolerance)) {
    return text;
  }
  return totals_difference(value, got, tolerance);
}

std::optional<std::string> GoldenFolder::output_difference(const std::string& name,
                                                           const Json& value,
                                                           const Json& golden_case,
                                                           const std::map<std::string, Tensor>& got,
                                                           const std::string& module_path) const {
  for (const auto& [part, json] : parts_of_value(name, value)) {
    const auto found = got.find(part);
    if (found == got.end()) return cat(part, ": missing");
    if (auto text = tensor_difference(*json, golden_case, found->second, module_path)) {
      return cat(part, ": ", *text);
    }
  }
  return std::nullopt;
}

Tensor synthetic_weights(std::string_view name, const Shape& shape) {
  const auto crc = static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(name.data()), name.size()));
  const std::string_view last = name.substr(name.rfind('/') + 1);
  const bool is_small = shape.rank() < 2 || last == "moving_mean" || last == "beta" ||
                        last == "biases" || last == "bias" || last == "output_bias";
  double fan = 1;
  const int fan_rank = last == "depthwise_weights" ? 2 : shape.rank() - 1;
  for (int axis = 0; axis < fan_rank; ++axis) fan *= static_cast<double>(shape[axis]);
  const double spread = std::sqrt((shape.rank() == 4 ? 6.0 : 3.0) / fan);
  Tensor result(kFloat, shape);
  std::uint32_t i = 0;
  for (float& element : result.mutable_values<float>()) {
    std::uint32_t h = i++ * 2654435761u + crc;
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    h *= 3266489917u;
    h ^= h >> 16;
    const double u = h / 4294967296.0;
    double value = (2 * u - 1) * spread;
    if (last == "moving_variance") {
      value = 0.5 + u;
    } else if (last == "gamma") {
      value = 0.8 + 0.4 * u;
    } else if (is_small) {
      value = (u - 0.5) * 0.2;
    }
    element = static_cast<float>(value);
  }
  return result;
}

}  // namespace hub::replay
