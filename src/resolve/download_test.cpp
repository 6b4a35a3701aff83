// Downloads into the cache, by every kind of handle.

#include <gmock/gmock.h>
#include <unistd.h>

#include <chrono>

#include "resolve/entry.h"
#include "resolve/fetch.h"
#include "resolve/testing_download.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::StartsWith;
using Answer = TestServer::Answer;
using Request = TestServer::Request;

TEST_F(Download, C01_ATarIsUnpackedIntoTheCache) {
  TestServer server([](const Request& request) { return TestServer::file(request, module_tar()); });
  const std::string path = resolve(server.url("/mock_module.tar"), options_);
  EXPECT_THAT(tree_of(path), IsModuleTree());
  EXPECT_EQ(path, cache_entry_path(cache_, server.url("/mock_module.tar")));
}

TEST_F(Download, C02_SoIsACompressedOne) {
  TestServer server(
      [](const Request& request) { return TestServer::file(request, gzipped(module_tar())); });
  EXPECT_THAT(tree_of(resolve(server.url("/mock_module.tar.gz"), options_)), IsModuleTree());
  // What a file is called does not matter.
  EXPECT_THAT(tree_of(resolve(server.url("/a"), options_)), IsModuleTree());
}

TEST_F(Download, C03_ASmartServerRedirects) {
  TestServer files([](const Request& request) { return TestServer::file(request, module_tar()); });
  TestServer smart([&](const Request& request) {
    if (request.target.ends_with("tf-hub-format=compressed")) {
      return TestServer::redirect(files.url("/x.tgz"));
    }
    return Answer{.body = "text"};
  });
  EXPECT_THAT(tree_of(resolve(smart.url("/module"), options_)), IsModuleTree());
  EXPECT_THAT(smart.targets(), ElementsAre("/module?tf-hub-format=compressed"));
}

TEST_F(Download, TheCacheMayBeAnywhereOnThisMachine) {
  TestServer server([](const Request& request) { return TestServer::file(request, module_tar()); });
  options_.cache_dir = temp_.path() + "/\xd0\xba\xd1\x8d\xd1\x88 \xc3\xbc/deep/";
  EXPECT_THAT(tree_of(resolve(server.url("/m"), options_)), IsModuleTree());
  options_.cache_dir = "gs://bucket/cache";
  const auto error = error_of([&] { resolve(server.url("/m"), options_); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->message(), HasSubstr("must be a folder of this machine"));
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

TEST_F(Download, C08_AnAbandonedLockIsTakenOver) {
  TestServer server([](const Request& request) { return TestServer::file(request, module_tar()); });
  const std::string handle = server.url("/m");
  const std::string lock = lock_filename(cache_entry_path(cache_, handle));
  file_system().create_directories(cache_);
  write_file_atomically(lock, "another.host.17.0123");
  options_.lock_timeout_seconds = 0.2;
  EXPECT_THAT(tree_of(resolve(handle, options_)), IsModuleTree());
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

TEST_F(Uncompressed, TheServerNamesAFolderInStorage) {
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
  EXPECT_THAT(tree_of(path), IsModuleTree());
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

TEST_F(Download, LocalArchivesAreUnpackedOnce) {
  const std::string archive = temp_.path() + "/m.tar.gz";
  write_file_atomically(archive, gzipped(module_tar()));
  options_.offline = true;
  const std::string path = resolve(archive, options_);
  EXPECT_THAT(tree_of(path), IsModuleTree());
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

}  // namespace
}  // namespace hub::testing
