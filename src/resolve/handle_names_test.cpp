// Spellings of handles, where to ask for them, and the settings that say so.

#include <gmock/gmock.h>

#include "resolve/fetch.h"
#include "resolve/handle_names.h"
#include "resolve/remote.h"
#include "resolve/settings.h"
#include "resolve/testing_download.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using Answer = TestServer::Answer;
using Request = TestServer::Request;

TEST(CacheDirectory, R04_WhoSaysWhereTheCacheIs) {
  CacheDirectoryChoice choice;
  EXPECT_EQ(choose_cache_directory(choice), "");
  choice.user_cache = "/home/u/.cache";
  EXPECT_EQ(choose_cache_directory(choice), "/home/u/.cache/tf1hub/modules");
  choice.fallback = "/default";
  EXPECT_EQ(choose_cache_directory(choice), "/default");
  choice.option = "/flag";
  EXPECT_EQ(choose_cache_directory(choice), "/flag");
  choice.environment = "/env";
  EXPECT_EQ(choose_cache_directory(choice), "/env");
}

TEST(StorageHandles, C06_ArchivesAreKnownByTheirSuffix) {
  for (const char* name : {"foo.tar", "foo.tar.gz", "foo.tgz"}) {
    EXPECT_TRUE(has_archive_suffix(name)) << name;
    EXPECT_TRUE(storage_archive_resolver()->supports(cat("gs://bucket/", name), {}));
    EXPECT_FALSE(storage_archive_resolver()->supports(name, {}));
  }
  EXPECT_FALSE(has_archive_suffix("foo"));
  EXPECT_FALSE(has_archive_suffix("foo.zip"));
  EXPECT_FALSE(storage_archive_resolver()->supports("gs://bucket/foo", {}));
}

TEST(Handles, C07_TheFormatIsAddedToTheQuery) {
  const auto compressed = [](std::string_view url) {
    return append_query(url, "tf-hub-format", "compressed");
  };
  EXPECT_EQ(compressed("https://example.com/module.tar.gz"),
            "https://example.com/module.tar.gz?tf-hub-format=compressed");
  EXPECT_EQ(compressed("https://example.com/module"),
            "https://example.com/module?tf-hub-format=compressed");
  EXPECT_EQ(compressed("https://example.com/module?extra=abc"),
            "https://example.com/module?extra=abc&tf-hub-format=compressed");
  EXPECT_EQ(compressed("https://example.com/module?extra=abc%20d&blank=&none&tf-hub-format=x"),
            "https://example.com/module?extra=abc+d&tf-hub-format=x&tf-hub-format=compressed");
  EXPECT_EQ(compressed("https://example.com/module?a=b#part"),
            "https://example.com/module?a=b&tf-hub-format=compressed#part");
}

TEST(HttpUncompressed, U01_TheFormatIsAddedToTheQuery) {
  EXPECT_EQ(append_query("https://example.com/module", "tf-hub-format", "uncompressed"),
            "https://example.com/module?tf-hub-format=uncompressed");
}

TEST(HttpUncompressed, U02_PathsAndStorageAreNotItsBusiness) {
  const ResolveOptions options = {.load_format = LoadFormat::kUncompressed};
  EXPECT_FALSE(http_uncompressed_resolver()->supports("foo.tar", options));
  EXPECT_FALSE(http_uncompressed_resolver()->supports("gs://foo/bar", options));
}

TEST(HttpUncompressed, U03_SupportsUrlsWhereAsked) {
  const ResolveOptions options = {.load_format = LoadFormat::kUncompressed};
  EXPECT_TRUE(http_uncompressed_resolver()->supports("https://foo.bar/m", options));
  EXPECT_FALSE(http_compressed_resolver()->supports("https://foo.bar/m", options));
}

TEST(HttpUncompressed, U04_NotByDefault) {
  EXPECT_FALSE(http_uncompressed_resolver()->supports("https://foo.bar/m", {}));
  EXPECT_TRUE(http_compressed_resolver()->supports("https://foo.bar/m", {}));
}

TEST(HttpUncompressed, U05_NotWhereArchivesAreWanted) {
  const ResolveOptions options = {.load_format = LoadFormat::kCompressed};
  EXPECT_FALSE(http_uncompressed_resolver()->supports("https://foo.bar/m", options));
  EXPECT_TRUE(http_compressed_resolver()->supports("https://foo.bar/m", options));
}

TEST_F(Download, MirrorsAreAskedFirst) {
  TestServer mirror([](const Request& request) {
    return request.path() == "/mirror/google/m/1" ? TestServer::file(request, module_tar())
                                                  : Answer{.status = 404};
  });
  TestServer origin([](const Request& request) { return TestServer::file(request, module_tar()); });
  options_.mirrors = {{origin.url("/"), mirror.url("/mirror/")}};
  resolve(origin.url("/google/m/1"), options_);
  EXPECT_THAT(origin.targets(), IsEmpty());
  resolve(origin.url("/other/1"), options_);
  EXPECT_THAT(mirror.targets(), SizeIs(2));
  EXPECT_THAT(origin.targets(), ElementsAre("/other/1?tf-hub-format=compressed"));
}

TEST_F(Download, WhenNoPlaceHasItAllAreNamed) {
  TestServer mirror([](const Request&) { return Answer{.status = 403}; });
  TestServer origin([](const Request&) { return Answer{.status = 404}; });
  options_.mirrors = {{origin.url("/"), mirror.url("/mirror/")}};
  const Error error = refused(origin.url("/m"));
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_THAT(error.what(), HasSubstr(cat("HTTP 403 from ", mirror.url("/mirror/m"))));
}

