#pragma once

// Reduces a tensor over any set of axes with the inner loops of one reduction. The result
// depends on the values and the shape of what is reduced, not on threads, nor on the sizes
// of outer axes that are kept.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "graph/shape_context.h"
#include "ops/kernel.h"

namespace hub {

// The inner loops for one reduction and dtype (kernels/reduce_loops.h makes them). `acc` are
// accumulators of `acc_size` bytes.
struct ReduceLoops {
  std::size_t input_size;
  std::size_t acc_size;
  std::size_t output_size;
  void (*fill)(void* acc, std::int64_t n);
  // acc[i] = the reduction of row i, of `count` consecutive rows of n elements.
  void (*rows)(const void* x, std::int64_t count, std::int64_t n, void* acc);
  // acc[j] joins x[0][j], x[1][j]...; rows are `stride` elements apart.
  void (*columns)(const void* x, std::int64_t rows, std::int64_t stride, std::int64_t width,
                  void* acc);
  // acc[i] joins other[i].
  void (*combine)(void* acc, const void* other, std::int64_t n);
  // out[i] from acc[i], in which `count` elements were joined.
  void (*finish)(const void* acc, std::int64_t n, std::int64_t count, void* out);
};

// Which axes go, and the shapes that follow.
struct ReduceAxes {
  std::vector<bool> reduced;  // for each axis of the input
  Shape kept;                 // the output's shape without the reduced axes
  Shape kept_as_ones;         // with them, as 1
  bool trivial = true;        // every reduced axis is of size 1 (or there are none)
};

// From the op's axes in input `axes_input`. Errors: INVALID_ARGUMENT for an axis out of
// range or given twice.
ReduceAxes reduce_axes(const KernelContext& context, const Shape& input, int axes_input);

// The shape of input 0 reduced over the axes in input 1, as the attribute keep_dims says.
Shapes reduction_shape(ShapeContext& c);

// The sum's loops; of any number type.
const ReduceLoops& sum_loops(DType dtype);

// Fills `output`, which has as many elements as the kept axes.
void reduce(KernelContext& context, const ReduceLoops& loops, const Tensor& input,
            const std::vector<bool>& reduced, Tensor& output);

}  // namespace hub
