// The executor of TensorFlow's v1 control flow, as in
// tensorflow/core/common_runtime/propagator_state.cc: values are tokens that flow along
// edges; an Enter carries them into a frame, NextIteration into the next iteration, Exit out
// again; a Switch kills one of its outputs, and what depends on a dead value is dead, up to
// a Merge. One thread propagates; kernels use the pool.

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>

#include "base/errors.h"
#include "runtime/plan.h"

namespace hub {
namespace {

// A value on an edge.
struct Token {
  Tensor tensor;
  std::shared_ptr<VariableResource> ref;
  bool alive = false;
};

}  // namespace

class FramesExecutor {
 public:
  FramesExecutor(const Plan& plan, Step& step, Plan::Profile* profile)
      : plan_(plan), step_(step), profile_(profile) {
    input_offsets_.reserve(plan.nodes_.size() + 1);
    std::size_t offset = 0;
    for (const PlanNode& node : plan.nodes_) {
      input_offsets_.push_back(offset);
      offset += node.inputs.size();
    }
    input_offsets_.push_back(offset);
    fetched_.resize(plan.nodes_.size());
    for (std::size_t i = 0; i < plan.fetch_nodes_.size(); ++i) {
      if (plan.fetch_nodes_[i] >= 0)
        fetched_[static_cast<std::size_t>(plan.fetch_nodes_[i])].push_back(i);
    }
  }

  void run(std::span<Tensor> feeds, std::span<Tensor> fetches) {
    fetches_ = fetches;
    fetch_done_.assign(fetches.size(), false);
    load_initial_values(feeds);
    root_.iterations.push_back(new_iteration());
    start();
    while (!ready_.empty()) {
      const Ready next = ready_.front();
      ready_.pop_front();
      if (step_.cancelled != nullptr || step_.deadline) step_.check_cancelled();
      process(next);
    }
    finish(fetches);
  }

 private:
  struct Frame;

  // One iteration of one frame.
  struct Iteration {
    std::vector<Token> inputs;     // of all nodes of the plan
    std::vector<int> pending;      // by node; see `initial_pending`
    std::vector<int> dead_inputs;  // by node
    std::vector<bool> merge_live;  // by node: a live value has arrived at the Merge
    int outstanding_nodes = 0;     // ready or running
    int outstanding_frames = 0;    // children that are not done
  };

  struct Frame {
    std::string name;
    Frame* parent = nullptr;
    std::int64_t parent_iteration = 0;
    std::int64_t first_iteration = 0;  // index of iterations.front()
    std::deque<std::unique_ptr<Iteration>> iterations;
    std::int64_t last_iteration() const {
      return first_iteration + static_cast<std::int64_t>(iterations.size()) - 1;
    }
    int pending_enters = 0;
    std::int64_t max_parallel_iterations = 1;
    std::vector<std::pair<int, Token>> invariants;    // from constant Enters: node and value
    std::vector<std::pair<int, Token>> waiting_next;  // NextIterations held back
    std::vector<int> dead_exits;                      // of the last iteration
    std::map<std::pair<std::string, std::int64_t>, std::unique_ptr<Frame>>
        children;  // by name and iteration
  };

  struct Ready {
    int node;
    Frame* frame;
    std::int64_t iteration;
    bool dead;
  };

  const PlanNode& node(int index) const { return plan_.nodes_[static_cast<std::size_t>(index)]; }

  Iteration& iteration(Frame& frame, std::int64_t index) {
    return *frame.iterations[static_cast<std::size_t>(index - frame.first_iteration)];
  }

  std::unique_ptr<Iteration> new_iteration() {
    std::unique_ptr<Iteration> fresh;
    if (free_iterations_.empty()) {
      fresh = std::make_unique<Iteration>();
      fresh->inputs.resize(input_offsets_.back());
    } else {
      fresh = std::move(free_iterations_.back());
      free_iterations_.pop_back();
    }
    fresh->pending.assign(initial_pending().begin(), initial_pending().end());
    fresh->dead_inputs.assign(plan_.nodes_.size(), 0);
    fresh->merge_live.assign(plan_.nodes_.size(), false);
    fresh->outstanding_nodes = 0;
    fresh->outstanding_frames = 0;
    return fresh;
  }

