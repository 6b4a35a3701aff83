// Pictures from files. As in TensorFlow, each decoder reads the others' formats too, apart from
// BMP; the first bytes say what a file is.

#include <functional>
#include <limits>

#include "ops/image_codec.h"
#include "ops/image_size.h"

namespace hub {
namespace {

enum class Format : std::uint8_t { kJpeg, kPng, kGif, kBmp };

Format format_of(const KernelContext& c, std::string_view bytes) {
  if (bytes.starts_with("\xFF\xD8\xFF")) return Format::kJpeg;
  if (bytes.starts_with("\x89PNG\r\n\x1A\n")) return Format::kPng;
  if (bytes.starts_with("GIF8")) return Format::kGif;
  if (bytes.starts_with("BM")) return Format::kBmp;
  throw invalid_argument(c.node().op_name,
                         ": the file must be a JPEG, PNG, GIF or BMP. Details: ", bytes.size(),
                         " bytes that begin with \"", printable(bytes.substr(0, 8)), "\".");
}

enum class DecodeOp : std::uint8_t { kJpeg, kCropJpeg, kPng, kGif, kBmp, kImage };

DecodeOp decode_op(std::string_view name) {
  if (name == "DecodeJpeg") return DecodeOp::kJpeg;
  if (name == "DecodeAndCropJpeg") return DecodeOp::kCropJpeg;
  if (name == "DecodePng") return DecodeOp::kPng;
  if (name == "DecodeGif") return DecodeOp::kGif;
  return name == "DecodeBmp" ? DecodeOp::kBmp : DecodeOp::kImage;
}

JpegOptions jpeg_options(const KernelInit& init) {
  JpegOptions options;
  if (!init.has_attr("ratio")) return options;
  const auto ratio = init.attr<std::int64_t>("ratio");
  const std::string& method = init.attr<std::string>("dct_method");
  if (ratio != 1 && ratio != 2 && ratio != 4 && ratio != 8) {
    throw invalid_argument(init.op(), ": ratio must be 1, 2, 4 or 8. Details: ", ratio, ".");
  }
  if (!method.empty() && method != "INTEGER_FAST" && method != "INTEGER_ACCURATE") {
    throw invalid_argument(init.op(), ": dct_method must be INTEGER_FAST, INTEGER_ACCURATE or ",
                           "empty. Details: \"", printable(method), "\".");
  }
  options.ratio = static_cast<int>(ratio);
  options.fancy_upscaling = init.attr<bool>("fancy_upscaling");
  options.recover_truncated = init.attr<bool>("try_recover_truncated");
  options.acceptable_fraction = init.attr<float>("acceptable_fraction");
  options.accurate_dct = method == "INTEGER_ACCURATE";
  return options;
}

int channels_attr(const KernelInit& init) {
  if (!init.has_attr("channels")) return 3;  // DecodeGif
  const auto channels = init.attr<std::int64_t>("channels");
  if (channels != 0 && channels != 1 && channels != 3 && channels != 4) {
    throw invalid_argument(init.op(), ": channels must be 0, 1, 3 or 4. Details: ", channels, ".");
  }
  return static_cast<int>(channels);
}

// Errors: INVALID_ARGUMENT where the input is not one string that is not empty.
std::string_view file_input(const KernelContext& c) {
  check_rank(c, 0, 0, "contents");
  const std::string& bytes = c.input(0).scalar<std::string>();
  if (bytes.empty() || bytes.size() > std::numeric_limits<std::int32_t>::max()) {
    throw invalid_argument(c.node().op_name, ": the file must have from 1 to ",
                           std::numeric_limits<std::int32_t>::max(),
                           " bytes. Details: ", bytes.size(), ".");
  }
  return bytes;
}

class DecodeKernel final : public Kernel {
 public:
  explicit DecodeKernel(const KernelInit& init)
      : op_(decode_op(init.op())),
        jpeg_(jpeg_options(init)),
        channels_(channels_attr(init)),
        expand_(!init.has_attr("expand_animations") || init.attr<bool>("expand_animations")) {}

  void compute(KernelContext& c) const override {
    const std::string_view bytes = file_input(c);
    const Format format = format_of(c, bytes);
    check_format(c, format);
    with_context(
        [&] {
          switch (format) {
            case Format::kJpeg: return decode_jpeg_file(c, bytes);
            case Format::kPng: return decode_png_file(c, bytes);
            case Format::kGif: return decode_gif_file(c, bytes);
            case Format::kBmp: return decode_bmp_file(c, bytes);
          }
        },
        [&] { return cat("while decoding a file of ", bytes.size(), " bytes"); });
  }

