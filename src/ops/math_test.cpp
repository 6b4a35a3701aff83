#include <cmath>
#include <limits>

#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Tensor ramp(const Shape& shape, float first, float step) {
  Tensor tensor(kFloat, shape);
  float value = first;
  for (float& element : tensor.mutable_values<float>()) {
    element = value;
    value += step;
  }
  return tensor;
}

TEST(MathTest, ShapesFollowTheBroadcast) {
  EXPECT_EQ(infer("AddV2", "[2,1,3];[4,1]"), "[2,4,3]");
  EXPECT_EQ(infer("AddV2", "[?,1];[3]"), "[?,3]");
  EXPECT_EQ(infer("AddV2", "[?];[?]"), "[?]");
  EXPECT_EQ(infer("AddV2", "?;[3]"), "?");
  EXPECT_THAT(error_of([] { infer("AddV2", "[2,3];[2]"); }), HasSubstr("[2,3] and [2]"));
}

TEST(MathTest, EqualOfUnknownShapesMayBeAScalar) {
  const Attrs lenient = {{"incompatible_shape_error", false}};
  EXPECT_EQ(infer("Equal", "[?];[3]", lenient), "?");
  EXPECT_EQ(infer("Equal", "[2];[3]", lenient), "[]");
  EXPECT_EQ(infer("Equal", "[2,1];[3]", lenient), "[2,3]");
}

TEST(MathTest, AResultDoesNotDependOnItsPlace) {
  for (const char* op : {"Exp", "Expm1", "Log", "Log1p", "Tanh", "Sigmoid", "Erf", "Rsqrt"}) {
    const Tensor x = ramp({77}, 0.03f, 0.07f);
    const Tensor all = run(op, {x})[0];
    for (std::int64_t i = 0; i < 77; i += 19) {
      const Tensor one = run(op, {x.rows(i, i + 1).clone()})[0];
      EXPECT_EQ(one.data<float>()[0], all.data<float>()[i]) << op << " " << i;
    }
  }
}

TEST(MathTest, LongRowsShortRowsAndRepeatedRowsBroadcastAlike) {
  for (const std::int64_t columns : {3, 16, 200}) {
    const Tensor x = ramp({150, columns}, 0, 1);
    const Tensor row = ramp({columns}, -5, 2);
    const Tensor column = ramp({150, 1}, 7, -1);
    const Tensor by_row = run("Sub", {x, row})[0];
    const Tensor by_column = run("Sub", {column, x})[0];
    for (std::int64_t i = 0; i < x.num_elements(); ++i) {
      const float value = x.data<float>()[i];
      ASSERT_EQ(by_row.data<float>()[i], value - row.data<float>()[i % columns]);
      ASSERT_EQ(by_column.data<float>()[i], column.data<float>()[i / columns] - value);
    }
  }
}

TEST(MathTest, ThePowerOfAVectorAndOfAScalarAgree) {
  const Tensor x = floats({4}, {-2, 0.5f, 3, kInfinity});
  for (const float exponent : {2.0f, 3.0f}) {
    EXPECT_THAT(
        run("Pow", {x, scalar(exponent)})[0],
        is_tensor(run("Pow", {x, floats({4}, {exponent, exponent, exponent, exponent})})[0]));
  }
}

TEST(MathTest, TheLowestIntegerDividedByMinusOneWrapsAround) {
  const std::int32_t lowest = std::numeric_limits<std::int32_t>::lowest();
  for (const char* op : {"Div", "FloorDiv", "TruncateDiv"}) {
    EXPECT_THAT(run(op, {scalar(lowest), scalar(-1)})[0], is_tensor(scalar(lowest))) << op;
  }
  for (const char* op : {"Mod", "FloorMod", "TruncateMod"}) {
    EXPECT_THAT(run(op, {scalar(lowest), scalar(-1)})[0], is_tensor(scalar(0))) << op;
  }
}

