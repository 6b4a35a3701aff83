// Gradients of loops of functions.

#include <algorithm>
#include <memory>

#include "autodiff/calls.h"
#include "autodiff/function_parts.h"
#include "base/errors.h"

namespace hub {
namespace {

// While: the forward loop also keeps, for each iteration, what the backward loop needs.
class LoopGradient {
 public:
  explicit LoopGradient(GradientContext& c) : c_(c), graph_(c.state()) {
    const auto count = static_cast<std::size_t>(c.num_outputs());
    given_.resize(count);
    dtypes_.resize(count, DType::kInvalid);
    for (std::size_t i = 0; i < count; ++i) {
      given_[i] = c.has_dy(static_cast<int>(i));
      // A loop that was written as functions has a gradient to all of its numbers.
      const DType dtype = c.output(static_cast<int>(i)).dtype();
      if (!c.node().attrs.contains(kRaisedLoop) && is_differentiable(dtype) &&
          dtype != DType::kResource && dtype != DType::kVariant) {
        given_[i] = true;
      }
      if (c.has_dy(static_cast<int>(i))) {
        dtypes_[i] = c.dy(static_cast<int>(i)).dtype();
      } else if (given_[i]) {
        dtypes_[i] = dtype;
      }
    }
  }

  Gradients run() {
    find_carried();
    if (std::ranges::none_of(given_, [](bool given) { return given; })) return c_.pad({});
    const int old_vars = c_.num_outputs();
    for (std::size_t i = 0; i < given_.size(); ++i) {
      if (given_[i]) starts_.push_back(start_of(i));
    }
    add_backward();
    add_forward();
    return call(old_vars);
  }

 private:
  Derivative& body() { return *body_; }
  std::size_t num_taps() { return body().taps().size(); }

  // A variable is carried backwards where a later iteration, or the result, depends on it.
  void find_carried() {
    while (true) {
      body_ = std::make_unique<Derivative>(graph_, function_attr(c_.node(), "body"), given_,
                                           dtypes_, true);
      bool changed = false;
      for (std::size_t i = 0; i < given_.size(); ++i) {
        const OutputId dx = body().dxs()[i];
        if (given_[i] || !dx.is_valid()) continue;
        given_[i] = changed = true;
        dtypes_[i] = body().dtype(dx);
      }
      if (!changed) break;
    }
    for (std::size_t i = 0; i < given_.size(); ++i) {
      if (given_[i] && !body().dxs()[i].is_valid())
        body().set_dx(i, body().add_node("ZerosLike", {body().dys()[i]}));
    }
    body().split();
  }

  OutputId start_of(std::size_t i) {
    const int index = static_cast<int>(i);
    Output dy;
    if (c_.has_dy(index)) {
      dy = c_.dy(index);
    } else if (c_.output(index).dtype() == DType::kResource) {
      dy = c_.op("ZerosLike",
                 {c_.op("ReadVariableOp", {c_.output(index)}, {{"dtype", dtypes_[i]}})});
    } else {
      dy = c_.op("ZerosLike", {c_.output(index)});
    }
    return {dy.node(), dy.index()};
  }

  static OutputId constant(Derivative& body, std::int32_t value) {
    return body.add_node("Const", {},
                         {{"dtype", AttrValue(DType::kInt32)},
                          {"value", AttrValue(make_scalar<std::int32_t>(value))}});
  }

  // The backward loop's variables: how many iterations are left, what was kept, the arguments,
  // the gradients.
  void add_backward() {
    const OutputId left = body().add_source("_left", DType::kInt32);
    std::vector<OutputId> inputs = {left};
    std::vector<OutputId> outputs = {body().add_node("Sub", {left, constant(body(), 1)})};
    std::map<OutputId, OutputId, OutputIdLess> renamed;
    for (std::size_t k = 0; k < num_taps(); ++k) {
      const OutputId tap = body().taps()[k];
      const OutputId list = body().add_source(cat("_kept/", k), DType::kVariant);
      const OutputId popped = body().add_node("TensorListPopBack", {list, constant(body(), -1)},
                                              {{"element_dtype", AttrValue(body().dtype(tap))}}, 0);
      inputs.push_back(list);
      outputs.push_back(popped);
      renamed[tap] = body().gated(tap, {popped.node, 1}, renamed);
    }
    for (const OutputId arg : body().args()) {
      inputs.push_back(arg);
      outputs.push_back(arg);
    }
    for (std::size_t i = 0; i < given_.size(); ++i) {
      if (!given_[i]) continue;
      inputs.push_back(body().dys()[i]);
      outputs.push_back(body().dxs()[i]);
    }
    backward_types_ = dtypes_of(body().graph().data(), inputs);
    const std::string base = function_attr(c_.node(), "body").name;
    // An argument that the loop changes is read as it was kept.
    for (std::size_t i = 0; i < body().args().size(); ++i) {
      const OutputId arg = body().args()[i];
      if (!renamed.contains(arg)) continue;
      const OutputId unused = body().add_source(cat("_last/", i), body().dtype(arg));
      inputs[1 + num_taps() + i] = unused;
      outputs[1 + num_taps() + i] = unused;
    }
    backward_ = unique_function_name(graph_, "backward_" + base);
    add_functions(graph_, body().backward(backward_, inputs, outputs, renamed),
                  body().graph().data());
    const OutputId more = body().add_node("Greater", {left, constant(body(), 0)});
    backward_condition_ = unique_function_name(graph_, "left_" + base);
    graph_.add_function(body().backward(backward_condition_, inputs, {more}, {}));
  }

