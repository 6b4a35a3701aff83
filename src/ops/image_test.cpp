#include <cmath>
#include <cstring>
#include <limits>

#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Tensor noise(const Shape& shape) {
  Tensor tensor(kFloat, shape);
  std::uint32_t state = 7;
  for (float& value : tensor.mutable_values<float>()) {
    state = state * 1664525 + 1013904223;
    value = static_cast<float>(state >> 8) / 16777216;
  }
  return tensor;
}

Tensor picture(const Shape& shape) {
  Tensor tensor(DType::kUint8, shape);
  std::uint8_t value = 0;
  for (std::uint8_t& sample : tensor.mutable_values<std::uint8_t>()) sample = value += 7;
  return tensor;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw_data(), b.raw_data(), a.size_bytes()) == 0;
}

TEST(ImageShapeTest, SizesComeFromTheSizeInput) {
  const std::map<int, Tensor> size = {{1, ints({2}, {7, 9})}};
  for (const char* op :
       {"ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea"}) {
    EXPECT_EQ(infer(op, "[?,4,5,3];[2]", {}, size), "[?,7,9,3]");
    EXPECT_EQ(infer(op, "?;?"), "[?,?,?,?]");
    EXPECT_THAT(error_of([&] { infer(op, "[4,5,3];[2]"); }), HasSubstr("rank"));
    EXPECT_THAT(error_of([&] { infer(op, "[1,4,5,3];[3]"); }), HasSubstr("size"));
  }
  EXPECT_EQ(infer("ScaleAndTranslate", "[2,4,5,3];[2];[2];[2]", {}, size), "[2,7,9,3]");
  EXPECT_EQ(infer("ResizeBilinearGrad", "[2,7,9,3];[2,4,5,3]"), "[2,4,5,3]");
  EXPECT_EQ(infer("CropAndResize", "[2,4,5,3];[?,4];[6];[2]", {}, {{3, ints({2}, {7, 9})}}),
            "[6,7,9,3]");
  EXPECT_EQ(infer("ImageProjectiveTransformV2", "[2,4,5,3];[1,8];[2]",
                  {{"interpolation", "NEAREST"}}, {{2, ints({2}, {7, 9})}}),
            "[2,7,9,3]");
}

TEST(ImageShapeTest, Suppression) {
  const std::map<int, Tensor> limit = {{2, scalar(5)}};
  EXPECT_EQ(infer("NonMaxSuppressionV4", "[8,4];[8];[];[];[]", {}, limit), "[?];[]");
  EXPECT_EQ(
      infer("NonMaxSuppressionV4", "[8,4];[8];[];[];[]", {{"pad_to_max_output_size", true}}, limit),
      "[5];[]");
  EXPECT_EQ(infer("NonMaxSuppressionV5", "[8,4];[8];[];[];[];[]",
                  {{"pad_to_max_output_size", true}}, limit),
            "[5];[5];[]");
  EXPECT_THAT(error_of([] { infer("NonMaxSuppressionV3", "[8,4];[7];[];[];[]"); }),
              HasSubstr("boxes and scores"));
  EXPECT_EQ(infer("CombinedNonMaxSuppression", "[2,8,1,4];[2,8,3];[];[];[];[]", {},
                  {{2, scalar(1)}, {3, scalar(6)}}),
            "[2,6,4];[2,6];[2,6];[2]");
  EXPECT_EQ(infer("CombinedNonMaxSuppression", "[2,8,1,4];[2,8,3];[];[];[];[]",
                  {{"pad_per_class", true}}, {{2, scalar(1)}, {3, scalar(6)}}),
            "[2,3,4];[2,3];[2,3];[2]");
}

TEST(ImageShapeTest, Files) {
  EXPECT_EQ(infer("DecodeJpeg", "[]", {{"channels", 3}}), "[?,?,3]");
  EXPECT_EQ(infer("DecodeImage", "[]", {{"channels", 3}}), "?");
  EXPECT_EQ(infer("DecodeImage", "[]", {{"channels", 3}, {"expand_animations", false}}), "[?,?,3]");
  EXPECT_EQ(infer("DecodeGif", "[]"), "[?,?,?,?]");
  EXPECT_EQ(infer("DecodeAndCropJpeg", "[];[4]", {}, {{1, ints({4}, {1, 2, 3, 4})}}), "[3,4,?]");
  EXPECT_EQ(infer("EncodePng", "[2,5,4,4,3]"), "[2,5]");
  EXPECT_EQ(infer("EncodeJpeg", "[4,4,3]"), "[]");
}

