#include "autodiff/function_parts.h"

#include <algorithm>

#include "autodiff/conditionals.h"
#include "autodiff/gradients.h"
#include "autodiff/structure.h"
#include "base/errors.h"

namespace hub {
namespace {

const OpDefMessage& schema_of(const GraphData& graph, const Node& node) {
  if (node.op != nullptr) return node.op->schema();
  const auto found = graph.functions.find(node.op_name);
  if (found == graph.functions.end()) {
    throw unimplemented(
        "An op that is not known cannot be in a function that is differentiated. "
        "Details: \"",
        node.op_name, "\".");
  }
  return found->second->signature;
}

bool is_source(const Node& node) { return node.op_name == "_Arg"; }

// How a function's body spells a tensor.
class Spelling {
 public:
  Spelling(const GraphData& graph, const FunctionParts& parts) : graph_(graph), parts_(parts) {
    for (std::size_t i = 0; i < parts.inputs.size(); ++i) inputs_[parts.inputs[i]] = cat("arg_", i);
  }

  std::string operator()(OutputId id) const {
    if (const auto found = parts_.renamed.find(id); found != parts_.renamed.end())
      id = found->second;
    if (const auto found = inputs_.find(id); found != inputs_.end()) return found->second;
    const Node& node = graph_.node(id.node);
    if (is_source(node)) {
      throw internal_error(
          "A function's part reads an argument that it does not have. Details: ", node.name, ".");
    }
    const OpDefMessage& schema = schema_of(graph_, node);
    for (std::size_t i = schema.outputs.size(); i-- > 0;) {
      const std::int32_t begin = node.output_arg_begins[i];
      if (id.index >= begin)
        return cat(node.name, ":", schema.outputs[i].name, ":", id.index - begin);
    }
    throw internal_error("A node has no such output. Details: ", node.name, ".");
  }

 private:
  const GraphData& graph_;
  const FunctionParts& parts_;
  std::map<OutputId, std::string, OutputIdLess> inputs_;
};

ArgDef make_arg(const std::string& name, DType dtype) {
  ArgDef arg;
  arg.name = name;
  arg.type = dtype;
  return arg;
}

}  // namespace

std::shared_ptr<const FunctionDef> make_function(const GraphData& graph,
                                                 const FunctionParts& parts) {
  const Spelling spell(graph, parts);
  auto def = std::make_shared<FunctionDef>();
  def->signature.name = parts.name;
  for (std::size_t i = 0; i < parts.inputs.size(); ++i) {
    def->signature.inputs.push_back(make_arg(cat("arg_", i), graph.fact(parts.inputs[i]).dtype));
  }
  for (std::size_t i = 0; i < parts.outputs.size(); ++i) {
    const std::string name = cat("out_", i);
    def->signature.outputs.push_back(make_arg(name, graph.fact(parts.outputs[i]).dtype));
    def->returns[name] = spell(parts.outputs[i]);
  }
  for (const int index : parts.nodes) {
    const Node& node = graph.node(index);
    if (is_source(node)) continue;
    NodeDef copy;
    copy.name = node.name;
    copy.op = node.op_name;
    copy.device = node.device;
    copy.attrs = node.attrs;
    for (const OutputId input : node.inputs) copy.inputs.push_back(spell(input));
    for (const std::int32_t control : node.control_inputs) {
      if (parts.nodes.contains(control) && !is_source(graph.node(control)))
        copy.inputs.push_back(cat("^", graph.node(control).name));
    }
    if (node.op != nullptr && node.op->def().stateful) def->signature.is_stateful = true;
    def->nodes.push_back(std::move(copy));
  }
  for (const int target : parts.targets) {
    const std::string& name = graph.node(target).name;
    if (parts.nodes.contains(target) && def->control_returns.try_emplace(name, name).second)
      def->signature.control_outputs.push_back(name);
  }
  return def;
}

std::string unique_function_name(const GraphState& graph, const std::string& base) {
  for (int i = 0;; ++i) {
    std::string name = cat("__", base, "_", i);
    if (!graph.data().functions.contains(name)) return name;
  }
}

void add_functions(GraphState& graph, std::shared_ptr<const FunctionDef> function,
                   const GraphData& from) {
  for (const auto& [name, inner] : from.functions) {
    if (!graph.data().functions.contains(name)) graph.add_function(inner);
  }
  graph.add_function(std::move(function));
}

Derivative::Derivative(const GraphState& outer, const FunctionRef& function,
                       const std::vector<bool>& given, const std::vector<DType>& dy_dtypes,
                       bool is_loop)
    : state_(std::make_shared<GraphState>(outer.data().registry())), is_loop_(is_loop) {
  std::unique_ptr<FunctionBody> body = instantiate_function(function, outer.data());
  args_ = body->inputs;
  outputs_ = body->outputs;
  targets_ = body->targets;
  {
    const GraphEdit edit(*state_);
    edit.data() = std::move(body->graph);
  }
  for (const Node& node : state_->data().nodes()) {
    if (!node.name.starts_with('_')) state_->unique_name(node.name, true);
  }
  const Graph graph(state_);
  std::vector<Output> all;
  for (const OutputId output : outputs_) all.push_back(state_->output(output));
  raise_loops(*state_, all);
  for (int i = 0; i < state_->data().num_nodes(); ++i) forward_.insert(i);
  std::vector<Output> ys;
  std::vector<Output> xs;
  std::vector<Output> weights;
  dys_.resize(outputs_.size());
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    if (!given[i]) continue;
    const DType own = dtype(outputs_[i]);
    dys_[i] = add_source(cat("_dy/", i), own == DType::kResource ? dy_dtypes[i] : own);
    ys.push_back(all[i]);
    weights.push_back(state_->output(dys_[i]));
  }
  std::vector<std::size_t> wanted;
  for (std::size_t i = 0; i < args_.size(); ++i) {
    if (!is_differentiable(dtype(args_[i]))) continue;
    wanted.push_back(i);
    xs.push_back(state_->output(args_[i]));
  }
  const std::vector<GradientValue> values = gradients(graph, ys, xs, weights);
  dxs_.resize(args_.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const Output dx = dense_gradient(graph, values[i]);
    if (dx) dxs_[wanted[i]] = {dx.node(), dx.index()};
  }
  split();
}

