#pragma once

// Replacing what a regular expression matches. Patterns that always match one character (or a
// run of such characters) and plain rewrites are replaced by tables; all else by RE2.

#include <array>
#include <atomic>
#include <bitset>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ops/regex.h"

namespace hub {

// The characters that a pattern of one character matches. Thread-safe.
class CharacterSet {
 public:
  explicit CharacterSet(const std::string& pattern);
  CharacterSet(const CharacterSet&) = delete;
  CharacterSet& operator=(const CharacterSet&) = delete;
  ~CharacterSet();

  bool has_ascii(char c) const { return ascii_[static_cast<unsigned char>(c)]; }
  // `character` is one valid character of UTF-8.
  bool has(std::string_view character) const;

 private:
  static constexpr std::uint32_t kBlockSize = 256;
  using Block = std::bitset<kBlockSize>;

  const Block& block(std::uint32_t number) const;

  re2::RE2 regex_;
  std::array<bool, 128> ascii_;
  // The first two planes, a block made when it is first asked for.
  mutable std::array<std::atomic<const Block*>, 0x20000 / kBlockSize> blocks_ = {};
};

// What a replacement makes of each byte of ASCII text: at most one byte.
struct AsciiMap {
  std::array<char, 128> to;
  std::array<bool, 128> kept;
};

class RegexReplacer {
 public:
  // `global`: all matches, else the first. A bad rewrite is no error: RE2 then leaves the text,
  // or drops the match. Errors: INVALID_ARGUMENT for a bad pattern, naming `op`.
  RegexReplacer(const std::string& pattern, const std::string& rewrite, bool global,
                std::string_view op);

  const std::string& pattern() const { return regex_->pattern(); }
  const std::string& rewrite() const { return rewrite_; }
  // `result` is not part of `text`.
  void replace(std::string_view text, std::string& result) const;
  // How ASCII texts are replaced, where that is byte by byte.
  std::optional<AsciiMap> ascii_map() const;

 private:
  bool replace_characters(std::string_view text, std::string& result) const;

  std::shared_ptr<const re2::RE2> regex_;
  std::string rewrite_;
  bool global_;
  bool runs_ = false;                               // of the set's characters
  std::unique_ptr<const CharacterSet> characters_;  // nullptr: RE2 does it
};

// The replacement that a node used last: patterns are tensors, but nearly always the same.
// Thread-safe.
class ReplacerCache {
 public:
  std::shared_ptr<const RegexReplacer> find(const std::string& pattern, const std::string& rewrite,
                                            bool global, std::string_view op) const {
    const std::lock_guard lock(mutex_);
    if (last_ == nullptr || last_->pattern() != pattern || last_->rewrite() != rewrite)
      last_ = std::make_shared<const RegexReplacer>(pattern, rewrite, global, op);
    return last_;
  }

 private:
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const RegexReplacer> last_;
};

}  // namespace hub
