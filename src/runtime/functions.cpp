#include "runtime/functions.h"

#include "autodiff/gradients.h"
#include "base/errors.h"
#include "ops/gradients.h"

namespace hub {
namespace {

std::unique_ptr<FunctionBody> instantiate(const FunctionRef& function, const GraphData& library) {
  if (!function.name.starts_with(kGradientOf)) return instantiate_function(function, library);
  FunctionRef primal = function;
  primal.name.erase(0, kGradientOf.size());
  return gradient_of_function(primal, library);
}

}  // namespace
namespace {

// Each call of a function inside a function takes stack.
constexpr int kMaxCallDepth = 400;

// Counts a call while it lives.
class CallDepth {
 public:
  explicit CallDepth(Step& step) : step_(step) { ++step_.call_depth; }
  ~CallDepth() { --step_.call_depth; }
  CallDepth(const CallDepth&) = delete;
  CallDepth& operator=(const CallDepth&) = delete;

 private:
  Step& step_;
};

}  // namespace

class FunctionRuntime::Instance final : public FunctionInstance {
 public:
  Instance(FunctionRuntime& runtime, const FunctionRef& function, Effects effects)
      : runtime_(runtime),
        name_(function.name),
        effects_(effects),
        body_(instantiate(function, runtime.library_)) {}

  int num_inputs() const override { return static_cast<int>(body_->inputs.size()); }
  int num_outputs() const override { return static_cast<int>(body_->outputs.size()); }
  DType output_dtype(int i) const override {
    return body_->output_dtypes[static_cast<std::size_t>(i)];
  }

  void call(KernelContext& caller, std::span<Tensor> inputs,
            std::span<Tensor> outputs) const override {
    check_call(caller, inputs, outputs);
    const CallDepth depth(caller.step());
    plan().run(caller.step(), inputs, outputs);
  }

  void drop_plan() { plan_.reset(); }

 private:
  void check_call(const KernelContext& caller, std::span<const Tensor> inputs,
                  std::span<const Tensor> outputs) const {
    if (inputs.size() != body_->inputs.size() || outputs.size() != body_->outputs.size()) {
      throw invalid_argument(
          "A function is called with its number of inputs and outputs. Details: \"", name_,
          "\" has ", body_->inputs.size(), " and ", body_->outputs.size(), ", got ", inputs.size(),
          " and ", outputs.size(), ".");
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const DType expected = body_->graph.fact(body_->inputs[i]).dtype;
      if (inputs[i].dtype() != expected) {
        throw invalid_argument("A function's input has the wrong dtype. Details: input ", i,
                               " of \"", name_, "\" is ", inputs[i].dtype(), ", expected ",
                               expected, ".");
      }
    }
    if (caller.step().call_depth >= kMaxCallDepth) {
      throw resource_exhausted("Functions call each other too deeply. Details: \"", name_,
                               "\" at depth ", kMaxCallDepth, ".");
    }
  }

  const Plan& plan() const {
    std::call_once(planned_, [this] {
      with_context(
          [&] {
            PlanRequest request;
            request.feeds = body_->inputs;
            request.fetches = body_->outputs;
            request.targets = body_->targets;
            request.effects = effects_;
            if (effects_ == Effects::kAll) {
              request.targets.insert(request.targets.end(), body_->effects.begin(),
                                     body_->effects.end());
            }
            request.passes = runtime_.passes_;
            request.raise_loops = runtime_.raise_loops_;
            plan_ = std::make_unique<Plan>(body_->graph, request, runtime_.resources_, runtime_);
          },
          [&] { return cat("in function \"", name_, "\""); });
    });
    return *plan_;
  }

  FunctionRuntime& runtime_;
  const std::string name_;
  const Effects effects_;
  std::unique_ptr<FunctionBody> body_;
  mutable std::once_flag planned_;
  mutable std::unique_ptr<Plan> plan_;
};

class FunctionRuntime::Finder final : public FunctionFinder {
 public:
  Finder(FunctionRuntime& runtime, Effects effects) : runtime_(runtime), effects_(effects) {}
  std::shared_ptr<const FunctionInstance> find(const FunctionRef& function) override {
    return runtime_.find(function, effects_);
  }

 private:
  FunctionRuntime& runtime_;
  const Effects effects_;
};

FunctionRuntime::FunctionRuntime(const GraphData& library, ResourceManager& resources, bool passes,
                                 bool raise_loops)
    : library_(library),
      resources_(resources),
      passes_(passes),
      raise_loops_(raise_loops),
      needed_(std::make_unique<Finder>(*this, Effects::kNeeded)),
      all_(std::make_unique<Finder>(*this, Effects::kAll)) {}

// Functions that call each other hold each other through their plans.
FunctionRuntime::~FunctionRuntime() {
  for (const auto& [key, instance] : instances_) instance->drop_plan();
}

// As TensorFlow: a PartitionedCall runs what is needed, and so do the ops that TensorFlow lowers to
// Switch, Merge and their like, which it does outside of the functions where everything runs. A
// function called by its name, and an If or While that is not lowered, run all stateful nodes
// (PruneFunctionGraph in tensorflow/core/common_runtime/function.cc).
FunctionFinder& FunctionRuntime::finder(const Node& caller, Effects effects) {
  if (caller.op == nullptr) return *all_;
  if (caller.op_name.ends_with("PartitionedCall")) return *needed_;
  const auto lowered = caller.attrs.find("_lower_using_switch_merge");
  if (effects == Effects::kAll || lowered == caller.attrs.end()) return *all_;
  const bool* value = std::get_if<bool>(&lowered->second.value);
  return value != nullptr && *value ? *needed_ : *all_;
}

std::shared_ptr<const FunctionInstance> FunctionRuntime::find(const FunctionRef& function,
                                                              Effects effects) {
  const std::lock_guard lock(mutex_);
  const std::pair key{function_key(function), effects};
  if (const auto found = instances_.find(key); found != instances_.end()) return found->second;
  auto instance = std::make_shared<Instance>(*this, function, effects);
  instances_.emplace(key, instance);
  return instance;
}

}  // namespace hub
