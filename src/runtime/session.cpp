#include "runtime/session.h"

#include <algorithm>
#include <utility>

#include "base/errors.h"
#include "base/thread_pool.h"
#include "runtime/functions.h"
#include "runtime/plan.h"
#include "runtime/reference_lock.h"

namespace hub {
namespace {

// What a plan is made for.
struct PlanKey {
  std::vector<std::int64_t> numbers;
  bool operator<(const PlanKey& other) const { return numbers < other.numbers; }

  void add(OutputId output) {
    numbers.push_back((static_cast<std::int64_t>(output.node) << 32) + output.index);
  }
};

}  // namespace

struct Engine::State {
  State(const GraphData& graph, EngineOptions engine_options)
      : options(std::move(engine_options)),
        functions(graph, resources, options.passes, options.executor == ExecutorKind::kStructured) {
  }

  EngineOptions options;
  ResourceManager resources;
  BufferPool buffers;
  FunctionRuntime functions;
  ReferenceLock references;
  std::mutex mutex;
  std::map<PlanKey, std::shared_ptr<const Plan>> plans;
};

Engine::Engine(const GraphData& graph, EngineOptions options)
    : graph_(graph), state_(std::make_unique<State>(graph, std::move(options))) {
  const int available = process_thread_pool().threads();
  int& threads = state_->options.threads;
  threads = threads <= 0 ? available : std::min(threads, available);
}

Engine::~Engine() = default;

void Engine::forget_plans() {
  std::map<PlanKey, std::shared_ptr<const Plan>> old;
  const std::lock_guard lock(state_->mutex);
  old.swap(state_->plans);
}

ResourceManager& Engine::resources() { return state_->resources; }
std::size_t Engine::peak_bytes() const { return state_->buffers.peak_bytes(); }

namespace {

void check_request(const GraphData& graph, std::span<const OutputId> feeds,
                   std::span<const OutputId> fetches, std::span<const int> targets) {
  const auto check = [&](OutputId output, std::string_view what) {
    const bool there = output.node >= 0 && output.node < graph.num_nodes() && output.index >= 0 &&
                       (graph.node(output.node).op == nullptr ||
                        output.index < static_cast<int>(graph.node(output.node).outputs.size()));
    if (!there)
      throw not_found("The graph has no such tensor. Details: ", what, " ", output.node, ":",
                      output.index, ".");
  };
  for (const OutputId feed : feeds) check(feed, "feed");
  for (const OutputId fetch : fetches) check(fetch, "fetch");
  for (const int target : targets) {
    if (target < 0 || target >= graph.num_nodes())
      throw not_found("The graph has no such node. Details: target ", target, ".");
  }
  for (std::size_t i = 0; i < feeds.size(); ++i) {
    if (std::ranges::count(feeds, feeds[i]) > 1) {
      throw invalid_argument("A tensor is fed once. Details: \"", graph.output_name(feeds[i]),
                             "\" is fed twice.");
    }
  }
}

}  // namespace

static std::shared_ptr<const Plan> find_plan(const GraphData& graph, std::mutex& mutex,
                                             std::map<PlanKey, std::shared_ptr<const Plan>>& plans,
                                             PlanRequest request, ResourceManager& resources,
                                             FunctionRuntime& functions) {
  PlanKey key;
  for (const OutputId feed : request.feeds) key.add(feed);
  key.numbers.push_back(-1);
  for (const OutputId fetch : request.fetches) key.add(fetch);
  key.numbers.push_back(-1);
  for (const int target : request.targets) key.numbers.push_back(target);
  {
    const std::lock_guard lock(mutex);
    if (const auto found = plans.find(key); found != plans.end()) return found->second;
  }
  check_request(graph, request.feeds, request.fetches, request.targets);
  auto plan = std::make_shared<const Plan>(graph, request, resources, functions);
  const std::lock_guard lock(mutex);
  return plans.try_emplace(std::move(key), std::move(plan)).first->second;
}

std::vector<Tensor> Engine::run(std::span<const EngineFeed> feeds,
                                std::span<const OutputId> fetches, std::span<const int> targets,
                                const EngineRunOptions& options) {
  std::vector<OutputId> outputs;
  std::vector<Tensor> values;
  for (const EngineFeed& feed : feeds) {
    outputs.push_back(feed.output);
    values.push_back(feed.value);
  }
  std::vector<Tensor> results(fetches.size());
  prepare(outputs, fetches, targets).run(values, results, options);
  return results;
}

MemoryEstimate PreparedRun::estimate_memory(std::span<const Shape> feeds) const {
  return plan_->estimate_memory(feeds);
}

// Errors: RESOURCE_EXHAUSTED.
static void check_memory(const Plan& plan, std::span<const Tensor> feeds, std::size_t limit) {
  std::vector<Shape> shapes;
  shapes.reserve(feeds.size());
  for (const Tensor& feed : feeds) shapes.push_back(feed.shape());
  const MemoryEstimate estimate = plan.estimate_memory(shapes);
  if (estimate.peak_bytes <= limit) return;
  throw resource_exhausted(
      "The run would take more memory than is allowed. Details: its values "
      "take ",
      estimate.peak_bytes, " bytes at a time, the limit is ", limit, ".");
}

void PreparedRun::run(std::span<Tensor> feeds, std::span<Tensor> fetches,
                      const EngineRunOptions& options) const {
  plan_->check_feeds(feeds);
  if (const std::size_t limit = state_->options.memory_limit; limit > 0)
    check_memory(*plan_, feeds, limit);
  Step step;
  step.buffers = &state_->buffers;
  step.max_threads = state_->options.threads;
  step.pool = &process_thread_pool();
  step.resources = &state_->resources;
  step.cancelled = options.cancelled;
  if (state_->options.log) step.log = &state_->options.log;
  if (options.timeout) step.deadline = std::chrono::steady_clock::now() + *options.timeout;

  const ReferenceLock::Guard references(state_->references, plan_->reference_use(), step);
  const FlushDenormals flush;
  if (options.profile == nullptr) return plan_->run(step, feeds, fetches);
  Plan::Profile profile;
  profile.nanoseconds.resize(plan_->nodes().size());
  profile.runs.resize(plan_->nodes().size());
  plan_->run(step, feeds, fetches, &profile);
  options.profile->clear();
  for (std::size_t i = 0; i < plan_->nodes().size(); ++i) {
    const Node& node = *plan_->nodes()[i].node;
    options.profile->push_back({node.name, node.op_name, profile.runs[i], profile.nanoseconds[i]});
  }
}

std::vector<Tensor> Engine::run(const std::map<std::string, Tensor>& feeds,
                                const std::vector<std::string>& fetches,
                                const std::vector<std::string>& targets,
                                const EngineRunOptions& options) {
  std::vector<EngineFeed> engine_feeds;
  engine_feeds.reserve(feeds.size());
  for (const auto& [name, value] : feeds) engine_feeds.push_back({graph_.find_output(name), value});
  std::vector<OutputId> outputs;
  outputs.reserve(fetches.size());
  for (const std::string& name : fetches) outputs.push_back(graph_.find_output(name));
  std::vector<int> nodes;
  for (const std::string& name : targets) {
    const int node = graph_.find(parse_tensor_name(name).node);
    if (node < 0)
      throw not_found("There is no such node in the graph. Details: \"", printable(name), "\".");
    nodes.push_back(node);
  }
  return run(engine_feeds, outputs, nodes, options);
}

PreparedRun Engine::prepare(std::span<const OutputId> feeds, std::span<const OutputId> fetches,
                            std::span<const int> targets) {
  PlanRequest request;
  request.feeds.assign(feeds.begin(), feeds.end());
  request.fetches.assign(fetches.begin(), fetches.end());
  request.targets.assign(targets.begin(), targets.end());
  request.passes = state_->options.passes;
  request.raise_loops = state_->options.executor == ExecutorKind::kStructured;
  return {*state_, find_plan(graph_, state_->mutex, state_->plans, std::move(request),
                             state_->resources, state_->functions)};
}

// Making the node's kernel finds or makes its variable.
static std::shared_ptr<VariableResource> variable_of(const GraphData& graph, int index,
                                                     ResourceManager& resources,
                                                     FunctionRuntime& functions) {
  PlanRequest request;
  request.fetches.push_back({index, 0});
  request.passes = false;
  const Plan plan(graph, request, resources, functions);
  BufferPool buffers;
  Step step;
  step.buffers = &buffers;
  step.resources = &resources;
  std::shared_ptr<VariableResource> variable;
  const PlanNode& node = plan.nodes().back();
  std::vector<Tensor> outputs(1);
  std::vector<std::shared_ptr<VariableResource>> refs(1);
  KernelContext::Frame frame;
  frame.node = node.node;
  frame.step = &step;
  frame.outputs = outputs;
  frame.ref_outputs = refs;
  KernelContext context(frame);
  compute_node(node, context);
  if (refs[0] != nullptr) return refs[0];
  if (outputs[0].dtype() == DType::kResource) {
    return std::dynamic_pointer_cast<VariableResource>(
        outputs[0].scalar<ResourceHandle>().resource);
  }
  return nullptr;
}

void Engine::set_variable(int node, Tensor value) {
  const auto variable = variable_of(graph_, node, state_->resources, state_->functions);
  const std::string& name = graph_.node(node).name;
  if (variable == nullptr)
    throw invalid_argument("The node is no variable. Details: \"", name, "\".");
  if (value.dtype() != variable->dtype || !variable->shape.is_compatible_with(value.shape())) {
    throw invalid_argument("A value must fit its variable. Details: \"", name, "\" is ",
                           variable->dtype, " ", variable->shape, ", the value is ", value.dtype(),
                           " ", value.shape(), ".");
  }
  // A reference variable is written in place, whoever else holds its memory.
  const bool keeps_memory =
      !graph_.node(node).outputs[0].is_ref || value.is_exclusive() || !value.buffer()->writable();
  variable->assign(keeps_memory ? std::move(value) : value.clone());
}

Tensor Engine::variable(int node) const {
  const auto variable = variable_of(graph_, node, state_->resources, state_->functions);
  if (variable == nullptr) return {};
  const std::lock_guard lock(variable->mutex);
  return graph_.node(node).outputs[0].is_ref ? variable->value.clone() : variable->value;
}

}  // namespace hub