OutputId Derivative::add_source(const std::string& name, DType dtype) {
  const GraphEdit edit(*state_);
  OutputFact fact;
  fact.dtype = dtype;
  return {edit.data().add_source(edit.data().unique_name(name), "_Arg", std::move(fact)), 0};
}

OutputId Derivative::add_node(const std::string& type, std::vector<OutputId> inputs, AttrMap attrs,
                              int output) {
  return {state_->create(type, std::move(inputs), std::move(attrs), cat("gradients_", type)),
          output};
}

std::set<int> Derivative::closure(const std::vector<OutputId>& outputs,
                                  const std::set<int>& until) const {
  std::set<int> result;
  std::vector<int> todo;
  const auto reach = [&](int node) {
    if (node >= 0 && !until.contains(node) && result.insert(node).second) todo.push_back(node);
  };
  for (const OutputId output : outputs) reach(output.node);
  while (!todo.empty()) {
    const Node& node = state_->data().node(todo.back());
    todo.pop_back();
    for (const OutputId input : node.inputs) reach(input.node);
    for (const std::int32_t control : node.control_inputs) reach(control);
  }
  return result;
}

// Nodes that a forward node got as new inputs are forward too.
void Derivative::split() {
  std::vector<OutputId> roots;
  for (const int node : forward_) {
    for (const OutputId input : state_->data().node(node).inputs) roots.push_back(input);
  }
  forward_.merge(closure(roots, forward_));
  taps_.clear();
  const std::set<int> back = closure(dxs_, forward_);
  const auto use = [&](OutputId id) {
    if (!forward_.contains(id.node)) return;
    const Node& node = state_->data().node(id.node);
    if (node.op_name == "Const" || node.op_name == "VarHandleOp") return;
    const auto arg = std::ranges::find(args_, id);
    if (arg != args_.end() &&
        (!is_loop_ || is_invariant(static_cast<std::size_t>(arg - args_.begin())))) {
      return;
    }
    if (std::ranges::find(taps_, id) == taps_.end()) taps_.push_back(id);
  };
  for (const int index : back) {
    for (const OutputId input : state_->data().node(index).inputs) use(input);
  }
  for (const OutputId dx : dxs_) {
    if (dx.is_valid()) use(dx);
  }
  // What is dead in places needs to know where.
  for (std::size_t k = 0; k < taps_.size(); ++k) {
    for (const Branch& branch : branches_around(state_->data(), taps_[k]))
      use(state_->data().node(branch.switch_node).inputs[1]);
  }
  // Those that decide come first, the outer ones before the inner ones.
  const auto depth = [&](OutputId tap) { return branches_around(state_->data(), tap).size(); };
  std::ranges::stable_sort(taps_, {}, depth);
}

