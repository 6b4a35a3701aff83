// The fused op of text embeddings: see text_embedding.h. A group of sentences at a time is
// cleaned and split, its words are looked up together, and its rows are asked for ahead.

#include "ops/text_embedding.h"

#include <farmhash.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <span>

#include "graph/shape_context.h"
#include "ops/kernel.h"
#include "ops/kernels/row_loops.h"
#include "ops/letter_case.h"
#include "ops/regex_replacer.h"
#include "ops/string_pieces.h"
#include "ops/table.h"

namespace hub {
namespace {

using Kind = CleaningStep::Kind;

// All steps of cleaning, one text at a time. Thread-safe.
class Cleaner {
 public:
  // Errors: INVALID_ARGUMENT for a bad pattern.
  explicit Cleaner(const std::vector<CleaningStep>& steps) : steps_(steps) {
    for (const CleaningStep& step : steps) {
      const bool replaces = step.kind == Kind::kReplaceAll || step.kind == Kind::kReplaceFirst;
      replacers_.push_back(
          replaces ? std::make_unique<const RegexReplacer>(
                         step.pattern, step.rewrite, step.kind == Kind::kReplaceAll, "RegexReplace")
                   : nullptr);
    }
    join_ascii_maps();
  }

  // The cleaned text, in `result`, or the text itself where there is nothing to do.
  std::string_view clean(std::string_view text, std::string& result, std::string& other) const {
    if (steps_.empty()) return text;
    if (has_map_ && is_ascii(text)) return clean_ascii(text, result);
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      run_step(i, text, other);
      std::swap(result, other);
      text = result;
    }
    return text;
  }

 private:
  void run_step(std::size_t i, std::string_view text, std::string& to) const {
    if (replacers_[i] != nullptr) return replacers_[i]->replace(text, to);
    const bool lower = steps_[i].kind == Kind::kLower;
    if (steps_[i].utf8)
      return lower ? change_case_utf8<true>(text, to) : change_case_utf8<false>(text, to);
    lower ? change_case_ascii<true>(text, to) : change_case_ascii<false>(text, to);
  }

  std::optional<AsciiMap> map_of(std::size_t i) const {
    if (replacers_[i] != nullptr) return replacers_[i]->ascii_map();
    if (steps_[i].utf8) return std::nullopt;  // cuts at NUL
    AsciiMap map;
    map.kept.fill(true);
    for (std::size_t c = 0; c < map.to.size(); ++c) {
      const char byte = static_cast<char>(c);
      map.to[c] = steps_[i].kind == Kind::kLower ? ascii_lower(byte) : ascii_upper(byte);
    }
    return map;
  }

  // One map for all steps, where each has one.
  void join_ascii_maps() {
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const auto next = map_of(i);
      if (!next) return;
      if (i == 0) {
        map_ = *next;
        continue;
      }
      for (std::size_t c = 0; c < map_.to.size(); ++c) {
        const auto byte = static_cast<std::size_t>(map_.to[c]);
        map_.kept[c] = map_.kept[c] && next->kept[byte];
        map_.to[c] = next->to[byte];
      }
    }
    has_map_ = true;
  }

  std::string_view clean_ascii(std::string_view text, std::string& result) const {
    result.resize(text.size());
    char* to = result.data();
    for (const char c : text) {
      *to = map_.to[static_cast<std::size_t>(c)];
      to += map_.kept[static_cast<std::size_t>(c)];
    }
    return {result.data(), static_cast<std::size_t>(to - result.data())};
  }

  std::vector<CleaningStep> steps_;
  std::vector<std::unique_ptr<const RegexReplacer>> replacers_;  // nullptr: a change of case
  bool has_map_ = false;
  AsciiMap map_;
};

// The rows of all parts.
class RowParts {
 public:
  // Errors: NOT_FOUND for a variable without a value, INVALID_ARGUMENT for a wrong one.
  RowParts(KernelContext& context, const TextEmbedding& about) : about_(about) {
    const ArgRange range = input_range(context.node(), "params");
    for (int i = range.begin; i < range.begin + range.count; ++i) {
      Tensor part = context.input(i);
      if (part.dtype() == DType::kResource) part = value_of(*context.resource<VariableResource>(i));
      if (part.dtype() != kFloat || part.rank() != 2 || part.dim(1) != about.width) {
        throw invalid_argument("Gather: the embedding must be float32 [rows,", about.width,
                               "]. Details: it is ", part.dtype(), " ", part.shape(), ".");
      }
      parts_.push_back(std::move(part));
    }
  }

