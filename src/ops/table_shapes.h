#pragma once

// Shape rules of table ops. A table's handle fact is the dtype and shape of one value; only
// tables whose keys are scalars have one.

#include "graph/shape_rules.h"

namespace hub {

inline Shapes table_handle_shape(ShapeContext& c) {
  if (c.output_dtype(0) != DType::kResource) return {PartialShape{2}};
  const bool has_shape = c.node().attrs.contains("value_shape");
  c.set_output_handle(0,
                      {c.attr<DType>("value_dtype"),
                       has_shape ? c.attr<PartialShape>("value_shape") : PartialShape::scalar()});
  return {PartialShape::scalar()};
}

// Errors: INVALID_ARGUMENT where input 0 cannot be a handle.
inline void check_table_handle(ShapeContext& c) {
  c.with_rank(0, c.input_dtype(0) == DType::kResource ? 0 : 1);
}

inline Shapes table_use_shape(ShapeContext& c) {
  check_table_handle(c);
  return Shapes(static_cast<std::size_t>(c.num_outputs()));
}

inline Shapes table_find_shape(ShapeContext& c) {
  check_table_handle(c);
  c.at_most_rank(2, 1);
  const auto& handle = c.input_handle(0);
  if (!handle) return {{}};
  return {concatenate(c.input(1), handle->shape)};
}

inline Shapes table_size_shape(ShapeContext& c) {
  check_table_handle(c);
  return {PartialShape::scalar()};
}

inline Shapes table_export_shape(ShapeContext& c) {
  check_table_handle(c);
  const auto& handle = c.input_handle(0);
  if (!handle) return {{}, {}};
  return {PartialShape{-1}, concatenate(PartialShape{-1}, handle->shape)};
}

}  // namespace hub
