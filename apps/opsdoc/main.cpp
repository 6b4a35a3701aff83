// tf1hub-opsdoc: writes docs/ops.md from the op tables, the dtypes of TensorFlow's CPU kernels
// and the recorded cases. A test compares the committed page with what this writes.

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "autodiff/structure.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/strings.h"
#include "ops/builtin.h"
#include "ops/gradients.h"
#include "replay/recorded.h"

namespace hub {
namespace {

constexpr std::string_view kHead = R"(# Ops

Written by `make docs` from the op tables, TensorFlow's CPU kernels (`tests/data/registry/`) and the
recorded runs (`tests/data/conformance/`). Do not edit.

- **dtypes**: what each type attribute may be, as TensorFlow 2.15's CPU kernels take it. An op without
  type attributes shows its inputs and outputs. *floats* are float16, bfloat16, float32, float64;
  *integers* int8 to int64 and uint8 to uint64; *complex* complex64 and complex128; *quantized*
  qint8, quint8, qint16, quint16, qint32; *any* all of these and bool, string, resource, variant.
- **gradient**: *yes*: `autodiff` goes through it; *not yet*: it has one in TensorFlow that is not
  written here; *none*: it gives None, as in TensorFlow; *refused*: asking for it is an error, as in
  TensorFlow.
- **cases**: how many recorded TensorFlow runs have the op in their graph.

)";

struct DTypeGroup {
  std::string_view name;
  std::vector<DType> members;
};

const std::vector<DTypeGroup>& dtype_groups() {
  using enum DType;
  static const std::vector<DTypeGroup> groups = {
      {"floats", {kFloat16, kBfloat16, kFloat32, kFloat64}},
      {"integers", {kInt8, kInt16, kInt32, kInt64, kUint8, kUint16, kUint32, kUint64}},
      {"complex", {kComplex64, kComplex128}},
      {"quantized", {kQint8, kQuint8, kQint16, kQuint16, kQint32}},
      {"", {kBool, kString, kResource, kVariant}},  // named one by one
  };
  return groups;
}

std::string text_of(const std::set<DType>& dtypes) {
  std::vector<std::string> words;
  std::size_t known = 0;
  for (const DTypeGroup& group : dtype_groups()) {
    std::vector<std::string> present;
    for (const DType member : group.members) {
      if (dtypes.contains(member)) present.push_back(to_string(member));
    }
    known += group.members.size();
    if (present.size() == group.members.size() && !group.name.empty())
      present = {std::string(group.name)};
    words.insert(words.end(), present.begin(), present.end());
  }
  return dtypes.size() >= known ? "any" : join(words);
}

std::set<DType> all_dtypes() {
  std::set<DType> result;
  for (const DTypeGroup& group : dtype_groups())
    result.insert(group.members.begin(), group.members.end());
  return result;
}

// The dtypes of this attribute in TensorFlow's kernels; all where none constrains it.
std::set<DType> kernel_dtypes(const nlohmann::json& kernels, const std::string& attr) {
  std::set<DType> result;
  for (const nlohmann::json& kernel : kernels) {
    if (!kernel.contains(attr)) return all_dtypes();
    for (const nlohmann::json& name : kernel.at(attr))
      result.insert(dtype_from_name(name.get<std::string>()));
  }
  return kernels.empty() ? all_dtypes() : result;
}

std::string args_text(const std::vector<ArgDef>& args) {
  std::vector<std::string> names;
  for (const ArgDef& arg : args) {
    std::string name = to_string(arg.type);
    if (!arg.number_attr.empty()) name = cat(arg.number_attr, " * ", name);
    if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  return names.empty() ? "nothing" : join(names);
}

std::string dtypes_text(const OpDefMessage& schema, const nlohmann::json& kernels) {
  std::vector<std::string> texts;
  for (const AttrDef& attr : schema.attrs) {
    if (attr.type != "type" && attr.type != "list(type)") continue;
    std::set<DType> dtypes = kernel_dtypes(kernels, attr.name);
    if (attr.allowed_values) {
      const std::vector<DType>& allowed = std::get<AttrList>(attr.allowed_values->value).types;
      std::erase_if(
          dtypes, [&](DType dtype) { return std::ranges::find(allowed, dtype) == allowed.end(); });
    }
    texts.push_back(cat("`", attr.name, "` ", text_of(dtypes)));
  }
  if (!texts.empty()) return join(texts, "; ");
  if (schema.inputs.empty() && schema.outputs.empty()) return "";
  return cat(args_text(schema.inputs), " to ", args_text(schema.outputs));
}

std::string_view gradient_text(const Op& op) {
  if (gradient_of(op) != nullptr || has_structural_gradient(op.name())) return "yes";
  switch (op.def().differentiable) {
    case Differentiable::kYes: return "not yet";
    case Differentiable::kNone: return "none";
    case Differentiable::kRefused: return "refused";
  }
  return "";
}

std::map<std::string, int> count_cases(const std::string& folder) {
  std::map<std::string, int> counts;
  for (const std::string& name : list_directory(folder)) {
    if (!name.ends_with(".binpb")) continue;
    for (const replay::CaseSummary& summary :
         replay::RecordedCases::read(cat(folder, "/", name))->summaries()) {
      const std::set<std::string> ops(summary.ops.begin(), summary.ops.end());
      for (const std::string& op : ops) ++counts[op];
    }
  }
  return counts;
}

std::string page(const std::string& data) {
  const auto kernels = nlohmann::json::parse(read_file(cat(data, "/registry/cpu_kernels.json")));
  std::map<std::string, int> cases = count_cases(cat(data, "/conformance"));
  std::string rows;
  int count = 0;
  int recorded = 0;
  for (const Op* op : builtin_ops().ops()) {
    // Names that begin with '_' are the planner's own.
    if (op->name().starts_with('_')) continue;
    const std::string name(op->name());
    ++count;
    recorded += cases[name] > 0 ? 1 : 0;
    rows += fmt::format("| `{}` | {} | {} | {} |\n", name,
                        dtypes_text(op->schema(), kernels.value(name, nlohmann::json::array())),
                        gradient_text(*op), cases[name]);
  }
  return cat(kHead,
             fmt::format("{} ops, {} of them in recorded runs.\n\n| op | dtypes | gradient | cases "
                         "|\n| --- | --- | --- | --- |\n",
                         count, recorded),
             rows);
}

int run(int argc, char** argv) {
  CLI::App app("Writes the page of ops.");
  std::string data;
  std::string file;
  bool check = false;
  app.add_option("DATA", data, "tests/data")->required();
  app.add_option("FILE", file, "The page, docs/ops.md")->required();
  app.add_flag("--check", check, "Compare with FILE instead of writing it");
  CLI11_PARSE(app, argc, argv);
  const std::string text = page(data);
  if (!check) {
    std::ofstream out(file, std::ios::binary);
    out << text;
    out.close();
    if (out.fail()) throw internal_error("The page cannot be written. Details: \"", file, "\".");
    return 0;
  }
  if (read_file(file) == text) return 0;
  fmt::print(stderr, "{} is not what the op tables say: run `make docs`.\n", file);
  return 1;
}

}  // namespace
}  // namespace hub

int main(int argc, char** argv) {
  try {
    return hub::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "tf1hub-opsdoc: {}\n", error.what());
    return 2;
  }
}
