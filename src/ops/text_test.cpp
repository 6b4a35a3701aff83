#include "ops/parse_number.h"
#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::string_literals;

const Attrs kUtf8Char{{"unit", "UTF8_CHAR"}};

std::vector<std::string> substr(const Tensor& text, int position, int length,
                                const Attrs& attrs = {}) {
  return values<std::string>(run("Substr", {text, scalar(position), scalar(length)}, attrs)[0]);
}

TEST(TextTest, PartsOfTextCountBytesOrCharacters) {
  const Tensor text = texts({1}, {"añb日"});
  EXPECT_THAT(substr(text, 1, 2), ElementsAre("ñ"));
  EXPECT_THAT(substr(text, 1, 2, kUtf8Char), ElementsAre("ñb"));
  EXPECT_THAT(substr(text, -2, 1, kUtf8Char), ElementsAre("b"));
  EXPECT_THAT(substr(text, -2, 100, kUtf8Char), ElementsAre("b日"));
  EXPECT_THAT(substr(text, 4, 1, kUtf8Char), ElementsAre(""));
  for (const int position : {5, -5}) {
    EXPECT_EQ(error_code_of([&] { substr(text, position, 1, kUtf8Char); }),
              ErrorCode::kInvalidArgument);
  }
}

TEST(TextTest, PartsOfTextBroadcast) {
  const Tensor matrix = texts({2, 1}, {"abcd", "efgh"});
  const auto parts = [&](const Tensor& position, const Tensor& length) {
    return run("Substr", {matrix, position, length}, {{"T", kInt64}})[0];
  };
  EXPECT_THAT(parts(int64s({2}, {0, 1}), int64s({2}, {1, 2})),
              is_tensor(texts({2, 2}, {"a", "bc", "e", "fg"})));
  EXPECT_THAT(parts(int64s({0}, {}), int64s({0}, {})), is_tensor(texts({2, 0}, {})));
  EXPECT_EQ(error_code_of([&] {
              parts(int64s({1, 1, 1}, {0}), int64s({1, 1, 1}, {0}));
            }),
            ErrorCode::kUnimplemented);
  EXPECT_EQ(error_code_of([&] {
              parts(int64s({1}, {0}), int64s({2}, {0, 0}));
            }),
            ErrorCode::kInvalidArgument);
}

TEST(TextTest, ShapesOfParts) {
  EXPECT_EQ(infer("Substr", "[2,?];[];[]", {}, {{1, scalar(0)}, {2, scalar(1)}}), "[2,?]");
  EXPECT_EQ(infer("Substr", "[2,1];[3];[?]"), "[2,3]");
  EXPECT_EQ(infer("Substr", "?;[3];[3]"), "?");
  EXPECT_THAT(error_of([] { infer("Substr", "[2];[2];[3]"); }), HasSubstr("[3]"));
}

