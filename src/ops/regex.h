#pragma once

// RE2's regular expressions, as kernels keep them.

#include <re2/re2.h>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/errors.h"

namespace hub {

// Errors: INVALID_ARGUMENT where the pattern is none, or takes more memory than RE2 allows.
inline std::shared_ptr<const re2::RE2> compile_regex(const std::string& pattern,
                                                     std::string_view op) {
  auto regex = std::make_shared<const re2::RE2>(pattern, re2::RE2::Quiet);
  if (!regex->ok()) {
    throw invalid_argument(op, ": the pattern is no regular expression. Details: \"",
                           printable(pattern), "\": ", regex->error(), ".");
  }
  return regex;
}

// The pattern that a node used last, compiled: it is a tensor, but nearly always the same.
// Thread-safe.
class PatternCache {
 public:
  std::shared_ptr<const re2::RE2> find(const std::string& pattern, std::string_view op) const {
    const std::lock_guard lock(mutex_);
    if (regex_ == nullptr || regex_->pattern() != pattern) regex_ = compile_regex(pattern, op);
    return regex_;
  }

 private:
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const re2::RE2> regex_;
};

}  // namespace hub
