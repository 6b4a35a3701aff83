#include <cmath>
#include <cstring>
#include <limits>

#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::HasSubstr;

Tensor noise(const Shape& shape) {
  Tensor tensor(kFloat, shape);
  std::uint32_t state = 7;
  for (float& value : tensor.mutable_values<float>()) {
    state = state * 1664525 + 1013904223;
    value = static_cast<float>(state >> 8) / 8388608 - 1;
  }
  return tensor;
}

struct How {
  bool b_is_constant = false;  // then it is packed
  int threads = 2;
  bool transpose_b = false;
};

Tensor product(const Tensor& a, const Tensor& b, const How& how) {
  TestGraph graph({.threads = how.threads});
  const OutputId right = how.b_is_constant ? graph.constant(b) : graph.input(b);
  return graph.run(
      graph.add("MatMul", {graph.input(a), right}, {{"transpose_b", how.transpose_b}}));
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.size_bytes() == b.size_bytes() &&
         std::memcmp(a.raw_data(), b.raw_data(), a.size_bytes()) == 0;
}

struct Sizes {
  std::int64_t k, n;
};

TEST(MatMulTest, ARowHasTheSameBitsInAnyBatchAndWithAnyThreads) {
  for (const auto& [k, n] :
       {Sizes{64, 64}, Sizes{65, 64}, Sizes{768, 300}, Sizes{300, 1001}, Sizes{2048, 10},
        Sizes{33, 257}, Sizes{1000, 1001}, Sizes{1500, 256}, Sizes{900, 350}}) {
    const Tensor a = noise({150, k});
    const Tensor b = noise({k, n});
    const Tensor all = product(a, b, {.threads = 2});
    EXPECT_TRUE(same_bits(all, product(a, b, {.threads = 1})));
    for (const bool constant : {false, true}) {
      for (const std::int64_t m : {1, 2, 3, 5, 8, 13, 16, 31, 64, 65, 100}) {
        for (const std::int64_t first : {std::int64_t{0}, 150 - m}) {
          const Tensor some =
              product(a.rows(first, first + m), b, {.b_is_constant = constant, .threads = 2});
          EXPECT_TRUE(same_bits(some, all.rows(first, first + m)))
              << k << " x " << n << ": " << m << " rows from " << first
              << (constant ? ", packed" : "");
        }
      }
    }
  }
}

TEST(MatMulTest, LargeProductsAreRight) {
  for (const auto& [k, n] : {Sizes{300, 600}, Sizes{1000, 40}, Sizes{9, 3000}}) {
    const Tensor a = noise({70, k});
    const Tensor b = noise({k, n});
    Tensor flipped(kFloat, Shape{n, k});
    Tensor expected(kFloat, Shape{70, n});
    for (std::int64_t j = 0; j < n; ++j) {
      for (std::int64_t p = 0; p < k; ++p) {
        flipped.mutable_data<float>()[j * k + p] = b.data<float>()[p * n + j];
      }
      for (std::int64_t i = 0; i < 70; ++i) {
        double sum = 0;
        for (std::int64_t p = 0; p < k; ++p) {
          sum += double{a.data<float>()[i * k + p]} * double{b.data<float>()[p * n + j]};
        }
        expected.mutable_data<float>()[i * n + j] = static_cast<float>(sum);
      }
    }
    constexpr double kRounding = 1e-4;  // of a thousand terms up to 1
    for (const bool constant : {false, true}) {
      EXPECT_THAT(product(a, b, {.b_is_constant = constant}), is_near(expected, kRounding));
      EXPECT_THAT(product(a, flipped, {.b_is_constant = constant, .transpose_b = true}),
                  is_near(expected, kRounding));
    }
  }
}

TEST(MatMulTest, ShapesFollowBothSides) {
  EXPECT_EQ(infer("MatMul", "[?,3];[3,4]"), "[?,4]");
  EXPECT_EQ(infer("MatMul", "[3,2];[4,3]", {{"transpose_a", true}, {"transpose_b", true}}),
            "[2,4]");
  EXPECT_EQ(infer("MatMul", "?;?"), "[?,?]");
  EXPECT_EQ(infer("BatchMatMulV2", "[5,1,2,3];[7,3,?]"), "[5,7,2,?]");
  EXPECT_THAT(error_of([] { infer("MatMul", "[2,3];[4,5]"); }), HasSubstr("inner dimensions"));
}

