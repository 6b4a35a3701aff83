#pragma once

// What fused kernels do where a residual turns out to have another shape than their result.

#include "ops/kernel.h"
#include "ops/kernels/epilogue.h"

namespace hub {

// Output 0 = activation(product + residual), broadcast against each other. Errors:
// INVALID_ARGUMENT where the shapes do not fit.
void add_broadcast_residual(KernelContext& context, const Tensor& product, const Tensor& residual,
                            RowActivation activation);

}  // namespace hub
