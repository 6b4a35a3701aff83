#include <random>

#include "support/fusion_test.h"

namespace hub::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

Tensor noise(const Shape& shape) {
  Tensor result(kFloat, shape);
  std::mt19937 random(static_cast<unsigned>(shape.num_elements()));
  std::uniform_real_distribution<float> distribution(-1, 1);
  for (float& value : result.mutable_values<float>()) value = distribution(random);
  return result;
}

// What varies between attentions.
struct Form {
  Shape q{2, 3, 5, 8};  // [batch, heads, rows, depth], before it is transposed
  Shape k{2, 3, 7, 8};
  Shape v{2, 3, 7, 6};
  std::vector<Shape> mask;  // none or one
  bool transposed = false;  // operands are [batch, rows, heads, depth], the result too
  bool keys_in_columns = false;
  const char* scaling = nullptr;
};

OutputId operand(TestGraph& g, const Shape& shape, const Form& form,
                 std::initializer_list<std::int32_t> order) {
  if (!form.transposed) return stored(g, noise(shape));
  std::vector<std::int64_t> dims(4);
  const std::vector<std::int32_t> axes(order);
  for (std::size_t i = 0; i < 4; ++i)
    dims[static_cast<std::size_t>(axes[i])] = shape.dim(static_cast<int>(i));
  return g.add("Transpose", {stored(g, noise(Shape(dims))), g.constant(ints({4}, order))});
}

OutputId attention(TestGraph& g, const Form& form) {
  const OutputId q = operand(g, form.q, form, {0, 2, 1, 3});
  const Shape keys =
      form.keys_in_columns ? Shape{form.k[0], form.k[1], form.k[3], form.k[2]} : form.k;
  const OutputId k = form.keys_in_columns ? operand(g, keys, form, {0, 2, 3, 1})
                                          : operand(g, keys, form, {0, 2, 1, 3});
  OutputId scores = g.add("BatchMatMulV2", {q, k}, {{"adj_y", !form.keys_in_columns}});
  if (form.scaling != nullptr) scores = g.add(form.scaling, {scores, g.constant(scalar(0.35f))});
  if (!form.mask.empty()) scores = g.add("AddV2", {scores, stored(g, noise(form.mask[0]))});
  const OutputId v = operand(g, form.v, form, {0, 2, 1, 3});
  const OutputId y = g.add("BatchMatMulV2", {g.add("Softmax", {scores}), v});
  if (!form.transposed) return y;
  return g.add("Transpose", {y, g.constant(ints({4}, {0, 2, 1, 3}))});
}

TEST(AttentionFusionTest, KnowsTheComposedForms) {
  const Form forms[] = {
      {},
      {.mask = {{2, 1, 1, 7}}, .scaling = "Mul"},
      {.mask = {{2, 1, 1, 7}}, .transposed = true, .scaling = "Mul"},
      {.mask = {{5, 7}}, .transposed = true, .scaling = "RealDiv"},
      {.mask = {{2, 3, 5, 1}}, .keys_in_columns = true},
      {.transposed = true, .keys_in_columns = true, .scaling = "Mul"},
      {.q = {1, 2, 300, 16}, .k = {1, 2, 300, 16}, .v = {1, 2, 300, 16}, .transposed = true},
      // Operands that are broadcast, also by the mask.
      {.q = {1, 1, 5, 8}, .mask = {{2, 3, 1, 7}}},
      {.q = {2, 3, 1, 8}, .mask = {{5, 7}}, .scaling = "Mul"},
      // No keys but the mask's; nothing to compare.
      {.q = {2, 3, 5, 0}, .k = {2, 3, 7, 0}, .mask = {{5, 7}}},
      {.k = {2, 3, 0, 8}, .v = {2, 3, 0, 6}},
  };
  for (std::size_t i = 0; i < std::size(forms); ++i) {
    SCOPED_TRACE(i);
    const auto ops =
        ops_that_ran([&](TestGraph& g) { return std::vector{attention(g, forms[i])}; });
    EXPECT_THAT(ops, Contains("_HubAttention"));
    EXPECT_THAT(ops, Not(Contains("Softmax")));
    EXPECT_THAT(ops, Not(Contains("Transpose")));
  }
}

TEST(AttentionFusionTest, ARowDoesNotDependOnTheOthers) {
  const auto rows = [](std::int64_t count) {
    TestGraph g;
    const OutputId q = g.input(
        noise({1, 1, 150, 32}).reshaped({150, 32}).rows(0, count).reshaped({1, 1, count, 32}));
    const OutputId k = stored(g, noise({1, 1, 40, 32}));
    const OutputId scores = g.add("BatchMatMulV2", {q, k}, {{"adj_y", true}});
    const OutputId v = stored(g, noise({1, 1, 40, 24}));
    return g.run(g.add("BatchMatMulV2", {g.add("Softmax", {scores}), v})).reshaped({count, 24});
  };
  const Tensor all = rows(150);
  for (const std::int64_t count : {1, 3, 17, 129})
    EXPECT_THAT(all.rows(0, count), is_tensor(rows(count)));
}

TEST(AttentionFusionTest, LeavesProbabilitiesThatAreFetched) {
  const auto build = [](TestGraph& g) {
    const OutputId q = stored(g, noise({2, 3, 5, 8}));
    const OutputId k = stored(g, noise({2, 3, 7, 8}));
    const OutputId probabilities =
        g.add("Softmax", {g.add("BatchMatMulV2", {q, k}, {{"adj_y", true}})});
    const OutputId v = stored(g, noise({2, 3, 7, 6}));
    return std::vector{g.add("BatchMatMulV2", {probabilities, v}), probabilities};
  };
  EXPECT_THAT(ops_that_ran(build), Not(Contains("_HubAttention")));
}

TEST(AttentionFusionTest, SizesMustFit) {
  TestGraph g;
  const auto hole = [&](const Tensor& value) {
    const OutputId x =
        g.add("Placeholder", {}, {{"dtype", kFloat}, {"shape", PartialShape{-1, -1, -1, -1}}});
    return EngineFeed{x, value};
  };
  const std::vector<EngineFeed> feeds{hole(noise({1, 1, 5, 8})), hole(noise({1, 1, 7, 9})),
                                      hole(noise({1, 1, 7, 6}))};
  const OutputId scores =
      g.add("BatchMatMulV2", {feeds[0].output, feeds[1].output}, {{"adj_y", true}});
  const OutputId y = g.add("BatchMatMulV2", {g.add("Softmax", {scores}), feeds[2].output});
  EXPECT_THAT(error_of([&] { g.engine().run(feeds, std::vector{y}); }),
              HasSubstr("inner dimensions must agree"));
}

}  // namespace
}  // namespace hub::testing
