// Graph::op: values become constants, attributes follow from the inputs, as TensorFlow's
// op_def_library does it.

#include <algorithm>

#include "base/errors.h"
#include "graph/graph_state.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// How the flat list of inputs is shared among the arguments of a schema.
struct ArgCounts {
  std::vector<std::size_t> counts;
  bool known = true;
};

bool is_list(const ArgDef& arg) { return !arg.number_attr.empty() || !arg.type_list_attr.empty(); }

std::optional<std::size_t> list_size(const ArgDef& arg, const AttrMap& attrs) {
  if (!arg.number_attr.empty()) {
    const auto found = attrs.find(arg.number_attr);
    if (found == attrs.end()) return std::nullopt;
    const auto* number = std::get_if<std::int64_t>(&found->second.value);
    return number == nullptr || *number < 0 ? 0 : static_cast<std::size_t>(*number);
  }
  const auto found = attrs.find(arg.type_list_attr);
  if (found == attrs.end()) return std::nullopt;
  const auto* list = std::get_if<AttrList>(&found->second.value);
  return list == nullptr ? 0 : list->types.size();
}

ArgCounts arg_counts(const OpDefMessage& schema, const AttrMap& attrs, std::size_t inputs) {
  ArgCounts result;
  std::size_t used = 0;
  int open = -1;
  for (const ArgDef& arg : schema.inputs) {
    const std::optional<std::size_t> count = is_list(arg) ? list_size(arg, attrs) : 1;
    if (!count && open >= 0) result.known = false;
    if (!count) open = static_cast<int>(result.counts.size());
    result.counts.push_back(count.value_or(0));
    used += count.value_or(0);
  }
  if (open >= 0 && inputs >= used) result.counts[static_cast<std::size_t>(open)] = inputs - used;
  return result;
}

// The dtype that the schema and the other inputs ask of an argument; kInvalid: any.
DType wanted_dtype(const ArgDef& arg, const AttrMap& attrs,
                   const std::map<std::string, DType>& known) {
  if (arg.type != DType::kInvalid) return arg.type;
  if (const auto found = known.find(arg.type_attr); found != known.end()) return found->second;
  if (const auto found = attrs.find(arg.type_attr); found != attrs.end()) {
    if (const auto* dtype = std::get_if<DType>(&found->second.value)) return *dtype;
  }
  return DType::kInvalid;
}

// A dtype that the attribute has by itself, for values that have none.
DType default_dtype(const OpDefMessage& schema, const ArgDef& arg) {
  const AttrDef* attr = find_attr_def(schema, arg.type_attr);
  if (attr == nullptr || !attr->default_value) return DType::kInvalid;
  const auto* dtype = std::get_if<DType>(&attr->default_value->value);
  return dtype == nullptr ? DType::kInvalid : *dtype;
}

Tensor value_as(const Input& input, DType wanted, DType preferred) {
  const auto either = [&](DType otherwise) {
    if (wanted != DType::kInvalid) return wanted;
    return preferred != DType::kInvalid ? preferred : otherwise;
  };
  const Input::Value& value = input.value();
  if (const auto* tensor = std::get_if<Tensor>(&value)) return *tensor;
  if (const auto* text = std::get_if<std::string>(&value)) return make_scalar<std::string>(*text);
  if (const auto* flag = std::get_if<bool>(&value)) return make_scalar<bool>(*flag);
  if (const auto* number = std::get_if<std::int64_t>(&value))
    return make_scalar_of(either(DType::kInt32), *number);
  const double number = std::get<double>(value);
  DType dtype = either(DType::kFloat32);
  if (wanted == DType::kInvalid && dtype == DType::kInt32) dtype = DType::kFloat32;
  return make_scalar_of(dtype, number);
}

template <class Number>
Tensor scalar_of(DType dtype, Number value) {
  Tensor tensor(dtype, Shape{});
  if (dtype == DType::kBool || dtype == DType::kString || dtype_size(dtype) == 0) {
    throw invalid_argument("A number does not fit the dtype that is needed here. Details: ", value,
                           " as ", dtype, ".");
  }
  dispatch(Numbers{}, dtype, [&]<class T>() {
    if constexpr (std::integral<T>) {
      if (static_cast<Number>(static_cast<T>(value)) != value) {
        throw invalid_argument("A number does not fit the dtype that is needed here. Details: ",
                               value, " as ", dtype, ".");
      }
      *tensor.mutable_data<T>() = static_cast<T>(value);
    } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
      *tensor.mutable_data<T>() = T(static_cast<float>(value));
    } else if constexpr (std::is_same_v<T, std::complex<float>>) {
      *tensor.mutable_data<T>() = T(static_cast<float>(value), 0);
    } else if constexpr (std::is_same_v<T, std::complex<double>>) {
      *tensor.mutable_data<T>() = T(static_cast<double>(value), 0);
    } else {
      *tensor.mutable_data<T>() = static_cast<T>(value);
    }
  });
  return tensor;
}

}  // namespace

