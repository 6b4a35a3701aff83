// Connectionist temporal classification: greedy decoding, and the loss with its gradient.

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/ctc.h"
#include "tensor/dispatch.h"

namespace hub {

CtcSizes check_ctc_inputs(const KernelContext& c) {
  const Tensor &inputs = c.input(0), &lengths = c.input(c.num_inputs() - 1);
  const std::string& op = c.node().op_name;
  if (inputs.rank() != 3 || lengths.rank() != 1) {
    throw invalid_argument(
        op, ": the inputs must have rank 3, sequence_length rank 1. Details: their shapes are ",
        inputs.shape(), " and ", lengths.shape(), ".");
  }
  return {inputs.dim(0), inputs.dim(1), inputs.dim(2)};
}

CtcSizes check_decoder_inputs(const KernelContext& c) {
  const CtcSizes sizes = check_ctc_inputs(c);
  const Tensor& lengths = c.input(1);
  if (c.input(0).num_elements() == 0) {
    throw invalid_argument(c.node().op_name,
                           ": the inputs must not be empty. Details: their shape is ",
                           c.input(0).shape(), ".");
  }
  if (lengths.dim(0) != sizes.batch) {
    throw failed_precondition(c.node().op_name,
                              ": there must be one sequence_length for each sequence. Details: ",
                              lengths.dim(0), " for ", sizes.batch, ".");
  }
  for (std::int64_t b = 0; b < sizes.batch; ++b) {
    const std::int32_t length = lengths.data<std::int32_t>()[b];
    if (length <= sizes.steps) continue;
    throw failed_precondition(c.node().op_name, ": a sequence_length must be at most ", sizes.steps,
                              ". Details: number ", b, " is ", length, ".");
  }
  return sizes;
}

void set_decoded(KernelContext& c, int path, int paths,
                 std::span<const std::vector<std::int64_t>> sequences) {
  std::int64_t count = 0, longest = 0;
  for (const auto& sequence : sequences) {
    const auto size = static_cast<std::int64_t>(sequence.size());
    count += size;
    longest = std::max(longest, size);
  }
  std::int64_t* index = c.output(path, Shape{count, 2}).mutable_data<std::int64_t>();
  std::int64_t* value = c.output(paths + path, Shape{count}).mutable_data<std::int64_t>();
  std::int64_t* shape = c.output(2 * paths + path, Shape{2}).mutable_data<std::int64_t>();
  for (std::size_t b = 0; b < sequences.size(); ++b) {
    for (std::size_t i = 0; i < sequences[b].size(); ++i) {
      *index++ = static_cast<std::int64_t>(b);
      *index++ = static_cast<std::int64_t>(i);
      *value++ = sequences[b][i];
    }
  }
  shape[0] = static_cast<std::int64_t>(sequences.size());
  shape[1] = longest;
}

namespace {

class GreedyDecoderKernel final : public Kernel {
 public:
  explicit GreedyDecoderKernel(const KernelInit& init)
      : merges_(init.attr<bool>("merge_repeated")),
        blank_(init.attr<std::int64_t>("blank_index")) {}
  void compute(KernelContext& c) const override {
    const CtcSizes sizes = check_decoder_inputs(c);
    const std::int64_t blank = blank_ < 0 ? sizes.classes + blank_ : blank_;
    if (blank < 0 || blank >= sizes.classes) {
      throw invalid_argument("CTCGreedyDecoder: blank_index must be in [", -sizes.classes, ", ",
                             sizes.classes, "). Details: it is ", blank_, ".");
    }
    std::vector<std::vector<std::int64_t>> sequences(static_cast<std::size_t>(sizes.batch));
    Tensor& log_probability = c.output(3, Shape{sizes.batch, 1});
    dispatch(TypeList<float, double>{}, log_probability.dtype(), [&]<class T>() {
      for (std::int64_t b = 0; b < sizes.batch; ++b) {
        log_probability.mutable_data<T>()[b] =
            decode<T>(c, sizes, b, blank, sequences[static_cast<std::size_t>(b)]);
      }
    });
    set_decoded(c, 0, 1, sequences);
  }