TEST(ImageResizeTest, ThreadsDoNotChangeTheResult) {
  const Tensor images = noise({3, 37, 41, 3});
  for (const char* op :
       {"ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea"}) {
    const auto resize = [&](int threads) {
      TestGraph graph({.threads = threads});
      return graph.run(graph.add(op, {graph.input(images), graph.input(ints({2}, {90, 23}))}));
    };
    EXPECT_TRUE(same_bits(resize(1), resize(4))) << op;
  }
  for (const char* op : {"ResizeBilinearGrad", "ResizeBicubicGrad"}) {
    const auto gradient = [&](int threads) {
      TestGraph graph({.threads = threads});
      return graph.run(graph.add(op, {graph.input(images), graph.input(noise({3, 11, 60, 3}))}));
    };
    EXPECT_TRUE(same_bits(gradient(1), gradient(4))) << op;
  }
}

TEST(ImageResizeTest, AnEmptyBatchTakesNoMemory) {
  const Tensor none(kFloat, {0, 4, 4, 3});
  const std::int32_t most = std::numeric_limits<std::int32_t>::max();
  EXPECT_EQ(run("ResizeBilinear", {none, ints({2}, {most, 1 << 20})})[0].shape(),
            (Shape{0, most, 1 << 20, 3}));
}

TEST(ImageResizeTest, ScaleAndTranslate) {
  const Tensor row = floats({1, 1, 4, 1}, {0, 4, 8, 12});
  const auto scaled = [&](float scale, float shift, const char* kernel, std::int32_t width) {
    return values<float>(
        run("ScaleAndTranslate",
            {row, ints({2}, {1, width}), floats({2}, {1, scale}), floats({2}, {0, shift})},
            {{"kernel_type", kernel}})[0]);
  };
  EXPECT_THAT(scaled(1, 0, "triangle", 4), ElementsAre(0, 4, 8, 12));
  EXPECT_THAT(scaled(1, 1, "triangle", 4), ElementsAre(0, 0, 4, 8));
  EXPECT_THAT(scaled(0.5F, 0, "box", 2), ElementsAre(2, 10));
  EXPECT_THAT(error_of([&] { scaled(0, 0, "box", 2); }), HasSubstr("positive"));
  EXPECT_THAT(error_of([&] { scaled(1, 0, "cubic", 2); }), HasSubstr("\"cubic\""));
}

TEST(ImageResizeTest, QuantizedPicturesKeepTheirRange) {
  const Tensor row(DType::kQuint8, Shape{1, 1, 2, 1},
                   make_tensor<std::uint8_t>({2}, {0, 200}).buffer());
  const auto result =
      run("QuantizedResizeBilinear", {row, ints({2}, {1, 4}), scalar(-1.0F), scalar(2.0F)},
          {{"T", DType::kQuint8}});
  EXPECT_THAT(values<std::uint8_t>(result[0]), ElementsAre(0, 100, 200, 200));
  EXPECT_THAT(result[1], is_tensor(scalar(-1.0F)));
  EXPECT_THAT(result[2], is_tensor(scalar(2.0F)));
}

TEST(ImageCropTest, BoxesFarAwayGiveTheExtrapolationValue) {
  const Tensor crops =
      run("CropAndResize",
          {noise({1, 4, 4, 2}), floats({2, 4}, {1e38F, 0, -1e38F, 1, 0, 3e38F, 1, 1}),
           ints({2}, {0, 0}), ints({2}, {2, 3})},
          {{"extrapolation_value", 2.5}})[0];
  EXPECT_THAT(values<float>(crops), Each(2.5F));
}

TEST(ImageColorTest, HuesThatAreNoNumbersEnd) {
  const Tensor image = noise({2, 2, 3});
  for (const float delta : {1e30F, -1e30F, kInfinity, kNan}) {
    EXPECT_EQ(run("AdjustHue", {image, scalar(delta)})[0].shape(), image.shape());
  }
  const Tensor odd = floats({1, 2, 3}, {kInfinity, kNan, 0, -kInfinity, kInfinity, kNan});
  EXPECT_EQ(run("AdjustSaturation", {odd, scalar(2.0F)})[0].shape(), odd.shape());
}

TEST(ImageGlimpseTest, NoiseLiesWithinThePicturesRange) {
  const Tensor image = noise({1, 3, 3, 2});
  for (const char* kind : {"uniform", "gaussian"}) {
    const Tensor glimpse = run("ExtractGlimpse", {image, ints({2}, {9, 9}), floats({1, 2}, {0, 0})},
                               {{"uniform_noise", false}, {"noise", kind}})[0];
    for (const float value : values<float>(glimpse)) {
      EXPECT_GE(value, 0);
      EXPECT_LT(value, 1);
    }
  }
}

TEST(ImageFileTest, WhatWasEncodedIsDecoded) {
  for (const std::int64_t side : {1, 7, 16, 33}) {
    const Tensor image = picture({side, side + 2, 3});
    const Tensor png = run("EncodePng", {image})[0];
    EXPECT_THAT(run("DecodePng", {png})[0], is_tensor(image));
    const Tensor jpeg = run("EncodeJpeg", {image}, {{"quality", 100}})[0];
    EXPECT_EQ(run("DecodeJpeg", {jpeg})[0].shape(), image.shape());
    EXPECT_THAT(values<std::int32_t>(run("ExtractJpegShape", {jpeg})[0]),
                ElementsAre(side, side + 2, 3));
  }
}

