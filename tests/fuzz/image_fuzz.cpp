// Picture files. The first two bytes choose the decoder and its options. The pictures' memory is
// as large as the decoder asks for, so that the address sanitizer sees whatever lies outside.

#include <vector>

#include "fuzz/format_fuzz.h"
#include "ops/image_codec.h"

using namespace hub;
using namespace hub::fuzzing;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view file = as_text(data, size).substr(2);
  const std::uint8_t options = data[1];
  // Small, so that memory which the bytes do not justify is noticed.
  const DecodeLimits limits{.samples = 1 << 20, .animation_bytes = 1 << 22};
  constexpr int kChannels[] = {0, 1, 3, 4};
  const int channels = kChannels[options % 4];
  const bool wide = (options & 4) != 0;
  std::vector<std::uint8_t> pixels;
  const auto memory = [&](const PictureSize& picture) -> void* {
    const std::int64_t samples = picture.frames * picture.height * picture.width * picture.channels;
    check(samples > 0 && samples <= std::int64_t{1} << 23);
    pixels.resize(static_cast<std::size_t>(samples) * (wide ? 2 : 1));
    return pixels.data();
  };
  return expect_error_or_success([&] {
    switch (data[0] % 5) {
      case 0:
      case 1: {
        JpegOptions jpeg;
        jpeg.channels = channels == 4 ? 0 : channels;
        jpeg.fancy_upscaling = (options & 8) != 0;
        jpeg.recover_truncated = (options & 16) != 0;
        jpeg.acceptable_fraction = (options & 32) != 0 ? 0.25F : 1.0F;
        jpeg.ratio = (options & 64) != 0 ? 2 : 1;
        if (data[0] % 5 == 1) jpeg.crop = {options % 8, options % 8, 1 + options % 32, 9};
        jpeg_size(file);
        return decode_jpeg(file, jpeg, memory, limits);
      }
      case 2: return decode_png(file, {channels, wide}, memory, limits);
      case 3: return decode_gif(file, (options & 8) != 0, memory, limits);
      default: return decode_bmp(file, channels == 1 ? 0 : channels, memory);
    }
  });
}