  // How many edges must bring something; for a Merge only the control edges.
  const std::vector<int>& initial_pending() {
    if (!initial_pending_.empty() || plan_.nodes_.empty()) return initial_pending_;
    initial_pending_ = plan_.num_control_inputs_;
    for (std::size_t i = 0; i < plan_.nodes_.size(); ++i) {
      if (plan_.nodes_[i].control_flow != ControlFlow::kMerge) {
        initial_pending_[i] += static_cast<int>(plan_.nodes_[i].inputs.size());
      }
    }
    for (const Plan::InitialEdge& initial : plan_.initial_edges_) {
      const auto target = static_cast<std::size_t>(initial.edge.node);
      if (plan_.nodes_[target].control_flow != ControlFlow::kMerge) --initial_pending_[target];
    }
    return initial_pending_;
  }

  void load_initial_values(std::span<Tensor> feeds) {
    slots_.resize(static_cast<std::size_t>(plan_.num_slots_));
    for (const auto& [slot, value] : plan_.constants_)
      slots_[static_cast<std::size_t>(slot)] = value;
    for (std::size_t i = 0; i < feeds.size(); ++i) {
      if (plan_.feed_slots_[i] >= 0)
        slots_[static_cast<std::size_t>(plan_.feed_slots_[i])] = std::move(feeds[i]);
    }
    // Constants and feeds have no frame: they are there wherever they are read.
    fixed_inputs_.assign(input_offsets_.back(), nullptr);
    for (const Plan::InitialEdge& initial : plan_.initial_edges_) {
      fixed_inputs_[input_index(initial.edge.node, initial.edge.input)] =
          &slots_[static_cast<std::size_t>(initial.slot)];
    }
  }

  std::size_t input_index(int node_index, int input) const {
    return input_offsets_[static_cast<std::size_t>(node_index)] + static_cast<std::size_t>(input);
  }

  void start() {
    Iteration& first = iteration(root_, 0);
    for (std::size_t i = 0; i < plan_.nodes_.size(); ++i) {
      const bool merge = plan_.nodes_[i].control_flow == ControlFlow::kMerge;
      if (!merge && first.pending[i] == 0) make_ready({static_cast<int>(i), &root_, 0, false});
    }
    for (const Plan::InitialEdge& initial : plan_.initial_edges_) {
      if (node(initial.edge.node).control_flow != ControlFlow::kMerge) continue;
      Token token;
      token.tensor = slots_[static_cast<std::size_t>(initial.slot)];
      token.alive = true;
      deliver(initial.edge, token, /*source_dead=*/false, /*from_enter=*/false, root_, 0);
    }
  }

  void make_ready(const Ready& ready) {
    ++iteration(*ready.frame, ready.iteration).outstanding_nodes;
    ready_.push_back(ready);
  }

  // Brings one edge's value (or, for a control edge, only its deadness) to its node.
  void deliver(const PlanEdge& edge, const Token& token, bool source_dead, bool from_enter,
               Frame& frame, std::int64_t iteration_index) {
    Iteration& it = iteration(frame, iteration_index);
    const auto target = static_cast<std::size_t>(edge.node);
    const PlanNode& to = plan_.nodes_[target];
    const bool control = edge.input < 0;
    if (!control && token.alive) it.inputs[input_index(edge.node, edge.input)] = token;
    if (to.control_flow == ControlFlow::kMerge)
      return deliver_to_merge(edge, token, from_enter, frame, iteration_index);
    const bool dead = control ? source_dead : (source_dead || !token.alive);
    if (dead) ++it.dead_inputs[target];
    if (--it.pending[target] > 0) return;
    const bool node_dead =
        it.dead_inputs[target] > 0 && to.control_flow != ControlFlow::kControlTrigger;
    make_ready({edge.node, &frame, iteration_index, node_dead});
  }

