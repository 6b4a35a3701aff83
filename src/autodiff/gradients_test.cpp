// Gradients against finite differences in double precision, and the rules that recorded cases do
// not show.

#include "autodiff/gradients.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>

#include "hub/error.h"
#include "hub/session.h"

namespace hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Different values of moderate size; none is near a corner of the ops in the table.
Tensor numbers(const Shape& shape, double from, double step) {
  Tensor tensor(kDouble, shape);
  double* values = tensor.mutable_data<double>();
  for (std::int64_t i = 0; i < shape.num_elements(); ++i)
    values[i] = from + step * static_cast<double>((i * 7) % 11);
  return tensor;
}

Output weight_sum(const Graph& graph, const Output& y) {
  const Output flat = graph.op("Reshape", {y, make_vector<std::int32_t>({-1})});
  const Output count = graph.op("Size", {flat});
  const Output ramp = graph.op("Range", {0, count, 1});
  const Output weights = graph.op("Cos", {graph.op("Cast", {ramp}, {{"DstT", kDouble}})});
  return graph.op("Sum", {graph.op("Mul", {flat, weights}), 0});
}

struct DifferenceCase {
  std::string name;
  std::vector<Tensor> inputs;
  std::function<Output(const Graph&, const std::vector<Output>&)> build;
};

void PrintTo(const DifferenceCase& test, std::ostream* out) { *out << test.name; }

DifferenceCase unary(const std::string& op, double from, double step) {
  return {
      op, {numbers({2, 3}, from, step)}, [op](const Graph& graph, const std::vector<Output>& x) {
        return Output(graph.op(op, {x[0]}));
      }};
}

DifferenceCase binary(const std::string& op) {
  return {op + "_broadcast",
          {numbers({2, 3}, 0.3, 0.17), numbers({3}, 1.05, 0.23)},
          [op](const Graph& graph, const std::vector<Output>& x) {
            return Output(graph.op(op, {x[0], x[1]}));
          }};
}

DifferenceCase reduction(const std::string& op) {
  return {
      op, {numbers({2, 3, 2}, 0.4, 0.19)}, [op](const Graph& graph, const std::vector<Output>& x) {
        return Output(graph.op(op, {x[0], make_vector<std::int32_t>({1, -1})}));
      }};
}

std::vector<DifferenceCase> difference_cases() {
  std::vector<DifferenceCase> cases;
  for (const char* op :
       {"Exp",    "Log",     "Sqrt",     "Rsqrt",      "Square",    "Tanh",  "Sigmoid",
        "Sin",    "Cos",     "Tan",      "Atan",       "Asinh",     "Erf",   "Erfc",
        "Lgamma", "Digamma", "Softplus", "Reciprocal", "Expm1",     "Log1p", "Softsign",
        "Elu",    "Selu",    "Abs",      "BesselI0e",  "BesselI1e", "Sinh",  "Cosh",
        "Neg",    "L2Loss",  "Softmax",  "LogSoftmax"}) {
    cases.push_back(unary(op, 0.31, 0.11));
  }
  for (const char* op : {"Asin", "Acos", "Atanh", "Erfinv", "Ndtri"})
    cases.push_back(unary(op, 0.11, 0.07));
  cases.push_back(unary("Acosh", 1.2, 0.1));
  for (const char* op : {"AddV2", "Sub", "Mul", "RealDiv", "DivNoNan", "Pow", "Maximum", "Minimum",
                         "SquaredDifference", "Atan2", "Xlogy", "Xdivy", "Xlog1py", "MulNoNan"}) {
    cases.push_back(binary(op));
  }
  for (const char* op : {"Sum", "Mean", "Max", "Min", "Prod", "EuclideanNorm"})
    cases.push_back(reduction(op));
  cases.push_back({"MatMul_transposed",
                   {numbers({3, 2}, 0.2, 0.1), numbers({4, 3}, -0.3, 0.2)},
                   [](const Graph& graph, const std::vector<Output>& x) {
                     return Output(graph.op("MatMul", {x[0], x[1]},
                                            {{"transpose_a", true}, {"transpose_b", true}}));
                   }});
  cases.push_back({"BatchMatMulV2_broadcast",
                   {numbers({2, 2, 3}, 0.2, 0.1), numbers({3, 2}, -0.3, 0.2)},
                   [](const Graph& graph, const std::vector<Output>& x) {
                     return Output(graph.op("BatchMatMulV2", {x[0], x[1]}));
                   }});
  cases.push_back({"Einsum",
                   {numbers({2, 3, 2}, 0.2, 0.1), numbers({2, 4}, -0.3, 0.2)},
                   [](const Graph& graph, const std::vector<Output>& x) {
                     return Output(graph.op("Einsum", {x[0], x[1]}, {{"equation", "abc,cd->ad"}}));
                   }});
  cases.push_back({"Conv2D",
                   {numbers({1, 4, 4, 2}, 0.2, 0.1), numbers({3, 3, 2, 2}, -0.3, 0.2)},
                   [](const Graph& graph, const std::vector<Output>& x) {
                     return Output(graph.op("Conv2D", {x[0], x[1]},
                                            {{"strides", {1, 2, 2, 1}}, {"padding", "SAME"}}));
                   }});
  cases.push_back({"Cumsum_Cumprod",
                   {numbers({3, 2}, 0.6, 0.1)},
                   [](const Graph& graph, const std::vector<Output>& x) {
                     const Output sums = graph.op("Cumsum", {x[0], 0}, {{"exclusive", true}});
                     return Output(graph.op(
                         "AddV2", {sums, graph.op("Cumprod", {x[0], 0}, {{"reverse", true}})}));
                   }});
  cases.push_back({"second_order",
                   {numbers({3}, 0.5, 0.2)},
                   [](const Graph& graph, const std::vector<Output>& x) {
                     const Output y = graph.op("Exp", {graph.op("Square", {x[0]})});
                     return gradients(graph, {y}, {x[0]})[0].dense;
                   }});
  return cases;
}

