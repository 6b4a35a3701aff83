// Downloads from a server of the test's own.

#include <gmock/gmock.h>
#include <unistd.h>

#include <chrono>

#include "hub/resolver.h"
#include "resolve/entry.h"
#include "resolve/fetch.h"
#include "resolve/remote.h"
#include "resolve/settings.h"
#include "resolve/testing.h"
#include "resolve/testing_server.h"

namespace hub::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::StartsWith;
using Answer = TestServer::Answer;
using Request = TestServer::Request;

// The archive of the tests, and what is in it.
std::string module_tar() {
  return Tar()
      .directory("./")
      .add("./file1", "one")
      .add("./file2", "two")
      .directory("./sub")
      .add("./sub/file3", std::string(200000, 'x'))
      .finished();
}
const auto kModuleTree =
    ElementsAre(Pair("file1", "one"), Pair("file2", "two"), Pair("sub/file3", SizeIs(200000)));

class Download : public ::testing::Test {
 protected:
  Download() {
    options_.cache_dir = cache_;
    options_.config_file = "/dev/null";
    options_.network.retries = 2;
    options_.network.retry_wait_seconds = 0.01;
    options_.network.stall_timeout_seconds = 0.5;
  }

  Error refused(const std::string& handle) {
    const auto error = error_of([&] { resolve(handle, options_); });
    EXPECT_TRUE(error) << handle;
    // Whatever happened, nothing is left.
    if (path_exists(cache_)) {
      EXPECT_THAT(list_directory(cache_), IsEmpty());
    }
    return error ? *error : internal_error("no error");
  }

  TempDirectory temp_;
  std::string cache_ = temp_.path() + "/cache";
  ResolveOptions options_;
  Environment no_cache_dir_{"TFHUB_CACHE_DIR", nullptr};
  Environment no_format_{"TFHUB_MODEL_LOAD_FORMAT", nullptr};
  Environment no_offline_{"TF1HUB_OFFLINE", nullptr};
  Environment no_proxy_{"no_proxy", "127.0.0.1,localhost"};
};

TEST_F(Download, C01_ATarIsUnpackedIntoTheCache) {
  TestServer server([](const Request& request) { return TestServer::file(request, module_tar()); });
  const std::string path = resolve(server.url("/mock_module.tar"), options_);
  EXPECT_THAT(tree_of(path), kModuleTree);
  EXPECT_EQ(path, cache_entry_path(cache_, server.url("/mock_module.tar")));
}

TEST_F(Download, C02_SoIsACompressedOne) {
  TestServer server(
      [](const Request& request) { return TestServer::file(request, gzipped(module_tar())); });
  EXPECT_THAT(tree_of(resolve(server.url("/mock_module.tar.gz"), options_)), kModuleTree);
  // What a file is called does not matter.
  EXPECT_THAT(tree_of(resolve(server.url("/a"), options_)), kModuleTree);
}

TEST_F(Download, C03_ASmartServerRedirects) {
  TestServer files([](const Request& request) { return TestServer::file(request, module_tar()); });
  TestServer smart([&](const Request& request) {
    if (request.target.ends_with("tf-hub-format=compressed")) {
      return TestServer::redirect(files.url("/x.tgz"));
    }
    return Answer{.body = "text"};
  });
  EXPECT_THAT(tree_of(resolve(smart.url("/module"), options_)), kModuleTree);
  EXPECT_THAT(smart.targets(), ElementsAre("/module?tf-hub-format=compressed"));
}

TEST_F(Download, C04_TheDescriptorSaysWhatItIs) {
  TestServer server([](const Request& request) { return TestServer::file(request, module_tar()); });
  const std::string handle = server.url("/mock_module.tar");
  const std::string text = read_file(descriptor_filename(resolve(handle, options_)));
  EXPECT_THAT(text, StartsWith(cat("Module: ", handle, "\nDownload Time: ")));
  EXPECT_THAT(text,
              HasSubstr(cat("\nDownloader Hostname: ", host_name(), " (PID:", ::getpid(), ")")));
  EXPECT_THAT(*parse_descriptor(text).manifest, SizeIs(3));
}

