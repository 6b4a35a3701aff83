#pragma once

// The pattern of text embeddings (text_embedding.h), whatever detours its shapes take: each node
// between the text and the last one gets a meaning, from the meanings of its inputs.

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/graph_data.h"
#include "ops/text_embedding.h"

namespace hub {

// Gives meanings to the nodes of a cone, inputs first.
class TextEmbeddingReader {
 public:
  explicit TextEmbeddingReader(const GraphData& graph) : graph_(graph) {}

  static bool knows(const std::string& op) { return rule_of(op) != nullptr; }

  // A node that does not belong to the pattern has no meaning.
  void read(int index) {
    const Node& node = graph_.node(index);
    outputs_.clear();
    if (!(this->*rule_of(node.op_name))(node)) return;
    for (std::size_t i = 0; i < outputs_.size(); ++i)
      meanings_[{index, static_cast<int>(i)}] = std::move(outputs_[i]);
  }

  const TextEmbedding& about() const { return about_; }
  bool has_meaning(int node) const { return meanings_.contains({node, 0}); }
  bool is_result(int root) const { return meaning({root, 0}).is == Is::kEmbedding; }
  OutputId text() const { return text_; }
  OutputId table() const { return table_; }
  const std::vector<OutputId>& params() const { return params_; }
  OutputId fill() const { return fill_; }
  // The size of the table: others may need it, too.
  bool may_stay(int node) const { return meaning({node, 0}).is == Is::kTableSize; }

 private:
  // What an output is. [rows, columns] is the shape of the sparse matrix of words.
  enum class Is : std::uint8_t {
    kUnknown,
    kText,
    kIndices,  // of the sparse matrix
    kWords,    // its values
    kNumbers,  // integers, as far as known
    kTableSize,
    kHash,          // of each word, in [0, buckets)
    kBucketId,      // hash + size of the table
    kFound,         // what the table has for each word, or the default
    kWasFound,      // whether that is not the default
    kIds,           // of the rows of the embedding
    kIsValid,       // id >= 0
    kValidPlaces,   // where that is so
    kRowIsEmpty,    // [rows]
    kEmptyColumn,   // [rows, 1]
    kEmptyGrid,     // [rows, width]
    kRows,          // row number of each word
    kUnique,        // unique ids
    kUniqueNumber,  // of each id
    kCalculated,    // from the unique ids, by `formula`
    kCounter,       // 0, 1, 2... for each unique id
    kPartition,     // of rows in the parts: part `part`
    kCounterPart,
    kPartRows,   // rows of part `part` of the embedding
    kGathered,   // a row of the embedding for each unique id
    kEmbedding,  // the result
    kZeros,      // of its shape
  };

  // Which words an output is about.
  enum class Stage : std::uint8_t { kAll, kValid, kFilled };

  // Numbers that are not known before the run.
  static constexpr std::int64_t kRowCount = -1000;
  static constexpr std::int64_t kColumnCount = -1001;
  static constexpr std::int64_t kUniqueCount = -1002;

  struct Meaning {
    Is is = Is::kUnknown;
    Stage stage = Stage::kAll;
    int part = 0;
    std::vector<std::int64_t> numbers = {};
    std::string formula = {};
  };

  using Rule = bool (TextEmbeddingReader::*)(const Node&);
  static Rule rule_of(std::string_view op);

  Meaning meaning(OutputId output) const;
  Meaning in(const Node& node, std::size_t i) const {
    return i < node.inputs.size() ? meaning(node.inputs[i]) : Meaning();
  }
  bool is(const Node& node, std::size_t i, Is what) const { return in(node, i).is == what; }
  std::optional<std::int64_t> number(const Node& node, std::size_t i) const;
  bool is_number(const Node& node, std::size_t i, std::int64_t wanted) const {
    return number(node, i) == wanted;
  }
  bool are_numbers(const Node& node, std::size_t i, std::vector<std::int64_t> wanted) const;
  const std::string* text_constant(OutputId output) const;
  template <class T>
  static std::optional<T> attr(const Node& node, std::string_view name) {
    const auto found = node.attrs.find(name);
    if (found == node.attrs.end()) return std::nullopt;
    const T* value = std::get_if<T>(&found->second.value);
    return value == nullptr ? std::nullopt : std::optional<T>(*value);
  }
  bool has_numbers(const Node& node, std::string_view name, std::int64_t wanted) const {
    return attr<std::int64_t>(node, name).value_or(0) == wanted;
  }

  bool give(Meaning meaning);
  bool give(Is what, Stage stage = Stage::kAll) {
    return give(Meaning{.is = what, .stage = stage});
  }
  bool give_numbers(std::vector<std::int64_t> numbers) {
    return give(Meaning{.is = Is::kNumbers, .numbers = std::move(numbers)});
  }
  bool give_formula(std::string formula) {
    return give(Meaning{.is = Is::kCalculated, .formula = std::move(formula)});
  }

  bool take_text(const Node& node);
  bool read_case(const Node& node);
  bool read_replacement(const Node& node);
  bool read_split(const Node& node);
  bool read_find(const Node& node);
  bool read_size(const Node& node);
  bool take_table(OutputId table);
  bool read_hash(const Node& node);
  bool read_sum(const Node& node);
  bool read_not_equal(const Node& node);
  bool are_ids(const Node& node, std::size_t i, Stage stage) const;
  bool read_not_negative(const Node& node);
  bool read_where(const Node& node);
  bool read_select(const Node& node);
  bool read_gather(const Node& node);
  bool read_row_gather(const Node& node);
  bool read_fill(const Node& node);
  bool read_sparse_reshape(const Node& node);
  bool read_strided_slice(const Node& node);
  bool has_masks(const Node& node, std::array<std::int64_t, 3> masks) const;
  bool read_slice(const Node& node);
  bool read_product(const Node& node);
  bool read_joined(const Node& node);
  bool read_shape(const Node& node);
  bool read_count(const Node& node);
  bool read_reshape(const Node& node);
  bool read_tile(const Node& node);
  bool read_zeros(const Node& node);
  bool read_same(const Node& node);
  bool read_unique(const Node& node);
  bool read_combination(const Node& node);

  // --- the rows in several parts ---

  std::string formula(const Node& node, std::size_t i) const;
  bool read_formula(const Node& node);
  bool read_calculated_select(const Node& node);
  bool read_range(const Node& node);
  bool read_partition(const Node& node);
  bool read_stitch(const Node& node);
  bool knows_partition();

  const GraphData& graph_;
  std::map<std::pair<int, int>, Meaning> meanings_;
  std::vector<Meaning> outputs_;  // of the node that is being read
  TextEmbedding about_;
  bool is_split_ = false, is_found_ = false, is_unique_ = false;  // each of them once
  OutputId text_;
  OutputId table_;
  OutputId fill_;
  std::vector<OutputId> params_;
  Stage unique_stage_ = Stage::kAll;
  std::int64_t num_parts_ = 0;
  std::string partition_;
  std::string part_row_;
};

}  // namespace hub
