// JPEG through libjpeg-turbo, with TensorFlow's settings. The library reports errors by
// longjmp: it is called only from functions that hold nothing with a destructor.

#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <vector>

// After <cstdio>, which it needs.
#include <jerror.h>
#include <jpeglib.h>

#include "base/errors.h"
#include "ops/image_codec.h"

namespace hub {
namespace {

// What both directions need to come back from an error.
struct Escape {
  jpeg_error_mgr manager;
  std::jmp_buf place;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave(j_common_ptr info) {
  auto* escape = static_cast<Escape*>(info->client_data);
  info->err->format_message(info, escape->message);
  std::longjmp(escape->place, 1);
}

void say_nothing(j_common_ptr) {}

void set_escape(j_common_ptr info, Escape& escape) {
  info->err = jpeg_std_error(&escape.manager);
  escape.manager.error_exit = leave;
  escape.manager.output_message = say_nothing;
  escape.message[0] = '\0';
  info->client_data = &escape;
}

// Bytes in memory. Where they end too early, TensorFlow's rules say how it goes on.
struct Source {
  jpeg_source_mgr manager;  // must be first
  const JOCTET* data;
  std::size_t size;
  bool recover;
  std::int64_t repeats;  // how often coded data may still be read again
};

// Enough for headers.
constexpr std::int64_t kLeastRepeats = 10'000;

[[noreturn]] void leave_with(j_common_ptr info, const char* message) {
  auto* escape = static_cast<Escape*>(info->client_data);
  std::strcpy(escape->message, message);
  std::longjmp(escape->place, 1);
}

constexpr JOCTET kEndOfImage[2] = {0xFF, JPEG_EOI};

void begin_source(j_decompress_ptr info) {
  auto* source = reinterpret_cast<Source*>(info->src);
  source->manager.next_input_byte = source->data;
  source->manager.bytes_in_buffer = source->size;
}

boolean fill_source(j_decompress_ptr info) {
  auto* source = reinterpret_cast<Source*>(info->src);
  jpeg_source_mgr& manager = source->manager;
  if (manager.bytes_in_buffer == 0 && manager.next_input_byte == source->data) {
    ERREXIT(info, JERR_INPUT_EMPTY);
  }
  // Inside of a block of coded data: to go on means to read the block again.
  if (manager.bytes_in_buffer > 0) {
    if (!source->recover) return FALSE;
    // Where that does not lead on, TensorFlow hangs.
    if (--source->repeats < 0) leave_with(reinterpret_cast<j_common_ptr>(info), "it is cut off");
    return TRUE;
  }
  if (manager.next_input_byte == kEndOfImage || !source->recover) ERREXIT(info, JERR_FILE_READ);
  WARNMS(info, JWRN_JPEG_EOF);
  manager.next_input_byte = kEndOfImage;
  manager.bytes_in_buffer = sizeof kEndOfImage;
  return TRUE;
}

void skip_source(j_decompress_ptr info, long count) {
  if (count < 0) return;
  jpeg_source_mgr& manager = *info->src;
  if (static_cast<std::size_t>(count) > manager.bytes_in_buffer) {
    manager.bytes_in_buffer = 0;
    fill_source(info);
  } else {
    manager.bytes_in_buffer -= static_cast<std::size_t>(count);
    manager.next_input_byte += count;
  }
}

void end_source(j_decompress_ptr) {}

// A file of many scans of nothing must not take forever.
constexpr int kMostScans = 1000;

void check_scans(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMostScans) {
    leave_with(info, "it has too many scans");
  }
}

// Memory that the size in a header may ask for without the bytes that fill it.
constexpr std::int64_t kUnquestioned = std::int64_t{64} << 20;

class Reader {
 public:
  Reader(std::string_view bytes, const JpegOptions& options, const DecodeLimits& limits)
      : options_(options) {
    set_escape(reinterpret_cast<j_common_ptr>(&info_), escape_);
    source_.data = reinterpret_cast<const JOCTET*>(bytes.data());
    source_.size = bytes.size();
    source_.recover = options.recover_truncated;
    source_.repeats = kLeastRepeats;
    progress_.progress_monitor = check_scans;
    try {
      check(create(limits.samples * 4));
      check(read_header());
    } catch (...) {
      jpeg_destroy_decompress(&info_);
      throw;
    }
  }
  ~Reader() { jpeg_destroy_decompress(&info_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  void decode(PictureMemory memory, const DecodeLimits& limits) {
    check_size(limits);
    set_output();
    check(calculate_size());
    check(start());
    height_ = info_.output_height;
    width_ = info_.output_width;
    if (options_.crop) begin_crop(*options_.crop);
    const auto channels = static_cast<std::int64_t>(channels_);
    out_ = static_cast<JSAMPLE*>(memory({1, height_, width_, channels}));
    stride_ = static_cast<std::size_t>(width_ * channels);
    converts_ = info_.out_color_space == JCS_CMYK;
    if (converts_ || width_ != info_.output_width) {
      line_.resize(static_cast<std::size_t>(info_.output_width) *
                   static_cast<std::size_t>(converts_ ? 4 : channels_));
    }
    check(read_rows());
    complete();
    check(finish());
  }

  PictureSize size() {
    check(calculate_size());
    return {1, info_.output_height, info_.output_width, info_.output_components};
  }

 private:
  void check(bool done) const {
    if (done) return;
    throw invalid_argument("The JPEG cannot be decoded. Details: ", printable(escape_.message),
                           ".");
  }

  // Of the functions that call the library, each returns false after an error.
  bool create(std::int64_t most_bytes) {
    if (setjmp(escape_.place)) return false;
    jpeg_create_decompress(&info_);
    info_.mem->max_memory_to_use = most_bytes;
    info_.progress = &progress_;
    info_.src = &source_.manager;
    source_.manager = {nullptr,   0, begin_source, fill_source, skip_source, jpeg_resync_to_restart,
                       end_source};
    return true;
  }
  bool read_header() {
    if (setjmp(escape_.place)) return false;
    jpeg_read_header(&info_, TRUE);
    return true;
  }
  bool calculate_size() {
    if (setjmp(escape_.place)) return false;
    jpeg_calc_output_dimensions(&info_);
    return true;
  }
  bool start() {
    if (setjmp(escape_.place)) return false;
    jpeg_start_decompress(&info_);
    return true;
  }
  bool crop(JDIMENSION x, JDIMENSION width, JDIMENSION y) {
    if (setjmp(escape_.place)) return false;
    jpeg_crop_scanline(&info_, &x, &width);
    skipped_ = jpeg_skip_scanlines(&info_, y);
    return true;
  }
  bool read_rows() {
    if (setjmp(escape_.place)) return false;
    while (rows_ < height_ && read_row(out_ + static_cast<std::size_t>(rows_) * stride_)) ++rows_;
    return true;
  }
  bool finish() {
    if (setjmp(escape_.place)) return false;
    if (is_cut_) {
      jpeg_abort_decompress(&info_);
      return true;
    }
    if (options_.crop && info_.output_scanline < info_.output_height) {
      jpeg_skip_scanlines(&info_, info_.output_height - info_.output_scanline);
    }
    jpeg_finish_decompress(&info_);
    return true;
  }

  bool read_row(JSAMPLE* out) {
    JSAMPLE* target = line_.empty() ? out : line_.data();
    if (jpeg_read_scanlines(&info_, &target, 1) == 0) return false;
    const auto shift = static_cast<std::size_t>(info_.output_width - width_);
    if (converts_) {
      convert_cmyk(line_.data() + shift * 4, out);
    } else if (!line_.empty()) {
      std::memcpy(out, line_.data() + shift * static_cast<std::size_t>(channels_), stride_);
    }
    return true;
  }

  // Adobe's files hold the complements.
  void convert_cmyk(const JSAMPLE* from, JSAMPLE* out) const {
    for (std::int64_t x = 0; x < width_; ++x, from += 4, out += 3) {
      const int k = info_.saw_Adobe_marker ? from[3] : 255 - from[3];
      for (int i = 0; i < 3; ++i) {
        const int ink = info_.saw_Adobe_marker ? from[i] : 255 - from[i];
        out[i] = static_cast<JSAMPLE>(k * ink / 255);
      }
    }
  }

  void check_size(const DecodeLimits& limits) {
    const std::size_t bytes = source_.size;
    const auto width = static_cast<std::int64_t>(info_.image_width);
    const auto height = static_cast<std::int64_t>(info_.image_height);
    const std::int64_t samples = width * height * info_.num_components;
    // Each block of 8 by 8 takes a bit at least, unless the coding is arithmetic.
    const std::int64_t blocks = ((width + 7) / 8) * ((height + 7) / 8);
    const bool is_backed = options_.recover_truncated || info_.arith_code ||
                           blocks / 8 <= static_cast<std::int64_t>(bytes);
    if (samples / (options_.ratio * options_.ratio) >= limits.samples ||
        (samples > kUnquestioned && !is_backed)) {
      throw invalid_argument("The JPEG is too large. Details: ", width, " by ", height, " with ",
                             info_.num_components, " components in ", bytes, " bytes.");
    }
    // A block has 64 coefficients of up to 32 bits.
    source_.repeats += 256 * (blocks + 1) * info_.num_components;
  }

  void set_output() {
    channels_ = options_.channels != 0 ? options_.channels : std::min(info_.num_components, 3);
    const bool has_ink = info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK;
    if (channels_ == 1) {
      info_.out_color_space = JCS_GRAYSCALE;
    } else if (channels_ == 3) {
      info_.out_color_space = has_ink ? JCS_CMYK : JCS_RGB;
    } else {
      throw invalid_argument("The JPEG must have one, three or four components. Details: it has ",
                             info_.num_components, ".");
    }
    info_.do_fancy_upsampling = options_.fancy_upscaling ? TRUE : FALSE;
    info_.scale_num = 1;
    info_.scale_denom = static_cast<unsigned>(options_.ratio);
    info_.dct_method = options_.accurate_dct ? JDCT_ISLOW : JDCT_IFAST;
  }

  void begin_crop(const CropWindow& window) {
    if (window.width <= 0 || window.height <= 0 || window.x < 0 || window.y < 0 ||
        window.y + window.height > height_ || window.x + window.width > width_) {
      throw invalid_argument("The crop window must lie in the picture. Details: ", window.height,
                             " by ", window.width, " at ", window.y, ", ", window.x,
                             " in a picture of ", height_, " by ", width_, ".");
    }
    check(crop(static_cast<JDIMENSION>(window.x), static_cast<JDIMENSION>(window.width),
               static_cast<JDIMENSION>(window.y)));
    if (skipped_ != window.y) {
      throw invalid_argument("The JPEG cannot be decoded. Details: it ends before the window.");
    }
    height_ = window.height;
    width_ = window.width;
  }

  // Rows that could not be read: repeated where that is wanted, else black.
  void complete() {
    if (rows_ == height_) return;
    if (options_.recover_truncated) {
      for (; rows_ < height_; ++rows_) {
        JSAMPLE* row = out_ + static_cast<std::size_t>(rows_) * stride_;
        if (rows_ == 0) {
          std::memset(row, 0, stride_);
        } else {
          std::memcpy(row, row - stride_, stride_);
        }
      }
      info_.output_scanline = skipped_ + static_cast<JDIMENSION>(height_);
      return;
    }
    is_cut_ = true;
    const float share = static_cast<float>(rows_) / static_cast<float>(height_);
    if (share < std::min(1.0F, options_.acceptable_fraction)) {
      throw invalid_argument("The JPEG is cut off. Details: ", rows_, " of ", height_,
                             " rows could be read.");
    }
    std::memset(out_ + static_cast<std::size_t>(rows_) * stride_, 0,
                static_cast<std::size_t>(height_ - rows_) * stride_);
  }

  const JpegOptions& options_;
  jpeg_decompress_struct info_{};
  Escape escape_;
  Source source_{};
  jpeg_progress_mgr progress_{};
  int channels_ = 0;
  std::int64_t height_ = 0;
  std::int64_t width_ = 0;
  std::int64_t rows_ = 0;  // that were read
  JDIMENSION skipped_ = 0;
  JSAMPLE* out_ = nullptr;
  std::size_t stride_ = 0;
  bool converts_ = false;  // from CMYK
  bool is_cut_ = false;
  std::vector<JSAMPLE> line_;  // a row that is not yet as it should be
};

// Writes into a string that grows.
struct Target {
  jpeg_destination_mgr manager;  // must be first
  std::string* bytes;
  JOCTET buffer[1 << 16];
};

void begin_target(j_compress_ptr info) {
  auto* target = reinterpret_cast<Target*>(info->dest);
  target->manager.next_output_byte = target->buffer;
  target->manager.free_in_buffer = sizeof target->buffer;
}

// An exception must not pass through the library: it becomes an error of its own.
bool append(std::string& to, const JOCTET* from, std::size_t count) noexcept {
  try {
    to.append(reinterpret_cast<const char*>(from), count);
    return true;
  } catch (...) {
    return false;
  }
}

boolean empty_target(j_compress_ptr info) {
  auto* target = reinterpret_cast<Target*>(info->dest);
  if (!append(*target->bytes, target->buffer, sizeof target->buffer)) {
    ERREXIT1(info, JERR_OUT_OF_MEMORY, 0);
  }
  begin_target(info);
  return TRUE;
}

void end_target(j_compress_ptr info) {
  auto* target = reinterpret_cast<Target*>(info->dest);
  const std::size_t count = sizeof target->buffer - target->manager.free_in_buffer;
  if (!append(*target->bytes, target->buffer, count)) ERREXIT1(info, JERR_OUT_OF_MEMORY, 0);
}

class Writer {
 public:
  Writer(const JpegEncoding& encoding, const PictureSize& size) : encoding_(encoding), size_(size) {
    set_escape(reinterpret_cast<j_common_ptr>(&info_), escape_);
    target_.bytes = &bytes_;
    target_.manager.init_destination = begin_target;
    target_.manager.empty_output_buffer = empty_target;
    target_.manager.term_destination = end_target;
    if (encoding.xmp_metadata.empty()) return;
    marker_ = "http://ns.adobe.com/xap/1.0/";
    marker_.push_back('\0');
    marker_ += encoding.xmp_metadata;
  }
  ~Writer() { jpeg_destroy_compress(&info_); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  std::string encode(const std::uint8_t* pixels) {
    if (!write(pixels)) {
      throw internal_error(
          "The picture cannot be encoded as JPEG. Details: ", printable(escape_.message), ".");
    }
    return std::move(bytes_);
  }

 private:
  bool write(const std::uint8_t* pixels) {
    if (setjmp(escape_.place)) return false;
    jpeg_create_compress(&info_);
    info_.dest = &target_.manager;
    info_.image_width = static_cast<JDIMENSION>(size_.width);
    info_.image_height = static_cast<JDIMENSION>(size_.height);
    info_.input_components = static_cast<int>(size_.channels);
    info_.in_color_space = size_.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&info_);
    if (encoding_.optimize_size) info_.optimize_coding = TRUE;
    info_.density_unit = encoding_.density_per_inch ? 1 : 2;
    info_.X_density = static_cast<UINT16>(encoding_.x_density);
    info_.Y_density = static_cast<UINT16>(encoding_.y_density);
    jpeg_set_quality(&info_, encoding_.quality, TRUE);
    if (encoding_.progressive) jpeg_simple_progression(&info_);
    if (!encoding_.chroma_downsampling) {
      for (int i = 0; i < info_.num_components; ++i) {
        info_.comp_info[i].h_samp_factor = 1;
        info_.comp_info[i].v_samp_factor = 1;
      }
    }
    jpeg_start_compress(&info_, TRUE);
    if (!marker_.empty()) {
      jpeg_write_marker(&info_, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(marker_.data()),
                        static_cast<unsigned>(marker_.size()));
    }
    while (info_.next_scanline < info_.image_height) {
      auto* row = const_cast<JSAMPLE*>(pixels) +
                  static_cast<std::int64_t>(info_.next_scanline) * size_.width * size_.channels;
      jpeg_write_scanlines(&info_, &row, 1);
    }
    jpeg_finish_compress(&info_);
    return true;
  }

  const JpegEncoding& encoding_;
  PictureSize size_;
  jpeg_compress_struct info_{};
  Escape escape_;
  Target target_;
  std::string bytes_;
  std::string marker_;
};

}  // namespace

void decode_jpeg(std::string_view bytes, const JpegOptions& options, PictureMemory memory,
                 const DecodeLimits& limits) {
  Reader(bytes, options, limits).decode(memory, limits);
}

PictureSize jpeg_size(std::string_view bytes) {
  const JpegOptions options;
  return Reader(bytes, options, {}).size();
}

std::string encode_jpeg(const std::uint8_t* pixels, const PictureSize& size,
                        const JpegEncoding& encoding) {
  return Writer(encoding, size).encode(pixels);
}

}  // namespace hub
