// Pictures to files.

#include <limits>

#include "ops/image_codec.h"
#include "ops/image_size.h"

namespace hub {
namespace {

void check_size(const KernelContext& c, const Tensor& images) {
  if (images.num_elements() >= std::numeric_limits<std::int32_t>::max()) {
    throw invalid_argument(c.node().op_name, ": the picture is too large. Details: its shape is ",
                           images.shape(), ".");
  }
}

// One string that holds the file of the picture in input 0, with `wanted` channels (0: one or
// three).
void write_jpeg(KernelContext& c, std::int64_t wanted, const JpegEncoding& encoding) {
  check_rank(c, 0, 3, "the image");
  const Tensor& image = c.input(0);
  check_size(c, image);
  const std::int64_t channels = image.dim(2);
  if (wanted == 0 ? channels != 1 && channels != 3 : channels != wanted) {
    throw invalid_argument(c.node().op_name, ": the image must have ",
                           wanted == 0 ? "1 or 3" : cat(wanted),
                           " channels. Details: its shape is ", image.shape(), ".");
  }
  if (encoding.quality < 0 || encoding.quality > 100) {
    throw invalid_argument(c.node().op_name,
                           ": the quality must be in [0, 100]. Details: ", encoding.quality, ".");
  }
  *c.output(0, Shape{}).mutable_data<std::string>() =
      encode_jpeg(image.data<std::uint8_t>(), {1, image.dim(0), image.dim(1), channels}, encoding);
}

class EncodeJpegKernel final : public Kernel {
 public:
  explicit EncodeJpegKernel(const KernelInit& init) {
    const std::string& format = init.attr<std::string>("format");
    channels_ = format == "grayscale" ? 1 : format == "rgb" ? 3 : 0;
    const auto quality = init.attr<std::int64_t>("quality");
    if (quality < 0 || quality > 100) {
      throw invalid_argument("EncodeJpeg: the quality must be in [0, 100]. Details: ", quality,
                             ".");
    }
    encoding_.quality = static_cast<int>(quality);
    encoding_.progressive = init.attr<bool>("progressive");
    encoding_.optimize_size = init.attr<bool>("optimize_size");
    encoding_.chroma_downsampling = init.attr<bool>("chroma_downsampling");
    encoding_.density_per_inch = init.attr<std::string>("density_unit") == "in";
    encoding_.x_density = static_cast<int>(init.attr<std::int64_t>("x_density"));
    encoding_.y_density = static_cast<int>(init.attr<std::int64_t>("y_density"));
    encoding_.xmp_metadata = init.attr<std::string>("xmp_metadata");
  }

  void compute(KernelContext& c) const override { write_jpeg(c, channels_, encoding_); }

 private:
  std::int64_t channels_;
  JpegEncoding encoding_;
};

void compute_variable_quality(KernelContext& c) {
  check_rank(c, 1, 0, "the quality");
  JpegEncoding encoding;
  encoding.quality = c.input(1).scalar<std::int32_t>();
  write_jpeg(c, 0, encoding);
}

class EncodePngKernel final : public Kernel {
 public:
  explicit EncodePngKernel(const KernelInit& init)
      : compression_(init.attr<std::int64_t>("compression")) {
    if (compression_ < -1 || compression_ > 9) {
      throw invalid_argument(
          "EncodePng: the compression must be in [-1, 9]. Details: ", compression_, ".");
    }
  }

  void compute(KernelContext& c) const override {
    const Tensor& images = c.input(0);
    if (images.rank() < 3) {
      throw invalid_argument(
          "EncodePng: the images must have rank 3 or more. Details: the shape "
          "is ",
          images.shape(), ".");
    }
    check_size(c, images);
    const int batch_rank = images.rank() - 3;
    const PictureSize size{1, images.dim(batch_rank), images.dim(batch_rank + 1),
                           images.dim(batch_rank + 2)};
    if (size.channels < 1 || size.channels > 4) {
      throw invalid_argument(
          "EncodePng: the images must have 1 to 4 channels. Details: ", size.channels, ".");
    }
    Tensor& files = c.output(0, images.shape().slice(0, batch_rank));
    if (files.num_elements() > 0 && (size.height == 0 || size.width == 0)) {
      throw internal_error("EncodePng: the images must not be empty. Details: the shape is ",
                           images.shape(), ".");
    }
    const bool wide = images.dtype() == DType::kUint16;
    const std::int64_t bytes = size.height * size.width * size.channels * (wide ? 2 : 1);
    const auto* pixels = static_cast<const std::byte*>(images.raw_data());
    c.parallel_for(files.num_elements(), static_cast<double>(bytes) * 20,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) {
                       files.mutable_data<std::string>()[i] = encode_png(
                           pixels + i * bytes, size, wide, static_cast<int>(compression_));
                     }
                   });
  }

 private:
  std::int64_t compression_;
};

Shapes one_file_shape(ShapeContext& c) {
  c.with_rank(0, 3);
  return {PartialShape::scalar()};
}

Shapes files_shape(ShapeContext& c) {
  const PartialShape images = c.at_least_rank(0, 3);
  return {images.has_rank() ? sub_shape(images, 0, -3) : images};
}

constexpr OpDef kOps[] = {
    {.name = "EncodeJpeg",
     .inputs = "image: uint8",
     .outputs = "contents: string",
     .attrs = "format: {'', 'grayscale', 'rgb'} = ''; quality: int = 95; "
              "progressive: bool = false; optimize_size: bool = false; "
              "chroma_downsampling: bool = true; density_unit: {'in', 'cm'} = 'in'; "
              "x_density: int = 300; y_density: int = 300; xmp_metadata: string = ''",
     .shape = one_file_shape,
     .kernel = make_kernel<EncodeJpegKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "EncodeJpegVariableQuality",
     .inputs = "images: uint8, quality: int32",
     .outputs = "contents: string",
     .shape = one_file_shape,
     .kernel = kernel_function<compute_variable_quality>,
     .differentiable = Differentiable::kRefused},
    {.name = "EncodePng",
     .inputs = "image: T",
     .outputs = "contents: string",
     .attrs = "compression: int = -1; T: {uint8, uint16} = uint8",
     .shape = files_shape,
     .kernel = make_kernel<EncodePngKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily image_encode_ops() { return kOps; }

}  // namespace hub
