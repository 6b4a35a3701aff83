#include "hub/text.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/file.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::IsEmpty;
using Pieces = std::vector<std::string>;

// One piece for each word, "[PAD]" to "[SEP]" before them.
std::unique_ptr<const Tokenizer> tokenizer(const Pieces& words,
                                           const WordPieceOptions& options = {}) {
  return make_word_pieces(cat("[PAD]\n[UNK]\n[CLS]\n[SEP]\n", join(words, "\n"), "\n"), options);
}

TEST(WordPiecesTest, TheLongestPieceCountsAtEachPlace) {
  const auto t = tokenizer({"un", "unaff", "##aff", "##able", "##a"});
  EXPECT_THAT(t->pieces("unaffable"), ElementsAre("unaff", "##able"));
  EXPECT_THAT(t->ids("unaffable un"), ElementsAre(5, 7, 4));
  EXPECT_THAT(t->pieces("unaffablex un"), ElementsAre("[UNK]", "un")) << "a word as a whole";
  EXPECT_THAT(t->pieces(""), IsEmpty());
}

TEST(WordPiecesTest, WordsEndAtWhiteSpacePunctuationAndChineseCharacters) {
  const auto t = tokenizer({"a", "b", ".", "$", "\u4e2d", "\u2026"});
  EXPECT_THAT(t->pieces("a\tb\u3000a\u2028b"), ElementsAre("a", "b", "a", "b"));
  EXPECT_THAT(t->pieces("a..b$\u2026"), ElementsAre("a", ".", ".", "b", "$", "\u2026"));
  EXPECT_THAT(t->pieces("a\u4e2d\u4e2db"), ElementsAre("a", "\u4e2d", "\u4e2d", "b"));
}

TEST(WordPiecesTest, ControlCharactersAndBrokenBytesAreDropped) {
  const auto t = tokenizer({"ab"});
  EXPECT_THAT(t->pieces("a\u200db a\x01"
                        "b a\ufffd"
                        "b a\xff"
                        "b"),
              ElementsAre("ab", "ab", "ab", "ab"));
}

TEST(WordPiecesTest, UncasedVocabulariesHaveNoAccents) {
  const Pieces words = {"resume", "R\u00e9sum\u00e9", "\u03c3\u03c2"};
  EXPECT_THAT(tokenizer(words)->pieces("R\u00e9sum\u00e9 Re\u0301sume\u0301"),
              ElementsAre("resume", "resume"));
  EXPECT_THAT(tokenizer(words)->pieces("\u03a3\u03a3"), ElementsAre("\u03c3\u03c2"))
      << "a sigma at the end of a word";
  EXPECT_THAT(tokenizer(words, {.lower_case = false})->pieces("R\u00e9sum\u00e9 resume"),
              ElementsAre("R\u00e9sum\u00e9", "resume"));
}

TEST(WordPiecesTest, LongWordsAreUnknown) {
  const auto t = tokenizer({"a", "##a"}, {.max_word_length = 3});
  EXPECT_THAT(t->pieces("aaa aaaa"), ElementsAre("a", "##a", "##a", "[UNK]"));
}

TEST(WordPiecesTest, AVocabularyHasTheUnknownPiece) {
  EXPECT_THROW(make_word_pieces("a\nb\n"), Error);
}

TEST(WordPiecesTest, VocabulariesOfWindowsAndWithoutALastLineEnd) {
  const auto t = make_word_pieces("[UNK]\r\na\r\nb");
  EXPECT_THAT(t->ids("b a c"), ElementsAre(2, 1, 0));
}