TEST_F(Download, C05_WithoutASettingTheUsersCacheFolderIsUsed) {
  // Unlike the original: the system's folder for temporary files is cleaned by the system.
  TestServer server([](const Request& request) { return TestServer::file(request, module_tar()); });
  options_.cache_dir.clear();
  const Environment cache("XDG_CACHE_HOME", temp_.path().c_str());
  EXPECT_THAT(resolve(server.url("/m"), options_), StartsWith(temp_.path() + "/tf1hub/modules/"));
}

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

TEST_F(Download, C08_AnAbandonedLockIsTakenOver) {
  TestServer server([](const Request& request) { return TestServer::file(request, module_tar()); });
  const std::string handle = server.url("/m");
  const std::string lock = lock_filename(cache_entry_path(cache_, handle));
  file_system().create_directories(cache_);
  write_file_atomically(lock, "another.host.17.0123");
  options_.lock_timeout_seconds = 0.2;
  EXPECT_THAT(tree_of(resolve(handle, options_)), kModuleTree);
  EXPECT_FALSE(path_exists(lock));
}

TEST_F(Download, C09_TheSecondTimeNothingIsTouched) {
  auto server = std::make_unique<TestServer>(
      [](const Request& request) { return TestServer::file(request, module_tar()); });
  const std::string handle = server->url("/m");
  const std::string path = resolve(handle, options_);
  const auto time = std::filesystem::last_write_time(path + "/file1");
  server.reset();
  EXPECT_EQ(resolve(handle, options_), path);
  options_.offline = true;
  EXPECT_EQ(resolve(handle, options_), path);
  EXPECT_EQ(std::filesystem::last_write_time(path + "/file1"), time);
}

