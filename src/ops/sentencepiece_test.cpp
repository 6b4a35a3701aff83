#include "ops/sentencepiece.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::string_literals;

// A field of a message, as protobuf writes it.
std::string bytes_field(int number, const std::string& bytes) {
  std::string text(1, static_cast<char>(number << 3 | 2));
  for (std::size_t size = bytes.size();; size >>= 7) {
    text += static_cast<char>(size < 128 ? size : (size & 127) | 128);
    if (size < 128) break;
  }
  return text + bytes;
}
std::string int_field(int number, int value) {
  std::string text;
  const int tag = number << 3;
  if (tag < 128) {
    text += static_cast<char>(tag);
  } else {
    text += static_cast<char>((tag & 127) | 128);
    text += static_cast<char>(tag >> 7);
  }
  return text + static_cast<char>(value);
}
std::string piece(const std::string& text, float score = 0, int type = 1) {
  std::string bits(4, '\0');
  std::memcpy(bits.data(), &score, 4);
  return bytes_field(1, bytes_field(1, text) + "\x15" + bits + int_field(3, type));
}

enum Type { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };
enum Algorithm { kUnigram = 1, kBpe, kWord, kChar };

std::string model(const std::string& pieces, int algorithm = kUnigram,
                  const std::string& more = "") {
  return piece("<unk>", 0, kUnknown) + pieces + bytes_field(2, int_field(3, algorithm)) + more;
}

std::vector<std::string> encode(const std::string& bytes, const std::string& text) {
  std::vector<std::string> pieces;
  for (const EncodedPiece& p : Sentencepiece(bytes).encode(text, {})) pieces.push_back(p.text);
  return pieces;
}

TEST(SentencepieceTest, AUnigramModelTakesTheBestPath) {
  const std::string bytes =
      model(piece("▁a", -1) + piece("b", -2) + piece("▁ab", -2.5f) + piece("▁abc", -9));
  EXPECT_THAT(encode(bytes, "ab"), ElementsAre("▁ab"));
  EXPECT_THAT(encode(bytes, "abx yab"), ElementsAre("▁ab", "x▁ya", "b"))
      << "unknown characters are joined";
}

TEST(SentencepieceTest, OfEqualPathsTheOneWithTheLongestLastPieceWins) {
  EXPECT_THAT(encode(model(piece("▁", -1) + piece("a", -1) + piece("b", -1) + piece("ab", -2) +
                           piece("▁a", -2)),
                     "ab"),
              ElementsAre("▁", "ab"));
}

TEST(SentencepieceTest, BpeMergesTheBestPairFirst) {
  const std::string pieces = piece("▁", -9) + piece("a", -9) + piece("b", -9) + piece("c", -9) +
                             piece("bc", -1) + piece("ab", -2) + piece("▁a", -3);
  EXPECT_THAT(encode(model(pieces, kBpe), "abc"), ElementsAre("▁a", "bc"));
  EXPECT_THAT(encode(model(pieces + piece("▁abc", 0, kUnused), kBpe), "abc"),
              ElementsAre("▁a", "bc"))
      << "an unused piece falls apart again";
}

TEST(SentencepieceTest, WordsAndCharacters) {
  EXPECT_THAT(encode(model(piece("▁a"), kWord), "a b"), ElementsAre("▁a", "▁b"));
  EXPECT_THAT(encode(model(piece("▁"), kChar), "ñ"), ElementsAre("▁", "ñ"));
  EXPECT_THAT(encode(model(piece("<x>", 0, kUserDefined), kChar), "<x>"), ElementsAre("▁", "<x>"));
}

