// Goldens of bare graphs: frozen ones, and the training graphs of checkpoints.

#include "base/errors.h"
#include "base/file.h"
#include "format/saved_model.h"
#include "graph/import.h"
#include "ops/builtin.h"
#include "replay/golden_session.h"

namespace hub::replay {
namespace {

// Inputs and outputs are tensors of the graph; an output of a training step is a variable.
class GraphSession : public GoldenSession {
 public:
  GraphSession(const GraphData& graph, const EngineOptions& options) : engine_(graph, options) {}

  std::map<std::string, Tensor> run(const GoldenStep& step) override {
    std::map<std::string, Tensor> feeds = step.inputs;
    feeds.insert(step.feeds.begin(), step.feeds.end());
    if (!step.train_op.empty()) {
      engine_.run(feeds, {}, {step.train_op});
      return variables_named(step.outputs);
    }
    std::vector<std::string> fetches;
    for (const std::string& output : step.outputs) {
      const auto named = step.tensors.find(output);
      fetches.push_back(named == step.tensors.end() ? output : named->second);
    }
    const std::vector<Tensor> values = engine_.run(feeds, fetches);
    std::map<std::string, Tensor> result;
    for (std::size_t i = 0; i < values.size(); ++i) result[step.outputs[i]] = values[i];
    return result;
  }

  Engine& engine() { return engine_; }

 private:
  std::map<std::string, Tensor> variables_named(const std::vector<std::string>& names) {
    std::map<std::string, Tensor> result;
    for (const std::string& name : names) {
      const int node = engine_.graph().find(name);
      if (node < 0) throw not_found("There is no such variable. Details: \"", name, "\".");
      result[name] = engine_.variable(node);
    }
    return result;
  }

  Engine engine_;
};

class FrozenGraph final : public GoldenModel {
 public:
  explicit FrozenGraph(const std::string& path) : graph_(builtin_ops()) {
    import_graph_def(parse_graph_def(read_file(path), path), graph_);
  }
  std::unique_ptr<GoldenSession> session(const EngineOptions& options) const override {
    return std::make_unique<GraphSession>(graph_, options);
  }

 private:
  GraphData graph_;
};

class Checkpoint final : public GoldenModel {
 public:
  explicit Checkpoint(std::string prefix) : prefix_(std::move(prefix)), graph_(builtin_ops()) {
    const std::string path = cat(prefix_, ".meta");
    const MetaGraph meta_graph = parse_meta_graph(read_file(path), path);
    if (!meta_graph.saver)
      throw data_loss("A training graph has a saver. Details: \"", path, "\".");
    saver_ = *meta_graph.saver;
    import_graph_def(meta_graph.graph, graph_);
  }

  std::unique_ptr<GoldenSession> session(const EngineOptions& options) const override {
    auto session = std::make_unique<GraphSession>(graph_, options);
    session->engine().run({{saver_.filename_tensor_name, make_scalar(prefix_)}}, {},
                          {saver_.restore_op_name});
    return session;
  }

 private:
  std::string prefix_;
  SaverDef saver_;
  GraphData graph_;
};

}  // namespace

std::shared_ptr<const GoldenModel> open_frozen_graph(const std::string& path) {
  return std::make_shared<FrozenGraph>(path);
}

std::shared_ptr<const GoldenModel> open_checkpoint(const std::string& prefix) {
  return std::make_shared<Checkpoint>(prefix);
}

}  // namespace hub::replay
