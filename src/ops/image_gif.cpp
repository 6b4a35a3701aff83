// GIF through giflib. Frames are drawn onto each other as TensorFlow does it.

#include <gif_lib.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "base/errors.h"
#include "ops/image_codec.h"

namespace hub {
namespace {

struct Source {
  const char* data;
  std::size_t left;
};

int read_source(GifFileType* file, GifByteType* to, int count) {
  auto* source = static_cast<Source*>(file->UserData);
  const std::size_t read = std::min(static_cast<std::size_t>(std::max(count, 0)), source->left);
  if (read > 0) std::memcpy(to, source->data, read);
  source->data += read;
  source->left -= read;
  return static_cast<int>(read);
}

struct CloseFile {
  void operator()(GifFileType* file) const { DGifCloseFile(file, nullptr); }
};
using File = std::unique_ptr<GifFileType, CloseFile>;

std::string reason(int code) {
  const char* text = GifErrorString(code);
  return text != nullptr ? text : "an unknown error";
}

struct Frame {
  std::int64_t left;
  std::int64_t top;
  std::int64_t width;
  std::int64_t height;
  const ColorMapObject* colors;  // of the frame or of the file; nullptr: there are none
  int transparent;               // an index, or NO_TRANSPARENT_COLOR
  std::vector<GifByteType> pixels;
};

class Reader {
 public:
  Reader(std::string_view bytes, const DecodeLimits& limits)
      : source_{bytes.data(), bytes.size()}, limits_(limits) {
    int error = D_GIF_SUCCEEDED;
    file_.reset(DGifOpen(&source_, read_source, &error));
    if (file_ == nullptr) {
      throw invalid_argument("The GIF cannot be decoded. Details: ", reason(error), ".");
    }
    // What follows the last whole frame is dropped.
    while (read_record()) {
    }
    if (frames_.empty()) {
      throw invalid_argument("The GIF has no whole frame. Details: ", reason(file_->Error), ".");
    }
  }

  const std::vector<Frame>& frames() const { return frames_; }

 private:
  // False at the end of the file, or of what can be read.
  bool read_record() {
    GifRecordType type = UNDEFINED_RECORD_TYPE;
    if (DGifGetRecordType(file_.get(), &type) == GIF_ERROR) return false;
    switch (type) {
      case IMAGE_DESC_RECORD_TYPE: return read_frame();
      case EXTENSION_RECORD_TYPE: return read_extension();
      case TERMINATE_RECORD_TYPE: return false;
      default: return true;
    }
  }

  bool read_extension() {
    int function = 0;
    GifByteType* data = nullptr;
    if (DGifGetExtension(file_.get(), &function, &data) == GIF_ERROR) return false;
    // The first graphics block before a frame counts.
    if (function == GRAPHICS_EXT_FUNC_CODE && data != nullptr && !has_graphics_block_) {
      has_graphics_block_ = true;
      GraphicsControlBlock block;
      if (DGifExtensionToGCB(data[0], data + 1, &block) == GIF_OK) {
        transparent_ = block.TransparentColor;
      }
    }
    while (data != nullptr) {
      if (DGifGetExtensionNext(file_.get(), &data) == GIF_ERROR) return false;
    }
    return true;
  }

  bool read_frame() {
    if (DGifGetImageDesc(file_.get()) == GIF_ERROR) return false;
    const GifImageDesc& desc = file_->SavedImages[file_->ImageCount - 1].ImageDesc;
    if (desc.Width <= 0 || desc.Height <= 0) {
      throw invalid_argument("The GIF has an empty frame. Details: frame ", frames_.size(), ".");
    }
    Frame frame{desc.Left,
                desc.Top,
                desc.Width,
                desc.Height,
                desc.ColorMap != nullptr ? desc.ColorMap : file_->SColorMap,
                transparent_,
                {}};
    const std::int64_t size = frame.width * frame.height;
    // A code of two bytes stands for 4096 pixels at most.
    constexpr std::int64_t kMostExpansion = 4096;
    if (size / kMostExpansion > static_cast<std::int64_t>(source_.left)) return false;
    pixels_ += size;
    if (pixels_ > limits_.animation_bytes) {
      throw invalid_argument("The GIF is too large. Details: ", pixels_, " pixels.");
    }
    frame.pixels.resize(static_cast<std::size_t>(size));
    if (!read_pixels(desc.Interlace, frame)) return false;
    frames_.push_back(std::move(frame));
    transparent_ = NO_TRANSPARENT_COLOR;
    has_graphics_block_ = false;
    return true;
  }

