#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A sparse tensor as ops take it: indices, values, shape.
struct Sparse {
  Tensor indices;
  Tensor values;
  Tensor shape;
};
const Sparse kMatrix{int64s({2, 2}, {0, 1, 2, 0}), floats({2}, {5, 6}), int64s({2}, {3, 2})};

ErrorCode to_dense_code(const Tensor& indices, const Tensor& shape, bool validate = true) {
  return error_code_of([&] {
    run("SparseToDense", {indices, shape, floats({2}, {5, 6}), scalar(0.0f)},
        {{"Tindices", kInt64}, {"validate_indices", validate}});
  });
}

TEST(SparseTest, DenseTensorsAreMadeOfIndicesInOrder) {
  EXPECT_EQ(to_dense_code(int64s({2, 2}, {2, 0, 0, 1}), kMatrix.shape),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(to_dense_code(int64s({2, 2}, {0, 1, 0, 1}), kMatrix.shape),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(to_dense_code(int64s({2, 2}, {0, 1, 3, 0}), kMatrix.shape, false),
            ErrorCode::kInvalidArgument);
  const auto last_wins =
      run("SparseToDense",
          {int64s({2, 1}, {1, 1}), int64s({1}, {2}), floats({2}, {5, 6}), scalar(0.0f)},
          {{"Tindices", kInt64}, {"validate_indices", false}});
  EXPECT_THAT(last_wins[0], is_tensor(floats({2}, {0, 6})));
}

TEST(SparseTest, HostileShapesAreAnErrorBeforeMemoryIsTaken) {
  const std::int64_t large = std::int64_t{1} << 40;
  EXPECT_EQ(to_dense_code(kMatrix.indices, int64s({2}, {large, large})),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(to_dense_code(kMatrix.indices, int64s({2}, {-3, 2})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([&] {
              run("SparseFillEmptyRows",
                  {kMatrix.indices, kMatrix.values, int64s({2}, {-1, 2}), scalar(0.0f)});
            }),
            ErrorCode::kInvalidArgument);
}

TEST(SparseTest, EmptyRowsGetTheDefault) {
  const auto filled =
      run("SparseFillEmptyRows", {kMatrix.indices, kMatrix.values, kMatrix.shape, scalar(9.0f)});
  EXPECT_THAT(filled[0], is_tensor(int64s({3, 2}, {0, 1, 1, 0, 2, 0})));
  EXPECT_THAT(filled[1], is_tensor(floats({3}, {5, 9, 6})));
  EXPECT_THAT(filled[2], is_tensor(bools({3}, {false, true, false})));
  EXPECT_THAT(error_of([] {
                run("SparseFillEmptyRows",
                    {int64s({1, 2}, {3, 0}), floats({1}, {5}), int64s({2}, {3, 2}), scalar(0.0f)});
              }),
              HasSubstr("3"));
}

TEST(SparseTest, AReshapeKeepsTheNumberOfPlaces) {
  const auto reshaped = [](const Tensor& shape) {
    return run("SparseReshape", {kMatrix.indices, kMatrix.shape, shape});
  };
  EXPECT_THAT(reshaped(int64s({1}, {-1}))[0], is_tensor(int64s({2, 1}, {1, 4})));
  EXPECT_THAT(reshaped(int64s({2}, {2, -1}))[1], is_tensor(int64s({2}, {2, 3})));
  for (const Tensor& bad : {int64s({1}, {5}), int64s({2}, {-1, -1}), int64s({2}, {-1, 4}),
                            int64s({2}, {0, -1}), int64s({1}, {-2})}) {
    EXPECT_EQ(error_code_of([&] { reshaped(bad); }), ErrorCode::kInvalidArgument) << to_string(bad);
  }
}

TEST(SparseTest, ShapesOfSparseResults) {
  EXPECT_EQ(infer("SparseReshape", "[?,2];[2];[3]"), "[?,3];[3]");
  EXPECT_EQ(infer("SparseTensorDenseMatMul", "[?,2];[?];[2];[4,5]"), "[?,5]");
  EXPECT_THAT(error_of([] { infer("SparseTensorDenseMatMul", "[?,3];[?];[3];[4,5]"); }),
              HasSubstr("compatible"));
}

TEST(SparseTest, IndicesOfAProductLieInTheMatrices) {
  const auto product = [](const Tensor& indices) {
    return run("SparseTensorDenseMatMul",
               {indices, kMatrix.values, kMatrix.shape, floats({2, 1}, {1, 10})})[0];
  };
  EXPECT_THAT(product(kMatrix.indices), is_tensor(floats({3, 1}, {50, 0, 6})));
  for (const Tensor& bad : {int64s({2, 2}, {0, 2, 0, 0}), int64s({2, 2}, {3, 0, 0, 0}),
                            int64s({2, 2}, {-1, 0, 0, 0}), int64s({1, 2}, {0, 0})}) {
    EXPECT_EQ(error_code_of([&] { product(bad); }), ErrorCode::kInvalidArgument) << to_string(bad);
  }
}

TEST(SparseTest, GradientsGoBackToWhereValuesCameFrom) {
  const auto sum = run("SparseAddGrad", {floats({2}, {1, 2}), int64s({2, 1}, {0, 3}),
                                         int64s({2, 1}, {1, 3}), int64s({2, 1}, {1, 3})});
  EXPECT_THAT(sum[0], is_tensor(floats({2}, {0, 2})));
  EXPECT_THAT(sum[1], is_tensor(floats({2}, {1, 2})));
  const auto slice = [](const Tensor& output) {
    return run("SparseSliceGrad",
               {floats({1}, {5}), int64s({3, 1}, {0, 2, 4}), int64s({1}, {1}), output});
  };
  EXPECT_THAT(slice(int64s({1, 1}, {1}))[0], is_tensor(floats({3}, {0, 5, 0})));
  EXPECT_EQ(error_code_of([&] { slice(int64s({1, 1}, {2})); }), ErrorCode::kInternal);
  EXPECT_EQ(error_code_of([&] { slice(int64s({2, 1}, {1, 3})); }), ErrorCode::kInvalidArgument);
}

TEST(SparseTest, SerializedTensorsAreChecked) {
  const auto code = [](const Tensor& serialized) {
    return error_code_of([&] { run("DeserializeSparse", {serialized}, {{"dtype", kFloat}}); });
  };
  EXPECT_EQ(code(texts({3}, {"", "", ""})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(texts({3}, {"\xff\xff", "x", "y"})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(texts({2}, {"", ""})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([] {
              run("ParseTensor", {texts({}, {"\xff"})}, {{"out_type", kFloat}});
            }),
            ErrorCode::kInvalidArgument);
}

const Attrs kOneSplit{{"row_partition_types", strings_attr({"ROW_SPLITS"})},
                      {"num_row_partition_tensors", 1},
                      {"T", kFloat},
                      {"Tindex", kInt64},
                      {"Tshape", kInt64}};

TEST(RaggedTest, SplitsMustFitTheValues) {
  const auto dense = [](const Tensor& splits) {
    return run("RaggedTensorToTensor",
               {int64s({2}, {-1, -1}), floats({3}, {1, 2, 3}), scalar(0.0f), splits}, kOneSplit)[0];
  };
  EXPECT_THAT(dense(int64s({3}, {0, 1, 3})), is_tensor(floats({2, 2}, {1, 0, 2, 3})));
  for (const Tensor& bad :
       {int64s({3}, {0, 1, 4}), int64s({3}, {1, 1, 3}), int64s({3}, {0, 2, 1}), int64s({0}, {})}) {
    EXPECT_EQ(error_code_of([&] { dense(bad); }), ErrorCode::kInvalidArgument) << to_string(bad);
  }
}

TEST(RaggedTest, AHostileFirstDimensionIsAnErrorBeforeMemoryIsTaken) {
  const auto dense = [](std::int64_t rows, const Tensor& ids) {
    return run("RaggedTensorToTensor",
               {int64s({2}, {-1, -1}), floats({2}, {1, 2}), scalar(0.0f), scalar(rows), ids},
               {{"row_partition_types", strings_attr({"FIRST_DIM_SIZE", "VALUE_ROWIDS"})},
                {"num_row_partition_tensors", 2},
                {"T", kFloat},
                {"Tindex", kInt64},
                {"Tshape", kInt64}})[0];
  };
  EXPECT_THAT(dense(3, int64s({2}, {0, 2})), is_tensor(floats({3, 1}, {1, 0, 2})));
  for (const std::int64_t rows : {std::int64_t{1} << 31, std::int64_t{1} << 62}) {
    EXPECT_EQ(error_code_of([&] {
                dense(rows, int64s({2}, {0, 2}));
              }),
              ErrorCode::kResourceExhausted);
    EXPECT_EQ(error_code_of([&] { dense(rows, int64s({0}, {})); }), ErrorCode::kResourceExhausted);
  }
  EXPECT_EQ(error_code_of([&] { dense(-1, int64s({2}, {0, 2})); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([&] { dense(2, int64s({2}, {0, 2})); }), ErrorCode::kInvalidArgument);
}

TEST(RaggedTest, RangesOfHostileLengthAreAnError) {
  EXPECT_EQ(error_code_of([] {
              const auto low = scalar(std::numeric_limits<std::int64_t>::min());
              const auto high = scalar(std::numeric_limits<std::int64_t>::max());
              run("RaggedRange", {low, high, scalar(std::int64_t{1})}, {{"T", kInt64}});
            }),
            ErrorCode::kResourceExhausted);
}

// Rows taken apart and put together again.
TEST(RaggedTest, VariantsHoldRowsOfAllLevels) {
  TestGraph graph;
  const OutputId outer = graph.input(int64s({3}, {0, 2, 3}));
  const OutputId inner = graph.input(int64s({4}, {0, 1, 1, 3}));
  const OutputId values = graph.input(floats({3}, {1, 2, 3}));
  const OutputId rows =
      graph.add("RaggedTensorToVariant", {outer, inner, values},
                {{"RAGGED_RANK", 2}, {"Tvalues", kFloat}, {"batched_input", true}});
  const auto decoded = [&](OutputId variants, int input_rank, int output_rank) {
    const OutputId node = graph.add("RaggedTensorFromVariant", {variants},
                                    {{"input_ragged_rank", input_rank},
                                     {"output_ragged_rank", output_rank},
                                     {"Tvalues", kFloat}});
    std::vector<OutputId> fetches;
    for (int i = 0; i <= output_rank; ++i) fetches.push_back(TestGraph::output(node, i));
    return graph.run(fetches);
  };
  const auto whole = decoded(rows, 1, 2);
  EXPECT_THAT(whole[0], is_tensor(int64s({3}, {0, 2, 3})));
  EXPECT_THAT(whole[1], is_tensor(int64s({4}, {0, 1, 1, 3})));
  EXPECT_THAT(whole[2], is_tensor(floats({3}, {1, 2, 3})));
  const OutputId last =
      graph.add("GatherV2", {rows, graph.constant(scalar(1)), graph.constant(scalar(0))},
                {{"Tparams", DType::kVariant}, {"Tindices", kInt32}, {"Taxis", kInt32}});
  EXPECT_THAT(decoded(last, 1, 1)[0], is_tensor(int64s({2}, {0, 2})));
  EXPECT_EQ(error_code_of([&] { decoded(rows, 0, 1); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([&] { decoded(rows, -1, 0); }), ErrorCode::kInvalidArgument);
}

TEST(RaggedTest, DenseVariantsAreStacked) {
  TestGraph graph;
  const OutputId rows =
      graph.add("RaggedTensorToVariant",
                {graph.input(int64s({3}, {0, 2, 4})), graph.input(floats({4}, {1, 2, 3, 4}))},
                {{"RAGGED_RANK", 1}, {"Tvalues", kFloat}, {"batched_input", true}});
  const OutputId dense =
      graph.add("RaggedTensorFromVariant", {rows},
                {{"input_ragged_rank", -1}, {"output_ragged_rank", 0}, {"Tvalues", kFloat}});
  EXPECT_THAT(graph.run(dense), is_tensor(floats({2, 2}, {1, 2, 3, 4})));
}

Attrs cross(const char* order, DType result) {
  return {{"Nsparse", 1},
          {"input_order", order},
          {"hashed_output", result == kInt64},
          {"num_buckets", 10},
          {"hash_key", Attr(std::int64_t{956888297470})},
          {"ragged_values_types", types_attr({kString})},
          {"ragged_splits_types", types_attr({kInt64})},
          {"sparse_values_types", types_attr({kInt64})},
          {"dense_types", types_attr({kString})},
          {"out_values_type", result},
          {"out_row_splits_type", kInt64}};
}

TEST(RaggedTest, ACrossTakesInputsInTheGivenOrder) {
  const std::vector<Tensor> inputs{texts({3}, {"a", "b", "c"}), int64s({3}, {0, 2, 3}),
                                   int64s({1, 2}, {1, 0}),      int64s({1}, {7}),
                                   int64s({2}, {2, 5}),         texts({2, 1}, {"x", "y"})};
  const auto crossed = run("RaggedCross", inputs, cross("SDR", kString));
  EXPECT_THAT(crossed[0], is_tensor(texts({1}, {"7_X_y_X_c"})));
  EXPECT_THAT(crossed[1], is_tensor(int64s({3}, {0, 0, 1}))) << "a row without sparse features";
  for (const char* bad : {"SD", "SDX", "SDRR", "SSR"}) {
    EXPECT_EQ(error_code_of([&] { run("RaggedCross", inputs, cross(bad, kString)); }),
              ErrorCode::kInvalidArgument)
        << bad;
  }
  std::vector<Tensor> other_rows = inputs;
  other_rows[4] = int64s({2}, {3, 5});
  EXPECT_EQ(error_code_of([&] { run("RaggedCross", other_rows, cross("SDR", kInt64)); }),
            ErrorCode::kInvalidArgument);
}

TEST(SparseTest, ACrossOfSparseAndDenseFeatures) {
  const auto crossed = [](const Tensor& indices, DType out_type, DType internal_type) {
    return run("SparseCross",
               {indices, texts({3}, {"a", "b", "c"}), int64s({2}, {2, 2}), int64s({2, 1}, {1, 2})},
               {{"N", 1},
                {"hashed_output", out_type == kInt64},
                {"num_buckets", 0},
                {"hash_key", 7},
                {"sparse_types", types_attr({kString})},
                {"dense_types", types_attr({kInt64})},
                {"out_type", out_type},
                {"internal_type", internal_type}});
  };
  const Tensor indices = int64s({3, 2}, {0, 0, 0, 1, 1, 0});
  const auto text = crossed(indices, kString, kInt64);
  EXPECT_THAT(text[0], is_tensor(int64s({3, 2}, {0, 0, 0, 1, 1, 0})));
  EXPECT_THAT(text[1], is_tensor(texts({3}, {"a_X_1", "b_X_1", "c_X_2"})));
  EXPECT_THAT(text[2], is_tensor(int64s({2}, {2, 2})));
  EXPECT_EQ(error_code_of([&] { crossed(indices, kString, kString); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([&] {
              crossed(int64s({3, 1}, {0, 0, 1}), kInt64, kInt64);
            }),
            ErrorCode::kInvalidArgument);
}

TEST(RaggedTest, RecordsThatAreNoneAreRefused) {
  const auto code = [](const std::string& record) {
    return error_code_of([&] {
      run("ParseExampleV2",
          {texts({1}, {record}), texts({0}, {}), texts({0}, {}), texts({1}, {"a"}), texts({0}, {}),
           floats({0}, {})},
          {{"num_sparse", 0},
           {"sparse_types", types_attr({})},
           {"Tdense", types_attr({kFloat})},
           {"ragged_value_types", types_attr({})},
           {"ragged_split_types", types_attr({})},
           {"dense_shapes", shapes_attr({PartialShape{1}})}});
    });
  };
  EXPECT_EQ(code("\xff"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(""), ErrorCode::kInvalidArgument) << "the feature is needed";
}

}  // namespace
}  // namespace hub::testing