TEST(EinsumTest, ShapesAreKnownAsFarAsTheInputsAre) {
  const auto shape = [](std::string_view inputs, const char* equation) {
    return infer("Einsum", inputs, {{"N", 2}, {"equation", equation}});
  };
  EXPECT_EQ(shape("[?,2,3];[3,4]", "...ij,jk->...ik"), "[?,2,4]");
  EXPECT_EQ(shape("?;[3,4]", "...ij,jk->...ik"), "?");
  EXPECT_EQ(shape("?;[3,4]", "ij,jk->ik"), "[?,4]");
  EXPECT_THAT(error_of([&] { shape("[2,3];[4,5]", "ij,jk->ik"); }), HasSubstr("one size"));
}

TEST(EinsumTest, WrongEquationsAreErrors) {
  const auto error = [](const char* equation) {
    return error_of([&] { infer("Einsum", "[2,3];[3,4]", {{"N", 2}, {"equation", equation}}); });
  };
  EXPECT_THAT(error("ij,jk"), HasSubstr("exactly one '->'"));
  EXPECT_THAT(error("ij->ij"), HasSubstr("one or two inputs"));
  EXPECT_THAT(error("ij,jk->il"), HasSubstr("one of an input"));
  EXPECT_THAT(error("i..j,jk->ik"), HasSubstr("one ellipsis"));
  EXPECT_THAT(error("...j,jk->jk"), HasSubstr("must have an ellipsis"));
}

TEST(DiagonalTest, ShapesFollowTheDiagonals) {
  EXPECT_EQ(infer("MatrixDiag", "[2,3]"), "[2,3,3]");
  EXPECT_EQ(infer("MatrixDiagPartV3", "[5,3,4];[2];[]", {}, {{1, ints({2}, {-1, 1})}}), "[5,3,3]");
  EXPECT_EQ(infer("MatrixDiagPartV3", "[5,3,4];[2];[]"), "?");
  EXPECT_EQ(infer("MatrixSetDiagV3", "[?,3,4];?;[]"), "[?,3,4]");
}

TEST(DecompositionTest, InverseTimesMatrixIsTheIdentity) {
  const Tensor x = floats({2, 2}, {0, 2, 4, 1});  // needs an exchange of rows
  const Tensor inverse = run("MatrixInverse", {x})[0];
  EXPECT_THAT(run("MatMul", {x, inverse})[0], is_near(floats({2, 2}, {1, 0, 0, 1}), 1e-6));
}

TEST(DecompositionTest, FactorsMultiplyToTheMatrix) {
  for (const Shape& shape : {Shape{30, 20}, Shape{20, 30}}) {
    const Tensor x = noise(shape);
    const auto qr = run("Qr", {x});
    EXPECT_THAT(run("MatMul", {qr[0], qr[1]})[0], is_near(x, 1e-5));
    const auto svd = run("Svd", {x});
    const Tensor scaled = run("MatMul", {svd[1], run("Diag", {svd[0]})[0]})[0];
    EXPECT_THAT(run("MatMul", {scaled, svd[2]}, {{"transpose_b", true}})[0], is_near(x, 1e-5));
  }
}

TEST(DecompositionTest, MatricesThatCannotBeSolvedAreErrors) {
  const Tensor singular = floats({2, 2}, {1, 2, 2, 4});
  const auto code = [](std::string_view op, const std::vector<Tensor>& inputs) {
    return error_code_of([&] { run(op, inputs); });
  };
  EXPECT_EQ(code("MatrixInverse", {singular}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code("Lu", {singular}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code("Cholesky", {floats({2}, {1, 2})}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code("MatrixSolve", {singular, floats({2, 1}, {1, 2})}), ErrorCode::kInvalidArgument);
}

TEST(DecompositionTest, VectorsThatNobodyAskedForAreAScalar) {
  const Tensor x = floats({2, 2}, {2, 0, 0, 3});
  EXPECT_EQ(run("Svd", {x}, {{"compute_uv", false}})[1].shape(), Shape{});
  EXPECT_EQ(run("SelfAdjointEigV2", {x}, {{"compute_v", false}})[1].shape(), Shape{});
}

TEST(DecompositionTest, NotFiniteMatricesGiveNaN) {
  const Tensor x = floats({2, 2}, {std::numeric_limits<float>::infinity(), 1, 1, 2});
  EXPECT_TRUE(std::isnan(run("Svd", {x})[0].data<float>()[0]));
  EXPECT_TRUE(std::isnan(run("MatrixSquareRoot", {x})[0].data<float>()[0]));
}

}  // namespace
}  // namespace hub::testing
