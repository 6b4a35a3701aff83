#pragma once

// Fusions: patterns of nodes that one node computes faster. An entry stands in the file of
// its family; the planner applies all of them where passes are on.

#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/graph_data.h"

namespace hub {

// The planner's graph as a fusion sees it.
class FusionGraph {
 public:
  // `uses` counts the readers of each node's output 0, fetches too; `other_uses` those of its
  // other outputs and control edges, and targets.
  FusionGraph(GraphData& graph, std::vector<int> uses, std::vector<int> other_uses,
              std::function<bool(OutputId)> is_stable)
      : graph_(graph),
        uses_(std::move(uses)),
        other_uses_(std::move(other_uses)),
        is_stable_(std::move(is_stable)) {}

  const GraphData& graph() const { return graph_; }
  const Node& node(int index) const { return graph_.node(index); }
  // True where nothing but one reader of output 0 needs the node, and it waits for nothing.
  bool is_private(int index) const {
    const auto i = static_cast<std::size_t>(index);
    return i < uses_.size() && uses_[i] == 1 && other_uses_[i] == 0 &&
           graph_.node(index).control_inputs.empty();
  }
  // How many readers output 0 has.
  int uses(int index) const {
    const auto i = static_cast<std::size_t>(index);
    return i < uses_.size() ? uses_[i] : 0;
  }
  // How many readers all outputs have, control edges too.
  int all_uses(int index) const {
    const auto i = static_cast<std::size_t>(index);
    return i < uses_.size() ? uses_[i] + other_uses_[i] : 0;
  }
  // True where only output 0 of the node is needed.
  bool only_first_output(int index) const {
    const auto i = static_cast<std::size_t>(index);
    return i < other_uses_.size() && other_uses_[i] == 0;
  }
  // A constant, or a variable that nothing in the plan writes.
  bool is_stable(OutputId output) const { return is_stable_(output); }

  // Puts a node of `op` in the place of `root`: it gets the name, output 0's fact and the
  // control inputs. Errors: INTERNAL where there is no such op.
  void replace(int root, std::string_view op, std::vector<OutputId> inputs, AttrMap attrs);
  // What was replaced, with what took its place.
  const std::vector<std::pair<int, int>>& replaced() const { return replaced_; }

 private:
  GraphData& graph_;
  std::vector<int> uses_;
  std::vector<int> other_uses_;
  std::function<bool(OutputId)> is_stable_;
  std::vector<std::pair<int, int>> replaced_;
};

struct Fusion {
  std::string_view name;
  // Looks whether the pattern ends in node `root`; replaces it and says true if so.
  bool (*apply)(FusionGraph& graph, int root);
};

// All fusions of this library, in the order in which they are tried.
std::span<const Fusion> builtin_fusions();

}  // namespace hub
