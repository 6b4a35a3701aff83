#pragma once

// What a shape function sees and may say. A shape function gives the shapes of all
// outputs, knowing only partial shapes of the inputs:
//
//   Shapes same_as_input(ShapeContext& c) { return {c.input(0)}; }
//
// Errors are INVALID_ARGUMENT; the node is named by whoever called.

#include <optional>
#include <string_view>
#include <vector>

#include "graph/node.h"

namespace hub {

class GraphData;

class ShapeContext {
 public:
  ShapeContext(const GraphData& graph, Node& node);

  const Node& node() const { return node_; }
  template <class T>
  const T& attr(std::string_view name) const {
    return attr_value<T>(node_.attrs, node_.name, name);
  }

  int num_inputs() const { return static_cast<int>(node_.inputs.size()); }
  int num_outputs() const { return static_cast<int>(node_.outputs.size()); }
  ArgRange input_range(std::string_view arg) const { return hub::input_range(node_, arg); }
  ArgRange output_range(std::string_view arg) const { return hub::output_range(node_, arg); }

  const PartialShape& input(int i) const { return input_fact(i).shape; }
  DType input_dtype(int i) const { return input_fact(i).dtype; }
  DType output_dtype(int i) const { return node_.outputs[static_cast<std::size_t>(i)].dtype; }

  // The input's value where it is a constant of the graph, else nullptr.
  const Tensor* input_value(int i) const;
  // An integer vector input as far as its elements are known. Its rank is unknown where even
  // their number is; an element that is not known (or is -1) is -1.
  PartialShape input_as_shape(int i) const;
  // The only element of an integer input, where it is known.
  std::optional<std::int64_t> input_as_int(int i) const;

  // The input's shape, when it has this rank (or could). Errors where it has another.
  PartialShape with_rank(int i, int rank) const;
  PartialShape at_least_rank(int i, int rank) const;
  PartialShape at_most_rank(int i, int rank) const;

  const std::optional<HandleFact>& input_handle(int i) const { return input_fact(i).handle; }
  void set_output_handle(int output, HandleFact handle) {
    node_.outputs[static_cast<std::size_t>(output)].handle = std::move(handle);
  }
  // Says what is known of an integer vector output's elements (see input_as_shape).
  void set_output_partial_value(int output, PartialShape elements) {
    node_.outputs[static_cast<std::size_t>(output)].partial_value = std::move(elements);
  }
  std::optional<PartialShape> input_partial_value(int i) const;

  const GraphData& graph() const { return graph_; }

 private:
  const OutputFact& input_fact(int i) const;

  const GraphData& graph_;
  Node& node_;
};

// Runs the node's shape function and stores its result in `node.outputs`.
// Errors: INVALID_ARGUMENT where the inputs cannot fit.
void infer_shapes(const GraphData& graph, Node& node);

}  // namespace hub
