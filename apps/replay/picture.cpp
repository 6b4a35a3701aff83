#include "replay/picture.h"

#include "base/errors.h"
#include "graph/graph_data.h"
#include "ops/builtin.h"
#include "runtime/session.h"

namespace hub::replay {

Tensor decode_picture(const std::string& content, std::string_view decode) {
  if (!decode.starts_with("JPEG to RGB, then BGR float32 0..255")) {
    throw unimplemented("There is one way to decode a golden's file. Details: got \"", decode,
                        "\".");
  }
  GraphData graph(builtin_ops());
  const int file = graph.add({.name = "file",
                              .op = "Const",
                              .inputs = {},
                              .attrs = {{"dtype", kString}, {"value", make_scalar(content)}}});
  // The goldens' pictures were decoded with the accurate integer transform.
  const int picture = graph.add(
      {.name = "picture",
       .op = "DecodeJpeg",
       .inputs = {{file, 0}},
       .attrs = {{"channels", std::int64_t{3}}, {"dct_method", std::string("INTEGER_ACCURATE")}}});
  Engine engine(graph);
  const OutputId fetch{picture, 0};
  const Tensor rgb = engine.run({}, {&fetch, 1})[0];
  Tensor result(kFloat, rgb.shape());
  const auto in = rgb.values<std::uint8_t>();
  const auto out = result.mutable_values<float>();
  for (std::size_t pixel = 0; pixel < in.size(); pixel += 3) {
    for (std::size_t channel = 0; channel < 3; ++channel) {
      out[pixel + channel] = in[pixel + 2 - channel];
    }
  }
  return result;
}

}  // namespace hub::replay
