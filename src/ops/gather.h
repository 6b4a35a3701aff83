#pragma once

// Elements, rows and slices of a tensor, picked by indices: for Gather and its relatives.

#include "ops/kernel.h"

namespace hub {

// Output 0 is `params` gathered along `axis`; the first `batch` axes of params and indices go
// together (the caller has checked both). Errors: INVALID_ARGUMENT for an index out of range.
void gather(KernelContext& context, const Tensor& params, const Tensor& indices, int axis,
            int batch);

// Output 0 is the slices of `params` that the index vectors, the last axis of `indices`, name.
// Errors: INVALID_ARGUMENT where shapes or indices do not fit.
void gather_nd(KernelContext& context, const Tensor& params, const Tensor& indices);

}  // namespace hub
