#include "ops/wordpiece_trie.h"

#include <unicode/uchar.h>

#include <algorithm>

#include "ops/icu_character.h"

namespace hub {
namespace {

constexpr std::uint32_t kNoNode = 0xffffffff;
constexpr std::string_view kWhat = "A word piece model";

// A piece as a number: its id, its length without the suffix mark, whether it has that.
std::int32_t piece_id(std::int32_t code) { return code >> 8 & 0x3fffff; }
std::int64_t piece_length(std::int32_t code) { return (code & 0xff) + 1; }
bool is_suffix_piece(std::int32_t code) { return code >> 30 != 0; }

// A character that is a word by itself.
bool is_punctuation(UChar32 code) {
  struct Range {
    UChar32 first;
    UChar32 last;
  };
  constexpr Range kRanges[] = {{0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF},
                               {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B820, 0x2CEAF},
                               {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}, {33, 47},
                               {58, 64},           {91, 96},           {123, 126}};
  return std::ranges::any_of(kRanges,
                             [&](const Range& r) { return code >= r.first && code <= r.last; }) ||
         u_ispunct(code) != 0;
}

Error broken_model() { return invalid_argument(kWhat, " must fit itself: its trie does not."); }

}  // namespace

WordPieceModel::WordPieceModel(std::string_view bytes)
    : table_(bytes, kWhat),
      failures_(table_.vector(1, 8)),
      outputs_(table_.vector(2, 4)),
      suffix_root_(table_.scalar<std::uint32_t>(3, 0)),
      punctuation_node_(table_.scalar<std::uint32_t>(9, 0)),
      max_bytes_(table_.scalar<std::int32_t>(4, 0)),
      suffix_(table_.text(5)),
      unknown_(table_.text(6)),
      unknown_id_(table_.scalar<std::int32_t>(7, 0)),
      suffix_pieces_(table_.vector(8, 4)),
      cuts_text_(table_.scalar<std::uint8_t>(10, 0) != 0),
      can_detokenize_(table_.scalar<std::uint8_t>(11, 0) != 0),
      vocabulary_(table_.vector(12, 4)),
      is_suffix_(table_.vector(13, 1)) {
  const FlatVector units = table_.vector(0, 4);
  trie_ = DoubleArray(bytes.substr(units.begin, std::size_t{units.count} * 4));
  if (trie_.empty() || failures_.count < trie_.size()) throw broken_model();
}

// One text on its way through the trie.
class WordPieceModel::Run {
 public:
  Run(const WordPieceModel& model, std::string_view text, std::vector<WordPiece>& pieces)
      : model_(model), text_(text), pieces_(pieces) {}

  void tokenize_word() {
    if (text_.empty()) return;
    begin_word(0);
    word_ = text_;
    bool known = static_cast<std::int64_t>(text_.size()) <= model_.max_bytes_;
    for (std::size_t i = 0; known && i < text_.size(); ++i) {
      known = step(text_.substr(i, 1));
    }
    if (known) {
      finish_word();
    } else {
      put_unknown(text_.size());
    }
  }

  void tokenize_text();

 private:
  void begin_word(std::size_t at) {
    word_begin_ = at;
    offset_ = 0;
    kept_ = pieces_.size();
    cursor_ = model_.trie_.root();
  }

  // Goes on by some bytes, or puts out pieces until it can; false where no piece fits.
  bool step(std::string_view bytes) {
    while (true) {
      DoubleArray::Cursor next = cursor_;
      const bool whole = std::ranges::all_of(
          bytes, [&](char c) { return model_.trie_.advance(next, static_cast<unsigned char>(c)); });
      if (whole) {
        cursor_ = next;
        return true;
      }
      if (!follow_failure()) return false;
    }
  }

  // Puts out the pieces that begin what the trie has seen, and goes to the node of the rest.
  bool follow_failure() {
    const std::uint32_t node = cursor_.unit;
    if (cursor_.has_value) {
      put(static_cast<std::int32_t>(model_.trie_.value(cursor_)));
      go_to(failure(node, 0));
      return true;
    }
    const std::uint32_t next = failure(node, 0);
    if (next == kNoNode) return false;
    const std::uint32_t list = failure(node, 1);
    const std::uint32_t first = list >> 8;
    const std::uint32_t count = (list & 0xff) + 1;
    if (first > model_.outputs_.count || count > model_.outputs_.count - first) {
      throw broken_model();
    }
    for (std::uint32_t i = 0; i < count; ++i) put(model_.outputs_.at<std::int32_t>(first + i));
    go_to(next);
    return true;
  }

  std::uint32_t failure(std::uint32_t node, std::uint32_t which) const {
    return model_.failures_.at<std::uint32_t>(node * 2 + which);
  }

  void go_to(std::uint32_t node) {
    if (node >= model_.trie_.size()) throw broken_model();
    cursor_ = model_.trie_.at(node);
  }

