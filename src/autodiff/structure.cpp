#include "autodiff/structure.h"

#include <algorithm>
#include <array>

#include "autodiff/calls.h"
#include "autodiff/conditionals.h"
#include "autodiff/gradients.h"

namespace hub {
namespace {

// The second derivative of batch normalisation: that of the formula written out.
Gradients batch_norm_second(GradientContext& c) {
  const std::string& format = c.attr<std::string>("data_format");
  const bool is_training = c.attr<bool>("is_training");
  const double epsilon = c.attr<float>("epsilon");
  const bool channels_last = format.back() == 'C';
  const int rank = static_cast<int>(format.size());
  std::vector<std::int32_t> axes;
  std::vector<std::int32_t> wide;
  for (int i = 0; i < rank; ++i) {
    const bool is_channel = i == (channels_last ? rank - 1 : 1);
    if (!is_channel) axes.push_back(i);
    wide.push_back(is_channel ? -1 : 1);
  }
  const auto vector = [](const std::vector<std::int32_t>& v) {
    return make_tensor<std::int32_t>(Shape{static_cast<std::int64_t>(v.size())},
                                     std::span<const std::int32_t>(v));
  };
  const auto op = [&](std::string_view type, const std::vector<Input>& inputs,
                      const Attrs& attrs = {}) { return c.op(type, inputs, attrs); };
  const auto broad = [&](const Output& v) { return op("Reshape", {v, vector(wide)}); };
  const auto reduced = [&](const char* type, const Output& v, bool keep) {
    return op(type, {v, vector(axes)}, {{"keep_dims", keep}});
  };
  // Copies: a way from x to dy outside of this op is not its matter.
  const Output dy = op("Identity", {c.input(0)});
  const Output x = op("Identity", {c.input(1)});
  const Output scale = op("Identity", {c.input(2)});
  const bool is_half = x.dtype() != DType::kFloat32;
  const auto wider = [&](const Output& v) {
    return is_half ? op("Cast", {v}, {{"DstT", DType::kFloat32}}) : v;
  };
  const Output y_ = wider(dy);
  const Output x_ = wider(x);
  const Output mean = is_training ? reduced("Mean", x_, true) : broad(c.input(3));
  const Output offset = op("Sub", {x_, mean});
  const Output variance =
      is_training ? reduced("Mean", op("SquaredDifference", {x_, op("StopGradient", {mean})}), true)
                  : broad(c.input(4));
  const Output with_epsilon = op("AddV2", {variance, epsilon});
  const Output inverse = op("Rsqrt", {with_epsilon});
  const Output product = op("Mul", {y_, offset});
  Output dx = op("Mul", {y_, op("Mul", {broad(scale), inverse})});
  if (is_training) {
    const Output centred = op("Sub", {y_, reduced("Mean", y_, true)});
    const Output along =
        op("Mul",
           {op("Mul", {op("Reciprocal", {with_epsilon}), reduced("Mean", product, true)}), offset});
    dx = op("Mul", {op("Mul", {broad(scale), inverse}), op("Sub", {centred, along})});
  }
  if (is_half) dx = op("Cast", {dx}, {{"DstT", x.dtype()}});
  const Output dscale = reduced("Sum", op("Mul", {product, inverse}), false);
  const Output doffset = reduced("Sum", y_, false);
  const std::vector<GradientValue> values =
      gradients(c.graph(), {dx, dscale, doffset}, {dy, x, scale}, {c.dy(0), c.dy(1), c.dy(2)});
  Gradients result = c.pad({});
  for (std::size_t i = 0; i < values.size(); ++i) result[i] = dense_gradient(c.graph(), values[i]);
  return result;
}

constexpr std::array kStructuralOps = {"PartitionedCall",
                                       "StatefulPartitionedCall",
                                       "If",
                                       "StatelessIf",
                                       "Case",
                                       "StatelessCase",
                                       "While",
                                       "StatelessWhile",
                                       "Switch",
                                       "RefSwitch",
                                       "Merge",
                                       "RefMerge",
                                       "Exit",
                                       "RefExit",
                                       "Enter",
                                       "RefEnter",
                                       "NextIteration",
                                       "RefNextIteration",
                                       "FusedBatchNormGrad",
                                       "FusedBatchNormGradV2",
                                       "FusedBatchNormGradV3"};

}  // namespace

bool has_structural_gradient(std::string_view op) {
  return std::ranges::find(kStructuralOps, op) != kStructuralOps.end();
}

std::optional<Gradients> structural_gradient(GradientContext& c) {
  const std::string op = c.node().op_name;
  if (c.node().op == nullptr) {
    if (!c.state().data().functions.contains(op)) return std::nullopt;
    return call_gradient(c, {op, c.node().attrs, {}}, true);
  }
  if (op == "PartitionedCall" || op == "StatefulPartitionedCall")
    return call_gradient(c, function_attr(c.node(), "f"), false);
  if (op == "If" || op == "StatelessIf") {
    return branch_gradient(
        c, {function_attr(c.node(), "then_branch"), function_attr(c.node(), "else_branch")},
        {"then_branch", "else_branch"});
  }
  if (op == "Case" || op == "StatelessCase")
    return branch_gradient(c, c.attr<AttrList>("branches").functions, {"branches"});
  if (op == "While" || op == "StatelessWhile") return loop_gradient(c);
  if (op == "Switch" || op == "RefSwitch") return switch_gradient(c);
  if (op == "Merge" || op == "RefMerge") return merge_gradient(c);
  if (op.starts_with("FusedBatchNormGrad")) return batch_norm_second(c);
  return std::nullopt;
}

}  // namespace hub
