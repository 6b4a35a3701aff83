#include <gmock/gmock.h>

#include "base/errors.h"
#include "hub/hub.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;

std::string zoo(const std::string& name) {
  return cat(TF1HUB_TEST_DATA_DIR, "/zoo/", name, "/module");
}

template <class Body>
Error error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::kUnknown, "no error");
}

TEST(LoadTest, AModuleIsAFunction) {
  const Function f = load(zoo("half_plus_two"));
  const Tensor y = f(make_vector<float>({10, 3}));
  EXPECT_EQ(y.data<float>()[0], 7);
  EXPECT_EQ(f({{"default", make_scalar(4.0f)}}).scalar<float>(), 4);
}

TEST(LoadTest, SignaturesAreListedAndCalled) {
  const Function f = load(zoo("multi_signature"), {.signature = "mul"});
  EXPECT_THAT(f.signatures(),
              ElementsAre(Key("default"), Key("fruit_to_pet"), Key("mul"), Key("with:colon")));
  const Tensor x = make_tensor<float>({1, 3}, {1, 2, 3});
  EXPECT_THAT(f.call({{"x", x}, {"y", x}}),
              ElementsAre(Key("default"), Key("product"), Key("sum")));
  EXPECT_THAT(f.call({{"default", x}}, "default"), ElementsAre(Key("default")));
}

TEST(LoadTest, OneTensorNeedsASignatureWithOneInput) {
  const Error several =
      error_of([] { load(zoo("multi_signature"), {.signature = "mul"})(make_scalar(1.0f)); });
  EXPECT_EQ(several.kind(), ErrorKind::kType);
  EXPECT_THAT(several.what(), HasSubstr("Signature expects multiple inputs. Use a dict."));
  const Error none = error_of([] { load(zoo("dtypes"))(make_scalar(1.0f)); });
  EXPECT_THAT(none.what(), HasSubstr("expects no inputs"));
}

TEST(LoadTest, WithoutADefaultOutputCallGivesAll) {
  const Function f = load(zoo("dtypes"));
  const Error error = error_of([&] { f(TensorMap{}); });
  EXPECT_EQ(error.kind(), ErrorKind::kType);
  EXPECT_THAT(error.what(), HasSubstr("as_dict=True"));
  EXPECT_TRUE(f.call({}).contains("bfloat16"));
}

TEST(LoadTest, FetchesTensorsOfTheGraph) {
  const Function f = load(zoo("half_plus_two"));
  EXPECT_EQ(f.run({{"mul:0", make_scalar(1.0f)}}, {"add:0"}).at("add:0").scalar<float>(), 3);
}

TEST(LoadTest, WhatCannotBeLoadedSaysWhy) {
  EXPECT_EQ(error_of([] { load("no/such/folder"); }).kind(), ErrorKind::kIo);
  const LoadOptions offline = {.resolve = {.offline = true}};
  EXPECT_EQ(error_of([&] { load("https://tf1hub.invalid/x/1", offline); }).kind(), ErrorKind::kIo);
  EXPECT_EQ(error_of([] { load(zoo("half_plus_two"), {.signature = "other"}); }).kind(),
            ErrorKind::kValue);
  EXPECT_EQ(error_of([] { load(zoo("half_plus_two"), {.tags = {"train"}}); }).kind(),
            ErrorKind::kValue);
}

}  // namespace
}  // namespace hub::testing
