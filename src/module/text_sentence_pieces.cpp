// SentencePiece models for raw text, and ALBERT's way of cleaning it (google-research/albert,
// tokenization.py).

#include "hub/text.h"
#include "module/text_unicode.h"
#include "ops/sentencepiece.h"

namespace hub {
namespace {

constexpr std::string_view kSpaceMark = "\xe2\x96\x81";  // U+2581

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
    text.replace(at, from.size(), to);
    at += to.size();
  }
  return text;
}

// Words with one space between.
CodePoints joined_words(const CodePoints& text) {
  CodePoints result;
  bool is_in_word = false;
  for (const UChar32 code : text) {
    const bool is_space = is_python_space(code);
    if (!is_space && !is_in_word && !result.empty()) result.push_back(' ');
    if (!is_space) result.push_back(code);
    is_in_word = !is_space;
  }
  return result;
}

std::string cleaned(std::string_view text, bool is_lower_case) {
  CodePoints words = joined_words(decode_utf8(text));
  words = decode_utf8(replaced(replaced(encode_utf8(words), "``", "\""), "''", "\""));
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* form = icu::Normalizer2::getNFKDInstance(status);
  words = normalized(words, form, status);
  std::erase_if(words, [](UChar32 code) { return u_getCombiningClass(code) != 0; });
  return encode_utf8(is_lower_case ? lower_case(words) : words);
}

// Whether it is "...5,".
bool ends_in_digit_and_comma(const std::string& piece) {
  const CodePoints codes = decode_utf8(piece);
  if (codes.size() < 2 || codes.back() != ',') return false;
  const UChar32 last = codes[codes.size() - 2];
  const auto type = u_getIntPropertyValue(last, UCHAR_NUMERIC_TYPE);
  return type == U_NT_DECIMAL || type == U_NT_DIGIT;
}

class SentencePieces final : public Tokenizer {
 public:
  SentencePieces(std::string_view model, const SentencePieceOptions& options)
      : model_(model), options_(options) {}

  std::vector<std::string> pieces(std::string_view text) const override {
    if (!options_.clean) return encode(encode_utf8(decode_utf8(text)));
    std::vector<std::string> result;
    for (std::string& piece : encode(cleaned(text, options_.lower_case))) {
      if (ends_in_digit_and_comma(piece)) {
        add_without_comma(piece, result);
      } else {
        result.push_back(std::move(piece));
      }
    }
    return result;
  }

  std::int32_t id(std::string_view piece) const override { return model_.id(piece); }
  bool has(std::string_view piece) const override {
    const std::int32_t found = model_.id(piece);
    return model_.piece(found) == piece;
  }

 private:
  std::vector<std::string> encode(const std::string& text) const {
    std::vector<std::string> result;
    for (EncodedPiece& piece : model_.encode(text, {})) result.push_back(std::move(piece.text));
    return result;
  }

  // The number is cut anew, then comes the comma.
  void add_without_comma(const std::string& piece, std::vector<std::string>& result) const {
    const std::string number = replaced(piece.substr(0, piece.size() - 1), kSpaceMark, "");
    std::vector<std::string> parts = encode(number);
    if (!piece.starts_with(kSpaceMark) && !parts.empty() && parts[0].starts_with(kSpaceMark)) {
      parts[0].erase(0, kSpaceMark.size());
      if (parts[0].empty()) parts.erase(parts.begin());
    }
    for (std::string& part : parts) result.push_back(std::move(part));
    result.emplace_back(",");
  }

  Sentencepiece model_;
  SentencePieceOptions options_;
};

}  // namespace

std::unique_ptr<const Tokenizer> make_sentence_pieces(std::string_view model,
                                                      const SentencePieceOptions& options) {
  return std::make_unique<SentencePieces>(model, options);
}

}  // namespace hub
