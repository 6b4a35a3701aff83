#include "graph/loops.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/errors.h"

namespace hub {
namespace {

ControlFlow kind(const GraphData& graph, int node) {
  const Op* op = graph.node(node).op;
  return op == nullptr ? ControlFlow::kNone : op->def().control_flow;
}

// Which frame each node computes in. Frames are numbered; 0 is the outermost.
class FrameFinder {
 public:
  FrameFinder(const GraphData& graph, const std::vector<bool>& used) : graph_(graph), used_(used) {}

  struct Frame {
    int parent = -1;
    std::string name;
    std::vector<int> nodes;
    bool has_children = false;
  };

  // Nodes lie in the graph inputs first, but for back edges; so one pass is enough.
  std::vector<Frame> run() {
    frames_.push_back({});
    frame_of_.assign(static_cast<std::size_t>(graph_.num_nodes()), 0);
    for (const int index : topological_order()) place(index);
    return std::move(frames_);
  }

  int frame_of(int node) const { return frame_of_[static_cast<std::size_t>(node)]; }

 private:
  std::vector<int> topological_order() const {
    const auto count = static_cast<std::size_t>(graph_.num_nodes());
    std::vector<int> waiting(count, 0);
    std::vector<std::vector<int>> users(count);
    std::vector<int> order;
    const auto add_edge = [&](int source, int user) {
      const bool back = kind(graph_, user) == ControlFlow::kMerge &&
                        kind(graph_, source) == ControlFlow::kNextIteration;
      if (back || !used_[static_cast<std::size_t>(source)]) return;
      ++waiting[static_cast<std::size_t>(user)];
      users[static_cast<std::size_t>(source)].push_back(user);
    };
    for (std::size_t i = 0; i < count; ++i) {
      if (!used_[i]) continue;
      const Node& node = graph_.node(static_cast<int>(i));
      for (const OutputId input : node.inputs) add_edge(input.node, static_cast<int>(i));
      for (const std::int32_t control : node.control_inputs) add_edge(control, static_cast<int>(i));
      if (waiting[i] == 0) order.push_back(static_cast<int>(i));
    }
    for (std::size_t i = 0; i < order.size(); ++i) {
      for (const int user : users[static_cast<std::size_t>(order[i])]) {
        if (--waiting[static_cast<std::size_t>(user)] == 0) order.push_back(user);
      }
    }
    return order;
  }

  // The frame that a node's input comes from, once it left an inner one.
  int output_frame(int node) const {
    const int frame = frame_of(node);
    return kind(graph_, node) == ControlFlow::kExit
               ? frames_[static_cast<std::size_t>(frame)].parent
               : frame;
  }

  void place(int index) {
    const Node& node = graph_.node(index);
    int frame = 0;
    const auto deepen = [&](int source) { frame = std::max(frame, output_frame(source)); };
    for (const OutputId input : node.inputs) {
      if (!is_back_edge(input.node, index)) deepen(input.node);
    }
    for (const std::int32_t control : node.control_inputs) deepen(control);
    if (kind(graph_, index) == ControlFlow::kEnter) frame = child(frame, index);
    frame_of_[static_cast<std::size_t>(index)] = frame;
    frames_[static_cast<std::size_t>(frame)].nodes.push_back(index);
  }

  bool is_back_edge(int source, int user) const {
    return kind(graph_, user) == ControlFlow::kMerge &&
           kind(graph_, source) == ControlFlow::kNextIteration;
  }

  int child(int parent, int enter) {
    const auto& name =
        attr_value<std::string>(graph_.node(enter).attrs, graph_.node(enter).name, "frame_name");
    const auto [found, added] =
        by_name_.try_emplace({parent, name}, static_cast<int>(frames_.size()));
    if (added) {
      frames_[static_cast<std::size_t>(parent)].has_children = true;
      Frame frame;
      frame.parent = parent;
      frame.name = name;
      frames_.push_back(std::move(frame));
    }
    return found->second;
  }

  const GraphData& graph_;
  const std::vector<bool>& used_;
  std::vector<Frame> frames_;
  std::vector<int> frame_of_;
  std::map<std::pair<int, std::string>, int> by_name_;
};

// Takes one frame apart; gives nothing where it is not well-formed.
class LoopBuilder {
 public:
  LoopBuilder(const GraphData& graph, const std::vector<bool>& used,
              const FrameFinder::Frame& frame)
      : graph_(graph),
        used_(used),
        frame_(frame),
        inside_(frame.nodes.begin(), frame.nodes.end()) {}

