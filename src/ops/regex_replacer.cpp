#include "ops/regex_replacer.h"

#include <cctype>

#include "ops/utf8.h"

namespace hub {
namespace {

// The length of what begins `pattern` and matches one character whatever that is, or 0.
std::size_t one_character_length(std::string_view pattern) {
  constexpr std::string_view kMeta = "\\+*?()|[]{}^$";
  if (pattern.empty()) return 0;
  if (pattern[0] != '\\') {
    return kMeta.find(pattern[0]) == std::string_view::npos ? valid_utf8_char(pattern) : 0;
  }
  if (pattern.size() < 2) return 0;
  const char kind = pattern[1];
  if (kind == 'p' || kind == 'P') {
    if (pattern.size() < 3) return 0;
    if (pattern[2] != '{') return 3;
    const std::size_t end = pattern.find('}');
    return end == std::string_view::npos ? 0 : end + 1;
  }
  constexpr std::string_view kClasses = "dDsSwW";
  const bool is_punctuation = kind > ' ' && kind < 0x7f && std::ispunct(kind) != 0;
  return is_punctuation || kClasses.find(kind) != std::string_view::npos ? 2 : 0;
}

// The length of a bracket expression that begins `pattern`, or 0.
std::size_t bracket_length(std::string_view pattern) {
  if (!pattern.starts_with('[')) return 0;
  std::size_t i = 1;
  if (pattern.substr(i).starts_with('^')) ++i;
  if (pattern.substr(i).starts_with(']')) ++i;
  while (i < pattern.size() && pattern[i] != ']') {
    if (pattern[i] == '\\') {
      i += 2;
    } else if (pattern.substr(i).starts_with("[:")) {
      const std::size_t end = pattern.find(":]", i + 2);
      if (end == std::string_view::npos) return 0;
      i = end + 2;
    } else {
      ++i;
    }
  }
  return i < pattern.size() ? i + 1 : 0;
}

// Whether `pattern` is alternatives that match one character each; with `runs`, such a pattern
// without alternatives and with a + behind it. Knows only what is common.
bool matches_one_character(std::string_view pattern, bool& runs) {
  int alternatives = 0;
  while (true) {
    const std::size_t bracket = bracket_length(pattern);
    const std::size_t length = bracket > 0 ? bracket : one_character_length(pattern);
    if (length == 0) return false;
    ++alternatives;
    pattern.remove_prefix(length);
    if (pattern.empty()) return true;
    if (pattern == "+" && alternatives == 1) return runs = true;
    if (pattern[0] != '|') return false;
    pattern.remove_prefix(1);
  }
}

std::string encoded(std::uint32_t code) {
  const auto trail = [&](int shift) { return static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
  if (code < 0x80) return {static_cast<char>(code)};
  if (code < 0x800) return {static_cast<char>(0xc0 | code >> 6), trail(0)};
  if (code < 0x10000) return {static_cast<char>(0xe0 | code >> 12), trail(6), trail(0)};
  return {static_cast<char>(0xf0 | code >> 18), trail(12), trail(6), trail(0)};
}

std::uint32_t decoded(std::string_view character) {
  std::uint32_t code = static_cast<unsigned char>(character[0]);
  if (character.size() > 1) code &= 0xffu >> (character.size() + 1);
  for (const char c : character.substr(1))
    code = code << 6 | (static_cast<unsigned char>(c) & 0x3f);
  return code;
}

}  // namespace

CharacterSet::CharacterSet(const std::string& pattern) : regex_(pattern, re2::RE2::Quiet) {
  for (std::uint32_t code = 0; code < ascii_.size(); ++code)
    ascii_[code] = re2::RE2::FullMatch(encoded(code), regex_);
}

CharacterSet::~CharacterSet() {
  for (const auto& block : blocks_) delete block.load(std::memory_order_acquire);
}

bool CharacterSet::has(std::string_view character) const {
  const std::uint32_t code = decoded(character);
  const std::uint32_t number = code / kBlockSize;
  if (number >= blocks_.size()) return re2::RE2::FullMatch(character, regex_);
  return block(number)[code % kBlockSize];
}

const CharacterSet::Block& CharacterSet::block(std::uint32_t number) const {
  const Block* found = blocks_[number].load(std::memory_order_acquire);
  if (found != nullptr) return *found;
  auto made = std::make_unique<Block>();
  for (std::uint32_t i = 0; i < kBlockSize; ++i)
    (*made)[i] = re2::RE2::FullMatch(encoded(number * kBlockSize + i), regex_);
  // Another thread may have been faster.
  if (blocks_[number].compare_exchange_strong(found, made.get(), std::memory_order_acq_rel))
    return *made.release();
  return *found;
}

RegexReplacer::RegexReplacer(const std::string& pattern, const std::string& rewrite, bool global,
                             std::string_view op)
    : regex_(compile_regex(pattern, op)), rewrite_(rewrite), global_(global) {
  if (rewrite.find('\\') != std::string::npos || !matches_one_character(pattern, runs_)) return;
  characters_ =
      std::make_unique<CharacterSet>(runs_ ? pattern.substr(0, pattern.size() - 1) : pattern);
}

// False where the text is not valid UTF-8, which RE2 has rules of its own for.
bool RegexReplacer::replace_characters(std::string_view text, std::string& result) const {
  result.clear();
  std::size_t copied = 0;
  std::size_t i = 0;
  const auto matched = [&](std::size_t size) {
    return size == 1 ? characters_->has_ascii(text[i]) : characters_->has(text.substr(i, size));
  };
  bool in_run = false;
  while (i < text.size()) {
    const std::size_t size = valid_utf8_char(text.substr(i));
    if (size == 0) return false;
    if (!matched(size)) {
      if (in_run && !global_) break;
      in_run = false;
      i += size;
      continue;
    }
    result.append(text, copied, i - copied);
    if (!in_run || !runs_) result += rewrite_;
    i += size;
    copied = i;
    if (!global_ && !runs_) break;
    in_run = true;
  }
  result.append(text, copied);
  return true;
}

void RegexReplacer::replace(std::string_view text, std::string& result) const {
  if (characters_ != nullptr && replace_characters(text, result)) return;
  result.assign(text);
  if (global_) {
    re2::RE2::GlobalReplace(&result, *regex_, rewrite_);
  } else {
    re2::RE2::Replace(&result, *regex_, rewrite_);
  }
}

std::optional<AsciiMap> RegexReplacer::ascii_map() const {
  if (characters_ == nullptr || runs_ || !global_ || rewrite_.size() > 1) return std::nullopt;
  if (!rewrite_.empty() && static_cast<unsigned char>(rewrite_[0]) >= 0x80) return std::nullopt;
  AsciiMap map;
  for (std::size_t i = 0; i < map.to.size(); ++i) {
    const bool replaced = characters_->has_ascii(static_cast<char>(i));
    map.kept[i] = !replaced || !rewrite_.empty();
    map.to[i] = replaced && !rewrite_.empty() ? rewrite_[0] : static_cast<char>(i);
  }
  return map;
}

}  // namespace hub
