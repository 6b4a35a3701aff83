// Whole modules by their handles: from a server, from an archive, through the library and the
// program.

#include <gmock/gmock.h>
#include <sys/wait.h>

#include <cstdlib>

#include "base/file.h"
#include "hub/module.h"
#include "hub/resolver.h"
#include "resolve/testing.h"
#include "resolve/testing_server.h"

namespace hub::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kModule = TF1HUB_TEST_DATA_DIR "/zoo/half_plus_two/module";

// x * x, as a SavedModel in text form.
constexpr std::string_view kSquare = R"(
saved_model_schema_version: 1
meta_graphs {
  meta_info_def { tags: "serve" }
  graph_def {
    node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }
    node { name: "y" op: "Mul" input: "x" input: "x" attr { key: "T" value { type: DT_FLOAT } } }
  }
  signature_def {
    key: "serving_default"
    value {
      inputs { key: "x" value { name: "x:0" dtype: DT_FLOAT tensor_shape { unknown_rank: true } } }
      outputs { key: "y" value { name: "y:0" dtype: DT_FLOAT tensor_shape { unknown_rank: true } } }
    }
  }
})";

std::string archive_of(const std::string& folder) {
  Tar tar;
  tar.directory("./");
  for (const auto& [path, content] : tree_of(folder)) tar.add("./" + path, content);
  return gzipped(tar.finished());
}

class Handles : public ::testing::Test {
 protected:
  Handles() { options_.resolve.config_file = "/dev/null"; }

  // Runs tf1hub; the outputs are read.
  int run(const std::string& arguments) {
    const std::string out = temp_.path() + "/stdout.txt";
    const std::string err = temp_.path() + "/stderr.txt";
    const int status =
        std::system(cat("'", TF1HUB_CLI, "' ", arguments, " >", out, " 2>", err).c_str());
    stdout_ = read_file(out);
    stderr_ = read_file(err);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  TempDirectory temp_;
  std::string cache_ = temp_.path() + "/cache";
  LoadOptions options_;
  Environment cache_dir_{"TFHUB_CACHE_DIR", cache_.c_str()};
  Environment config_{"TF1HUB_CONFIG", "/dev/null"};
  Environment no_proxy_{"no_proxy", "127.0.0.1"};
  std::string stdout_;
  std::string stderr_;
};

TEST_F(Handles, AModuleFromAServerIsLoaded) {
  TestServer server(
      [](const auto& request) { return TestServer::file(request, archive_of(kModule)); });
  const Function f = load(server.url("/half_plus_two/1"), options_);
  EXPECT_EQ(f(make_scalar(10.0f)).scalar<float>(), 7);
}

TEST_F(Handles, R18_AModuleFromStorageIsLoaded) {
  TestServer storage([](const TestServer::Request& request) -> TestServer::Answer {
    if (request.path() == "/bucket/m/saved_model.pbtxt") return {.body = std::string(kSquare)};
    if (request.path() != "/bucket") return {.status = 404};
    return {.body = cat("<ListBucketResult><Contents><Key>m/saved_model.pbtxt</Key><Size>",
                        kSquare.size(), "</Size></Contents></ListBucketResult>")};
  });
  TestServer server([](const TestServer::Request&) -> TestServer::Answer {
    return {.status = 303, .body = "gs://bucket/m"};
  });
  options_.resolve.load_format = LoadFormat::kUncompressed;
  options_.resolve.network.storage_endpoint = storage.url("");
  const Function f = load(server.url("/module/1"), options_);
  EXPECT_EQ(f(make_scalar(11.0f)).scalar<float>(), 121);
  EXPECT_EQ(server.targets().at(0), "/module/1?tf-hub-format=uncompressed");
}

TEST_F(Handles, TheProgramTakesThem) {
  TestServer server(
      [](const auto& request) { return TestServer::file(request, archive_of(kModule)); });
  const std::string handle = server.url("/half_plus_two/1");
  EXPECT_EQ(run(cat("resolve --offline ", handle)), 3);
  EXPECT_THAT(stderr_, HasSubstr("not in the cache"));
  EXPECT_EQ(run(cat("run ", handle, " --input 'default=[10]'")), 0) << stderr_;
  EXPECT_THAT(stdout_, HasSubstr("7"));
  EXPECT_EQ(stderr_, "");
  EXPECT_EQ(run(cat("resolve --offline ", handle)), 0);
  EXPECT_THAT(stdout_, StartsWith(cache_ + "/"));
  EXPECT_EQ(run(cat("verify --offline ", handle)), 0);
  const std::string archive = temp_.path() + "/m.tgz";
  write_file_atomically(archive, archive_of(kModule));
  EXPECT_EQ(run(cat("show ", archive)), 0) << stderr_;
  EXPECT_THAT(stdout_, HasSubstr("TF1 Hub module"));
}

TEST_F(Handles, TheCacheIsListedCheckedAndCleared) {
  EXPECT_EQ(run("cache ls"), 0);
  EXPECT_THAT(stdout_, StartsWith("0 modules, 0 B, in "));
  TestServer server(
      [](const auto& request) { return TestServer::file(request, archive_of(kModule)); });
  const std::string handle = server.url("/m/1");
  ASSERT_EQ(run(cat("resolve ", handle)), 0);
  const std::string path = stdout_.substr(0, stdout_.size() - 1);
  EXPECT_EQ(run("cache ls"), 0);
  EXPECT_THAT(stdout_, HasSubstr(handle));
  EXPECT_THAT(stdout_, HasSubstr("whole"));
  EXPECT_EQ(run("cache ls --json"), 0);
  EXPECT_THAT(stdout_, HasSubstr(cat("\"path\": \"", path, "\"")));
  EXPECT_EQ(run("cache verify"), 0);
  std::string graph = read_file(path + "/saved_model.pb");
  graph.back() = static_cast<char>(graph.back() ^ 1);
  write_file_atomically(path + "/saved_model.pb", graph);
  EXPECT_EQ(run("cache verify"), 5);
  EXPECT_THAT(stdout_, HasSubstr("\"saved_model.pb\" has another checksum"));
  EXPECT_EQ(run("cache rm"), 2);
  EXPECT_EQ(run("cache rm no/such"), 3);
  EXPECT_EQ(run("cache prune --max-size 1parsec"), 2);
  EXPECT_EQ(run("cache prune --max-size 1kB --dry-run"), 0);
  EXPECT_THAT(stdout_, HasSubstr("would remove"));
  EXPECT_TRUE(path_exists(path));
  EXPECT_EQ(run(cat("cache rm ", handle)), 0);
  EXPECT_TRUE(list_directory(cache_).empty());
}

}  // namespace
}  // namespace hub::testing
