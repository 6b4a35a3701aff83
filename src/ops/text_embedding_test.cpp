// Text embeddings in one pass: the same numbers as op by op, and only where nobody looks inside.

#include <algorithm>

#include "ops/regex_replacer.h"
#include "ops/text_embedding.h"
#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::Contains;
using ::testing::Not;

struct Embedding {
  explicit Embedding(bool passes) : graph({.passes = passes}) {}

  // Cleans, splits, and looks up in a table of four words and two buckets.
  void build(const Tensor& texts) {
    text = graph.input(texts);
    const OutputId lower = graph.add("StringLower", {text});
    const OutputId clean =
        graph.add("StaticRegexReplace", {lower}, {{"pattern", "\\pP"}, {"rewrite", ""}});
    split = graph.add("StringSplit", {clean, graph.constant(scalar<std::string>(" "))});
    const OutputId words = TestGraph::output(split, 1);
    const OutputId table = graph.add(
        "HashTableV2", {},
        {{"key_dtype", kString}, {"value_dtype", DType::kInt64}, {"shared_name", "words"}});
    fill_table = graph.add("InitializeTableV2",
                           {table, graph.constant(strings({"the", "cat", "sat", "caf\xc3\xa9"})),
                            graph.constant(int64s({4}, {0, 1, 2, 3}))});
    const OutputId missing = graph.constant(scalar<std::int64_t>(-1));
    const OutputId found = graph.add("LookupTableFindV2", {table, words, missing});
    const OutputId size = graph.add("LookupTableSizeV2", {table});
    const OutputId hash = graph.add("StringToHashBucketFast", {words}, {{"num_buckets", 2}});
    ids = graph.add("SelectV2", {graph.add("NotEqual", {found, missing}), found,
                                 graph.add("AddV2", {hash, size})});
  }

  // The sums of the rows, with row 5 for a text without words.
  OutputId combine() {
    const OutputId filled = graph.add(
        "SparseFillEmptyRows",
        {split, ids, TestGraph::output(split, 2), graph.constant(scalar<std::int64_t>(5))});
    const OutputId rows =
        graph.add("StridedSlice",
                  {filled, graph.constant(ints({2}, {0, 0})), graph.constant(ints({2}, {0, 1})),
                   graph.constant(ints({2}, {1, 1}))},
                  {{"begin_mask", 1}, {"end_mask", 1}, {"shrink_axis_mask", 2}});
    const OutputId unique = graph.add("Unique", {TestGraph::output(filled, 1)});
    const OutputId variable =
        graph.variable(floats({6, 2}, {1, 2, 10, 20, 100, 200, 1e3f, 2e3f, 1e4f, 2e4f, 0.5f, 7}));
    const OutputId gathered = graph.add("ResourceGather", {variable, unique}, {{"dtype", kFloat}});
    return graph.add("SparseSegmentSqrtN", {gathered, TestGraph::output(unique, 1), rows});
  }

  std::vector<Tensor> run(const std::vector<OutputId>& fetches) {
    graph.run({}, {fill_table});
    return graph.run(fetches);
  }

  TestGraph graph;
  OutputId text, split, ids, fill_table;
};

std::vector<std::string> ops_of(Embedding& embedding, const std::vector<OutputId>& fetches) {
  std::vector<NodeProfile> profile;
  EngineRunOptions options;
  options.profile = &profile;
  embedding.run({});
  const std::vector<EngineFeed> feeds = {{embedding.text, strings({"the cat"})}};
  embedding.graph.engine().run(feeds, fetches, {}, options);
  std::vector<std::string> ops;
  for (const NodeProfile& node : profile) ops.push_back(node.op);
  return ops;
}

TEST(TextEmbeddingTest, OnePassGivesWhatTheOpsGive) {
  const Tensor texts = strings(
      {"The cat, SAT!", "", "...", "caf\xc3\xa9 \xe2\x80\x94 the the", "x y z", "\xff the", "the"});
  std::vector<Tensor> results;
  for (const bool passes : {true, false}) {
    Embedding embedding(passes);
    embedding.build(texts);
    results.push_back(embedding.run({embedding.combine()})[0]);
  }
  EXPECT_THAT(results[0], is_tensor(results[1]));
}

TEST(TextEmbeddingTest, AnOutputInsideThatIsFetchedStaysOutside) {
  Embedding embedding(true);
  embedding.build(strings({"the dog", ""}));
  const OutputId combined = embedding.combine();
  const auto both = embedding.run({combined, embedding.ids});
  EXPECT_EQ(both[1].dim(0), 2);
  EXPECT_THAT(embedding.run({combined})[0], is_tensor(both[0]));
  EXPECT_THAT(ops_of(embedding, {combined}), Contains(kTextEmbeddingOp));
  EXPECT_THAT(ops_of(embedding, {combined, embedding.ids}), Not(Contains(kTextEmbeddingOp)));
}

TEST(TextEmbeddingTest, ATableMustBeFilled) {
  Embedding embedding(true);
  embedding.build(strings({"the"}));
  const OutputId combined = embedding.combine();
  EXPECT_EQ(error_code_of([&] { embedding.graph.run(combined); }), ErrorCode::kFailedPrecondition);
}

// What RE2 does, whichever way it is done.
TEST(RegexReplacerTest, TablesReplaceWhatTheExpressionMatches) {
  const std::string texts[] = {"",
                               "plain",
                               "Don't, stop!! \t now",
                               "\xe2\x80\x9cquoted\xe2\x80\x9d \xf0\x9f\x98\x80.",
                               "bad \xff. \xed\xa0\x80!",
                               std::string("nul\0.", 5),
                               "..."};
  for (const char* pattern :
       {"\\pP", "[[:punct:]]", "[[:punct:]]|\\pP", "[^a-z0-9 ]", "\\s+", ".", "[^]a]+", "\\.",
        "a|b|\xc3\xa9", "\\P{L}", "(ab)", "a*", "x+|y", "[\\]x]", "\\S+", "^a", "."}) {
    for (const char* rewrite : {"", " ", "ab", "\xc3\xa9", "<\\0>", "\\"}) {
      for (const bool global : {true, false}) {
        const RegexReplacer replacer(pattern, rewrite, global, "Test");
        for (const std::string& text : texts) {
          std::string expected = text, result;
          if (global) {
            re2::RE2::GlobalReplace(&expected, re2::RE2(pattern), rewrite);
          } else {
            re2::RE2::Replace(&expected, re2::RE2(pattern), rewrite);
          }
          replacer.replace(text, result);
          EXPECT_EQ(result, expected) << pattern << " by " << rewrite << " in " << text;
        }
      }
    }
  }
}

}  // namespace
}  // namespace hub::testing
