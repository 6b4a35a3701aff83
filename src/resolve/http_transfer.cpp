#include "resolve/http_transfer.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/errors.h"
#include "resolve/curl_library.h"

namespace hub {
namespace {

constexpr std::size_t kReadBuffer = std::size_t{256} << 10;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  return result.ec == std::errc() ? std::optional(number) : std::nullopt;
}

// "bytes 500-999/1000": 500.
std::optional<std::uint64_t> range_begin(std::string_view value) {
  constexpr std::string_view kUnit = "bytes ";
  return value.starts_with(kUnit) ? parse_number(value.substr(kUnit.size())) : std::nullopt;
}

void set_header(HttpHeaders& headers, std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == line.npos) return;
  const std::string name = lower(line.substr(0, colon));
  const std::string_view value = trim(line.substr(colon + 1));
  if (name == "content-type") headers.content_type = lower(value);
  if (name == "content-range") headers.content_begin = range_begin(value);
  if (name == "transfer-encoding") headers.is_chunked = lower(value).find("chunked") != value.npos;
  if (name == "etag" && !value.starts_with("W/")) headers.validator = value;
  if (name == "last-modified" && headers.validator.empty()) headers.validator = value;
  if (name == "retry-after") {
    if (const auto seconds = parse_number(value)) {
      headers.retry_after_seconds = static_cast<double>(*seconds);
    }
  }
}

bool is_tls_failure(CURLcode result) {
  switch (result) {
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED: return true;
    default: return false;
  }
}

bool breaks_off(CURLcode result) {
  switch (result) {
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return true;
    default: return false;
  }
}

Error proxy_status_error(long status, std::string_view url) {
  constexpr long kProxyLogin = 407;
  if (status == kProxyLogin) {
    return io_error(ErrorCode::kUnauthenticated,
                    "Proxy: it wants a login. Give one in the proxy's URL "
                    "(http://user:password@host:port). Details: the proxy answered 407 for ",
                    printable(url, 4096), ".");
  }
  return io_error(ErrorCode::kUnavailable,
                  "Proxy: it refused the connection. Details: it answered ",
                  static_cast<std::int64_t>(status), " for ", printable(url, 4096), ".");
}

std::string with_body(std::string_view body) {
  const std::string_view text = trim(body);
  if (text.empty() || text.front() == '<') return ".";
  return cat(": ", printable(text, 300));
}

}  // namespace

HttpTransfer::HttpTransfer(const HttpRequest& request, const NetworkOptions& options)
    : url_(request.url),
      easy_(curl_library().easy_init(), curl_library().easy_cleanup),
      multi_(curl_library().multi_init(), curl_library().multi_cleanup),
      header_list_(nullptr, curl_library().slist_free_all) {
  if (easy_ == nullptr || multi_ == nullptr) throw resource_exhausted("libcurl does not start.");
  set_options(request, options);
  curl_library().multi_add_handle(multi_.get(), easy_.get());
}

HttpTransfer::~HttpTransfer() { curl_library().multi_remove_handle(multi_.get(), easy_.get()); }

