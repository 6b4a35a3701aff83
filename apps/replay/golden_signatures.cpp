// Goldens of hub modules and SavedModels.

#include <algorithm>

#include "format/module_files.h"
#include "module/model_runner.h"
#include "replay/compare.h"
#include "replay/golden_session.h"
#include "replay/golden_value.h"
#include "replay/unit.h"

namespace hub::replay {
namespace {

class SignatureSession final : public GoldenSession {
 public:
  explicit SignatureSession(std::unique_ptr<const ModelRunner> runner)
      : runner_(std::move(runner)) {}

  std::map<std::string, Tensor> run(const GoldenStep& step) override {
    CallOptions options{.feeds = step.feeds};
    for (const auto& [name, tensor] : step.tensors) options.fetches.push_back(tensor);
    if (!step.train_op.empty()) options.targets.push_back(step.train_op);
    std::map<std::string, Tensor> outputs = runner_->call(step.signature, step.inputs, options);
    check_static_shapes(step.signature, outputs);
    for (const auto& [name, tensor] : step.tensors) outputs[name] = outputs.at(tensor);
    return outputs;
  }

  std::map<std::string, Tensor> variables() override {
    std::map<std::string, Tensor> result;
    for (const ModelVariable& variable : runner_->variables()) {
      if (!variable.parts.empty()) result[variable.name] = runner_->variable(variable.name);
    }
    return result;
  }

 private:
  void check_static_shapes(const std::string& name,
                           const std::map<std::string, Tensor>& outputs) const {
    for (const auto& [output, value] : runner_->signature(name).outputs) {
      const std::vector<std::string> parts = part_names(output, value.info);
      for (std::size_t i = 0; i < std::min(parts.size(), value.tensors.size()); ++i) {
        const auto got = outputs.find(parts[i]);
        if (got == outputs.end()) continue;
        const GraphData& graph = runner_->graph();
        const OutputFact& fact = graph.fact(graph.find_output(value.tensors[i]));
        if (const auto text = fact_difference(got->second, fact.dtype, fact.shape)) {
          throw Mismatch(parts[i], ": ", *text);
        }
      }
    }
  }

  std::unique_ptr<const ModelRunner> runner_;
};

class SignatureModel final : public GoldenModel {
 public:
  SignatureModel(const std::string& path, SignatureOptions options)
      : files_(open_model_files(path)), options_(std::move(options)) {}

  std::unique_ptr<GoldenSession> session(const EngineOptions& engine) const override {
    auto runner = std::make_unique<const ModelRunner>(
        files_,
        RunnerOptions{
            .tags = options_.tags, .engine = engine, .restore = !options_.synthetic_weights});
    if (options_.synthetic_weights) {
      for (const ModelVariable& variable : runner->variables()) {
        const auto shape = variable.shape.as_shape();
        if (!shape) throw Mismatch("variable ", variable.name, " has no full shape");
        runner->set_variable(variable.name, synthetic_weights(variable.name, *shape));
      }
      runner->initialize();
    }
    return std::make_unique<SignatureSession>(std::move(runner));
  }

 private:
  ModuleFiles files_;
  SignatureOptions options_;
};

}  // namespace

std::shared_ptr<const GoldenModel> open_signatures(const std::string& path,
                                                   const SignatureOptions& options) {
  return std::make_shared<SignatureModel>(path, options);
}

}  // namespace hub::replay
