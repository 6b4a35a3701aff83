#include "module/model_runner.h"

#include <algorithm>
#include <set>

#include "base/errors.h"
#include "graph/import.h"
#include "module/seeds.h"
#include "module/variants.h"
#include "ops/builtin.h"

namespace hub {

ModelRunner::ModelRunner(const ModuleFiles& files, const RunnerOptions& options)
    : place_(files.path), graph_(builtin_ops()) {
  const MetaGraph& meta_graph = files.model.meta_graphs[find_variant(files, options.tags)];
  with_context(
      [&] {
        import_graph_def(meta_graph.graph, graph_);
        if (options.seed) seed_random_ops(graph_, *options.seed);
        for (const auto& [name, signature] : meta_graph.signatures) {
          const auto& bound = bound_.emplace(name, bind_signature(name, signature)).first->second;
          targets_.emplace(name, find_tensors(bound));
        }
        variables_ = variables_of(meta_graph, place_);
        engine_ = std::make_unique<Engine>(graph_, options.engine);
        plan_initialization(files, meta_graph);
        if (!options.restore) return;
        restore(files, meta_graph);
        initialize();
      },
      [&] { return cat("while loading graph ", tags_text(meta_graph.tags), " of ", place_); });
}

const BoundSignature& ModelRunner::signature(std::string_view name) const {
  const auto found = bound_.find(std::string(name));
  if (found != bound_.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [key, bound] : bound_) names.push_back(printable(key));
  throw value_error("Signature '", printable(name),
                    "' is missing from meta graph. Details: ", place_, " has ",
                    names.empty() ? "no signatures" : join(names), ".");
}

ModelRunner::Target ModelRunner::find_tensors(const BoundSignature& signature) const {
  Target target;
  try {
    std::set<std::pair<int, int>> fed;
    for (const auto& [name, value] : signature.inputs) {
      for (const std::string& tensor : value.tensors) {
        target.feeds.emplace_back(graph_.find_output(tensor));
      }
    }
    // One tensor may be several inputs: the last one counts.
    for (auto feed = target.feeds.rbegin(); feed != target.feeds.rend(); ++feed) {
      if (!fed.emplace((*feed)->node, (*feed)->index).second) feed->reset();
    }
    for (const auto& [name, value] : signature.outputs) {
      if (value.info.dtype == DType::kInvalid && value.tensors.size() == 1 &&
          graph_.find(value.tensors[0]) >= 0) {
        target.nodes.push_back(graph_.find(value.tensors[0]));
        continue;
      }
      const std::vector<std::string> parts = part_names(name, value.info);
      for (std::size_t i = 0; i < value.tensors.size() && i < parts.size(); ++i) {
        target.parts.push_back({name, parts[i], graph_.find_output(value.tensors[i])});
      }
    }
  } catch (const Error& error) {
    target.error = error;
    target.error->add_context(cat("in signature '", signature.name, "'"));
  }
  return target;
}

const ModelRunner::Target& ModelRunner::target(std::string_view name) const {
  const auto found = targets_.find(name);
  if (found == targets_.end()) static_cast<void>(signature(name));  // throws
  if (found->second.error) throw Error(*found->second.error);
  return found->second;
}

int ModelRunner::find_node(std::string_view name) const {
  const int node = graph_.find(parse_tensor_name(name).node);
  if (node >= 0) return node;
  throw not_found("There is no such node in the graph. Details: \"", printable(name), "\".");
}

PreparedRun ModelRunner::prepared(const Target& wanted) const {
  std::vector<OutputId> feeds;
  for (const auto& feed : wanted.feeds) {
    if (feed) feeds.push_back(*feed);
  }
  std::vector<OutputId> fetches;
  for (const Target::Part& part : wanted.parts) fetches.push_back(part.tensor);
  return engine_->prepare(feeds, fetches, wanted.nodes);
}

void ModelRunner::prepare(std::string_view signature_name) const {
  static_cast<void>(prepared(target(signature_name)));
}

MemoryEstimate ModelRunner::estimate_memory(std::string_view signature_name,
                                            const TensorMap& inputs) const {
  const Target& wanted = target(signature_name);
  const std::vector<Tensor> values = bind_inputs(signature(signature_name), inputs);
  std::vector<Shape> shapes;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (wanted.feeds[i]) shapes.push_back(values[i].shape());
  }
  return prepared(wanted).estimate_memory(shapes);
}

TensorMap ModelRunner::call(std::string_view signature_name, const TensorMap& inputs,
                            const CallOptions& options) const {
  const Target& wanted = target(signature_name);
  std::vector<Tensor> values = bind_inputs(signature(signature_name), inputs);
  std::vector<EngineFeed> feeds;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (wanted.feeds[i]) feeds.push_back({*wanted.feeds[i], std::move(values[i])});
  }
  for (const auto& [name, value] : options.feeds) {
    feeds.push_back({graph_.find_output(name), value});
  }
  std::vector<std::string_view> names;
  std::vector<OutputId> fetches;
  for (const Target::Part& part : wanted.parts) {
    if (options.outputs && !options.outputs->contains(part.output)) continue;
    names.push_back(part.name);
    fetches.push_back(part.tensor);
  }
  for (const std::string& name : options.fetches) {
    names.push_back(name);
    fetches.push_back(graph_.find_output(name));
  }
  std::vector<int> nodes;
  if (!options.outputs) nodes = wanted.nodes;
  for (const std::string& name : options.targets) nodes.push_back(find_node(name));
  std::vector<Tensor> results = with_context(
      [&] { return engine_->run(feeds, fetches, nodes, options.run); },
      [&] { return cat("while calling signature '", printable(signature_name), "' of ", place_); });
  TensorMap outputs;
  for (std::size_t i = 0; i < results.size(); ++i) {
    outputs[std::string(names[i])] = std::move(results[i]);
  }
  return outputs;
}

TensorMap ModelRunner::run(const CallOptions& options) const {
  std::vector<Tensor> results =
      engine_->run(options.feeds, options.fetches, options.targets, options.run);
  TensorMap outputs;
  for (std::size_t i = 0; i < results.size(); ++i) {
    outputs[options.fetches[i]] = std::move(results[i]);
  }
  return outputs;
}

}  // namespace hub
