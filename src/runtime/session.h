#pragma once

// A graph, its state, and the plans of what was run: the engine behind hub::Session.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph_data.h"
#include "ops/resource.h"

namespace hub {

enum class ExecutorKind : std::uint8_t {
  kStructured,  // well-formed v1 loops and conditionals run as While and If; the default
  kFrames,      // everything with v1 control flow runs on frames and dead tensors
};

struct EngineOptions {
  int threads = 0;     // at most this many threads compute; 0: one for each CPU
  bool passes = true;  // false: nothing is folded or fused, for tests
  ExecutorKind executor = ExecutorKind::kStructured;
  // The values of a run may take this many bytes at a time; 0: any number. A run that would need
  // more is refused before it starts, with RESOURCE_EXHAUSTED.
  std::size_t memory_limit = 0;
  // Gets what Print and PrintV2 say, a line at a time, from any thread. Empty: it is dropped.
  std::function<void(std::string_view)> log = {};
};

// What each op of a run cost. `runs` counts executions (loops run a node many times).
struct NodeProfile {
  std::string node;
  std::string op;
  std::int64_t runs = 0;
  std::int64_t nanoseconds = 0;
};

struct EngineRunOptions {
  const std::atomic<bool>* cancelled = nullptr;                // set it to stop the run: CANCELLED
  std::optional<std::chrono::steady_clock::duration> timeout;  // DEADLINE_EXCEEDED
  std::vector<NodeProfile>* profile = nullptr;                 // filled where wanted
};

// Memory that the values of a run take at a time, found from shapes. An upper bound but for what
// kernels need while they compute: a result that may be written in the place of an input is
// counted.
struct MemoryEstimate {
  std::size_t peak_bytes = 0;
  int unknown_values = 0;  // whose shapes only the run finds out; these are not counted
};

struct EngineFeed {
  OutputId output;
  Tensor value;
};

class Plan;
class PreparedRun;

// Any number of threads may call `run`; a run that writes reference variables waits until it is
// alone among those that touch them. The graph must outlive the engine; adding nodes between runs
// is fine (plans are keyed by what is asked), adding while one runs is not.
class Engine {
 public:
  explicit Engine(const GraphData& graph, EngineOptions options = {});
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Runs what the fetches and targets (nodes that need only to run) depend on, and nothing
  // else; gives the fetches in order. Errors as TensorFlow's: INVALID_ARGUMENT for a feed of
  // the wrong dtype, an unfed placeholder, a dead fetch..., and those of the kernels, with
  // the node named. State that was written before an error stays written.
  std::vector<Tensor> run(std::span<const EngineFeed> feeds, std::span<const OutputId> fetches,
                          std::span<const int> targets = {}, const EngineRunOptions& options = {});

  // The same by name: feeds and fetches are "node:0" or "node", targets are nodes.
  // Errors: NOT_FOUND for a name that is not in the graph.
  std::vector<Tensor> run(const std::map<std::string, Tensor>& feeds,
                          const std::vector<std::string>& fetches,
                          const std::vector<std::string>& targets = {},
                          const EngineRunOptions& options = {});

  // Plans without running: what `run` would do first. For load times and checks, and for
  // running the same thing many times. Errors: as `run`, for what needs no values.
  PreparedRun prepare(std::span<const OutputId> feeds, std::span<const OutputId> fetches,
                      std::span<const int> targets = {});

  // The value of the variable that this node (VarHandleOp, VariableV2...) makes, as restored
  // from a file: the tensor is kept, not copied. Errors: INVALID_ARGUMENT where dtype or
  // shape do not fit the node.
  void set_variable(int node, Tensor value);
  // Invalid where it has no value.
  Tensor variable(int node) const;

  // Forgets all plans: a node that they were made of has changed. State stays; runs that are
  // under way end as they began.
  void forget_plans();

  const GraphData& graph() const { return graph_; }
  ResourceManager& resources();
  std::size_t peak_bytes() const;

 private:
  friend class PreparedRun;
  struct State;
  const GraphData& graph_;
  std::unique_ptr<State> state_;
};

// A plan of an engine, which must outlive it. A value; any number of threads may call `run`.
class PreparedRun {
 public:
  // `feeds` are in the order given to `prepare`, and moved from; `fetches` are filled in order.
  // A run of a plan without loops, and without a memory limit, allocates nothing once it has run
  // with these shapes. Errors: those of Engine::run.
  void run(std::span<Tensor> feeds, std::span<Tensor> fetches,
           const EngineRunOptions& options = {}) const;

  // What a run takes with feeds of these shapes, in the order given to `prepare`.
  MemoryEstimate estimate_memory(std::span<const Shape> feeds) const;

 private:
  friend class Engine;
  PreparedRun(Engine::State& state, std::shared_ptr<const Plan> plan)
      : state_(&state), plan_(std::move(plan)) {}

  Engine::State* state_;
  std::shared_ptr<const Plan> plan_;
};

}  // namespace hub