 private:
  void check_format(const KernelContext& c, Format format) const {
    const bool is_bmp = format == Format::kBmp;
    const bool fits = op_ == DecodeOp::kImage ||
                      (op_ == DecodeOp::kBmp
                           ? is_bmp
                           : !is_bmp && (op_ != DecodeOp::kCropJpeg || format == Format::kJpeg));
    if (!fits) {
      throw invalid_argument(c.node().op_name, ": the file is of another format.");
    }
  }

  void check_channels(const KernelContext& c, bool fit, std::string_view format) const {
    if (fit) return;
    throw invalid_argument(c.node().op_name, ": ", format, " files have no form with ", channels_,
                           " channels.");
  }

  // The output for a picture; an animation keeps its frames as first dimension.
  Tensor& output(KernelContext& c, const PictureSize& size, bool is_animation) const {
    if (op_ == DecodeOp::kGif || is_animation) {
      return c.output(0, Shape{size.frames, size.height, size.width, size.channels});
    }
    return c.output(0, Shape{size.height, size.width, size.channels});
  }

  // Runs `decode` with memory for 8-bit samples, and converts them to the output's dtype.
  template <class Decode>
  void decode_bytes(KernelContext& c, bool is_animation, Decode&& decode) const {
    Tensor narrow;
    Tensor* result = nullptr;
    const auto memory = [&](const PictureSize& size) -> void* {
      result = &output(c, size, is_animation);
      if (result->dtype() == DType::kUint8) return result->mutable_raw_data();
      narrow = c.temporary(DType::kUint8, result->shape());
      return narrow.mutable_raw_data();
    };
    decode(memory);
    if (!narrow.is_valid()) return;
    const std::uint8_t* from = narrow.data<std::uint8_t>();
    if (result->dtype() == DType::kUint16) {
      auto* to = result->mutable_data<std::uint16_t>();
      for_lanes(narrow.num_elements(),
                [=](std::int64_t i) { to[i] = static_cast<std::uint16_t>(from[i] * 256); });
    } else {
      float* to = result->mutable_data<float>();
      constexpr auto kScale = static_cast<float>(1.0 / 255);
      for_lanes(narrow.num_elements(),
                [=](std::int64_t i) { to[i] = static_cast<float>(from[i]) * kScale; });
    }
  }

  void decode_jpeg_file(KernelContext& c, std::string_view bytes) const {
    check_channels(c, channels_ != 4, "JPEG");
    JpegOptions options = jpeg_;
    options.channels = channels_;
    if (op_ == DecodeOp::kCropJpeg) {
      const std::vector<std::int64_t> window = integer_vector(c, 1, "crop_window");
      if (c.input(1).rank() != 1 || window.size() != 4) {
        throw invalid_argument("DecodeAndCropJpeg: crop_window must hold four numbers. Details: ",
                               "its shape is ", c.input(1).shape(), ".");
      }
      options.crop = {window[0], window[1], window[2], window[3]};
    }
    decode_bytes(c, false, [&](PictureMemory memory) { decode_jpeg(bytes, options, memory); });
  }

  void decode_png_file(KernelContext& c, std::string_view bytes) const {
    const DType dtype = c.output_dtype(0);
    const PngOptions options{channels_, dtype != DType::kUint8};
    Tensor wide;
    Tensor* result = nullptr;
    const auto memory = [&](const PictureSize& size) -> void* {
      result = &output(c, size, false);
      if (dtype != DType::kFloat32) return result->mutable_raw_data();
      wide = c.temporary(DType::kUint16, result->shape());
      return wide.mutable_raw_data();
    };
    decode_png(bytes, options, memory);
    if (!wide.is_valid()) return;
    const std::uint16_t* from = wide.data<std::uint16_t>();
    float* to = result->mutable_data<float>();
    constexpr auto kScale = static_cast<float>(1.0 / 65535);
    for_lanes(wide.num_elements(),
              [=](std::int64_t i) { to[i] = static_cast<float>(from[i]) * kScale; });
  }

