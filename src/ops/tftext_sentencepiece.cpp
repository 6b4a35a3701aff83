// TensorFlow Text: SentencePiece with the model in an attribute.

#include <atomic>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/sentencepiece.h"
#include "ops/token_rows.h"

namespace hub {
namespace {

constexpr double kTextCostNs = 10000;

class SentencepieceResource final : public Resource {
 public:
  explicit SentencepieceResource(std::string_view model) : engine(model) {}
  const Sentencepiece engine;
};

class HandleKernel final : public Kernel {
 public:
  explicit HandleKernel(const KernelInit& init)
      : container_(init.attr<std::string>("container")),
        name_(cat("sentencepiece of node ", init.name())) {
    const auto& shared = init.attr<std::string>("shared_name");
    if (!shared.empty() || init.attr<bool>("use_node_name_sharing")) {
      name_ = cat("sentencepiece ", shared.empty() ? init.name() : shared);
    }
  }

  void compute(KernelContext& context) const override {
    const auto& model = attr_value<std::string>(context.node().attrs, context.node().name, "model");
    if (model.empty()) {
      throw invalid_argument("SentencepieceOp: the model must not be empty.");
    }
    const auto resource = context.resources().find_or_create<SentencepieceResource>(
        container_, name_, [&] { return std::make_shared<SentencepieceResource>(model); });
    *context.output(0, Shape{}).mutable_data<ResourceHandle>() = {container_, name_, resource};
  }

 private:
  std::string container_;
  std::string name_;
};

SentencepieceOptions options_input(const KernelContext& context, int first) {
  return {.add_begin = context.input(first).scalar<bool>(),
          .add_end = context.input(first + 1).scalar<bool>(),
          .reverse = context.input(first + 2).scalar<bool>()};
}

// A scalar for all texts, or one for each.
template <class T>
T element_for(const KernelContext& context, int input, std::int64_t text) {
  const Tensor& tensor = context.input(input);
  if (tensor.rank() == 0) return tensor.scalar<T>();
  if (tensor.rank() != 1 || tensor.dim(0) != context.input(1).num_elements()) {
    throw invalid_argument(
        context.node().op_name,
        ": nbest_size and alpha must be scalars, or one for each text. Details: the shape is ",
        tensor.shape(), ".");
  }
  return tensor.data<T>()[text];
}

template <bool kOffsets>
class TokenizeKernel final : public Kernel {
 public:
  explicit TokenizeKernel(const KernelInit& init)
      : return_best_(init.attr<bool>("return_nbest")), seed_(std::random_device{}()) {}

  void compute(KernelContext& context) const override {
    const auto resource = context.resource<SentencepieceResource>(0);
    const SentencepieceOptions options = options_input(context, 4);
    const Tensor& texts = context.input(1);
    if (return_best_) {
      const Tensor& size = context.input(2);
      if (size.rank() != 0 || size.scalar<std::int32_t>() < 1) {
        throw invalid_argument(
            context.node().op_name,
            ": to return the best results, nbest_size must be a scalar of at least 1. Details: ",
            size, ".");
      }
    }
    std::vector<std::vector<EncodedText>> results(static_cast<std::size_t>(texts.num_elements()));
    const std::uint32_t run = runs_.fetch_add(1, std::memory_order_relaxed);
    context.parallel_for(texts.num_elements(), kTextCostNs,
                         [&](std::int64_t begin, std::int64_t end) {
                           for (std::int64_t i = begin; i < end; ++i) {
                             results[static_cast<std::size_t>(i)] =
                                 encode(context, resource->engine, options, run, i);
                           }
                         });
    write(context, std::move(results));
  }

 private:
  std::vector<EncodedText> encode(const KernelContext& context, const Sentencepiece& engine,
                                  const SentencepieceOptions& options, std::uint32_t run,
                                  std::int64_t i) const {
    const std::string& text = context.input(1).data<std::string>()[i];
    const auto size = element_for<std::int32_t>(context, 2, i);
    if (return_best_) return engine.encode_best(text, size, options);
    if (size == 0 || size == 1) return {engine.encode(text, options)};
    // Samples differ from run to run and from text to text, as in TensorFlow.
    std::seed_seq seeds{seed_, run, static_cast<std::uint32_t>(i)};
    std::mt19937 random(seeds);
    return {engine.encode_sample(text, size, element_for<float>(context, 3, i), options, random)};
  }

  static void write(KernelContext& context, std::vector<std::vector<EncodedText>> results) {
    TokenRows rows;
    std::vector<std::int64_t> ids;
    for (std::vector<EncodedText>& text : results) {
      for (EncodedText& row : text) {
        for (EncodedPiece& piece : row) {
          ids.push_back(piece.id);
          rows.tokens.push_back(std::move(piece.text));
          rows.begins.push_back(piece.begin);
          rows.ends.push_back(piece.end);
        }
        rows.end_row();
      }
    }
    if (context.output_dtype(0) == kString) {
      output_texts(context, 0, std::move(rows.tokens));
    } else {
      output_integers(context, 0, ids);
    }
    output_splits(context, 1, rows.splits);
    if constexpr (kOffsets) {
      output_integers(context, 2, rows.begins);
      output_integers(context, 3, rows.ends);
    }
  }

