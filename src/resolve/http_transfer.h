#pragma once

// One HTTP request with libcurl, pulled by its reader.

#include <curl/curl.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "hub/error.h"
#include "hub/resolver.h"

namespace hub {

struct HttpRequest {
  std::string url;
  std::uint64_t offset = 0;  // where in the answer's content to begin
  std::string if_range;      // for offset > 0: what the content must still be
};

// What the headers say.
struct HttpHeaders {
  int status = 0;
  std::string content_type;
  std::string validator;                       // a strong ETag, else Last-Modified
  std::string location;                        // absolute
  std::optional<std::uint64_t> content_begin;  // of Content-Range
  std::optional<std::uint64_t> content_length;
  std::optional<double> retry_after_seconds;
  bool is_chunked = false;
};

class HttpTransfer {
 public:
  HttpTransfer(const HttpRequest& request, const NetworkOptions& options);
  ~HttpTransfer();
  HttpTransfer(const HttpTransfer&) = delete;
  HttpTransfer& operator=(const HttpTransfer&) = delete;

  // Moves the transfer on: waits until there is something new, at most `wait`.
  void pump(std::chrono::milliseconds wait);
  // The headers have arrived.
  bool has_headers() const { return !body_.empty() || done_; }
  const HttpHeaders& headers();
  // Takes the bytes that have arrived.
  std::string take_body();
  bool is_done() const { return done_; }
  // Of one that is done: what went wrong, if something did.
  const std::optional<Error>& failure() const { return failure_; }
  // Whether it makes sense to try again.
  bool failure_is_transient() const { return transient_; }

 private:
  void set_options(const HttpRequest& request, const NetworkOptions& options);
  void finish(CURLcode result);
  void describe_failure(CURLcode result);
  void complete_headers();
  static std::size_t write_body(char* bytes, std::size_t one, std::size_t count, void* self);
  static std::size_t read_header(char* bytes, std::size_t one, std::size_t count, void* self);

  std::string url_;
  std::unique_ptr<CURL, void (*)(CURL*)> easy_;
  std::unique_ptr<CURLM, CURLMcode (*)(CURLM*)> multi_;
  std::unique_ptr<curl_slist, void (*)(curl_slist*)> header_list_;
  char error_text_[CURL_ERROR_SIZE] = {};
  HttpHeaders headers_;
  std::string body_;
  std::optional<Error> failure_;
  bool transient_ = false;
  bool done_ = false;
};

// "host:port" or "host" of a URL; empty where there is none.
std::string host_of_url(std::string_view url);

// What an answer that is no success means. `body` is the beginning of what came with it.
Error http_status_error(int status, std::string_view url, std::string_view body);
// Whether the same request may succeed later.
bool is_transient_status(int status);

}  // namespace hub