  // Errors: INVALID_ARGUMENT where there is no such row.
  const float* row(std::int64_t id) const {
    std::size_t part = 0;
    std::int64_t row = id;
    const auto count = static_cast<std::int64_t>(parts_.size());
    if (count > 1 && id >= 0) {
      std::int64_t number = id % count;
      row = id / count;
      if (about_.blocks) {
        const std::int64_t longer = about_.quotient + 1;
        number = std::max(id / longer, (id - about_.remainder) / about_.quotient);
        row = number < about_.remainder ? id % longer : (id - about_.remainder) % about_.quotient;
      }
      part = static_cast<std::size_t>(std::min(number, count - 1));
      if (number >= count) row = -1;
    }
    if (row < 0 || row >= parts_[part].dim(0)) {
      throw invalid_argument("Gather: ids must be rows of the embedding. Details: the id is ", id,
                             ", the embedding has ", parts_.size(), " parts, this one of shape ",
                             parts_[part].shape(), ".");
    }
    return parts_[part].data<float>() + row * about_.width;
  }

 private:
  static Tensor value_of(const VariableResource& variable) {
    Tensor value = variable.read();
    if (!value.is_valid()) {
      throw not_found(
          "ResourceGather: there is no such variable, or it has no value yet. Details: \"",
          variable.name, "\".");
    }
    return value;
  }

  const TextEmbedding& about_;
  std::vector<Tensor> parts_;
};

// What one run shares between its threads.
struct EmbeddingRun {
  KernelContext& context;
  const TextEmbedding& about;
  const Cleaner& cleaner;
  const LookupTable& table;
  std::int64_t table_size;
  const RowParts& parts;
  std::int64_t fill_id;
  const std::string* texts;
  float* result;
};

// One thread's work.
class SentenceEmbedder {
 public:
  explicit SentenceEmbedder(const EmbeddingRun& run) : run_(run), about_(run.about) {}

  // Sentences [begin, end). The last one that has words, or -1.
  std::int64_t embed(std::int64_t begin, std::int64_t end) {
    std::int64_t last = -1;
    for (std::int64_t first = begin; first < end; first += kGroup) {
      const std::int64_t count = std::min(kGroup, end - first);
      split(first, count);
      look_up();
      collect_rows(count);
      for (std::int64_t i = 0; i < count; ++i) {
        if (add_rows(static_cast<std::size_t>(i), run_.result + (first + i) * about_.width))
          last = first + i;
      }
    }
    return last;
  }

 private:
  static constexpr std::int64_t kGroup = 16;

  void split(std::int64_t first, std::int64_t count) {
    words_.clear();
    word_ends_.clear();
    for (std::int64_t i = 0; i < count; ++i) {
      const auto text = run_.cleaner.clean(run_.texts[first + i],
                                           cleaned_[static_cast<std::size_t>(i)], scratch_);
      const auto emit = [&](std::string_view word) { words_.push_back(word); };
      if (about_.split_at_bytes) {
        split_at_bytes(text, about_.separator, about_.skip_empty, emit);
      } else {
        split_at_text(text, about_.separator, about_.max_splits, emit);
      }
      word_ends_.push_back(words_.size());
    }
  }