void HttpTransfer::set_options(const HttpRequest& request, const NetworkOptions& options) {
  const auto set = [&](CURLoption option, auto value) {
    if (curl_library().easy_setopt(easy_.get(), option, value) != CURLE_OK) {
      throw unimplemented("libcurl lacks an option. Details: number ",
                          static_cast<std::int64_t>(option), ".");
    }
  };
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_ERRORBUFFER, error_text_);
  set(CURLOPT_USERAGENT, "tf1hub");
  set(CURLOPT_BUFFERSIZE, static_cast<long>(kReadBuffer));
  set(CURLOPT_WRITEFUNCTION, &HttpTransfer::write_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  set(CURLOPT_HEADERFUNCTION, &HttpTransfer::read_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout_seconds * 1000));
  set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_OPTIONAL));
  if (!options.netrc_file.empty()) set(CURLOPT_NETRC_FILE, options.netrc_file.c_str());
  if (!options.proxy.empty()) set(CURLOPT_PROXY, options.proxy.c_str());
  set(CURLOPT_PROXYAUTH, static_cast<long>(CURLAUTH_ANY));
  if (!options.ca_file.empty()) set(CURLOPT_CAINFO, options.ca_file.c_str());
  if (!options.verify_certificates) {
    set(CURLOPT_SSL_VERIFYPEER, 0L);
    set(CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (request.offset == 0) return;
  set(CURLOPT_RANGE, cat(request.offset, "-").c_str());
  if (request.if_range.empty()) return;
  header_list_.reset(
      curl_library().slist_append(nullptr, cat("If-Range: ", request.if_range).c_str()));
  set(CURLOPT_HTTPHEADER, header_list_.get());
}

std::size_t HttpTransfer::write_body(char* bytes, std::size_t, std::size_t count, void* self) {
  try {
    static_cast<HttpTransfer*>(self)->body_.append(bytes, count);
    return count;
  } catch (...) {
    return 0;  // libcurl reports it as a failed write
  }
}

std::size_t HttpTransfer::read_header(char* bytes, std::size_t, std::size_t count, void* self) {
  try {
    HttpTransfer& transfer = *static_cast<HttpTransfer*>(self);
    const std::string_view line = trim(std::string_view(bytes, count));
    // Those of an answer before (100, a proxy's) do not count.
    if (line.starts_with("HTTP/")) transfer.headers_ = {};
    set_header(transfer.headers_, line);
    return count;
  } catch (...) {
    return 0;
  }
}

const HttpHeaders& HttpTransfer::headers() {
  if (headers_.status == 0) complete_headers();
  return headers_;
}

void HttpTransfer::complete_headers() {
  const CurlLibrary& curl = curl_library();
  long status = 0;
  curl.easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  headers_.status = static_cast<int>(status);
  char* location = nullptr;
  curl.easy_getinfo(easy_.get(), CURLINFO_REDIRECT_URL, &location);
  if (location != nullptr) headers_.location = location;
  curl_off_t length = -1;
  curl.easy_getinfo(easy_.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  if (length >= 0) headers_.content_length = static_cast<std::uint64_t>(length);
}

std::string HttpTransfer::take_body() { return std::exchange(body_, {}); }

void HttpTransfer::pump(std::chrono::milliseconds wait) {
  if (done_) return;
  const CurlLibrary& curl = curl_library();
  int running = 0;
  CURLMcode result = curl.multi_perform(multi_.get(), &running);
  if (result == CURLM_OK && running > 0 && body_.empty()) {
    result = curl.multi_poll(multi_.get(), nullptr, 0, static_cast<int>(wait.count()), nullptr);
    if (result == CURLM_OK) result = curl.multi_perform(multi_.get(), &running);
  }
  if (result != CURLM_OK) throw resource_exhausted("libcurl has run out of something.");
  int left = 0;
  while (const CURLMsg* message = curl.multi_info_read(multi_.get(), &left)) {
    if (message->msg == CURLMSG_DONE) finish(message->data.result);
  }
}

void HttpTransfer::finish(CURLcode result) {
  done_ = true;
  complete_headers();
  long connect_status = 0;
  curl_library().easy_getinfo(easy_.get(), CURLINFO_HTTP_CONNECTCODE, &connect_status);
  constexpr long kFirstError = 400;
  constexpr int kProxyLogin = 407;
  if (connect_status >= kFirstError) {
    failure_ = proxy_status_error(connect_status, url_);
  } else if (result == CURLE_OK && headers_.status == kProxyLogin) {
    failure_ = proxy_status_error(headers_.status, url_);
  } else if (result != CURLE_OK) {
    describe_failure(result);
  }
}

void HttpTransfer::describe_failure(CURLcode result) {
  const std::string text =
      error_text_[0] != '\0' ? error_text_ : curl_library().easy_strerror(result);
  const std::string details = cat(" Details: ", printable(text), "; ", printable(url_, 4096), ".");
  const auto fail = [&](ErrorCode code, std::string_view rule) {
    failure_ = io_error(code, rule, details);
  };
  const bool names_the_host = text.find(host_of_url(url_)) != text.npos;
  if (result == CURLE_COULDNT_RESOLVE_PROXY || result == CURLE_PROXY) {
    fail(ErrorCode::kUnavailable, "Proxy: it cannot be reached.");
  } else if (result == CURLE_COULDNT_RESOLVE_HOST) {
    fail(ErrorCode::kUnavailable, "DNS: the server's name is not known.");
  } else if (result == CURLE_COULDNT_CONNECT) {
    fail(ErrorCode::kUnavailable,
         names_the_host ? "The server cannot be reached." : "Proxy: it cannot be reached.");
  } else if (is_tls_failure(result)) {
    fail(ErrorCode::kFailedPrecondition,
         "TLS: the server's certificate or the connection is not trusted. Certificates of one's "
         "own go into ca_file or SSL_CERT_FILE.");
  } else if (breaks_off(result)) {
    // Only connecting has a time limit of libcurl's, and is not tried again.
    transient_ = result != CURLE_OPERATION_TIMEDOUT;
    fail(result == CURLE_OPERATION_TIMEDOUT ? ErrorCode::kDeadlineExceeded : ErrorCode::kDataLoss,
         result == CURLE_OPERATION_TIMEDOUT ? "The server does not answer in time."
                                            : "The download broke off.");
  } else if (result == CURLE_URL_MALFORMAT || result == CURLE_UNSUPPORTED_PROTOCOL) {
    fail(ErrorCode::kInvalidArgument, "The URL makes no sense.");
  } else {
    fail(ErrorCode::kUnavailable, "The download failed.");
  }
}

std::string host_of_url(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == url.npos) return {};
  url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find_first_of("/?#"));
  if (const std::size_t at = url.rfind('@'); at != url.npos) url.remove_prefix(at + 1);
  // Of "[::1]:80" and "host:80" the host.
  const std::size_t colon = url.rfind(':');
  if (colon != url.npos && url.find(']', colon) == url.npos) url = url.substr(0, colon);
  return std::string(url);
}

