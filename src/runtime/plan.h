#pragma once

// The immutable compilation of (graph, feeds, fetches): what runs, in which order, with
// which kernels, and where each value lies.

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph_data.h"
#include "ops/kernel.h"
#include "runtime/reference_lock.h"

namespace hub {

// A node of the plan. Values lie in numbered slots.
struct PlanNode {
  const Node* node = nullptr;
  std::unique_ptr<Kernel> kernel;  // nullptr for what the frames executor does itself
  std::vector<int> inputs;         // slots
  int first_output = 0;            // slots of outputs are consecutive
  int num_outputs = 0;
  std::unique_ptr<bool[]> last_uses;  // for each input: nobody reads the slot afterwards
  std::vector<int> releases;          // slots to empty when the node is done
  bool has_ref_inputs = false;
  bool has_ref_outputs = false;
  ControlFlow control_flow = ControlFlow::kNone;
};

// For the frames executor: where an output goes.
struct PlanEdge {
  int node = 0;    // index in Plan::nodes
  int input = -1;  // -1: a control edge
  int output = 0;  // of the source
};

struct Loop;
struct MemoryEstimate;  // session.h
class FunctionRuntime;

// Which stateful nodes of a function's body run: those that its outputs and control outputs need,
// or all.
enum class Effects : std::uint8_t { kNeeded, kAll };

struct PlanRequest {
  std::vector<OutputId> feeds;
  std::vector<OutputId> fetches;
  std::vector<int> targets;
  // For each feed, or none: it is the same constant or variable, which nothing writes, in all runs
  // of the plan around this one.
  std::vector<bool> stable_feeds;
  bool passes = true;
  bool raise_loops = true;             // well-formed v1 loops run as structured ones
  Effects effects = Effects::kNeeded;  // kAll: the graph is the body of such a function
  // Loops that were raised already, by the number in the attribute of their nodes. Shared
  // between a plan and the plans of its loops.
  std::shared_ptr<std::vector<std::shared_ptr<const Loop>>> loops = nullptr;
};

// Values of one run; kept between runs so that these allocate nothing.
struct StepValues;

class Plan {
 public:
  // Errors: those of the graph (an unknown op that is needed...), with the node named.
  Plan(const GraphData& graph, const PlanRequest& request, ResourceManager& resources,
       FunctionRuntime& functions);
  ~Plan();

  // Runs it. `feeds` are moved from; `fetches` are filled in order.
  // Errors: those of kernels, with the node named. Thread-safe.
  void run(Step& step, std::span<Tensor> feeds, std::span<Tensor> fetches) const;

  // Also counts time; `nanoseconds` and `runs` have an element for each node of `nodes`.
  struct Profile {
    std::vector<std::int64_t> nanoseconds;
    std::vector<std::int64_t> runs;
  };
  void run(Step& step, std::span<Tensor> feeds, std::span<Tensor> fetches, Profile* profile) const;

  // What a run with feeds of these shapes takes, before it runs.
  MemoryEstimate estimate_memory(std::span<const Shape> feeds) const;

  // Errors: INVALID_ARGUMENT for a feed of another dtype than the tensor's.
  void check_feeds(std::span<const Tensor> feeds) const;

  const std::vector<PlanNode>& nodes() const { return nodes_; }
  ReferenceUse reference_use() const {
    if (!has_refs_) return ReferenceUse::kNone;
    return writes_refs_ ? ReferenceUse::kWrite : ReferenceUse::kRead;
  }

 private:
  friend class Planner;
  friend class FramesExecutor;

  std::unique_ptr<StepValues> take_values() const;
  void give_back(std::unique_ptr<StepValues> values) const;
  void run_straight(Step& step, StepValues& values, Profile* profile) const;

  GraphData graph_;  // the pruned and optimised copy
  std::vector<PlanNode> nodes_;
  std::vector<int> node_indices_;  // of `nodes_` in `graph_`
  std::vector<int> feed_nodes_;    // in `graph_`
  int num_slots_ = 0;
  std::vector<std::pair<int, Tensor>> constants_;
  std::vector<int> feed_slots_;  // -1: nothing needs this feed
  struct FeedInfo {
    std::string name;
    DType dtype = DType::kInvalid;  // kInvalid: not known
  };
  std::vector<FeedInfo> feed_infos_;
  std::vector<int> fetch_slots_;
  bool has_frames_ = false;  // v1 control flow
  bool has_refs_ = false;
  bool writes_refs_ = false;

  // Only where has_frames_: edges by source node, feed and constant consumers.
  std::vector<std::vector<PlanEdge>> edges_;
  struct InitialEdge {
    int slot = 0;
    PlanEdge edge;
  };
  std::vector<InitialEdge> initial_edges_;
  std::vector<int> fetch_nodes_;  // which node makes the fetch, -1: a feed or constant
  std::vector<int> num_control_inputs_;

  mutable std::mutex free_mutex_;
  mutable std::vector<std::unique_ptr<StepValues>> free_values_;
};

struct StepValues {
  std::vector<Tensor> slots;
  std::vector<std::shared_ptr<VariableResource>> refs;  // by slot, empty without references
  std::vector<std::vector<Tensor*>> inputs;             // by node: pointers into `slots`
};

// Runs a plan with v1 control flow: frames, iterations, dead tensors.
void run_frames(const Plan& plan, Step& step, std::span<Tensor> feeds, std::span<Tensor> fetches,
                Plan::Profile* profile);

// Copies fetches that share memory with something: references are written in place, and what
// was fetched must not change.
void detach_fetches(std::span<Tensor> fetches);

// Calls the kernel; an Error that leaves it names the node.
void compute_node(const PlanNode& plan_node, KernelContext& context);
// The current value of a reference. Errors: FAILED_PRECONDITION where it has none and the op needs
// one.
Tensor read_reference(const VariableResource& variable, const PlanNode& reader);

}  // namespace hub
