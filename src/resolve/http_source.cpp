#include "resolve/http_source.h"

#include <algorithm>
#include <cmath>
#include <thread>

#include "base/errors.h"

namespace hub {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr std::chrono::milliseconds kTurn{100};
constexpr double kLongestWaitSeconds = 60;
constexpr std::size_t kMaxErrorBody = 65536;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool is_success(int status) { return status == 200 || status == 206; }

// Sleeps, and lets the caller break off.
void sleep_for(double seconds, const std::function<void()>& on_wait) {
  const auto end = Clock::now() + Seconds(seconds);
  while (Clock::now() < end) {
    if (on_wait) on_wait();
    std::this_thread::sleep_for(std::min<Clock::duration>(
        kTurn, std::chrono::duration_cast<Clock::duration>(end - Clock::now())));
  }
}

double backoff_seconds(const NetworkOptions& options, int failures) {
  return std::min(kLongestWaitSeconds, options.retry_wait_seconds * std::exp2(failures - 1));
}

}  // namespace

HttpSource::HttpSource(std::string url, const NetworkOptions& options,
                       std::function<void()> on_wait)
    : url_(std::move(url)), options_(options), on_wait_(std::move(on_wait)) {
  start_attempt();
}

void HttpSource::start_attempt() {
  current_url_ = url_;
  visited_ = {url_};
  start_transfer();
}

void HttpSource::start_transfer() {
  in_content_ = false;
  error_body_.clear();
  last_bytes_ = Clock::now();
  transfer_ = std::make_unique<HttpTransfer>(
      HttpRequest{.url = current_url_, .offset = received_, .if_range = validator_}, options_);
}

std::string_view HttpSource::read() {
  last_bytes_ = Clock::now();  // the reader's own time does not count
  while (!finished_) {
    if (!wait_for_body()) continue;
    const std::string_view bytes = accept(transfer_->take_body());
    if (!bytes.empty()) return bytes;
    if (transfer_->is_done()) finish_transfer();
  }
  return {};
}

// False where the transfer was replaced by another, or nothing came yet.
bool HttpSource::wait_for_body() {
  transfer_->pump(kTurn);
  if (on_wait_) on_wait_();
  if (!transfer_->has_headers()) {
    if (Clock::now() - last_bytes_ <= Seconds(options_.stall_timeout_seconds)) return false;
    try_again(stalled(), std::nullopt);
    return false;
  }
  last_bytes_ = Clock::now();
  return true;
}

Error HttpSource::stalled() const {
  return io_error(ErrorCode::kDeadlineExceeded, "The server stalls. Details: nothing came for ",
                  options_.stall_timeout_seconds, " s after ", received_, " bytes; ",
                  printable(current_url_, 4096), ".");
}

// Those that are new of the bytes of the transfer.
std::string_view HttpSource::accept(std::string bytes) {
  if (bytes.empty()) return {};
  if (!in_content_) begin_content(transfer_->headers());
  if (!in_content_) {
    error_body_ += bytes.substr(0, kMaxErrorBody - std::min(kMaxErrorBody, error_body_.size()));
    return {};
  }
  const std::uint64_t skipped = std::min<std::uint64_t>(to_skip_, bytes.size());
  to_skip_ -= skipped;
  piece_ = std::move(bytes);
  const std::string_view fresh = std::string_view(piece_).substr(static_cast<std::size_t>(skipped));
  received_ += fresh.size();
  return fresh;
}

// Looks at what the headers say of the content, once for each transfer.
void HttpSource::begin_content(const HttpHeaders& headers) {
  if (!is_success(headers.status)) return;
  const bool is_part = headers.status == 206;
  const std::uint64_t begin = is_part ? headers.content_begin.value_or(received_) : 0;
  const auto total = headers.content_length ? std::optional(*headers.content_length + begin)
                                            : std::optional<std::uint64_t>();
  if (received_ > 0) {
    const bool changed = (!validator_.empty() && headers.validator != validator_) ||
                         (total_ && total && *total != *total_) || begin > received_;
    if (changed) {
      throw io_error(ErrorCode::kDataLoss,
                     "The module changed on the server while it was downloaded. Details: ",
                     printable(current_url_, 4096), ".");
    }
  } else {
    validator_ = headers.validator;
    is_html_ = headers.content_type.starts_with("text/html");
  }
  if (total) total_ = total;
  is_chunked_ = headers.is_chunked;
  to_skip_ = received_ - begin;
  in_content_ = true;
}

