#pragma once

// How fusions look for their patterns.

#include <initializer_list>
#include <map>
#include <optional>
#include <string_view>

#include "ops/fusion.h"

namespace hub {

// Whether the node's attribute is this text.
bool has_string(const Node& node, std::string_view attr, std::string_view value);
// The flag of this name; false where there is none.
bool flag(const Node& node, std::string_view attr);
// A constant scalar of float32.
std::optional<float> float_constant(const FusionGraph& graph, OutputId output);
// A constant vector or scalar of integers.
std::optional<std::vector<std::int64_t>> integer_constant(const FusionGraph& graph,
                                                          OutputId output);
const PartialShape& shape_of(const FusionGraph& graph, OutputId output);
// Whether it is a vector with one value for each index of the last dimension of `of`; both known.
bool is_last_dim_vector(const FusionGraph& graph, OutputId output, const PartialShape& of);
// Whether both are certain to have one shape, or may as well have: each dimension is the same,
// or not known in both.
bool may_be_same_shape(const PartialShape& a, const PartialShape& b);

// A batch normalisation of inference, channels last.
bool is_inference_batch_norm(const Node& node);

// The inner nodes of a pattern that is being matched. A value: a copy tries one way.
class PatternMatch {
 public:
  explicit PatternMatch(const FusionGraph& graph) : graph_(&graph) {}

  // The node behind an input of a node of the pattern, now an inner node; nullptr where it is
  // none of `ops` or not of float32.
  const Node* enter(OutputId output, std::initializer_list<std::string_view> ops);
  // Whether nothing outside of the pattern needs the inner nodes.
  bool is_closed() const;
  // How often inner nodes read this output, counted with `read`.
  void read(OutputId output) { ++reads_[output.node]; }
  // Whether only the pattern reads the output of this leaf, as often as `read` was called.
  bool only_reader_of(OutputId leaf) const;

 private:
  const FusionGraph* graph_;
  std::map<int, int> inner_;  // node -> edges of the pattern that lead to it
  std::map<int, int> reads_;
};

// The two inputs of a sum or product, in both orders: calls `match(left, right)` until it says
// true.
template <class Match>
bool in_either_order(const Node& node, Match&& match) {
  if (node.inputs.size() != 2) return false;
  return match(node.inputs[0], node.inputs[1]) || match(node.inputs[1], node.inputs[0]);
}

// Patterns that others continue.
struct GeluMatch {
  OutputId x;
  std::string_view activation;  // "gelu_erf" or "gelu_tanh"
  bool only_reader = false;     // nothing but the pattern reads x
};
std::optional<GeluMatch> match_gelu(const FusionGraph& graph, int root);

}  // namespace hub
