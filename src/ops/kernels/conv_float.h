#pragma once

// Convolutions of float32, channels last: through oneDNN where it is fast, else by loops.

#include <memory>
#include <mutex>
#include <vector>

#include "ops/kernel.h"
#include "ops/onednn_conv.h"

namespace hub {

// A convolution's primitives, remembered by shape, and its filter in their layout. Part of a
// kernel: all functions are thread-safe.
class FloatConvolution {
 public:
  // With a stable filter, what is derived from it is kept while its buffer is the same.
  FloatConvolution(dnn::ConvKind kind, bool stable_filter, dnn::Epilogue epilogue = {})
      : kind_(kind), stable_filter_(stable_filter), epilogue_(epilogue) {}

  // Forward: reads x and the filter, writes y.
  // Backward data: reads the filter and y, the gradient, and writes x.
  // `bias` has a value for each output channel, where the epilogue has one.
  void run(KernelContext& c, const dnn::ConvShape& shape, float* x, const Tensor& filter, float* y,
           const float* bias = nullptr) const;
  // Backward filter: reads x and y, the gradient, and writes the filter's gradient.
  void run_filter(KernelContext& c, const dnn::ConvShape& shape, const float* x, const float* y,
                  float* filter) const;

 private:
  // A part of one image: rows of its result, or channels of it.
  struct Band {
    const dnn::Convolution* primitive;
    std::int64_t in_offset;  // in elements, from the image's first
    std::int64_t out_offset;
    std::int64_t first_channel = 0;
  };
  // For one image of a shape.
  struct Plan {
    dnn::ConvShape shape;
    std::int64_t wanted_bands = 1;
    std::vector<std::shared_ptr<const dnn::Convolution>> primitives;  // none: loops
    std::vector<Band> bands;
    std::int64_t channels = 0;  // of the result that a band makes; all, or a part of them
    std::size_t scratch_bytes = 0;
  };
  struct PackedFilter {
    Tensor filter;
    std::int64_t first_channel;
    std::shared_ptr<const dnn::Convolution> by;
    Tensor packed;
  };

  void run_images(KernelContext& c, const dnn::ConvShape& shape, float* x, const Tensor& filter,
                  float* y, const float* bias) const;
  std::shared_ptr<const Plan> plan_for(const dnn::ConvShape& shape, int threads) const;
  std::shared_ptr<const Plan> make_plan(const dnn::ConvShape& image, std::int64_t bands) const;
  void add_bands(Plan& plan) const;
  void add_channel_parts(Plan& plan) const;
  void run_channels(KernelContext& c, const Plan& plan, std::int64_t batch, float* x,
                    const Tensor& filter, float* y, const float* bias) const;
  Tensor packed_filter(KernelContext& c, const Plan& plan, const Tensor& filter,
                       std::int64_t first_channel = 0) const;

  const dnn::ConvKind kind_;
  const bool stable_filter_;
  const dnn::Epilogue epilogue_;                            // of the forward direction
  mutable std::mutex mutex_;                                // guards what follows
  mutable std::vector<std::shared_ptr<const Plan>> plans_;  // the one used last is last
  mutable std::vector<PackedFilter> packed_;
};

}  // namespace hub
