#include <limits>
#include <map>

#include "ops/key_index.h"
#include "ops/parse_number.h"
#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Against std::map, with many removals.
template <class Key, class MakeKey>
void check_index(MakeKey make_key) {
  KeyIndex<Key> index;
  std::map<Key, std::int64_t> expected;
  std::uint32_t state = 1;
  for (std::int64_t step = 0; step < 20000; ++step) {
    state = state * 1664525 + 1013904223;
    const Key key = make_key(state >> 22);
    if ((state >> 8) % 3 != 0) {
      EXPECT_EQ(index.insert(key, step), expected.emplace(key, step).first->second);
    } else {
      const auto found = expected.find(key);
      EXPECT_EQ(index.erase(key), found == expected.end() ? -1 : found->second);
      if (found != expected.end()) expected.erase(found);
    }
  }
  EXPECT_EQ(index.size(), static_cast<std::int64_t>(expected.size()));
  std::vector<Key> keys;
  for (std::uint32_t i = 0; i < 1100; ++i) keys.push_back(make_key(i));
  std::vector<std::int64_t> rows(keys.size());
  index.find_many(keys.data(), static_cast<std::int64_t>(keys.size()), rows.data());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto found = expected.find(keys[i]);
    EXPECT_EQ(rows[i], found == expected.end() ? -1 : found->second);
  }
}

TEST(TablesTest, AnIndexKnowsItsKeys) {
  check_index<std::int64_t>([](std::uint32_t i) { return std::int64_t{i} << 32; });
  check_index<std::int32_t>([](std::uint32_t i) { return -static_cast<std::int32_t>(i); });
  check_index<std::string>(
      [](std::uint32_t i) { return std::string(i % 40, 'x') + std::to_string(i); });
}

TEST(TablesTest, NumbersInText) {
  EXPECT_EQ(parse_integer<std::int32_t>(" -12 "), -12);
  EXPECT_EQ(parse_integer<std::int32_t>("2147483648"), std::nullopt);
  EXPECT_EQ(parse_integer<std::int64_t>("+1"), std::nullopt);
  EXPECT_EQ(parse_integer<std::int64_t>(""), std::nullopt);
  EXPECT_EQ(parse_float<float>("0x10"), 16.0f);
  EXPECT_EQ(parse_float<float>("-INF"), -std::numeric_limits<float>::infinity());
  EXPECT_EQ(parse_float<float>("1e99"), std::numeric_limits<float>::infinity());
  EXPECT_EQ(parse_float<double>(" 5. "), 5.0);
  for (const char* text : {"", "infinity", "1e", "1 2", "+-1", ".", "0x", "1x"}) {
    EXPECT_EQ(parse_float<double>(text), std::nullopt) << text;
  }
}

// A HashTableV2 from strings to int64.
OutputId string_table(TestGraph& graph) {
  return graph.add("HashTableV2", {}, {{"key_dtype", kString}, {"value_dtype", kInt64}});
}

TEST(TablesTest, ATableIsFilledOnceAndReadByMany) {
  TestGraph graph;
  const OutputId table = string_table(graph);
  const OutputId keys = graph.input(texts({3}, {"a", "", "b"}));
  const OutputId find =
      graph.add("LookupTableFindV2", {table, keys, graph.constant(scalar(std::int64_t{-1}))});
  EXPECT_EQ(error_code_of([&] { graph.run(find); }), ErrorCode::kFailedPrecondition);
  const OutputId fill = graph.add(
      "InitializeTableV2",
      {table, graph.constant(texts({2}, {"b", ""})), graph.constant(int64s({2}, {5, 7}))});
  graph.run({}, {fill});
  graph.run({}, {fill});
  EXPECT_THAT(values<std::int64_t>(graph.run(find)), ElementsAre(-1, 7, 5));
}

TEST(TablesTest, TablesWithoutANameAreOneForEachNode) {
  TestGraph graph;
  const OutputId one = string_table(graph);
  const OutputId other = string_table(graph);
  graph.run({}, {graph.add("InitializeTableV2", {one, graph.constant(texts({1}, {"b"})),
                                                 graph.constant(int64s({1}, {5}))})});
  EXPECT_EQ(graph.run(graph.add("LookupTableSizeV2", {one})).scalar<std::int64_t>(), 1);
  EXPECT_EQ(graph.run(graph.add("LookupTableSizeV2", {other})).scalar<std::int64_t>(), 0);
}

TEST(TablesTest, AHandleOfAnotherKindIsRefused) {
  TestGraph graph;
  const OutputId variable = graph.variable(scalar(1.0f));
  EXPECT_THAT(error_of([&] { graph.run(graph.add("LookupTableSizeV2", {variable})); }),
              HasSubstr("another kind"));
}

TEST(TablesTest, ShapesOfWhatIsFound) {
  TestGraph graph;
  const OutputId table =
      graph.add("MutableHashTableOfTensorsV2", {},
                {{"key_dtype", kInt64}, {"value_dtype", kFloat}, {"value_shape", PartialShape{4}}});
  const OutputId find = graph.add("LookupTableFindV2", {table, graph.input(int64s({2}, {1, 2})),
                                                        graph.constant(floats({4}, {0, 0, 0, 0}))});
  EXPECT_EQ(to_string(graph.graph().fact(find).shape), "[2,4]");
}

}  // namespace
}  // namespace hub::testing
