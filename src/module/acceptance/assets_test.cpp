// Files that modules carry.

#include <filesystem>

#include "module/acceptance/acceptance.h"

namespace hub::testing {
namespace {

namespace fs = std::filesystem;

// index -> word by lines of a file; -1 for others.
Output lines_table(const Graph& graph, const std::string& file, const Output& keys) {
  const Output path = ops::constant(graph, file, kString, "vocabulary");
  graph.add_to_collection(Collections::kAssetFilepaths, path);
  const Operation table =
      graph.op("HashTableV2", {}, {{"key_dtype", kInt64}, {"value_dtype", kString}}, "table");
  const Operation fill =
      graph.op("InitializeTableFromTextFileV2", {table, path},
               {{"key_index", -1}, {"value_index", -2}, {"vocab_size", -1}, {"delimiter", "\t"}});
  graph.add_to_collection(Collections::kTableInitializers, fill);
  return graph.op("LookupTableFindV2", {table, keys, "UNK"});
}

std::string write_vocabulary(const std::string& folder, const std::string& name = "tokens.txt") {
  const std::string path = folder + "/" + name;
  fs::create_directories(folder);
  write_file_atomically(path, "bald\nlake\npalmer\n");
  return path;
}

ModuleSpec vocabulary_spec(const std::string& vocabulary, int tables = 1) {
  return create_module_spec([=](ModuleBuilder& b) {
    const Output x = b.placeholder(kInt64, {-1});
    Output y;
    for (int i = 0; i < tables; ++i) y = lines_table(b.graph(), vocabulary, x);
    b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", y}}});
  });
}

TEST(NativeStateTest, N54_Assets) {
  const TempDirectory folder;
  const std::string path = folder.path() + "/module";
  const std::string vocabulary = write_vocabulary(folder.path() + "/original");
  export_fresh(vocabulary_spec(vocabulary), path);
  EXPECT_THAT(list_directory(path + "/assets"), ElementsAre("tokens.txt"));
  fs::remove_all(folder.path() + "/original");
  const Graph graph;
  const Module m(graph, path);
  const Output y = m(make_vector<std::int64_t>({1, 2}));
  const auto assets = graph.collection(Collections::kAssetFilepaths);
  Session session(graph);
  session.initialize();
  EXPECT_THAT(texts(session.run(y)), ElementsAre("lake", "palmer"));
  ASSERT_EQ(assets.size(), 2u);
  for (const Output& asset : assets)
    EXPECT_EQ(session.run(asset).scalar<std::string>(), path + "/assets/tokens.txt");
}

TEST(NativeStateTest, N55_OneFileForTwoTables) {
  const TempDirectory folder;
  const std::string path = folder.path() + "/module";
  export_fresh(vocabulary_spec(write_vocabulary(folder.path() + "/original"), 2), path);
  EXPECT_THAT(list_directory(path + "/assets"), ElementsAre("tokens.txt"));
}

TEST(NativeStateTest, N56_NestedModulesWithAssets) {
  const TempDirectory folder;
  const std::string& root = folder.path();
  export_fresh(vocabulary_spec(write_vocabulary(root + "/original")), root + "/inner");
  fs::rename(root + "/inner", root + "/moved");
  const ModuleSpec outer = create_module_spec([&](ModuleBuilder& b) {
    const Module inner(b.graph(), root + "/moved");
    const Output x = b.placeholder(kInt64, {-1});
    b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", inner(x)}}});
  });
  export_fresh(outer, root + "/outer");
  fs::remove_all(root + "/moved");
  fs::remove_all(root + "/original");
  fs::rename(root + "/outer", root + "/elsewhere");
  const Graph graph;
  const Output y = Module(graph, root + "/elsewhere")(make_vector<std::int64_t>({1, 2}));
  Session session(graph);
  session.initialize();
  EXPECT_THAT(texts(session.run(y)), ElementsAre("lake", "palmer"));
}

TEST(SavedModelLibTest, A01_A02_A03_EqualNamesAreKeptApart) {
  const TempDirectory folder;
  const std::string& root = folder.path();
  write_vocabulary(root + "/a", "hello.txt");
  write_vocabulary(root + "/b", "hello.txt");
  write_file_atomically(root + "/b/hello.txt", "other\n");
  const ModuleSpec spec = create_module_spec([&](ModuleBuilder& b) {
    ValueMap outputs;
    for (const char* name : {"a", "b"}) {
      const Output path = ops::constant(b.graph(), cat(root, "/", name, "/hello.txt"), kString);
      b.graph().add_to_collection(Collections::kAssetFilepaths, path);
      outputs.emplace(name, path);
    }
    b.add_signature({.outputs = outputs});
  });
  export_fresh(spec, root + "/module");
  EXPECT_THAT(list_directory(root + "/module/assets"), ElementsAre("hello.txt", "hello.txt0"));
  const EvalFunction f(load_module_spec(root + "/module"));
  const TensorMap paths = f.call();
  EXPECT_EQ(read_file(paths.at("a").scalar<std::string>()), "bald\nlake\npalmer\n");
  EXPECT_EQ(read_file(paths.at("b").scalar<std::string>()), "other\n");
}

TEST(SavedModelLibTest, A04_ExportIsDeterministic) {
  const TempDirectory folder;
  const std::string& root = folder.path();
  const ModuleSpec spec = create_module_spec([&](ModuleBuilder& b) {
    ValueMap outputs;
    for (int i = 0; i < 10; ++i) {
      const std::string file = write_vocabulary(root + "/files", cat("asset_", i, ".txt"));
      const Output path = ops::constant(b.graph(), file, kString);
      b.graph().add_to_collection(Collections::kAssetFilepaths, path);
      outputs.emplace(cat("path", i), path);
    }
    b.add_signature({.outputs = outputs});
  });
  export_fresh(spec, root + "/one");
  export_fresh(spec, root + "/two");
  const std::vector<std::string> files = list_files_recursively(root + "/one");
  EXPECT_EQ(list_files_recursively(root + "/two"), files);
  for (const std::string& file : files)
    EXPECT_EQ(read_file(root + "/one/" + file), read_file(root + "/two/" + file)) << file;
}

}  // namespace
}  // namespace hub::testing
