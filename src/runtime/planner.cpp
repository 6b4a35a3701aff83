// From a graph to a plan: prune, fold, order, lay out.

#include <algorithm>
#include <deque>
#include <map>

#include "base/errors.h"
#include "graph/frame_check.h"
#include "graph/loops.h"
#include "graph/shape_context.h"
#include "ops/fusion.h"
#include "runtime/folding.h"
#include "runtime/functions.h"
#include "runtime/loop_kernel.h"
#include "runtime/plan.h"

namespace hub {
namespace {

// A loop that was raised; its attribute "loop" is the index in PlanRequest::loops.
constexpr std::string_view kLoopOp = "_Loop";

// A function whose name stands where an op's stands.
class CallKernel final : public Kernel {
 public:
  explicit CallKernel(const KernelInit& init) {
    FunctionRef function;
    function.name = init.node().op_name;
    function.attrs = init.node().attrs;
    function_ = init.function(function);
  }
  void compute(KernelContext& context) const override {
    std::vector<Tensor> inputs;
    for (int i = 0; i < context.num_inputs(); ++i) inputs.push_back(context.input(i));
    std::vector<Tensor> outputs(static_cast<std::size_t>(context.num_outputs()));
    function_->call(context, inputs, outputs);
    for (int i = 0; i < context.num_outputs(); ++i)
      context.set_output(i, std::move(outputs[static_cast<std::size_t>(i)]));
  }

 private:
  std::shared_ptr<const FunctionInstance> function_;
};

// A node's data inputs and control inputs, in one sequence.
template <class Visit>
void for_each_source(const Node& node, Visit&& visit) {
  for (const OutputId input : node.inputs) visit(input.node);
  for (const std::int32_t control : node.control_inputs) visit(control);
}

}  // namespace

class Planner {
 public:
  Planner(const GraphData& source, PlanRequest request, ResourceManager& resources,
          FunctionRuntime& functions, Plan& plan)
      : source_(source),
        request_(std::move(request)),
        resources_(resources),
        functions_(functions),
        plan_(plan),
        graph_(plan.graph_) {}

  void run() {
    graph_.functions = source_.functions;
    graph_.function_gradients = source_.function_gradients;
    copy_needed_nodes();
    const bool is_part_of_loop = request_.loops != nullptr;
    if (has_loops() && !is_part_of_loop) check_frames(graph_);
    if (request_.raise_loops) raise_loops();
    if (request_.passes) fold_constants(graph_, resources_);
    find_kept_nodes();
    order_nodes();
    find_writers();
    if (request_.passes) fuse();
    assign_slots();
    make_kernels();
    find_last_uses();
    if (plan_.has_frames_) make_edges();
  }

 private:
  // The nodes that the fetches and targets depend on; a fed output cuts the walk.
  void copy_needed_nodes() {
    std::vector<bool> needed(static_cast<std::size_t>(source_.num_nodes()), false);
    std::vector<int> todo;
    const auto need = [&](int node) {
      if (!needed[static_cast<std::size_t>(node)]) {
        needed[static_cast<std::size_t>(node)] = true;
        todo.push_back(node);
      }
    };
    const auto is_fed = [&](OutputId output) {
      return std::ranges::count(request_.feeds, output) > 0;
    };
    for (const OutputId fetch : request_.fetches) {
      if (!is_fed(fetch)) need(fetch.node);
    }
    for (const int target : request_.targets) need(target);
    const bool any_feeds = !request_.feeds.empty();
    while (!todo.empty()) {
      const Node& node = source_.node(todo.back());
      todo.pop_back();
      for (const OutputId input : node.inputs) {
        if (!any_feeds || !is_fed(input)) need(input.node);
      }
      for (const std::int32_t control : node.control_inputs) {
        if (!is_fed_placeholder(control)) need(control);
      }
    }
    copy_nodes(needed);
  }

  // A control edge from a fed placeholder has nothing to wait for; from any other fed node,
  // the node runs (tensorflow/core/graph/subgraph.cc, FeedInputs).
  bool is_fed_placeholder(int node) const {
    const Node& placeholder = source_.node(node);
    return (placeholder.op_name == "Placeholder" || placeholder.op_name == "PlaceholderV2") &&
           std::ranges::count(request_.feeds, OutputId{node, 0}) > 0;
  }

