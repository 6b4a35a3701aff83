#pragma once

// Losses as tf.losses writes them: weighted, reduced to a scalar, and put into the collection
// "losses", from which total_loss takes them.
//
//   hub::losses::sparse_softmax_cross_entropy(labels, logits);
//   hub::Output loss = hub::losses::total_loss(graph);        // with the regularisers' penalties
//
// Labels and predictions are cast to float32 by the elementwise losses, which give float32. Weights
// are a number, a scalar, or a tensor of the losses' rank whose dimensions are 1 or the losses'. A
// weight of 0 leaves an element out; where all are 0 the loss is 0.
// Errors of all: of kind value where shapes that are known do not fit. Shapes that are not known
// are checked when the graph runs.

#include <string>
#include <string_view>
#include <vector>

#include "hub/export.h"
#include "hub/graph.h"

namespace hub::losses {

enum class Reduction : std::uint8_t {
  kNone,                 // a loss for each element
  kSum,                  // the sum of weighted losses
  kMean,                 // that, divided by the sum of the weights
  kSumOverBatchSize,     // divided by the number of elements
  kSumByNonzeroWeights,  // divided by the number of elements whose weight is not 0
};

struct LossOptions {
  Input weights = 1.0;
  Reduction reduction = Reduction::kSumByNonzeroWeights;
  std::string collection = std::string(Collections::kLosses);  // empty: none
  std::string name = {};                                       // empty: the loss's
};

// |predictions - labels|, its square, and the former beyond `delta` (half the square below).
HUB_EXPORT Output absolute_difference(const Output& labels, const Output& predictions,
                                      const LossOptions& options = {});
HUB_EXPORT Output mean_squared_error(const Output& labels, const Output& predictions,
                                     const LossOptions& options = {});
HUB_EXPORT Output huber_loss(const Output& labels, const Output& predictions, double delta = 1,
                             const LossOptions& options = {});
// Of probabilities; epsilon keeps the logarithms finite.
HUB_EXPORT Output log_loss(const Output& labels, const Output& predictions, double epsilon = 1e-7,
                           const LossOptions& options = {});
// Labels are 0 and 1.
HUB_EXPORT Output hinge_loss(const Output& labels, const Output& logits,
                             const LossOptions& options = {});
// 1 - the sum of products along `axis`: of vectors of length 1.
HUB_EXPORT Output cosine_distance(const Output& labels, const Output& predictions, int axis,
                                  const LossOptions& options = {});
// Each pair of elements of one row. Takes no reduction. Errors: of kind value for another one.
HUB_EXPORT Output mean_pairwise_squared_error(const Output& labels, const Output& predictions,
                                              const LossOptions& options = {});
// Each label is 0, 1 or between, on its own. The loss has the logits' dtype.
HUB_EXPORT Output sigmoid_cross_entropy(const Output& labels, const Output& logits,
                                        double label_smoothing = 0,
                                        const LossOptions& options = {});
// Labels are distributions over the last axis; no gradient goes to them.
HUB_EXPORT Output softmax_cross_entropy(const Output& onehot_labels, const Output& logits,
                                        double label_smoothing = 0,
                                        const LossOptions& options = {});
// Labels are int32 or int64 class numbers, of one dimension less than the logits (or a last one of
// 1). A label out of range is INVALID_ARGUMENT when the graph runs.
HUB_EXPORT Output sparse_softmax_cross_entropy(const Output& labels, const Output& logits,
                                               const LossOptions& options = {});
// Losses of each element weighted and reduced; computed in float32, in the losses' dtype at last.
HUB_EXPORT Output compute_weighted_loss(const Output& losses, const LossOptions& options = {});

// The collection's losses, those of one name scope where it is given.
HUB_EXPORT std::vector<Output> collected_losses(const Graph& graph, std::string_view scope = {});
// Their sum with the regularisation losses: "total_loss". Errors: of kind value where there are
// none.
HUB_EXPORT Output total_loss(const Graph& graph, bool add_regularization_losses = true,
                             std::string_view name = "total_loss");

}  // namespace hub::losses

namespace hub::ops {

// Cross entropies of each row or element, in the logits' dtype (tf.nn...). Numerically stable.
HUB_EXPORT Output sigmoid_cross_entropy_with_logits(const Output& labels, const Output& logits,
                                                    std::string_view name = {});
// Of the last axis; a gradient goes to the labels too.
HUB_EXPORT Output softmax_cross_entropy_with_logits(const Output& labels, const Output& logits,
                                                    std::string_view name = {});
HUB_EXPORT Output sparse_softmax_cross_entropy_with_logits(const Output& labels,
                                                           const Output& logits,
                                                           std::string_view name = {});

}  // namespace hub::ops
