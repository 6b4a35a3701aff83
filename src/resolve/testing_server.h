#pragma once

// For tests: an HTTP server on loopback whose answers may be good, late, cut or lies.

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/errors.h"

namespace hub::testing {

class TestServer {
 public:
  struct Request {
    std::string method;
    std::string target;                          // "/path?query"
    std::map<std::string, std::string> headers;  // names in lower case

    std::string header(const std::string& name) const {
      const auto found = headers.find(name);
      return found == headers.end() ? std::string() : found->second;
    }
    std::string path() const { return target.substr(0, target.find('?')); }
  };

  struct Answer {
    int status = 200;
    std::string body = {};
    std::vector<std::pair<std::string, std::string>> headers = {};
    // What Content-Length says; none: the connection's end is the content's.
    std::optional<std::size_t> length = std::nullopt;
    bool says_length = true;
    // After so many bytes of the body the connection is closed, or nothing more comes.
    std::optional<std::size_t> close_after = std::nullopt;
    std::optional<std::size_t> stall_after = std::nullopt;
    std::size_t piece_bytes = std::size_t{1} << 20;
    std::chrono::milliseconds delay_between_pieces{0};
  };
  using Handler = std::function<Answer(const Request&)>;

  explicit TestServer(Handler handler) : handler_(std::move(handler)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    if (listener_ < 0 || ::bind(listener_, raw, size) != 0 || ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, raw, &size) != 0) {
      throw internal_error("The test's server does not start.");
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::jthread([this] { accept_connections(); });
  }
  ~TestServer() {
    stopping_ = true;
    acceptor_.join();
    connections_.clear();
    ::close(listener_);
  }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  int port() const { return port_; }
  std::string url(std::string_view path) const { return cat("http://127.0.0.1:", port_, path); }
  std::vector<Request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  // The targets of all requests.
  std::vector<std::string> targets() const {
    std::vector<std::string> all;
    for (const Request& request : requests()) all.push_back(request.target);
    return all;
  }

  // A file, with ranges.
  static Answer file(const Request& request, const std::string& content,
                     const std::string& etag = {}) {
    Answer answer;
    if (!etag.empty()) answer.headers.emplace_back("ETag", etag);
    const std::string range = request.header("range");
    const std::string if_range = request.header("if-range");
    constexpr std::string_view kUnit = "bytes=";
    if (!range.starts_with(kUnit) || (!if_range.empty() && if_range != etag)) {
      answer.body = content;
      return answer;
    }
    const std::size_t begin = std::strtoull(range.c_str() + kUnit.size(), nullptr, 10);
    if (begin >= content.size()) return {.status = 416};
    answer.status = 206;
    answer.body = content.substr(begin);
    answer.headers.emplace_back("Content-Range",
                                cat("bytes ", begin, "-", content.size() - 1, "/", content.size()));
    return answer;
  }

  static Answer redirect(const std::string& location, int status = 301) {
    return {.status = status, .headers = {{"Location", location}}};
  }

 private:
  void accept_connections() {
    while (!stopping_) {
      pollfd wanted = {listener_, POLLIN, 0};
      if (::poll(&wanted, 1, 10) <= 0) continue;
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) continue;
      connections_.emplace_back([this, connection] {
        serve(connection);
        ::shutdown(connection, SHUT_RDWR);
        ::close(connection);
      });
    }
  }

  void serve(int connection) {
    std::string text;
    char buffer[4096];
    while (text.find("\r\n\r\n") == std::string::npos) {
      pollfd wanted = {connection, POLLIN, 0};
      if (stopping_) return;
      if (::poll(&wanted, 1, 10) <= 0) continue;
      const ssize_t count = ::recv(connection, buffer, sizeof buffer, 0);
      if (count <= 0) return;
      text.append(buffer, static_cast<std::size_t>(count));
      constexpr char kTlsHandshake = 0x16;
      if (text.front() == kTlsHandshake) return;
    }
    const Request request = parse(text);
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    send_answer(connection, handler_(request));
  }

  static Request parse(const std::string& text) {
    Request request;
    const std::vector<std::string> lines = split(text, '\n');
    const std::vector<std::string> words = split(lines.at(0), ' ');
    request.method = words.at(0);
    request.target = words.at(1);
    for (std::size_t i = 1; i < lines.size(); ++i) {
      const std::size_t colon = lines[i].find(':');
      if (colon == std::string::npos) continue;
      std::string name = lines[i].substr(0, colon);
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      request.headers[name] = trim(std::string_view(lines[i]).substr(colon + 1));
    }
    return request;
  }

  void send_answer(int connection, const Answer& answer) {
    std::string head = cat("HTTP/1.1 ", answer.status, " Status\r\nConnection: close\r\n");
    for (const auto& [name, value] : answer.headers) head += cat(name, ": ", value, "\r\n");
    if (answer.says_length) {
      head += cat("Content-Length: ", answer.length.value_or(answer.body.size()), "\r\n");
    }
    if (!send_all(connection, head + "\r\n")) return;
    const std::size_t size =
        std::min({answer.body.size(), answer.close_after.value_or(answer.body.size()),
                  answer.stall_after.value_or(answer.body.size())});
    for (std::size_t at = 0; at < size; at += answer.piece_bytes) {
      const auto piece =
          std::string_view(answer.body).substr(at, std::min(answer.piece_bytes, size - at));
      if (!send_all(connection, piece)) return;
      std::this_thread::sleep_for(answer.delay_between_pieces);
    }
    while (answer.stall_after && !stopping_ && is_open(connection)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

  static bool is_open(int connection) {
    char byte = 0;
    return ::recv(connection, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
  }

  bool send_all(int connection, std::string_view bytes) const {
    while (!bytes.empty()) {
      pollfd wanted = {connection, POLLOUT, 0};
      if (stopping_) return false;
      if (::poll(&wanted, 1, 10) <= 0) continue;
      const ssize_t count =
          ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }

  Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
  std::vector<std::jthread> connections_;
  std::jthread acceptor_;
};

}  // namespace hub::testing
