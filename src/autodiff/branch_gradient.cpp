// Gradients of calls and of choices between functions.

#include <algorithm>

#include "autodiff/calls.h"
#include "autodiff/function_parts.h"
#include "base/errors.h"

namespace hub {
namespace {

struct Dys {
  std::vector<bool> given;
  std::vector<DType> dtypes;
  std::vector<OutputId> values;
};

Dys given_dys(GradientContext& c) {
  Dys result;
  for (int i = 0; i < c.num_outputs(); ++i) {
    result.given.push_back(c.has_dy(i));
    const Output dy = c.has_dy(i) ? c.dy(i) : Output();
    result.dtypes.push_back(dy ? dy.dtype() : DType::kInvalid);
    if (dy) result.values.push_back({dy.node(), dy.index()});
  }
  return result;
}

// A call of a function, or a choice between functions: each branch with what it takes.
class BranchGradient {
 public:
  BranchGradient(GradientContext& c, const std::vector<FunctionRef>& functions, int first_arg)
      : c_(c), graph_(c.state()), functions_(functions), first_arg_(first_arg), dys_(given_dys(c)) {
    for (const FunctionRef& function : functions)
      branches_.emplace_back(graph_, function, dys_.given, dys_.dtypes, false);
    for (const Derivative& branch : branches_) {
      counts_.push_back(branch.taps().size());
      for (const OutputId tap : branch.taps()) tap_types_.push_back(branch.dtype(tap));
    }
    find_wanted();
  }

  // `attr_of` names the functions of the node and of its gradient.
  Gradients run(const std::vector<std::string>& attr_names, const std::string& type) {
    if (wanted_.empty()) return c_.pad({});
    const int old_outputs = c_.num_outputs();
    std::map<std::string, AttrValue> forward;
    std::vector<std::string> backward;
    for (std::size_t b = 0; b < branches_.size(); ++b) {
      // The backward part may add nodes, and so taps: it comes first.
      backward.push_back(add_backward(b));
      const std::string name = unique_function_name(graph_, "forward_" + functions_[b].name);
      add_functions(graph_, branches_[b].forward(name, {}, forward_outputs(b)),
                    branches_[b].graph().data());
      forward_names_.push_back(name);
    }
    set_functions(attr_names, forward);
    extend(graph_, c_.node_index(), {}, tap_types_, forward);
    return call(attr_names, type, backward, old_outputs);
  }

 private:
  void find_wanted() {
    const std::size_t count = branches_.front().args().size();
    for (std::size_t i = 0; i < count; ++i) {
      for (const Derivative& branch : branches_) {
        if (!branch.dxs()[i].is_valid()) continue;
        wanted_.push_back(i);
        dx_types_.push_back(branch.dtype(branch.dxs()[i]));
        break;
      }
    }
    // A branch without a gradient gives zeros.
    for (Derivative& branch : branches_) {
      for (std::size_t w = 0; w < wanted_.size(); ++w) {
        const std::size_t arg = wanted_[w];
        if (!branch.dxs()[arg].is_valid()) branch.set_dx(arg, zeros(branch, arg, dx_types_[w]));
      }
      branch.split();
    }
    counts_.clear();
    tap_types_.clear();
    for (const Derivative& branch : branches_) {
      counts_.push_back(branch.taps().size());
      for (const OutputId tap : branch.taps()) tap_types_.push_back(branch.dtype(tap));
    }
  }

  static OutputId zeros(Derivative& branch, std::size_t arg, DType dtype) {
    OutputId value = branch.args()[arg];
    if (branch.dtype(value) == DType::kResource)
      value = branch.add_node("ReadVariableOp", {value}, {{"dtype", AttrValue(dtype)}});
    return branch.add_node("ZerosLike", {value});
  }

  std::vector<OutputId> forward_outputs(std::size_t b) {
    std::vector<OutputId> result;
    std::size_t next = 0;
    for (std::size_t other = 0; other < branches_.size(); ++other) {
      for (std::size_t k = 0; k < counts_[other]; ++k, ++next) {
        result.push_back(other == b ? branches_[b].revived(branches_[b].taps()[k])
                                    : branches_[b].filler(tap_types_[next]));
      }
    }
    return result;
  }

  // Takes the taps of all branches, the arguments, and the gradients of the outputs.
  std::string add_backward(std::size_t b) {
    Derivative& branch = branches_[b];
    std::vector<OutputId> inputs;
    std::map<OutputId, OutputId, OutputIdLess> renamed;
    std::size_t next = 0;
    for (std::size_t other = 0; other < branches_.size(); ++other) {
      for (std::size_t k = 0; k < counts_[other]; ++k, ++next) {
        const OutputId source = branch.add_source(cat("_tap/", next), tap_types_[next]);
        inputs.push_back(source);
        if (other == b) {
          const OutputId tap = branch.taps()[k];
          renamed[tap] = branch.gated(tap, source, renamed);
        }
      }
    }
    inputs.insert(inputs.end(), branch.args().begin(), branch.args().end());
    for (const OutputId dy : branch.dys()) {
      if (dy.is_valid()) inputs.push_back(dy);
    }
    std::vector<OutputId> outputs;
    for (const std::size_t arg : wanted_) outputs.push_back(branch.dxs()[arg]);
    const std::string name = unique_function_name(graph_, "backward_" + functions_[b].name);
    add_functions(graph_, branch.backward(name, inputs, outputs, renamed), branch.graph().data());
    return name;
  }