OutputId Derivative::filler(DType dtype) {
  const auto constant = [&](const Tensor& value) {
    return add_node("Const", {},
                    {{"dtype", AttrValue(value.dtype())}, {"value", AttrValue(value)}});
  };
  if (dtype == DType::kString) return constant(make_scalar<std::string>(""));
  if (dtype == DType::kBool) return constant(make_scalar<bool>(false));
  if (dtype == DType::kVariant) {
    const OutputId shape = constant(make_scalar<std::int32_t>(-1));
    return add_node("EmptyTensorList", {shape, shape},
                    {{"element_dtype", AttrValue(DType::kFloat32)}});
  }
  if (dtype == DType::kResource) {
    throw unimplemented("A branch that makes a resource for its own use cannot be differentiated.");
  }
  return constant(make_scalar_of(dtype, std::int64_t{0}));
}

OutputId Derivative::revived(OutputId tap) {
  for (const Branch& branch : branches_around(state_->data(), tap)) {
    const OutputId predicate = state_->data().node(branch.switch_node).inputs[1];
    const OutputId other =
        add_node("Switch", {filler(dtype(tap)), predicate}, {}, 1 - branch.output);
    tap = add_node("Merge", {tap, other});
  }
  return tap;
}

OutputId Derivative::gated(OutputId tap, OutputId value,
                           const std::map<OutputId, OutputId, OutputIdLess>& renamed) {
  const std::vector<Branch> branches = branches_around(state_->data(), tap);
  for (auto branch = branches.rbegin(); branch != branches.rend(); ++branch) {
    OutputId predicate = state_->data().node(branch->switch_node).inputs[1];
    if (const auto found = renamed.find(predicate); found != renamed.end())
      predicate = found->second;
    value = add_node("Switch", {value, predicate}, {}, branch->output);
  }
  return value;
}

std::shared_ptr<const FunctionDef> Derivative::forward(const std::string& name,
                                                       const std::vector<OutputId>& inputs,
                                                       const std::vector<OutputId>& extra) {
  FunctionParts parts = {.name = name, .inputs = args_, .outputs = outputs_, .nodes = forward_};
  parts.inputs.insert(parts.inputs.end(), inputs.begin(), inputs.end());
  parts.outputs.insert(parts.outputs.end(), extra.begin(), extra.end());
  parts.nodes.merge(closure(extra, forward_));
  parts.targets = targets_;
  return make_function(state_->data(), parts);
}

std::shared_ptr<const FunctionDef> Derivative::backward(
    const std::string& name, const std::vector<OutputId>& inputs,
    const std::vector<OutputId>& outputs,
    const std::map<OutputId, OutputId, OutputIdLess>& renamed) {
  FunctionParts parts = {.name = name, .inputs = inputs, .outputs = outputs, .nodes = {}};
  parts.renamed = renamed;
  std::vector<OutputId> roots = outputs;
  for (const auto& [from, to] : renamed) roots.push_back(to);
  parts.nodes = closure(roots, forward_);
  // Constants and handles are made anew.
  std::set<int> copies;
  const auto copy = [&](OutputId id) {
    if (!forward_.contains(id.node) || renamed.contains(id)) return;
    const std::string& op = state_->data().node(id.node).op_name;
    if (op == "Const" || op == "VarHandleOp") copies.insert(id.node);
  };
  for (const int node : parts.nodes) {
    for (const OutputId input : state_->data().node(node).inputs) copy(input);
  }
  for (const OutputId output : outputs) copy(output);
  parts.nodes.merge(copies);
  return make_function(state_->data(), parts);
}

}  // namespace hub