  void copy_nodes(const std::vector<bool>& needed) {
    std::vector<int> copies(needed.size(), -1);
    for (const OutputId feed : request_.feeds) {
      OutputFact fact = source_.fact(feed);
      plan_.feed_infos_.push_back({source_.output_name(feed), fact.dtype});
      fact.is_ref = false;
      fact.partial_value.reset();
      fact.shape = PartialShape();  // a feed's shape is not checked against the placeholder's
      feeds_.push_back(
          {graph_.add_source(cat("_feed/", source_.output_name(feed)), "_Feed", fact), 0});
    }
    for (std::size_t i = 0; i < needed.size(); ++i) {
      if (needed[i]) copies[i] = graph_.add_copy(source_.node(static_cast<int>(i)));
    }
    const auto mapped = [&](OutputId output) -> OutputId {
      const auto feed = std::ranges::find(request_.feeds, output);
      if (feed != request_.feeds.end())
        return feeds_[static_cast<std::size_t>(feed - request_.feeds.begin())];
      return {copies[static_cast<std::size_t>(output.node)], output.index};
    };
    for (std::size_t i = 0; i < needed.size(); ++i) {
      if (copies[i] < 0) continue;
      Node& node = graph_.mutable_node(copies[i]);
      for (OutputId& input : node.inputs) input = mapped(input);
      std::vector<std::int32_t> controls;
      for (const std::int32_t control : node.control_inputs) {
        if (!is_fed_placeholder(control))
          controls.push_back(copies[static_cast<std::size_t>(control)]);
      }
      node.control_inputs = std::move(controls);
    }
    for (const OutputId fetch : request_.fetches) fetches_.push_back(mapped(fetch));
    for (const int target : request_.targets)
      targets_.push_back(copies[static_cast<std::size_t>(target)]);
  }

  bool has_loops() const {
    return std::ranges::any_of(
        graph_.nodes(), [](const Node& node) { return control_flow(node) == ControlFlow::kEnter; });
  }

  // Replaces well-formed loops by one node each, innermost first.
  void raise_loops() {
    if (!has_loops()) return;
    if (request_.loops == nullptr)
      request_.loops = std::make_shared<std::vector<std::shared_ptr<const Loop>>>();
    while (true) {
      find_kept_nodes();
      bool raised = false;
      for (Loop& loop : find_innermost_loops(graph_, kept_)) raised |= raise_loop(std::move(loop));
      if (!raised) return;
    }
  }

  bool raise_loop(Loop loop) {
    const auto needed_inside = [&](int node) {
      return std::ranges::count(loop.nodes, node) > 0 &&
             control_flow(graph_.node(node)) != ControlFlow::kExit;
    };
    for (const OutputId fetch : fetches_) {
      if (needed_inside(fetch.node)) return false;
    }
    for (const int target : targets_) {
      if (needed_inside(target)) return false;
    }
    Node node;
    node.name = graph_.unique_name(loop.frame_name);
    node.op_name = std::string(kLoopOp);
    node.attrs["loop"] = AttrValue(static_cast<std::int64_t>(request_.loops->size()));
    for (const LoopVariable& variable : loop.variables) {
      node.inputs.push_back(graph_.node(variable.enter).inputs[0]);
      OutputFact fact = graph_.fact({variable.merge, 0});
      fact.partial_value.reset();
      node.outputs.push_back(std::move(fact));
    }
    node.inputs.insert(node.inputs.end(), loop.captured.begin(), loop.captured.end());
    node.control_inputs.assign(loop.control_inputs.begin(), loop.control_inputs.end());
    redirect_exits(loop, graph_.add_copy(std::move(node)));
    request_.loops->push_back(std::make_shared<const Loop>(std::move(loop)));
    return true;
  }

