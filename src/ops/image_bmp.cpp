// BMP: uncompressed pixels of 8, 24 or 32 bits.

#include <cstring>
#include <limits>

#include "base/errors.h"
#include "ops/image_codec.h"

namespace hub {
namespace {

// A little-endian number.
template <class T>
T number_at(std::string_view bytes, std::size_t place) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value |= std::uint32_t{static_cast<unsigned char>(bytes[place + i])} << (8 * i);
  }
  return static_cast<T>(value);
}

struct Header {
  std::int64_t pixels;  // where they begin
  std::int64_t width;
  std::int64_t height;
  std::int64_t channels;
  std::int64_t row_size;
  bool top_down;
};

Header read_header(std::string_view bytes) {
  constexpr std::size_t kLeast = 32;
  if (bytes.size() < kLeast) {
    throw invalid_argument("The BMP is cut off. Details: ", bytes.size(), " bytes.");
  }
  const std::int64_t height = number_at<std::int32_t>(bytes, 22);
  Header header{number_at<std::int32_t>(bytes, 10),
                number_at<std::int32_t>(bytes, 18),
                height < 0 ? -height : height,
                number_at<std::int16_t>(bytes, 28) / 8,
                0,
                height < 0};
  if (header.channels != 1 && header.channels != 3 && header.channels != 4) {
    throw invalid_argument("The BMP must have 8, 24 or 32 bits a pixel. Details: ",
                           number_at<std::int16_t>(bytes, 28), ".");
  }
  if (header.width <= 0 || header.height == 0 || header.pixels < 0) {
    throw invalid_argument("The BMP's header must hold positive numbers. Details: ", header.width,
                           " by ", height, ", pixels at ", header.pixels, ".");
  }
  header.row_size = (header.width * header.channels + 3) / 4 * 4;
  constexpr std::int64_t kMostPixels = std::numeric_limits<std::int32_t>::max() / 8;
  if (header.width * header.height >= kMostPixels ||
      header.pixels + header.row_size * header.height != static_cast<std::int64_t>(bytes.size())) {
    throw invalid_argument("The BMP's size does not fit its header. Details: ", header.width,
                           " by ", header.height, " with ", header.channels,
                           " bytes a pixel from byte ", header.pixels, " on, in ", bytes.size(),
                           " bytes.");
  }
  return header;
}

// Blue, green, red as red, green, blue; gray as itself, or three times.
void convert_pixel(const char* from, std::int64_t from_channels, std::int64_t to_channels,
                   std::uint8_t* to) {
  const auto byte = [&](int i) { return static_cast<std::uint8_t>(from[i]); };
  if (from_channels == 1) {
    to[0] = byte(0);
    if (to_channels >= 3) to[1] = to[2] = byte(0);
  } else {
    to[0] = byte(2);
    to[1] = byte(1);
    to[2] = byte(0);
  }
  if (to_channels == 4) to[3] = from_channels == 4 ? byte(3) : 255;
}

}  // namespace

void decode_bmp(std::string_view bytes, int channels, PictureMemory memory) {
  const Header header = read_header(bytes);
  const std::int64_t to_channels = channels != 0 ? channels : header.channels;
  auto* to = static_cast<std::uint8_t*>(memory({1, header.height, header.width, to_channels}));
  for (std::int64_t y = 0; y < header.height; ++y) {
    const std::int64_t row = header.top_down ? y : header.height - 1 - y;
    const char* from = bytes.data() + header.pixels + row * header.row_size;
    for (std::int64_t x = 0; x < header.width; ++x, from += header.channels, to += to_channels) {
      convert_pixel(from, header.channels, to_channels, to);
    }
  }
}

}  // namespace hub
