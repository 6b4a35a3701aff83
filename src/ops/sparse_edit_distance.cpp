// How many insertions, deletions and replacements turn one sequence into another.

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <span>
#include <vector>

#include "base/checked.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

constexpr int kHypothesis = 0, kTruth = 3;  // the first input of each

Shapes edit_distance_shape(ShapeContext& c) {
  for (const int first : {kHypothesis, kTruth}) {
    c.with_rank(first, 2);
    c.with_rank(first + 1, 1);
    c.with_rank(first + 2, 1);
  }
  const PartialShape hypothesis = c.input_as_shape(kHypothesis + 2);
  const PartialShape truth = c.input_as_shape(kTruth + 2);
  if (!hypothesis.has_rank() || !truth.has_rank() || hypothesis.rank() != truth.rank() ||
      truth.rank() < 1) {
    return {PartialShape{}};
  }
  std::vector<std::int64_t> dims;
  for (int i = 0; i + 1 < truth.rank(); ++i) {
    const bool known = hypothesis.dim(i) >= 0 && truth.dim(i) >= 0;
    dims.push_back(known ? std::max(hypothesis.dim(i), truth.dim(i)) : -1);
  }
  return {PartialShape(std::move(dims))};
}

// A sparse tensor whose rows along the last axis are sequences.
class Sequences {
 public:
  Sequences(const KernelContext& c, int first, std::string_view what)
      : values_(c.input(first + 1)), shape_(integer_vector(c, first + 2, what)) {
    const Tensor& indices = c.input(first);
    const auto rank = static_cast<std::int64_t>(shape_.size());
    const bool fits = indices.rank() == 2 && values_.rank() == 1 &&
                      c.input(first + 2).rank() == 1 && rank >= 2 &&
                      indices.dim(0) == values_.dim(0) && indices.dim(1) == rank;
    if (!fits) {
      throw invalid_argument("EditDistance: the ", what,
                             " must be a sparse tensor of rank >= 2. Details: indices ",
                             indices.shape(), ", values ", values_.shape(), ", rank ", rank, ".");
    }
    const std::int64_t* at = indices.data<std::int64_t>();
    for (std::int64_t i = 0; i < indices.dim(0); ++i, at += rank) {
      rows_[std::vector<std::int64_t>(at, at + rank - 1)].push_back(i);
    }
  }

  const Tensor& values() const { return values_; }
  const std::vector<std::int64_t>& shape() const { return shape_; }
  // Where the elements of each sequence are among the values.
  const std::map<std::vector<std::int64_t>, std::vector<std::int64_t>>& rows() const {
    return rows_;
  }
  std::span<const std::int64_t> row(const std::vector<std::int64_t>& key) const {
    const auto found = rows_.find(key);
    return found == rows_.end() ? std::span<const std::int64_t>() : found->second;
  }

 private:
  const Tensor& values_;
  std::vector<std::int64_t> shape_;
  std::map<std::vector<std::int64_t>, std::vector<std::int64_t>> rows_;
};

template <class Equal>
std::int64_t distance(std::int64_t a, std::int64_t b, Equal&& equal) {
  std::vector<std::int64_t> costs(static_cast<std::size_t>(b) + 1);
  std::iota(costs.begin(), costs.end(), std::int64_t{0});
  for (std::int64_t i = 0; i < a; ++i) {
    std::int64_t diagonal = costs[0]++;
    for (std::int64_t k = 0; k < b; ++k) {
      std::int64_t& cost = costs[static_cast<std::size_t>(k) + 1];
      const std::int64_t other = std::min(cost, costs[static_cast<std::size_t>(k)]) + 1;
      const std::int64_t same = diagonal + (equal(i, k) ? 0 : 1);
      diagonal = cost;
      cost = std::min(other, same);
    }
  }
  return costs.back();
}

class EditDistanceKernel final : public Kernel {
 public:
  explicit EditDistanceKernel(const KernelInit& init) : normalize_(init.attr<bool>("normalize")) {}

