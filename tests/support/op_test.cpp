#include "support/op_test.h"

#include <algorithm>
#include <charconv>

#include "base/strings.h"
#include "graph/shape_context.h"
#include "ops/builtin.h"
#include "replay/recorded.h"
#include "replay/runner.h"

namespace hub::testing {
namespace {

template <class T>
AttrValue list_attr(std::vector<T> AttrList::*field, std::vector<T> values) {
  AttrList list;
  list.*field = std::move(values);
  return AttrValue(std::move(list));
}

AttrMap attr_map(const Attrs& attrs) {
  AttrMap result;
  for (const auto& [name, attr] : attrs) result[name] = attr.value;
  return result;
}

const OpDefMessage& schema_of(std::string_view op) {
  const Op* found = builtin_ops().find(op);
  if (found == nullptr) throw not_found("There is no such op. Details: ", op, ".");
  return found->schema();
}

bool is_variadic(const ArgDef& arg) {
  return !arg.number_attr.empty() || !arg.type_list_attr.empty();
}

DType default_dtype(const AttrDef& def) {
  if (def.default_value) {
    if (const auto* dtype = std::get_if<DType>(&def.default_value->value)) return *dtype;
  }
  if (!def.allowed_values) return kFloat;
  const auto& allowed = std::get<AttrList>(def.allowed_values->value).types;
  if (allowed.empty() || std::ranges::count(allowed, kFloat) > 0) return kFloat;
  return allowed[0];
}

// The dtype of part `part` of an argument.
DType dtype_of_arg(const OpDefMessage& schema, const ArgDef& arg, std::size_t part,
                   const AttrMap& attrs) {
  const std::string& name = arg.type_list_attr.empty() ? arg.type_attr : arg.type_list_attr;
  if (name.empty()) return arg.type;
  if (const auto given = attrs.find(name); given != attrs.end()) {
    if (const auto* dtype = std::get_if<DType>(&given->second.value)) return *dtype;
    if (const auto* list = std::get_if<AttrList>(&given->second.value)) {
      if (part < list->types.size()) return list->types[part];
    }
  }
  if (!arg.type_list_attr.empty()) return kFloat;
  const AttrDef* def = find_attr_def(schema, name);
  return def == nullptr ? kFloat : default_dtype(*def);
}

std::size_t parts_of(const OpDefMessage& schema, const ArgDef& arg, std::size_t total,
                     const AttrMap& attrs) {
  if (!is_variadic(arg)) return 1;
  const std::string& name = arg.number_attr.empty() ? arg.type_list_attr : arg.number_attr;
  if (const auto given = attrs.find(name); given != attrs.end()) {
    if (const auto* number = std::get_if<std::int64_t>(&given->second.value)) {
      return static_cast<std::size_t>(*number);
    }
    if (const auto* list = std::get_if<AttrList>(&given->second.value)) return list->types.size();
  }
  const std::size_t others = schema.inputs.size() - 1;
  return total >= others ? total - others : 0;
}

struct InputType {
  DType dtype = DType::kInvalid;
  bool is_ref = false;
};

// What the schema wants as inputs.
std::vector<InputType> input_types(std::string_view op, std::size_t total, const AttrMap& attrs) {
  const OpDefMessage& schema = schema_of(op);
  std::vector<InputType> result;
  for (const ArgDef& arg : schema.inputs) {
    const std::size_t parts = parts_of(schema, arg, total, attrs);
    for (std::size_t part = 0; part < parts; ++part) {
      result.push_back({dtype_of_arg(schema, arg, part, attrs), arg.is_ref});
    }
  }
  result.resize(total, {kFloat, false});
  return result;
}

template <class T>
Tensor tensor_of(const Shape& shape, std::initializer_list<T> values) {
  return make_tensor<T>(shape, values);
}

// Compares bits: -0 is not 0, a NaN equals the same NaN.
bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  if (a.dtype() == kString)
    return std::ranges::equal(a.values<std::string>(), b.values<std::string>());
  return dtype_size(a.dtype()) == 0 || std::ranges::equal(a.bytes(), b.bytes());
}

std::vector<Tensor> run_once(std::string_view op, const std::vector<Tensor>& inputs,
                             const Attrs& attrs, EngineOptions options) {
  TestGraph graph(options);
  const auto types = input_types(op, inputs.size(), attr_map(attrs));
  std::vector<OutputId> arguments;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    arguments.push_back(types[i].is_ref ? graph.reference_variable(inputs[i])
                                        : graph.input(inputs[i]));
  }
  const OutputId node = graph.add(op, arguments, attrs);
  std::vector<OutputId> fetches;
  const int count = static_cast<int>(graph.graph().node(node.node).outputs.size());
  for (int i = 0; i < count; ++i) fetches.push_back({node.node, i});
  const std::vector<OutputId> targets = count == 0 ? std::vector{node} : std::vector<OutputId>{};
  std::vector<Tensor> outputs = graph.run(fetches, targets);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const OutputFact& fact = graph.graph().fact(fetches[i]);
    const auto text = replay::fact_difference(outputs[i], fact.dtype, fact.shape);
    if (text) ADD_FAILURE() << op << ":" << i << ": " << *text;
  }
  return outputs;
}

}  // namespace