  // The loop's variables, how many iterations there were, and what is kept.
  void add_forward() {
    const std::string base = function_attr(c_.node(), "body").name;
    const OutputId done = body().add_source("_done", DType::kInt32);
    std::vector<OutputId> inputs = {done};
    std::vector<OutputId> outputs = {body().add_node("AddV2", {done, constant(body(), 1)})};
    for (std::size_t k = 0; k < num_taps(); ++k) {
      const OutputId list = body().add_source(cat("_keep/", k), DType::kVariant);
      inputs.push_back(list);
      outputs.push_back(
          body().add_node("TensorListPushBack", {list, body().revived(body().taps()[k])}));
    }
    const std::string forward = unique_function_name(graph_, "forward_" + base);
    add_functions(graph_, body().forward(forward, inputs, outputs), body().graph().data());
    const std::string condition = add_condition();
    std::vector<OutputId> starts = {{start_constant(0)}};
    for (std::size_t k = 0; k < num_taps(); ++k) {
      const Output shape = c_.graph().state().output(start_constant(-1));
      const Output list = c_.op("EmptyTensorList", {shape, shape},
                                {{"element_dtype", body().dtype(body().taps()[k])}});
      starts.push_back({list.node(), list.index()});
    }
    extend(graph_, c_.node_index(), starts, dtypes_of(graph_.data(), starts),
           {{"body", function_ref(forward)}, {"cond", function_ref(condition)}});
  }

  OutputId start_constant(std::int32_t value) {
    const Output output =
        c_.op("Const", {}, {{"dtype", DType::kInt32}, {"value", make_scalar<std::int32_t>(value)}});
    return {output.node(), output.index()};
  }

  std::string add_condition() {
    const FunctionRef& function = function_attr(c_.node(), "cond");
    std::unique_ptr<FunctionBody> part = instantiate_function(function, graph_.data());
    FunctionParts parts = {.name = unique_function_name(graph_, "forward_" + function.name),
                           .inputs = part->inputs,
                           .outputs = part->outputs,
                           .nodes = {}};
    for (int i = 0; i < part->graph.num_nodes(); ++i) parts.nodes.insert(i);
    for (std::size_t k = 0; k <= num_taps(); ++k) {
      OutputFact fact;
      fact.dtype = k == 0 ? DType::kInt32 : DType::kVariant;
      parts.inputs.push_back({part->graph.add_source(cat("_kept/", k), "_Arg", fact), 0});
    }
    graph_.add_function(make_function(part->graph, parts));
    return parts.name;
  }

  Gradients call(int old_vars) {
    const int index = c_.node_index();
    std::vector<OutputId> inputs;
    for (std::size_t k = 0; k <= num_taps(); ++k)
      inputs.push_back({index, old_vars + static_cast<int>(k)});
    for (int i = 0; i < old_vars; ++i) inputs.push_back({index, i});
    inputs.insert(inputs.end(), starts_.begin(), starts_.end());
    AttrMap attrs;
    attrs["T"] = types_attr(backward_types_);
    attrs["body"] = function_ref(backward_);
    attrs["cond"] = function_ref(backward_condition_);
    const int loop = graph_.create(c_.node().op_name, std::move(inputs), std::move(attrs), "while");
    Gradients result = c_.pad({});
    int next = 1 + static_cast<int>(num_taps()) + old_vars;
    for (std::size_t i = 0; i < given_.size(); ++i) {
      if (given_[i]) result[i] = graph_.output({loop, next++});
    }
    return result;
  }

  GradientContext& c_;
  GraphState& graph_;
  std::vector<bool> given_;
  std::vector<DType> dtypes_;
  std::unique_ptr<Derivative> body_;
  std::vector<OutputId> starts_;
  std::vector<DType> backward_types_;
  std::string backward_;
  std::string backward_condition_;
};

}  // namespace

Gradients loop_gradient(GradientContext& c) { return LoopGradient(c).run(); }

}  // namespace hub
