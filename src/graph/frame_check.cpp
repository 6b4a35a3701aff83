#include "graph/frame_check.h"

#include <deque>
#include <map>

#include "base/errors.h"

namespace hub {
namespace {

ControlFlow kind(const Node& node) {
  return node.op == nullptr ? ControlFlow::kNone : node.op->def().control_flow;
}

// Where a node computes. An Enter belongs to the frame that it leads into; -1 is no frame.
struct Place {
  bool known = false;
  int enter = -1;   // the Enter by which the frame was found first
  int parent = -1;  // that of the frame around it
};

class FrameChecker {
 public:
  explicit FrameChecker(const GraphData& graph)
      : graph_(graph), places_(static_cast<std::size_t>(graph.num_nodes())) {}

  void run() {
    find_users();
    std::deque<int> ready;
    for (int i = 0; i < graph_.num_nodes(); ++i) {
      const Node& node = graph_.node(i);
      if (!node.inputs.empty() || !node.control_inputs.empty()) continue;
      enter_place(i, Place{.known = true});
      ready.push_back(i);
    }
    while (!ready.empty()) {
      const int index = ready.front();
      ready.pop_front();
      const Place outside = output_place(index);
      for (const int user : users_[static_cast<std::size_t>(index)]) {
        if (place(user).known) {
          check_same(user, index, outside);
        } else {
          enter_place(user, outside);
          ready.push_back(user);
        }
      }
    }
    for (int i = 0; i < graph_.num_nodes(); ++i) check_frame(i);
  }

 private:
  void find_users() {
    users_.resize(static_cast<std::size_t>(graph_.num_nodes()));
    for (int i = 0; i < graph_.num_nodes(); ++i) {
      for (const OutputId input : graph_.node(i).inputs) {
        if (input.is_valid()) users_[static_cast<std::size_t>(input.node)].push_back(i);
      }
      for (const std::int32_t control : graph_.node(i).control_inputs)
        users_[static_cast<std::size_t>(control)].push_back(i);
    }
  }

  Place& place(int node) { return places_[static_cast<std::size_t>(node)]; }

  std::string frame_name(int enter) const {
    if (enter < 0) return {};
    const Node& node = graph_.node(enter);
    return attr_value<std::string>(node.attrs, node.name, "frame_name");
  }

  // Where the outputs of a node go: an Exit's are outside.
  Place output_place(int index) {
    Place result = place(index);
    if (kind(graph_.node(index)) != ControlFlow::kExit || result.enter < 0) return result;
    const int parent = result.parent;
    return parent < 0 ? Place{.known = true} : place(parent);
  }

  void enter_place(int index, const Place& from) {
    place(index) = from;
    if (kind(graph_.node(index)) != ControlFlow::kEnter) return;
    if (frame_name(index).empty()) {
      throw invalid_argument("An Enter must have a frame's name. Details: node \"",
                             graph_.node(index).name, "\".");
    }
    place(index) = {.known = true, .enter = index, .parent = from.enter};
  }

  void check_same(int user, int source, const Place& from) {
    const bool is_enter = kind(graph_.node(user)) == ControlFlow::kEnter;
    const std::string expected = frame_name(is_enter ? place(user).parent : place(user).enter);
    const std::string given = frame_name(from.enter);
    if (expected == given) return;
    throw invalid_argument("A node's inputs must come from one frame. Details: node \"",
                           graph_.node(user).name, "\" has inputs of frame \"", expected,
                           "\", but \"", graph_.node(source).name, "\" is in \"", given, "\".");
  }

  void check_frame(int index) {
    const Place& here = place(index);
    if (!here.known) return;
    const std::string name = frame_name(here.enter);
    const std::string parent = frame_name(here.parent);
    const auto [frame, added] = parents_.try_emplace(name, parent);
    if (!added && frame->second != parent) {
      throw internal_error("A loop's frame must be in one frame. Details: \"", name, "\" is in \"",
                           frame->second, "\" and in \"", parent, "\", at node \"",
                           graph_.node(index).name, "\".");
    }
    if (kind(graph_.node(index)) != ControlFlow::kLoopCond) return;
    const auto [condition, first] = conditions_.try_emplace(name, index);
    if (!first && !is_counter(condition->second) && !is_counter(index)) {
      throw invalid_argument("A loop has one LoopCond. Details: frame \"", name, "\" has \"",
                             graph_.node(condition->second).name, "\" and \"",
                             graph_.node(index).name, "\".");
    }
    condition->second = index;
  }

  // The counters of TensorFlow's gradients share the frame of the loop that they count.
  bool is_counter(int index) const {
    return graph_.node(index).name.find("LoopCounter") != std::string::npos;
  }

  const GraphData& graph_;
  std::vector<Place> places_;
  std::vector<std::vector<int>> users_;
  std::map<std::string, std::string> parents_;  // frame -> the one around it
  std::map<std::string, int> conditions_;
};

}  // namespace

void check_frames(const GraphData& graph) { FrameChecker(graph).run(); }

}  // namespace hub
