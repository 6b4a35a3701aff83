#include "module/picture_decoder.h"

#include "hub/ops.h"

namespace hub {
namespace {

Output decoded(const Output& bytes, const ImageSize& size, int channels) {
  const Graph graph = bytes.graph();
  // Pictures of 16 bits lose the lower ones, as in TensorFlow's programs for images.
  const Output pixels =
      graph.op("DecodeImage", {bytes},
               {{"channels", channels}, {"dtype", DType::kUint8}, {"expand_animations", false}});
  constexpr float kBrightest = 255;
  const Output floats = graph.op(
      "Mul",
      {graph.op("Cast", {pixels}, {{"SrcT", DType::kUint8}, {"DstT", kFloat}}), 1 / kBrightest});
  const Output batch = graph.op("ExpandDims", {floats, 0});
  const Tensor target = make_vector<std::int32_t>({size.height, size.width});
  return graph.op("ResizeBilinear", {batch, target});
}

}  // namespace

PictureDecoder::PictureDecoder(const ImageSize& size, int channels, int threads)
    : bytes_(ops::placeholder(graph_, kString, PartialShape::scalar(), "bytes")),
      picture_(decoded(bytes_, size, channels)),
      session_(graph_, {.threads = threads}) {}

Tensor PictureDecoder::decode(const std::string& bytes) {
  return session_.run(picture_, {{bytes_, make_scalar(bytes)}});
}

}  // namespace hub
