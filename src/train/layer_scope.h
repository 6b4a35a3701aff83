#pragma once

// What layers share: their scopes, variables and penalties (keras/legacy_tf_layers/base.py).

#include <optional>
#include <string>
#include <string_view>

#include "hub/layers.h"

namespace hub::layers {

// The variable scope of a layer, and the name scope of its nodes.
class LayerScope {
 public:
  LayerScope(const Graph& graph, std::string_view base_name, std::string_view name,
             Reuse reuse = Reuse::kInherit);

  struct Weight {
    Initializer initializer = {};
    Regularizer regularizer = {};
    bool trainable = true;
    DType dtype = DType::kFloat32;
  };
  // A variable of the layer; its penalty where it is new.
  Variable add_weight(std::string_view name, const Shape& shape, const Weight& weight) const;
  // The penalty of an output, for each example.
  void add_activity_loss(const Activation& regularizer, const Output& output) const;

 private:
  Graph graph_;
  std::optional<VariableScope> variables_;
  std::optional<NameScope> names_;
};

// Errors: of kind value for another rank.
void check_rank(std::string_view layer, const Output& inputs, int rank);
// The dimension of the channels. Errors: of kind value where it is not known.
std::int64_t known_channels(std::string_view layer, const Output& inputs, int axis);

}  // namespace hub::layers
