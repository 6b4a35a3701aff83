// The ops of the package tf_sentencepiece, which multilingual sentence encoders of 2019 hold:
// the model is an attribute of each op, as bytes or as a file's path.

#include <farmhash.h>

#include <algorithm>
#include <atomic>
#include <random>

#include "base/file.h"
#include "graph/shape_rules.h"
#include "ops/sentencepiece.h"
#include "ops/sparse_tensor.h"
#include "ops/token_rows.h"

namespace hub {
namespace {

constexpr double kTextCostNs = 10000;

// One for each model in a session, whichever ops have it.
class ModelResource final : public Resource {
 public:
  explicit ModelResource(std::string_view model) : engine(model) {}
  const Sentencepiece engine;
};

std::shared_ptr<ModelResource> model_of(const KernelInit& init) {
  const auto& file = init.attr<std::string>("model_file");
  const auto& bytes = init.attr<std::string>("model_proto");
  if (file.empty() == bytes.empty()) {
    throw invalid_argument(init.op(), ": either model_file or model_proto must be set.");
  }
  const std::string& key = file.empty() ? bytes : file;
  const std::string name = cat("sentencepiece model ", file.empty() ? "bytes " : "file ",
                               util::Fingerprint64(key.data(), key.size()));
  return init.resources().find_or_create<ModelResource>("", name, [&] {
    return std::make_shared<ModelResource>(file.empty() ? bytes : read_file(file));
  });
}

// --- encoding ---

// The id of a piece that marks an end. Errors: INVALID_ARGUMENT where the model lacks it.
std::int32_t mark_id(const KernelInit& init, const Sentencepiece& engine, const std::string& text) {
  const std::int32_t id = engine.id(text);
  if (engine.vocabulary().is(PieceType::kControl, id)) return id;
  throw invalid_argument(init.op(), ": the model must have the piece that is added. Details: \"",
                         printable(text), "\".");
}

class EncodeKernel : public Kernel {
 public:
  explicit EncodeKernel(const KernelInit& init)
      : model_(model_of(init)),
        reverse_(init.attr<bool>("reverse")),
        seed_(std::random_device{}()) {
    const Sentencepiece& engine = model_->engine;
    if (init.attr<bool>("add_bos")) begin_ = mark_id(init, engine, engine.begin_piece());
    if (init.attr<bool>("add_eos")) end_ = mark_id(init, engine, engine.end_piece());
  }

  void compute(KernelContext& context) const override {
    const Tensor& texts = context.input(0);
    if (texts.rank() != 1) {
      throw invalid_argument(context.node().op_name,
                             ": the texts must be a vector. Details: the shape is ", texts.shape(),
                             ".");
    }
    const std::int64_t count = texts.num_elements();
    for (int input = 1; input <= 2; ++input) {
      const Shape& shape = context.input(input).shape();
      if (shape.rank() == 0 || (shape.rank() == 1 && shape.dim(0) == count)) continue;
      throw invalid_argument(
          context.node().op_name,
          ": nbest_size and alpha must be scalars, or one for each text. Details: ", shape, " for ",
          count, " texts.");
    }
    std::vector<EncodedText> rows(static_cast<std::size_t>(count));
    const std::uint32_t run = runs_.fetch_add(1, std::memory_order_relaxed);
    context.parallel_for(count, kTextCostNs, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        rows[static_cast<std::size_t>(i)] = encode(context, run, i);
      }
    });
    write(context, rows);
  }

 protected:
  virtual void write(KernelContext& context, std::vector<EncodedText>& rows) const = 0;
  const Sentencepiece& engine() const { return model_->engine; }

 private:
  EncodedText encode(const KernelContext& context, std::uint32_t run, std::int64_t i) const {
    const std::string& text = context.input(0).data<std::string>()[i];
    const std::int32_t size = element_for<std::int32_t>(context.input(1), i);
    EncodedText row;
    if (size == 0 || size == 1) {
      row = engine().encode(text, {});
    } else {
      // Samples differ from run to run and from text to text.
      std::seed_seq seeds{seed_, run, static_cast<std::uint32_t>(i)};
      std::mt19937 random(seeds);
      row = engine().encode_sample(text, size, element_for<float>(context.input(2), i), {}, random);
    }
    // The marks are put around the reversed pieces.
    if (reverse_) std::ranges::reverse(row);
    if (begin_ > 0) row.insert(row.begin(), {engine().piece(begin_), begin_, 0, 0});
    if (end_ > 0) row.push_back({engine().piece(end_), end_, 0, 0});
    return row;
  }

  template <class T>
  static T element_for(const Tensor& tensor, std::int64_t i) {
    return tensor.data<T>()[tensor.rank() == 0 ? 0 : i];
  }

  std::shared_ptr<ModelResource> model_;
  bool reverse_;
  std::int32_t begin_ = -1;  // a mark with the id 0 is not added, as in the original
  std::int32_t end_ = -1;
  std::uint32_t seed_;
  mutable std::atomic<std::uint32_t> runs_{0};
};