  void redirect_exits(const Loop& loop, int loop_node) {
    std::map<int, int> variable_of;  // Exit -> variable
    for (std::size_t i = 0; i < loop.variables.size(); ++i) {
      for (const int exit : loop.variables[i].exits) variable_of[exit] = static_cast<int>(i);
    }
    const auto redirect = [&](OutputId& output) {
      if (const auto found = variable_of.find(output.node); found != variable_of.end())
        output = {loop_node, found->second};
    };
    const auto redirect_node = [&](std::int32_t& node) {
      if (variable_of.contains(node)) node = loop_node;
    };
    for (int i = 0; i < graph_.num_nodes(); ++i) {
      Node& node = graph_.mutable_node(i);
      for (OutputId& input : node.inputs) redirect(input);
      for (std::int32_t& control : node.control_inputs) redirect_node(control);
    }
    for (OutputId& fetch : fetches_) redirect(fetch);
    for (int& target : targets_) redirect_node(target);
  }

  // What is left after folding: constants became Const nodes, their inputs may be unused.
  void find_kept_nodes() {
    kept_.assign(static_cast<std::size_t>(graph_.num_nodes()), false);
    std::vector<int> todo;
    const auto keep = [&](int node) {
      if (!kept_[static_cast<std::size_t>(node)]) {
        kept_[static_cast<std::size_t>(node)] = true;
        todo.push_back(node);
      }
    };
    for (OutputId& fetch : fetches_) keep(fetch.node);
    for (const int target : targets_) keep(target);
    while (!todo.empty()) {
      const int node = todo.back();
      todo.pop_back();
      for_each_source(graph_.node(node), keep);
    }
  }

  bool is_constant(int index) const {
    const Node& node = graph_.node(index);
    return node.op_name == "Const" && node.control_inputs.empty() &&
           graph_.constant({index, 0}) != nullptr;
  }
  bool is_feed(int index) const {
    return graph_.node(index).op_name == "_Feed" || graph_.node(index).op_name == "_Arg";
  }

  // Executed nodes, inputs first; a loop's back edge does not count.
  void order_nodes() {
    const auto count = static_cast<std::size_t>(graph_.num_nodes());
    std::vector<int> waiting(count, 0);
    std::vector<std::vector<int>> users(count);
    const auto is_back_edge = [&](int source, const Node& user) {
      return control_flow(user) == ControlFlow::kMerge &&
             control_flow(graph_.node(source)) == ControlFlow::kNextIteration;
    };
    std::vector<int> ready;
    for (std::size_t i = 0; i < count; ++i) {
      if (!kept_[i]) continue;
      const Node& node = graph_.node(static_cast<int>(i));
      for_each_source(node, [&](int source) {
        if (is_back_edge(source, node)) return;
        ++waiting[i];
        users[static_cast<std::size_t>(source)].push_back(static_cast<int>(i));
      });
      if (waiting[i] == 0) ready.push_back(static_cast<int>(i));
    }
    std::size_t done = 0;
    const auto finish = [&](int index, auto&& when_ready) {
      ++done;
      if (!is_constant(index) && !is_feed(index)) {
        order_.push_back(index);
        if (control_flow(graph_.node(index)) != ControlFlow::kNone) plan_.has_frames_ = true;
      }
      const auto& next = users[static_cast<std::size_t>(index)];
      for (auto user = next.rbegin(); user != next.rend(); ++user) {
        if (--waiting[static_cast<std::size_t>(*user)] == 0) when_ready(*user);
      }
    };
    if (may_write()) ready = read_first(std::move(ready), finish);
    // Depth first among what is ready, so that values die early.
    std::ranges::reverse(ready);
    while (!ready.empty()) {
      const int index = ready.back();
      ready.pop_back();
      finish(index, [&](int user) { ready.push_back(user); });
    }
    const auto kept = static_cast<std::size_t>(std::ranges::count(kept_, true));
    if (done != kept) throw invalid_argument("The graph has a cycle that is no loop.");
  }

  // Reads of variables that wait for nothing come before all else, as where TensorFlow starts all
  // roots of a graph at once: an update that the graph does not order after them is not seen.
  // Gives what is ready then.
  template <class Finish>
  std::vector<int> read_first(std::vector<int> ready, const Finish& finish) const {
    std::vector<int> others;
    while (!ready.empty()) {
      const int index = ready.back();
      ready.pop_back();
      const Node& node = graph_.node(index);
      const bool is_first = is_constant(index) || is_feed(index) ||
                            (node.op != nullptr && (node.op->def().constant_in_session ||
                                                    node.op->def().reads_variables_only));
      if (!is_first) {
        others.push_back(index);
        continue;
      }
      finish(index, [&](int user) { ready.push_back(user); });
    }
    std::ranges::sort(others);
    return others;
  }

