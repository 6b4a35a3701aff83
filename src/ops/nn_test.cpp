// Activations, biases, batch normalisation, losses, recurrent blocks, CTC.

#include <cmath>
#include <limits>

#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(ActivationTest, GradientsWantOneShape) {
  for (const char* op : {"ReluGrad", "EluGrad", "LeakyReluGrad", "SoftplusGrad"}) {
    EXPECT_THAT(error_of([&] {
                  run(op, {floats({2, 1}, {1, 2}), floats({1, 2}, {1, 2})});
                }),
                HasSubstr("Shapes must be compatible"))
        << op;
    EXPECT_EQ(infer(op, "[2,?];[?,3]"), "[2,3]") << op;
  }
}

TEST(ActivationTest, EmptyTensorsGiveEmptyTensors) {
  for (const char* op : {"Relu", "Relu6", "Elu", "Selu", "LeakyRelu", "Softplus", "Softsign",
                         "Softmax", "LogSoftmax"}) {
    EXPECT_THAT(values<float>(run(op, {floats({0, 3}, {})})[0]), IsEmpty()) << op;
    EXPECT_EQ(run(op, {Tensor(kFloat, {3, 0})})[0].shape(), (Shape{3, 0})) << op;
  }
}

TEST(BiasAddTest, ShapesAndSizesAreChecked) {
  EXPECT_EQ(infer("BiasAdd", "[2,?];[3]"), "[2,3]");
  EXPECT_EQ(infer("BiasAdd", "?;[3]"), "?");
  EXPECT_EQ(infer("BiasAdd", "[2,?,4,5];[3]", {{"data_format", "NCHW"}}), "[2,3,4,5]");
  EXPECT_EQ(infer("BiasAddGrad", "[2,3,4,5]", {{"data_format", "NCHW"}}), "[3]");
  EXPECT_EQ(infer("BiasAddGrad", "?"), "[?]");
  EXPECT_THAT(error_of([] {
                run("BiasAdd", {floats({2}, {1, 2}), floats({2}, {1, 2})});
              }),
              HasSubstr("rank >= 2"));
  EXPECT_THAT(error_of([] {
                run("BiasAdd", {floats({1, 2}, {1, 2}), floats({1}, {1})});
              }),
              HasSubstr("numbers of biases and of channels must agree"));
}

TEST(SoftmaxTest, ARowWithInfinityIsNan) {
  EXPECT_THAT(values<float>(run("Softmax", {floats({1, 2}, {kInf, 0})})[0]),
              Each(::testing::IsNan()));
  EXPECT_THAT(values<float>(run("Softmax", {floats({1, 2}, {-kInf, 0})})[0]), ElementsAre(0, 1));
  EXPECT_THAT(values<float>(run("Softmax", {floats({1, 2}, {1e4f, 0})})[0]), ElementsAre(1, 0));
  EXPECT_THAT(error_of([] { run("Softmax", {scalar(1.0f)}); }), HasSubstr("rank >= 1"));
}

TEST(CrossEntropyTest, LabelsAndLogitsMustFit) {
  EXPECT_EQ(infer("SparseSoftmaxCrossEntropyWithLogits", "[?,4];[3]"), "[3];[3,4]");
  EXPECT_EQ(infer("SoftmaxCrossEntropyWithLogits", "[?,4];[3,1]"), "[3];[3,4]");
  const auto logits = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_THAT(error_of([&] {
                run("SparseSoftmaxCrossEntropyWithLogits", {logits, ints({2}, {0, 3})});
              }),
              HasSubstr("label 1 is 3"));
  EXPECT_THAT(error_of([&] {
                run("SoftmaxCrossEntropyWithLogits", {logits, floats({2, 2}, {1, 0, 0, 1})});
              }),
              HasSubstr("must fit each other"));
}