Tensor make_scalar_of(DType dtype, double value) { return scalar_of(dtype, value); }
Tensor make_scalar_of(DType dtype, std::int64_t value) { return scalar_of(dtype, value); }

Attrs constant_attrs(const Input& value) {
  if (value.graph_state() != nullptr)
    throw invalid_argument("A constant is made of a value. Details: got a tensor of a graph.");
  Tensor tensor = value_as(value, DType::kInvalid, DType::kInvalid);
  if (!tensor.is_valid()) throw invalid_argument("A constant needs a value.");
  return {{"dtype", tensor.dtype()}, {"value", std::move(tensor)}};
}

int GraphState::build(std::string_view op_type, const std::vector<Input>& inputs, AttrMap attrs,
                      std::string_view name) {
  const Op* op = data_.registry().find(op_type);
  const auto function = data_.functions.find(op_type);
  if (op == nullptr && function == data_.functions.end()) {
    throw not_found("There is no op of this name, and no function. Details: \"", printable(op_type),
                    "\" for a node \"", printable(name), "\" in scope \"", name_stack_, "\".");
  }
  // TensorFlow opens no scope for a constant.
  if (op_type == "Const") return create(op_type, {}, std::move(attrs), name);
  // The constants that are made of values are named below the node.
  const NameScope scope(Graph(shared_from_this()), name.empty() ? op_type : name);
  const OpDefMessage& schema = op != nullptr ? op->schema() : function->second->signature;
  std::vector<OutputId> ids =
      with_context([&] { return converted(op_type, schema, inputs, attrs); },
                   [&] { return cat("in node \"", name_stack_, "\" (", op_type, ")"); });
  return create(op_type, std::move(ids), std::move(attrs), cat(name_stack_, "/"));
}

int GraphState::create_scoped(std::string_view op_type, std::vector<OutputId> inputs, AttrMap attrs,
                              std::string_view name) {
  const NameScope scope(Graph(shared_from_this()), name);
  return create(op_type, std::move(inputs), std::move(attrs), scope.name());
}

// A variable is read where it is used, and placed where it is.
OutputId GraphState::read_variable(OutputId handle, DType dtype) {
  const auto colocation = std::exchange(colocation_stack, {});
  AttrMap attrs;
  attrs["dtype"] = AttrValue(dtype);
  const int node = create_scoped("ReadVariableOp", {handle}, std::move(attrs), "ReadVariableOp");
  colocation_stack = colocation;
  return {node, 0};
}

std::vector<OutputId> GraphState::converted(std::string_view, const OpDefMessage& schema,
                                            const std::vector<Input>& inputs, AttrMap& attrs) {
  const bool all_tensors =
      std::ranges::all_of(inputs, [](const Input& input) { return input.output() != nullptr; });
  std::vector<OutputId> ids(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (const Output* output = inputs[i].output()) ids[i] = id_of(*output, *this);
  }
  if (all_tensors) return ids;
  const ArgCounts args = arg_counts(schema, attrs, inputs.size());
  if (!args.known) {
    throw invalid_argument(
        "Values can be inputs only where the attributes say how long each list "
        "of inputs is.");
  }
  std::map<std::string, DType> known;
  const auto for_each_input = [&](auto&& visit) {
    std::size_t next = 0;
    for (std::size_t a = 0; a < schema.inputs.size(); ++a) {
      for (std::size_t k = 0; k < args.counts[a] && next < inputs.size(); ++k, ++next)
        visit(schema.inputs[a], k, next);
    }
  };
  for_each_input([&](const ArgDef& arg, std::size_t, std::size_t i) {
    const bool has_dtype = std::holds_alternative<Output>(inputs[i].value()) ||
                           std::holds_alternative<Tensor>(inputs[i].value()) ||
                           std::holds_alternative<VariableRead>(inputs[i].value());
    if (has_dtype && !arg.type_attr.empty()) known.try_emplace(arg.type_attr, inputs[i].dtype());
  });
  for_each_input([&](const ArgDef& arg, std::size_t k, std::size_t i) {
    if (ids[i].is_valid()) return;
    if (const auto* read = std::get_if<VariableRead>(&inputs[i].value())) {
      ids[i] = read_variable(id_of(read->handle, *this), read->dtype);
      return;
    }
    Tensor value = value_as(inputs[i], wanted_dtype(arg, attrs, known), default_dtype(schema, arg));
    if (!value.is_valid()) throw invalid_argument("A value is missing. Details: input ", i, ".");
    if (!arg.type_attr.empty()) known.try_emplace(arg.type_attr, value.dtype());
    AttrMap constant;
    constant["dtype"] = AttrValue(value.dtype());
    constant["value"] = AttrValue(std::move(value));
    const std::string name = is_list(arg) ? cat(arg.name, "_", k) : arg.name;
    ids[i] = {create("Const", {}, std::move(constant), name), 0};
  });
  return ids;
}

}  // namespace hub
