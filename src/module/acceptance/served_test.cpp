// Modules behind a server on loopback, and on file:// paths.

#include <filesystem>

#include "module/acceptance/acceptance.h"
#include "resolve/testing.h"
#include "resolve/testing_server.h"

namespace hub::testing {
namespace {

class Served : public ::testing::Test {
 protected:
  Served() {
    module_ = folder_.path() + "/module";
    export_fresh(simple_spec(kFloat, {}, [](const Output& x) { return ops::square(x); }), module_);
    Tar tar;
    for (const char* name : {"assets", "variables"}) tar.directory(name);
    for (const std::string& file : list_files_recursively(module_))
      tar.add(file, read_file(module_ + "/" + file));
    archive_ = tar.finished();
  }
  ~Served() override { ::unsetenv("TFHUB_CACHE_DIR"); }

  void set_cache(const std::string& path) { ::setenv("TFHUB_CACHE_DIR", path.c_str(), 1); }
  std::string handle() const { return server_.url("/module.tgz"); }

  TempDirectory folder_;
  std::string module_;
  std::string archive_;
  TestServer server_{
      [this](const TestServer::Request& request) { return TestServer::file(request, archive_); }};
};

float squared(const std::string& handle) {
  const Graph graph;
  const Output y = Module(graph, handle)(11.0F);
  Session session(graph);
  session.initialize();
  return session.run(y).scalar<float>();
}

TEST_F(Served, E01_ADownloadedModule) {
  set_cache(folder_.path() + "/cache");
  EXPECT_EQ(squared(handle()), 121);
  const std::string other = folder_.path() + "/other";
  set_cache("file://" + other);
  EXPECT_EQ(squared(handle()), 121);
  const std::vector<std::string> names = list_directory(other);
  ASSERT_EQ(names.size(), 2u);
  EXPECT_TRUE(names[1].ends_with(".descriptor.txt"));
  EXPECT_THAT(
      list_directory(other + "/" + names[0]),
      ::testing::IsSupersetOf({"assets", "saved_model.pb", "tfhub_module.pb", "variables"}));
}

TEST_F(Served, E02_FileUrls) {
  const std::string vocabulary = folder_.path() + "/tokens.txt";
  write_file_atomically(vocabulary, "bald\nlake\npalmer\n");
  const std::string target = folder_.path() + "/exported";
  export_fresh(create_module_spec([&](ModuleBuilder& b) {
                 const Graph& graph = b.graph();
                 const Output x = b.placeholder(kInt64, {-1});
                 const Output path = ops::constant(graph, "file://" + vocabulary, kString);
                 graph.add_to_collection(Collections::kAssetFilepaths, path);
                 const Operation table =
                     graph.op("HashTableV2", {}, {{"key_dtype", kInt64}, {"value_dtype", kString}});
                 graph.add_to_collection(Collections::kTableInitializers,
                                         graph.op("InitializeTableFromTextFileV2", {table, path},
                                                  {{"key_index", -1}, {"value_index", -2}}));
                 b.add_signature(
                     {.inputs = {{"x", x}},
                      .outputs = {{"default", graph.op("LookupTableFindV2", {table, x, "UNK"})}}});
               }),
               "file://" + target);
  EXPECT_THAT(list_directory(target),
              ElementsAre("assets", "saved_model.pb", "tfhub_module.pb", "variables"));
  EXPECT_THAT(list_directory(target + "/assets"), ElementsAre("tokens.txt"));
  std::filesystem::remove(vocabulary);
  EXPECT_THAT(texts(load("file://" + target)(make_vector<std::int64_t>({1}))), ElementsAre("lake"));
}

TEST_F(Served, E03_E05_ResolveAndLoad) {
  set_cache(folder_.path() + "/cache");
  const std::string path = resolve(handle());
  EXPECT_TRUE(path.starts_with(folder_.path() + "/cache/")) << path;
  EXPECT_THAT(list_directory(path), ::testing::IsSupersetOf({"assets", "saved_model.pb",
                                                             "tfhub_module.pb", "variables"}));
  EXPECT_EQ(load(handle())(make_scalar(11.0f)).scalar<float>(), 121);
}

}  // namespace
}  // namespace hub::testing