 private:
  // Gives the negative sum of the largest inputs.
  template <class T>
  T decode(const KernelContext& c, const CtcSizes& sizes, std::int64_t b, std::int64_t blank,
           std::vector<std::int64_t>& sequence) const {
    const std::int32_t length = c.input(1).data<std::int32_t>()[b];
    std::int64_t previous = -1;
    T sum = 0;
    for (std::int64_t t = 0; t < length; ++t) {
      const T* row = c.input(0).data<T>() + (t * sizes.batch + b) * sizes.classes;
      const std::int64_t best = std::max_element(row, row + sizes.classes) - row;
      sum -= row[best];
      if (best != blank && !(merges_ && best == previous)) sequence.push_back(best);
      previous = best;
    }
    return sum;
  }

  bool merges_;
  std::int64_t blank_;
};

class CtcLossKernel final : public Kernel {
 public:
  explicit CtcLossKernel(const KernelInit& init)
      : collapses_(init.attr<bool>("preprocess_collapse_repeated")),
        merges_(init.attr<bool>("ctc_merge_repeated")),
        ignores_longer_(init.attr<bool>("ignore_longer_outputs_than_inputs")) {}

  void compute(KernelContext& c) const override {
    const CtcSizes sizes = check_ctc_inputs(c);
    check(c, sizes);
    const std::vector<std::vector<std::int32_t>> labels = grouped_labels(c, sizes);
    std::vector<std::vector<std::int32_t>> extended;
    for (std::int64_t b = 0; b < sizes.batch; ++b)
      extended.push_back(extended_labels(c, sizes, b, labels[static_cast<std::size_t>(b)]));
    Tensor& loss = c.output(0, Shape{sizes.batch});
    Tensor& gradient = c.output(1, c.input(0).shape());
    dispatch(TypeList<float, double>{}, loss.dtype(), [&]<class T>() {
      T* losses = loss.mutable_data<T>();
      T* gradients = gradient.mutable_data<T>();
      std::fill_n(losses, sizes.batch, T{0});
      std::fill_n(gradients, gradient.num_elements(), T{0});
      const double cost_ns = 20.0 * static_cast<double>(sizes.steps * sizes.classes);
      c.parallel_for(sizes.batch, cost_ns, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t b = begin; b < end; ++b) {
          const auto index = static_cast<std::size_t>(b);
          const std::int64_t length = c.input(3).data<std::int32_t>()[b];
          const bool longer = static_cast<std::int64_t>(labels[index].size()) > length;
          if (length == 0 || (ignores_longer_ && longer)) continue;
          CtcPaths<T> paths(c.input(0).data<T>() + b * sizes.classes, sizes, length,
                            extended[index], merges_);
          losses[b] = paths.loss();
          paths.gradient(gradients + b * sizes.classes);
        }
      });
    });
  }

 private:
  static void check(const KernelContext& c, const CtcSizes& sizes) {
    const Tensor &indices = c.input(1), &values = c.input(2), &lengths = c.input(3);
    if (sizes.steps == 0 || sizes.batch == 0) {
      throw invalid_argument(
          "CTCLoss: the inputs must have at least one step and one sequence. Details: their shape "
          "is ",
          c.input(0).shape(), ".");
    }
    if (indices.rank() != 2 || indices.dim(1) != 2 || values.rank() != 1 ||
        indices.dim(0) != values.dim(0)) {
      throw invalid_argument(
          "CTCLoss: labels_indices must be pairs of numbers, as many as labels_values. Details: "
          "the shapes are ",
          indices.shape(), " and ", values.shape(), ".");
    }
    if (lengths.dim(0) != sizes.batch) {
      throw invalid_argument(
          "CTCLoss: there must be one sequence_length for each sequence. Details: ", lengths.dim(0),
          " for ", sizes.batch, ".");
    }
    for (std::int64_t b = 0; b < sizes.batch; ++b) {
      const std::int32_t length = lengths.data<std::int32_t>()[b];
      if (length >= 0 && length <= sizes.steps) continue;
      throw invalid_argument("CTCLoss: a sequence_length must be in [0, ", sizes.steps,
                             "]. Details: number ", b, " is ", length, ".");
    }
  }

