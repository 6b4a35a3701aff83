// How much memory a run takes at a time, found from shapes before it runs: the plan's order is
// walked as the executor walks it, with sizes in the place of values.

#include <algorithm>
#include <array>
#include <bit>

#include "base/errors.h"
#include "graph/shape_context.h"
#include "runtime/plan.h"
#include "runtime/session.h"

namespace hub {
namespace {

// Ops whose output is their first input under another shape or name.
constexpr std::array<std::string_view, 10> kViews = {
    "Identity", "Reshape",         "Squeeze",       "ExpandDims",  "StopGradient",
    "Snapshot", "PreventGradient", "CheckNumerics", "EnsureShape", "PlaceholderWithDefault"};

// What the pool hands out for this many bytes: the next quarter of a power of two.
std::size_t pooled(std::size_t bytes) {
  constexpr std::size_t kSmallest = 64;
  if (bytes == 0) return 0;
  if (bytes <= kSmallest) return kSmallest;
  const std::size_t quarter = std::max<std::size_t>(std::bit_floor(bytes - 1) / 4, kSmallest);
  return (bytes + quarter - 1) / quarter * quarter;
}

class MemoryWalk {
 public:
  MemoryWalk(const std::vector<PlanNode>& nodes, int num_slots)
      : nodes_(nodes), buffers_(static_cast<std::size_t>(num_slots), -1) {}

  // What node `i` of the plan makes: `facts` are those of its outputs.
  void compute(std::size_t i, const std::vector<OutputFact>& facts, MemoryEstimate& estimate) {
    const PlanNode& node = nodes_[i];
    const bool is_view = std::ranges::count(kViews, std::string_view(node.node->op_name)) > 0 &&
                         !node.inputs.empty();
    for (std::size_t k = 0; k < facts.size() && k < static_cast<std::size_t>(node.num_outputs);
         ++k) {
      int& buffer = buffers_[static_cast<std::size_t>(node.first_output) + k];
      if (is_view) {
        buffer = buffers_[static_cast<std::size_t>(node.inputs[0])];
        if (buffer >= 0) ++sizes_[static_cast<std::size_t>(buffer)].holders;
        continue;
      }
      const bool in_pool = !facts[k].is_ref && dtype_size(facts[k].dtype) > 0 && !reads(node);
      if (!in_pool) continue;
      const auto shape = facts[k].shape.as_shape();
      if (!shape) {
        ++estimate.unknown_values;
        continue;
      }
      const std::size_t bytes =
          pooled(static_cast<std::size_t>(shape->num_elements()) * dtype_size(facts[k].dtype));
      buffer = static_cast<int>(sizes_.size());
      sizes_.push_back({bytes, 1});
      used_ += bytes;
    }
    estimate.peak_bytes = std::max(estimate.peak_bytes, used_);
    for (const int slot : node.releases) release(buffers_[static_cast<std::size_t>(slot)]);
  }

 private:
  struct Size {
    std::size_t bytes;
    int holders;
  };

  static bool reads(const PlanNode& node) {
    return node.node->op != nullptr && node.node->op->def().reads_variables_only &&
           node.node->op->def().stateful && node.num_outputs == 1;
  }

  void release(int& buffer) {
    if (buffer >= 0 && --sizes_[static_cast<std::size_t>(buffer)].holders == 0)
      used_ -= sizes_[static_cast<std::size_t>(buffer)].bytes;
    buffer = -1;
  }

  const std::vector<PlanNode>& nodes_;
  std::vector<int> buffers_;  // by slot: index in `sizes_`; -1: none of the pool's
  std::vector<Size> sizes_;
  std::size_t used_ = 0;
};

// Sizes are multiplied and added by graphs: what single numbers give, where all are known.
void compute_number(const GraphData& graph, Node& node) {
  if (node.inputs.size() != 2 || node.outputs.size() != 1 || node.outputs[0].shape.rank() != 0)
    return;
  const DType dtype = node.outputs[0].dtype;
  if (dtype != DType::kInt32 && dtype != DType::kInt64) return;
  const ShapeContext context(graph, node);
  const auto number = [&](int input) -> std::int64_t {
    const auto value = context.input_partial_value(input);
    return value && value->rank() == 1 ? value->dim(0) : -1;
  };
  const std::int64_t a = number(0), b = number(1);
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  if (a < 0 || b < 0 || a >= kMost || b >= kMost) return;
  const std::string_view op = node.op_name;
  std::int64_t result = -1;
  if (op == "Mul") result = a * b;
  if (op == "Add" || op == "AddV2") result = a + b;
  if (op == "Sub") result = a - b;
  if (result >= 0) node.outputs[0].partial_value = PartialShape{result};
}

// The facts of a node's outputs under what is known of its inputs now.
void infer_again(GraphData& graph, Node& node) {
  if (node.op == nullptr) return;
  const std::vector<OutputFact> before = node.outputs;
  try {
    for (OutputFact& fact : node.outputs) fact.partial_value.reset();
    infer_shapes(graph, node);
    compute_number(graph, node);
  } catch (const Error&) {
    node.outputs = before;  // the run will say it
    return;
  }
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (node.outputs[i].shape.is_compatible_with(before[i].shape))
      node.outputs[i].shape = node.outputs[i].shape.merge_with(before[i].shape);
  }
}

}  // namespace

MemoryEstimate Plan::estimate_memory(std::span<const Shape> feeds) const {
  HUB_ASSERT(feeds.size() == feed_nodes_.size());
  GraphData graph = graph_;
  for (std::size_t i = 0; i < feeds.size(); ++i)
    graph.mutable_node(feed_nodes_[i]).outputs[0].shape = feeds[i];
  MemoryEstimate estimate;
  MemoryWalk walk(nodes_, num_slots_);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Node& node = graph.mutable_node(node_indices_[i]);
    infer_again(graph, node);
    walk.compute(i, node.outputs, estimate);
  }
  return estimate;
}

}  // namespace hub
