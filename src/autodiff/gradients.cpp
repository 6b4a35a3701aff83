#include "autodiff/gradients.h"

#include <algorithm>
#include <map>
#include <set>

#include "autodiff/structure.h"
#include "base/errors.h"
#include "base/strings.h"
#include "graph/flow_context.h"
#include "ops/gradients.h"

namespace hub {
namespace {

class Backprop {
 public:
  Backprop(const Graph& graph, const std::vector<Output>& xs, const GradientOptions& options)
      : graph_(graph), state_(graph.state()) {
    for (const Output& x : xs) xs_.insert(id_of(x, state_));
    for (const Output& stop : options.stop_gradients) stops_.insert(id_of(stop, state_));
  }

  void start(const Output& y, const Output& weight) {
    const OutputId id = id_of(y, state_);
    const DType dtype = y.dtype();
    if (!is_differentiable(dtype)) return;
    if (weight.is_valid()) {
      if (dtype != DType::kResource && weight.dtype() != dtype) {
        throw invalid_argument("The weight of a y has its dtype. Details: ", weight.dtype(),
                               " for ", y.name(), ", ", dtype, ".");
      }
      add(id, {.dense = weight, .slices = {}});
      return;
    }
    if (dtype == DType::kComplex64 || dtype == DType::kComplex128) {
      throw invalid_argument("A complex y needs a weight (grad_ys). Details: ", y.name(), ".");
    }
    if (dtype == DType::kResource || dtype == DType::kVariant) return;
    add(id, {.dense = graph_.op("OnesLike", {y}), .slices = {}});
  }

  void run(const std::vector<Output>& ys) {
    order(ys);
    for (auto node = order_.rbegin(); node != order_.rend(); ++node) {
      if (active_.contains(*node)) visit(*node);
    }
  }

  GradientValue gradient_to(OutputId id) {
    const auto found = sums_.find(id);
    return found == sums_.end() ? GradientValue{} : total(found->second);
  }

 private:
  const Node& node(int index) const { return state_.data().node(index); }

  bool carries(OutputId id) const {
    if (xs_.contains(id)) return true;
    return !stops_.contains(id) && active_.contains(id.node) &&
           is_differentiable(state_.data().fact(id).dtype);
  }

  // Nodes that the ys depend on, inputs first; those between xs and ys are active.
  void order(const std::vector<Output>& ys) {
    std::vector<std::pair<int, std::size_t>> path;
    std::set<int> seen;
    const auto enter = [&](int index) {
      if (seen.insert(index).second) path.emplace_back(index, 0);
    };
    for (const Output& y : ys) {
      enter(y.node());
      while (!path.empty()) {
        auto& [index, next] = path.back();
        const std::vector<OutputId>& inputs = node(index).inputs;
        if (next < inputs.size()) {
          const OutputId input = inputs[next++];
          if (input.is_valid()) enter(input.node);
          continue;
        }
        if (std::ranges::any_of(inputs, [&](OutputId input) { return carries(input); }))
          active_.insert(index);
        order_.push_back(index);
        path.pop_back();
      }
    }
  }

  void add(OutputId id, GradientValue value) {
    if (value.is_valid()) sums_[id].push_back(std::move(value));
  }

  // Adds up once; slices stay slices as long as there is nothing else.
  GradientValue total(std::vector<GradientValue>& parts) {
    if (parts.size() > 1) parts = {sum_of(parts)};
    return parts.front();
  }

  GradientValue sum_of(const std::vector<GradientValue>& parts) {
    if (std::ranges::all_of(parts, [](const GradientValue& part) { return !!part.slices; }))
      return concatenated(parts);
    std::vector<Input> terms;
    for (const GradientValue& part : parts) terms.emplace_back(dense_gradient(graph_, part));
    return {.dense = graph_.op("AddN", terms), .slices = {}};
  }

  GradientValue concatenated(const std::vector<GradientValue>& parts) {
    std::vector<Input> values;
    std::vector<Input> indices;
    const bool all_int32 = std::ranges::all_of(parts, [](const GradientValue& part) {
      return part.slices->indices.dtype() == DType::kInt32;
    });
    for (const GradientValue& part : parts) {
      values.emplace_back(part.slices->values);
      Output index = part.slices->indices;
      if (!all_int32 && index.dtype() != DType::kInt64)
        index = graph_.op("Cast", {index}, {{"DstT", DType::kInt64}});
      indices.emplace_back(index);
    }
    const Output axis =
        graph_.op("Const", {}, {{"dtype", DType::kInt32}, {"value", make_scalar<std::int32_t>(0)}});
    values.emplace_back(axis);
    indices.emplace_back(axis);
    const auto count = static_cast<std::int64_t>(parts.size());
    IndexedSlices slices;
    slices.values = graph_.op("ConcatV2", values, {{"N", count}});
    slices.indices = graph_.op("ConcatV2", indices, {{"N", count}});
    slices.dense_shape = parts.front().slices->dense_shape;
    return {.dense = {}, .slices = slices};
  }