TEST(TextTest, AReductionJoinsTheFirstListedAxisFirst) {
  const Tensor matrix = texts({2, 2}, {"a", "b", "c", "d"});
  const auto joined = [&](const Tensor& axes) {
    return values<std::string>(run("ReduceJoin", {matrix, axes}, {{"separator", "-"}})[0]);
  };
  EXPECT_THAT(joined(ints({2}, {0, 1})), ElementsAre("a-c-b-d"));
  EXPECT_THAT(joined(ints({2}, {1, 0})), ElementsAre("a-b-c-d"));
  EXPECT_EQ(error_code_of([&] { joined(ints({1}, {2})); }), ErrorCode::kOutOfRange);
  EXPECT_EQ(error_code_of([&] { joined(ints({2}, {0, -2})); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(infer("ReduceJoin", "[2,3];[1]", {{"keep_dims", true}}, {{1, ints({1}, {1})}}),
            "[2,1]");
}

TEST(TextTest, SegmentsAreJoinedInOrder) {
  const auto joined = [](const Tensor& ids, int count) {
    return run("UnsortedSegmentJoin", {texts({3}, {"a", "b", "c"}), ids, scalar(count)},
               {{"separator", ","}})[0];
  };
  EXPECT_THAT(joined(ints({3}, {1, 1, 0}), 3), is_tensor(texts({3}, {"c", "a,b", ""})));
  for (const int id : {-1, 3}) {
    EXPECT_EQ(error_code_of([&] {
                joined(ints({3}, {0, id, 0}), 3);
              }),
              ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(error_code_of([&] { joined(ints({3}, {0, 0, 0}), -1); }), ErrorCode::kInvalidArgument);
}

Attrs ngrams(std::vector<std::int64_t> widths, int pad_width, bool preserve_short = false) {
  return {{"separator", " "},       {"ngram_widths", ints_attr(std::move(widths))},
          {"left_pad", "<"},        {"right_pad", ">"},
          {"pad_width", pad_width}, {"preserve_short_sequences", preserve_short}};
}

TEST(TextTest, NGramsOfHostileWidthsAreAnErrorBeforeMemoryIsTaken) {
  const std::vector<Tensor> inputs{texts({2}, {"a", "b"}), int64s({2}, {0, 2})};
  EXPECT_EQ(error_code_of([&] { run("StringNGrams", inputs, ngrams({2147483647}, -1)); }),
            ErrorCode::kResourceExhausted);
  EXPECT_EQ(error_code_of([&] { run("StringNGrams", inputs, ngrams({0}, 0)); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([&] { run("StringNGrams", inputs, ngrams({}, -1, true)); }),
            ErrorCode::kInvalidArgument);
  EXPECT_THAT(values<std::string>(run("StringNGrams", inputs, ngrams({3}, 1))[0]),
              ElementsAre("< a b", "a b >"));
}

TEST(TextTest, TheEncodingIsSpelledInLowerCase) {
  const auto lower = [](const char* encoding) {
    return run("StringLower", {texts({}, {"ÀB"})}, {{"encoding", encoding}})[0]
        .scalar<std::string>();
  };
  EXPECT_EQ(lower("utf-8"), "àb");
  EXPECT_EQ(lower(""), "Àb");
  EXPECT_EQ(error_code_of([&] { lower("UTF-8"); }), ErrorCode::kInvalidArgument);
}

TEST(TextTest, ScriptsAreThoseOfUnicode13) {
  EXPECT_THAT(values<std::int32_t>(run("UnicodeScript", {ints({3}, {'a', 0x10570, -1})})[0]),
              ElementsAre(25, 103, -1));
}

TEST(TextTest, FormattedTensorsAreCutAtBothEnds) {
  const auto formatted = [](const Tensor& tensor, int summarize) {
    return run("StringFormat", {tensor},
               {{"T", types_attr({tensor.dtype()})},
                {"template", "<%s>"},
                {"summarize", summarize}})[0]
        .scalar<std::string>();
  };
  EXPECT_EQ(formatted(ints({5}, {1, 2, 3, 4, 5}), 1), "<[1 ... 5]>");
  EXPECT_EQ(formatted(ints({2, 2}, {1, 2, 3, 4}), -1), "<[[1 2]\n [3 4]]>");
  EXPECT_EQ(formatted(floats({2}, {0.1f, 1e20f}), 3), "<[0.1 1e+20]>");
  EXPECT_EQ(formatted(bools({2}, {true, false}), 0), "<>");
  EXPECT_EQ(formatted(texts({1}, {"a\"\n\x01"}), 3), "<[\"a\\\"\\n\\001\"]>");
  EXPECT_THAT(error_of([] {
                run("StringFormat", {scalar(1)}, {{"T", types_attr({kInt32})}, {"template", "x"}});
              }),
              HasSubstr("placeholder"));
}

TEST(TextTest, Base64IsWebSafeAndStrict) {
  const auto decoded = [](const char* text) {
    return run("DecodeBase64", {texts({}, {text})})[0].scalar<std::string>();
  };
  EXPECT_EQ(decoded("_-8"), "\xff\xef"s);
  EXPECT_EQ(decoded("YQ=="), "a");
  for (const char* bad : {"Y", "YQ=", "YQ===", "+/", "Y Q", "Y===", "YQ==YQ=="}) {
    EXPECT_EQ(error_code_of([&] { decoded(bad); }), ErrorCode::kInvalidArgument) << bad;
  }
}

TEST(TextTest, CsvFieldsAreStrictAboutQuotes) {
  const auto fields = [](const std::string& record, const Attrs& more = {}) {
    Attrs attrs{{"OUT_TYPE", types_attr({kInt32, kString})}};
    attrs.insert(more.begin(), more.end());
    return run("DecodeCSV", {texts({}, {record}), ints({1}, {7}), texts({0}, {})}, attrs);
  };
  EXPECT_EQ(fields(",\"a\"\",\nb\"")[0].scalar<std::int32_t>(), 7);
  EXPECT_EQ(fields("1,\"a\"\",\nb\"")[1].scalar<std::string>(), "a\",\nb");
  EXPECT_EQ(fields("x,1,y,b", {{"select_cols", ints_attr({1, 3})}})[1].scalar<std::string>(), "b");
  for (const char* bad : {"1", "1,", "1,a,2", "1,a\"b", "1,\"a", "1,\"a\"b", "x,a", "1,a\rb", ""}) {
    EXPECT_EQ(error_code_of([&] { fields(bad); }), ErrorCode::kInvalidArgument) << bad;
  }
  EXPECT_EQ(error_code_of([&] {
              fields("1,a", {{"select_cols", ints_attr({1, 0})}});
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([&] {
              fields("1,a", {{"field_delim", ",,"}});
            }),
            ErrorCode::kInvalidArgument);
}

TEST(TextTest, JsonRecordsMustBeExamples) {
  const auto code = [](const char* text) {
    return error_code_of([&] { run("DecodeJSONExample", {texts({}, {text})}); });
  };
  for (const char* bad :
       {"", "{", "[]", "{\"nope\":1}", "{\"features\":{\"feature\":{\"a\":1}}}"}) {
    EXPECT_EQ(code(bad), ErrorCode::kInvalidArgument) << bad;
  }
  EXPECT_EQ(run("DecodeJSONExample", {texts({}, {"{}"})})[0].scalar<std::string>(), "");
}

TEST(TextTest, RawBytesArePaddedOrCut) {
  const auto decoded = [](int length, bool little_endian) {
    return run("DecodePaddedRaw", {texts({2}, {"\x01\x02\x03"s, ""}), scalar(length)},
               {{"out_type", DType::kInt16}, {"little_endian", little_endian}})[0];
  };
  EXPECT_THAT(values<std::int16_t>(decoded(4, true)), ElementsAre(0x201, 3, 0, 0));
  EXPECT_THAT(values<std::int16_t>(decoded(4, false)), ElementsAre(0x102, 0x300, 0, 0));
  EXPECT_EQ(infer("DecodePaddedRaw", "[?,2];[]", {{"out_type", DType::kInt16}}, {{1, scalar(6)}}),
            "[?,2,3]");
  for (const int length : {0, -2, 3}) {
    EXPECT_EQ(error_code_of([&] { decoded(length, true); }), ErrorCode::kInvalidArgument);
  }
}

TEST(TextTest, MalformedTextFollowsThePolicy) {
  const auto codes = [](const std::string& bytes, const char* errors) {
    return values<std::int32_t>(run("UnicodeDecodeWithOffsets", {texts({1}, {bytes})},
                                    {{"input_encoding", "UTF-8"}, {"errors", errors}})[1]);
  };
  EXPECT_THAT(codes("a\xff"
                    "b",
                    "replace"),
              ElementsAre('a', 0xfffd, 'b'));
  EXPECT_THAT(codes("a\xff"
                    "b",
                    "ignore"),
              ElementsAre('a', 'b'));
  EXPECT_EQ(error_code_of([&] {
              codes(
                  "a\xff"
                  "b",
                  "strict");
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_THAT(error_of([] {
                run("UnicodeDecode", {texts({1}, {"a"})}, {{"input_encoding", "klingon"}});
              }),
              HasSubstr("klingon"));
  EXPECT_THAT(error_of([] {
                run("UnicodeTranscode", {texts({1}, {"a"})},
                    {{"input_encoding", "UTF-8"},
                     {"output_encoding", "UTF-8"},
                     {"replacement_char", 0x110000}});
              }),
              HasSubstr("1114112"));
}

TEST(TextTest, CodePointsAreEncodedByRows) {
  const auto encoded = [](const Tensor& splits) {
    return run("UnicodeEncode", {ints({3}, {'a', 0xd800, 0x1f600}), splits},
               {{"output_encoding", "UTF-8"}})[0];
  };
  EXPECT_THAT(encoded(int64s({3}, {0, 1, 3})), is_tensor(texts({2}, {"a", "\ufffd😀"})));
  for (const Tensor& bad :
       {int64s({2}, {0, 2}), int64s({2}, {1, 3}), int64s({0}, {}), int64s({4}, {0, 3, 1, 3})}) {
    EXPECT_EQ(error_code_of([&] { encoded(bad); }), ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(infer("UnicodeEncode", "[?];[4]", {{"output_encoding", "UTF-8"}}), "[3]");
}

TEST(TextTest, FingerprintsOfRows) {
  EXPECT_EQ(infer("Fingerprint", "[2,3];[]", {{"T", kFloat}}), "[2,?]");
  const Tensor method = texts({}, {"farmhash64"});
  const auto hashes = run("Fingerprint", {texts({2, 1}, {"a", "a"}), method}, {{"T", kString}})[0];
  EXPECT_EQ(hashes.shape(), (Shape{2, 8}));
  EXPECT_EQ(error_code_of([] {
              run("Fingerprint", {texts({1}, {"a"}), texts({}, {"md5"})}, {{"T", kString}});
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([&] {
              run("Fingerprint", {scalar(1), method}, {{"T", kInt32}});
            }),
            ErrorCode::kInvalidArgument);
}

TEST(TextTest, PatternsThatTakeTooMuchMemoryAreRefused) {
  const auto code = [](const std::string& pattern) {
    return error_code_of([&] {
      run("RegexReplace", {texts({1}, {"a"}), texts({}, {pattern}), texts({}, {""})});
    });
  };
  for (const std::string bad : {"((((a{100}){100}){100}){100}){100}", "a{1001}", "(", "\\1"}) {
    EXPECT_EQ(code(bad), ErrorCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace hub::testing