TEST_F(Download, C10_WhatIsNoArchiveIsNoModule) {
  TestServer files([](const Request&) { return Answer{.body = "This is not a tar file."}; });
  TestServer redirecting(
      [&](const Request& request) { return TestServer::redirect(files.url(request.target)); });
  for (const std::string& handle : {files.url("/bad.tar.gz"), redirecting.url("/bad.tar.gz")}) {
    const Error error = refused(handle);
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_THAT(error.message(), StartsWith(cat(handle, " does not appear to be a valid module.")));
  }
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

class Uncompressed : public Download {
 protected:
  Uncompressed() { options_.load_format = LoadFormat::kUncompressed; }
};

TEST_F(Uncompressed, U06_TheServerMustNameStorage) {
  TestServer server(
      [](const Request&) { return Answer{.status = 303, .body = "file://somefile"}; });
  const Error error = refused(server.url("/m"));
  EXPECT_EQ(error.kind(), ErrorKind::kValue);
  EXPECT_EQ(error.message(),
            "Expected server to return a GCS location but received file://somefile");
}

TEST_F(Uncompressed, U07_ASuccessIsNotWhatIsExpected) {
  TestServer server([](const Request&) { return Answer{.body = "gs://bucket/m"}; });
  const Error error = refused(server.url("/m"));
  EXPECT_EQ(error.kind(), ErrorKind::kValue);
  EXPECT_EQ(error.message(), "Expected 303 See other HTTP response but received code 200");
}

TEST_F(Uncompressed, U08_NorIsAFailure) {
  TestServer server([](const Request&) { return Answer{.status = 404}; });
  EXPECT_EQ(refused(server.url("/m")).message(),
            "Expected 303 See other HTTP response but received code 404");
}

// Storage with the objects of a folder, in pages of two.
Answer storage(const Request& request, const std::map<std::string, std::string>& objects) {
  if (request.path() != "/bucket") {
    const auto found = objects.find(request.path().substr(std::string_view("/bucket/").size()));
    return found == objects.end() ? Answer{.status = 404}
                                  : TestServer::file(request, found->second);
  }
  const std::size_t at = request.target.find("marker=");
  const std::string marker = at == std::string::npos ? "" : request.target.substr(at + 7);
  std::string xml = "<?xml version='1.0'?><ListBucketResult xmlns='x'><Name>bucket</Name>";
  std::size_t count = 0;
  bool more = false;
  for (const auto& [name, content] : objects) {
    if (name <= marker || (more = count == 2)) continue;
    xml += cat("<Contents><Key>", name, "</Key><Size>", content.size(), "</Size></Contents>");
    if (++count == 2) xml += cat("<NextMarker>", name, "</NextMarker>");
  }
  return {.body = cat(xml, "<IsTruncated>", more, "</IsTruncated></ListBucketResult>")};
}

TEST_F(Uncompressed, R18_TheServerNamesAFolderInStorage) {
  TestServer gcs([](const Request& request) {
    return storage(request, {{"dir/m/", ""},
                             {"dir/m/saved_model.pb", "graph"},
                             {"dir/m/variables/variables.index", "index"},
                             {"dir/m/variables/z", ""}});
  });
  TestServer server(
      [](const Request&) { return Answer{.status = 303, .body = "gs://bucket/dir/m"}; });
  options_.network.storage_endpoint = gcs.url("");
  const std::string path = resolve(server.url("/m/1"), options_);
  EXPECT_THAT(tree_of(path),
              ElementsAre(Pair("saved_model.pb", "graph"),
                          Pair("variables/variables.index", "index"), Pair("variables/z", "")));
  EXPECT_THAT(server.targets(), ElementsAre("/m/1?tf-hub-format=uncompressed"));
  EXPECT_EQ(resolve("gs://bucket/dir/m", options_), path);
}

TEST_F(Download, StorageFoldersAndArchives) {
  TestServer gcs([](const Request& request) {
    return storage(request, {{"a b/m.tgz", gzipped(module_tar())}, {"evil/../../x", "x"}});
  });
  options_.network.storage_endpoint = gcs.url("");
  EXPECT_EQ(refused("gs://bucket/nothing").code(), ErrorCode::kNotFound);
  EXPECT_EQ(refused("gs://bucket/no.tgz").code(), ErrorCode::kNotFound);
  EXPECT_EQ(refused("gs://").kind(), ErrorKind::kValue);
}

// What the standard registry chooses for a handle and a load format.
class LoadFormatTest : public Download {
 protected:
  std::string targets_of(LoadFormat format) {
    TestServer server([](const Request&) { return Answer{.status = 404}; });
    options_.load_format = format;
    refused(server.url("/m"));
    return join(server.targets());
  }
};

TEST_F(LoadFormatTest, R19_AutoAsksForAnArchive) {
  EXPECT_EQ(targets_of(LoadFormat::kAuto), "/m?tf-hub-format=compressed");
}

TEST_F(LoadFormatTest, R20_SoDoesCompressed) {
  EXPECT_EQ(targets_of(LoadFormat::kCompressed), "/m?tf-hub-format=compressed");
}

TEST_F(LoadFormatTest, R21_UncompressedAsksForALocation) {
  EXPECT_EQ(targets_of(LoadFormat::kUncompressed), "/m?tf-hub-format=uncompressed");
  const Environment format("TFHUB_MODEL_LOAD_FORMAT", "UNCOMPRESSED");
  EXPECT_EQ(targets_of(LoadFormat::kCompressed), "/m?tf-hub-format=uncompressed");
}

TEST_F(Download, ADamagedEntryIsFetchedAgain) {
  TestServer server([](const Request& request) { return TestServer::file(request, module_tar()); });
  const std::string path = resolve(server.url("/m"), options_);
  std::filesystem::remove(path + "/file1");
  options_.offline = true;
  const auto error = error_of([&] { resolve(server.url("/m"), options_); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::kUnavailable);
  EXPECT_THAT(error->what(), HasSubstr("\"file1\" is missing"));
  options_.offline = false;
  EXPECT_EQ(resolve(server.url("/m"), options_), path);
  EXPECT_THAT(tree_of(path), kModuleTree);
}

TEST_F(Download, OfflineWithoutTheModuleIsAnErrorOfItsOwn) {
  options_.offline = true;
  const Error error = refused("https://tf1hub.invalid/m/1");
  EXPECT_EQ(error.kind(), ErrorKind::kIo);
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_THAT(error.message(), HasSubstr("TF1HUB_OFFLINE"));
  options_.offline = false;
  const Environment offline("TF1HUB_OFFLINE", "1");
  EXPECT_EQ(refused("https://tf1hub.invalid/m/1").code(), ErrorCode::kUnavailable);
}

TEST_F(Download, AHitIsFastAndNeedsNoWriting) {
  TestServer server([](const Request& request) { return TestServer::file(request, module_tar()); });
  const std::string handle = server.url("/m");
  resolve(handle, options_);
  const auto before = std::filesystem::last_write_time(cache_);
  const auto start = std::chrono::steady_clock::now();
  constexpr int kTimes = 100;
  for (int i = 0; i < kTimes; ++i) resolve(handle, options_);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  EXPECT_LT(took.count() / kTimes, 2);
  EXPECT_EQ(std::filesystem::last_write_time(cache_), before);
  EXPECT_THAT(server.requests(), SizeIs(1));
}

TEST_F(Download, StatusesAreToldApart) {
  const auto code_of = [&](int status) {
    TestServer server(
        [&](const Request&) { return Answer{.status = status, .body = "{\"message\": \"why\"}"}; });
    const Error error = refused(server.url("/m"));
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_THAT(error.message(), AllOf(HasSubstr(cat("HTTP ", status)), HasSubstr("why")));
    return error.code();
  };
  EXPECT_EQ(code_of(404), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(410), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(401), ErrorCode::kUnauthenticated);
  EXPECT_EQ(code_of(403), ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of(418), ErrorCode::kUnknown);
  EXPECT_EQ(code_of(500), ErrorCode::kUnavailable);
  EXPECT_EQ(code_of(429), ErrorCode::kUnavailable);
}

TEST_F(Download, BusyServersAreAskedAgain) {
  std::atomic<int> count = 0;
  TestServer server([&](const Request& request) {
    if (++count < 3) return Answer{.status = 503, .headers = {{"Retry-After", "0"}}};
    return TestServer::file(request, module_tar());
  });
  EXPECT_THAT(tree_of(resolve(server.url("/m"), options_)), kModuleTree);
  EXPECT_EQ(count, 3);
}

TEST_F(Download, UnreachableServersAndUnknownNames) {
  int port = 0;
  {
    const TestServer gone([](const Request&) { return Answer{}; });
    port = gone.port();
  }
  const Error refused_connection = refused(cat("http://127.0.0.1:", port, "/m"));
  EXPECT_EQ(refused_connection.code(), ErrorCode::kUnavailable);
  EXPECT_THAT(refused_connection.message(), StartsWith("The server cannot be reached."));
  const Error unknown = refused("http://tf1hub.invalid/m");
  EXPECT_EQ(unknown.code(), ErrorCode::kUnavailable);
  EXPECT_THAT(unknown.message(), StartsWith("DNS:"));
  options_.network.proxy = cat("http://127.0.0.1:", port);
  EXPECT_THAT(refused("http://tf1hub.invalid/m").message(), StartsWith("Proxy:"));
  TestServer proxy([](const Request&) { return Answer{.status = 407}; });
  options_.network.proxy = proxy.url("");
  const Error login = refused("http://tf1hub.invalid/m");
  EXPECT_THAT(login.message(), StartsWith("Proxy:"));
  EXPECT_EQ(login.code(), ErrorCode::kUnauthenticated);
  EXPECT_THAT(refused("https://tf1hub.invalid/m").message(), StartsWith("Proxy:"));
}

TEST_F(Download, ProxiesAreUsed) {
  TestServer proxy([](const Request& request) { return TestServer::file(request, module_tar()); });
  const Environment variable("http_proxy", proxy.url("").c_str());
  EXPECT_THAT(tree_of(resolve("http://tf1hub.invalid/m", options_)), kModuleTree);
  EXPECT_THAT(proxy.targets(), ElementsAre("http://tf1hub.invalid/m?tf-hub-format=compressed"));
}

TEST_F(Download, AServerThatSpeaksNoTlsIsATlsError) {
  TestServer server([](const Request&) { return Answer{}; });
  const Error error = refused(cat("https://127.0.0.1:", server.port(), "/m"));
  EXPECT_THAT(error.message(), StartsWith("TLS:"));
  options_.network.ca_file = "/no/such/file.pem";
  EXPECT_THAT(refused(cat("https://127.0.0.1:", server.port(), "/m")).message(),
              StartsWith("TLS:"));
}

TEST_F(Download, PagesForPeopleAreNamedAsSuch) {
  TestServer server([](const Request&) {
    return Answer{.body = "<!doctype html><title>Sign in</title>",
                  .headers = {{"Content-Type", "text/html; charset=utf-8"}}};
  });
  const Error error = refused(server.url("/m"));
  EXPECT_THAT(error.message(), AllOf(HasSubstr("does not appear to be a valid module."),
                                     HasSubstr("page for people")));
}

TEST_F(Download, RedirectsEnd) {
  TestServer circle([&](const Request& request) {
    return TestServer::redirect(request.path() == "/a" ? "/b" : "/a", 302);
  });
  EXPECT_THAT(refused(circle.url("/a")).message(), HasSubstr("in a circle"));
  std::atomic<int> count = 0;
  TestServer endless([&](const Request&) { return TestServer::redirect(cat("/", ++count), 307); });
  EXPECT_THAT(refused(endless.url("/m")).message(), HasSubstr("redirects too often"));
  EXPECT_EQ(count, 11);
  TestServer to_file([](const Request&) { return TestServer::redirect("file:///etc/passwd"); });
  EXPECT_EQ(refused(to_file.url("/m")).kind(), ErrorKind::kIo);
}

TEST_F(Download, AServerThatStallsIsGivenUp) {
  TestServer server([](const Request& request) {
    Answer answer = TestServer::file(request, module_tar());
    answer.stall_after = 1000;
    return answer;
  });
  options_.network.retries = 0;
  options_.network.stall_timeout_seconds = 0.3;
  const Error error = refused(server.url("/m"));
  EXPECT_EQ(error.code(), ErrorCode::kDeadlineExceeded);
  EXPECT_THAT(error.message(), HasSubstr("stalls"));
  TestServer silent([](const Request&) { return Answer{.body = "x", .stall_after = 0}; });
  EXPECT_EQ(refused(silent.url("/m")).code(), ErrorCode::kDeadlineExceeded);
}

TEST_F(Download, WhatBreaksOffIsResumed) {
  const std::string archive = module_tar();
  TestServer server([&](const Request& request) {
    Answer answer = TestServer::file(request, archive, "\"v1\"");
    answer.length = answer.body.size();
    answer.close_after = 50000;
    return answer;
  });
  options_.network.retries = 1;  // without progress between
  EXPECT_THAT(tree_of(resolve(server.url("/m"), options_)), kModuleTree);
  const auto requests = server.requests();
  EXPECT_THAT(requests, SizeIs(5));
  EXPECT_EQ(requests.at(1).header("range"), "bytes=50000-");
  EXPECT_EQ(requests.at(1).header("if-range"), "\"v1\"");
}

TEST_F(Download, AServerWithoutRangesSendsItAgain) {
  const std::string archive = module_tar();
  std::atomic<int> count = 0;
  TestServer server([&](const Request&) {
    Answer answer{.body = archive};
    if (++count == 1) answer.close_after = 50000;
    return answer;
  });
  EXPECT_THAT(tree_of(resolve(server.url("/m"), options_)), kModuleTree);
  EXPECT_EQ(count, 2);
}

TEST_F(Download, AModuleThatChangesMeanwhileIsNotMixed) {
  std::atomic<int> count = 0;
  TestServer server([&](const Request& request) {
    Answer answer = TestServer::file(request, module_tar(), cat("\"", ++count, "\""));
    answer.close_after = 50000;
    return answer;
  });
  const Error error = refused(server.url("/m"));
  EXPECT_EQ(error.code(), ErrorCode::kDataLoss);
  EXPECT_THAT(error.message(), HasSubstr("changed on the server"));
}

TEST_F(Download, LiesAboutTheLengthAreFound) {
  TestServer longer([](const Request&) {
    const std::string archive = module_tar();
    return Answer{.body = archive, .length = archive.size() + 1000};
  });
  const Error cut = refused(longer.url("/m"));
  EXPECT_EQ(cut.code(), ErrorCode::kDataLoss);
  EXPECT_THAT(cut.message(), HasSubstr("broke off"));
  TestServer shorter([](const Request&) { return Answer{.body = module_tar(), .length = 1000}; });
  EXPECT_EQ(refused(shorter.url("/m")).code(), ErrorCode::kDataLoss);
  TestServer silent_cut([](const Request&) {
    return Answer{.body = module_tar(), .says_length = false, .close_after = 3 * 512 + 2 * 512};
  });
  EXPECT_EQ(refused(silent_cut.url("/m")).code(), ErrorCode::kDataLoss);
  TestServer whole(
      [](const Request&) { return Answer{.body = module_tar(), .says_length = false}; });
  EXPECT_THAT(tree_of(resolve(whole.url("/m"), options_)), kModuleTree);
}

TEST_F(Download, BombsAndTricksLeaveNothing) {
  options_.max_unpacked_bytes = 1 << 20;
  const auto code_of = [&](const std::string& archive) {
    TestServer server([&](const Request&) { return Answer{.body = archive}; });
    return refused(server.url("/m"));
  };
  EXPECT_EQ(code_of(gzipped(Tar().add("big", std::string(2 << 20, '\0')).finished())).code(),
            ErrorCode::kResourceExhausted);
  EXPECT_EQ(code_of(Tar().add("../out", "x").finished()).kind(), ErrorKind::kValue);
  EXPECT_EQ(code_of(Tar().add("l", "", Tar::kSymbolicLink, "/etc").finished()).kind(),
            ErrorKind::kValue);
}

TEST_F(Download, NetrcHoldsLogins) {
  TestServer server([](const Request& request) {
    if (request.header("authorization").empty()) return Answer{.status = 401};
    return TestServer::file(request, module_tar());
  });
  EXPECT_EQ(refused(server.url("/m")).code(), ErrorCode::kUnauthenticated);
  options_.network.netrc_file = temp_.path() + "/netrc";
  write_file_atomically(options_.network.netrc_file, "machine 127.0.0.1 login me password pw\n");
  EXPECT_THAT(tree_of(resolve(server.url("/m"), options_)), kModuleTree);
}

TEST_F(Download, ProgressIsToldAndMayCancel) {
  TestServer server([](const Request& request) {
    Answer answer = TestServer::file(request, module_tar());
    answer.piece_bytes = 20000;
    answer.delay_between_pieces = 60ms;
    return answer;
  });
  std::vector<DownloadProgress> told;
  options_.progress = [&](const DownloadProgress& progress) { told.push_back(progress); };
  resolve(server.url("/m"), options_);
  ASSERT_GE(told.size(), 3u);
  const DownloadProgress& late = told.at(told.size() - 2);
  EXPECT_EQ(late.handle, server.url("/m"));
  EXPECT_EQ(late.total_bytes, module_tar().size());
  EXPECT_GT(late.bytes_per_second, 0);
  EXPECT_TRUE(late.seconds_left);
  EXPECT_TRUE(told.back().done);
  EXPECT_EQ(told.back().received_bytes, module_tar().size());
  std::filesystem::remove_all(cache_);
  options_.progress = [](const DownloadProgress&) { throw cancelled("Enough."); };
  EXPECT_EQ(refused(server.url("/m")).code(), ErrorCode::kCancelled);
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
  EXPECT_THAT(tree_of(resolve("https://tfhub.dev/google/packed/2", options_)), kModuleTree);
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

TEST_F(Download, LocalArchivesAreUnpackedOnce) {
  const std::string archive = temp_.path() + "/m.tar.gz";
  write_file_atomically(archive, gzipped(module_tar()));
  options_.offline = true;
  const std::string path = resolve(archive, options_);
  EXPECT_THAT(tree_of(path), kModuleTree);
  EXPECT_EQ(resolve("file://" + archive, options_), path);
  write_file_atomically(archive, gzipped(Tar().add("new", "x").finished()));
  EXPECT_THAT(tree_of(resolve(archive, options_)), ElementsAre(Pair("new", "x")));
  write_file_atomically(archive, gzipped(module_tar()).substr(0, 300));
  EXPECT_THAT(error_of([&] { resolve(archive, options_); })->message(),
              HasSubstr("does not appear to be a valid module."));
  // What only bears the name is left to who opens it.
  write_file_atomically(archive, std::string(1, '\0'));
  EXPECT_EQ(resolve(archive, options_), archive);
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
