#include "module/apply_inputs.h"

#include <algorithm>
#include <utility>

#include "base/errors.h"
#include "hub/ops.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

void check_names(const BoundSignature& signature, const ValueMap& inputs) {
  std::vector<std::string> missing;
  std::vector<std::string> extra;
  for (const auto& entry : signature.inputs) {
    const auto given = inputs.find(entry.first);
    if (given == inputs.end() || !given->second.is_valid()) missing.push_back(entry.first);
  }
  for (const auto& entry : inputs) {
    if (!signature.inputs.contains(entry.first)) extra.push_back(entry.first);
  }
  if (missing.empty() && extra.empty()) return;
  throw type_error("Cannot convert dict_inputs: missing ", quoted_list(missing), ", extra given ",
                   quoted_list(extra), ". Details: signature '", signature.name, "'.");
}

template <class T>
concept Complex = std::same_as<T, std::complex<float>> || std::same_as<T, std::complex<double>>;
template <class T>
concept FloatingPoint = std::same_as<T, float> || std::same_as<T, double> ||
    std::same_as<T, Half> || std::same_as<T, BFloat16>;
template <class T>
concept Integer = std::integral<T> && !std::same_as<T, bool>;

// Whether every value of type From has a meaning as a To: whole numbers are numbers of all types,
// others are not whole.
template <class To, class From>
inline constexpr bool kConvertible = (Integer<From> &&
                                      (Integer<To> || FloatingPoint<To> || Complex<To>)) ||
                                     (FloatingPoint<From> && (FloatingPoint<To> || Complex<To>)) ||
                                     (Complex<From> && Complex<To>);

template <class T>
double as_double(T value) {
  if constexpr (std::same_as<T, Half> || std::same_as<T, BFloat16>) {
    return static_cast<float>(value);
  } else {
    return static_cast<double>(value);
  }
}

template <class T>
T from_double(double value) {
  if constexpr (std::same_as<T, Half> || std::same_as<T, BFloat16>) {
    return T(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}

template <class To, class From>
To converted_element(From from) {
  if constexpr (Integer<To> && Integer<From>) {
    if (!std::in_range<To>(from)) {
      throw type_error("got the value ", from, ", which does not fit ", dtype_of<To>);
    }
    return static_cast<To>(from);
  } else if constexpr (Complex<To> && Complex<From>) {
    return To(from);
  } else if constexpr (Complex<To>) {
    return To(static_cast<typename To::value_type>(as_double(from)));
  } else {
    return from_double<To>(as_double(from));
  }
}

// A value as a tensor of another dtype. Errors: of kind type.
Tensor converted(const Tensor& value, DType dtype) {
  if (value.dtype() == dtype) return value;
  Tensor result(dtype, value.shape());
  bool done = false;
  const auto convert = [&]<class To>() {
    const auto from_type = [&]<class From>() {
      if constexpr (kConvertible<To, From>) {
        const auto source = value.values<From>();
        std::ranges::transform(source, result.mutable_data<To>(),
                               [](From from) { return converted_element<To>(from); });
        done = true;
      }
    };
    const bool is_number = value.dtype() != DType::kString && value.dtype() != DType::kBool &&
                           value.dtype() != DType::kResource && value.dtype() != DType::kVariant;
    if (is_number) dispatch(Numbers{}, value.dtype(), from_type);
  };
  const bool wants_number = dtype != DType::kString && dtype != DType::kBool &&
                            dtype != DType::kResource && dtype != DType::kVariant;
  if (wants_number) dispatch(Numbers{}, dtype, convert);
  if (done) return result;
  throw type_error("expected ", dtype, ", but got a value of ", value.dtype());
}

std::string info_text(const Value& value) {
  return value.is_dense() || value.is_sparse() || value.is_ragged()
             ? to_string(value.info())
             : std::string(value.type_name());
}

std::string_view kind_name(ValueKind kind) {
  switch (kind) {
    case ValueKind::kDense: return "Tensor";
    case ValueKind::kSparse: return "SparseTensor";
    case ValueKind::kRagged: return "RaggedTensor";
  }
  return "";
}

// A value that is no tensor yet.
Output converted_to_tensor(const Graph& graph, const Value& value, const ValueInfo& expected) {
  if (const auto* tensor = std::get_if<Tensor>(&value.data()))
    return ops::constant(graph, converted(*tensor, expected.dtype));
  if (const auto* variable = std::get_if<Variable>(&value.data())) return *variable;
  throw type_error("Got ", value.type_name(), ". Expected ", kind_name(expected.kind), ".");
}

bool is_same_kind(const Value& value, ValueKind kind) {
  switch (kind) {
    case ValueKind::kDense: return value.is_dense();
    case ValueKind::kSparse: return value.is_sparse();
    case ValueKind::kRagged: return value.is_ragged();
  }
  return false;
}

void check_graph(const Graph& graph, const std::string& name, const Value& value) {
  for (const Output& part : value.parts()) {
    if (part.graph_state() == &graph.state()) continue;
    throw runtime_error(
        "A module is applied in the graph that it was instantiated in. Details: ", "input '",
        printable(name), "' is ", part.is_valid() ? "a tensor of another graph." : "no tensor.");
  }
}

void check_fit(const Value& value, const ValueInfo& expected) {
  if (!is_same_kind(value, expected.kind)) {
    throw type_error("Got ", value.type_name(), ". Expected ", kind_name(expected.kind), ".");
  }
  const ValueInfo got = value.info();
  if (value.is_dense() && got.dtype != expected.dtype) {
    throw value_error("Tensor conversion requested dtype ", expected.dtype,
                      " for Tensor with dtype ", got.dtype, ": \"", value.dense().name(), "\".");
  }
  const bool fits = got.dtype == expected.dtype && got.ragged_rank == expected.ragged_rank &&
                    (!value.is_ragged() || got.row_splits_dtype == expected.row_splits_dtype) &&
                    got.shape.is_compatible_with(expected.shape);
  if (!fits) {
    throw type_error("Got ", info_text(value), ". Expected ", to_string(expected), ".");
  }
}

Value convert(const Graph& graph, const std::string& name, const Value& value,
              const ValueInfo& expected) {
  Value result = value;
  const bool is_composite = value.is_sparse() || value.is_ragged();
  if (!value.is_dense() && !is_composite) result = converted_to_tensor(graph, value, expected);
  check_graph(graph, name, result);
  check_fit(result, expected);
  return result;
}

}  // namespace

ValueMap only_input(const BoundSignature& signature, const Value& value) {
  if (signature.inputs.empty()) {
    throw type_error("Signature expects no inputs. Details: signature '", signature.name, "'.");
  }
  if (signature.inputs.size() > 1) {
    throw type_error("Signature expects multiple inputs. Use a dict. Details: signature '",
                     signature.name, "' has ", signature.inputs.size(), ".");
  }
  return {{signature.inputs.begin()->first, value}};
}

ValueMap convert_inputs(const Graph& graph, const BoundSignature& signature,
                        const ValueMap& inputs) {
  check_names(signature, inputs);
  ValueMap result;
  for (const auto& [name, bound] : signature.inputs) {
    try {
      result.emplace(name, convert(graph, name, inputs.at(name), bound.info));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kRuntime) throw;
      throw Error(error.code(), cat("Can't convert '", printable(name), "': ", error.message()),
                  error.kind());
    }
  }
  return result;
}

}  // namespace hub
