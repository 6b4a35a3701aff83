// CTC decoding by beam search. A beam entry is a prefix of labels; its probability is kept
// apart for paths that end in its last label and in a blank.

#include <algorithm>
#include <map>
#include <memory>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/ctc.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

template <class T>
struct Probability {
  T total = kLogZero<T>;
  T blank = kLogZero<T>;
  T label = kLogZero<T>;
};

template <class T>
struct Prefix {
  Prefix* parent = nullptr;
  std::int64_t label = -1;
  std::map<std::int64_t, std::unique_ptr<Prefix>> children;
  Probability<T> before, now;

  // In the beam.
  bool is_active() const { return now.total != kLogZero<T>; }
};

template <class T>
class BeamSearch {
 public:
  BeamSearch(std::int64_t classes, std::int64_t width)
      : classes_(classes), blank_(classes - 1), width_(static_cast<std::size_t>(width)) {
    root_.now.total = root_.now.blank = 0;
    beam_.push_back(&root_);
  }

  void step(const T* x) {
    T sum = 0;
    const T maximum = *std::max_element(x, x + classes_);
    for (std::int64_t i = 0; i < classes_; ++i) sum += std::exp(x[i] - maximum);
    const T norm = maximum + std::log(sum);
    std::sort(beam_.begin(), beam_.end(), is_better);
    const std::vector<Prefix<T>*> prefixes = beam_;
    beam_.clear();
    for (Prefix<T>* prefix : prefixes) prefix->before = prefix->now;
    for (Prefix<T>* prefix : prefixes) {
      stay(*prefix, x, norm);
      push(prefix);
    }
    for (Prefix<T>* prefix : prefixes) {
      if (is_candidate(prefix->before)) grow(*prefix, x, norm);
    }
  }

  // The best prefixes; fewer than `count` where there are no more.
  std::vector<const Prefix<T>*> best(std::size_t count) const {
    std::vector<const Prefix<T>*> result(beam_.begin(), beam_.end());
    std::stable_sort(result.begin(), result.end(), is_better);
    result.resize(std::min(count, result.size()));
    return result;
  }

 private:
  static bool is_better(const Prefix<T>* a, const Prefix<T>* b) {
    return a->now.total > b->now.total;
  }

  bool is_candidate(const Probability<T>& p) const {
    return p.total > kLogZero<T> && (beam_.size() < width_ || p.total > beam_.front()->now.total);
  }

  // The step repeats the last label or is a blank.
  void stay(Prefix<T>& prefix, const T* x, T norm) const {
    if (const Prefix<T>* parent = prefix.parent) {
      if (parent->is_active()) {
        const T previous =
            prefix.label == parent->label ? parent->before.blank : parent->before.total;
        prefix.now.label = log_sum_exp(prefix.now.label, previous);
      }
      prefix.now.label += x[prefix.label] - norm;
    }
    prefix.now.blank = prefix.before.total + x[blank_] - norm;
    prefix.now.total = log_sum_exp(prefix.now.blank, prefix.now.label);
  }

  // The step adds a label.
  void grow(Prefix<T>& prefix, const T* x, T norm) {
    for (std::int64_t label = 0; label < blank_; ++label) {
      const auto found = prefix.children.find(label);
      if (found != prefix.children.end() && found->second->is_active()) continue;
      Probability<T> p;
      p.label =
          x[label] - norm + (label == prefix.label ? prefix.before.blank : prefix.before.total);
      p.total = p.label;
      if (!is_candidate(p)) {
        if (found != prefix.children.end()) found->second->before = {};
        continue;
      }
      if (beam_.size() == width_) {
        std::pop_heap(beam_.begin(), beam_.end(), is_better);
        beam_.back()->now = {};
        beam_.pop_back();
      }
      std::unique_ptr<Prefix<T>>& child = prefix.children[label];
      if (child == nullptr) {
        child = std::make_unique<Prefix<T>>();
        child->parent = &prefix;
        child->label = label;
      }
      child->now = p;
      push(child.get());
    }
  }

  void push(Prefix<T>* prefix) {
    beam_.push_back(prefix);
    std::push_heap(beam_.begin(), beam_.end(), is_better);
  }

  std::int64_t classes_;
  std::int64_t blank_;
  std::size_t width_;
  Prefix<T> root_;
  std::vector<Prefix<T>*> beam_;  // a heap: the worst is first
};

