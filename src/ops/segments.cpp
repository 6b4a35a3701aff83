#include "ops/segments.h"

#include "graph/shape_rules.h"
#include "tensor/dispatch.h"

namespace hub {

std::vector<std::int64_t> integer_elements(const Tensor& tensor) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(tensor.num_elements()));
  dispatch(TypeList<std::int16_t, std::int32_t, std::int64_t>{}, tensor.dtype(), [&]<class T>() {
    const T* from = tensor.data<T>();
    for (std::int64_t& value : values) value = *from++;
  });
  return values;
}

std::vector<std::int64_t> sorted_segment_ids(std::string_view op, const Tensor& ids,
                                             std::int64_t count) {
  if (ids.rank() != 1) {
    throw invalid_argument(op, ": the segment ids must be a vector. Details: their shape is ",
                           ids.shape(), ".");
  }
  if (ids.num_elements() != count) {
    throw invalid_argument(op, ": there must be one segment id for each row. Details: ",
                           ids.num_elements(), " ids for ", count, " rows.");
  }
  std::vector<std::int64_t> values = integer_elements(ids);
  std::int64_t last = 0;
  for (const std::int64_t id : values) {
    if (id < last) {
      throw invalid_argument(op, ": the segment ids must be sorted and not negative. Details: ", id,
                             " follows ", last, ".");
    }
    last = id;
  }
  return values;
}

std::int64_t segment_count(std::string_view op, const Tensor& tensor, std::string_view what) {
  if (tensor.rank() != 0) {
    throw invalid_argument(op, ": ", what, " must be a scalar. Details: its shape is ",
                           tensor.shape(), ".");
  }
  const std::int64_t count = integer_elements(tensor)[0];
  if (count < 0) {
    throw invalid_argument(op, ": ", what, " must not be negative. Details: got ", count, ".");
  }
  return count;
}

PartialShape with_first_dim(std::int64_t first, const PartialShape& data) {
  if (!data.has_rank()) return {};
  return concatenate(PartialShape{first}, sub_shape(data, 1, data.rank()));
}

std::int64_t dim_from_input(ShapeContext& c, int input) {
  c.with_rank(input, 0);
  const auto value = c.input_as_int(input);
  if (!value) return -1;
  if (*value < 0) {
    throw invalid_argument("The number of segments must not be negative. Details: got ", *value,
                           ".");
  }
  return *value;
}

Shapes unsorted_segment_shape(ShapeContext& c) {
  const PartialShape& data = c.input(0);
  const PartialShape& ids = c.input(1);
  const std::int64_t count = dim_from_input(c, 2);
  if (!ids.has_rank() || !data.has_rank()) return {PartialShape{}};
  if (ids.rank() > data.rank()) {
    throw invalid_argument("The data's shape must start with that of the ids. Details: ", data,
                           " and ", ids, ".");
  }
  sub_shape(data, 0, ids.rank()).merge_with(ids);
  return {concatenate(PartialShape{count}, sub_shape(data, ids.rank(), data.rank()))};
}

}  // namespace hub
