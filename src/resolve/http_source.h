#pragma once

// The content behind a URL as it arrives: redirects followed, what breaks off resumed.

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "resolve/byte_source.h"
#include "resolve/http_transfer.h"

namespace hub {

class HttpSource final : public ByteSource {
 public:
  // `on_wait` is called several times a second while nothing arrives, and may throw.
  HttpSource(std::string url, const NetworkOptions& options, std::function<void()> on_wait);

  // Errors: of kind io, their code says what went wrong (http_status_error, HttpTransfer);
  // DEADLINE_EXCEEDED for a server that stalls, DATA_LOSS for content that is cut or changed
  // meanwhile, OUT_OF_RANGE for redirects without end.
  std::string_view read() override;
  bool knows_its_end() const override { return total_.has_value() || is_chunked_; }

  std::uint64_t received() const { return received_; }
  std::optional<std::uint64_t> total() const { return total_; }
  // Where the content comes from in the end.
  const std::string& final_url() const { return current_url_; }
  // The content is a page for people.
  bool is_html() const { return is_html_; }

 private:
  void start_attempt();
  void start_transfer();
  bool wait_for_body();
  void begin_content(const HttpHeaders& headers);
  void follow(const std::string& location);
  void finish_transfer();
  void try_again(const Error& reason, std::optional<double> wait_seconds);
  Error stalled() const;
  std::string_view accept(std::string bytes);

  std::string url_;
  NetworkOptions options_;
  std::function<void()> on_wait_;
  std::unique_ptr<HttpTransfer> transfer_;
  std::string current_url_;
  std::set<std::string> visited_;
  bool in_content_ = false;
  bool finished_ = false;
  std::uint64_t received_ = 0;
  std::uint64_t to_skip_ = 0;  // what came before already
  std::optional<std::uint64_t> total_;
  std::string validator_;
  bool is_chunked_ = false;
  bool is_html_ = false;
  int failures_ = 0;  // without anything new between them
  std::uint64_t received_at_failure_ = 0;
  std::chrono::steady_clock::time_point last_bytes_;
  std::string error_body_;
  std::string piece_;
};

// An answer as it is: no redirect is followed. Transient failures are tried again.
struct HttpAnswer {
  int status = 0;
  std::string body;  // its first 64 KiB, or as much as is wanted
};
HttpAnswer http_get(const std::string& url, const NetworkOptions& options,
                    const std::function<void()>& on_wait, std::size_t max_body = 65536);

}  // namespace hub