class DifferenceTest : public ::testing::TestWithParam<DifferenceCase> {};

TEST_P(DifferenceTest, GradientsAreThoseOfFiniteDifferences) {
  constexpr double kStep = 1e-5;
  const DifferenceCase& test = GetParam();
  Graph graph;
  std::vector<Output> xs;
  for (const Tensor& input : test.inputs)
    xs.push_back(graph.op("Placeholder", {}, {{"dtype", kDouble}, {"shape", input.shape()}}));
  const Output y = weight_sum(graph, test.build(graph, xs));
  const std::vector<GradientValue> values = gradients(graph, {y}, xs);
  Session session(graph);
  const auto run = [&](const Output& fetch, const std::vector<Tensor>& inputs) {
    Feeds feeds;
    for (std::size_t i = 0; i < xs.size(); ++i) feeds.push_back({xs[i], inputs[i]});
    return session.run(fetch, feeds);
  };
  for (std::size_t i = 0; i < xs.size(); ++i) {
    const Tensor got = run(dense_gradient(graph, values[i]), test.inputs);
    ASSERT_EQ(got.shape(), test.inputs[i].shape());
    for (std::int64_t k = 0; k < got.num_elements(); ++k) {
      double sides[2];
      for (const int side : {0, 1}) {
        std::vector<Tensor> inputs = test.inputs;
        inputs[i] = Tensor(kDouble, got.shape());
        std::copy_n(test.inputs[i].data<double>(), got.num_elements(),
                    inputs[i].mutable_data<double>());
        inputs[i].mutable_data<double>()[k] += side == 0 ? -kStep : kStep;
        sides[side] = run(y, inputs).data<double>()[0];
      }
      const double want = (sides[1] - sides[0]) / (2 * kStep);
      EXPECT_NEAR(got.data<double>()[k], want, 1e-6 * (1 + std::abs(want))) << "input " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, DifferenceTest, ::testing::ValuesIn(difference_cases()),
                         [](const auto& test) { return test.param.name; });

Output placeholder(const Graph& graph, const Shape& shape) {
  return graph.op("Placeholder", {}, {{"dtype", kFloat}, {"shape", shape}}, "x");
}

TEST(GradientsTest, SlicesStaySlicesUntilASumMakesThemDense) {
  Graph graph;
  const Output table = placeholder(graph, {4, 2});
  const auto rows = [&](std::int32_t index) {
    return Output(graph.op("GatherV2", {table, make_vector<std::int32_t>({index, index}), 0}));
  };
  const GradientValue once = gradients(graph, {rows(1)}, {table})[0];
  ASSERT_TRUE(once.slices);
  EXPECT_EQ(once.slices->values.shape(), (PartialShape{2, 2}));
  EXPECT_TRUE(gradients(graph, {rows(1), rows(2)}, {table})[0].slices);
  const GradientValue mixed = gradients(graph, {rows(1), table}, {table})[0];
  ASSERT_FALSE(mixed.slices);
  Session session(graph);
  const Tensor got = session.run(mixed.dense, {{table, Tensor(kFloat, Shape{4, 2})}});
  EXPECT_THAT(got.values<float>(), ElementsAre(1, 1, 3, 3, 1, 1, 1, 1));
}

TEST(GradientsTest, NoneAndNotDifferentiableAreToldApart) {
  Graph graph;
  const Output x = placeholder(graph, {2});
  const Output other = placeholder(graph, {2});
  EXPECT_FALSE(gradients(graph, {x}, {other})[0].is_valid());
  EXPECT_FALSE(gradients(graph, {graph.op("Floor", {x})}, {x})[0].is_valid());
  EXPECT_FALSE(gradients(graph, {graph.op("StopGradient", {x})}, {x})[0].is_valid());
  const Output y = graph.op("Neg", {graph.op("Mod", {x, other}, {}, "rest")}, {}, "y");
  try {
    gradients(graph, {y}, {x});
    ADD_FAILURE() << "Mod has no gradient";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnimplemented);
    EXPECT_THAT(error.what(), HasSubstr("\"rest\" -> \"y\""));
  }
}

TEST(GradientsTest, StopsWhereItIsTold) {
  Graph graph;
  const Output x = placeholder(graph, {});
  const Output square = graph.op("Square", {x});
  const Output y = graph.op("Mul", {square, x});
  const GradientValue value = gradients(graph, {y}, {x}, {}, {.stop_gradients = {square}})[0];
  Session session(graph);
  EXPECT_THAT(session.run(value.dense, {{x, make_scalar<float>(3)}}).values<float>(),
              ElementsAre(9));
}

TEST(GradientsTest, WeightsMustFit) {
  Graph graph;
  const Output x = placeholder(graph, {2});
  const Output y = graph.op("Exp", {x});
  const Output wrong = graph.op("Const", {}, {{"dtype", kDouble}, {"value", numbers({2}, 0, 1)}});
  EXPECT_THROW(gradients(graph, {y}, {x}, {wrong}), Error);
  EXPECT_THROW(gradients(graph, {y}, {x}, {y, y}), Error);
}

}  // namespace
}  // namespace hub
