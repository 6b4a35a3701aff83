// PNG through libpng, with TensorFlow's settings. The library reports errors by longjmp: it is
// called only from functions that hold nothing with a destructor.

#include <png.h>
#include <zlib.h>

#include <csetjmp>
#include <cstring>

#include "base/errors.h"
#include "ops/image_codec.h"

namespace hub {
namespace {

constexpr std::size_t kMessageSize = 160;

[[noreturn]] void leave(png_structp png, png_const_charp message) {
  auto* text = static_cast<char*>(png_get_error_ptr(png));
  std::strncpy(text, message, kMessageSize - 1);
  text[kMessageSize - 1] = '\0';
  png_longjmp(png, 1);
}

void ignore_warning(png_structp, png_const_charp) {}

struct Source {
  const char* data;
  std::size_t left;
};

void read_source(png_structp png, png_bytep to, png_size_t count) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (source->left < count) png_error(png, "the file is cut off");
  std::memcpy(to, source->data, count);
  source->data += count;
  source->left -= count;
}

class Reader {
 public:
  Reader(std::string_view bytes, const PngOptions& options)
      : options_(options), source_{bytes.data(), bytes.size()} {
    message_[0] = '\0';
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, message_, leave, ignore_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw resource_exhausted("There is no memory to decode a PNG.");
    }
  }
  ~Reader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  void decode(PictureMemory memory, const DecodeLimits& limits) {
    const std::size_t file_size = source_.left;
    check(read_header());
    check_size(file_size, limits);
    check(set_transformations());
    const std::size_t sample = options_.wide && depth_ > 8 ? 2 : 1;
    const std::size_t row_size = std::size_t{width_} * static_cast<std::size_t>(channels_);
    if (png_get_rowbytes(png_, info_) != row_size * sample) {
      throw invalid_argument("The PNG cannot be converted. Details: ", width_, " pixels of ",
                             channels_, " channels, rows of ", png_get_rowbytes(png_, info_),
                             " bytes.");
    }
    stride_ = row_size * (options_.wide ? 2 : 1);
    out_ = static_cast<png_bytep>(memory({1, height_, width_, channels_}));
    check(read_rows());
    if (options_.wide && sample == 1) widen(row_size);
  }

 private:
  void check(bool done) const {
    if (done) return;
    throw invalid_argument("The PNG cannot be decoded. Details: ", printable(message_), ".");
  }

  bool read_header() {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_set_read_fn(png_, &source_, read_source);
    png_read_info(png_, info_);
    png_get_IHDR(png_, info_, &width_, &height_, &depth_, &color_, nullptr, nullptr, nullptr);
    return true;
  }

  void check_size(std::size_t file_size, const DecodeLimits& limits) const {
    constexpr std::int64_t kMostSide = 1 << 27;
    const std::int64_t pixels = std::int64_t{width_} * std::int64_t{height_};
    if (width_ == 0 || height_ == 0 || width_ >= kMostSide || height_ >= kMostSide ||
        pixels >= limits.samples) {
      throw invalid_argument("The PNG is too large. Details: ", width_, " by ", height_, ".");
    }
    // Deflate makes at most 1032 bytes of one.
    constexpr std::int64_t kMostExpansion = 1032;
    const std::int64_t bits = pixels * depth_ * png_get_channels(png_, info_);
    if (bits / 8 / kMostExpansion > static_cast<std::int64_t>(file_size)) {
      throw invalid_argument("The PNG is cut off. Details: ", width_, " by ", height_, " in ",
                             file_size, " bytes.");
    }
  }

  bool set_transformations() {
    if (setjmp(png_jmpbuf(png_))) return false;
    const bool has_transparency = png_get_valid(png_, info_, PNG_INFO_tRNS) != 0;
    const bool has_palette = color_ == PNG_COLOR_TYPE_PALETTE;
    const bool has_alpha = (color_ & PNG_COLOR_MASK_ALPHA) != 0;
    const bool is_gray = (color_ & PNG_COLOR_MASK_COLOR) == 0;
    channels_ = options_.channels;
    if (channels_ == 0) {
      channels_ = has_palette ? (has_transparency ? 4 : 3) : png_get_channels(png_, info_);
    }
    if (channels_ % 2 != 0) {
      if (has_alpha || has_transparency) png_set_strip_alpha(png_);
    } else if (!has_alpha) {
      if (has_transparency) {
        png_set_tRNS_to_alpha(png_);
      } else {
        png_set_add_alpha(png_, (1U << depth_) - 1, PNG_FILLER_AFTER);
      }
    }
    if (depth_ > 8 && !options_.wide) png_set_strip_16(png_);
    png_set_packing(png_);
    passes_ = png_set_interlace_handling(png_);
    if (options_.wide) png_set_swap(png_);
    if (has_palette) png_set_palette_to_rgb(png_);
    if (is_gray && depth_ < 8) png_set_expand_gray_1_2_4_to_8(png_);
    if (channels_ < 3 && !is_gray) {
      png_set_rgb_to_gray(png_, PNG_ERROR_ACTION_NONE, 0.299, 0.587);
    } else if (channels_ >= 3 && is_gray) {
      png_set_gray_to_rgb(png_);
    }
    png_read_update_info(png_, info_);
    return true;
  }