  // A Merge runs once: when a live value is there, or all are dead.
  void deliver_to_merge(const PlanEdge& edge, const Token& token, bool from_enter, Frame& frame,
                        std::int64_t iteration_index) {
    Iteration& it = iteration(frame, iteration_index);
    const auto target = static_cast<std::size_t>(edge.node);
    if (edge.input < 0) {
      --it.pending[target];
    } else if (token.alive) {
      it.merge_live[target] = true;
    } else if (from_enter) {
      // A loop that was not entered: its back edge will bring nothing.
      it.dead_inputs[target] = static_cast<int>(node(edge.node).inputs.size());
    } else {
      ++it.dead_inputs[target];
    }
    if (it.pending[target] != 0) return;
    const bool all_dead = it.dead_inputs[target] == static_cast<int>(node(edge.node).inputs.size());
    if (!it.merge_live[target] && !all_dead) return;
    it.pending[target] = -1;  // it has run
    make_ready({edge.node, &frame, iteration_index, !it.merge_live[target]});
  }

  void process(const Ready& ready) {
    const PlanNode& plan_node = node(ready.node);
    outputs_.assign(static_cast<std::size_t>(plan_node.num_outputs), Token());
    if (!ready.dead) compute(ready, plan_node);
    clear_inputs(ready, plan_node);
    store_fetches(ready);
    propagate(ready);
    Iteration& it = iteration(*ready.frame, ready.iteration);
    --it.outstanding_nodes;
    clean_up(*ready.frame);
  }

  void clear_inputs(const Ready& ready, const PlanNode& plan_node) {
    Iteration& it = iteration(*ready.frame, ready.iteration);
    const std::size_t begin = input_index(ready.node, 0);
    for (std::size_t i = 0; i < plan_node.inputs.size(); ++i) it.inputs[begin + i] = Token();
  }

  void compute(const Ready& ready, const PlanNode& plan_node) {
    Iteration& it = iteration(*ready.frame, ready.iteration);
    const std::size_t begin = input_index(ready.node, 0);
    switch (plan_node.control_flow) {
      case ControlFlow::kSwitch: return compute_switch(it, begin, plan_node);
      case ControlFlow::kMerge: return compute_merge(it, begin, plan_node);
      case ControlFlow::kEnter:
      case ControlFlow::kExit:
      case ControlFlow::kNextIteration:
      case ControlFlow::kLoopCond: {
        outputs_[0] = take(it, begin);
        return;
      }
      case ControlFlow::kControlTrigger: return;
      case ControlFlow::kNone: return compute_kernel(it, begin, plan_node);
    }
  }

  Token take(Iteration& it, std::size_t index) {
    if (const Tensor* fixed = fixed_inputs_[index]) {
      Token token;
      token.tensor = *fixed;
      token.alive = true;
      return token;
    }
    return std::move(it.inputs[index]);
  }

  void compute_switch(Iteration& it, std::size_t begin, const PlanNode& plan_node) {
    const Token selector = take(it, begin + 1);
    const Tensor& value = selector.tensor;
    Token data = take(it, begin);
    std::int64_t branch = 0;
    if (value.dtype() == DType::kBool && value.shape().rank() == 0) {
      branch = value.scalar<bool>() ? 1 : 0;
    } else if (value.dtype() == DType::kInt32 &&
               value.shape().rank() == 0) {  // _SwitchN: out of range takes the last
      const std::int64_t index = value.scalar<std::int32_t>();
      branch = index < 0 || index >= plan_node.num_outputs ? plan_node.num_outputs - 1 : index;
    } else {
      throw invalid_argument("Switch: the predicate must be a bool scalar. Details: it is ", value,
                             ".")
          .add_context(cat("in node \"", plan_node.node->name, "\""));
    }
    data.alive = true;
    outputs_[static_cast<std::size_t>(branch)] = std::move(data);
  }

