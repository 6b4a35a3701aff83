// The schema notation of the op tables, parsed into TensorFlow's OpDef.

#include <algorithm>
#include <array>
#include <charconv>

#include "base/errors.h"
#include "graph/op.h"

namespace hub {
namespace {

constexpr std::string_view kNumberTypes =
    "float32,float64,int32,uint8,int16,int8,complex64,int64,qint8,quint8,qint32,bfloat16,qint16,"
    "quint16,uint16,complex128,float16,uint32,uint64";
constexpr std::string_view kRealNumberTypes =
    "float32,float64,int32,uint8,int16,int8,int64,bfloat16,uint16,float16,uint32,uint64";
constexpr std::string_view kQuantizedTypes = "qint8,quint8,qint32,qint16,quint16";

// Splits at `separator` outside of brackets, braces and quotes.
std::vector<std::string_view> split_top_level(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  int depth = 0;
  bool quoted = false;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\'') quoted = !quoted;
    if (quoted) continue;
    if (c == '{' || c == '[' || c == '(') ++depth;
    if (c == '}' || c == ']' || c == ')') --depth;
    if (c == separator && depth == 0) {
      parts.push_back(trim(text.substr(begin, i - begin)));
      begin = i + 1;
    }
  }
  const std::string_view last = trim(text.substr(begin));
  if (!last.empty()) parts.push_back(last);
  return parts;
}

class SchemaParser {
 public:
  explicit SchemaParser(const OpDef& def) : def_(def) {}

  OpDefMessage parse() {
    OpDefMessage schema;
    schema.name = def_.name;
    for (const auto text : split_top_level(def_.attrs, ';')) schema.attrs.push_back(attr(text));
    for (const auto text : split_top_level(def_.inputs, ','))
      schema.inputs.push_back(arg(text, schema));
    for (const auto text : split_top_level(def_.outputs, ','))
      schema.outputs.push_back(arg(text, schema));
    schema.is_stateful = def_.stateful;
    schema.is_commutative = def_.commutative;
    schema.is_aggregate = def_.aggregate;
    schema.allows_uninitialized_input = def_.allows_uninitialized_input;
    return schema;
  }

 private:
  [[noreturn]] void bad(std::string_view text, std::string_view rule) const {
    throw internal_error("op table entry ", def_.name, ": ", rule, ". Details: \"", text, "\".");
  }

