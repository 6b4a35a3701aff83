#pragma once

// Short words for what gradient rules add to a graph.

#include <initializer_list>
#include <string_view>
#include <vector>

#include "graph/gradient_context.h"

namespace hub::grad {

inline Output op(std::string_view type, const std::vector<Input>& inputs, const Attrs& attrs = {}) {
  for (const Input& input : inputs) {
    if (const Output* output = input.output())
      return output->graph().op(type, inputs, attrs).output(0);
  }
  return {};
}

inline Output operator+(const Output& a, const Output& b) { return op("AddV2", {a, b}); }
inline Output operator-(const Output& a, const Output& b) { return op("Sub", {a, b}); }
inline Output operator*(const Output& a, const Output& b) { return op("Mul", {a, b}); }
inline Output operator/(const Output& a, const Output& b) { return op("RealDiv", {a, b}); }
inline Output operator+(const Output& a, double b) { return op("AddV2", {a, b}); }
inline Output operator-(const Output& a, double b) { return op("Sub", {a, b}); }
inline Output operator*(const Output& a, double b) { return op("Mul", {a, b}); }
inline Output operator/(const Output& a, double b) { return op("RealDiv", {a, b}); }
inline Output operator+(double a, const Output& b) { return op("AddV2", {a, b}); }
inline Output operator-(double a, const Output& b) { return op("Sub", {a, b}); }
inline Output operator*(double a, const Output& b) { return op("Mul", {a, b}); }
inline Output operator/(double a, const Output& b) { return op("RealDiv", {a, b}); }
inline Output operator-(const Output& a) { return op("Neg", {a}); }

inline bool is_complex(DType dtype) {
  return dtype == DType::kComplex64 || dtype == DType::kComplex128;
}
// The real dtype of the parts of a complex one.
inline DType real_dtype(DType dtype) {
  if (dtype == DType::kComplex64) return DType::kFloat32;
  return dtype == DType::kComplex128 ? DType::kFloat64 : dtype;
}

inline Output conj(const Output& x) { return is_complex(x.dtype()) ? op("Conj", {x}) : x; }
inline Output square(const Output& x) { return op("Square", {x}); }
inline Output exp(const Output& x) { return op("Exp", {x}); }
inline Output zeros_like(const Output& x) { return op("ZerosLike", {x}); }
inline Output ones_like(const Output& x) { return op("OnesLike", {x}); }
inline Output cast(const Output& x, DType dtype) {
  return x.dtype() == dtype ? x : op("Cast", {x}, {{"DstT", dtype}});
}
inline Output where(const Output& condition, const Input& x, const Input& y) {
  return op("SelectV2", {condition, x, y});
}

inline Tensor ints(std::initializer_list<std::int32_t> values) {
  return make_vector<std::int32_t>(values);
}
inline Output shape_of(const Output& x, DType dtype = DType::kInt32) {
  return op("Shape", {x}, {{"out_type", dtype}});
}
inline Output reshape(const Output& x, const Input& shape) { return op("Reshape", {x, shape}); }
inline Output transpose(const Output& x, const Input& permutation) {
  return op("Transpose", {x, permutation});
}
inline Output sum(const Output& x, const Input& axes, bool keep = false) {
  return op("Sum", {x, axes}, {{"keep_dims", keep}});
}
inline Output expand(const Output& x, int axis) { return op("ExpandDims", {x, axis}); }
inline Output squeeze(const Output& x, std::initializer_list<int> axes) {
  return op("Squeeze", {x}, {{"squeeze_dims", axes}});
}
inline Output size_of(const Output& x, DType dtype = DType::kInt32) {
  return op("Size", {x}, {{"out_type", dtype}});
}
inline Output rank_of(const Output& x) { return op("Rank", {x}); }
// Rows of the first axis.
inline Output gather(const Output& x, const Input& indices) {
  return op("GatherV2", {x, indices, ints({0}).reshaped(Shape{})});
}
// A vector's elements [begin, end); an end of 0 is the vector's end; negative ones count from it.
inline Output slice(const Output& vector, int begin, int end = 0) {
  return op("StridedSlice", {vector, ints({begin}), ints({end}), ints({1})},
            {{"end_mask", end == 0 ? 1 : 0}});
}
// A vector's element, a scalar.
inline Output element(const Output& vector, int index) {
  return op("StridedSlice", {vector, ints({index}), ints({index + 1}), ints({1})},
            {{"shrink_axis_mask", 1}, {"end_mask", index == -1 ? 1 : 0}});
}
inline Output concat(std::vector<Input> parts, int axis = 0) {
  const auto count = static_cast<std::int64_t>(parts.size());
  parts.emplace_back(axis);
  return op("ConcatV2", parts, {{"N", count}});
}
inline Output pack(const std::vector<Input>& parts, int axis = 0) {
  return op("Pack", parts, {{"N", static_cast<std::int64_t>(parts.size())}, {"axis", axis}});
}
inline Output range(const Input& begin, const Input& end, const Input& step = 1) {
  return op("Range", {begin, end, step});
}
// A scalar of this dtype that is a node: for places where no other tensor says graph and dtype.
Output scalar(const GradientContext& c, DType dtype, double value);
// A tensor of this shape (a tensor), all of one value.
Output filled(const Output& shape, DType dtype, double value);

// The gradient of an operand of a broadcasting op, from one of the result's shape: summed over the
// axes along which the operand was repeated.
Output unbroadcast(const Output& gradient, const Output& operand, const Output& other);
// The same for both operands at once; invalid gradients stay invalid.
Gradients unbroadcast_both(const Output& x, const Output& y, Output dx, Output dy);

// What flows back to the node's only interesting output, as it is: slices stay slices.
Gradients pass_on(GradientContext& c, int input = 0);

// Products of matrices in the last two axes; an adjoint is conjugated.
inline Output matmul(const Output& a, const Output& b, bool adjoint_a = false,
                     bool adjoint_b = false) {
  return op("BatchMatMulV2", {a, b}, {{"adj_x", adjoint_a}, {"adj_y", adjoint_b}});
}

// The shape that a reduction of `shape` over `axes` has with keep_dims.
Output reduced_shape(const Output& shape, const Output& axes);

}  // namespace hub::grad