  void look_up() {
    ids_.resize(words_.size());
    if (run_.table.finds_words()) {
      run_.table.find_words(words_, about_.default_id, ids_.data());
    } else {
      find_by_tensors();
    }
    if (about_.buckets == 0) return;
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      if (ids_[i] != about_.default_id) continue;
      const std::uint64_t hash = util::Fingerprint64(words_[i].data(), words_[i].size());
      ids_[i] = run_.table_size +
                static_cast<std::int64_t>(hash % static_cast<std::uint64_t>(about_.buckets));
    }
  }

  // For tables of other kinds; then there is one thread.
  void find_by_tensors() {
    const Shape shape{static_cast<std::int64_t>(words_.size())};
    Tensor keys(DType::kString, shape);
    std::ranges::copy(words_, keys.mutable_data<std::string>());
    Tensor values(DType::kInt64, shape);
    run_.table.find(run_.context, keys, make_scalar(about_.default_id), values);
    std::ranges::copy(values.values<std::int64_t>(), ids_.begin());
  }

  void collect_rows(std::int64_t count) {
    rows_.clear();
    row_ends_.clear();
    std::size_t word = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::size_t before = rows_.size();
      for (; word < word_ends_[static_cast<std::size_t>(i)]; ++word) {
        if (ids_[word] >= 0 || !about_.drop_negative) rows_.push_back(run_.parts.row(ids_[word]));
      }
      if (rows_.size() == before && about_.empty_row == EmptyRow::kFillRow)
        rows_.push_back(run_.parts.row(run_.fill_id));
      row_ends_.push_back(rows_.size());
    }
  }

  void prefetch(const float* row) const {
    constexpr std::int64_t kLine = 16;
    const std::int64_t size = std::min<std::int64_t>(about_.width, 8 * kLine);
    for (std::int64_t i = 0; i < size; i += kLine) __builtin_prefetch(row + i);
  }

  // The rows of sentence `i` of the group, added in their order; false where there are none.
  bool add_rows(std::size_t i, float* sum) const {
    constexpr std::size_t kAhead = 12;
    const std::size_t begin = i == 0 ? 0 : row_ends_[i - 1];
    const std::size_t end = row_ends_[i];
    std::fill_n(sum, about_.width, 0.0f);
    for (std::size_t k = begin; k < end; ++k) {
      if (k + kAhead < rows_.size()) prefetch(rows_[k + kAhead]);
      join_row<float, AddRow<float>>(sum, rows_[k], about_.width);
    }
    const auto count = static_cast<double>(end - begin);
    if (about_.combiner == RowCombiner::kSum || end - begin < 2) return end > begin;
    const auto by =
        static_cast<float>(about_.combiner == RowCombiner::kMean ? count : std::sqrt(count));
    for (std::int64_t j = 0; j < about_.width; ++j) sum[j] /= by;
    return true;
  }

  const EmbeddingRun& run_;
  const TextEmbedding& about_;
  std::array<std::string, kGroup> cleaned_;
  std::string scratch_;
  std::vector<std::string_view> words_;
  std::vector<std::size_t> word_ends_;  // of each sentence of the group
  std::vector<std::int64_t> ids_;
  std::vector<const float*> rows_;
  std::vector<std::size_t> row_ends_;
};

class TextEmbeddingKernel final : public Kernel {
 public:
  explicit TextEmbeddingKernel(const KernelInit& init)
      : about_(TextEmbedding::from_attrs(init.node().attrs, init.name())) {}

  void compute(KernelContext& context) const override {
    const Tensor& text = context.input(0);
    if (!about_.flatten && text.rank() != 1) {
      throw invalid_argument("StringSplit: the input must be a vector. Details: its shape is ",
                             text.shape(), ".");
    }
    const auto cleaner = this->cleaner();
    const auto table = context.resource<LookupTable>(1);
    check_table(*table);
    const RowParts parts(context, about_);
    const std::int64_t count = text.num_elements();
    Tensor& result = context.output(0, Shape{count, about_.width});
    const EmbeddingRun run{context,
                           about_,
                           *cleaner,
                           *table,
                           table->size(),
                           parts,
                           fill_id(context),
                           text.data<std::string>(),
                           result.mutable_data<float>()};
    std::atomic<std::int64_t> last = -1;
    const auto embed = [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t block_last = SentenceEmbedder(run).embed(begin, end);
      std::int64_t known = last.load();
      while (known < block_last && !last.compare_exchange_weak(known, block_last)) {
      }
    };
    constexpr double kSentenceNs = 1500;
    if (table->finds_words()) {
      context.parallel_for(count, kSentenceNs, embed);
    } else {
      embed(0, count);
    }
    if (about_.empty_row == EmptyRow::kNone && last + 1 < count)
      context.set_output(0, result.rows(0, last + 1));
  }

 private:
  // Made at the first run: a bad pattern is an error of the run.
  std::shared_ptr<const Cleaner> cleaner() const {
    const std::lock_guard lock(mutex_);
    if (cleaner_ == nullptr) cleaner_ = std::make_shared<const Cleaner>(about_.cleaning);
    return cleaner_;
  }

