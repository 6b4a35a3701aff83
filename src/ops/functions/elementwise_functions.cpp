// Functions for elementwise ops, and the operators.

#include "ops/functions/function_support.h"

namespace hub {
namespace {

Output binary(std::string_view op, const Input& x, const Input& y, std::string_view name) {
  return graph_of({&x, &y}).op(op, {x, y}, {}, name);
}

Output unary(std::string_view op, const Output& x, std::string_view name) {
  return x.graph().op(op, {x}, {}, name);
}

// What Python's `/` makes of integers (math_ops._truediv_python3); kInvalid: no cast.
DType division_dtype(DType dtype) {
  switch (dtype) {
    case DType::kUint8:
    case DType::kInt8:
    case DType::kUint16:
    case DType::kInt16: return kFloat;
    case DType::kInt32:
    case DType::kInt64:
    case DType::kUint32:
    case DType::kUint64: return kDouble;
    default: return DType::kInvalid;
  }
}

bool is_text(const Input& x) { return x.dtype() == kString; }

}  // namespace

namespace ops {

Output add(const Input& x, const Input& y, std::string_view name) {
  return binary(is_text(x) || is_text(y) ? "Add" : "AddV2", x, y, name_or(name, "Add"));
}
Output subtract(const Input& x, const Input& y, std::string_view name) {
  return binary("Sub", x, y, name);
}
Output multiply(const Input& x, const Input& y, std::string_view name) {
  return binary("Mul", x, y, name);
}
Output divide(const Input& x, const Input& y, std::string_view name) {
  const Graph graph = graph_of({&x, &y});
  const DType dtype = x.dtype() != DType::kInvalid ? x.dtype() : y.dtype();
  const DType wanted = division_dtype(dtype);
  const NameScope scope(graph, name_or(name, "truediv"));
  if (wanted == DType::kInvalid) return graph.op("RealDiv", {x, y}, {}, scope.name());
  const auto as_float = [&](const Input& input) -> Input {
    const Output* output = input.output();
    if (output != nullptr) return cast(*output, wanted, "Cast");
    return input;
  };
  const Input numerator = as_float(x);
  return graph.op("RealDiv", {numerator, as_float(y)}, {}, scope.name());
}
Output floor_div(const Input& x, const Input& y, std::string_view name) {
  return binary("FloorDiv", x, y, name_or(name, "floordiv"));
}
Output floor_mod(const Input& x, const Input& y, std::string_view name) {
  return binary("FloorMod", x, y, name);
}
Output pow(const Input& x, const Input& y, std::string_view name) {
  return binary("Pow", x, y, name);
}
Output maximum(const Input& x, const Input& y, std::string_view name) {
  return binary("Maximum", x, y, name);
}
Output minimum(const Input& x, const Input& y, std::string_view name) {
  return binary("Minimum", x, y, name);
}
Output squared_difference(const Input& x, const Input& y, std::string_view name) {
  return binary("SquaredDifference", x, y, name);
}
Output equal(const Input& x, const Input& y, std::string_view name) {
  return binary("Equal", x, y, name);
}
Output not_equal(const Input& x, const Input& y, std::string_view name) {
  return binary("NotEqual", x, y, name);
}
Output less(const Input& x, const Input& y, std::string_view name) {
  return binary("Less", x, y, name);
}
Output less_equal(const Input& x, const Input& y, std::string_view name) {
  return binary("LessEqual", x, y, name);
}
Output greater(const Input& x, const Input& y, std::string_view name) {
  return binary("Greater", x, y, name);
}
Output greater_equal(const Input& x, const Input& y, std::string_view name) {
  return binary("GreaterEqual", x, y, name);
}
Output logical_and(const Input& x, const Input& y, std::string_view name) {
  return binary("LogicalAnd", x, y, name);
}
Output logical_or(const Input& x, const Input& y, std::string_view name) {
  return binary("LogicalOr", x, y, name);
}
Output logical_not(const Output& x, std::string_view name) { return unary("LogicalNot", x, name); }

Output add_n(const std::vector<Output>& xs, std::string_view name) {
  if (xs.empty()) throw invalid_argument("AddN: at least one tensor is needed.");
  if (xs.size() == 1) return name.empty() ? xs[0] : identity(xs[0], name);
  return xs[0].graph().op("AddN", {xs.begin(), xs.end()}, {}, name);
}
Output select(const Output& condition, const Output& x, const Output& y, std::string_view name) {
  return condition.graph().op("Select", {condition, x, y}, {}, name);
}

Output negative(const Output& x, std::string_view name) { return unary("Neg", x, name); }
Output abs(const Output& x, std::string_view name) { return unary("Abs", x, name); }
Output sign(const Output& x, std::string_view name) { return unary("Sign", x, name); }
Output square(const Output& x, std::string_view name) { return unary("Square", x, name); }
Output sqrt(const Output& x, std::string_view name) { return unary("Sqrt", x, name); }
Output rsqrt(const Output& x, std::string_view name) { return unary("Rsqrt", x, name); }
Output reciprocal(const Output& x, std::string_view name) { return unary("Reciprocal", x, name); }
Output exp(const Output& x, std::string_view name) { return unary("Exp", x, name); }
Output log(const Output& x, std::string_view name) { return unary("Log", x, name); }
Output log1p(const Output& x, std::string_view name) { return unary("Log1p", x, name); }
Output floor(const Output& x, std::string_view name) { return unary("Floor", x, name); }
Output tanh(const Output& x, std::string_view name) { return unary("Tanh", x, name); }
Output sigmoid(const Output& x, std::string_view name) { return unary("Sigmoid", x, name); }
Output sin(const Output& x, std::string_view name) { return unary("Sin", x, name); }
Output cos(const Output& x, std::string_view name) { return unary("Cos", x, name); }
Output relu(const Output& x, std::string_view name) { return unary("Relu", x, name); }
Output relu6(const Output& x, std::string_view name) { return unary("Relu6", x, name); }
Output elu(const Output& x, std::string_view name) { return unary("Elu", x, name); }
Output softplus(const Output& x, std::string_view name) { return unary("Softplus", x, name); }
Output softmax(const Output& logits, std::string_view name) {
  return unary("Softmax", logits, name);
}
Output log_softmax(const Output& logits, std::string_view name) {
  return unary("LogSoftmax", logits, name);
}
Output l2_loss(const Input& x, std::string_view name) {
  return graph_of({&x}).op("L2Loss", {x}, {}, name);
}

}  // namespace ops

Output operator+(const Input& x, const Input& y) { return ops::add(x, y, "add"); }
Output operator-(const Input& x, const Input& y) { return ops::subtract(x, y, "sub"); }
Output operator*(const Input& x, const Input& y) { return ops::multiply(x, y, "mul"); }
Output operator/(const Input& x, const Input& y) { return ops::divide(x, y, "truediv"); }
Output operator-(const Output& x) { return ops::negative(x, "Neg"); }

}  // namespace hub