Attr ints_attr(std::vector<std::int64_t> values) {
  return list_attr(&AttrList::ints, std::move(values));
}
Attr floats_attr(std::vector<float> values) {
  return list_attr(&AttrList::floats, std::move(values));
}
Attr strings_attr(std::vector<std::string> values) {
  return list_attr(&AttrList::strings, std::move(values));
}
Attr types_attr(std::vector<DType> values) {
  return list_attr(&AttrList::types, std::move(values));
}
Attr shapes_attr(std::vector<PartialShape> values) {
  return list_attr(&AttrList::shapes, std::move(values));
}

Tensor floats(const Shape& shape, std::initializer_list<float> values) {
  return tensor_of(shape, values);
}
Tensor doubles(const Shape& shape, std::initializer_list<double> values) {
  return tensor_of(shape, values);
}
Tensor ints(const Shape& shape, std::initializer_list<std::int32_t> values) {
  return tensor_of(shape, values);
}
Tensor int64s(const Shape& shape, std::initializer_list<std::int64_t> values) {
  return tensor_of(shape, values);
}
Tensor bools(const Shape& shape, std::initializer_list<bool> values) {
  return tensor_of(shape, values);
}
Tensor texts(const Shape& shape, std::initializer_list<std::string> values) {
  return tensor_of(shape, values);
}

PartialShape partial_shape(std::string_view text) {
  text = trim(text);
  if (text == "?") return {};
  const auto fail = [&] {
    throw invalid_argument("A shape is \"[2,?]\" or \"?\". Details: got \"", text, "\".");
  };
  if (!text.starts_with('[') || !text.ends_with(']')) fail();
  const std::string_view inside = trim(text.substr(1, text.size() - 2));
  std::vector<std::int64_t> dims;
  if (!inside.empty()) {
    for (const std::string& part : split(inside, ',')) {
      const std::string_view dim = trim(part);
      std::int64_t size = -1;
      if (dim != "?") {
        const auto [end, error] = std::from_chars(dim.data(), dim.data() + dim.size(), size);
        if (error != std::errc() || end != dim.data() + dim.size()) fail();
      }
      dims.push_back(size);
    }
  }
  return PartialShape(std::move(dims));
}

std::string infer(std::string_view op, std::string_view inputs, const Attrs& attrs,
                  const std::map<int, Tensor>& constants) {
  const std::vector<std::string> shapes =
      inputs.empty() ? std::vector<std::string>{} : split(inputs, ';');
  const auto types = input_types(op, shapes.size(), attr_map(attrs));
  TestGraph test;
  std::vector<OutputId> arguments;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    if (const auto known = constants.find(static_cast<int>(i)); known != constants.end()) {
      arguments.push_back(test.constant(known->second));
    } else {
      arguments.push_back(
          test.add(types[i].is_ref ? "VariableV2" : "Placeholder", {},
                   {{"dtype", types[i].dtype}, {"shape", partial_shape(shapes[i])}}));
    }
  }
  const OutputId node = test.add(op, arguments, attrs);
  std::string result;
  for (const OutputFact& fact : test.graph().node(node.node).outputs) {
    if (!result.empty()) result += ';';
    result += to_string(fact.shape);
  }
  return result;
}