TEST(TokenIdsTest, RowsAreMarkedCutAndFilledUp) {
  const auto t = tokenizer({"a", "b"});
  const std::vector<std::string> texts = {"a", "a b a b a", ""};
  const TokenIds ids = token_ids(*t, texts, {.max_length = 5});
  EXPECT_EQ(ids.input_ids.shape(), Shape({3, 5}));
  EXPECT_THAT(ids.input_ids.values<std::int32_t>(),
              ElementsAre(2, 4, 3, 0, 0, 2, 4, 5, 4, 3, 2, 3, 0, 0, 0));
  EXPECT_THAT(ids.input_mask.values<std::int32_t>(),
              ElementsAre(1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0));
  EXPECT_EQ(token_ids(*t, texts, {.length = 9}).segment_ids.shape(), Shape({3, 9}));
  EXPECT_EQ(token_ids(*t, {}).input_ids.shape(), Shape({0, 0}));
  EXPECT_THROW(token_ids(*t, texts, {.max_length = 1}), Error);
  EXPECT_THROW(token_ids(*make_word_pieces("[UNK]\n"), texts), Error) << "no marks";
}

TEST(TokenIdsTest, SparseRowsHaveNoMarks) {
  const auto t = tokenizer({"a", "b"});
  const std::vector<std::string> texts = {"b", "", "a b"};
  const SparseTokenIds ids = sparse_token_ids(*t, texts);
  EXPECT_THAT(ids.values.values<std::int64_t>(), ElementsAre(5, 4, 5));
  EXPECT_THAT(ids.indices.values<std::int64_t>(), ElementsAre(0, 0, 2, 0, 2, 1));
  EXPECT_THAT(ids.dense_shape.values<std::int64_t>(), ElementsAre(3, 2));
}

// A field of a message, as protobuf writes it; all lengths are short.
std::string field(int number, const std::string& bytes) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())} + bytes;
}

// A unigram model of pieces that are all alike.
std::string sentence_pieces(const Pieces& pieces) {
  std::string model = field(1, field(1, "<unk>") + "\x18\x02");
  for (const std::string& piece : pieces) {
    const bool is_mark = piece.starts_with('[');
    model += field(1, field(1, piece) + std::string("\x15\x00\x00\x80\xbf", 5) +
                          (is_mark ? "\x18\x03" : "\x18\x01"));
  }
  return model;
}

TEST(SentencePiecesTest, TextIsLeftAloneOrCleaned) {
  const std::string model = sentence_pieces(
      {"[CLS]", "[SEP]", "\u2581caf\u00e9", "\u2581cafe", "\u2581", "\"", "\u2581x\""});
  EXPECT_THAT(make_sentence_pieces(model)->pieces("caf\u00e9"), ElementsAre("\u2581caf\u00e9"));
  const auto t = make_sentence_pieces(model, {.clean = true, .lower_case = true});
  EXPECT_THAT(t->pieces("  Caf\u00e9\n x''"), ElementsAre("\u2581cafe", "\u2581x\""));
  EXPECT_THAT(token_ids(*t, std::vector<std::string>{"cafe"}).input_ids.values<std::int32_t>(),
              ElementsAre(1, 4, 2));
}

TEST(SentencePiecesTest, ACommaAfterADigitStandsAlone) {
  const std::string model = sentence_pieces({"\u25815,", "\u2581", "5", ",", "\u2581a"});
  EXPECT_THAT(make_sentence_pieces(model)->pieces("5,"), ElementsAre("\u25815,"));
  EXPECT_THAT(make_sentence_pieces(model, {.clean = true})->pieces("a 5,"),
              ElementsAre("\u2581a", "\u2581", "5", ","));
}

// Recorded texts with the vocabulary of a trained module, where that is at hand.
TEST(WordPiecesTest, RecordedTexts) {
  const std::string folder = TF1HUB_LARGE_DIR "/bert_minilm";
  const std::string golden = folder + "/golden/tokenization.json";
  if (!path_exists(golden)) GTEST_SKIP() << golden << " is missing";
  const auto t = make_word_pieces(read_file(folder + "/module/assets/vocab.txt"));
  const auto recorded = nlohmann::json::parse(read_file(golden));
  for (const auto& line : recorded.at("lines")) {
    const auto& ids = line.contains("original") ? line.at("original") : line.at("ids");
    const std::vector<std::string> texts = {line.at("text").get<std::string>()};
    EXPECT_THAT(token_ids(*t, texts, {.max_length = 1000}).input_ids.values<std::int32_t>(),
                ElementsAreArray(ids.get<std::vector<std::int32_t>>()))
        << texts[0];
  }
}

}  // namespace
}  // namespace hub::testing