  bool may_write() const {
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      if (kept_[i] && may_write_variables(graph_, graph_.node(static_cast<int>(i)))) return true;
    }
    return false;
  }

  static ControlFlow control_flow(const Node& node) {
    return node.op == nullptr ? ControlFlow::kNone : node.op->def().control_flow;
  }

  // Whether anything in the plan may write a variable.
  void find_writers() {
    for (const int index : order_) {
      const Node& node = graph_.node(index);
      plan_writes_variables_ |= may_write_variables(graph_, node);
      if (node.op == nullptr || node.op->def().reads_variables_only) continue;
      for (const ArgDef& arg : node.op->schema().inputs) plan_.writes_refs_ |= arg.is_ref;
    }
    plan_writes_variables_ |= plan_.writes_refs_;
  }

  // Save through a reference: find_writers looks at these.
  bool may_write_variables(const GraphData& graph, const Node& node) const {
    if (node.op != nullptr && node.op->def().reads_variables_only) return false;
    const bool takes_state = std::ranges::any_of(node.inputs, [&](OutputId input) {
      const OutputFact& fact = graph.fact(input);
      return fact.dtype == DType::kResource || fact.is_ref;
    });
    if (!takes_state || (node.op != nullptr && !node.op->def().stateful)) return false;
    if (node.op != nullptr || node.op_name != kLoopOp) return true;
    const auto& loop = *request_.loops->at(
        static_cast<std::size_t>(attr_value<std::int64_t>(node.attrs, node.name, "loop")));
    return part_may_write_variables(*loop.condition) || part_may_write_variables(*loop.body);
  }

  bool part_may_write_variables(const FunctionBody& part) const {
    return std::ranges::any_of(part.graph.nodes(), [&](const Node& node) {
      return may_write_variables(part.graph, node) ||
             (node.op != nullptr && std::ranges::any_of(node.op->schema().inputs, &ArgDef::is_ref));
    });
  }

  std::vector<bool> stable_inputs(const Node& node) const {
    std::vector<bool> stable;
    for (OutputId input : node.inputs) stable.push_back(is_stable(input));
    return stable;
  }

  bool is_stable(OutputId output) const {
    constexpr int kMaxPassed = 8;  // Identity after Identity
    for (int i = 0; i < kMaxPassed; ++i) {
      const Node& node = graph_.node(output.node);
      if (graph_.constant(output) != nullptr) return true;
      if (is_stable_feed(output)) return true;
      if (plan_writes_variables_ || node.op == nullptr) return false;
      if (graph_.fact(output).is_ref) return true;
      if (node.op->def().reads_variables_only && !node.inputs.empty())
        return is_session_constant(node.inputs[0]);
      if (node.op_name != "Identity" || node.inputs.empty()) return false;
      output = node.inputs[0];
    }
    return false;
  }

  bool is_stable_feed(OutputId output) const {
    const auto feed = std::ranges::find(feeds_, output);
    if (feed == feeds_.end()) return false;
    const auto index = static_cast<std::size_t>(feed - feeds_.begin());
    return index < request_.stable_feeds.size() && request_.stable_feeds[index];
  }