TEST(SentencepieceTest, ContradictionsAreErrors) {
  const std::string a = piece("a");
  for (const std::string& bad : {
           "not a model"s,
           ""s,
           a,             // no unknown piece
           model(a + a),  // twice
           model(piece("")),
           model(piece("a\0b"s)),                                 // no text
           model(piece("<u2>", 0, kUnknown)),                     // two of them
           model(""),                                             // nothing to choose from
           model(a + piece("<0x41>", 0, kByte)),                  // without fallback
           model(a, kUnigram, bytes_field(2, int_field(35, 1))),  // without byte pieces
           model(a, kUnigram, bytes_field(3, bytes_field(2, "\x08"))),
           model(a, kUnigram, bytes_field(3, bytes_field(2, "\xff\xff\xff\xff\x01"))),
           model(a, kUnigram,
                 bytes_field(4, bytes_field(1, bytes_field(1, "a") + bytes_field(2, "a a a")))),
       }) {
    EXPECT_EQ(error_code_of([&] { const Sentencepiece engine(bad); }), ErrorCode::kInternal)
        << printable(bad);
  }
}

// Four bytes of size, then units: a broken trie leads nowhere, or to a clear error.
TEST(SentencepieceTest, ABrokenCharsmapIsNoCrash) {
  const auto with_units = [&](const std::vector<std::uint32_t>& units, const std::string& outputs) {
    std::string map(4 + units.size() * 4, '\0');
    const auto size = static_cast<std::uint32_t>(units.size() * 4);
    std::memcpy(map.data(), &size, 4);
    std::memcpy(map.data() + 4, units.data(), size);
    return model(piece("a"), kUnigram, bytes_field(3, bytes_field(2, map + outputs)));
  };
  EXPECT_THAT(encode(with_units({0xffffffff}, "x"), "a"), ElementsAre("▁", "a"));
  EXPECT_THAT(encode(with_units({'a' << 10, 0, 0}, "x"), "a"), ElementsAre("▁", "a"));
  // Each byte leads back to the root, which has a value outside of the outputs.
  EXPECT_EQ(error_code_of([&] {
              encode(with_units(std::vector<std::uint32_t>(256, 1u << 8 | 'a'), "x"), "aaa");
            }),
            ErrorCode::kInternal);
}

TEST(SentencepieceTest, MarksMustBeInTheModel) {
  const Sentencepiece with(model(piece("a") + piece("<s>", 0, kControl)));
  const EncodedText text = with.encode("a", {.add_begin = true});
  EXPECT_EQ(text[0].text, "<s>");
  EXPECT_EQ(error_code_of([&] { with.encode("a", {.add_end = true}); }), ErrorCode::kInternal);
  EXPECT_EQ(error_code_of([&] { with.decode({"a"}, {.add_end = true}); }), ErrorCode::kInternal);
}

TEST(SentencepieceTest, IdsOutOfRangeAreErrors) {
  const Sentencepiece engine(model(piece("a")));
  EXPECT_EQ(engine.piece(1), "a");
  EXPECT_EQ(engine.id("nothing"), 0);
  for (const int id : {-1, 2}) {
    EXPECT_EQ(error_code_of([&] { engine.piece(id); }), ErrorCode::kOutOfRange);
  }
}

TEST(SentencepieceTest, TheBestAreInOrder) {
  const Sentencepiece engine(model(piece("▁", -1) + piece("a", -1) + piece("▁a", -1.5f)));
  const std::vector<EncodedText> best = engine.encode_best("a", 5, {});
  ASSERT_EQ(best.size(), 2u);
  EXPECT_EQ(best[0].size(), 1u);
  EXPECT_EQ(best[1].size(), 2u);
  const Sentencepiece bpe(model(piece("a"), kBpe));
  EXPECT_EQ(error_code_of([&] { bpe.encode_best("a", 2, {}); }), ErrorCode::kInternal);
}

TEST(SentencepieceTest, SamplesFollowTheScores) {
  const Sentencepiece engine(model(piece("▁", -1) + piece("a", -1) + piece("▁a", -1)));
  std::mt19937 random(7);
  int whole = 0;
  for (int i = 0; i < 4000; ++i) {
    whole += engine.encode_sample("a", -1, 1.0f, {}, random).size() == 1 ? 1 : 0;
  }
  EXPECT_NEAR(whole / 4000.0, 1 / (1 + std::exp(-1.0)), 0.03);
  EXPECT_EQ(error_code_of([&] { engine.encode_sample("a", 600, 1.0f, {}, random); }),
            ErrorCode::kInternal);
}

