#pragma once

// Averages of variables or tensors that follow them slowly (tf.train.ExponentialMovingAverage).
//
//   hub::ExponentialMovingAverage average(0.999, {.num_updates = hub::Input(step)});
//   hub::Operation update = average.apply(hub::trainable_variables(graph));  // with each step
//   hub::Variable slow = average.average(weights);

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hub/export.h"
#include "hub/graph.h"
#include "hub/variables.h"

namespace hub {

struct MovingAverageOptions {
  // Where given (how many updates there were), the decay is at most (1 + n) / (10 + n): the average
  // follows faster at first.
  std::optional<Input> num_updates = {};
  // Averages of tensors begin at 0; with this the value is corrected for it. (Averages of variables
  // begin at the variable's value.)
  bool zero_debias = false;
  std::string name = "ExponentialMovingAverage";
};

// average = decay * average + (1 - decay) * value. The averages are variables of the graph,
// "weights/ExponentialMovingAverage", which do not train.
class HUB_EXPORT ExponentialMovingAverage {
 public:
  explicit ExponentialMovingAverage(double decay, MovingAverageOptions options = {});

  // One update of the averages, which are made at the first call. Variables come into the
  // collection "moving_average_variables".
  // Errors: of kind type unless all are half, bfloat16, float or double; of kind value where there
  // is none.
  Operation apply(const std::vector<Variable>& variables);
  Operation apply(const std::vector<Output>& tensors);
  // No variable where there is no average of it.
  Variable average(const Variable& variable) const;
  Variable average(const Output& tensor) const;
  // How the average of this variable is or would be called in a checkpoint.
  std::string average_name(const Variable& variable) const;
  // What a saver is to restore for evaluation with the averages: names in the checkpoint, by which
  // the variables are read. Without an average a variable has its own name.
  std::map<std::string, Variable> variables_to_restore(const Graph& graph) const;

 private:
  Output decay_tensor(const Graph& graph) const;

  double decay_;
  MovingAverageOptions options_;
  std::map<std::string, Variable> of_variables_;
  std::map<Output, Variable> of_tensors_;
};

// variable -= (variable - value) * (1 - decay), a node called "AssignMovingAvg"; with zero_debias
// the variables "NAME/biased" and "NAME/local_step" keep what the correction needs.
HUB_EXPORT Operation assign_moving_average(const Variable& variable, const Input& value,
                                           const Input& decay, bool zero_debias = true,
                                           std::string_view name = {});

}  // namespace hub