template <class T>
std::vector<std::int64_t> spelled(const Prefix<T>* prefix, bool merges) {
  std::vector<std::int64_t> labels;
  std::int64_t previous = -1;
  for (; prefix->parent != nullptr; prefix = prefix->parent) {
    if (!merges || prefix->label != previous) labels.push_back(prefix->label);
    previous = prefix->label;
  }
  std::reverse(labels.begin(), labels.end());
  return labels;
}

class BeamDecoderKernel final : public Kernel {
 public:
  explicit BeamDecoderKernel(const KernelInit& init)
      : width_(init.attr<std::int64_t>("beam_width")),
        paths_(init.attr<std::int64_t>("top_paths")),
        merges_(init.attr<bool>("merge_repeated")) {}
  void compute(KernelContext& c) const override {
    const CtcSizes sizes = check_decoder_inputs(c);
    if (paths_ > width_) {
      throw invalid_argument(
          "CTCBeamSearchDecoder: top_paths must not be above beam_width. Details: ", paths_,
          " and ", width_, ".");
    }
    const auto paths = static_cast<std::size_t>(paths_);
    std::vector<std::vector<std::vector<std::int64_t>>> sequences(
        paths, std::vector<std::vector<std::int64_t>>(static_cast<std::size_t>(sizes.batch)));
    Tensor& log_probability = c.output(static_cast<int>(3 * paths_), Shape{sizes.batch, paths_});
    dispatch(TypeList<float, double>{}, log_probability.dtype(), [&]<class T>() {
      for (std::int64_t b = 0; b < sizes.batch; ++b) {
        decode<T>(c, sizes, b, log_probability.mutable_data<T>() + b * paths_,
                  [&](std::size_t path, std::vector<std::int64_t> labels) {
                    sequences[path][static_cast<std::size_t>(b)] = std::move(labels);
                  });
      }
    });
    for (std::size_t path = 0; path < paths; ++path)
      set_decoded(c, static_cast<int>(path), static_cast<int>(paths_), sequences[path]);
  }

 private:
  template <class T, class Take>
  void decode(const KernelContext& c, const CtcSizes& sizes, std::int64_t b, T* log_probability,
              Take&& take) const {
    BeamSearch<T> search(sizes.classes, width_);
    const std::int32_t length = c.input(1).data<std::int32_t>()[b];
    for (std::int64_t t = 0; t < length; ++t)
      search.step(c.input(0).data<T>() + (t * sizes.batch + b) * sizes.classes);
    const auto best = search.best(static_cast<std::size_t>(paths_));
    if (static_cast<std::int64_t>(best.size()) < paths_) {
      throw invalid_argument(
          "CTCBeamSearchDecoder: the search must find at least top_paths prefixes. Details: ",
          best.size(), " of ", paths_, " for sequence ", b, ".");
    }
    for (std::size_t path = 0; path < best.size(); ++path) {
      log_probability[path] = best[path]->now.total;
      take(path, spelled(best[path], merges_));
    }
  }

  std::int64_t width_;
  std::int64_t paths_;
  bool merges_;
};

Shapes beam_shape(ShapeContext& c) {
  const std::int64_t batch =
      merge_dims(c.with_rank(0, 3).dim(1), c.with_rank(1, 1).dim(0), "The numbers of sequences");
  const auto paths = c.attr<std::int64_t>("top_paths");
  Shapes shapes;
  for (const PartialShape& shape : {PartialShape{-1, 2}, PartialShape{-1}, PartialShape{2}}) {
    for (std::int64_t i = 0; i < paths; ++i) shapes.push_back(shape);
  }
  shapes.push_back(PartialShape{batch, paths});
  return shapes;
}

constexpr OpDef kOps[] = {
    {.name = "CTCBeamSearchDecoder",
     .inputs = "inputs: T, sequence_length: int32",
     .outputs = "decoded_indices: top_paths * int64, decoded_values: top_paths * int64, "
                "decoded_shape: top_paths * int64, log_probability: T",
     .attrs = "beam_width: int >= 1; top_paths: int >= 1; merge_repeated: bool = true; "
              "T: {float, double} = float",
     .shape = beam_shape,
     .kernel = make_kernel<BeamDecoderKernel>,
     .differentiable = Differentiable::kNone},
};

}  // namespace

OpFamily nn_ctc_beam_ops() { return kOps; }

}  // namespace hub
