#include "module/signature.h"

#include <gmock/gmock.h>

#include "base/errors.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TensorInfo dense(const std::string& name, DType dtype, PartialShape shape) {
  TensorInfo info;
  info.encoding = DenseEncoding{name};
  info.dtype = dtype;
  info.shape = std::move(shape);
  return info;
}

TensorInfo sparse(const std::string& name, DType dtype, PartialShape shape) {
  TensorInfo info = dense(name, dtype, std::move(shape));
  info.encoding = SparseEncoding{name + "/v:0", name + "/i:0", name + "/s:0", ""};
  return info;
}

TensorInfo composite(int type_class, const std::string& class_name,
                     std::vector<StructuredValue> state, int components) {
  CompositeEncoding encoding;
  encoding.type_spec.type_class = type_class;
  encoding.type_spec.class_name = class_name;
  encoding.type_spec.state =
      std::make_shared<StructuredValue>(StructuredValue{TupleValue{std::move(state)}});
  for (int i = 0; i < components; ++i) {
    encoding.components.push_back(dense(cat("part", i, ":0"), kFloat, {}));
  }
  TensorInfo info;
  info.encoding = std::move(encoding);
  return info;
}

TensorInfo ragged(PartialShape shape, std::int64_t ragged_rank) {
  return composite(kRaggedTensorSpec, "RaggedTensorSpec",
                   {{std::move(shape)}, {kFloat}, {ragged_rank}, {kInt64}},
                   static_cast<int>(ragged_rank) + 1);
}

BoundSignature signature(std::map<std::string, TensorInfo> inputs) {
  SignatureDef definition;
  definition.inputs = std::move(inputs);
  return bind_signature("default", definition);
}

// The error of calling the signature: kind and text.
std::string error_of(const BoundSignature& bound, const TensorMap& inputs) {
  try {
    bind_inputs(bound, inputs);
  } catch (const Error& error) {
    return cat(error.kind() == ErrorKind::kType ? "type: " : "value: ", error.what());
  }
  return "no error";
}

TEST(SignatureTest, PartsAreNamedAfterTheirValue) {
  EXPECT_THAT(part_names("x", {}), ElementsAre("x"));
  EXPECT_THAT(part_names("x", {.kind = ValueKind::kSparse}),
              ElementsAre("x/indices", "x/values", "x/dense_shape"));
  EXPECT_THAT(part_names("x", {.kind = ValueKind::kRagged, .ragged_rank = 1}),
              ElementsAre("x/values", "x/row_splits"));
  EXPECT_THAT(part_names("x", {.kind = ValueKind::kRagged, .ragged_rank = 2}),
              ElementsAre("x/values", "x/row_splits_0", "x/row_splits_1"));
}

TEST(SignatureTest, AnAbsentShapeIsAScalarsButAnOperationHasNone) {
  TensorInfo scalar = dense("x:0", kFloat, {});
  scalar.shape.reset();
  TensorInfo operation = dense("init", DType::kInvalid, {});
  operation.shape.reset();
  const Signature info = signature({{"x", scalar}, {"op", operation}}).info();
  EXPECT_EQ(info.inputs.at("x").shape, PartialShape(Shape{}));
  EXPECT_EQ(info.inputs.at("op").shape, PartialShape());
}

TEST(SignatureTest, ASparseTypeMayBeWrittenAsComposite) {
  const auto bound = signature({{"x", composite(kSparseTensorSpec, "SparseTensorSpec",
                                                {{PartialShape{-1, 4}}, {kInt64}}, 3)}});
  EXPECT_EQ(to_string(bound.inputs.at("x").info), "sparse int64 [?,4]");
  EXPECT_THAT(bound.inputs.at("x").tensors, ElementsAre("part0:0", "part1:0", "part2:0"));
}

TEST(SignatureTest, OtherCompositesFailWhenTheyAreCalled) {
  const auto bound = signature({{"x", composite(2, "IndexedSlicesSpec", {}, 2)}});
  EXPECT_THAT(error_of(bound, {{"x", make_scalar(1.0f)}}),
              HasSubstr("value: Signature 'default' expects a IndexedSlices for input 'x', which "
                        "is not supported"));
}