// The ops of tf_sentencepiece, whose model is an attribute.
const std::string kMarked = model(piece("<s>", 0, kControl) + piece("</s>", 0, kControl) +
                                  piece("▁a", -1) + piece("b", -2));

TEST(TfSentencepieceTest, TextsBecomeRows) {
  const Tensor text = texts({2}, {"ab", "a"});
  const Attrs attrs = {{"out_type", kString},
                       {"model_proto", kMarked},
                       {"reverse", true},
                       {"add_bos", true},
                       {"add_eos", true}};
  const auto sparse = run("SentencepieceEncodeSparse", {text, scalar(0), scalar(1.0f)}, attrs);
  EXPECT_THAT(values<std::string>(sparse[1]),
              ElementsAre("<s>", "b", "▁a", "</s>", "<s>", "▁a", "</s>"));
  EXPECT_THAT(values<std::int64_t>(sparse[2]), ElementsAre(2, 4));
  EXPECT_THAT(values<std::int64_t>(sparse[0]),
              ElementsAre(0, 0, 0, 1, 0, 2, 0, 3, 1, 0, 1, 1, 1, 2));
  const auto dense = run("SentencepieceEncodeDense", {text, ints({2}, {1, 1}), scalar(1.0f)},
                         {{"model_proto", kMarked}});
  EXPECT_THAT(values<std::int32_t>(dense[0]), ElementsAre(3, 4, 3, 0));  // padded with <unk>
  EXPECT_THAT(values<std::int32_t>(dense[1]), ElementsAre(2, 1));
  EXPECT_EQ(infer("SentencepieceEncodeDense", "[?];[3];[]", {{"model_proto", kMarked}}),
            "[3,?];[3]");
}

TEST(TfSentencepieceTest, RowsBecomeTexts) {
  const auto decoded = run("SentencepieceDecode", {ints({2, 2}, {3, 4, 3, 0}), ints({2}, {2, 1})},
                           {{"T", kInt32}, {"model_proto", kMarked}});
  EXPECT_THAT(values<std::string>(decoded[0]), ElementsAre("ab", "a"));
  EXPECT_EQ(error_code_of([] {
              run("SentencepieceDecode", {ints({1, 1}, {3}), ints({1}, {2})},
                  {{"T", kInt32}, {"model_proto", kMarked}});
            }),
            ErrorCode::kInvalidArgument);
}

TEST(TfSentencepieceTest, PiecesAreLookedUp) {
  const Attrs attrs = {{"model_proto", kMarked}};
  EXPECT_EQ(run("SentencepieceGetPieceSize", {}, attrs)[0].scalar<std::int32_t>(), 5);
  EXPECT_THAT(
      values<std::int32_t>(run("SentencepiecePieceToId", {texts({2}, {"b", "none"})}, attrs)[0]),
      ElementsAre(4, 0));
  EXPECT_THAT(values<std::string>(run("SentencepieceIdToPiece", {ints({3}, {4, -1, 5})}, attrs)[0]),
              ElementsAre("b", "", ""));
  EXPECT_THAT(values<bool>(run("SentencepieceGetPieceType", {ints({3}, {1, 4, 9})},
                               {{"model_proto", kMarked}, {"piece_type", 1}})[0]),
              ElementsAre(true, false, false));
}

TEST(TfSentencepieceTest, ThereIsOneModelThatHasTheMarks) {
  const auto code = [](const Attrs& attrs) {
    return error_code_of([&] {
      run("SentencepieceEncodeSparse", {texts({1}, {"a"}), scalar(0), scalar(1.0f)}, attrs);
    });
  };
  EXPECT_EQ(code({}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({{"model_proto", kMarked}, {"model_file", "m"}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({{"model_file", "/no/such/file"}}), ErrorCode::kNotFound);
  EXPECT_EQ(code({{"model_proto", model(piece("a"))}, {"add_bos", true}}),
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace hub::testing
