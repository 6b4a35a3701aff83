// Pictures: resizing, and decoding of JPEG and PNG, on one thread.

#include <benchmark/benchmark.h>

#include <cmath>

#include "graph/graph_data.h"
#include "ops/builtin.h"
#include "ops/image_codec.h"
#include "runtime/session.h"

namespace hub {
namespace {

// One op with these inputs, run again and again.
void run_op(benchmark::State& state, const std::string& op, std::vector<Tensor> inputs,
            AttrMap attrs = {}) {
  GraphData graph(builtin_ops());
  NodeSpec spec;
  spec.name = "op";
  spec.op = op;
  spec.attrs = std::move(attrs);
  std::vector<OutputId> feeds;
  for (const Tensor& input : inputs) {
    NodeSpec placeholder;
    placeholder.name = graph.unique_name("input");
    placeholder.op = "Placeholder";
    placeholder.attrs = {{"dtype", input.dtype()}};
    feeds.push_back({graph.add(std::move(placeholder)), 0});
  }
  spec.inputs = feeds;
  const OutputId result{graph.add(std::move(spec)), 0};
  Engine engine(graph, {.threads = 1});
  const PreparedRun run = engine.prepare(feeds, std::vector{result});
  for (auto _ : state) {
    std::vector<Tensor> values = inputs;
    Tensor fetch;
    run.run(values, {&fetch, 1});
    benchmark::DoNotOptimize(fetch.raw_data());
  }
}

// Waves, so that a file of them has a usual size.
template <class T>
Tensor picture(std::int64_t height, std::int64_t width) {
  Tensor image(dtype_of<T>, Shape{1, height, width, 3});
  T* sample = image.mutable_data<T>();
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (int k = 0; k < 3; ++k) {
        const double angle =
            0.05 * static_cast<double>(x) + 0.03 * static_cast<double>(y * (k + 1));
        const double noise = static_cast<double>((x * 7919 + y * 104729) % 17) * 2;
        *sample++ = static_cast<T>(110 + 80 * std::sin(angle) + noise);
      }
    }
  }
  return image;
}

template <class T>
void resize(benchmark::State& state, const std::string& op, std::int64_t from, std::int32_t to,
            bool half_pixel = false) {
  AttrMap attrs;
  if (half_pixel) attrs["half_pixel_centers"] = true;
  run_op(state, op, {picture<T>(from, from), make_vector<std::int32_t>({to, to})}, attrs);
}
void resize_bytes(benchmark::State& state, const std::string& op, std::int64_t from,
                  std::int32_t to) {
  resize<std::uint8_t>(state, op, from, to);
}
void resize_floats(benchmark::State& state, const std::string& op, std::int64_t from,
                   std::int32_t to, bool half_pixel = false) {
  resize<float>(state, op, from, to, half_pixel);
}
BENCHMARK_CAPTURE(resize_bytes, bilinear_1024_to_299, "ResizeBilinear", 1024, 299);
BENCHMARK_CAPTURE(resize_floats, bilinear_1024_to_299, "ResizeBilinear", 1024, 299);
BENCHMARK_CAPTURE(resize_floats, bilinear_128_to_512, "ResizeBilinear", 128, 512, true);
BENCHMARK_CAPTURE(resize_floats, nearest_128_to_512, "ResizeNearestNeighbor", 128, 512);
BENCHMARK_CAPTURE(resize_floats, bicubic_512_to_299, "ResizeBicubic", 512, 299);
BENCHMARK_CAPTURE(resize_floats, area_1024_to_299, "ResizeArea", 1024, 299);

void decode(benchmark::State& state, const std::string& op, const std::string& file) {
  run_op(state, op, {make_scalar(file)});
}

void decode_jpeg_1024(benchmark::State& state) {
  const Tensor image = picture<std::uint8_t>(1024, 1024);
  JpegEncoding encoding;
  encoding.quality = 85;
  decode(state, "DecodeJpeg",
         encode_jpeg(image.data<std::uint8_t>(), {1, 1024, 1024, 3}, encoding));
}
BENCHMARK(decode_jpeg_1024);

void decode_png_1024(benchmark::State& state) {
  const Tensor image = picture<std::uint8_t>(1024, 1024);
  decode(state, "DecodePng", encode_png(image.raw_data(), {1, 1024, 1024, 3}, false, -1));
}
BENCHMARK(decode_png_1024);

}  // namespace
}  // namespace hub