  bool build(Loop& loop) {
    loop.frame_name = frame_.name;
    loop.nodes = frame_.nodes;
    if (!sort_nodes(loop) || !find_variables(loop) || !check_outside_edges()) return false;
    add_captured(loop);
    loop.condition = extract(loop, {graph_.node(loop_cond_).inputs[0]}, {}, ControlFlow::kMerge);
    std::vector<OutputId> next;
    std::vector<int> targets;
    for (const LoopVariable& variable : loop.variables) {
      const Node& next_iteration = graph_.node(variable.next_iteration);
      next.push_back(next_iteration.inputs[0]);
      targets.insert(targets.end(), next_iteration.control_inputs.begin(),
                     next_iteration.control_inputs.end());
    }
    if (loop.condition == nullptr) return false;
    loop.body = extract(loop, next, targets, ControlFlow::kSwitch);
    return loop.body != nullptr;
  }

 private:
  bool is_inside(int node) const { return inside_.contains(node); }

  bool sort_nodes(Loop& loop) {
    for (const int index : frame_.nodes) {
      const Node& node = graph_.node(index);
      if (node.op_name.starts_with("Ref")) return false;
      switch (kind(graph_, index)) {
        case ControlFlow::kEnter: {
          for (const std::int32_t control : node.control_inputs)
            loop.control_inputs.push_back(control);
          if (attr_value<bool>(node.attrs, node.name, "is_constant")) {
            invariants_[index] = node.inputs[0];
          } else {
            enters_.push_back(index);
          }
          break;
        }
        case ControlFlow::kLoopCond:
          if (loop_cond_ >= 0) return false;
          loop_cond_ = index;
          break;
        case ControlFlow::kMerge: merges_.push_back(index); break;
        case ControlFlow::kSwitch: switches_.push_back(index); break;
        case ControlFlow::kExit:
        case ControlFlow::kNextIteration:
          if (kind(graph_, index) == ControlFlow::kExit && !node.control_inputs.empty())
            return false;
          break;
        default: break;
      }
    }
    return loop_cond_ >= 0;
  }

  // A loop's Merge joins an Enter and a NextIteration; any other belongs to a conditional.
  bool find_variables(Loop& loop) {
    for (const int merge : merges_) {
      const Node& node = graph_.node(merge);
      if (node.inputs.size() != 2 ||
          kind(graph_, node.inputs[1].node) != ControlFlow::kNextIteration)
        continue;
      if (!node.control_inputs.empty()) return false;
      LoopVariable variable;
      variable.merge = merge;
      variable.enter = node.inputs[0].node;
      variable.next_iteration = node.inputs[1].node;
      if (std::ranges::count(enters_, variable.enter) != 1) return false;
      std::erase(enters_, variable.enter);
      by_merge_[merge] = static_cast<int>(loop.variables.size());
      loop.variables.push_back(variable);
    }
    if (!enters_.empty()) return false;
    for (const int index : switches_) {
      const Node& node = graph_.node(index);
      if (node.inputs[1].node != loop_cond_) continue;
      const auto variable = by_merge_.find(node.inputs[0].node);
      if (variable == by_merge_.end() || node.inputs[0].index != 0 || !node.control_inputs.empty())
        return false;
      by_switch_[index] = variable->second;
    }
    for (const int index : frame_.nodes) {
      if (kind(graph_, index) != ControlFlow::kExit) continue;
      const OutputId source = graph_.node(index).inputs[0];
      const auto variable = by_switch_.find(source.node);
      if (variable == by_switch_.end() || source.index != 0) return false;
      loop.variables[static_cast<std::size_t>(variable->second)].exits.push_back(index);
    }
    return true;
  }

  // Only Exits lead out.
  bool check_outside_edges() const {
    for (int user = 0; user < graph_.num_nodes(); ++user) {
      if (!used_[static_cast<std::size_t>(user)] || is_inside(user)) continue;
      const Node& node = graph_.node(user);
      for (const OutputId input : node.inputs) {
        if (is_inside(input.node) && kind(graph_, input.node) != ControlFlow::kExit) return false;
      }
      for (const std::int32_t control : node.control_inputs) {
        if (is_inside(control) && kind(graph_, control) != ControlFlow::kExit) return false;
      }
    }
    return true;
  }

