// Servers that are busy, late, cut, or lie.

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>

#include "resolve/testing_download.h"

namespace hub::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;
using Answer = TestServer::Answer;
using Request = TestServer::Request;

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
  EXPECT_THAT(tree_of(resolve(server.url("/m"), options_)), IsModuleTree());
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
  EXPECT_THAT(tree_of(resolve("http://tf1hub.invalid/m", options_)), IsModuleTree());
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

// `openssl s_server` with a certificate of its own for this machine; not running where there is no
// such program. Answers with the files of a folder, their names with the query.
class TlsServer {
 public:
  explicit TlsServer(const std::string& folder) {
    const std::string make =
        cat("cd '", folder,
            "' && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
            "-keyout key.pem "
            "-out cert.pem -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost "
            ">/dev/null 2>&1");
    int ends[2];
    if (std::system(make.c_str()) != 0 || ::pipe(ends) != 0) return;
    process_ = ::fork();
    if (process_ == 0) {
      ::dup2(ends[1], STDOUT_FILENO);
      if (::chdir(folder.c_str()) != 0) ::_exit(1);
      ::execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "cert.pem",
               "-key", "key.pem", "-WWW", nullptr);
      ::_exit(1);
    }
    ::close(ends[1]);
    read_port(ends[0]);
    ::close(ends[0]);
  }
  ~TlsServer() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  bool runs() const { return !port_.empty(); }
  std::string url(std::string_view path) const { return cat("https://localhost:", port_, path); }

 private:
  // "ACCEPT 127.0.0.1:4433".
  void read_port(int end) {
    std::string text;
    char byte = 0;
    while (::read(end, &byte, 1) == 1) {
      text += byte;
      const std::size_t line = text.find("ACCEPT ");
      if (byte != '\n' || line == std::string::npos) continue;
      port_ = trim(text.substr(text.rfind(':') + 1));
      return;
    }
  }

  pid_t process_ = 0;
  std::string port_;
};

TEST_F(Download, CertificatesAreChecked) {
  const TempDirectory folder;
  write_file_atomically(folder.path() + "/m?tf-hub-format=compressed", module_tar());
  const TlsServer server(folder.path());
  if (!server.runs()) GTEST_SKIP() << "There is no openssl program.";
  const Error error = refused(server.url("/m"));
  EXPECT_THAT(error.message(), StartsWith("TLS:"));
  EXPECT_EQ(error.code(), ErrorCode::kFailedPrecondition);
  {
    const Environment trusted("SSL_CERT_FILE", (folder.path() + "/cert.pem").c_str());
    EXPECT_THAT(tree_of(resolve(server.url("/m"), options_)), IsModuleTree());
  }
  std::filesystem::remove_all(cache_);
  {
    const Environment unchecked("TFHUB_DISABLE_CERT_VALIDATION", "True");
    EXPECT_THAT(refused(server.url("/m")).message(), StartsWith("TLS:"));
  }
  const Environment unchecked("TFHUB_DISABLE_CERT_VALIDATION", "true");
  EXPECT_THAT(tree_of(resolve(server.url("/m"), options_)), IsModuleTree());
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
  EXPECT_THAT(tree_of(resolve(server.url("/m"), options_)), IsModuleTree());
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
  EXPECT_THAT(tree_of(resolve(server.url("/m"), options_)), IsModuleTree());
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
  EXPECT_THAT(tree_of(resolve(whole.url("/m"), options_)), IsModuleTree());
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
  EXPECT_THAT(tree_of(resolve(server.url("/m"), options_)), IsModuleTree());
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

}  // namespace
}  // namespace hub::testing