  void set_functions(const std::vector<std::string>& attr_names,
                     std::map<std::string, AttrValue>& forward) {
    if (attr_names.empty()) {  // the op is the function
      const GraphEdit edit(graph_);
      Node& node = edit.data().mutable_node(c_.node_index());
      node.op_name = forward_names_[0];
      node.attrs.clear();
      node.output_arg_begins.clear();
      for (std::size_t i = 0; i <= node.outputs.size() + tap_types_.size(); ++i)
        node.output_arg_begins.push_back(static_cast<std::int32_t>(i));
      node.output_arg_begins.back() -= static_cast<std::int32_t>(tap_types_.size());
      node.input_arg_begins.clear();
      for (std::size_t i = 0; i <= node.inputs.size(); ++i)
        node.input_arg_begins.push_back(static_cast<std::int32_t>(i));
      node.output_arg_begins.back() = static_cast<std::int32_t>(node.outputs.size());
      return;
    }
    if (attr_names[0] == "branches") {
      AttrList list;
      for (const std::string& name : forward_names_) list.functions.push_back({name, {}, {}});
      forward["branches"] = AttrValue(std::move(list));
      return;
    }
    for (std::size_t b = 0; b < attr_names.size(); ++b)
      forward[attr_names[b]] = function_ref(forward_names_[b]);
  }

  Gradients call(const std::vector<std::string>& attr_names, const std::string& type,
                 const std::vector<std::string>& backward, int old_outputs) {
    std::vector<OutputId> inputs;
    const Node& node = c_.node();
    for (int i = 0; i < first_arg_; ++i) inputs.push_back(node.inputs[static_cast<std::size_t>(i)]);
    for (std::size_t k = 0; k < tap_types_.size(); ++k)
      inputs.push_back({c_.node_index(), old_outputs + static_cast<int>(k)});
    inputs.insert(inputs.end(), node.inputs.begin() + first_arg_, node.inputs.end());
    inputs.insert(inputs.end(), dys_.values.begin(), dys_.values.end());
    AttrMap attrs;
    attrs["Tin"] = types_attr(
        dtypes_of(graph_.data(), std::vector<OutputId>(inputs.begin() + first_arg_, inputs.end())));
    attrs["Tout"] = types_attr(dx_types_);
    if (!attr_names.empty() && attr_names[0] == "branches") {
      AttrList list;
      for (const std::string& name : backward) list.functions.push_back({name, {}, {}});
      attrs["branches"] = AttrValue(std::move(list));
    } else if (attr_names.empty()) {
      attrs["f"] = function_ref(backward[0]);
    } else {
      for (std::size_t b = 0; b < attr_names.size(); ++b)
        attrs[attr_names[b]] = function_ref(backward[b]);
    }
    const int gradient = graph_.create(type, std::move(inputs), std::move(attrs), type);
    Gradients result = c_.pad({});
    for (std::size_t w = 0; w < wanted_.size(); ++w) {
      result[wanted_[w] + static_cast<std::size_t>(first_arg_)] =
          graph_.output({gradient, static_cast<int>(w)});
    }
    return result;
  }

  GradientContext& c_;
  GraphState& graph_;
  std::vector<FunctionRef> functions_;
  int first_arg_;
  Dys dys_;
  std::vector<Derivative> branches_;
  std::vector<std::size_t> counts_;
  std::vector<DType> tap_types_;
  std::vector<std::size_t> wanted_;
  std::vector<DType> dx_types_;
  std::vector<std::string> forward_names_;
};

// A function whose library names its gradient: it takes the arguments and the outputs' gradients.
Gradients custom_gradient(GradientContext& c, const std::string& function) {
  std::vector<OutputId> inputs = c.node().inputs;
  for (int i = 0; i < c.num_outputs(); ++i) {
    const Output dy = c.dy(i);
    inputs.push_back({dy.node(), dy.index()});
  }
  AttrMap attrs;
  attrs["f"] = function_ref(function);
  attrs["Tin"] = types_attr(dtypes_of(c.state().data(), inputs));
  std::vector<DType> outputs;
  const auto found = c.state().data().functions.find(function);
  if (found == c.state().data().functions.end())
    throw not_found("The library has no such gradient function. Details: \"", function, "\".");
  for (const ArgDef& arg : found->second->signature.outputs) outputs.push_back(arg.type);
  attrs["Tout"] = types_attr(outputs);
  const int call =
      c.state().create("StatefulPartitionedCall", std::move(inputs), std::move(attrs), "gradient");
  Gradients result = c.pad({});
  for (std::size_t i = 0; i < outputs.size() && i < result.size(); ++i)
    result[i] = c.state().output({call, static_cast<int>(i)});
  return result;
}

}  // namespace

Gradients call_gradient(GradientContext& c, const FunctionRef& function, bool is_direct) {
  const auto& custom = c.state().data().function_gradients;
  if (const auto found = custom.find(function.name); found != custom.end())
    return custom_gradient(c, found->second);
  const std::string type = is_direct ? "StatefulPartitionedCall" : c.node().op_name;
  return BranchGradient(c, {function}, 0)
      .run(is_direct ? std::vector<std::string>{} : std::vector<std::string>{"f"}, type);
}

Gradients branch_gradient(GradientContext& c, const std::vector<FunctionRef>& functions,
                          const std::vector<std::string>& attr_names) {
  return BranchGradient(c, functions, 1).run(attr_names, c.node().op_name);
}

}  // namespace hub
