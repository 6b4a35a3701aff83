#pragma once

// What the CTC ops share. Inputs are [steps, batch, classes].

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "ops/kernel.h"

namespace hub {

struct CtcSizes {
  std::int64_t steps;
  std::int64_t batch;
  std::int64_t classes;
};

// Ranks of the first input and the last one, sequence_length. Errors: INVALID_ARGUMENT.
CtcSizes check_ctc_inputs(const KernelContext& c);
// The same for decoders, which want more. Errors: INVALID_ARGUMENT, FAILED_PRECONDITION.
CtcSizes check_decoder_inputs(const KernelContext& c);
// Sets the three outputs of path `path` out of `paths`: a sequence for each of the batch.
void set_decoded(KernelContext& c, int path, int paths,
                 std::span<const std::vector<std::int64_t>> sequences);

template <class T>
inline constexpr T kLogZero = -std::numeric_limits<T>::infinity();

// log(exp(a) + exp(b)), in single precision past the larger one, as TensorFlow's.
template <class T>
T log_sum_exp(T a, T b) {
  if (a == kLogZero<T> && b == kLogZero<T>) return kLogZero<T>;
  const auto difference = static_cast<float>(a > b ? b - a : a - b);
  return std::max(a, b) + static_cast<T>(std::log1p(std::exp(difference)));
}

// All ways in which one sequence can spell its labels (Graves, equations 7.5 to 7.34).
// `labels` has blanks, the last class, around each label.
template <class T>
class CtcPaths {
 public:
  // `inputs` points to the sequence's first step.
  CtcPaths(const T* inputs, const CtcSizes& sizes, std::int64_t length,
           const std::vector<std::int32_t>& labels, bool merges)
      : sizes_(sizes),
        length_(length),
        count_(static_cast<std::int64_t>(labels.size())),
        labels_(labels),
        blank_(static_cast<std::int32_t>(sizes.classes - 1)),
        merges_(merges),
        probabilities_(static_cast<std::size_t>(length * sizes.classes)),
        forward_(static_cast<std::size_t>(length * count_), kLogZero<T>),
        backward_(forward_) {
    for (std::int64_t t = 0; t < length; ++t)
      softmax(inputs + t * sizes.batch * sizes.classes, &probability(t, 0));
    walk_forward();
    walk_backward();
    for (std::int64_t u = 0; u < count_; ++u)
      log_total_ = log_sum_exp(log_total_, forward(0, u) + backward(0, u));
  }

  T loss() const { return -log_total_; }

  // Writes the gradient to the inputs of the sequence's steps.
  void gradient(T* result) const {
    std::vector<T> sums(static_cast<std::size_t>(sizes_.classes));
    for (std::int64_t t = 0; t < length_; ++t) {
      std::fill(sums.begin(), sums.end(), kLogZero<T>);
      for (std::int64_t u = 0; u < count_; ++u) {
        T& sum = sums[static_cast<std::size_t>(label(u))];
        sum = log_sum_exp(sum, forward(t, u) + backward(t, u));
      }
      T* row = result + t * sizes_.batch * sizes_.classes;
      for (std::int64_t k = 0; k < sizes_.classes; ++k) {
        row[k] = probability(t, k);
        // Without any path the gradient is that of the softmax alone. The exponential is of a
        // float, as in TensorFlow.
        if (log_total_ == kLogZero<T>) continue;
        const auto share = static_cast<float>(sums[static_cast<std::size_t>(k)] - log_total_);
        row[k] -= static_cast<T>(std::exp(share));
      }
    }
  }

 private:
  void softmax(const T* x, T* y) const {
    const T maximum = *std::max_element(x, x + sizes_.classes);
    T sum = 0;
    for (std::int64_t i = 0; i < sizes_.classes; ++i) sum += y[i] = std::exp(x[i] - maximum);
    for (std::int64_t i = 0; i < sizes_.classes; ++i) y[i] /= sum;
  }

  // Which labels can be reached at a step with time left for the rest.
  std::int64_t first_label(std::int64_t t) const {
    return std::max<std::int64_t>(0, count_ - 2 * (length_ - t));
  }
  std::int64_t last_label(std::int64_t t) const { return std::min(count_, 2 * (t + 1)); }

  // Whether a path may go from label u to u + 2, leaving out the blank between.
  bool may_skip(std::int64_t u) const {
    return label(u + 2) != blank_ && !(merges_ && label(u) == label(u + 2));
  }
  bool may_stay(std::int64_t u) const { return merges_ || label(u) == blank_; }

  void walk_forward() {
    forward(0, 0) = log_probability(0, 0);
    if (count_ > 1) forward(0, 1) = log_probability(0, 1);
    for (std::int64_t t = 1; t < length_; ++t) {
      for (std::int64_t u = first_label(t); u < last_label(t); ++u) {
        T sum = may_stay(u) ? forward(t - 1, u) : kLogZero<T>;
        if (u > 0) sum = log_sum_exp(sum, forward(t - 1, u - 1));
        if (u > 1 && may_skip(u - 2)) sum = log_sum_exp(sum, forward(t - 1, u - 2));
        forward(t, u) = log_probability(t, u) + sum;
      }
    }
  }

  void walk_backward() {
    for (std::int64_t u = std::max<std::int64_t>(0, count_ - 2); u < count_; ++u)
      backward(length_ - 1, u) = 0;
    for (std::int64_t t = length_ - 2; t >= 0; --t) {
      for (std::int64_t u = first_label(t); u < last_label(t); ++u) {
        const auto by = [&](std::int64_t next) {
          return backward(t + 1, next) + log_probability(t + 1, next);
        };
        T sum = may_stay(u) ? by(u) : kLogZero<T>;
        if (u + 1 < count_) sum = log_sum_exp(sum, by(u + 1));
        if (u + 2 < count_ && label(u) != blank_ && may_skip(u)) sum = log_sum_exp(sum, by(u + 2));
        backward(t, u) = sum;
      }
    }
  }

  std::int32_t label(std::int64_t u) const { return labels_[static_cast<std::size_t>(u)]; }
  T& probability(std::int64_t t, std::int64_t k) {
    return probabilities_[static_cast<std::size_t>(t * sizes_.classes + k)];
  }
  T probability(std::int64_t t, std::int64_t k) const {
    return probabilities_[static_cast<std::size_t>(t * sizes_.classes + k)];
  }
  T log_probability(std::int64_t t, std::int64_t u) const {
    return std::log(probability(t, label(u)));
  }
  T& forward(std::int64_t t, std::int64_t u) {
    return forward_[static_cast<std::size_t>(t * count_ + u)];
  }
  T forward(std::int64_t t, std::int64_t u) const {
    return forward_[static_cast<std::size_t>(t * count_ + u)];
  }
  T& backward(std::int64_t t, std::int64_t u) {
    return backward_[static_cast<std::size_t>(t * count_ + u)];
  }
  T backward(std::int64_t t, std::int64_t u) const {
    return backward_[static_cast<std::size_t>(t * count_ + u)];
  }

  CtcSizes sizes_;
  std::int64_t length_;
  std::int64_t count_;
  const std::vector<std::int32_t>& labels_;
  std::int32_t blank_;
  bool merges_;
  std::vector<T> probabilities_, forward_, backward_;  // the latter two as logarithms
  T log_total_ = kLogZero<T>;
};

}  // namespace hub