std::vector<Tensor> run(std::string_view op, const std::vector<Tensor>& inputs,
                        const Attrs& attrs) {
  const std::vector<Tensor> plain = run_once(op, inputs, attrs, {.threads = 1, .passes = false});
  std::vector<Tensor> result = run_once(op, inputs, attrs, {});
  for (std::size_t i = 0; i < result.size(); ++i) {
    EXPECT_TRUE(same_bits(result[i], plain[i]))
        << op << ":" << i << " is " << to_string(result[i]) << " with passes and threads, "
        << to_string(plain[i]) << " without";
  }
  return result;
}

const OpRegistry& TestGraph::registry() { return builtin_ops(); }

OutputId TestGraph::input(const Tensor& value) {
  const OutputId placeholder =
      add("Placeholder", {}, {{"dtype", value.dtype()}, {"shape", PartialShape(value.shape())}});
  feeds_.push_back({placeholder, value});
  return placeholder;
}

OutputId TestGraph::constant(const Tensor& value) {
  return add("Const", {}, {{"dtype", value.dtype()}, {"value", value}});
}

OutputId TestGraph::variable(const Tensor& value) {
  const std::string name = cat("variable ", variables_.size());
  const OutputId handle = add(
      "VarHandleOp", {},
      {{"dtype", value.dtype()}, {"shape", PartialShape(value.shape())}, {"shared_name", name}});
  variables_[handle.node] = value;
  return handle;
}

OutputId TestGraph::reference_variable(const Tensor& value) {
  const OutputId reference =
      add("VariableV2", {}, {{"dtype", value.dtype()}, {"shape", PartialShape(value.shape())}});
  variables_[reference.node] = value;
  return reference;
}

OutputId TestGraph::add(std::string_view op, const std::vector<OutputId>& inputs,
                        const Attrs& attrs, const std::vector<OutputId>& control_inputs) {
  NodeSpec spec{.name = graph_.unique_name(op),
                .op = std::string(op),
                .inputs = inputs,
                .attrs = attr_map(attrs)};
  for (const OutputId control : control_inputs) spec.control_inputs.push_back(control.node);
  return {graph_.add(std::move(spec)), 0};
}

Engine& TestGraph::engine() {
  if (!engine_) {
    engine_ = std::make_unique<Engine>(graph_, options_);
    for (const auto& [node, value] : variables_) engine_->set_variable(node, value);
  }
  return *engine_;
}

std::vector<Tensor> TestGraph::run(const std::vector<OutputId>& fetches,
                                   const std::vector<OutputId>& targets) {
  std::vector<int> target_nodes;
  for (const OutputId target : targets) target_nodes.push_back(target.node);
  return engine().run(feeds_, fetches, target_nodes);
}

void replay_recorded(std::string_view family, std::string_view op) {
  const auto list =
      replay::RecordedCases::read(cat(TF1HUB_TEST_DATA_DIR, "/conformance/", family, ".binpb"));
  std::vector<replay::Unit> units = list->units();
  const std::string prefix = op.empty() ? std::string() : cat(family, "/", op, "/");
  std::erase_if(units, [&](const replay::Unit& unit) {
    return unit.kind != replay::UnitKind::kCase || !unit.id.starts_with(prefix);
  });
  EXPECT_FALSE(units.empty()) << "no recorded case of " << family << "/" << op;
  const replay::RunSettings settings{.modes = replay::all_modes(0), .runners = 1, .exceptions = {}};
  replay::run_units(units, settings, [](const replay::Unit& unit, const replay::Outcome& outcome) {
    EXPECT_TRUE(outcome.passed) << unit.id << ": " << outcome.reason;
  });
}

}  // namespace hub::testing