Error http_status_error(int status, std::string_view url, std::string_view body) {
  const std::string details =
      cat(" Details: HTTP ", status, " from ", printable(url, 4096), with_body(body));
  const bool is_kaggle = host_of_url(url).ends_with("kaggle.com");
  constexpr std::string_view kKaggle =
      " At Kaggle: accept the model's licence there, or put a token into ~/.netrc "
      "(machine www.kaggle.com login USER password KEY).";
  const std::string_view advice = is_kaggle ? kKaggle : std::string_view();
  switch (status) {
    case 401:
      return io_error(ErrorCode::kUnauthenticated,
                      "The server wants a login: ~/.netrc can hold it.", advice, details);
    case 403:
      return io_error(ErrorCode::kPermissionDenied,
                      "The server refuses: consent to a licence, or a permission, is missing.",
                      advice, details);
    case 404:
    case 410:
      return io_error(ErrorCode::kNotFound, "The server has no such module",
                      is_kaggle || host_of_url(url) == "tfhub.dev"
                          ? "; modules that were not moved to Kaggle were deleted in March 2024."
                          : ".",
                      details);
    case 429:
      return io_error(ErrorCode::kUnavailable, "The server has had too many requests.", details);
    default:
      return io_error(status >= 500 ? ErrorCode::kUnavailable : ErrorCode::kUnknown,
                      "The server did not give the module.", details);
  }
}

bool is_transient_status(int status) {
  constexpr int kTransient[] = {408, 425, 429, 500, 502, 503, 504};
  return std::ranges::find(kTransient, status) != std::end(kTransient);
}

}  // namespace hub
