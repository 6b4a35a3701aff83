// Recognises pictures of handwritten digits and says how often it is right.
//
//   classify_digits [MODULE [FOLDER]]
//
// FOLDER has a folder of .png files for each digit: 0/, 1/, ... Without arguments, run it in
// the folder examples/.

#include <hub/hub.h>
#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr int kDigits = 10;
constexpr std::int64_t kSize = 32;
constexpr std::int64_t kPixels = kSize * kSize * 3;

struct Picture {
  std::filesystem::path path;
  int digit;
};

// All pictures, in order.
std::vector<Picture> find_pictures(const std::filesystem::path& folder) {
  std::vector<Picture> pictures;
  for (int digit = 0; digit < kDigits; ++digit) {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder / std::to_string(digit))) {
      if (entry.path().extension() == ".png") paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    for (const auto& path : paths) pictures.push_back({path, digit});
  }
  return pictures;
}

// The picture's red, green and blue from 0 to 1.
void read_picture(const std::string& path, std::span<float> pixels) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_file(&image, path.c_str()) == 0) {
    throw std::runtime_error(path + ": " + image.message);
  }
  image.format = PNG_FORMAT_RGB;
  if (image.width != kSize || image.height != kSize) {
    png_image_free(&image);
    throw std::runtime_error(path + ": a picture has 32 x 32 pixels");
  }
  std::vector<png_byte> bytes(PNG_IMAGE_SIZE(image));
  if (png_image_finish_read(&image, nullptr, bytes.data(), 0, nullptr) == 0) {
    throw std::runtime_error(path + ": " + image.message);
  }
  std::transform(bytes.begin(), bytes.end(), pixels.begin(),
                 [](png_byte byte) { return static_cast<float>(byte) / 255.0f; });
}

struct Answer {
  int digit;
  double probability;
};

// The class with the largest logit, and its share in the softmax.
Answer best(std::span<const float> logits) {
  const auto largest = std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit} - *largest);
  return {static_cast<int>(largest - logits.begin()), 1 / sum};
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string module = argc > 1 ? argv[1] : "data/digits-classification/module";
  const std::vector<Picture> pictures = find_pictures(argc > 2 ? argv[2] : "data/digits");
  const auto count = static_cast<std::int64_t>(pictures.size());

  hub::Tensor images(hub::kFloat, {count, kSize, kSize, 3});
  for (std::int64_t i = 0; i < count; ++i) {
    read_picture(pictures[static_cast<std::size_t>(i)].path.string(),
                 images.mutable_values<float>().subspan(static_cast<std::size_t>(i * kPixels),
                                                        static_cast<std::size_t>(kPixels)));
  }

  const hub::Function classify = hub::load(module);
  const hub::Tensor logits = classify(images);

  int right = 0;
  int shown = -1;
  for (std::int64_t i = 0; i < count; ++i) {
    const Picture& picture = pictures[static_cast<std::size_t>(i)];
    const Answer answer =
        best(logits.values<float>().subspan(static_cast<std::size_t>(i * kDigits), kDigits));
    right += answer.digit == picture.digit ? 1 : 0;
    if (picture.digit == shown) continue;
    shown = picture.digit;  // one of each
    std::printf("  %d/%-10s is a %d  (%5.1f %%)\n", picture.digit, picture.path.filename().c_str(),
                answer.digit, 100 * answer.probability);
  }
  std::printf("  %d of %d pictures are recognised: %.2f %%\n", right, static_cast<int>(count),
              100.0 * right / static_cast<double>(count));
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "classify_digits: %s\n", error.what());
  return 1;
}
