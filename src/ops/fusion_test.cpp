// Fusions: what is put in the place of what, what is left alone, and that results stay.

#include <cmath>
#include <random>

#include "support/fusion_test.h"

namespace hub::testing {
namespace {

using ::testing::Contains;
using ::testing::Not;

Tensor noise(const Shape& shape) {
  Tensor result(kFloat, shape);
  std::mt19937 random(static_cast<unsigned>(shape.num_elements()));
  std::uniform_real_distribution<float> distribution(-1, 1);
  for (float& value : result.mutable_values<float>()) value = distribution(random);
  return result;
}

// A matrix product whose right side is a variable.
OutputId product(TestGraph& g, OutputId x, const Shape& weights, const Attrs& attrs = {}) {
  return g.add("MatMul", {x, stored(g, noise(weights))}, attrs);
}

OutputId number(TestGraph& g, float value) { return g.constant(scalar(value)); }

TEST(MatMulFusionTest, TakesBiasAndActivation) {
  for (const char* activation : {"Relu", "Relu6", "Tanh", "Sigmoid"}) {
    for (const std::int64_t n : {5, 300}) {  // small ones are not packed
      const auto build = [&](TestGraph& g) {
        const OutputId x = stored(g, noise({7, 96}));
        const OutputId sum = g.add("BiasAdd", {product(g, x, {96, n}), stored(g, noise({n}))});
        return std::vector{g.add(activation, {sum})};
      };
      EXPECT_THAT(ops_that_ran(build), Contains("_HubMatMul")) << activation;
    }
  }
}

TEST(MatMulFusionTest, TakesAResidualAndATransposedRightSide) {
  const auto build = [](TestGraph& g) {
    const OutputId x = stored(g, noise({9, 80}));
    const OutputId y = product(g, x, {70, 80}, {{"transpose_b", true}});
    const OutputId sum = g.add("AddV2", {y, stored(g, noise({70}))});
    return std::vector{g.add("Relu", {g.add("AddV2", {stored(g, noise({9, 70})), sum})})};
  };
  EXPECT_THAT(ops_that_ran(build), Not(Contains("AddV2")));
}

TEST(MatMulFusionTest, TakesProductsOfMoreDimensions) {
  const auto tensordot = [](TestGraph& g) {
    const OutputId x = stored(g, noise({6, 80}));
    const OutputId y =
        g.add("Reshape", {product(g, x, {80, 70}), g.constant(ints({3}, {2, -1, 70}))});
    return std::vector{g.add("BiasAdd", {y, stored(g, noise({70}))})};
  };
  EXPECT_THAT(ops_that_ran(tensordot), Not(Contains("Reshape")));
  const auto batch = [](TestGraph& g) {
    return std::vector{
        g.add("BatchMatMulV2", {stored(g, noise({2, 3, 80})), stored(g, noise({80, 70}))})};
  };
  EXPECT_THAT(ops_that_ran(batch), Contains("_HubMatMul"));
}

TEST(MatMulFusionTest, ARowDoesNotDependOnTheOthers) {
  const auto rows = [](std::int64_t count) {
    TestGraph g;
    const OutputId x = g.input(noise({67, 200}).rows(0, count));
    const OutputId y = product(g, x, {200, 300});
    return g.run(g.add("Tanh", {g.add("BiasAdd", {y, stored(g, noise({300}))})}));
  };
  const Tensor all = rows(67);
  for (const std::int64_t count : {1, 3, 17, 66})
    EXPECT_THAT(all.rows(0, count), is_tensor(rows(count)));
}

TEST(MatMulFusionTest, LeavesWhatOthersNeed) {
  const auto fetched = [](TestGraph& g) {
    const OutputId y = product(g, stored(g, noise({4, 80})), {80, 70});
    return std::vector{g.add("BiasAdd", {y, stored(g, noise({70}))}), y};
  };
  EXPECT_THAT(ops_that_ran(fetched), Not(Contains("_HubMatMul")));
  const auto read_twice = [](TestGraph& g) {
    const OutputId y = product(g, stored(g, noise({4, 80})), {80, 70});
    return std::vector{g.add("Mul", {g.add("Relu", {y}), g.add("Neg", {y})})};
  };
  EXPECT_THAT(ops_that_ran(read_twice), Not(Contains("_HubMatMul")));
}

TEST(MatMulFusionTest, AResidualMayStillBeBroadcast) {
  const auto build = [](TestGraph& g) {
    const OutputId x =
        g.add("Placeholder", {}, {{"dtype", kFloat}, {"shape", PartialShape{-1, 80}}});
    const OutputId more =
        g.add("Placeholder", {}, {{"dtype", kFloat}, {"shape", PartialShape{-1, 70}}});
    return std::vector{x, more, g.add("Relu", {g.add("AddV2", {product(g, x, {80, 70}), more})})};
  };
  TestGraph fused, plain({.passes = false});
  const auto run = [&](TestGraph& g) {
    const std::vector<OutputId> nodes = build(g);
    const std::vector<EngineFeed> feeds{{nodes[0], noise({5, 80})}, {nodes[1], noise({1, 70})}};
    return g.engine().run(feeds, std::span(nodes).subspan(2))[0];
  };
  EXPECT_THAT(run(fused), is_near(run(plain), 1e-6));
}

struct GeluForm {
  const char* name;
  OutputId (*build)(TestGraph& g, OutputId x);
};

OutputId times(TestGraph& g, OutputId a, OutputId b) { return g.add("Mul", {a, b}); }
OutputId one_plus(TestGraph& g, OutputId x) { return g.add("AddV2", {number(g, 1), x}); }
OutputId erf_part(TestGraph& g, OutputId x) {
  return one_plus(g, g.add("Erf", {g.add("RealDiv", {x, number(g, std::sqrt(2.0f))})}));
}
OutputId tanh_part(TestGraph& g, OutputId x, OutputId cube) {
  const OutputId sum = g.add("AddV2", {x, times(g, number(g, 0.044715f), cube)});
  return one_plus(g, g.add("Tanh", {times(g, number(g, std::sqrt(2 / 3.14159265f)), sum)}));
}
OutputId power(TestGraph& g, OutputId x) { return g.add("Pow", {x, number(g, 3)}); }

constexpr GeluForm kGeluForms[] = {
    {"x * (0.5 * (1 + erf))",
     [](TestGraph& g, OutputId x) {
       return times(g, x, times(g, number(g, 0.5), erf_part(g, x)));
     }},
    {"(0.5 * x) * (1 + erf)",
     [](TestGraph& g, OutputId x) {
       return times(g, times(g, number(g, 0.5), x), erf_part(g, x));
     }},
    {"x * (0.5 * (1 + tanh)) with a power",
     [](TestGraph& g, OutputId x) {
       return times(g, x, times(g, number(g, 0.5), tanh_part(g, x, power(g, x))));
     }},
    {"0.5 * (x * (1 + tanh)) with products",
     [](TestGraph& g, OutputId x) {
       const OutputId cube = times(g, times(g, x, x), x);
       return times(g, number(g, 0.5), times(g, x, tanh_part(g, x, cube)));
     }},
};

TEST(GeluFusionTest, KnowsTheComposedForms) {
  for (const GeluForm& form : kGeluForms) {
    SCOPED_TRACE(form.name);
    const auto alone = [&](TestGraph& g) {
      return std::vector{form.build(g, stored(g, noise({50, 41})))};
    };
    EXPECT_THAT(ops_that_ran(alone), Contains("_HubGelu"));
    const auto after_product = [&](TestGraph& g) {
      const OutputId y = product(g, stored(g, noise({4, 80})), {80, 70});
      return std::vector{form.build(g, g.add("BiasAdd", {y, stored(g, noise({70}))}))};
    };
    EXPECT_THAT(ops_that_ran(after_product), Not(Contains("_HubGelu")));
    EXPECT_THAT(ops_that_ran(after_product), Contains("_HubMatMul"));
  }
}

TEST(GeluFusionTest, LeavesOtherNumbersAndSharedParts) {
  const auto other_number = [](TestGraph& g) {
    const OutputId x = stored(g, noise({8}));
    return std::vector{times(g, x, times(g, number(g, 0.25), erf_part(g, x)))};
  };
  EXPECT_THAT(ops_that_ran(other_number), Not(Contains("_HubGelu")));
  const auto fetched = [](TestGraph& g) {
    const OutputId x = stored(g, noise({8}));
    const OutputId part = erf_part(g, x);
    return std::vector{times(g, x, times(g, number(g, 0.5), part)), part};
  };
  EXPECT_THAT(ops_that_ran(fetched), Not(Contains("_HubGelu")));
}

// What all forms of layer normalisation begin with.
struct Moments {
  OutputId x, mean, variance, gamma, beta;
};
Moments moments(TestGraph& g, const Shape& shape, bool by_hand) {
  Moments m;
  const std::int64_t size = shape.dim(shape.rank() - 1);
  m.x = stored(g, noise(shape));
  m.gamma = stored(g, noise({size}));
  m.beta = stored(g, noise({size}));
  const OutputId axis = g.constant(ints({1}, {by_hand ? -1 : shape.rank() - 1}));
  const Attrs keep{{"keep_dims", true}};
  m.mean = g.add("Mean", {m.x, axis}, keep);
  const OutputId square = by_hand
                              ? g.add("Square", {g.add("Sub", {m.x, m.mean})})
                              : g.add("SquaredDifference", {m.x, g.add("StopGradient", {m.mean})});
  m.variance = g.add("AddV2", {g.add("Mean", {square, axis}, keep), number(g, 1e-5f)});
  return m;
}

// x * inv + (beta - mean * inv), as tf.nn.batch_normalization writes it.
OutputId scaled_and_shifted(TestGraph& g, const Moments& m, OutputId inverse) {
  const OutputId shift = g.add("Sub", {m.beta, times(g, m.mean, inverse)});
  return g.add("AddV2", {times(g, m.x, inverse), shift});
}

TEST(LayerNormFusionTest, KnowsTheComposedForms) {
  for (const Shape& shape : {Shape{6, 96}, Shape{2, 3, 70}, Shape{5, 3}}) {
    const auto from_moments = [&](TestGraph& g) {
      const Moments m = moments(g, shape, false);
      return std::vector{scaled_and_shifted(g, m, times(g, g.add("Rsqrt", {m.variance}), m.gamma))};
    };
    EXPECT_THAT(ops_that_ran(from_moments), Not(Contains("Mean"))) << to_string(shape);
    const auto without_gamma = [&](TestGraph& g) {
      const Moments m = moments(g, shape, false);
      return std::vector{scaled_and_shifted(g, m, g.add("Rsqrt", {m.variance}))};
    };
    EXPECT_THAT(ops_that_ran(without_gamma), Contains("_HubLayerNorm")) << to_string(shape);
    const auto by_hand = [&](TestGraph& g) {
      const Moments m = moments(g, shape, true);
      const OutputId normal = times(g, g.add("Sub", {m.x, m.mean}), g.add("Rsqrt", {m.variance}));
      return std::vector{g.add("AddV2", {times(g, normal, m.gamma), m.beta})};
    };
    EXPECT_THAT(ops_that_ran(by_hand), Not(Contains("Mean"))) << to_string(shape);
    const auto by_the_root = [&](TestGraph& g) {
      const Moments m = moments(g, shape, true);
      const OutputId centered = g.add("Sub", {m.x, m.mean});
      return std::vector{
          times(g, m.gamma, g.add("RealDiv", {centered, g.add("Sqrt", {m.variance})}))};
    };
    EXPECT_THAT(ops_that_ran(by_the_root), Not(Contains("Mean"))) << to_string(shape);
  }
}

TEST(LayerNormFusionTest, LeavesAMeanThatIsFetchedAndOtherAxes) {
  const auto fetched = [](TestGraph& g) {
    const Moments m = moments(g, {4, 8}, false);
    return std::vector{scaled_and_shifted(g, m, g.add("Rsqrt", {m.variance})), m.mean};
  };
  EXPECT_THAT(ops_that_ran(fetched), Not(Contains("_HubLayerNorm")));
  const auto first_axis = [](TestGraph& g) {
    const OutputId x = stored(g, noise({4, 4}));
    const OutputId axis = g.constant(ints({1}, {0}));
    const Attrs keep{{"keep_dims", true}};
    const OutputId centered = g.add("Sub", {x, g.add("Mean", {x, axis}, keep)});
    const OutputId variance = g.add("Mean", {g.add("Square", {centered}), axis}, keep);
    const OutputId inverse = g.add("Rsqrt", {g.add("AddV2", {variance, number(g, 1e-5f)})});
    return std::vector{times(g, centered, inverse)};
  };
  EXPECT_THAT(ops_that_ran(first_axis), Not(Contains("_HubLayerNorm")));
}

}  // namespace
}  // namespace hub::testing