  void decode_gif_file(KernelContext& c, std::string_view bytes) const {
    check_channels(c, channels_ == 0 || channels_ == 3, "GIF");
    const bool is_animation = op_ == DecodeOp::kGif || (op_ == DecodeOp::kImage && expand_);
    const bool all_frames = op_ != DecodeOp::kImage || expand_;
    decode_bytes(c, is_animation, [&](PictureMemory memory) {
      decode_gif(bytes, all_frames, [&](const PictureSize& size) -> void* {
        if (size.frames > 1 && !is_animation) {
          throw invalid_argument(c.node().op_name,
                                 ": only DecodeGif and DecodeImage can decode animations. "
                                 "Details: ",
                                 size.frames, " frames.");
        }
        return memory(size);
      });
    });
  }

  void decode_bmp_file(KernelContext& c, std::string_view bytes) const {
    check_channels(c, channels_ != 1, "BMP");
    decode_bytes(c, false, [&](PictureMemory memory) { decode_bmp(bytes, channels_, memory); });
  }

  DecodeOp op_;
  JpegOptions jpeg_;
  int channels_;
  bool expand_;
};

void compute_jpeg_shape(KernelContext& c) {
  const PictureSize size = jpeg_size(file_input(c));
  Tensor& shape = c.output(0, Shape{3});
  dispatch(Indices{}, shape.dtype(), [&]<class T>() {
    T* out = shape.mutable_data<T>();
    out[0] = static_cast<T>(size.height);
    out[1] = static_cast<T>(size.width);
    out[2] = static_cast<T>(size.channels);
  });
}

std::int64_t channels_dim(const ShapeContext& c) {
  const auto channels = c.attr<std::int64_t>("channels");
  if (channels < 0) {
    throw invalid_argument("The channels must not be negative. Details: ", channels, ".");
  }
  return channels == 0 ? -1 : channels;
}

Shapes picture_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  return {PartialShape{-1, -1, channels_dim(c)}};
}

Shapes gif_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  return {PartialShape{-1, -1, -1, -1}};
}

Shapes image_shape(ShapeContext& c) {
  const Shapes picture = picture_shape(c);
  return c.attr<bool>("expand_animations") ? Shapes{PartialShape()} : picture;
}

Shapes crop_jpeg_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  merge_dims(c.with_rank(1, 1).dim(0), 4, "The length of crop_window");
  const PartialShape window = c.input_as_shape(1);
  const bool known = window.has_rank() && window.rank() == 4;
  return {PartialShape{known ? window.dim(2) : -1, known ? window.dim(3) : -1, channels_dim(c)}};
}

Shapes jpeg_shape_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  return {PartialShape{3}};
}

constexpr std::string_view kJpegAttrs =
    "channels: int = 0; ratio: int = 1; fancy_upscaling: bool = true; "
    "try_recover_truncated: bool = false; acceptable_fraction: float = 1.0; "
    "dct_method: string = ''";

constexpr OpDef kOps[] = {
    {.name = "DecodeAndCropJpeg",
     .inputs = "contents: string, crop_window: int32",
     .outputs = "image: uint8",
     .attrs = kJpegAttrs,
     .shape = crop_jpeg_shape,
     .kernel = make_kernel<DecodeKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "DecodeBmp",
     .inputs = "contents: string",
     .outputs = "image: uint8",
     .attrs = "channels: int = 0",
     .shape = picture_shape,
     .kernel = make_kernel<DecodeKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "DecodeGif",
     .inputs = "contents: string",
     .outputs = "image: uint8",
     .shape = gif_shape,
     .kernel = make_kernel<DecodeKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "DecodeImage",
     .inputs = "contents: string",
     .outputs = "image: dtype",
     .attrs = "channels: int = 0; dtype: {uint8, uint16, float} = uint8; "
              "expand_animations: bool = true",
     .shape = image_shape,
     .kernel = make_kernel<DecodeKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "DecodeJpeg",
     .inputs = "contents: string",
     .outputs = "image: uint8",
     .attrs = kJpegAttrs,
     .shape = picture_shape,
     .kernel = make_kernel<DecodeKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "DecodePng",
     .inputs = "contents: string",
     .outputs = "image: dtype",
     .attrs = "channels: int = 0; dtype: {uint8, uint16} = uint8",
     .shape = picture_shape,
     .kernel = make_kernel<DecodeKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "ExtractJpegShape",
     .inputs = "contents: string",
     .outputs = "image_shape: output_type",
     .attrs = "output_type: {int32, int64} = int32",
     .shape = jpeg_shape_shape,
     .kernel = kernel_function<compute_jpeg_shape>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily image_decode_ops() { return kOps; }

}  // namespace hub