  void compute_merge(Iteration& it, std::size_t begin, const PlanNode& plan_node) {
    for (std::size_t i = 0; i < plan_node.inputs.size(); ++i) {
      const bool fixed = fixed_inputs_[begin + i] != nullptr;
      if (!fixed && !it.inputs[begin + i].alive) continue;
      outputs_[0] = take(it, begin + i);
      outputs_[0].alive = true;
      outputs_[1].tensor = make_scalar<std::int32_t>(static_cast<std::int32_t>(i));
      outputs_[1].alive = true;
      return;
    }
    HUB_ASSERT(false);
  }

  void compute_kernel(Iteration& it, std::size_t begin, const PlanNode& plan_node) {
    const std::size_t count = plan_node.inputs.size();
    inputs_.resize(count);
    pointers_.resize(count);
    refs_.assign(count, nullptr);
    last_uses_.assign(count, 1);
    bool any_ref = false;
    for (std::size_t i = 0; i < count; ++i) {
      Token token = take(it, begin + i);
      if (token.ref != nullptr) {
        inputs_[i] = read_reference(*token.ref, plan_node);
        refs_[i] = std::move(token.ref);
        any_ref = true;
      } else {
        inputs_[i] = std::move(token.tensor);
      }
      pointers_[i] = &inputs_[i];
    }
    results_.assign(static_cast<std::size_t>(plan_node.num_outputs), Tensor());
    result_refs_.assign(static_cast<std::size_t>(plan_node.num_outputs), nullptr);
    KernelContext::Frame frame;
    frame.node = plan_node.node;
    frame.step = &step_;
    frame.inputs = pointers_;
    frame.outputs = results_;
    frame.last_uses = {reinterpret_cast<const bool*>(last_uses_.data()), count};
    if (any_ref) frame.ref_inputs = refs_;
    frame.ref_outputs = result_refs_;
    KernelContext context(frame);
    timed_compute(plan_node, context);
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      outputs_[i].tensor = std::move(results_[i]);
      outputs_[i].ref = std::move(result_refs_[i]);
      outputs_[i].alive = true;
    }
    for (Tensor& input : inputs_) input = Tensor();
  }

