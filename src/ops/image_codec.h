#pragma once

// Pictures as files: JPEG, PNG, GIF, BMP. The bytes are not trusted: sizes are checked before
// memory is taken, and errors are INVALID_ARGUMENT.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/thread_pool.h"

namespace hub {

struct PictureSize {
  std::int64_t frames;
  std::int64_t height;
  std::int64_t width;
  std::int64_t channels;
};

// Called once the size is known; gives the memory for the picture, row by row.
using PictureMemory = CallableRef<void*(const PictureSize&)>;

struct DecodeLimits {
  // The most samples (bytes of an 8-bit picture) of a JPEG, and pixels of a PNG: TensorFlow's.
  std::int64_t samples = std::int64_t{1} << 29;
  // The most bytes of an animation.
  std::int64_t animation_bytes = std::int64_t{1} << 32;
};

struct CropWindow {
  std::int64_t y;
  std::int64_t x;
  std::int64_t height;
  std::int64_t width;
};

struct JpegOptions {
  int channels = 0;  // 1 or 3; 0: as the file has them
  int ratio = 1;     // 1, 2, 4 or 8: the result is smaller by it
  bool fancy_upscaling = true;
  bool recover_truncated = false;
  float acceptable_fraction = 1;  // of the rows
  bool accurate_dct = false;
  std::optional<CropWindow> crop;
};

void decode_jpeg(std::string_view bytes, const JpegOptions& options, PictureMemory memory,
                 const DecodeLimits& limits = {});
// What the header says.
PictureSize jpeg_size(std::string_view bytes);

struct PngOptions {
  int channels = 0;   // 1, 3 or 4; 0: as the file has them
  bool wide = false;  // 16 bits a sample, in the machine's order
};

void decode_png(std::string_view bytes, const PngOptions& options, PictureMemory memory,
                const DecodeLimits& limits = {});

// Three channels. All frames, or the first one.
void decode_gif(std::string_view bytes, bool all_frames, PictureMemory memory,
                const DecodeLimits& limits = {});

// `channels`: 3 or 4; 0: as the file has them.
void decode_bmp(std::string_view bytes, int channels, PictureMemory memory);

struct JpegEncoding {
  int quality = 95;
  bool progressive = false;
  bool optimize_size = false;
  bool chroma_downsampling = true;
  bool density_per_inch = true;
  int x_density = 300;
  int y_density = 300;
  std::string xmp_metadata;
};

// A picture of one or three channels. Errors: INTERNAL where the library refuses it.
std::string encode_jpeg(const std::uint8_t* pixels, const PictureSize& size,
                        const JpegEncoding& encoding);

// A picture of one to four channels of 8 or 16 bits. `compression`: 0 to 9, or -1 for the
// default. Errors: INTERNAL where the library refuses it.
std::string encode_png(const void* pixels, const PictureSize& size, bool wide, int compression);

}  // namespace hub