  // Tries every fusion at every node, the last ones first: a pattern ends in its last node.
  void fuse() {
    const auto count = static_cast<std::size_t>(graph_.num_nodes());
    std::vector<int> uses(count, 0);
    std::vector<int> other_uses(count, 0);
    const auto use = [&](OutputId output) {
      const auto node = static_cast<std::size_t>(output.node);
      ++(output.index == 0 ? uses : other_uses)[node];
    };
    for (std::size_t i = 0; i < count; ++i) {
      if (!kept_[i]) continue;
      for (const OutputId input : graph_.node(static_cast<int>(i)).inputs) use(input);
      for (const std::int32_t control : graph_.node(static_cast<int>(i)).control_inputs) {
        ++other_uses[static_cast<std::size_t>(control)];
      }
    }
    for (const OutputId fetch : fetches_) use(fetch);
    for (const int target : targets_) ++other_uses[static_cast<std::size_t>(target)];
    FusionGraph fusion_graph(graph_, std::move(uses), std::move(other_uses),
                             [this](OutputId output) { return is_stable(output); });
    for (auto node = order_.rbegin(); node != order_.rend(); ++node) {
      for (const Fusion& fusion : builtin_fusions()) {
        if (fusion.apply(fusion_graph, *node)) break;
      }
    }
    if (fusion_graph.replaced().empty()) return;
    for (const auto& [old_node, fused] : fusion_graph.replaced()) {
      for (OutputId& fetch : fetches_) {
        if (fetch.node == old_node) fetch.node = fused;
      }
      std::ranges::replace(targets_, old_node, fused);
    }
    find_kept_nodes();
    order_.clear();
    order_nodes();
  }

  bool is_session_constant(OutputId output) const {
    const Node& node = graph_.node(output.node);
    return graph_.constant(output) != nullptr ||
           (node.op != nullptr && node.op->def().constant_in_session);
  }

