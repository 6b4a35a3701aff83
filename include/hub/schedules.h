#pragma once

// Learning rates that follow the step, as tf.train's.
//
//   hub::Variable step = hub::get_or_create_global_step(graph);
//   hub::Output rate = hub::schedules::polynomial_decay(5e-5, step, 1000, {.end = 0});
//   rate = hub::schedules::linear_warmup(rate, 5e-5, step, 100);
//
// All give a scalar of the learning rate's dtype (a number's is float32) that is computed each time
// it is fetched. The step is a scalar of any number dtype: a tensor or a variable.
// Errors: INVALID_ARGUMENT where neither the rate nor the step belongs to a graph.

#include <string>
#include <vector>

#include "hub/export.h"
#include "hub/graph.h"

namespace hub::schedules {

struct DecayOptions {
  bool staircase = false;  // the rate changes only every decay_steps
  std::string name = {};
};
// rate * decay_rate ^ (step / decay_steps).
HUB_EXPORT Output exponential_decay(const Input& learning_rate, const Input& step,
                                    const Input& decay_steps, const Input& decay_rate,
                                    const DecayOptions& options = {});
// rate * e ^ (-decay_rate * step / decay_steps).
HUB_EXPORT Output natural_exp_decay(const Input& learning_rate, const Input& step,
                                    const Input& decay_steps, const Input& decay_rate,
                                    const DecayOptions& options = {});
// rate / (1 + decay_rate * step / decay_steps).
HUB_EXPORT Output inverse_time_decay(const Input& learning_rate, const Input& step,
                                     const Input& decay_steps, const Input& decay_rate,
                                     const DecayOptions& options = {});

struct PolynomialOptions {
  double end = 1e-4;   // the rate after decay_steps
  double power = 1;    // 1: a straight line
  bool cycle = false;  // begins again, longer, instead of staying at the end
  std::string name = {};
};
HUB_EXPORT Output polynomial_decay(const Input& learning_rate, const Input& step,
                                   const Input& decay_steps, const PolynomialOptions& options = {});

// Half a cosine from the rate down to alpha times it.
HUB_EXPORT Output cosine_decay(const Input& learning_rate, const Input& step,
                               const Input& decay_steps, double alpha = 0,
                               const std::string& name = {});

struct CosineRestartOptions {
  double t_mul = 2;  // each period is so many times as long as the one before
  double m_mul = 1;  // and begins so many times as high
  double alpha = 0;  // the lowest rate, as a part of the first
  std::string name = {};
};
HUB_EXPORT Output cosine_decay_restarts(const Input& learning_rate, const Input& step,
                                        const Input& first_decay_steps,
                                        const CosineRestartOptions& options = {});

struct LinearCosineOptions {
  double num_periods = 0.5;
  double alpha = 0;
  double beta = 0.001;
  std::string name = {};
};
HUB_EXPORT Output linear_cosine_decay(const Input& learning_rate, const Input& step,
                                      const Input& decay_steps,
                                      const LinearCosineOptions& options = {});

// values[i] up to and with step boundaries[i], the last one after all boundaries. Numbers of a
// boundary take the step's dtype. Errors: of kind value unless there is one value more than
// boundaries, and a boundary.
HUB_EXPORT Output piecewise_constant(const Input& step, const std::vector<double>& boundaries,
                                     const std::vector<double>& values,
                                     const std::string& name = {});

// Before step `warmup_steps` the rate is initial_rate * step / warmup_steps, then it is
// `learning_rate` (BERT's warm-up).
HUB_EXPORT Output linear_warmup(const Output& learning_rate, double initial_rate, const Input& step,
                                int warmup_steps);

}  // namespace hub::schedules
