// Meanings of what surrounds the words: shapes, masks, and rows in several parts.

#include <algorithm>
#include <cstdio>

#include "base/strings.h"
#include "ops/text_embedding_reader.h"

namespace hub {

bool TextEmbeddingReader::give(Meaning meaning) {
  outputs_.push_back(std::move(meaning));
  return true;
}

bool TextEmbeddingReader::read_strided_slice(const Node& node) {
  if (is(node, 0, Is::kNumbers)) {  // numbers[i]
    const auto begin = number(node, 1);
    const auto numbers = in(node, 0).numbers;
    if (!begin || *begin < 0 || *begin >= static_cast<std::int64_t>(numbers.size()) ||
        !is_number(node, 2, *begin + 1) || !is_number(node, 3, 1) || !has_masks(node, {0, 0, 1}))
      return false;
    return give_numbers({numbers[static_cast<std::size_t>(*begin)]});
  }
  // indices[:, 0]
  if (!is(node, 0, Is::kIndices) || !has_masks(node, {1, 1, 2})) return false;
  const Meaning begin = in(node, 1), end = in(node, 2);
  const bool first_column = begin.numbers.size() == 2 && begin.numbers[1] == 0 &&
                            end.numbers.size() == 2 && end.numbers[1] == 1 &&
                            are_numbers(node, 3, {1, 1});
  return first_column && give(Is::kRows, in(node, 0).stage);
}

// begin_mask, end_mask, shrink_axis_mask; no other.
bool TextEmbeddingReader::has_masks(const Node& node, std::array<std::int64_t, 3> masks) const {
  return has_numbers(node, "begin_mask", masks[0]) && has_numbers(node, "end_mask", masks[1]) &&
         has_numbers(node, "shrink_axis_mask", masks[2]) && has_numbers(node, "ellipsis_mask", 0) &&
         has_numbers(node, "new_axis_mask", 0);
}

bool TextEmbeddingReader::read_slice(const Node& node) {
  const auto begin = number(node, 1), size = number(node, 2);
  if (!is(node, 0, Is::kNumbers) || !begin || !size) return false;
  const auto numbers = in(node, 0).numbers;
  const auto count = static_cast<std::int64_t>(numbers.size());
  const std::int64_t end = *size == -1 ? count : *begin + *size;
  if (*begin < 0 || *begin > end || end > count) return false;
  return give_numbers({numbers.begin() + *begin, numbers.begin() + end});
}

bool TextEmbeddingReader::read_product(const Node& node) {
  const Meaning factors = in(node, 0);
  const bool single = factors.is == Is::kNumbers && factors.numbers.size() == 1;
  return single && is_number(node, 1, 0) && give(factors);
}

bool TextEmbeddingReader::read_joined(const Node& node) {  // Pack of scalars, ConcatV2 of vectors
  const bool packs = node.op_name == "Pack";
  std::size_t count = node.inputs.size();
  if (packs ? !has_numbers(node, "axis", 0) : !is_number(node, --count, 0)) return false;
  std::vector<std::int64_t> numbers;
  for (std::size_t i = 0; i < count; ++i) {
    const Meaning part = in(node, i);
    if (part.is != Is::kNumbers || (packs && part.numbers.size() != 1)) return false;
    numbers.insert(numbers.end(), part.numbers.begin(), part.numbers.end());
  }
  return give_numbers(std::move(numbers));
}

bool TextEmbeddingReader::read_shape(const Node& node) {
  const Meaning of = in(node, 0);
  if (of.is == Is::kUnique) return give_numbers({kUniqueCount});
  const bool known = of.is == Is::kEmbedding && about_.empty_row != EmptyRow::kNone;
  return known && give_numbers({kRowCount, about_.width});
}

bool TextEmbeddingReader::read_count(const Node& node) {  // Size
  return is(node, 0, Is::kUnique) && give_numbers({kUniqueCount});
}

bool TextEmbeddingReader::read_reshape(const Node& node) {
  const Meaning what = in(node, 0);
  if (what.is == Is::kUnknown || what.is == Is::kText) {
    if (node.outputs[0].dtype != kString || !are_numbers(node, 1, {-1}) || !take_text(node))
      return false;
    about_.flatten = true;
    return give(Is::kText);
  }
  const bool keeps_vector = what.is == Is::kUnique || what.is == Is::kValidPlaces;
  if (keeps_vector) return are_numbers(node, 1, {-1}) && give(what);
  if (what.is == Is::kRowIsEmpty) return are_numbers(node, 1, {-1, 1}) && give(Is::kEmptyColumn);
  if (what.is == Is::kGathered)
    return are_numbers(node, 1, {kUniqueCount, about_.width}) && give(what);
  const bool keeps_result =
      what.is == Is::kEmbedding &&
      (are_numbers(node, 1, {-1, about_.width}) ||
       (about_.empty_row != EmptyRow::kNone && are_numbers(node, 1, {kRowCount, about_.width})));
  return keeps_result && give(what);
}

bool TextEmbeddingReader::read_tile(const Node& node) {
  return is(node, 0, Is::kEmptyColumn) && are_numbers(node, 1, {1, about_.width}) &&
         give(Is::kEmptyGrid);
}

bool TextEmbeddingReader::read_zeros(const Node& node) {
  return is(node, 0, Is::kEmbedding) && give(Is::kZeros);
}

bool TextEmbeddingReader::read_same(const Node& node) {  // Identity, Cast
  const Meaning what = in(node, 0);
  if (what.is == Is::kUnknown || graph_.fact(node.inputs[0]).is_ref) return false;
  const bool is_cast = node.op_name == "Cast";
  const bool may_be_cast = what.is == Is::kNumbers || what.is == Is::kRows ||
                           what.is == Is::kCalculated || what.is == Is::kUniqueNumber;
  const DType to = node.outputs[0].dtype;
  if (is_cast && (!may_be_cast || (to != kInt32 && to != DType::kInt64))) return false;
  return give(what);
}

std::string TextEmbeddingReader::formula(const Node& node, std::size_t i) const {
  const Meaning operand = in(node, i);
  if (operand.is == Is::kUnique) return "id";
  if (operand.is == Is::kCalculated) return operand.formula;
  const auto constant = number(node, i);
  return constant && *constant >= 0 ? cat(*constant) : "";
}

bool TextEmbeddingReader::read_formula(const Node& node) {
  const std::string a = formula(node, 0), b = formula(node, 1);
  return !a.empty() && !b.empty() && give_formula(cat(node.op_name, "(", a, ",", b, ")"));
}

bool TextEmbeddingReader::read_calculated_select(const Node& node) {
  const std::string a = formula(node, 1), b = formula(node, 2);
  return !a.empty() && !b.empty() &&
         give_formula(cat("Select(", in(node, 0).formula, ",", a, ",", b, ")"));
}

bool TextEmbeddingReader::read_range(const Node& node) {
  return is_number(node, 0, 0) && is_number(node, 1, kUniqueCount) && is_number(node, 2, 1) &&
         give(Is::kCounter);
}

bool TextEmbeddingReader::read_partition(const Node& node) {
  const std::string by = formula(node, 1);
  const auto parts = attr<std::int64_t>(node, "num_partitions").value_or(0);
  constexpr std::int64_t kMost = 4096;
  if (by.empty() || parts < 2 || parts > kMost ||
      (!partition_.empty() && (partition_ != by || num_parts_ != parts)))
    return false;
  partition_ = by;
  num_parts_ = parts;
  const bool counts = is(node, 0, Is::kCounter);
  if (!counts) part_row_ = formula(node, 0);
  for (int i = 0; i < parts; ++i)
    give(Meaning{.is = counts ? Is::kCounterPart : Is::kPartition, .part = i});
  return counts || !part_row_.empty();
}

bool TextEmbeddingReader::read_stitch(const Node& node) {
  const auto parts = static_cast<std::size_t>(num_parts_);
  if (node.inputs.size() != 2 * parts || parts == 0 || params_.size() != parts) return false;
  for (std::size_t i = 0; i < parts; ++i) {
    const Meaning counter = in(node, i), rows = in(node, parts + i);
    const int part = static_cast<int>(i);
    if (counter.is != Is::kCounterPart || counter.part != part || rows.is != Is::kPartRows ||
        rows.part != part)
      return false;
  }
  return knows_partition() && give(Is::kGathered);
}

// The two strategies of tf.nn.embedding_lookup.
bool TextEmbeddingReader::knows_partition() {
  const std::int64_t n = num_parts_;
  if (partition_ == cat("FloorMod(id,", n, ")") && part_row_ == cat("FloorDiv(id,", n, ")"))
    return true;
  about_.blocks = true;
  long q1 = 0, r = 0, q = 0;
  if (std::sscanf(partition_.c_str(), "Maximum(FloorDiv(id,%ld),FloorDiv(Sub(id,%ld),%ld))", &q1,
                  &r, &q) != 3)
    return false;
  about_.quotient = q;
  about_.remainder = r;
  const std::string behind = cat("Sub(id,", r, ")");
  const std::string part = cat("Maximum(FloorDiv(id,", q + 1, "),FloorDiv(", behind, ",", q, "))");
  const std::string row = cat("Select(Less(", part, ",", r, "),FloorMod(id,", q + 1, "),FloorMod(",
                              behind, ",", q, "))");
  return q > 0 && r >= 0 && r < n && partition_ == part && part_row_ == row;
}

}  // namespace hub