// A file whose header was changed: `bytes` instead of what follows `marker` and `skipped` bytes.
Tensor forged(const Tensor& file, std::string_view marker, std::size_t skipped,
              std::string_view bytes) {
  std::string text = file.scalar<std::string>();
  text.replace(text.find(marker) + marker.size() + skipped, bytes.size(), bytes);
  return make_scalar(text);
}

TEST(ImageFileTest, HeadersCannotAskForMemoryThatTheBytesDoNotFill) {
  const auto refused = [](const char* op, const Tensor& file, const Attrs& attrs = {}) {
    EXPECT_EQ(error_code_of([&] { run(op, {file}, attrs); }), ErrorCode::kInvalidArgument) << op;
  };
  const Tensor jpeg = run("EncodeJpeg", {picture({8, 8, 3})})[0];
  refused("DecodeJpeg", forged(jpeg, "\xFF\xC0", 3, "\x2F\xFF\x2F\xFF"));
  refused("DecodeJpeg", forged(jpeg, "\xFF\xC0", 3, "\xFE\xFE\xFE\xFE"),
          {{"try_recover_truncated", true}});
  const Tensor progressive = run("EncodeJpeg", {picture({8, 8, 3})}, {{"progressive", true}})[0];
  refused("DecodeJpeg", forged(progressive, "\xFF\xC2", 3, "\x2F\xFF\x2F\xFF"));
  const Tensor png = run("EncodePng", {picture({8, 8, 3})})[0];
  refused("DecodePng", forged(png, "IHDR", 0, std::string_view("\0\0\x40\0\0\0\x40\0", 8)));
  const Tensor gif = make_scalar(std::string(
      "GIF89a\xFF\xFF\xFF\xFF\x80\0\0\1\2\3\4\5\6,\0\0\0\0\xFF\xFF\xFF\xFF\0\2\1\x44\0;", 34));
  refused("DecodeGif", gif);
}

TEST(ImageFileTest, ErrorsSayWhatIsWrong) {
  const auto decode = [](std::string bytes) {
    return error_of([&] { run("DecodeImage", {make_scalar(std::move(bytes))}); });
  };
  EXPECT_THAT(decode("no picture"), HasSubstr("begin with \"no pictu\""));
  EXPECT_THAT(decode("BM"), HasSubstr("cut off"));
  const std::string png = run("EncodePng", {picture({9, 9, 3})})[0].scalar<std::string>();
  EXPECT_THAT(decode(png.substr(0, png.size() / 2)), HasSubstr("cut off"));
  const std::string jpeg = run("EncodeJpeg", {picture({9, 9, 3})})[0].scalar<std::string>();
  EXPECT_THAT(decode(jpeg.substr(0, 200)), HasSubstr("JPEG cannot be decoded"));
}

TEST(ImageFileTest, TheOpMustFitTheFormat) {
  const Tensor png = run("EncodePng", {picture({2, 2, 3})})[0];
  EXPECT_THAT(error_of([&] { run("DecodeBmp", {png}); }), HasSubstr("another format"));
  EXPECT_EQ(run("DecodeGif", {png})[0].shape(), (Shape{1, 2, 2, 3}));
}

TEST(BucketizeTest, BoundariesMayBeAnInput) {
  const auto buckets = [](const Tensor& boundaries) {
    return run("BucketizeWithInputBoundaries", {floats({4}, {-1, 2, 2.5, 9}), boundaries})[0];
  };
  EXPECT_THAT(buckets(floats({1, 3}, {0, 2, 3})), is_tensor(ints({4}, {0, 2, 2, 3})));
  EXPECT_THAT(buckets(floats({0}, {})), is_tensor(ints({4}, {0, 0, 0, 0})));
  EXPECT_THAT(error_of([&] { buckets(floats({2}, {3, 2})); }), HasSubstr("sorted"));
}

TEST(ImageTest, TheFirstProjectionKeepsTheSize) {
  const Tensor image = floats({1, 2, 2, 1}, {1, 2, 3, 4});
  const Tensor shift = floats({1, 8}, {1, 0, 1, 0, 1, 0, 0, 0});
  EXPECT_THAT(values<float>(run("ImageProjectiveTransform", {image, shift},
                                {{"dtype", kFloat}, {"interpolation", "NEAREST"}})[0]),
              ElementsAre(2, 0, 4, 0));
  EXPECT_EQ(infer("ImageProjectiveTransform", "[?,5,6,3];[?,8]",
                  {{"dtype", kFloat}, {"interpolation", "NEAREST"}}),
            "[?,5,6,3]");
}

}  // namespace
}  // namespace hub::testing