  void visit(int index) {
    std::vector<GradientValue> dys(node(index).outputs.size());
    bool any = false;
    for (std::size_t i = 0; i < dys.size(); ++i) {
      const OutputId output{index, static_cast<std::int32_t>(i)};
      if (stops_.contains(output)) continue;
      const auto found = sums_.find(output);
      if (found == sums_.end()) continue;
      dys[i] = total(found->second);
      any = true;
    }
    if (!any) return;
    const std::string name = node(index).name;
    const std::string op_name = node(index).op_name;
    with_context([&] { differentiate(index, std::move(dys)); },
                 [&] { return cat("in the gradient of node \"", name, "\" (", op_name, ")"); });
  }

  void differentiate(int index, std::vector<GradientValue> dys) {
    const NameScope scope(graph_, cat(last_part(node(index).name), "_grad"));
    const Op* op = gradient_op(index);
    const std::vector<OutputId> inputs = node(index).inputs;
    GradientContext context(state_, index, std::move(dys));
    Gradients results;
    if (auto special = structural_gradient(context)) {
      results = std::move(*special);
    } else if (const GradientFunction rule = op != nullptr ? gradient_of(*op) : nullptr) {
      results = rule(context);
    } else if (op != nullptr && op->def().differentiable == Differentiable::kNone) {
      return;
    } else {
      refuse(index);
    }
    if (results.size() < inputs.size()) results.resize(inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].is_valid() || !carries(inputs[i])) continue;
      if (std::optional<IndexedSlices>& slices = context.given_slices()[i]; slices) {
        add(inputs[i], {.dense = {}, .slices = std::move(slices)});
      } else {
        add(inputs[i], {.dense = results[i], .slices = {}});
      }
    }
  }

  // The op whose rule counts: a graph may name another one (gradient_override_map). A gradient
  // that only the program that wrote the graph knew is refused; those of functions follow from
  // their bodies.
  const Op* gradient_op(int index) const {
    const Node& at = node(index);
    const auto found = at.attrs.find("_gradient_op_type");
    if (found == at.attrs.end() || at.op == nullptr || has_structural_gradient(at.op_name))
      return at.op;
    const auto* name = std::get_if<std::string>(&found->second.value);
    const Op* op = name == nullptr ? nullptr : state_.data().registry().find(*name);
    if (op != nullptr) return op;
    throw unimplemented(
        "The graph wants a gradient that is registered under a name, and it is "
        "not known here. Details: \"",
        name == nullptr ? "" : printable(*name), "\" on the way ", way_from(index), ".");
  }

  // A part of the name that may begin a scope.
  static std::string last_part(const std::string& name) {
    std::string part = name.substr(name.rfind('/') + 1);
    if (part.empty() || part.front() == '_') part.insert(0, "n");
    std::ranges::replace(part, ':', '_');
    return part;
  }

  [[noreturn]] void refuse(int index) const {
    const bool is_refused = node(index).op != nullptr &&
                            node(index).op->def().differentiable == Differentiable::kRefused;
    throw unimplemented(node(index).op_name,
                        is_refused ? ": the op cannot be differentiated, in TensorFlow neither. "
                                   : ": the op has no gradient here. ",
                        "Details: the way ", way_from(index), ".");
  }

  // From the node to a y, by the nodes that use its outputs.
  std::string way_from(int index) const {
    constexpr int kMaxSteps = 20;
    std::string text = cat('"', node(index).name, '"');
    int at = index;
    for (int steps = 0; steps < kMaxSteps; ++steps) {
      int next = -1;
      for (const int user : order_) {
        const auto& inputs = node(user).inputs;
        if (user != at && std::ranges::any_of(inputs, [&](OutputId i) { return i.node == at; }))
          next = user;
      }
      if (next < 0) break;
      text += cat(" -> \"", node(next).name, '"');
      at = next;
    }
    return text;
  }

  Graph graph_;
  GraphState& state_;
  std::set<OutputId, OutputIdLess> xs_;
  std::set<OutputId, OutputIdLess> stops_;
  std::set<int> active_;
  std::vector<int> order_;
  std::map<OutputId, std::vector<GradientValue>, OutputIdLess> sums_;
};

}  // namespace

std::vector<GradientValue> gradients(const Graph& graph, const std::vector<Output>& ys,
                                     const std::vector<Output>& xs,
                                     const std::vector<Output>& grad_ys,
                                     const GradientOptions& options) {
  if (!grad_ys.empty() && grad_ys.size() != ys.size()) {
    throw invalid_argument("There is a weight for each y, or none at all. Details: ",
                           grad_ys.size(), " for ", ys.size(), ".");
  }
  const ControlDependencies outside(graph);
  raise_loops(graph.state(), ys);
  const NameScope scope(graph, options.name);
  Backprop backprop(graph, xs, options);
  for (std::size_t i = 0; i < ys.size(); ++i)
    backprop.start(ys[i], grad_ys.empty() ? Output() : grad_ys[i]);
  backprop.run(ys);
  std::vector<GradientValue> result;
  for (const Output& x : xs) result.push_back(backprop.gradient_to({x.node(), x.index()}));
  return result;
}

}  // namespace hub