  bool return_best_;
  std::uint32_t seed_;
  mutable std::atomic<std::uint32_t> runs_{0};
};

void detokenize(KernelContext& context) {
  const auto resource = context.resource<SentencepieceResource>(0);
  const Sentencepiece& engine = resource->engine;
  const SentencepieceOptions options = options_input(context, 3);
  const Tensor& values = context.input(1);
  const Splits splits = splits_input(context, 2);
  if (splits.back() > values.num_elements()) {
    throw out_of_range("SentencepieceDetokenizeOp: the splits must lie in the values. Details: ",
                       splits.back(), " of ", values.num_elements(), ".");
  }
  const auto rows = static_cast<std::int64_t>(splits.size()) - 1;
  std::string* result = context.output(0, Shape{rows}).mutable_data<std::string>();
  context.parallel_for(rows, kTextCostNs, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      std::vector<std::string> pieces;
      const auto r = static_cast<std::size_t>(row);
      for (std::int64_t i = splits[r]; i < splits[r + 1]; ++i) {
        pieces.push_back(values.dtype() == kString ? values.data<std::string>()[i]
                                                   : engine.piece(values.data<std::int32_t>()[i]));
      }
      result[row] = engine.decode(std::move(pieces), options);
    }
  });
}

void vocabulary_size(KernelContext& context) {
  *context.output(0, Shape{}).mutable_data<std::int32_t>() =
      context.resource<SentencepieceResource>(0)->engine.size();
}

void id_to_string(KernelContext& context) {
  const auto resource = context.resource<SentencepieceResource>(0);
  const Tensor& ids = context.input(1);
  std::string* result = context.output(0, ids.shape()).mutable_data<std::string>();
  for (const std::int32_t id : ids.values<std::int32_t>()) *result++ = resource->engine.piece(id);
}

void string_to_id(KernelContext& context) {
  const auto resource = context.resource<SentencepieceResource>(0);
  const Tensor& texts = context.input(1);
  std::int32_t* result = context.output(0, texts.shape()).mutable_data<std::int32_t>();
  for (const std::string& text : texts.values<std::string>()) *result++ = resource->engine.id(text);
}

Shapes tokenize_shape(ShapeContext& c) {
  const PartialShape texts = c.with_rank(1, 1);
  c.with_rank(0, 0);
  for (int i = 2; i < 7; ++i) c.with_rank(i, 0);
  Shapes shapes(static_cast<std::size_t>(c.num_outputs()), PartialShape{-1});
  if (!c.attr<bool>("return_nbest")) shapes[1] = PartialShape{split_count(texts)};
  return shapes;
}

Shapes detokenize_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  c.with_rank(1, 1);
  for (int i = 3; i < 6; ++i) c.with_rank(i, 0);
  const std::int64_t splits = c.with_rank(2, 1).dim(0);
  return {PartialShape{splits < 1 ? -1 : splits - 1}};
}

Shapes each_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  return {c.input(1)};
}

constexpr OpDef kOps[] = {
    {.name = "SentencepieceOp",
     .outputs = "handle: resource",
     .attrs = "model: string = ''; container: string = ''; shared_name: string = ''; "
              "use_node_name_sharing: bool = false",
     .shape = scalar_shape,
     .kernel = make_kernel<HandleKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "SentencepieceTokenizeOp",
     .inputs = "sp_handle: resource, input: string, nbest_size: int32, alpha: float, "
               "add_bos: bool, add_eos: bool, reverse: bool",
     .outputs = "output_values: out_type, output_splits: Tsplits",
     .attrs = "out_type: {int32, string} = int32; Tsplits: {int32, int64} = int64; "
              "return_nbest: bool = false",
     .shape = tokenize_shape,
     .kernel = make_kernel<TokenizeKernel<false>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "SentencepieceTokenizeWithOffsetsOp",
     .inputs = "sp_handle: resource, input: string, nbest_size: int32, alpha: float, "
               "add_bos: bool, add_eos: bool, reverse: bool",
     .outputs = "output_values: out_type, output_splits: Tsplits, output_offset_starts: int64, "
                "output_offset_limits: int64",
     .attrs = "out_type: {int32, string} = int32; Tsplits: {int32, int64} = int64; "
              "return_nbest: bool = false",
     .shape = tokenize_shape,
     .kernel = make_kernel<TokenizeKernel<true>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "SentencepieceDetokenizeOp",
     .inputs = "sp_handle: resource, input_values: T, input_splits: Tsplits, add_bos: bool, "
               "add_eos: bool, reverse: bool",
     .outputs = "output: string",
     .attrs = "T: {int32, string} = int32; Tsplits: {int32, int64} = int64",
     .shape = detokenize_shape,
     .kernel = kernel_function<detokenize>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "SentencepieceVocabSizeOp",
     .inputs = "sp_handle: resource",
     .outputs = "vocab_size: int32",
     .shape = scalar_shape,
     .kernel = kernel_function<vocabulary_size>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "SentencepieceIdToStringOp",
     .inputs = "sp_handle: resource, input: int32",
     .outputs = "values: string",
     .shape = each_shape,
     .kernel = kernel_function<id_to_string>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "SentencepieceStringToIdOp",
     .inputs = "sp_handle: resource, input: string",
     .outputs = "values: int32",
     .shape = each_shape,
     .kernel = kernel_function<string_to_id>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
};

}  // namespace

OpFamily tftext_sentencepiece_ops() { return kOps; }

}  // namespace hub
