#pragma once

// Metrics over many batches, as tf.metrics': each keeps sums in local variables ("accuracy/total",
// "accuracy/count"), which Session::initialize sets to 0. Run `update` with each batch; `value` is
// the metric of all batches so far (0 before the first).
//
//   hub::metrics::Metric accuracy = hub::metrics::accuracy(labels, predictions);
//
// Weights, where they are given, have the values' rank (or one dimension less or more) and
// dimensions of 1 or the values'; a weight of 0 leaves an example out.
// Errors of all: of kind value where shapes that are known do not fit.

#include <string>
#include <string_view>
#include <vector>

#include "hub/export.h"
#include "hub/graph.h"
#include "hub/variables.h"

namespace hub::metrics {

struct Metric {
  Output value;
  Output update;                    // adds a batch; gives the value with it
  std::vector<Variable> variables;  // to start again, run their initializers
};

struct MetricOptions {
  Output weights = {};
  std::string name = {};
};

// float32 scalars, whatever the values' dtype is.
HUB_EXPORT Metric mean(const Output& values, const MetricOptions& options = {});
// How often labels and predictions are equal; predictions are cast to the labels' dtype.
HUB_EXPORT Metric accuracy(const Output& labels, const Output& predictions,
                           const MetricOptions& options = {});
HUB_EXPORT Metric mean_squared_error(const Output& labels, const Output& predictions,
                                     const MetricOptions& options = {});
HUB_EXPORT Metric mean_absolute_error(const Output& labels, const Output& predictions,
                                      const MetricOptions& options = {});
HUB_EXPORT Metric root_mean_squared_error(const Output& labels, const Output& predictions,
                                          const MetricOptions& options = {});
// Of labels and predictions cast to bool. 0 where nothing was (predicted) positive.
HUB_EXPORT Metric precision(const Output& labels, const Output& predictions,
                            const MetricOptions& options = {});
HUB_EXPORT Metric recall(const Output& labels, const Output& predictions,
                         const MetricOptions& options = {});

enum class Curve : std::uint8_t { kRoc, kPr };
enum class Summation : std::uint8_t { kTrapezoidal, kMinoring, kMajoring };
struct AucOptions {
  Output weights = {};
  int num_thresholds = 200;  // at least 2
  Curve curve = Curve::kRoc;
  Summation summation = Summation::kTrapezoidal;
  std::string name = {};
};
// The area below the curve of labels (cast to bool) and probabilities, in float32; a probability
// outside of [0,1] is INVALID_ARGUMENT when the update runs.
HUB_EXPORT Metric auc(const Output& labels, const Output& predictions,
                      const AucOptions& options = {});

}  // namespace hub::metrics