  bool read_rows() {
    if (setjmp(png_jmpbuf(png_))) return false;
    for (pass_ = 0; pass_ < passes_; ++pass_) {
      for (row_ = 0; row_ < height_; ++row_) {
        png_read_row(png_, out_ + row_ * stride_, nullptr);
      }
    }
    png_read_end(png_, info_);
    return true;
  }

  // Of 8-bit samples in the first half of each row, 16-bit ones: the byte twice.
  void widen(std::size_t row_size) {
    for (std::size_t y = 0; y < height_; ++y) {
      const png_byte* narrow = out_ + y * stride_;
      auto* wide = reinterpret_cast<std::uint16_t*>(out_ + y * stride_);
      for (std::size_t i = row_size; i-- > 0;) {
        wide[i] = static_cast<std::uint16_t>(narrow[i] * 0x101);
      }
    }
  }

  PngOptions options_;
  Source source_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  png_uint_32 width_ = 0;
  png_uint_32 height_ = 0;
  int depth_ = 0;
  int color_ = 0;
  int channels_ = 0;
  int passes_ = 0;
  int pass_ = 0;
  std::size_t row_ = 0;
  png_bytep out_ = nullptr;
  std::size_t stride_ = 0;
  char message_[kMessageSize];
};

// An exception must not pass through the library: it becomes an error of its own.
bool append(std::string& to, const png_byte* from, std::size_t count) noexcept {
  try {
    to.append(reinterpret_cast<const char*>(from), count);
    return true;
  } catch (...) {
    return false;
  }
}

void write_target(png_structp png, png_bytep from, png_size_t count) {
  if (!append(*static_cast<std::string*>(png_get_io_ptr(png)), from, count)) {
    png_error(png, "there is no memory");
  }
}

void flush_target(png_structp) {}

class Writer {
 public:
  Writer(const PictureSize& size, bool wide, int compression)
      : size_(size), wide_(wide), compression_(compression) {
    message_[0] = '\0';
    png_ = png_create_write_struct(PNG_LIBPNG_VER_STRING, message_, leave, ignore_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_write_struct(&png_, nullptr);
      throw resource_exhausted("There is no memory to encode a PNG.");
    }
  }
  ~Writer() { png_destroy_write_struct(&png_, &info_); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  std::string encode(const void* pixels) {
    pixels_ = static_cast<const png_byte*>(pixels);
    if (!write()) {
      throw internal_error("The picture cannot be encoded as PNG. Details: ", printable(message_),
                           ".");
    }
    return std::move(bytes_);
  }

 private:
  bool write() {
    static constexpr int kColors[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA,
                                      PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
    if (setjmp(png_jmpbuf(png_))) return false;
    png_set_write_fn(png_, &bytes_, write_target, flush_target);
    png_set_compression_level(png_, compression_ < 0 ? Z_DEFAULT_COMPRESSION : compression_);
    png_set_compression_mem_level(png_, MAX_MEM_LEVEL);
    png_set_IHDR(png_, info_, static_cast<png_uint_32>(size_.width),
                 static_cast<png_uint_32>(size_.height), wide_ ? 16 : 8,
                 kColors[size_.channels - 1], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png_, info_);
    if (wide_) png_set_swap(png_);
    for (row_ = 0; row_ < size_.height; ++row_) {
      png_write_row(png_, pixels_ + row_ * size_.width * size_.channels * (wide_ ? 2 : 1));
    }
    png_write_end(png_, nullptr);
    return true;
  }

  PictureSize size_;
  bool wide_;
  int compression_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  const png_byte* pixels_ = nullptr;
  std::int64_t row_ = 0;
  std::string bytes_;
  char message_[kMessageSize];
};

}  // namespace

void decode_png(std::string_view bytes, const PngOptions& options, PictureMemory memory,
                const DecodeLimits& limits) {
  Reader(bytes, options).decode(memory, limits);
}

std::string encode_png(const void* pixels, const PictureSize& size, bool wide, int compression) {
  return Writer(size, wide, compression).encode(pixels);
}

}  // namespace hub