TEST(SignatureTest, InputsAreExactlyTheDeclaredOnes) {
  const auto bound = signature({{"a", dense("a:0", kFloat, {})}, {"b", dense("b:0", kFloat, {})}});
  EXPECT_THAT(error_of(bound, {{"b", make_scalar(1.0f)}, {"d", make_scalar(1.0f)}}),
              HasSubstr("type: The inputs are not those of signature 'default'. Details: missing "
                        "['a'], extra given ['d']."));
}

TEST(SignatureTest, DTypesMustBeEqualAndShapesCompatible) {
  const auto bound = signature({{"x", dense("x:0", kFloat, PartialShape{-1, 2})}});
  EXPECT_EQ(error_of(bound, {{"x", Tensor(kFloat, {7, 2})}}), "no error");
  EXPECT_THAT(error_of(bound, {{"x", Tensor(kDouble, {7, 2})}}),
              HasSubstr("value: Input 'x' is of another dtype"));
  EXPECT_THAT(error_of(bound, {{"x", Tensor(kFloat, {2})}}),
              HasSubstr("type: Input 'x' does not fit its signature. Got float32 [2]. Expected "
                        "float32 [?,2]."));
}

TEST(SignatureTest, KindsOfValuesAreTold) {
  const auto dense_only = signature({{"x", dense("x:0", kFloat, {})}});
  EXPECT_THAT(error_of(dense_only, {{"x/indices", Tensor(kInt64, {0, 1})},
                                    {"x/values", Tensor(kFloat, {0})},
                                    {"x/dense_shape", Tensor(kInt64, {1})}}),
              HasSubstr("Got SparseTensor. Expected Tensor."));
  const auto ragged_only = signature({{"x", ragged({-1, -1}, 1)}});
  EXPECT_THAT(error_of(ragged_only, {{"x", Tensor(kFloat, {0})}}),
              HasSubstr("Got Tensor. Expected RaggedTensor."));
}

TEST(SignatureTest, SparsePartsAgreeWithEachOther) {
  const auto bound = signature({{"x", sparse("x", kFloat, PartialShape{-1, 4})}});
  const auto call = [&](Shape indices, Shape values, std::int64_t width) {
    return error_of(bound, {{"x/indices", Tensor(kInt64, std::move(indices))},
                            {"x/values", Tensor(kFloat, std::move(values))},
                            {"x/dense_shape", make_vector<std::int64_t>({3, width})}});
  };
  EXPECT_EQ(call({5, 2}, {5}, 4), "no error");
  EXPECT_THAT(call({5, 2}, {4}, 4), HasSubstr("type: A sparse input has indices [n,rank]"));
  EXPECT_THAT(call({5, 2}, {5}, 3), HasSubstr("Got sparse float32 [3,3]. Expected sparse"));
  EXPECT_THAT(call({5, 2}, {5}, -4), HasSubstr("no negative dimensions"));
  EXPECT_THAT(error_of(bound, {{"x/indices", Tensor(kInt64, {5, 2})}}),
              HasSubstr("missing ['x/dense_shape', 'x/values']"));
}

TEST(SignatureTest, RaggedShapesCountRowsAndInnerDimensions) {
  const auto bound = signature({{"x", ragged({2, -1, 3}, 1)}});
  const auto call = [&](Shape values, Shape splits) {
    return error_of(bound, {{"x/values", Tensor(kFloat, std::move(values))},
                            {"x/row_splits", Tensor(kInt64, std::move(splits))}});
  };
  EXPECT_EQ(call({9, 3}, {3}), "no error");
  EXPECT_THAT(call({9, 4}, {3}), HasSubstr("type: Input 'x' does not fit"));
  EXPECT_THAT(call({9, 3}, {4}), HasSubstr("type: Input 'x' does not fit"));
  EXPECT_THAT(call({9, 3}, {0}), HasSubstr("Row splits are a vector that is not empty"));
  EXPECT_THAT(call({}, {3}), HasSubstr("are no scalar"));
}

TEST(SignatureTest, TheDefaultIsServingDefaultWhereOnlyThatIsThere) {
  EXPECT_EQ(default_signature_name({{"serving_default", {}}}), "serving_default");
  EXPECT_EQ(default_signature_name({{"default", {}}, {"serving_default", {}}}), "default");
  EXPECT_EQ(default_signature_name({}), "default");
}

}  // namespace
}  // namespace hub::testing
