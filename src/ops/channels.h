#pragma once

#include "ops/kernel.h"
#include "ops/lanes.h"

namespace hub {

// As for_lanes, for counts that may be small: what is left of groups of 32 is done in 8s.
template <class Body>
[[gnu::flatten]] inline void for_channels(std::int64_t count, Body&& body) {
  constexpr std::int64_t kLanes = 8;
  std::int64_t i = count - count % 32;
  for_lanes(i, body);
  for (; i + kLanes <= count; i += kLanes) {
    HUB_INDEPENDENT
    for (std::int64_t lane = 0; lane < kLanes; ++lane) body(i + lane);
  }
  for (; i < count; ++i) body(i);
}

// A tensor as [outer, channels, inner]: `inner` is 1 where the channels are last.
struct ChannelView {
  std::int64_t outer = 1;
  std::int64_t channels = 0;
  std::int64_t inner = 1;
};

// `axis` is that of the channels.
inline ChannelView channel_view(const Shape& shape, int axis) {
  ChannelView view;
  view.channels = shape.dim(axis);
  for (int i = 0; i < axis; ++i) view.outer *= shape.dim(i);
  for (int i = axis + 1; i < shape.rank(); ++i) view.inner *= shape.dim(i);
  return view;
}

// Calls f(channel, index) for the elements of rows [begin, end) of the outer axis. Elements
// of different channels are independent: neighbours are computed in lanes.
template <class F>
void each_element(const ChannelView& view, std::int64_t begin, std::int64_t end, F f) {
  const std::int64_t channels = view.channels;
  if (view.inner == 1) {
    for (std::int64_t row = begin * channels; row < end * channels; row += channels) {
      for_channels(channels, [&](std::int64_t channel) { f(channel, row + channel); });
    }
    return;
  }
  for (std::int64_t row = begin * channels; row < end * channels; row += channels) {
    for (std::int64_t channel = 0; channel < channels; ++channel) {
      const std::int64_t first = (row + channel) * view.inner;
      for (std::int64_t i = first; i < first + view.inner; ++i) f(channel, i);
    }
  }
}

// The same over all rows, on several threads.
template <class F>
void each_element(KernelContext& c, const ChannelView& view, double cost_ns, F f) {
  const double row_ns =
      cost_ns * static_cast<double>(view.channels) * static_cast<double>(view.inner);
  c.parallel_for(view.outer, row_ns,
                 [=](std::int64_t begin, std::int64_t end) { each_element(view, begin, end, f); });
}

}  // namespace hub