TEST(MathTest, AnIntegerDividedByZeroNamesTheOp) {
  for (const char* op : {"Div", "FloorDiv", "FloorMod", "Mod"}) {
    EXPECT_THAT(error_of([&] { run(op, {ints({2}, {1, 2}), ints({2}, {1, 0})}); }), HasSubstr(op));
  }
  EXPECT_EQ(error_code_of([] {
              run("TruncateDiv", {scalar(1), scalar(0)});
            }),
            ErrorCode::kInternal);
  EXPECT_THAT(error_of([] { run("Pow", {scalar(2), scalar(-1)}); }), HasSubstr("negative power"));
}

TEST(MathTest, CastRefusesWhatIsNoNumber) {
  EXPECT_EQ(error_code_of([] {
              run("Cast", {texts({}, {"1"})}, {{"DstT", kFloat}, {"SrcT", kString}});
            }),
            ErrorCode::kUnimplemented);
}

TEST(MathTest, CastKnowsThePartsOfAShape) {
  TestGraph graph;
  const OutputId x = graph.input(floats({2, 3}, {0, 0, 0, 0, 0, 0}));
  const OutputId shape = graph.add("Shape", {x}, {{"T", kFloat}, {"out_type", kInt32}});
  const OutputId wide = graph.add("Cast", {shape}, {{"SrcT", kInt32}, {"DstT", kInt64}});
  const OutputId filled = graph.add("Fill", {wide, graph.constant(scalar(1.0f))},
                                    {{"T", kFloat}, {"index_type", kInt64}});
  EXPECT_EQ(to_string(graph.graph().fact(filled).shape), "[2,3]");
}

TEST(MathTest, AddNMayTakeATensorTwice) {
  TestGraph graph;
  const OutputId x = graph.input(floats({2}, {1, 2}));
  const OutputId y = graph.add("Neg", {x}, {{"T", kFloat}});
  const OutputId sum = graph.add("AddN", {y, y, y}, {{"N", 3}, {"T", kFloat}});
  EXPECT_THAT(graph.run(sum), is_tensor(floats({2}, {-3, -6})));
}

TEST(MathTest, ClipByValueRefusesBoundsThatWouldBroadcast) {
  EXPECT_THAT(error_of([] {
                run("ClipByValue", {floats({1}, {1}), floats({1}, {0}), floats({1, 1}, {2})});
              }),
              HasSubstr("scalars or have the shape"));
}

TEST(MathTest, CheckNumericsSaysWhatItFound) {
  const auto check = [](const char* op, std::initializer_list<float> values) {
    const Tensor x = floats({static_cast<std::int64_t>(values.size())}, values);
    return error_of([&] { run(op, {x}, {{"message", "logits"}}); });
  };
  EXPECT_THAT(check("CheckNumerics", {0, kInfinity, kNan}),
              HasSubstr("logits : Tensor had Inf and NaN values"));
  EXPECT_THAT(check("CheckNumericsV2", {-kInfinity, kInfinity}), HasSubstr("-Inf and +Inf"));
}

TEST(MathTest, PartsOfComplexNumbersKeepTheirPrecision) {
  const Tensor z = make_scalar(std::complex<double>(3, -4));
  EXPECT_EQ(error_code_of([&] {
              run("Real", {z}, {{"T", DType::kComplex128}, {"Tout", kFloat}});
            }),
            ErrorCode::kUnimplemented);
  EXPECT_THAT(run("ComplexAbs", {z}, {{"T", DType::kComplex128}, {"Tout", kDouble}})[0],
              is_tensor(scalar(5.0)));
}

TEST(MathTest, CountersRefuseNegativeValuesAndSizes) {
  const Tensor none = floats({0}, {});
  EXPECT_THAT(error_of([&] {
                run("DenseBincount", {ints({1, 2}, {0, -1}), scalar(2), none});
              }),
              HasSubstr("must not be negative"));
  EXPECT_THAT(error_of([&] {
                run("Bincount", {ints({1}, {0}), scalar(-2), none});
              }),
              HasSubstr("must not be negative"));
  EXPECT_THAT(error_of([&] {
                run("SparseBincount",
                    {int64s({1, 2}, {5, 0}), ints({1}, {0}), int64s({2}, {2, 3}), scalar(2), none});
              }),
              HasSubstr("outside of the dense shape"));
  EXPECT_EQ(infer("DenseBincount", "[4,?];[];[0]", {{"Tidx", kInt32}}, {{1, scalar(7)}}), "[4,7]");
}