  static std::int64_t fill_id(const KernelContext& context) {
    const ArgRange range = input_range(context.node(), "fill");
    return range.count == 0 ? 0 : integer_scalar(context, range.begin, "default_value");
  }

  static void check_table(const LookupTable& table) {
    if (table.key_dtype() == DType::kString && table.value_dtype() == DType::kInt64 &&
        table.key_shape().rank() == 0 && table.value_shape().rank() == 0)
      return;
    throw invalid_argument(
        "LookupTableFind: the table must be from string to int64. Details: it is a ", table.kind(),
        " from ", table.key_dtype(), " to ", table.value_dtype(), ".");
  }

  TextEmbedding about_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Cleaner> cleaner_;
};

Shapes text_embedding_shape(ShapeContext& c) {
  return {PartialShape{-1, c.attr<std::int64_t>("width")}};
}

constexpr OpDef kOps[] = {
    {.name = kTextEmbeddingOp,
     .inputs = "text: string, table: resource, params: num_params * Params, "
               "fill: num_fills * int64",
     .outputs = "output: float",
     .attrs =
         "Params: {resource, float}; num_params: int >= 1; num_fills: int >= 0; kinds: list(int); "
         "patterns: list(string); rewrites: list(string); flatten: bool; "
         "split_at_bytes: bool; separator: string; skip_empty: bool; max_splits: int; "
         "default_id: int; buckets: int; drop_negative: bool; empty_row: int; "
         "combiner: int; width: int; blocks: bool; quotient: int; "
         "remainder: int",
     .shape = text_embedding_shape,
     .kernel = make_kernel<TextEmbeddingKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true,
     .reads_variables_only = true},
};

// A step's kind as a number: utf8 is the lowest bit.
std::int64_t number_of(const CleaningStep& step) {
  return static_cast<std::int64_t>(step.kind) * 2 + step.utf8;
}

}  // namespace

AttrMap TextEmbedding::to_attrs() const {
  AttrList kinds, patterns, rewrites;
  for (const CleaningStep& step : cleaning) {
    kinds.ints.push_back(number_of(step));
    patterns.strings.push_back(step.pattern);
    rewrites.strings.push_back(step.rewrite);
  }
  return {{"kinds", kinds},
          {"patterns", patterns},
          {"rewrites", rewrites},
          {"flatten", flatten},
          {"split_at_bytes", split_at_bytes},
          {"separator", separator},
          {"skip_empty", skip_empty},
          {"max_splits", max_splits},
          {"default_id", default_id},
          {"buckets", buckets},
          {"drop_negative", drop_negative},
          {"empty_row", static_cast<std::int64_t>(empty_row)},
          {"combiner", static_cast<std::int64_t>(combiner)},
          {"width", width},
          {"blocks", blocks},
          {"quotient", quotient},
          {"remainder", remainder}};
}

TextEmbedding TextEmbedding::from_attrs(const AttrMap& attrs, std::string_view node) {
  TextEmbedding about;
  const auto number = [&](std::string_view name) {
    return attr_value<std::int64_t>(attrs, node, name);
  };
  const auto flag = [&](std::string_view name) { return attr_value<bool>(attrs, node, name); };
  const auto& kinds = attr_value<AttrList>(attrs, node, "kinds").ints;
  const auto& patterns = attr_value<AttrList>(attrs, node, "patterns").strings;
  const auto& rewrites = attr_value<AttrList>(attrs, node, "rewrites").strings;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    about.cleaning.push_back(
        {static_cast<Kind>(kinds[i] / 2), kinds[i] % 2 == 1, patterns.at(i), rewrites.at(i)});
  }
  about.flatten = flag("flatten");
  about.split_at_bytes = flag("split_at_bytes");
  about.separator = attr_value<std::string>(attrs, node, "separator");
  about.skip_empty = flag("skip_empty");
  about.max_splits = number("max_splits");
  about.default_id = number("default_id");
  about.buckets = number("buckets");
  about.drop_negative = flag("drop_negative");
  about.empty_row = static_cast<EmptyRow>(number("empty_row"));
  about.combiner = static_cast<RowCombiner>(number("combiner"));
  about.width = number("width");
  about.blocks = flag("blocks");
  about.quotient = number("quotient");
  about.remainder = number("remainder");
  return about;
}

OpFamily text_embedding_ops() { return kOps; }

}  // namespace hub
