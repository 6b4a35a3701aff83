#include "replay/golden_instances.h"

#include <cmath>

#include "base/errors.h"
#include "graph/flow_context.h"
#include "hub/hub.h"
#include "replay/unit.h"

namespace hub::replay {
namespace {

using Json = nlohmann::json;
using Names = std::map<std::string, std::vector<std::string>>;

std::string item_name(const GraphState& graph, const CollectionItem& item) {
  if (const auto* output = std::get_if<OutputId>(&item.value))
    return graph.data().output_name(*output);
  if (const auto* node = std::get_if<std::int32_t>(&item.value))
    return graph.data().node(*node).name;
  if (const auto* variable = std::get_if<std::shared_ptr<const VariableDef>>(&item.value))
    return std::string(parse_tensor_name((*variable)->variable_name).node);
  if (const auto* context = std::get_if<std::shared_ptr<FlowContext>>(&item.value))
    return (*context)->name();
  return "bytes";
}

void check_collections(const Graph& graph, const Json& json) {
  const Names got = collection_names(graph.state());
  const Names want = json.get<Names>();
  if (got == want) return;
  for (const auto& [key, names] : want) {
    const auto found = got.find(key);
    if (found == got.end()) throw Mismatch("there is no collection ", key);
    if (found->second != names) {
      throw Mismatch("collection ", key, " holds ", join(found->second), ", not ", join(names));
    }
  }
  throw Mismatch("there are other collections than ", json.dump());
}

// Placeholders for all inputs of a signature.
ValueMap placeholders(const Graph& graph, const Signature& signature) {
  ValueMap inputs;
  for (const auto& [name, info] : signature.inputs) {
    std::vector<Output> parts;
    switch (info.kind) {
      case ValueKind::kDense: parts = {ops::placeholder(graph, info.dtype, info.shape)}; break;
      case ValueKind::kSparse: {
        const std::int64_t rank = info.shape.has_rank() ? info.shape.rank() : -1;
        parts = {ops::placeholder(graph, kInt64, {-1, rank}),
                 ops::placeholder(graph, info.dtype, {-1}),
                 ops::placeholder(graph, kInt64, {rank})};
        break;
      }
      case ValueKind::kRagged: {
        std::vector<std::int64_t> dims = {-1};
        for (int axis = info.ragged_rank + 1; axis < info.shape.rank(); ++axis)
          dims.push_back(info.shape.dim(axis));
        parts = {ops::placeholder(graph, info.dtype, PartialShape(dims))};
        for (int i = 0; i < info.ragged_rank; ++i)
          parts.push_back(ops::placeholder(graph, info.row_splits_dtype, {-1}));
        break;
      }
    }
    inputs.emplace(name, Value::from_parts(info, std::move(parts)));
  }
  return inputs;
}

void check_penalties(const Graph& graph, const Json& penalties) {
  Session session(graph);
  session.initialize();
  for (const Json& penalty : penalties) {
    const double want = penalty.at("value").get<double>();
    const double got = session.run(penalty.at("name").get<std::string>()).scalar<float>();
    if (std::abs(got - want) > 1e-5 * std::abs(want) + 1e-7)
      throw Mismatch("penalty ", penalty.at("name").dump(), " is ", got, ", not ", want);
  }
}

void check_call(const Module& module, const Json& call) {
  const Graph& graph = module.graph();
  const auto name = call.at("signature").get<std::string>();
  const Signature signature = module.spec().signature(name, module.tags());
  const ValueMap inputs = placeholders(graph, signature);
  if (call.contains("error")) {
    try {
      module.apply(inputs, {.signature = name});
    } catch (const Error&) {
      return;
    }
    throw Mismatch("a call is not refused");
  }
  module.apply(inputs, {.signature = name});
  check_collections(graph, call.at("collections"));
  const auto scope = call.at("scope").get<std::string>();
  if (!graph.is_name_in_use(scope)) throw Mismatch("the call has another scope than ", scope);
}

void check_instance(const ModuleSpec& spec, const Json& variant, const Json& instance) {
  const Graph graph;
  const Module module(
      graph, spec,
      {.trainable = instance.at("trainable").get<bool>(), .tags = variant.at("tags").get<Tags>()});
  std::vector<std::string> names;
  for (const Variable& variable : module.variables()) names.push_back(variable.name());
  if (names != instance.at("variables").get<std::vector<std::string>>())
    throw Mismatch("the variables are ", join(names));
  check_collections(graph, instance.at("collections"));
  if (instance.contains("after_call")) check_call(module, instance.at("after_call"));
  if (instance.contains("regularization_losses"))
    check_penalties(graph, instance.at("regularization_losses"));
}

}  // namespace

Names collection_names(const GraphState& graph) {
  Names names;
  for (const auto& [key, items] : graph.collections) {
    for (const CollectionItem& item : items) names[key].push_back(item_name(graph, item));
  }
  return names;
}

void check_instances(const GoldenFolder& golden) {
  const Json& json = golden.json();
  if (!json.contains("variants")) return;
  std::optional<ModuleSpec> spec;
  for (const Json& variant : json.at("variants")) {
    if (!variant.contains("instances")) continue;
    if (!spec) spec = load_module_spec(golden.model_path());
    for (const Json& instance : variant.at("instances")) {
      try {
        check_instance(*spec, variant, instance);
      } catch (const Mismatch& mismatch) {
        throw Mismatch("instance of {", variant.at("tags").dump(), "}, trainable ",
                       instance.at("trainable").dump(), ": ", mismatch.what());
      }
    }
  }
}

}  // namespace hub::replay