  void add_captured(Loop& loop) {
    for (const int index : frame_.nodes) {
      if (kind(graph_, index) == ControlFlow::kEnter) continue;
      for (const OutputId input : graph_.node(index).inputs) {
        const auto invariant = invariants_.find(input.node);
        OutputId outside;
        if (invariant != invariants_.end()) {
          outside = invariant->second;
        } else if (!is_inside(input.node)) {
          outside = input;
        } else {
          continue;
        }
        if (std::ranges::count(loop.captured, outside) == 0) loop.captured.push_back(outside);
      }
      for (const std::int32_t control : graph_.node(index).control_inputs) {
        if (!is_inside(control)) loop.control_inputs.push_back(control);
      }
    }
  }

  // Copies what `outputs` and `targets` need. The variables are read at nodes of `source`:
  // Merges in the condition; Switches (or Merges) in the body.
  std::unique_ptr<FunctionBody> extract(const Loop& loop, const std::vector<OutputId>& outputs,
                                        const std::vector<int>& targets, ControlFlow source) {
    auto part = std::make_unique<FunctionBody>(graph_.registry());
    part->graph.functions = graph_.functions;
    part->graph.function_gradients = graph_.function_gradients;
    for (std::size_t i = 0; i < loop.variables.size(); ++i) {
      const OutputFact& fact = graph_.fact({loop.variables[i].merge, 0});
      part->inputs.push_back({part->graph.add_source(cat("_variable_", i), "_Arg", fact), 0});
    }
    for (std::size_t i = 0; i < loop.captured.size(); ++i) {
      part->inputs.push_back(
          {part->graph.add_source(cat("_captured_", i), "_Arg", graph_.fact(loop.captured[i])), 0});
    }
    std::map<int, int> copies;
    if (!copy_needed(loop, outputs, targets, source, *part, copies)) return nullptr;
    for (const OutputId output : outputs) {
      const OutputId mapped = map_input(loop, output, *part, copies);
      part->outputs.push_back(mapped);
      part->output_dtypes.push_back(graph_.fact(output).dtype);
    }
    for (const int target : targets) {
      if (const auto copy = copies.find(target); copy != copies.end())
        part->targets.push_back(copy->second);
    }
    return part;
  }

  // Where an input of a node inside comes from, in the copy; invalid: it must be copied first.
  OutputId map_input(const Loop& loop, OutputId input, const FunctionBody& part,
                     const std::map<int, int>& copies) const {
    if (const auto variable = variable_read(input))
      return part.inputs[static_cast<std::size_t>(*variable)];
    OutputId outside = input;
    if (const auto invariant = invariants_.find(input.node); invariant != invariants_.end())
      outside = invariant->second;
    const auto captured = std::ranges::find(loop.captured, outside);
    if (captured != loop.captured.end()) {
      return part.inputs[loop.variables.size() +
                         static_cast<std::size_t>(captured - loop.captured.begin())];
    }
    const auto copy = copies.find(input.node);
    return copy == copies.end() ? OutputId{} : OutputId{copy->second, input.index};
  }

  // The variable that is read at a Merge, or at the live side of its Switch.
  std::optional<int> variable_read(OutputId input) const {
    if (const auto merge = by_merge_.find(input.node); merge != by_merge_.end() && input.index == 0)
      return merge->second;
    if (const auto found = by_switch_.find(input.node);
        found != by_switch_.end() && input.index == 1)
      return found->second;
    return std::nullopt;
  }