TEST(FusedBatchNormTest, OneElementHasNoVariance) {
  const auto one = floats({1}, {1});
  const auto y = run("FusedBatchNormV3",
                     {floats({1, 1, 1, 1}, {5}), one, one, floats({0}, {}), floats({0}, {})});
  EXPECT_THAT(values<float>(y[0]), ElementsAre(1));
  EXPECT_THAT(values<float>(y[2]), ElementsAre(0));
  EXPECT_EQ(y[5].shape(), Shape{});
  EXPECT_THAT(error_of([&] {
                run("FusedBatchNormV3",
                    {floats({1, 1, 1, 1}, {5}), one, one, floats({2}, {1, 2}), one},
                    {{"is_training", false}});
              }),
              HasSubstr("must agree"));
}

TEST(FusedBatchNormTest, StatisticsDoNotDependOnThreads) {
  Tensor x(kFloat, {40, 31, 7, 9});
  float value = 0.5f;
  for (float& element : x.mutable_values<float>()) element = value = 3.7f * value * (1 - value);
  Tensor ones(kFloat, {9});
  for (float& element : ones.mutable_values<float>()) element = 1;
  const auto with = [&](int threads) {
    TestGraph graph({.threads = threads});
    const OutputId y = graph.add(
        "FusedBatchNorm", {graph.input(x), graph.constant(ones), graph.constant(ones),
                           graph.constant(floats({0}, {})), graph.constant(floats({0}, {}))});
    return graph.run({y, TestGraph::output(y, 1), TestGraph::output(y, 2)});
  };
  const auto one = with(1), many = with(5);
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_THAT(many[i], is_tensor(one[i]));
}

TEST(LstmTest, TheLengthMustFit) {
  const auto x = Tensor(kFloat, {3, 0, 2});
  const std::vector<Tensor> inputs{scalar(std::int64_t{4}),
                                   x,
                                   Tensor(kFloat, {0, 1}),
                                   Tensor(kFloat, {0, 1}),
                                   floats({3, 4}, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}),
                                   floats({1}, {0}),
                                   floats({1}, {0}),
                                   floats({1}, {0}),
                                   floats({4}, {0, 0, 0, 0})};
  EXPECT_THAT(error_of([&] { run("BlockLSTM", inputs); }),
              HasSubstr("seq_len_max must be in [0, 3]"));
  EXPECT_EQ(infer("BlockLSTM", "[];[5,2,3];?;?;?;?;?;?;[16]"),
            "[5,2,4];[5,2,4];[5,2,4];[5,2,4];[5,2,4];[5,2,4];[5,2,4]");
}

TEST(CtcTest, InputsAreChecked) {
  const auto x = floats({2, 1, 2}, {0, 1, 2, 3});
  EXPECT_EQ(error_code_of([&] {
              run("CTCGreedyDecoder", {x, ints({1}, {3})});
            }),
            ErrorCode::kFailedPrecondition);
  EXPECT_THAT(error_of([&] {
                run("CTCLoss", {x, int64s({0, 2}, {}), ints({0}, {}), ints({1}, {2})});
              }),
              HasSubstr("each sequence must have a label"));
  EXPECT_THAT(error_of([&] {
                run("CTCLoss", {x, int64s({1, 2}, {1, 0}), ints({1}, {0}), ints({1}, {2})});
              }),
              HasSubstr("name a sequence below 1"));
}

TEST(DilationTest, WindowsOfNothingAreTheLowestNumber) {
  const Attrs attrs{{"strides", ints_attr({1, 1, 1, 1})},
                    {"rates", ints_attr({1, 1, 1, 1})},
                    {"padding", "SAME"}};
  EXPECT_THAT(values<std::int32_t>(run(
                  "Dilation2D", {ints({1, 1, 2, 1}, {1, 5}), ints({1, 2, 1}, {10, 0})}, attrs)[0]),
              ElementsAre(11, 15));
  EXPECT_EQ(infer("Dilation2D", "[?,5,6,2];[3,3,?]", attrs), "[?,5,6,2]");
}

}  // namespace
}  // namespace hub::testing
