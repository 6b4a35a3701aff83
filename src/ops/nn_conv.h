#pragma once

// What the convolution ops share: the geometry of a node's convolution, and kernels for the
// three directions, over images and volumes, dense and depthwise.

#include "ops/kernels/conv_float.h"
#include "ops/nn_window.h"

namespace hub {

// A convolution node: its attributes, and how its filter is read.
struct ConvAttrs {
  WindowAttrs window;
  bool depthwise = false;  // the filter is [spatial..., channels, multiplier]
};

ConvAttrs conv_attrs(const KernelInit& init, int spatial_dims, bool depthwise);

// The convolution of an input (channels last) with a filter. Errors: INVALID_ARGUMENT.
dnn::ConvShape conv_shape(std::string_view op, const ConvAttrs& attrs, const Shape& input,
                          const Shape& filter);
// [batch, spatial..., channels] of the result.
Shape conv_output(const dnn::ConvShape& shape);

class ConvKernel final : public Kernel {
 public:
  ConvKernel(const KernelInit& init, int spatial_dims, bool depthwise);
  void compute(KernelContext& c) const override;

 private:
  ConvAttrs attrs_;
  FloatConvolution convolution_;
};

// How a gradient op names the shape that it cannot see.
enum class SizesFrom : std::uint8_t { kVector, kTensor };

class ConvBackwardDataKernel final : public Kernel {
 public:
  ConvBackwardDataKernel(const KernelInit& init, int spatial_dims, bool depthwise, SizesFrom sizes);
  void compute(KernelContext& c) const override;

 private:
  Shape input_shape(const KernelContext& c, const Shape& filter, const Shape& gradient) const;

  ConvAttrs attrs_;
  SizesFrom sizes_;
  FloatConvolution convolution_;
};

class ConvBackwardFilterKernel final : public Kernel {
 public:
  ConvBackwardFilterKernel(const KernelInit& init, int spatial_dims, bool depthwise,
                           SizesFrom sizes);
  void compute(KernelContext& c) const override;

 private:
  ConvAttrs attrs_;
  SizesFrom sizes_;
  FloatConvolution convolution_;
};

template <int kSpatialDims, bool kDepthwise = false>
std::unique_ptr<Kernel> make_conv(const KernelInit& init) {
  return std::make_unique<ConvKernel>(init, kSpatialDims, kDepthwise);
}
template <int kSpatialDims, bool kDepthwise = false, SizesFrom kSizes = SizesFrom::kVector>
std::unique_ptr<Kernel> make_conv_backward_data(const KernelInit& init) {
  return std::make_unique<ConvBackwardDataKernel>(init, kSpatialDims, kDepthwise, kSizes);
}
template <int kSpatialDims, bool kDepthwise = false, SizesFrom kSizes = SizesFrom::kVector>
std::unique_ptr<Kernel> make_conv_backward_filter(const KernelInit& init) {
  return std::make_unique<ConvBackwardFilterKernel>(init, kSpatialDims, kDepthwise, kSizes);
}

// Shape rules.
Shapes conv_shape_rule(ShapeContext& c, int spatial_dims, bool depthwise);
template <int kSpatialDims, bool kDepthwise = false>
Shapes conv_shape_rule(ShapeContext& c) {
  return conv_shape_rule(c, kSpatialDims, kDepthwise);
}
// The shape that input kInput holds as a vector.
template <int kInput, int kRank>
Shapes shape_from_vector(ShapeContext& c) {
  return {c.input_as_shape(kInput).merge_with(PartialShape::unknown_dims(kRank))};
}

}  // namespace hub
