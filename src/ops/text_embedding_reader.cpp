#include "ops/text_embedding_reader.h"

#include <algorithm>

namespace hub {

TextEmbeddingReader::Rule TextEmbeddingReader::rule_of(std::string_view op) {
  static constexpr std::pair<std::string_view, Rule> kRules[] = {
      {"StringLower", &TextEmbeddingReader::read_case},
      {"StringUpper", &TextEmbeddingReader::read_case},
      {"StaticRegexReplace", &TextEmbeddingReader::read_replacement},
      {"RegexReplace", &TextEmbeddingReader::read_replacement},
      {"StringSplit", &TextEmbeddingReader::read_split},
      {"StringSplitV2", &TextEmbeddingReader::read_split},
      {"LookupTableFindV2", &TextEmbeddingReader::read_find},
      {"LookupTableSizeV2", &TextEmbeddingReader::read_size},
      {"StringToHashBucketFast", &TextEmbeddingReader::read_hash},
      {"Add", &TextEmbeddingReader::read_sum},
      {"AddV2", &TextEmbeddingReader::read_sum},
      {"NotEqual", &TextEmbeddingReader::read_not_equal},
      {"GreaterEqual", &TextEmbeddingReader::read_not_negative},
      {"Where", &TextEmbeddingReader::read_where},
      {"Select", &TextEmbeddingReader::read_select},
      {"SelectV2", &TextEmbeddingReader::read_select},
      {"Gather", &TextEmbeddingReader::read_gather},
      {"GatherV2", &TextEmbeddingReader::read_gather},
      {"ResourceGather", &TextEmbeddingReader::read_gather},
      {"SparseFillEmptyRows", &TextEmbeddingReader::read_fill},
      {"SparseReshape", &TextEmbeddingReader::read_sparse_reshape},
      {"StridedSlice", &TextEmbeddingReader::read_strided_slice},
      {"Slice", &TextEmbeddingReader::read_slice},
      {"Prod", &TextEmbeddingReader::read_product},
      {"Pack", &TextEmbeddingReader::read_joined},
      {"ConcatV2", &TextEmbeddingReader::read_joined},
      {"Shape", &TextEmbeddingReader::read_shape},
      {"Size", &TextEmbeddingReader::read_count},
      {"Reshape", &TextEmbeddingReader::read_reshape},
      {"Tile", &TextEmbeddingReader::read_tile},
      {"ZerosLike", &TextEmbeddingReader::read_zeros},
      {"Identity", &TextEmbeddingReader::read_same},
      {"Cast", &TextEmbeddingReader::read_same},
      {"Unique", &TextEmbeddingReader::read_unique},
      {"SparseSegmentSum", &TextEmbeddingReader::read_combination},
      {"SparseSegmentMean", &TextEmbeddingReader::read_combination},
      {"SparseSegmentSqrtN", &TextEmbeddingReader::read_combination},
      {"FloorDiv", &TextEmbeddingReader::read_formula},
      {"FloorMod", &TextEmbeddingReader::read_formula},
      {"Sub", &TextEmbeddingReader::read_formula},
      {"Maximum", &TextEmbeddingReader::read_formula},
      {"Less", &TextEmbeddingReader::read_formula},
      {"Range", &TextEmbeddingReader::read_range},
      {"DynamicPartition", &TextEmbeddingReader::read_partition},
      {"DynamicStitch", &TextEmbeddingReader::read_stitch},
      {"ParallelDynamicStitch", &TextEmbeddingReader::read_stitch},
  };
  for (const auto& [name, rule] : kRules) {
    if (name == op) return rule;
  }
  return nullptr;
}

TextEmbeddingReader::Meaning TextEmbeddingReader::meaning(OutputId output) const {
  const auto found = meanings_.find({output.node, output.index});
  if (found != meanings_.end()) return found->second;
  Meaning constant;
  if (const Tensor* value = graph_.constant(output)) {
    constexpr std::int64_t kMost = 8;
    if (value->num_elements() > kMost || value->rank() > 1) return {};
    constant.is = Is::kNumbers;
    if (value->dtype() == kInt32) {
      for (const std::int32_t number : value->values<std::int32_t>())
        constant.numbers.push_back(number);
    } else if (value->dtype() == kInt64) {
      for (const std::int64_t number : value->values<std::int64_t>())
        constant.numbers.push_back(number);
    } else {
      return {};
    }
    // No constant stands for a symbol.
    if (std::ranges::any_of(constant.numbers, [](std::int64_t n) { return n <= kRowCount; }))
      return {};
  }
  return constant;
}

// The only number of a constant input.
std::optional<std::int64_t> TextEmbeddingReader::number(const Node& node, std::size_t i) const {
  const Meaning found = in(node, i);
  if (found.is != Is::kNumbers || found.numbers.size() != 1) return std::nullopt;
  return found.numbers[0];
}

bool TextEmbeddingReader::are_numbers(const Node& node, std::size_t i,
                                      std::vector<std::int64_t> wanted) const {
  const Meaning found = in(node, i);
  return found.is == Is::kNumbers && found.numbers == wanted;
}

const std::string* TextEmbeddingReader::text_constant(OutputId output) const {
  const Tensor* value = graph_.constant(output);
  return value != nullptr && value->dtype() == kString && value->rank() == 0
             ? &value->scalar<std::string>()
             : nullptr;
}

// The text of the node's first input, which may come from outside.
bool TextEmbeddingReader::take_text(const Node& node) {
  if (is(node, 0, Is::kText)) return true;
  if (text_.is_valid() || !is(node, 0, Is::kUnknown)) return false;
  text_ = node.inputs[0];
  return true;
}

bool TextEmbeddingReader::read_case(const Node& node) {
  const auto encoding = attr<std::string>(node, "encoding").value_or("");
  if (!take_text(node) || (!encoding.empty() && encoding != "utf-8")) return false;
  const bool lower = node.op_name == "StringLower";
  about_.cleaning.push_back(
      {lower ? CleaningStep::Kind::kLower : CleaningStep::Kind::kUpper, !encoding.empty()});
  return give(Is::kText);
}

bool TextEmbeddingReader::read_replacement(const Node& node) {
  std::optional<std::string> pattern, rewrite;
  if (node.op_name == "StaticRegexReplace") {
    pattern = attr<std::string>(node, "pattern");
    rewrite = attr<std::string>(node, "rewrite");
  } else if (text_constant(node.inputs[1]) != nullptr && text_constant(node.inputs[2]) != nullptr) {
    pattern = *text_constant(node.inputs[1]);
    rewrite = *text_constant(node.inputs[2]);
  }
  if (!pattern || !rewrite || !take_text(node)) return false;
  const bool all = attr<bool>(node, "replace_global").value_or(true);
  about_.cleaning.push_back(
      {all ? CleaningStep::Kind::kReplaceAll : CleaningStep::Kind::kReplaceFirst, false, *pattern,
       *rewrite});
  return give(Is::kText);
}

bool TextEmbeddingReader::read_split(const Node& node) {
  const std::string* separator = text_constant(node.inputs[1]);
  if (separator == nullptr || is_split_ || !take_text(node)) return false;
  is_split_ = true;
  about_.separator = *separator;
  about_.split_at_bytes = node.op_name == "StringSplit";
  about_.skip_empty = attr<bool>(node, "skip_empty").value_or(true);
  about_.max_splits = attr<std::int64_t>(node, "maxsplit").value_or(-1);
  give(Is::kIndices);
  give(Is::kWords);
  return give_numbers({kRowCount, kColumnCount});
}

bool TextEmbeddingReader::read_find(const Node& node) {
  const auto missing = number(node, 2);
  if (is_found_ || !is(node, 1, Is::kWords) || !missing || node.outputs[0].dtype != DType::kInt64 ||
      !take_table(node.inputs[0]))
    return false;
  const Tensor* value = graph_.constant(node.inputs[2]);
  if (value == nullptr || value->rank() != 0) return false;
  is_found_ = true;
  about_.default_id = *missing;
  return give(Is::kFound);
}

bool TextEmbeddingReader::read_size(const Node& node) {
  return take_table(node.inputs[0]) && give(Is::kTableSize);
}

bool TextEmbeddingReader::take_table(OutputId table) {
  if (table_.is_valid()) return table_ == table;
  if (graph_.fact(table).dtype != DType::kResource) return false;
  table_ = table;
  return true;
}

bool TextEmbeddingReader::read_hash(const Node& node) {
  if (!is(node, 0, Is::kWords) || about_.buckets != 0) return false;
  about_.buckets = attr<std::int64_t>(node, "num_buckets").value_or(0);
  return about_.buckets > 0 && give(Is::kHash);
}

bool TextEmbeddingReader::read_sum(const Node& node) {
  const bool fits = (is(node, 0, Is::kHash) && is(node, 1, Is::kTableSize)) ||
                    (is(node, 1, Is::kHash) && is(node, 0, Is::kTableSize));
  return fits && give(Is::kBucketId);
}

bool TextEmbeddingReader::read_not_equal(const Node& node) {
  return is(node, 0, Is::kFound) && is_number(node, 1, about_.default_id) && give(Is::kWasFound);
}

// Ids, also those of a table without buckets.
bool TextEmbeddingReader::are_ids(const Node& node, std::size_t i, Stage stage) const {
  const Meaning found = in(node, i);
  return (found.is == Is::kIds && found.stage == stage) ||
         (found.is == Is::kFound && stage == Stage::kAll && about_.buckets == 0);
}

bool TextEmbeddingReader::read_not_negative(const Node& node) {
  return are_ids(node, 0, Stage::kAll) && is_number(node, 1, 0) && give(Is::kIsValid);
}

bool TextEmbeddingReader::read_where(const Node& node) {
  return node.inputs.size() == 1 && is(node, 0, Is::kIsValid) && give(Is::kValidPlaces);
}

bool TextEmbeddingReader::read_select(const Node& node) {
  if (is(node, 0, Is::kWasFound)) {
    return is(node, 1, Is::kFound) && is(node, 2, Is::kBucketId) && give(Is::kIds);
  }
  if (is(node, 0, Is::kCalculated)) return read_calculated_select(node);
  const bool masked = is(node, 0, Is::kEmptyGrid) && is(node, 1, Is::kZeros) &&
                      is(node, 2, Is::kEmbedding) && about_.empty_row == EmptyRow::kFillRow;
  if (!masked) return false;
  about_.empty_row = EmptyRow::kZeros;
  return give(Is::kEmbedding);
}

// A gather of words that are kept, of the rows of the embedding, or of a shape's number.
bool TextEmbeddingReader::read_gather(const Node& node) {
  const bool has_axis = node.inputs.size() == 3;
  if ((has_axis && !is_number(node, 2, 0)) || !has_numbers(node, "batch_dims", 0)) return false;
  if (is(node, 1, Is::kValidPlaces)) {
    about_.drop_negative = true;
    if (is(node, 0, Is::kIndices) && in(node, 0).stage == Stage::kAll)
      return give(Is::kIndices, Stage::kValid);
    return are_ids(node, 0, Stage::kAll) && give(Is::kIds, Stage::kValid);
  }
  if (is(node, 0, Is::kNumbers)) {
    const auto place = number(node, 1);
    const auto numbers = in(node, 0).numbers;
    if (!place || *place < 0 || *place >= static_cast<std::int64_t>(numbers.size())) return false;
    return give_numbers({numbers[static_cast<std::size_t>(*place)]});
  }
  return read_row_gather(node);
}

bool TextEmbeddingReader::read_row_gather(const Node& node) {
  const OutputFact& rows = node.outputs[0];
  if (rows.dtype != kFloat || rows.shape.rank() != 2 || rows.shape.dim(1) < 1) return false;
  const OutputFact& from = graph_.fact(node.inputs[0]);
  const bool is_variable = from.dtype == DType::kResource;
  if (!is(node, 0, Is::kUnknown) || from.is_ref ||
      is_variable != (node.op_name == "ResourceGather"))
    return false;
  const Meaning which = in(node, 1);
  const auto part = static_cast<std::size_t>(which.part);
  const bool whole = which.is == Is::kUnique;
  if (!whole && which.is != Is::kPartition) return false;
  if (params_.empty()) params_.resize(whole ? 1 : static_cast<std::size_t>(num_parts_));
  if (part >= params_.size() || params_[part].is_valid() ||
      (about_.width != 0 && about_.width != rows.shape.dim(1)))
    return false;
  params_[part] = node.inputs[0];
  about_.width = rows.shape.dim(1);
  return give(Meaning{.is = whole ? Is::kGathered : Is::kPartRows, .part = which.part});
}

bool TextEmbeddingReader::read_fill(const Node& node) {
  const Meaning indices = in(node, 0);
  const bool from_outside = is(node, 3, Is::kUnknown) || graph_.constant(node.inputs[3]) != nullptr;
  if (about_.empty_row != EmptyRow::kNone || indices.is != Is::kIndices || !from_outside ||
      !are_ids(node, 1, indices.stage) || !are_numbers(node, 2, {kRowCount, kColumnCount}))
    return false;
  fill_ = node.inputs[3];
  about_.empty_row = EmptyRow::kFillRow;
  give(Is::kIndices, Stage::kFilled);
  give(Is::kIds, Stage::kFilled);
  return give(Is::kRowIsEmpty);
}

bool TextEmbeddingReader::read_sparse_reshape(const Node& node) {
  const std::vector<std::int64_t> shape = {kRowCount, kColumnCount};
  if (!is(node, 0, Is::kIndices) || !are_numbers(node, 1, shape) || !are_numbers(node, 2, shape))
    return false;
  give(in(node, 0));
  return give_numbers(shape);
}

bool TextEmbeddingReader::read_unique(const Node& node) {
  const Meaning ids = in(node, 0);
  if (is_unique_ || node.outputs.size() != 2 || !are_ids(node, 0, ids.stage)) return false;
  is_unique_ = true;
  unique_stage_ = ids.stage;
  give(Is::kUnique, ids.stage);
  return give(Is::kUniqueNumber, ids.stage);
}

bool TextEmbeddingReader::read_combination(const Node& node) {
  const bool fits = is(node, 0, Is::kGathered) && is(node, 1, Is::kUniqueNumber) &&
                    is(node, 2, Is::kRows) && in(node, 2).stage == unique_stage_ &&
                    in(node, 1).stage == unique_stage_ && table_.is_valid();
  const bool filled = about_.empty_row != EmptyRow::kNone;
  if (!fits || filled != (unique_stage_ == Stage::kFilled)) return false;
  about_.combiner = node.op_name == "SparseSegmentSum"    ? RowCombiner::kSum
                    : node.op_name == "SparseSegmentMean" ? RowCombiner::kMean
                                                          : RowCombiner::kSqrtN;
  return give(Is::kEmbedding);
}

}  // namespace hub