// Stores a piece, or its id, by the dtype of the tensor.
void store(Tensor& tensor, std::int64_t at, EncodedPiece& piece) {
  if (tensor.dtype() == DType::kString) {
    tensor.mutable_data<std::string>()[at] = std::move(piece.text);
  } else {
    tensor.mutable_data<std::int32_t>()[at] = piece.id;
  }
}

std::int64_t longest(const std::vector<EncodedText>& rows) {
  std::size_t size = 0;
  for (const EncodedText& row : rows) size = std::max(size, row.size());
  return static_cast<std::int64_t>(size);
}

class EncodeSparseKernel final : public EncodeKernel {
 public:
  using EncodeKernel::EncodeKernel;

 private:
  void write(KernelContext& context, std::vector<EncodedText>& rows) const override {
    std::int64_t count = 0;
    for (const EncodedText& row : rows) count += static_cast<std::int64_t>(row.size());
    auto* index = context.output(0, Shape{count, 2}).mutable_data<std::int64_t>();
    Tensor& pieces = context.output(1, Shape{count});
    std::int64_t at = 0;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      for (std::size_t column = 0; column < rows[row].size(); ++column) {
        *index++ = static_cast<std::int64_t>(row);
        *index++ = static_cast<std::int64_t>(column);
        store(pieces, at++, rows[row][column]);
      }
    }
    auto* shape = context.output(2, Shape{2}).mutable_data<std::int64_t>();
    shape[0] = static_cast<std::int64_t>(rows.size());
    shape[1] = longest(rows);
  }
};

class EncodeDenseKernel final : public EncodeKernel {
 public:
  explicit EncodeDenseKernel(const KernelInit& init) : EncodeKernel(init) {
    const std::string pad = "<pad>";
    const std::int32_t id = engine().id(pad);
    if (engine().vocabulary().is(PieceType::kControl, id)) {
      padding_ = {pad, id, 0, 0};
    } else {
      padding_ = {"", engine().vocabulary().unknown_id(), 0, 0};
    }
  }

 private:
  void write(KernelContext& context, std::vector<EncodedText>& rows) const override {
    const std::int64_t width = longest(rows);
    const auto height = static_cast<std::int64_t>(rows.size());
    Tensor& pieces = context.output(0, Shape{height, width});
    auto* lengths = context.output(1, Shape{height}).mutable_data<std::int32_t>();
    std::int64_t at = 0;
    for (EncodedText& row : rows) {
      *lengths++ = static_cast<std::int32_t>(row.size());
      row.resize(static_cast<std::size_t>(width), padding_);
      for (EncodedPiece& piece : row) store(pieces, at++, piece);
    }
  }

  EncodedPiece padding_;
};

// --- decoding and single pieces ---

class DecodeKernel final : public Kernel {
 public:
  explicit DecodeKernel(const KernelInit& init)
      : model_(model_of(init)), reverse_(init.attr<bool>("reverse")) {}

  void compute(KernelContext& context) const override {
    const Tensor& rows = context.input(0);
    const Tensor& lengths = context.input(1);
    check_rank(context, 0, 2, "the pieces");
    check_rank(context, 1, 1, "the lengths");
    check_sizes(context, rows.dim(0), lengths.dim(0), "the numbers of rows and of lengths");
    auto* texts = context.output(0, Shape{rows.dim(0)}).mutable_data<std::string>();
    for (std::int64_t row = 0; row < rows.dim(0); ++row) {
      const std::int64_t length = lengths.data<std::int32_t>()[row];
      if (length < 0 || length > rows.dim(1)) {
        throw invalid_argument("SentencepieceDecode: a length must not exceed its row. Details: ",
                               length, " of ", rows.dim(1), ".");
      }
      std::vector<std::string> pieces;
      for (std::int64_t i = row * rows.dim(1); i < row * rows.dim(1) + length; ++i) {
        pieces.push_back(rows.dtype() == DType::kString
                             ? rows.data<std::string>()[i]
                             : model_->engine.piece(rows.data<std::int32_t>()[i]));
      }
      if (reverse_) std::ranges::reverse(pieces);
      texts[row] = model_->engine.decode(std::move(pieces), {});
    }
  }

 private:
  std::shared_ptr<ModelResource> model_;
  bool reverse_;
};

class PieceKernel : public Kernel {
 public:
  explicit PieceKernel(const KernelInit& init) : model_(model_of(init)) {}

 protected:
  const Sentencepiece& engine() const { return model_->engine; }
  bool has(std::int32_t id) const { return id >= 0 && id < engine().size(); }

 private:
  std::shared_ptr<ModelResource> model_;
};

class PieceSizeKernel final : public PieceKernel {
 public:
  using PieceKernel::PieceKernel;
  void compute(KernelContext& context) const override {
    *context.output(0, Shape{}).mutable_data<std::int32_t>() = engine().size();
  }
};

