#pragma once

// What a gradient rule sees: the node, what flows back to its outputs, and how to add nodes.

#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "graph/graph_state.h"
#include "hub/gradients.h"
#include "hub/graph.h"

namespace hub {

// True for dtypes that gradients flow through (resources and variants stand for what they hold).
bool is_differentiable(DType dtype);

class GradientContext {
 public:
  GradientContext(GraphState& graph, int node, std::vector<GradientValue> dys)
      : state_(graph),
        graph_(graph.shared_from_this()),
        node_(node),
        dys_(std::move(dys)),
        slices_(static_cast<std::size_t>(num_inputs())) {}

  const Node& node() const { return state_.data().node(node_); }
  int node_index() const { return node_; }
  const Graph& graph() const { return graph_; }
  GraphState& state() const { return state_; }

  int num_inputs() const { return static_cast<int>(node().inputs.size()); }
  int num_outputs() const { return static_cast<int>(node().outputs.size()); }
  Output input(int index) const;
  Output output(int index = 0) const { return {&state_, node_, index}; }
  DType dtype(int input) const { return fact(input).dtype; }
  const PartialShape& shape(int input) const { return fact(input).shape; }
  // The value of an input that is a constant, else nullptr.
  const Tensor* constant(int index) const;

  template <class T>
  const T& attr(std::string_view name) const {
    return attr_value<T>(node().attrs, node().name, name);
  }
  // The node's attributes of these names, for a node of the gradient.
  Attrs attrs(std::initializer_list<std::string_view> names) const;

  // What flows back to an output. `dy` gives zeros where nothing does.
  bool has_dy(int index = 0) const { return dys_[static_cast<std::size_t>(index)].is_valid(); }
  Output dy(int index = 0);
  const IndexedSlices* dy_slices(int index = 0) const;

  // Adds a node; gives its first output. `many` gives the node.
  Output op(std::string_view type, const std::vector<Input>& inputs,
            const Attrs& attrs = {}) const {
    return many(type, inputs, attrs).output(0);
  }
  Operation many(std::string_view type, const std::vector<Input>& inputs,
                 const Attrs& attrs = {}) const {
    return graph_.op(type, inputs, attrs);
  }

  // Says that the gradient to an input is this; the rule returns no output for it.
  Output give_slices(int index, IndexedSlices slices) {
    slices_[static_cast<std::size_t>(index)] = slices;
    return {};
  }
  std::vector<std::optional<IndexedSlices>>& given_slices() { return slices_; }

  // As many gradients as there are inputs; the first ones are these.
  Gradients pad(Gradients gradients) const {
    gradients.resize(static_cast<std::size_t>(num_inputs()));
    return gradients;
  }

 private:
  const OutputFact& fact(int input) const {
    return state_.data().fact(node().inputs[static_cast<std::size_t>(input)]);
  }

  GraphState& state_;
  Graph graph_;
  int node_;
  std::vector<GradientValue> dys_;
  std::vector<std::optional<IndexedSlices>> slices_;
};

}  // namespace hub
