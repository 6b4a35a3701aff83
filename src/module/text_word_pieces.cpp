// Word pieces as google-research/bert cuts them (tokenization.py).

#include <algorithm>
#include <unordered_map>

#include "graph/graph_data.h"
#include "hub/text.h"
#include "module/text_unicode.h"

namespace hub {
namespace {

constexpr const char* kUnknown = "[UNK]";
constexpr UChar32 kReplacement = 0xfffd;

bool is_dropped(UChar32 code) {
  if (code == 0 || code == kReplacement) return true;
  if (code == '\t' || code == '\n' || code == '\r') return false;
  const auto type = u_charType(code);
  return type == U_CONTROL_CHAR || type == U_FORMAT_CHAR;
}

bool is_punctuation(UChar32 code) {
  // All that ASCII prints beside letters and digits: "$" and "^" too.
  if (code < 0x80) return code > ' ' && code != 0x7f && u_isalnum(code) == 0;
  return (U_GET_GC_MASK(code) & U_GC_P_MASK) != 0;
}

// The blocks "CJK Unified Ideographs" and their like: not Japanese and Korean letters.
bool is_chinese(UChar32 code) {
  struct Block {
    UChar32 first;
    UChar32 last;
  };
  constexpr Block kBlocks[] = {{0x4e00, 0x9fff},   {0x3400, 0x4dbf},   {0x20000, 0x2a6df},
                               {0x2a700, 0x2b73f}, {0x2b740, 0x2b81f}, {0x2b820, 0x2ceaf},
                               {0xf900, 0xfaff},   {0x2f800, 0x2fa1f}};
  return std::ranges::any_of(
      kBlocks, [&](const Block& block) { return code >= block.first && code <= block.last; });
}

CodePoints without_accents(const CodePoints& word) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* form = icu::Normalizer2::getNFDInstance(status);
  CodePoints result = normalized(word, form, status);
  std::erase_if(result, [](UChar32 code) { return u_charType(code) == U_NON_SPACING_MARK; });
  return result;
}

std::string_view python_strip(std::string_view line) {
  const auto is_space_at_end = [&] {
    std::int32_t end = static_cast<std::int32_t>(line.size());
    UChar32 code = 0;
    U8_PREV(line.data(), 0, end, code);
    if (!is_python_space(code)) return false;
    line = line.substr(0, static_cast<std::size_t>(end));
    return true;
  };
  while (!line.empty() && is_space_at_end()) {
  }
  while (!line.empty()) {
    std::int32_t begin = 0;
    UChar32 code = 0;
    U8_NEXT(line.data(), begin, static_cast<std::int32_t>(line.size()), code);
    if (!is_python_space(code)) break;
    line.remove_prefix(static_cast<std::size_t>(begin));
  }
  return line;
}

class WordPieces final : public Tokenizer {
 public:
  WordPieces(std::string_view vocabulary, const WordPieceOptions& options) : options_(options) {
    std::int32_t id = 0;
    while (!vocabulary.empty()) {
      const std::size_t end = std::min(vocabulary.find('\n'), vocabulary.size());
      ids_[std::string(python_strip(vocabulary.substr(0, end)))] = id++;
      vocabulary.remove_prefix(std::min(end + 1, vocabulary.size()));
    }
    const auto unknown = ids_.find(kUnknown);
    if (unknown == ids_.end()) {
      throw invalid_argument("A vocabulary of word pieces has the piece [UNK]. Details: it has ",
                             ids_.size(), " others.");
    }
    unknown_ = unknown->second;
    for (const auto& [piece, number] : ids_) longest_ = std::max(longest_, piece.size());
  }

  std::vector<std::string> pieces(std::string_view text) const override {
    std::vector<std::string> result;
    CodePoints word;
    const auto end_word = [&] {
      if (!word.empty()) add_word(word, result);
      word.clear();
    };
    for (const UChar32 code : decode_utf8(text)) {
      if (is_dropped(code)) continue;
      if (is_python_space(code)) {
        end_word();
      } else if (is_chinese(code)) {
        end_word();
        word.push_back(code);
        end_word();
      } else {
        word.push_back(code);
      }
    }
    end_word();
    return result;
  }

  std::int32_t id(std::string_view piece) const override {
    const auto found = ids_.find(piece);
    return found == ids_.end() ? unknown_ : found->second;
  }
  bool has(std::string_view piece) const override { return ids_.contains(piece); }

 private:
  void add_word(const CodePoints& word, std::vector<std::string>& result) const {
    const CodePoints clean = options_.lower_case ? without_accents(lower_case(word)) : word;
    auto begin = clean.begin();
    for (auto at = clean.begin(); at != clean.end(); ++at) {
      if (!is_punctuation(*at)) continue;
      add_part({begin, at}, result);
      add_part({at, at + 1}, result);
      begin = at + 1;
    }
    add_part({begin, clean.end()}, result);
  }

  // A word without punctuation, or one punctuation mark.
  void add_part(const CodePoints& part, std::vector<std::string>& result) const {
    if (part.empty()) return;
    const std::size_t before = result.size();
    if (part.size() <= options_.max_word_length && add_pieces(encode_utf8(part), result)) return;
    result.resize(before);
    result.emplace_back(kUnknown);
  }

  // False where a part of the word is no piece.
  bool add_pieces(const std::string& word, std::vector<std::string>& result) const {
    std::string piece;
    for (std::size_t at = 0; at < word.size();) {
      const std::string_view mark = at > 0 ? "##" : "";
      std::size_t end = std::min(word.size(), at + longest_);
      for (;; --end) {
        if (end == at) return false;
        if (end < word.size() && U8_IS_TRAIL(static_cast<std::uint8_t>(word[end]))) continue;
        piece.assign(mark).append(word, at, end - at);
        if (ids_.contains(piece)) break;
      }
      result.push_back(piece);
      at = end;
    }
    return true;
  }

  WordPieceOptions options_;
  std::unordered_map<std::string, std::int32_t, StringHash, std::equal_to<>> ids_;
  std::int32_t unknown_ = 0;
  std::size_t longest_ = 0;  // bytes
};

}  // namespace

std::unique_ptr<const Tokenizer> make_word_pieces(std::string_view vocabulary,
                                                  const WordPieceOptions& options) {
  return std::make_unique<WordPieces>(vocabulary, options);
}

}  // namespace hub