  void assign_slots() {
    slots_.assign(static_cast<std::size_t>(graph_.num_nodes()), -1);
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      if (!kept_[i] || !is_constant(static_cast<int>(i))) continue;
      slots_[i] = plan_.num_slots_++;
      plan_.constants_.emplace_back(slots_[i], *graph_.constant({static_cast<int>(i), 0}));
    }
    for (const OutputId feed : feeds_) {
      plan_.feed_nodes_.push_back(feed.node);
      const bool needed = kept_[static_cast<std::size_t>(feed.node)];
      if (needed) slots_[static_cast<std::size_t>(feed.node)] = plan_.num_slots_++;
      plan_.feed_slots_.push_back(slots_[static_cast<std::size_t>(feed.node)]);
    }
    for (const int index : order_) {
      slots_[static_cast<std::size_t>(index)] = plan_.num_slots_;
      plan_.num_slots_ += std::max(1, static_cast<int>(graph_.node(index).outputs.size()));
    }
    for (const OutputId fetch : fetches_) plan_.fetch_slots_.push_back(slot(fetch));
  }

  int slot(OutputId output) const {
    return slots_[static_cast<std::size_t>(output.node)] + output.index;
  }

  void make_kernels() {
    for (const int index : order_) {
      const Node& node = graph_.node(index);
      PlanNode plan_node;
      plan_node.node = &node;
      for (const OutputId input : node.inputs) {
        plan_node.inputs.push_back(slot(input));
        plan_node.has_ref_inputs |= graph_.fact(input).is_ref;
      }
      plan_node.first_output = slots_[static_cast<std::size_t>(index)];
      plan_node.num_outputs = static_cast<int>(node.outputs.size());
      for (const OutputFact& fact : node.outputs) plan_node.has_ref_outputs |= fact.is_ref;
      plan_node.control_flow = control_flow(node);
      plan_.has_refs_ |= plan_node.has_ref_inputs || plan_node.has_ref_outputs;
      with_context([&] { make_kernel(plan_node); },
                   [&] { return cat("in node \"", node.name, "\" (", node.op_name, ")"); });
      plan_.nodes_.push_back(std::move(plan_node));
      plan_.node_indices_.push_back(index);
    }
  }

  void make_kernel(PlanNode& plan_node) {
    const Node& node = *plan_node.node;
    const KernelInit init(graph_, node, resources_, &functions_.finder(node, request_.effects),
                          stable_inputs(node));
    if (node.op == nullptr && node.op_name == kLoopOp) {
      const auto index = static_cast<std::size_t>(init.attr<std::int64_t>("loop"));
      plan_node.kernel = std::make_unique<LoopKernel>(*request_.loops->at(index), request_,
                                                      stable_inputs(node), resources_, functions_);
    } else if (node.op == nullptr && graph_.functions.contains(node.op_name)) {
      plan_node.kernel = std::make_unique<CallKernel>(init);
    } else if (node.op == nullptr) {
      throw unimplemented("The op is not supported. Details: \"", printable(node.op_name), "\".");
    } else if (node.op->def().kernel != nullptr) {
      plan_node.kernel = node.op->def().kernel(init);
    } else if (plan_node.control_flow == ControlFlow::kNone) {
      throw unimplemented("The op has no kernel. Details: \"", node.op_name, "\".");
    }
  }

  // Values are released after their last reader; what is fetched, fed or constant stays.
  void find_last_uses() {
    std::vector<int> last_reader(static_cast<std::size_t>(plan_.num_slots_), -1);
    std::vector<bool> stays(static_cast<std::size_t>(plan_.num_slots_), false);
    for (const auto& [slot, value] : plan_.constants_) stays[static_cast<std::size_t>(slot)] = true;
    for (const int slot : plan_.fetch_slots_) stays[static_cast<std::size_t>(slot)] = true;
    for (std::size_t i = 0; i < plan_.nodes_.size(); ++i) {
      for (const int slot : plan_.nodes_[i].inputs)
        last_reader[static_cast<std::size_t>(slot)] = static_cast<int>(i);
    }
    for (std::size_t i = 0; i < plan_.nodes_.size(); ++i) {
      PlanNode& node = plan_.nodes_[i];
      node.last_uses = std::make_unique<bool[]>(node.inputs.size());
      for (std::size_t k = 0; k < node.inputs.size(); ++k) {
        const auto slot = static_cast<std::size_t>(node.inputs[k]);
        node.last_uses[k] = !stays[slot] && last_reader[slot] == static_cast<int>(i);
        if (node.last_uses[k] && std::ranges::count(node.releases, node.inputs[k]) == 0)
          node.releases.push_back(node.inputs[k]);
      }
      for (int k = 0; k < node.num_outputs; ++k) {
        const auto slot = static_cast<std::size_t>(node.first_output) + static_cast<std::size_t>(k);
        if (last_reader[slot] < 0 && !stays[slot]) node.releases.push_back(static_cast<int>(slot));
      }
    }
  }

  void make_edges() {
    std::vector<int> positions(static_cast<std::size_t>(graph_.num_nodes()), -1);
    for (std::size_t i = 0; i < order_.size(); ++i)
      positions[static_cast<std::size_t>(order_[i])] = static_cast<int>(i);
    plan_.edges_.resize(order_.size());
    plan_.num_control_inputs_.assign(order_.size(), 0);
    for (std::size_t i = 0; i < order_.size(); ++i) {
      const Node& node = graph_.node(order_[i]);
      for (std::size_t k = 0; k < node.inputs.size(); ++k) {
        const PlanEdge edge{static_cast<int>(i), static_cast<int>(k), node.inputs[k].index};
        const int source = positions[static_cast<std::size_t>(node.inputs[k].node)];
        if (source < 0) {
          plan_.initial_edges_.push_back({slot(node.inputs[k]), edge});
        } else {
          plan_.edges_[static_cast<std::size_t>(source)].push_back(edge);
        }
      }
      for (const std::int32_t control : node.control_inputs) {
        const int source = positions[static_cast<std::size_t>(control)];
        if (source < 0) continue;  // a constant or a feed: nothing to wait for
        plan_.edges_[static_cast<std::size_t>(source)].push_back({static_cast<int>(i), -1, 0});
        ++plan_.num_control_inputs_[i];
      }
    }
    for (const OutputId fetch : fetches_)
      plan_.fetch_nodes_.push_back(positions[static_cast<std::size_t>(fetch.node)]);
  }

  const GraphData& source_;
  PlanRequest request_;
  ResourceManager& resources_;
  FunctionRuntime& functions_;
  Plan& plan_;
  GraphData& graph_;
  std::vector<OutputId> feeds_;
  std::vector<OutputId> fetches_;
  std::vector<int> targets_;
  std::vector<bool> kept_;
  std::vector<int> order_;
  std::vector<int> slots_;
  bool plan_writes_variables_ = false;
};

Plan::Plan(const GraphData& graph, const PlanRequest& request, ResourceManager& resources,
           FunctionRuntime& functions)
    : graph_(graph.registry()) {
  Planner(graph, request, resources, functions, *this).run();
}

Plan::~Plan() = default;

}  // namespace hub