  bool read_pixels(bool interlaced, Frame& frame) {
    const auto width = static_cast<int>(frame.width);
    if (!interlaced) {
      for (std::int64_t y = 0; y < frame.height; ++y) {
        if (!read_line(frame.pixels.data() + y * frame.width, width)) return false;
      }
      return true;
    }
    constexpr int kPasses[4][2] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}};
    for (const auto& [first, step] : kPasses) {
      for (std::int64_t y = first; y < frame.height; y += step) {
        if (!read_line(frame.pixels.data() + y * frame.width, width)) return false;
      }
    }
    return true;
  }

  bool read_line(GifByteType* to, int width) {
    return DGifGetLine(file_.get(), to, width) != GIF_ERROR;
  }

  Source source_;
  DecodeLimits limits_;
  File file_;
  std::vector<Frame> frames_;
  std::int64_t pixels_ = 0;
  int transparent_ = NO_TRANSPARENT_COLOR;  // of the next frame
  bool has_graphics_block_ = false;
};

// Draws a frame onto what the one before has left; what is transparent stays.
void draw(const Frame& frame, std::size_t index, const PictureSize& size, std::uint8_t* picture) {
  if (frame.colors == nullptr) {
    throw invalid_argument("The GIF has no colours. Details: frame ", index, ".");
  }
  const std::int64_t bottom = std::min(frame.top + frame.height, size.height);
  const std::int64_t right = std::min(frame.left + frame.width, size.width);
  for (std::int64_t y = frame.top; y < bottom; ++y) {
    const GifByteType* from = frame.pixels.data() + (y - frame.top) * frame.width;
    std::uint8_t* to = picture + (y * size.width + frame.left) * 3;
    for (std::int64_t x = frame.left; x < right; ++x, ++from, to += 3) {
      if (*from == frame.transparent) continue;
      if (*from >= frame.colors->ColorCount) {
        throw invalid_argument("The GIF uses a colour that it does not have. Details: frame ",
                               index, ", colour ", int{*from}, " of ", frame.colors->ColorCount,
                               ".");
      }
      const GifColorType& color = frame.colors->Colors[*from];
      to[0] = color.Red;
      to[1] = color.Green;
      to[2] = color.Blue;
    }
  }
}

}  // namespace

void decode_gif(std::string_view bytes, bool all_frames, PictureMemory memory,
                const DecodeLimits& limits) {
  const Reader reader(bytes, limits);
  const std::vector<Frame>& frames = reader.frames();
  PictureSize size{all_frames ? static_cast<std::int64_t>(frames.size()) : 1, 0, 0, 3};
  for (const Frame& frame : frames) {
    size.height = std::max(size.height, frame.height);
    size.width = std::max(size.width, frame.width);
  }
  const std::int64_t frame_bytes = size.height * size.width * 3;
  if (size.frames > limits.animation_bytes / frame_bytes) {
    throw invalid_argument("The GIF is too large. Details: ", size.frames, " frames of ",
                           size.height, " by ", size.width, ".");
  }
  auto* picture = static_cast<std::uint8_t*>(memory(size));
  for (std::size_t i = 0; i < static_cast<std::size_t>(size.frames); ++i, picture += frame_bytes) {
    if (i == 0) {
      std::fill_n(picture, frame_bytes, std::uint8_t{0});
    } else {
      std::copy_n(picture - frame_bytes, frame_bytes, picture);
    }
    draw(frames[i], i, size, picture);
  }
}

}  // namespace hub
