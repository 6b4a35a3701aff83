#include <cmath>

#include "format/wav.h"
#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string number(std::uint32_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

std::string chunk(const std::string& name, const std::string& bytes) {
  return name + number(static_cast<std::uint32_t>(bytes.size()), 4) + bytes;
}

std::string format(std::uint32_t channels, std::uint32_t rate, std::uint32_t bits = 16) {
  return number(1, 2) + number(channels, 2) + number(rate, 4) + number(rate * channels * 2, 4) +
         number(channels * 2, 2) + number(bits, 2);
}

std::string file(const std::string& chunks) { return "RIFF" + number(0, 4) + "WAVE" + chunks; }

std::string message_of(const std::string& bytes) {
  return error_of([&] { parse_wav(bytes); });
}

TEST(WavTest, EveryPartIsRead) {
  const std::string data = chunk("data", std::string("\1\0\0\x80\xff\xff\2\0", 8));
  const std::string bytes = file(chunk("JUNK", "x") + chunk("fmt ", format(2, 44100) + "xx") +
                                 chunk("LIST", "abc") + data);
  const Wav wav = parse_wav(bytes);
  EXPECT_EQ(wav.channels, 2);
  EXPECT_EQ(wav.sample_rate, 44100u);
  EXPECT_EQ(wav.frames, 2);
  EXPECT_EQ(wav.sample(1), -32768);
  EXPECT_EQ(wav.sample(2), -1);
}

TEST(WavTest, WhatIsNotSupportedIsAnError) {
  const std::string good = chunk("fmt ", format(1, 8000));
  const std::string data = chunk("data", "ab");
  EXPECT_THAT(message_of(""), HasSubstr("must hold"));
  EXPECT_THAT(message_of("RIFX"), HasSubstr("RIFX"));
  EXPECT_THAT(message_of(file(chunk("LIST", "") + good + data)), HasSubstr("LIST"));
  EXPECT_THAT(message_of(file(chunk("fmt ", format(1, 8000) + "x") + data)), HasSubstr("17"));
  EXPECT_THAT(message_of(file(chunk("fmt ", format(1, 8000, 8)) + data)), HasSubstr("bits"));
  EXPECT_THAT(message_of(file(chunk("fmt ", format(0, 8000)) + data)), HasSubstr("channel"));
  EXPECT_THAT(message_of(file(chunk("fmt ", format(1, 0xffffffff)) + data)), HasSubstr("second"));
  EXPECT_THAT(message_of(file(good)), HasSubstr("none"));
  EXPECT_THAT(message_of(file(good + data + data)), HasSubstr("two"));
  EXPECT_THAT(message_of(file(good + "data" + number(8, 4) + "ab")), HasSubstr("must hold"));
  EXPECT_THAT(message_of(file(good + "data" + number(0x80000000, 4))), HasSubstr("2^31"));
}

TEST(WavTest, DamagedFilesAreErrorsOrFiles) {
  const std::string bytes = file(chunk("fmt ", format(2, 8000)) + chunk("data", "abcdefgh"));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int value = 0; value < 256; ++value) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(value);
      try {
        const Wav wav = parse_wav(damaged);
        ASSERT_EQ(static_cast<std::int64_t>(wav.samples.size()), wav.frames * wav.channels * 2);
      } catch (const Error& error) {
        ASSERT_EQ(error.code(), ErrorCode::kInvalidArgument);
      }
    }
    EXPECT_NE(message_of(bytes.substr(0, i)), "");
  }
}

TEST(AudioTest, SamplesAreRoundedAndClamped) {
  const auto bytes =
      run("EncodeWav", {floats({6, 1}, {0.5f, -2, 2, NAN, 1.0f / 65536, -INFINITY}), scalar(8000)});
  const Wav wav = parse_wav(bytes[0].scalar<std::string>());
  std::vector<int> samples;
  for (int i = 0; i < 6; ++i) samples.push_back(wav.sample(i));
  EXPECT_THAT(samples, ElementsAre(16384, -32768, 32767, 0, 1, -32768));
  EXPECT_EQ(error_code_of([] {
              run("EncodeWav", {floats({1, 1}, {0}), scalar(-1)});
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([] {
              run("EncodeWav", {floats({1, 0}, {}), scalar(1)});
            }),
            ErrorCode::kInvalidArgument);
}

TEST(AudioTest, ShapesFollowFromTheAttributes) {
  const auto spectrogram = [](const char* shape, int window, int stride) {
    return infer("AudioSpectrogram", shape, {{"window_size", window}, {"stride", stride}});
  };
  EXPECT_EQ(spectrogram("[100,2]", 30, 15), "[2,5,17]");
  EXPECT_EQ(spectrogram("[10,1]", 16, 8), "[1,0,9]");
  EXPECT_EQ(spectrogram("?", 2, 1), "[?,?,2]");
  EXPECT_EQ(spectrogram("[10,1]", 1, 0), "[?,?,?]");
  EXPECT_EQ(infer("Mfcc", "[2,?,129];[]"), "[2,?,13]");
  EXPECT_EQ(infer("DecodeWav", "[]", {{"desired_channels", 2}}), "[?,2];[]");
  EXPECT_EQ(error_code_of([] {
              infer("DecodeWav", "[]", {{"desired_samples", -2}});
            }),
            ErrorCode::kInvalidArgument);
}

TEST(AudioTest, ASineIsInItsBin) {
  Tensor sine(kFloat, Shape{64, 1});
  for (int i = 0; i < 64; ++i) {
    sine.mutable_data<float>()[i] = std::sin(static_cast<float>(i) * 3.14159265f / 4);
  }
  const Tensor power = run("AudioSpectrogram", {sine}, {{"window_size", 32}, {"stride", 32}})[0];
  ASSERT_EQ(power.shape(), (Shape{1, 2, 17}));
  const float* row = power.data<float>() + 17;
  EXPECT_EQ(std::max_element(row, row + 17) - row, 4);
}

TEST(AudioTest, TooFewFrequenciesGiveZeros) {
  Tensor ones(kFloat, Shape{1, 2, 9});
  for (float& value : ones.mutable_values<float>()) value = 1;
  const Tensor none = run("Mfcc", {ones, scalar(4000)})[0];
  EXPECT_THAT(none.values<float>(), Each(0.0f));
  EXPECT_NE(run("Mfcc", {ones, scalar(8000)})[0].values<float>()[0], 0.0f);
  const auto code = [&](const Attrs& attrs) {
    return error_code_of([&] { run("Mfcc", {ones, scalar(8000)}, attrs); });
  };
  EXPECT_EQ(code({{"dct_coefficient_count", 41}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({{"dct_coefficient_count", 0}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({{"lower_frequency_limit", -1.0}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({{"upper_frequency_limit", 20.0}}), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace hub::testing
