#include "ops/kernels/pool_float.h"

#include <vector>

#include "ops/kernels/vector.h"
#include "ops/kernels/window_loops.h"

namespace hub {
namespace {

using V = Vector<float>::type;
constexpr std::int64_t kLanes = Vector<float>::kLanes;

struct Average {
  V start() const { return V{}; }
  float first() const { return 0; }
  template <class T>
  static T join(T a, T b) {
    return a + b;
  }
  template <class T>
  static T finish(T sum, float count) {
    return sum / count;
  }
};
struct Maximum {
  float lowest;
  V start() const { return V{} + lowest; }
  float first() const { return lowest; }
  template <class T>
  static T join(T a, T b) {
    return b > a ? b : a;
  }
  template <class T>
  static T finish(T best, float) {
    return best;
  }
};

// kVectors vectors of channels from `channel` on.
template <int kVectors, class Pool>
inline void pool_vectors(const Pool& pool, const std::vector<const float*>& taps,
                         std::int64_t channel, float* y) {
  V sums[kVectors];
  for (V& sum : sums) sum = pool.start();
  for (const float* tap : taps) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v)
      sums[v] = Pool::join(sums[v], Vector<float>::load(tap + channel + v * kLanes));
  }
  const auto count = static_cast<float>(taps.size());
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v)
    Vector<float>::store(y + channel + v * kLanes, Pool::finish(sums[v], count));
}

template <class Pool>
void pool_pixel(const Pool& pool, const std::vector<const float*>& taps, std::int64_t channels,
                float* y) {
  std::int64_t channel = 0;
  for (; channel + 8 * kLanes <= channels; channel += 8 * kLanes)
    pool_vectors<8>(pool, taps, channel, y);
  for (; channel + kLanes <= channels; channel += kLanes) pool_vectors<1>(pool, taps, channel, y);
  for (; channel < channels; ++channel) {
    float sum = pool.first();
    for (const float* tap : taps) sum = Pool::join(sum, tap[channel]);
    y[channel] = Pool::finish(sum, static_cast<float>(taps.size()));
  }
}

template <class Pool>
void run_pool(const Pool& pool, const dnn::ConvShape& s, const float* x, float* y,
              std::int64_t begin, std::int64_t end) {
  const std::int64_t outputs = pixels(s.output), channels = s.in_channels;
  std::vector<const float*> taps;
  taps.reserve(static_cast<std::size_t>(pixels(s.kernel)));
  for (std::int64_t i = begin; i < end; ++i) {
    const float* image = x + i / outputs * pixels(s.input) * channels;
    taps.clear();
    each_tap(s, position(i % outputs, s.output),
             [&](std::int64_t, std::int64_t pixel) { taps.push_back(image + pixel * channels); });
    pool_pixel(pool, taps, channels, y + i * channels);
  }
}

}  // namespace

void average_pool_float(const dnn::ConvShape& shape, const float* x, float* y, std::int64_t begin,
                        std::int64_t end) {
  run_pool(Average{}, shape, x, y, begin, end);
}

void max_pool_float(const dnn::ConvShape& shape, float start, const float* x, float* y,
                    std::int64_t begin, std::int64_t end) {
  run_pool(Maximum{start}, shape, x, y, begin, end);
}

}  // namespace hub