  std::pair<std::string_view, std::string_view> name_and_rest(std::string_view text) const {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) bad(text, "expected \"name: type\"");
    return {trim(text.substr(0, colon)), trim(text.substr(colon + 1))};
  }

  ArgDef arg(std::string_view text, const OpDefMessage& schema) const {
    auto [name, type] = name_and_rest(text);
    ArgDef arg;
    arg.name = name;
    if (type.starts_with("Ref(") && type.ends_with(")")) {
      arg.is_ref = true;
      type = trim(type.substr(4, type.size() - 5));
    }
    if (const auto star = type.find('*'); star != std::string_view::npos) {
      arg.number_attr = trim(type.substr(0, star));
      type = trim(type.substr(star + 1));
    }
    if (const AttrDef* attr_def = find_attr_def(schema, type)) {
      (attr_def->type == "list(type)" ? arg.type_list_attr : arg.type_attr) = type;
    } else {
      arg.type = dtype_from_name(type);
      if (arg.type == DType::kInvalid) bad(text, "unknown dtype or attribute");
    }
    return arg;
  }

  AttrDef attr(std::string_view text) const {
    auto [name, rest] = name_and_rest(text);
    AttrDef attr;
    attr.name = name;
    std::string_view default_text;
    bool has_default = false;
    if (const auto equals = find_equals(rest); equals != std::string_view::npos) {
      default_text = trim(rest.substr(equals + 1));
      rest = trim(rest.substr(0, equals));
      has_default = true;
    }
    if (const auto minimum = rest.find(">="); minimum != std::string_view::npos) {
      attr.has_minimum = true;
      attr.minimum = integer(trim(rest.substr(minimum + 2)));
      rest = trim(rest.substr(0, minimum));
    }
    set_type(attr, rest);
    if (has_default) attr.default_value = value(attr.type, default_text);
    return attr;
  }

  // The '=' of a default, not that of ">=".
  static std::size_t find_equals(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '=' && (i == 0 || text[i - 1] != '>')) return i;
    }
    return std::string_view::npos;
  }

  void set_type(AttrDef& attr, std::string_view text) const {
    bool list = false;
    if (text.starts_with("list(") && text.ends_with(")")) {
      list = true;
      text = trim(text.substr(5, text.size() - 6));
    }
    AttrList allowed;
    if (text == "numbertype") {
      allowed.types = types(kNumberTypes);
    } else if (text == "realnumbertype") {
      allowed.types = types(kRealNumberTypes);
    } else if (text == "quantizedtype") {
      allowed.types = types(kQuantizedTypes);
    } else if (text.starts_with("{") && text.ends_with("}")) {
      const std::string_view inside = trim(text.substr(1, text.size() - 2));
      if (inside.starts_with("'")) {
        for (const auto word : split_top_level(inside, ','))
          allowed.strings.push_back(quoted(word));
        text = "string";
      } else {
        allowed.types = types(inside);
      }
    }
    if (!allowed.types.empty()) text = "type";
    if (!allowed.types.empty() || !allowed.strings.empty())
      attr.allowed_values = AttrValue(allowed);
    attr.type = list ? cat("list(", text, ")") : std::string(text);
  }

  std::vector<DType> types(std::string_view text) const {
    std::vector<DType> result;
    for (const auto word : split_top_level(text, ',')) {
      const DType dtype = dtype_from_name(word);
      if (dtype == DType::kInvalid) bad(text, "unknown dtype");
      result.push_back(dtype);
    }
    return result;
  }

  std::string quoted(std::string_view text) const {
    if (text.size() < 2 || text.front() != '\'' || text.back() != '\'')
      bad(text, "expected a quoted string");
    std::string result;
    for (std::size_t i = 1; i + 1 < text.size(); ++i) {
      if (text[i] != '\\') {
        result += text[i];
        continue;
      }
      // As in C++; nothing else occurs in TensorFlow's schemas.
      switch (text[++i]) {
        case 't': result += '\t'; break;
        case 'n': result += '\n'; break;
        case '\\': result += '\\'; break;
        default: bad(text, "unknown escape");
      }
    }
    return result;
  }

  std::int64_t integer(std::string_view text) const {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) bad(text, "expected an integer");
    return number;
  }

  float real(std::string_view text) const {
    if (text == "inf") return std::numeric_limits<float>::infinity();
    if (text == "-inf") return -std::numeric_limits<float>::infinity();
    float number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) bad(text, "expected a number");
    return number;
  }

  PartialShape shape(std::string_view text) const {
    if (text == "?") return {};
    if (!text.starts_with("[")) bad(text, "expected a shape");
    std::vector<std::int64_t> dims;
    for (const auto word : split_top_level(text.substr(1, text.size() - 2), ',')) {
      dims.push_back(word == "?" ? -1 : integer(word));
    }
    return PartialShape(dims);
  }

  // The only default tensors are vectors of uint8: "[255, 0]".
  Tensor bytes(std::string_view text) const {
    if (!text.starts_with("[")) bad(text, "expected a list of numbers");
    std::vector<std::uint8_t> values;
    for (const auto word : split_top_level(text.substr(1, text.size() - 2), ',')) {
      values.push_back(static_cast<std::uint8_t>(integer(word)));
    }
    Tensor tensor(DType::kUint8, Shape{static_cast<std::int64_t>(values.size())});
    std::copy(values.begin(), values.end(), tensor.mutable_data<std::uint8_t>());
    return tensor;
  }

  AttrValue value(std::string_view type, std::string_view text) const {
    if (type == "int") return AttrValue(integer(text));
    if (type == "float") return AttrValue(real(text));
    if (type == "bool") return AttrValue(text == "true");
    if (type == "string") return AttrValue(quoted(text));
    if (type == "type") return AttrValue(types(text).at(0));
    if (type == "shape") return AttrValue(shape(text));
    if (type == "tensor") return AttrValue(bytes(text));
    if (type == "func") {
      FunctionRef function;
      function.name = quoted(text);
      return AttrValue(function);
    }
    if (!type.starts_with("list(") || !text.starts_with("["))
      bad(text, "no default of this type is known");
    AttrList list;
    const std::string_view element = type.substr(5, type.size() - 6);
    for (const auto word : split_top_level(text.substr(1, text.size() - 2), ',')) {
      if (element == "int") list.ints.push_back(integer(word));
      if (element == "float") list.floats.push_back(real(word));
      if (element == "bool") list.bools.push_back(word == "true");
      if (element == "string") list.strings.push_back(quoted(word));
      if (element == "type") list.types.push_back(types(word).at(0));
      if (element == "shape") list.shapes.push_back(shape(word));
    }
    return AttrValue(list);
  }

  const OpDef& def_;
};

}  // namespace

OpDefMessage parse_schema(const OpDef& def) { return SchemaParser(def).parse(); }

const AttrDef* find_attr_def(const OpDefMessage& schema, std::string_view name) {
  for (const AttrDef& attr : schema.attrs) {
    if (attr.name == name) return &attr;
  }
  return nullptr;
}

const OpDefMessage& Op::schema() const {
  std::call_once(parsed_, [this] { schema_ = parse_schema(*def_); });
  return schema_;
}

OpRegistry::OpRegistry(std::span<const OpFamily> families) {
  for (const OpFamily family : families) {
    for (const OpDef& def : family) {
      const bool added = ops_.emplace(def.name, std::make_unique<Op>(def)).second;
      if (!added) throw internal_error("op table entry ", def.name, " stands in two families.");
    }
  }
}

const Op* OpRegistry::find(std::string_view name) const {
  const auto found = ops_.find(name);
  return found == ops_.end() ? nullptr : found->second.get();
}

std::vector<const Op*> OpRegistry::ops() const {
  std::vector<const Op*> all;
  for (const auto& [name, op] : ops_) all.push_back(op.get());
  std::ranges::sort(all, {}, &Op::name);
  return all;
}

}  // namespace hub
