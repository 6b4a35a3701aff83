// Exports that are cut off, and exports that real TensorFlow reads (skipped where it is absent).

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <random>
#include <thread>

#include "module/acceptance/acceptance.h"

namespace hub::testing {
namespace {

// All that modules can hold: variables of both kinds, whole and in parts, a table with an asset,
// loops and conditionals, sparse and ragged values, penalties and update operations, messages.
void everything(ModuleBuilder& b, const std::string& vocabulary) {
  const Graph& graph = b.graph();
  const bool training = b.argument("is_training", false);
  const Output x = b.placeholder(kFloat, {-1, 3}, "x");
  const Variable kernel =
      get_variable(graph, "kernel", {3, 2},
                   {.initializer = init::constant(make_tensor<float>({3, 2}, {1, 2, 3, 4, 5, 6})),
                    .regularizer = regularize::l2(0.5)});
  const Variable bias =
      get_variable(graph, "bias", {2}, {.initializer = init::zeros(), .use_resource = false});
  const Variable count = get_variable(
      graph, "count", Shape{}, {.dtype = kInt64, .initializer = init::zeros(), .trainable = false});
  if (training) graph.add_to_collection(Collections::kUpdateOps, count.assign_add(1));
  const Variable big = get_variable(
      graph, "big", {5, 2}, {.initializer = init::ones(), .partitioner = partition::fixed_size(2)});
  const Output dense = ops::matmul(x, kernel) + bias + ops::reduce_sum(Output(big), 0);
  const auto loop = while_loop(
      graph, [](const std::vector<Output>& v) { return ops::less(v[0], 3); },
      [&](const std::vector<Output>& v) {
        return std::vector<Output>{v[0] + 1, v[1] * 2.0F + bias};
      },
      {0, dense});
  const Output chosen = cond(
      ops::greater(ops::reduce_sum(x), 0), [&] { return ops::identity(loop[1]); },
      [&] { return loop[1] * 0.5F; });
  b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", chosen}, {"hidden", dense}}});

  const Output words = b.placeholder(kString, {-1}, "words");
  const Output path = ops::constant(graph, vocabulary, kString, "vocabulary");
  graph.add_to_collection(Collections::kAssetFilepaths, path);
  const Operation table =
      graph.op("HashTableV2", {}, {{"key_dtype", kString}, {"value_dtype", kInt64}}, "table");
  graph.add_to_collection(
      Collections::kTableInitializers,
      graph.op("InitializeTableFromTextFileV2", {table, path},
               {{"key_index", -2}, {"value_index", -1}, {"vocab_size", -1}, {"delimiter", "\t"}}));
  b.add_signature(
      {.name = "lookup",
       .inputs = {{"words", words}},
       .outputs = {{"default", graph.op("LookupTableFindV2",
                                        {table, words, Tensor(make_scalar<std::int64_t>(-1))})}}});

  const SparseValue sparse = b.sparse_placeholder(kFloat, {-1, -1}, "sparse");
  b.add_signature({.name = "sparse",
                   .inputs = {{"x", sparse}},
                   .outputs = {{"default", SparseValue{sparse.indices, sparse.values * 2,
                                                       sparse.dense_shape}}}});
  const RaggedValue ragged = b.ragged_placeholder(kFloat, 1, PartialShape::scalar(), "ragged");
  b.add_signature({.name = "ragged",
                   .inputs = {{"x", ragged}},
                   .outputs = {{"default", RaggedValue{ragged.values * 3, ragged.row_splits}}}});
  b.attach_message("note", "hello");
  b.attach_image_size(8, 9);
}

ModuleSpec everything_spec(const std::string& folder) {
  const std::string vocabulary = folder + "/words.txt";
  write_file_atomically(vocabulary, "bald\nlake\npalmer\n");
  return create_module_spec(
      [&](ModuleBuilder& b) { everything(b, vocabulary); },
      {.variants = {{}, {.tags = {"train"}, .arguments = {{"is_training", true}}}}});
}

TEST(ExportTest, AKilledExportIsWholeOrAbsent) {
  const TempDirectory folder;
  const ModuleSpec spec = everything_spec(folder.path());
  export_fresh(spec, folder.path() + "/stored");
  const ModuleSpec stored = load_module_spec(folder.path() + "/stored");
  std::mt19937 random(1);
  int complete = 0;
  constexpr int kTimes = 300;
  for (int i = 0; i < kTimes; ++i) {
    const std::string target = folder.path() + "/target" + std::to_string(i);
    const pid_t child = fork();
    if (child == 0) {
      try {
        stored.export_to(target);
      } catch (...) {
        _exit(1);
      }
      _exit(0);
    }
    usleep(std::uniform_int_distribution<useconds_t>(0, 6000)(random));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    if (!path_exists(target)) continue;
    ++complete;
    EXPECT_EQ(list_files_recursively(target), list_files_recursively(folder.path() + "/stored"));
    EXPECT_EQ(load(target)(make_tensor<float>({1, 3}, {1, 1, 1})).shape(), Shape({1, 2}));
    std::filesystem::remove_all(target);
  }
  EXPECT_LE(complete, kTimes);
}

TEST(ExportTest, ExportingTwiceIsRefusedAndKeepsTheFirst) {
  const TempDirectory folder;
  const ModuleSpec spec = everything_spec(folder.path());
  export_fresh(spec, folder.path() + "/module");
  const std::string before = read_file(folder.path() + "/module/saved_model.pb");
  const Error error = error_of([&] { export_fresh(spec, folder.path() + "/module"); });
  EXPECT_EQ(error.code(), ErrorCode::kAlreadyExists);
  EXPECT_EQ(read_file(folder.path() + "/module/saved_model.pb"), before);
}

TEST(ExportTest, AVariantsVariablesMustHaveValues) {
  const ModuleSpec spec = create_module_spec(
      [](ModuleBuilder& b) {
        const Output x = b.placeholder(kFloat);
        Output y = x;
        if (b.argument("extra", false)) y = x * get_variable(b.graph(), "extra", Shape{});
        b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", y}}});
      },
      {.variants = {{}, {.tags = {"train"}, .arguments = {{"extra", true}}}}});
  const TempDirectory folder;
  const Error error = error_of([&] { export_fresh(spec, folder.path() + "/module"); });
  EXPECT_EQ(error.code(), ErrorCode::kFailedPrecondition);
  EXPECT_THAT(error.message(), HasSubstr("extra"));
  EXPECT_FALSE(path_exists(folder.path() + "/module"));
}

// tests/tensorflow/hub_module.py loads, applies, trains and exports it.
TEST(ExportTest, TensorFlowContinuesWithWhatWeExport) {
  const char* python = std::getenv("TF1HUB_TENSORFLOW_PYTHON");
  if (python == nullptr) GTEST_SKIP() << "TF1HUB_TENSORFLOW_PYTHON names no Python";
  const TempDirectory folder;
  const std::string& root = folder.path();
  export_fresh(everything_spec(root), root + "/ours");
  std::filesystem::remove(root + "/words.txt");
  const std::string command =
      cat("'", python, "' '", TF1HUB_SOURCE_DIR, "/tests/tensorflow/hub_module.py' '", root,
          "/ours' '", root, "/theirs' > '", root, "/log' 2>&1");
  const int status = std::system(command.c_str());
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
    GTEST_SKIP() << python << " has no TensorFlow";
  ASSERT_EQ(status, 0) << read_file(root + "/log");
  // What it trained and exported: the values that it wrote beside the module.
  const Tensor x = make_tensor<float>({1, 3}, {1, 2, 3});
  const std::string expected = read_file(root + "/theirs.txt");
  std::string got;
  const Tensor values = load(root + "/theirs")(x);
  for (const float value : values.values<float>()) {
    char text[32];
    std::snprintf(text, sizeof text, "%.4g ", static_cast<double>(value));
    got += text;
  }
  EXPECT_EQ(got, expected);
  const ModuleSpec theirs = load_module_spec(root + "/theirs");
  EXPECT_EQ(theirs.attached_message("note"), "hello");
  EXPECT_EQ(expected_image_size(theirs), (ImageSize{8, 9}));
  EXPECT_EQ(theirs.tags().size(), 2u);
}

TEST(LoadTest, CallsFromManyThreadsKeepMemoryFlat) {
  const Function f = load(cat(TF1HUB_TEST_DATA_DIR, "/zoo/half_plus_two/module"));
  const Tensor x = make_vector<float>({10, 3});
  const auto resident_kilobytes = [] {
    const std::string status = read_file("/proc/self/status");
    return std::atol(status.c_str() + status.find("VmRSS:") + 6);
  };
  const auto call_often = [&](int times) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 16; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < times; ++i) EXPECT_EQ(f(x).values<float>()[0], 7);
      });
    }
    for (std::thread& thread : threads) thread.join();
  };
  call_often(500);
  const long before = resident_kilobytes();
  call_often(5000);
  EXPECT_LT(resident_kilobytes(), before + 4096);
}

}  // namespace
}  // namespace hub::testing