  bool copy_needed(const Loop& loop, const std::vector<OutputId>& outputs,
                   const std::vector<int>& targets, ControlFlow source, FunctionBody& part,
                   std::map<int, int>& copies) {
    std::set<int> needed;
    std::vector<int> todo;
    bool fine = true;
    const auto need = [&](int node) {
      const bool steers = node == loop_cond_ || by_merge_.contains(node) ||
                          by_switch_.contains(node) || invariants_.contains(node) ||
                          kind(graph_, node) == ControlFlow::kEnter ||
                          kind(graph_, node) == ControlFlow::kNextIteration ||
                          kind(graph_, node) == ControlFlow::kExit;
      if (steers || !is_inside(node)) return;
      if (needed.insert(node).second) todo.push_back(node);
    };
    const auto need_input = [&](OutputId input) {
      // The dead side of a loop's Switch, LoopCond's value, a variable of the body in the
      // condition.
      if (by_switch_.contains(input.node) && (input.index != 1 || source == ControlFlow::kMerge))
        fine = false;
      if (input.node == loop_cond_ || (by_merge_.contains(input.node) && input.index != 0))
        fine = false;
      need(input.node);
    };
    for (const OutputId output : outputs) need_input(output);
    for (const int target : targets) need(target);
    while (!todo.empty() && fine) {
      const Node& node = graph_.node(todo.back());
      todo.pop_back();
      for (const OutputId input : node.inputs) need_input(input);
      for (const std::int32_t control : node.control_inputs) need(control);
    }
    if (!fine) return false;
    if (source == ControlFlow::kMerge) {
      condition_nodes_ = needed;
    } else {
      for (const int node : needed) {
        const Op* op = graph_.node(node).op;
        if (op != nullptr && !op->def().stateful) continue;
        // Computed in both parts, or once more than the body: not with an effect.
        if (condition_nodes_.contains(node) || !is_guarded(node)) return false;
      }
    }
    return copy_in_order(loop, needed, part, copies);
  }

  // Whether the node is dead in the last iteration, where the condition is false: it depends on
  // the live side of a loop's Switch. A control edge from a Switch, which itself runs, is none.
  bool is_guarded(int node) {
    if (guarded_.empty()) find_guarded();
    return guarded_.contains(node);
  }

  void find_guarded() {
    for (const int index : frame_.nodes) {  // in topological order
      const Node& node = graph_.node(index);
      const auto from_guarded = [&](OutputId input) {
        return by_switch_.contains(input.node) ? input.index == 1 : guarded_.contains(input.node);
      };
      const auto after_guarded = [&](int control) {
        return !by_switch_.contains(control) && guarded_.contains(control);
      };
      bool guarded = false;
      switch (kind(graph_, index)) {
        case ControlFlow::kControlTrigger: break;
        case ControlFlow::kMerge: guarded = std::ranges::all_of(node.inputs, from_guarded); break;
        default:
          guarded = std::ranges::any_of(node.inputs, from_guarded) ||
                    std::ranges::any_of(node.control_inputs, after_guarded);
      }
      if (guarded) guarded_.insert(index);
    }
  }

  bool copy_in_order(const Loop& loop, const std::set<int>& needed, FunctionBody& part,
                     std::map<int, int>& copies) {
    for (const int index : frame_.nodes) {  // in topological order
      if (!needed.contains(index)) continue;
      Node node = graph_.node(index);
      for (OutputId& input : node.inputs) {
        input = map_input(loop, input, part, copies);
        if (!input.is_valid()) return false;
      }
      std::vector<std::int32_t> controls;
      for (const std::int32_t control : node.control_inputs) {
        if (const auto copy = copies.find(control); copy != copies.end())
          controls.push_back(copy->second);
      }
      node.control_inputs = std::move(controls);
      copies[index] = part.graph.add_copy(std::move(node));
    }
    return true;
  }

  const GraphData& graph_;
  const std::vector<bool>& used_;
  const FrameFinder::Frame& frame_;
  std::set<int> inside_;
  int loop_cond_ = -1;
  std::vector<int> enters_;
  std::vector<int> merges_;
  std::vector<int> switches_;
  std::map<int, OutputId> invariants_;  // constant Enters -> what they bring
  std::map<int, int> by_merge_;         // -> variable
  std::map<int, int> by_switch_;
  std::set<int> condition_nodes_;
  std::set<int> guarded_;
};

}  // namespace

std::vector<Loop> find_innermost_loops(const GraphData& graph, const std::vector<bool>& used) {
  FrameFinder finder(graph, used);
  const std::vector<FrameFinder::Frame> frames = finder.run();
  std::vector<Loop> loops;
  for (std::size_t i = 1; i < frames.size(); ++i) {
    if (frames[i].has_children) continue;
    Loop loop;
    if (LoopBuilder(graph, used, frames[i]).build(loop)) loops.push_back(std::move(loop));
  }
  return loops;
}

}  // namespace hub