  // Each piece takes text, so that a model whose links go round in circles ends here.
  void put(std::int32_t code) {
    auto length = static_cast<std::size_t>(piece_length(code));
    if (offset_ == 0 && is_suffix_piece(code)) length += model_.suffix_.size();
    if (code < 0 || length > word_.size() - offset_) throw broken_model();
    const std::string_view text =
        piece_id(code) == model_.unknown_id_ ? model_.unknown_ : word_.substr(offset_, length);
    const auto begin = static_cast<std::int64_t>(word_begin_ + offset_);
    pieces_.push_back({cat(offset_ > 0 ? model_.suffix_ : std::string_view(), text), piece_id(code),
                       begin, begin + static_cast<std::int64_t>(length)});
    offset_ += length;
  }

  void put_unknown(std::size_t length) {
    pieces_.resize(kept_);
    const auto begin = static_cast<std::int64_t>(word_begin_);
    pieces_.push_back({std::string(model_.unknown_), model_.unknown_id_, begin,
                       begin + static_cast<std::int64_t>(length)});
  }

  // Puts out what the trie still holds of the word.
  void finish_word() {
    if (cursor_.unit == 0) return;
    if (cursor_.unit == model_.suffix_root_ && pieces_.size() == kept_) return put_suffix_mark();
    while (cursor_.unit != model_.suffix_root_ && cursor_.unit != model_.punctuation_node_) {
      if (!follow_failure()) return put_unknown(word_.size());
    }
  }

  // The word is the suffix mark itself.
  void put_suffix_mark() {
    const FlatVector& codes = model_.suffix_pieces_;
    if (codes.count == 1 && piece_id(codes.at<std::int32_t>(0)) == model_.unknown_id_) {
      return put_unknown(word_.size());
    }
    for (std::uint32_t i = 0; i < codes.count; ++i) put(codes.at<std::int32_t>(i));
  }

  // The end of the word that goes on at `at`, which then is after the space that ends it.
  std::size_t skip_word(std::size_t& at) const {
    std::size_t end = at;
    while (at < text_.size()) {
      const IcuCharacter character = first_character(text_.substr(at));
      if (is_punctuation(character.code)) break;
      at += character.size;
      if (u_isUWhiteSpace(character.code)) break;
      end = at;
    }
    return end;
  }

  const WordPieceModel& model_;
  std::string_view text_;
  std::vector<WordPiece>& pieces_;
  std::string_view word_;       // as far as pieces may reach
  std::size_t word_begin_ = 0;  // in the text
  std::size_t offset_ = 0;      // in the word: where the next piece begins
  std::size_t kept_ = 0;        // pieces before the word
  DoubleArray::Cursor cursor_;
};

void WordPieceModel::Run::tokenize_text() {
  UChar32 last = 0;
  UChar32 code = 0;
  for (std::size_t at = 0; at < text_.size();) {
    begin_word(at);
    word_ = text_.substr(at);
    std::size_t next = at;
    while (at < text_.size()) {
      last = code;
      const IcuCharacter character = first_character(text_.substr(at));
      code = character.code;
      next = at + character.size;
      if (static_cast<std::int64_t>(next - word_begin_) > model_.max_bytes_ ||
          !step(text_.substr(at, next - at))) {
        break;
      }
      at = next;
    }
    if (at >= text_.size()) {
      finish_word();
      break;
    }
    const bool space = u_isUWhiteSpace(code) != 0;
    const bool boundary = space || is_punctuation(code) || (at > 0 && is_punctuation(last));
    // A mark that the model does not know would be met again and again.
    if (boundary && (space || at > word_begin_)) {
      word_ = text_.substr(word_begin_, at - word_begin_);
      finish_word();
      if (space) at = next;
      continue;
    }
    at = next;
    const std::size_t end = skip_word(at);
    put_unknown(end - word_begin_);
  }
}

void WordPieceModel::tokenize(std::string_view text, std::vector<WordPiece>& pieces) const {
  Run run(*this, text, pieces);
  if (cuts_text_) {
    run.tokenize_text();
  } else {
    run.tokenize_word();
  }
}

std::string WordPieceModel::detokenize(const std::vector<std::int32_t>& ids) const {
  if (!can_detokenize_) {
    throw failed_precondition(kWhat, " must be built for detokenizing.");
  }
  const std::uint32_t size = std::min(vocabulary_.count, is_suffix_.count);
  std::string text;
  for (const std::int32_t id : ids) {
    if (id < 0 || static_cast<std::uint32_t>(id) >= size) {
      throw out_of_range("FastWordpieceDetokenize: an id must lie in [0, ", size,
                         "). Details: ", id, ".");
    }
    const bool suffix = is_suffix_.at<std::uint8_t>(static_cast<std::uint32_t>(id)) != 0;
    // Only at the very beginning does a suffix keep its mark.
    if (text.empty() && suffix) text += suffix_;
    if (!text.empty() && !suffix) text += ' ';
    text += table_.text_in(vocabulary_, static_cast<std::uint32_t>(id));
  }
  return text;
}

}  // namespace hub