void HttpSource::finish_transfer() {
  const HttpHeaders& headers = transfer_->headers();
  if (const auto failure = transfer_->failure()) {
    // With a part in hand every failure is worth another try.
    if (!transfer_->failure_is_transient() && received_ == 0) throw *failure;
    try_again(*failure, std::nullopt);
  } else if (is_redirect(headers.status) && !headers.location.empty()) {
    follow(headers.location);
  } else if (is_success(headers.status)) {
    if (!in_content_) begin_content(headers);  // an empty content
    finished_ = true;
  } else if (headers.status == 416 && total_ && received_ == *total_) {
    finished_ = true;  // broke off after the last byte
  } else {
    const Error error = http_status_error(headers.status, current_url_, error_body_);
    if (!is_transient_status(headers.status)) throw Error(error);
    try_again(error, headers.retry_after_seconds);
  }
}

void HttpSource::follow(const std::string& location) {
  if (current_url_.starts_with("https:") && !location.starts_with("https:")) {
    throw io_error(ErrorCode::kFailedPrecondition,
                   "A redirect from https to an unprotected URL is not followed. Details: ",
                   printable(current_url_, 4096), " to ", printable(location, 4096), ".");
  }
  if (!visited_.insert(location).second) {
    throw io_error(ErrorCode::kOutOfRange,
                   "The server redirects in a circle. Details: ", printable(url_, 4096),
                   " leads to ", printable(location, 4096), " again.");
  }
  if (visited_.size() > static_cast<std::size_t>(options_.max_redirects) + 1) {
    throw io_error(ErrorCode::kOutOfRange,
                   "The server redirects too often. Details: ", printable(url_, 4096),
                   " leads on after ", options_.max_redirects, " redirects.");
  }
  current_url_ = location;
  start_transfer();
}

void HttpSource::try_again(const Error& reason, std::optional<double> wait_seconds) {
  if (received_ > received_at_failure_) failures_ = 0;
  received_at_failure_ = received_;
  if (++failures_ > options_.retries) {
    Error error = reason;
    if (received_ > 0) {
      error.add_context(cat("after ", received_, total_ ? cat(" of ", *total_) : std::string(),
                            " bytes of ", printable(url_, 4096)));
    }
    throw Error(error);
  }
  transfer_.reset();
  sleep_for(
      std::min(kLongestWaitSeconds, wait_seconds.value_or(backoff_seconds(options_, failures_))),
      on_wait_);
  start_attempt();
}

HttpAnswer http_get(const std::string& url, const NetworkOptions& options,
                    const std::function<void()>& on_wait, std::size_t max_body) {
  for (int failures = 0;; ++failures) {
    HttpTransfer transfer({.url = url, .offset = 0, .if_range = {}}, options);
    HttpAnswer answer;
    auto last_bytes = Clock::now();
    bool stalls = false;
    while (!transfer.is_done() && answer.body.size() < max_body && !stalls) {
      transfer.pump(kTurn);
      if (on_wait) on_wait();
      const std::string bytes = transfer.take_body();
      if (!bytes.empty()) last_bytes = Clock::now();
      answer.body += bytes;
      stalls = Clock::now() - last_bytes > Seconds(options.stall_timeout_seconds);
    }
    answer.status = transfer.headers().status;
    const bool failed = stalls || transfer.failure().has_value();
    if (!failed && !is_transient_status(answer.status)) return answer;
    const bool may_retry = stalls || !failed || transfer.failure_is_transient();
    if (!may_retry || failures >= options.retries) {
      if (transfer.failure()) throw Error(*transfer.failure());
      if (!stalls) return answer;
      throw io_error(ErrorCode::kDeadlineExceeded, "The server stalls. Details: nothing came for ",
                     options.stall_timeout_seconds, " s; ", printable(url, 4096), ".");
    }
    sleep_for(backoff_seconds(options, failures + 1), on_wait);
  }
}

}  // namespace hub
