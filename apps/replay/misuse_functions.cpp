#include "base/errors.h"
#include "replay/misuse.h"

namespace hub::replay {
namespace {

Output any_placeholder(ModuleBuilder& b) { return b.placeholder(kFloat, {}, "x"); }
Output scalar_placeholder(ModuleBuilder& b) {
  return b.placeholder(kFloat, PartialShape::scalar(), "x");
}

void add_signature(ModuleBuilder& b, const Value& input, const Value& output) {
  b.add_signature({.inputs = {{"default", input}}, .outputs = {{"default", output}}});
}

void fine(ModuleBuilder& b) {
  const Output x = b.placeholder(kFloat, {-1, 2}, "x");
  add_signature(b, x, x * get_variable(b.graph(), "w", {2}));
}

void fine_with_tag(ModuleBuilder& b) {
  static_cast<void>(b.argument("flag", false));
  fine(b);
}

void no_signature(ModuleBuilder& b) { static_cast<void>(any_placeholder(b) * 2); }

void own_collection(ModuleBuilder& b) {
  const Output x = any_placeholder(b);
  get_variable(b.graph(), "w", {2}, {.collections = {"my_scope"}});
  add_signature(b, x, x);
}

void losses(ModuleBuilder& b) {
  const Output x = any_placeholder(b);
  b.graph().add_to_collection(Collections::kLosses, ops::reduce_sum(x));
  add_signature(b, x, x);
}

void global_step(ModuleBuilder& b) {
  const Output x = any_placeholder(b);
  get_or_create_global_step(b.graph());
  add_signature(b, x, x);
}

void summary(ModuleBuilder& b) {
  const Output x = scalar_placeholder(b);
  b.graph().add_to_collection("summaries", b.graph().op("ScalarSummary", {"s", x}).output(0));
  add_signature(b, x, x);
}

void local_variable(ModuleBuilder& b) {
  const Output x = scalar_placeholder(b);
  const Variable v = make_variable(b.graph(), 1.0F, {},
                                   {.collections = {std::string(Collections::kLocalVariables)}});
  add_signature(b, x, x + v);
}

void state_colocated(ModuleBuilder& b) {
  const Output u = ops::constant(b.graph(), 1.0F, kFloat, "u");
  {
    const Colocation colocation(b.graph(), u.op());
    b.graph().op("VariableV2", {}, {{"shape", PartialShape::scalar()}, {"dtype", kFloat}}, "w");
  }
  add_signature(b, scalar_placeholder(b), u);
}

void input_colocated(ModuleBuilder& b) {
  const Output u = ops::constant(b.graph(), 1.0F, kFloat, "u");
  Output x;
  {
    const Colocation colocation(b.graph(), u.op());
    x = scalar_placeholder(b);
  }
  add_signature(b, x, x + u);
}

void slices_in(ModuleBuilder& b) {
  const Output x = b.placeholder(kFloat, {-1}, "x");
  add_signature(b, IndexedSlices{x, b.placeholder(kInt64, {-1}, "i"), {}}, x);
}

void slices_out(ModuleBuilder& b) {
  const Output x = b.placeholder(kFloat, {-1}, "x");
  const Output rows = ops::constant(b.graph(), make_vector<std::int64_t>({0}));
  add_signature(b, x, IndexedSlices{x, rows, {}});
}

void variable_out(ModuleBuilder& b) {
  add_signature(b, any_placeholder(b), get_variable(b.graph(), "v", {2}));
}

void number_out(ModuleBuilder& b) { add_signature(b, any_placeholder(b), 3.0); }

void list_out(ModuleBuilder& b) {
  const Output x = any_placeholder(b);
  add_signature(b, x, Value::List{x, x});
}

void attach(ModuleBuilder& b, std::string_view key) {
  const Output x = any_placeholder(b);
  add_signature(b, x, x);
  b.attach_message(key, "\x08\x01");
}

void add_asset(ModuleBuilder& b, const Output& asset) {
  b.graph().add_to_collection(Collections::kAssetFilepaths, asset);
  b.add_signature({.outputs = {{"default", asset}}});
}

void asset_not_const(ModuleBuilder& b) {
  const Output x = b.placeholder(kString, PartialShape::scalar(), "x");
  b.graph().add_to_collection(Collections::kAssetFilepaths, x);
  add_signature(b, x, x);
}

void split(ModuleBuilder& b) {
  const Output x = b.placeholder(kFloat, {4}, "x");
  const Operation parts = b.graph().op("Split", {0, x}, {{"num_split", 2}});
  Output y;
  {
    const Colocation colocation(b.graph(), parts);
    y = parts.output(0) + parts.output(1);
  }
  b.add_signature(
      {.inputs = {{"a", parts.output(0)}, {"b", parts.output(1)}}, .outputs = {{"default", y}}});
  b.add_signature(
      {.name = "partial", .inputs = {{"a", parts.output(0)}}, .outputs = {{"default", y}}});
}

void control_on_input(ModuleBuilder& b) {
  const Output x = scalar_placeholder(b);
  Output y;
  {
    const ControlDependencies after(b.graph(), std::vector<Output>{x});
    y = ops::constant(b.graph(), 1.0F, kFloat);
  }
  add_signature(b, x, x + y);
}

}  // namespace

const std::map<std::string, ModuleFunction>& misuse_functions() {
  static const std::map<std::string, ModuleFunction> kFunctions = {
      {"no_signature", no_signature},
      {"fine", fine},
      {"fine_with_tag", fine_with_tag},
      {"own_collection", own_collection},
      {"losses", losses},
      {"global_step", global_step},
      {"summary", summary},
      {"local_variable", local_variable},
      {"state_colocated", state_colocated},
      {"input_colocated", input_colocated},
      {"slices_in", slices_in},
      {"slices_out", slices_out},
      {"variable_out", variable_out},
      {"number_out", number_out},
      {"list_out", list_out},
      {"bad_key", [](ModuleBuilder& b) { attach(b, "1number"); }},
      {"bad_key_dash", [](ModuleBuilder& b) { attach(b, "a-b"); }},
      {"asset_not_const", asset_not_const},
      {"asset_not_string",
       [](ModuleBuilder& b) { add_asset(b, ops::constant(b.graph(), 3, kInt32)); }},
      {"asset_two",
       [](ModuleBuilder& b) {
         add_asset(b, ops::constant(b.graph(), strings({"a", "b"})));
       }},
      {"asset_missing",
       [](ModuleBuilder& b) {
         add_asset(b, ops::constant(b.graph(), "no_such_file.txt", kString));
       }},
      {"raises", [](ModuleBuilder&) { throw key_error("from module_fn"); }},
      {"split", split},
      {"control_on_input", control_on_input},
  };
  return kFunctions;
}

}  // namespace hub::replay