TEST_F(Download, AMirrorMayBeAFolder) {
  const std::string mirror = temp_.path() + "/mirror";
  file_system().create_directories(mirror + "/google/unpacked/1");
  file_system().create_directories(mirror + "/google/packed");
  write_file_atomically(mirror + "/google/packed/2.tar.gz", gzipped(module_tar()));
  options_.mirrors = {{"https://tfhub.dev/", mirror + "/"}};
  options_.offline = true;
  EXPECT_EQ(resolve("https://tfhub.dev/google/unpacked/1", options_),
            mirror + "/google/unpacked/1");
  EXPECT_THAT(tree_of(resolve("https://tfhub.dev/google/packed/2", options_)), IsModuleTree());
}

TEST_F(Download, OtherSpellingsOfAModuleAreFoundInTheCache) {
  const std::string there = cache_entry_path(cache_, "https://hub.tensorflow.google.cn/google/m/1");
  file_system().create_directories(there);
  write_file_atomically(there + "/tfhub_module.pb", "");
  options_.offline = true;
  EXPECT_EQ(resolve("https://tfhub.dev/google/m/1", options_), there);
  options_.aliases = {{"https://example.com/m", "https://tfhub.dev/google/m/1"}};
  EXPECT_EQ(resolve("https://example.com/m", options_), there);
  const std::string kaggle =
      cache_entry_path(cache_, "https://www.kaggle.com/models/google/elmo/TensorFlow1/elmo/3");
  file_system().create_directories(kaggle);
  write_file_atomically(kaggle + "/tfhub_module.pb", "");
  for (const char* handle : {"google/elmo/tensorFlow1/elmo/3", "https://tfhub.dev/google/elmo/3",
                             "https://kaggle.com/models/google/elmo/frameworks/TensorFlow1/"
                             "variations/elmo/versions/3"}) {
    EXPECT_EQ(resolve(handle, options_), kaggle) << handle;
  }
}

TEST_F(Download, ModelsOfKagglesOwnToolAreUsed) {
  const std::string hub = temp_.path() + "/kagglehub";
  const Environment variable("KAGGLEHUB_CACHE", hub.c_str());
  const std::string there = hub + "/models/google/m/tensorFlow1/v/2";
  file_system().create_directories(there);
  write_file_atomically(there + "/tfhub_module.pb", "");
  options_.offline = true;
  EXPECT_EQ(refused("google/m/tensorFlow1/v/2").code(), ErrorCode::kUnavailable);
  write_file_atomically(there + ".complete", "");
  EXPECT_EQ(resolve("google/m/tensorFlow1/v/2", options_), there);
}

TEST(Handles, WhereToAskForAModule) {
  const auto locations = [](std::string_view handle) {
    std::vector<std::string> all;
    for (const Place& place : places_of(handle, {})) all.push_back(place.location);
    return all;
  };
  EXPECT_THAT(locations("https://tfhub.dev/google/m/1"),
              ElementsAre("https://tfhub.dev/google/m/1?tf-hub-format=compressed"));
  EXPECT_THAT(locations("https://hub.tensorflow.google.cn/google/m/1"),
              ElementsAre("https://gcs.tensorflow.google.cn/tfhub-modules/google/m/1.tar.gz"));
  EXPECT_THAT(
      locations("google/m/tensorFlow1/v/2"),
      ElementsAre("https://www.kaggle.com/models/google/m/TensorFlow1/v/2?tf-hub-format=compressed",
                  "https://www.kaggle.com/api/v1/models/google/m/tensorFlow1/v/2/download"));
  EXPECT_FALSE(parse_kaggle("a/b/c/d/e"));
  EXPECT_FALSE(parse_kaggle("https://example.com/a/b/tensorFlow1/d/e"));
}

TEST(ResolveConfig, SaysMirrorsAndSettings) {
  const ResolveOptions config = parse_resolve_config(
      "# comment\n\nmirror https://tfhub.dev/ /mnt/m/  # here\nalias a b\ncache_dir /c d\n"
      "offline yes\nretries 7\nstall_timeout 1.5\nproxy http://p:1\n",
      "file");
  EXPECT_THAT(config.mirrors, ElementsAre(Pair("https://tfhub.dev/", "/mnt/m/")));
  EXPECT_THAT(config.aliases, ElementsAre(Pair("a", "b")));
  EXPECT_EQ(config.cache_dir, "/c d");
  EXPECT_TRUE(config.offline);
  EXPECT_EQ(config.network.retries, 7);
  EXPECT_EQ(config.network.stall_timeout_seconds, 1.5);
  EXPECT_EQ(config.network.proxy, "http://p:1");
  for (const char* line : {"unknown 1", "mirror a", "alias a b c", "offline maybe", "retries -1",
                           "stall_timeout x", "cache_dir"}) {
    const auto error = error_of([&] { parse_resolve_config(cat("\n", line), "file"); });
    ASSERT_TRUE(error) << line;
    EXPECT_EQ(error->kind(), ErrorKind::kValue);
    EXPECT_THAT(error->message(), HasSubstr("file, line 2"));
  }
}

TEST_F(Download, SettingsOfTheEnvironmentAreChecked) {
  const Environment format("TFHUB_MODEL_LOAD_FORMAT", "ZIPPED");
  EXPECT_EQ(refused("https://tf1hub.invalid/m").kind(), ErrorKind::kValue);
  options_.config_file = "/no/such/config";
  EXPECT_EQ(refused("https://tf1hub.invalid/m").code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace hub::testing
