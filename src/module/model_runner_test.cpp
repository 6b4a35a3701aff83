#include "module/model_runner.h"

#include <gmock/gmock.h>

#include <thread>

#include "base/errors.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::UnorderedElementsAre;

ModuleFiles zoo(const std::string& name) {
  return open_model_files(cat(TF1HUB_TEST_DATA_DIR, "/zoo/", name, "/module"));
}

std::vector<float> floats(const Tensor& tensor) {
  return {tensor.values<float>().begin(), tensor.values<float>().end()};
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

TEST(ModelRunnerTest, CallsASignature) {
  const ModelRunner runner(zoo("half_plus_two"));
  EXPECT_THAT(
      floats(runner.call("default", {{"default", make_vector<float>({10, 3})}}).at("default")),
      ElementsAre(7, 3.5f));
}

TEST(ModelRunnerTest, CallsShareState) {
  const ModelRunner runner(zoo("counter"));
  const TensorMap inputs = {{"x", make_tensor<float>({1, 2}, {1, 2})}};
  const auto count = [&] { return runner.call("look", {}).at("n").scalar<std::int64_t>(); };
  const std::int64_t before = count();
  runner.call("default", inputs);
  runner.call("default", inputs);
  EXPECT_EQ(count(), before + 2);
  EXPECT_EQ(runner.variable("n").scalar<std::int64_t>(), before + 2);
}

TEST(ModelRunnerTest, MemoryIsKnownBeforeARun) {
  for (const char* name : {"inception_v3_feature_vector", "mobilenet_v2_feature_vector"}) {
    const ModelRunner runner(zoo(name), {.engine = {.threads = 1}});
    TensorMap inputs;
    for (const auto& [key, value] : runner.signature("default").inputs) {
      std::vector<std::int64_t> dims;
      for (const std::int64_t dim : value.info.shape.dims())
        dims.push_back(dim >= 0 ? dim : dims.empty() ? 2 : 96);
      Tensor images(kFloat, Shape(dims));
      for (float& pixel : images.mutable_values<float>()) pixel = 0.5f;
      inputs.emplace(key, std::move(images));
    }
    const MemoryEstimate estimate = runner.estimate_memory("default", inputs);
    EXPECT_EQ(estimate.unknown_values, 0) << name;
    const std::size_t before = runner.engine().peak_bytes();
    runner.call("default", inputs);
    const auto real = static_cast<double>(runner.engine().peak_bytes());
    EXPECT_GT(real, static_cast<double>(before));
    EXPECT_GE(static_cast<double>(estimate.peak_bytes), real * 0.8) << name;
    EXPECT_LE(static_cast<double>(estimate.peak_bytes), real * 2) << name;
  }
}

TEST(ModelRunnerTest, ComputesOnlyTheWantedOutputs) {
  const ModelRunner runner(zoo("counter"));
  const TensorMap inputs = {{"x", make_tensor<float>({1, 2}, {1, 2})}};
  EXPECT_THAT(runner.call("default", inputs, {.outputs = std::set<std::string>{"default"}}),
              UnorderedElementsAre(Key("default")));
  EXPECT_THAT(runner.call("default", inputs, {.outputs = std::set<std::string>{}}), IsEmpty());
}

TEST(ModelRunnerTest, FeedsAndFetchesTensorsOfTheGraph) {
  const ModelRunner runner(zoo("half_plus_two"));
  const TensorMap outputs = runner.call(
      "default", {{"default", make_scalar(8.0f)}},
      {.feeds = {{"mul:0", make_scalar(100.0f)}}, .fetches = {"b/Read/ReadVariableOp:0"}});
  EXPECT_EQ(outputs.at("default").scalar<float>(), 102);
  EXPECT_EQ(outputs.at("b/Read/ReadVariableOp:0").scalar<float>(), 2);
  EXPECT_EQ(error_of([&] { runner.run({.fetches = {"nowhere:0"}}); }).code(), ErrorCode::kNotFound);
}

TEST(ModelRunnerTest, PartitionedVariablesAreOne) {
  const ModelRunner runner(zoo("partitioned"));
  const Tensor big = runner.variable("big");
  EXPECT_EQ(big.shape(), Shape({11, 3}));
  Tensor other(kFloat, {11, 3});
  for (float& value : other.mutable_values<float>()) value = 2;
  runner.set_variable("big", other);
  EXPECT_EQ(floats(runner.variable("big")), floats(other));
  const Error error = error_of([&] { runner.set_variable("big", Tensor(kFloat, {10, 3})); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([&] { runner.variable("small"); }).kind(), ErrorKind::kKey);
}

TEST(ModelRunnerTest, GraphsAreChosenByTheirSetOfTags) {
  const ModuleFiles files = zoo("variants_shared");
  EXPECT_EQ(ModelRunner(files, {.tags = {"value", "double"}}).signatures().size(), 2U);
  const Error error = error_of([&] { ModelRunner(files, {.tags = {"serve"}}); });
  EXPECT_EQ(error.kind(), ErrorKind::kValue);
  EXPECT_THAT(error.what(), HasSubstr("No such graph variant: tags={serve}. Details: "));
  EXPECT_THAT(error.what(), HasSubstr("has {}, {train}, {double, value}."));
}

TEST(ModelRunnerTest, AnUnknownSignatureIsAValueError) {
  const ModelRunner runner(zoo("multi_signature"));
  const Error error = error_of([&] { runner.call("sum", {}); });
  EXPECT_EQ(error.kind(), ErrorKind::kValue);
  EXPECT_THAT(error.what(), HasSubstr("Signature 'sum' is missing from meta graph."));
}

TEST(ModelRunnerTest, ErrorsSayWhichSignatureOfWhichModel) {
  const ModelRunner runner(zoo("scalar_int"));
  const Error error = error_of([&] { runner.call("divide", {{"n", make_scalar(0)}}); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.context().back(), HasSubstr("while calling signature 'divide' of "));
}

// What a damaged copy of a module gives.
class DamagedModelTest : public ::testing::Test {
 protected:
  // The module with the stored variable `a` under another name, or as another tensor.
  std::string error_with(const std::string& name, const Tensor& value) const {
    ModuleFiles files = zoo("half_plus_two");
    const std::string prefix = temp_.path() + "/variables";
    BundleWriter writer(prefix);
    writer.add(name, value);
    writer.add("b", make_scalar(2.0f));
    writer.finish();
    files.checkpoint = std::make_shared<BundleReader>(prefix);
    return error_of([&] { ModelRunner runner(files); }).what();
  }

  TempDirectory temp_;
};

TEST_F(DamagedModelTest, VariablesMustBeStored) {
  EXPECT_THAT(error_with("z", make_scalar(0.5f)), HasSubstr("a is not found in "));
}

TEST_F(DamagedModelTest, ShapesMustAgree) {
  EXPECT_THAT(error_with("a", make_vector<float>({0.5f})),
              HasSubstr("Shape of variable a ([]) doesn't match with shape of tensor a ([1])"));
}

TEST_F(DamagedModelTest, DTypesMustAgree) {
  EXPECT_THAT(error_with("a", make_scalar(0.5)), HasSubstr("while restoring variable \"a\""));
}

TEST_F(DamagedModelTest, TheCheckpointMustBeThere) {
  ModuleFiles files = zoo("half_plus_two");
  files.checkpoint = nullptr;
  EXPECT_EQ(error_of([&] { ModelRunner runner(files); }).code(), ErrorCode::kNotFound);
  EXPECT_EQ(error_of([&] { ModelRunner(files, {.restore = false}); }).message(), "no error");
}

TEST_F(DamagedModelTest, ASignatureWithoutItsTensorFailsOnlyWhenCalled) {
  ModuleFiles files = zoo("half_plus_two");
  TensorInfo lost;
  lost.encoding = DenseEncoding{"lost:0"};
  lost.dtype = kFloat;
  files.model.meta_graphs[0].signatures["broken"].outputs["default"] = lost;
  const ModelRunner runner(files);
  EXPECT_EQ(runner.call("default", {{"default", make_scalar(2.0f)}}).size(), 1U);
  const Error error = error_of([&] { runner.call("broken", {}); });
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_THAT(error.what(), HasSubstr("in signature 'broken'"));
}

TEST(SeedTest, EqualSeedsGiveEqualNumbers) {
  const ModuleFiles files = zoo("random_ops");
  const auto draw = [&](std::optional<std::int64_t> seed) {
    const ModelRunner runner(files, {.seed = seed});
    return floats(runner.call("free", {{"n", make_scalar(4)}}).at("default"));
  };
  EXPECT_EQ(draw(7), draw(7));
  EXPECT_NE(draw(7), draw(8));
}

TEST(ModelRunnerTest, AnyThreadMayCall) {
  const ModelRunner runner(zoo("half_plus_two"));
  std::vector<std::jthread> threads;
  std::atomic<int> wrong = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < 100; ++k) {
        const auto x = static_cast<float>(i * 100 + k);
        const Tensor y = runner.call("default", {{"default", make_scalar(x)}}).at("default");
        if (y.scalar<float>() != x / 2 + 2) ++wrong;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace hub::testing