  void compute(KernelContext& c) const override {
    const Sequences hypothesis(c, kHypothesis, "hypothesis");
    const Sequences truth(c, kTruth, "truth");
    Tensor& result = c.output(0, result_shape(hypothesis, truth));
    float* to = result.mutable_data<float>();
    std::fill_n(to, result.num_elements(), 0.0F);
    dispatch_by_size(truth.values().dtype(), [&]<class T>() {
      // Values are compared as their bytes; of objects TensorFlow has strings only.
      if constexpr (!std::is_same_v<T, ResourceHandle> && !std::is_same_v<T, Variant>) {
        compare<T>(c, hypothesis, truth, result, to);
      } else {
        throw unimplemented("There is no kernel for dtype ", truth.values().dtype(), ".");
      }
    });
  }

 private:
  static Shape result_shape(const Sequences& hypothesis, const Sequences& truth) {
    const auto& a = hypothesis.shape();
    const auto& b = truth.shape();
    if (a.size() != b.size()) {
      throw invalid_argument("EditDistance: hypothesis and truth must have one rank. Details: ",
                             a.size(), " and ", b.size(), ".");
    }
    std::vector<std::int64_t> dims;
    for (std::size_t i = 0; i + 1 < a.size(); ++i) {
      dims.push_back(std::max(a[i], b[i]));
      if (a[i] < 0 || b[i] < 0) {
        throw invalid_argument("EditDistance: shapes must not be negative. Details: ", a[i],
                               " and ", b[i], ".");
      }
    }
    return Shape(dims);
  }

  template <class T>
  void compare(const KernelContext& c, const Sequences& hypothesis, const Sequences& truth,
               const Tensor& result, float* to) const {
    const T* a = static_cast<const T*>(hypothesis.values().raw_data());
    const T* b = static_cast<const T*>(truth.values().raw_data());
    const auto put = [&](const std::vector<std::int64_t>& key) {
      const auto from = hypothesis.row(key), into = truth.row(key);
      const std::int64_t edits = distance(
          static_cast<std::int64_t>(from.size()), static_cast<std::int64_t>(into.size()),
          [&](std::int64_t i, std::int64_t k) {
            return a[from[static_cast<std::size_t>(i)]] == b[into[static_cast<std::size_t>(k)]];
          });
      to[offset(c, result.shape(), key)] = score(edits, into.size());
    };
    for (const auto& [key, row] : hypothesis.rows()) put(key);
    for (const auto& [key, row] : truth.rows()) put(key);
  }

  float score(std::int64_t edits, std::size_t length) const {
    if (!normalize_) return static_cast<float>(edits);
    if (length == 0) return edits == 0 ? 0 : std::numeric_limits<float>::infinity();
    return static_cast<float>(edits) / static_cast<float>(length);
  }

  static std::int64_t offset(const KernelContext& c, const Shape& shape,
                             const std::vector<std::int64_t>& key) {
    std::int64_t result = 0;
    for (int i = 0; i < shape.rank(); ++i) {
      const std::int64_t at = key[static_cast<std::size_t>(i)];
      if (at < 0 || at >= shape.dim(i)) {
        throw invalid_argument(c.node().op_name,
                               ": an index is outside of the shape. Details: ", at,
                               " is not in [0, ", shape.dim(i), ").");
      }
      result = result * shape.dim(i) + at;
    }
    return result;
  }

  bool normalize_;
};

constexpr OpDef kOps[] = {
    {.name = "EditDistance",
     .inputs = "hypothesis_indices: int64, hypothesis_values: T, hypothesis_shape: int64, "
               "truth_indices: int64, truth_values: T, truth_shape: int64",
     .outputs = "output: float",
     .attrs = "normalize: bool = true; T: type",
     .shape = edit_distance_shape,
     .kernel = make_kernel<EditDistanceKernel>,
     .differentiable = Differentiable::kNone},
};

}  // namespace

OpFamily sparse_edit_distance_ops() { return kOps; }

}  // namespace hub