TEST(MathTest, HistogramsRefuseNan) {
  EXPECT_THAT(error_of([] {
                run("HistogramFixedWidth", {floats({1}, {kNan}), floats({2}, {0, 1}), scalar(3)});
              }),
              HasSubstr("NaN"));
  EXPECT_THAT(run("HistogramFixedWidth",
                  {floats({2}, {kInfinity, 0}), floats({2}, {0, kInfinity}), scalar(2)})[0],
              is_tensor(ints({2}, {2, 0})));
}

TEST(MathTest, QuantizationNeedsABoundForEachSlice) {
  EXPECT_THAT(error_of([] {
                run("QuantizeV2",
                    {floats({2, 3}, {0, 0, 0, 0, 0, 0}), floats({2}, {0, 0}), floats({2}, {1, 1})},
                    {{"T", DType::kQuint8}, {"axis", 1}});
              }),
              HasSubstr("slices of the axis must agree"));
  EXPECT_EQ(infer("QuantizeV2", "[2,3];[3];[3]", {{"T", DType::kQint8}, {"axis", 1}}),
            "[2,3];[3];[3]");
  EXPECT_EQ(infer("QuantizeV2", "[2,?];[];[]", {{"T", DType::kQint8}}), "[2,?];[];[]");
}

TEST(MathTest, RealTransformsKnowTheirLengths) {
  EXPECT_EQ(infer("RFFT", "[2,?];[1]", {}, {{1, ints({1}, {8})}}), "[2,5]");
  EXPECT_EQ(infer("IRFFT2D", "[2,4,5];[2]", {}, {{1, ints({2}, {4, 8})}}), "[2,4,8]");
  EXPECT_EQ(infer("RFFT", "[2,9];[1]"), "[2,?]");
  EXPECT_EQ(infer("RFFT", "?;[1]"), "?");
  EXPECT_THAT(error_of([] { infer("FFT3D", "[2,3]"); }), HasSubstr("rank >= 3"));
}

TEST(MathTest, TransformsOfEveryLengthGoBack) {
  for (const std::int64_t n : {1, 2, 3, 17, 30, 64, 97, 121}) {
    const Tensor x = ramp({20, n}, -3, 0.05f);
    const Tensor length = ints({1}, {static_cast<std::int32_t>(n)});
    const Tensor back = run("IRFFT", {run("RFFT", {x, length})[0], length})[0];
    for (std::int64_t i = 0; i < x.num_elements(); ++i) {
      ASSERT_NEAR(back.data<float>()[i], x.data<float>()[i], 2e-3f) << n;
    }
  }
}

TEST(MathTest, ComparisonsArePackedFromTheHighestBit) {
  EXPECT_THAT(values<std::uint8_t>(run("CompareAndBitpack",
                                       {floats({8}, {5, 0, 0, 3, 9, 3.5f, NAN, 4}), scalar(3.0f)},
                                       {{"T", kFloat}})[0]),
              ElementsAre(0b10001101));
  EXPECT_THAT(
      values<std::uint8_t>(
          run("CompareAndBitpack",
              {bools({8}, {true, false, false, false, false, false, false, true}), scalar(true)},
              {{"T", kBool}})[0]),
      ElementsAre(0b10000001));
  EXPECT_EQ(infer("CompareAndBitpack", "[?,16];[]", {{"T", kFloat}}), "[?,2]");
  EXPECT_EQ(error_code_of([] {
              infer("CompareAndBitpack", "[7];[]", {{"T", kFloat}});
            }),
            ErrorCode::kInvalidArgument);
}

TEST(MathTest, BoostedTreesBucketsEndWithTheLastBoundary) {
  const auto buckets =
      run("BoostedTreesBucketize",
          {floats({4}, {0, 1, 1.5f, 9}), floats({1}, {5}), floats({3}, {1, 2, 3}), floats({0}, {})},
          {{"num_features", 2}});
  EXPECT_THAT(values<std::int32_t>(buckets[0]), ElementsAre(0, 0, 1, 2));
  EXPECT_THAT(values<std::int32_t>(buckets[1]), ElementsAre(0));
}

}  // namespace
}  // namespace hub::testing