  // The labels of each sequence; the indices are sorted.
  static std::vector<std::vector<std::int32_t>> grouped_labels(const KernelContext& c,
                                                               const CtcSizes& sizes) {
    const Tensor &indices = c.input(1), &values = c.input(2);
    std::vector<std::vector<std::int32_t>> labels(static_cast<std::size_t>(sizes.batch));
    const std::int64_t* index = indices.data<std::int64_t>();
    for (std::int64_t i = 0; i < values.num_elements(); ++i, index += 2) {
      const bool in_order =
          i == 0 || index[-2] < index[0] || (index[-2] == index[0] && index[-1] < index[1]);
      if (index[0] < 0 || index[0] >= sizes.batch || index[1] < 0 || !in_order) {
        throw invalid_argument(
            "CTCLoss: labels_indices must be sorted, without repeats, and name a sequence below ",
            sizes.batch, ". Details: row ", i, " is [", index[0], ",", index[1], "].");
      }
      labels[static_cast<std::size_t>(index[0])].push_back(values.data<std::int32_t>()[i]);
    }
    for (std::size_t b = 0; b < labels.size(); ++b) {
      if (labels[b].empty())
        throw invalid_argument("CTCLoss: each sequence must have a label. Details: sequence ", b,
                               " has none.");
    }
    return labels;
  }

  // Blanks around each label that counts: those from a blank on do not.
  std::vector<std::int32_t> extended_labels(const KernelContext& c, const CtcSizes& sizes,
                                            std::int64_t b,
                                            const std::vector<std::int32_t>& labels) const {
    const auto blank = static_cast<std::int32_t>(sizes.classes - 1);
    std::vector<std::int32_t> result{blank};
    bool finished = false;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      if (i > 0 && collapses_ && labels[i] == labels[i - 1]) continue;
      if (labels[i] >= blank) {
        finished = true;
        continue;
      }
      if (finished || labels[i] < 0) {
        throw invalid_argument(
            "CTCLoss: labels must not be negative, nor follow one that is not below ", blank,
            ". Details: label ", i, " of sequence ", b, " is ", labels[i], ".");
      }
      result.push_back(labels[i]);
      result.push_back(blank);
    }
    const std::int32_t length = c.input(3).data<std::int32_t>()[b];
    if (!ignores_longer_ && static_cast<std::int64_t>(labels.size()) > length) {
      throw invalid_argument(
          "CTCLoss: a sequence must be at least as long as its labels. Details: sequence ", b,
          " has ", length, " steps and ", labels.size(), " labels.");
    }
    return result;
  }

  bool collapses_;
  bool merges_;
  bool ignores_longer_;
};

Shapes greedy_shape(ShapeContext& c) {
  const std::int64_t batch =
      merge_dims(c.with_rank(0, 3).dim(1), c.with_rank(1, 1).dim(0), "The numbers of sequences");
  return {PartialShape{-1, 2}, PartialShape{-1}, PartialShape{2}, PartialShape{batch, 1}};
}

Shapes loss_shape(ShapeContext& c) {
  const PartialShape inputs = c.with_rank(0, 3);
  c.with_rank(1, 2);
  c.with_rank(2, 1);
  const std::int64_t batch =
      merge_dims(inputs.dim(1), c.with_rank(3, 1).dim(0), "The numbers of sequences");
  return {PartialShape{batch}, replace_dim(inputs, 1, batch)};
}

constexpr OpDef kOps[] = {
    {.name = "CTCGreedyDecoder",
     .inputs = "inputs: T, sequence_length: int32",
     .outputs = "decoded_indices: int64, decoded_values: int64, decoded_shape: int64, "
                "log_probability: T",
     .attrs = "merge_repeated: bool = false; blank_index: int = -1; T: {float, double} = float",
     .shape = greedy_shape,
     .kernel = make_kernel<GreedyDecoderKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "CTCLoss",
     .inputs = "inputs: T, labels_indices: int64, labels_values: int32, sequence_length: int32",
     .outputs = "loss: T, gradient: T",
     .attrs = "preprocess_collapse_repeated: bool = false; ctc_merge_repeated: bool = true; "
              "ignore_longer_outputs_than_inputs: bool = false; T: {float, double} = float",
     .shape = loss_shape,
     .kernel = make_kernel<CtcLossKernel>},
};

}  // namespace

OpFamily nn_ctc_ops() { return kOps; }

}  // namespace hub