class PieceToIdKernel final : public PieceKernel {
 public:
  using PieceKernel::PieceKernel;
  void compute(KernelContext& context) const override {
    const Tensor& pieces = context.input(0);
    auto* ids = context.output(0, pieces.shape()).mutable_data<std::int32_t>();
    for (const auto& piece : pieces.values<std::string>()) *ids++ = engine().id(piece);
  }
};

// An id that the model lacks has no piece.
class IdToPieceKernel final : public PieceKernel {
 public:
  using PieceKernel::PieceKernel;
  void compute(KernelContext& context) const override {
    const Tensor& ids = context.input(0);
    auto* pieces = context.output(0, ids.shape()).mutable_data<std::string>();
    for (const std::int32_t id : ids.values<std::int32_t>()) {
      *pieces++ = has(id) ? engine().piece(id) : std::string();
    }
  }
};

class PieceTypeKernel final : public PieceKernel {
 public:
  explicit PieceTypeKernel(const KernelInit& init)
      : PieceKernel(init), type_(init.attr<std::int64_t>("piece_type")) {}
  void compute(KernelContext& context) const override {
    constexpr PieceType kTypes[] = {PieceType::kUnknown, PieceType::kControl, PieceType::kUnused};
    const Tensor& ids = context.input(0);
    auto* answers = context.output(0, ids.shape()).mutable_data<bool>();
    for (const std::int32_t id : ids.values<std::int32_t>()) {
      *answers++ = type_ >= 0 && type_ < std::ssize(kTypes) && has(id) &&
                   engine().vocabulary().is(kTypes[type_], id);
    }
  }

 private:
  std::int64_t type_;
};

// --- shapes ---

// The number of texts.
std::int64_t batch_size(ShapeContext& c) {
  std::int64_t batch = c.with_rank(0, 1).dim(0);
  for (int input = 1; input <= 2; ++input) {
    const PartialShape shape = c.at_most_rank(input, 1);
    if (!shape.has_rank() || shape.rank() == 0) continue;
    batch = merge_dims(batch, shape.dim(0), "The numbers of texts and of options");
  }
  return batch;
}

Shapes sparse_shape(ShapeContext& c) {
  batch_size(c);
  return {PartialShape{-1, 2}, PartialShape{-1}, PartialShape{2}};
}

Shapes dense_shape(ShapeContext& c) {
  const std::int64_t batch = batch_size(c);
  return {PartialShape{batch, -1}, PartialShape{batch}};
}

Shapes decode_shape(ShapeContext& c) {
  const std::int64_t rows = c.with_rank(0, 2).dim(0);
  return {PartialShape{merge_dims(rows, c.with_rank(1, 1).dim(0), "The numbers of rows")}};
}

constexpr OpDef kOps[] = {
    {.name = "SentencepieceGetPieceSize",
     .outputs = "vocab_size: int32",
     .attrs = "model_file: string = ''; model_proto: string = ''",
     .shape = scalar_shape,
     .kernel = make_kernel<PieceSizeKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "SentencepiecePieceToId",
     .inputs = "input: string",
     .outputs = "values: int32",
     .attrs = "model_file: string = ''; model_proto: string = ''",
     .shape = unchanged_shape,
     .kernel = make_kernel<PieceToIdKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "SentencepieceIdToPiece",
     .inputs = "input: int32",
     .outputs = "values: string",
     .attrs = "model_file: string = ''; model_proto: string = ''",
     .shape = unchanged_shape,
     .kernel = make_kernel<IdToPieceKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "SentencepieceGetPieceType",
     .inputs = "input: int32",
     .outputs = "values: bool",
     .attrs = "model_file: string = ''; model_proto: string = ''; piece_type: int = 0",
     .shape = unchanged_shape,
     .kernel = make_kernel<PieceTypeKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "SentencepieceEncodeDense",
     .inputs = "input: string, nbest_size: int32, alpha: float",
     .outputs = "values: out_type, sequence_length: int32",
     .attrs = "out_type: {int32, string} = int32; model_file: string = ''; "
              "model_proto: string = ''; reverse: bool = false; add_bos: bool = false; "
              "add_eos: bool = false",
     .shape = dense_shape,
     .kernel = make_kernel<EncodeDenseKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "SentencepieceEncodeSparse",
     .inputs = "input: string, nbest_size: int32, alpha: float",
     .outputs = "indices: int64, values: out_type, dense_shape: int64",
     .attrs = "out_type: {int32, string} = int32; model_file: string = ''; "
              "model_proto: string = ''; reverse: bool = false; add_bos: bool = false; "
              "add_eos: bool = false",
     .shape = sparse_shape,
     .kernel = make_kernel<EncodeSparseKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "SentencepieceDecode",
     .inputs = "input: T, sequence_length: int32",
     .outputs = "values: string",
     .attrs = "T: {int32, string}; model_file: string = ''; model_proto: string = ''; "
              "reverse: bool = false",
     .shape = decode_shape,
     .kernel = make_kernel<DecodeKernel>,
     .differentiable = Differentiable::kNone},
};

}  // namespace

OpFamily tf_sentencepiece_ops() { return kOps; }

}  // namespace hub
