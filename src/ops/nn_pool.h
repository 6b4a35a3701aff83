#pragma once

// What the pooling ops share: geometry, and kernels for images and volumes.

#include <span>

#include "ops/nn_window.h"
#include "ops/onednn_conv.h"

namespace hub {

// A pool's windows over an input with the channels last, as those of a depthwise convolution.
// Errors: INVALID_ARGUMENT, UNIMPLEMENTED.
dnn::ConvShape pool_shape(std::string_view op, const WindowAttrs& attrs, const Shape& input);
// [batch, spatial..., channels] of the result.
Shape pool_output(const dnn::ConvShape& shape);

// Pools that read `ksize` and `strides` as attributes, or as the inputs from `first_input` on.
class PoolKernel : public Kernel {
 public:
  PoolKernel(const KernelInit& init, int spatial_dims);

 protected:
  WindowAttrs window(const KernelContext& c, int first_input) const;
  // The input `i` of [batch, spatial..., channels], copied where it is not.
  Tensor channels_last_input(KernelContext& c, int i) const;
  Shape channels_last_shape(const KernelContext& c, int i) const;
  // The memory in which to compute output 0, of this shape (channels last), and what makes
  // it the output.
  Tensor result(KernelContext& c, const Shape& shape) const;
  void finish(KernelContext& c, Tensor result) const;
  // A gradient's inputs fit the pool.
  static void check_shape(const KernelContext& c, std::string_view what, const Shape& got,
                          const Shape& expected);

 private:
  WindowAttrs attrs_;
};

Shapes pool_shape_rule(ShapeContext& c, int spatial_dims, int first_input);
// kFirstInput: of `ksize`, where that is an input.
template <int kSpatialDims, int kFirstInput = -1>
Shapes pool_shape_rule(ShapeContext& c) {
  return pool_shape_rule(c, kSpatialDims, kFirstInput);
}
// The gradient of a pool has the shape of its first input.
template <int kRank>
Shapes pool_grad_shape(ShapeContext& c) {
  return {c.with_rank(0, kRank)};
}

}  // namespace hub