  void timed_compute(const PlanNode& plan_node, KernelContext& context) {
    if (profile_ == nullptr) return compute_node(plan_node, context);
    const auto index = static_cast<std::size_t>(&plan_node - plan_.nodes_.data());
    const auto begin = std::chrono::steady_clock::now();
    compute_node(plan_node, context);
    profile_->nanoseconds[index] += std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now() - begin)
                                        .count();
    ++profile_->runs[index];
  }

  void store_fetches(const Ready& ready) {
    // The value of an Exit belongs to the frame around the loop.
    const bool is_exit = node(ready.node).control_flow == ControlFlow::kExit;
    if ((is_exit ? ready.frame->parent : ready.frame) != &root_) return;
    for (const std::size_t fetch : fetched_[static_cast<std::size_t>(ready.node)]) {
      const int output = plan_.fetch_slots_[fetch] - node(ready.node).first_output;
      const Token& token = outputs_[static_cast<std::size_t>(output)];
      if (!token.alive) continue;
      fetch_done_[fetch] = true;
      if (token.ref != nullptr) {
        fetch_refs_.emplace_back(fetch, token.ref);
      } else {
        fetches_[fetch] = token.tensor;
      }
    }
  }

  // Sends `outputs_` on.
  void propagate(const Ready& ready) {
    Frame& frame = *ready.frame;
    switch (node(ready.node).control_flow) {
      case ControlFlow::kEnter: return propagate_enter(ready);
      case ControlFlow::kExit: {
        if (ready.dead) {
          if (ready.iteration == frame.last_iteration()) frame.dead_exits.push_back(ready.node);
          return;
        }
        return send(ready.node, false, *frame.parent, frame.parent_iteration);
      }
      case ControlFlow::kNextIteration: return propagate_next(ready);
      default: return send(ready.node, ready.dead, frame, ready.iteration);
    }
  }

  void send(int source, bool dead, Frame& frame, std::int64_t iteration_index) {
    static const Token kNothing{};
    const bool from_enter = node(source).control_flow == ControlFlow::kEnter;
    for (const PlanEdge& edge : plan_.edges_[static_cast<std::size_t>(source)]) {
      const Token& token =
          edge.input < 0 ? kNothing : outputs_[static_cast<std::size_t>(edge.output)];
      deliver(edge, token, dead, from_enter, frame, iteration_index);
    }
  }

  void propagate_enter(const Ready& ready) {
    Frame& child = find_or_create_child(ready);
    if (node_attr<bool>(ready.node, "is_constant") && !ready.dead) {
      child.invariants.emplace_back(ready.node, outputs_[0]);
      for (std::int64_t i = child.first_iteration; i <= child.last_iteration(); ++i)
        send(ready.node, false, child, i);
    } else {
      send(ready.node, ready.dead, child, 0);
    }
    --child.pending_enters;
    clean_up(child);
  }

  template <class T>
  const T& node_attr(int index, std::string_view name) const {
    const Node& n = *node(index).node;
    return attr_value<T>(n.attrs, n.name, name);
  }

  Frame& find_or_create_child(const Ready& ready) {
    const auto& name = node_attr<std::string>(ready.node, "frame_name");
    std::unique_ptr<Frame>& child = ready.frame->children[{name, ready.iteration}];
    if (child != nullptr) return *child;
    constexpr int kMaxDepth = 200;
    int depth = 0;
    for (const Frame* f = ready.frame; f != nullptr; f = f->parent) ++depth;
    if (depth > kMaxDepth)
      throw resource_exhausted("Loops are nested too deeply. Details: frame \"", name, "\".");
    child = std::make_unique<Frame>();
    child->name = name;
    child->parent = ready.frame;
    child->parent_iteration = ready.iteration;
    child->max_parallel_iterations =
        std::max<std::int64_t>(1, node_attr<std::int64_t>(ready.node, "parallel_iterations"));
    for (const PlanNode& other : plan_.nodes_) {
      if (other.control_flow == ControlFlow::kEnter &&
          attr_value<std::string>(other.node->attrs, other.node->name, "frame_name") == name) {
        ++child->pending_enters;
      }
    }
    child->iterations.push_back(new_iteration());
    ++iteration(*ready.frame, ready.iteration).outstanding_frames;
    return *child;
  }

  void propagate_next(const Ready& ready) {
    if (ready.dead) return;  // the loop ends here
    Frame& frame = *ready.frame;
    if (ready.iteration == frame.last_iteration()) {
      if (static_cast<std::int64_t>(frame.iterations.size()) >= frame.max_parallel_iterations + 1) {
        frame.waiting_next.emplace_back(ready.node, outputs_[0]);
        return;
      }
      begin_iteration(frame);
    }
    send(ready.node, false, frame, ready.iteration + 1);
  }

  void begin_iteration(Frame& frame) {
    frame.iterations.push_back(new_iteration());
    frame.dead_exits.clear();
    const std::int64_t index = frame.last_iteration();
    std::vector<Token> saved = std::move(outputs_);
    for (const auto& [source, token] : frame.invariants) {
      outputs_.assign(1, token);
      send(source, false, frame, index);
    }
    outputs_ = std::move(saved);
  }

  bool is_done(Frame& frame, std::int64_t index) {
    const Iteration& it = iteration(frame, index);
    if (it.outstanding_nodes > 0 || it.outstanding_frames > 0) return false;
    return index > 0 || frame.pending_enters <= 0;
  }

  // Drops iterations that are done, oldest first, and the frame with its last.
  void clean_up(Frame& started) {
    Frame* frame = &started;
    while (frame != nullptr && frame != &root_) {
      while (!frame->iterations.empty() && is_done(*frame, frame->first_iteration)) {
        const bool last = frame->iterations.size() == 1 && frame->waiting_next.empty();
        if (last) break;
        if (frame->iterations.size() > 1) {
          free_iterations_.push_back(std::move(frame->iterations.front()));
          frame->iterations.pop_front();
          ++frame->first_iteration;
        }
        release_waiting(*frame);
      }
      const bool done = frame->iterations.size() == 1 && frame->waiting_next.empty() &&
                        is_done(*frame, frame->first_iteration);
      if (!done) return;
      frame = end_frame(*frame);
    }
  }

  void release_waiting(Frame& frame) {
    if (frame.waiting_next.empty()) return;
    std::vector<std::pair<int, Token>> waiting = std::move(frame.waiting_next);
    frame.waiting_next.clear();
    begin_iteration(frame);
    std::vector<Token> saved = std::move(outputs_);
    for (auto& [source, token] : waiting) {
      outputs_.assign(1, token);
      send(source, false, frame, frame.last_iteration());
    }
    outputs_ = std::move(saved);
  }

  // The frame is over: exits that stayed dead are dead outside. Gives the parent.
  Frame* end_frame(Frame& frame) {
    Frame* parent = frame.parent;
    const std::int64_t parent_iteration = frame.parent_iteration;
    free_iterations_.push_back(std::move(frame.iterations.front()));
    const std::vector<int> dead_exits = std::move(frame.dead_exits);
    const auto key = std::make_pair(frame.name, parent_iteration);
    parent->children.erase(key);
    std::vector<Token> saved = std::move(outputs_);
    outputs_.assign(1, Token());
    for (const int exit : dead_exits) send(exit, true, *parent, parent_iteration);
    outputs_ = std::move(saved);
    --iteration(*parent, parent_iteration).outstanding_frames;
    return parent;
  }

  void finish(std::span<Tensor> fetches) {
    for (const auto& [fetch, ref] : fetch_refs_) {
      fetches[fetch] = ref->read();
      if (!fetches[fetch].is_valid()) {
        throw failed_precondition("Attempting to use an uninitialized variable. Details: \"",
                                  ref->name, "\".");
      }
    }
    for (std::size_t i = 0; i < fetches.size(); ++i) {
      if (plan_.fetch_nodes_[i] < 0) {
        fetches[i] = slots_[static_cast<std::size_t>(plan_.fetch_slots_[i])];
      } else if (!fetch_done_[i]) {
        throw invalid_argument(
            "A fetch must not be dead: it lies in a branch that was not taken. Details: \"",
            node(plan_.fetch_nodes_[i]).node->name, "\".");
      }
    }
    if (plan_.has_refs_) detach_fetches(fetches);
  }

  const Plan& plan_;
  Step& step_;
  Plan::Profile* profile_;
  std::vector<std::size_t> input_offsets_;
  std::vector<int> initial_pending_;
  std::vector<Tensor> slots_;
  std::vector<const Tensor*> fixed_inputs_;
  std::vector<std::vector<std::size_t>> fetched_;  // by node: which fetches it makes
  std::span<Tensor> fetches_;
  std::vector<bool> fetch_done_;
  std::vector<std::pair<std::size_t, std::shared_ptr<VariableResource>>> fetch_refs_;
  Frame root_;
  std::deque<Ready> ready_;
  std::vector<std::unique_ptr<Iteration>> free_iterations_;

  // Of the node that is being processed.
  std::vector<Token> outputs_;
  std::vector<Tensor> inputs_;
  std::vector<Tensor*> pointers_;
  std::vector<std::shared_ptr<VariableResource>> refs_;
  std::vector<char> last_uses_;
  std::vector<Tensor> results_;
  std::vector<std::shared_ptr<VariableResource>> result_refs_;
};

void run_frames(const Plan& plan, Step& step, std::span<Tensor> feeds, std::span<Tensor> fetches,
                Plan::Profile* profile) {
  FramesExecutor(plan, step, profile).run(feeds, fetches);
}

}  // namespace hub
