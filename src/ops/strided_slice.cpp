#include "ops/strided_slice.h"

#include <algorithm>

#include "base/errors.h"

namespace hub {
namespace {

constexpr std::size_t kMaxEntries = 32;  // masks have 32 bits

bool has_bit(std::int64_t mask, std::size_t i) { return i < 64 && ((mask >> i) & 1) != 0; }

// The entries of a slice spread over the input's axes: the ellipsis expanded, new axes noted.
struct DenseSlice {
  struct Entry {
    std::int64_t begin = 0;
    std::int64_t end = 0;
    std::int64_t stride = 1;
    bool whole_begin = true;
    bool whole_end = true;
    bool shrink = false;
  };
  static constexpr int kNewAxis = -1;
  std::vector<Entry> entries;    // one for each axis of the input
  std::vector<int> result_axes;  // axes of the input, or kNewAxis
};

class SliceResolver {
 public:
  SliceResolver(const PartialShape& input, const std::vector<std::int64_t>* begin,
                const std::vector<std::int64_t>* end, const std::vector<std::int64_t>& strides,
                const SliceMasks& masks)
      : input_(input), begin_(begin), end_(end), strides_(strides), masks_(masks) {}

  StridedSlice resolve() {
    check_entries();
    spread();
    StridedSlice slice;
    for (int axis = 0; axis < input_.rank(); ++axis) slice.axes.push_back(resolve_axis(axis));
    std::vector<std::int64_t> dims;
    for (const int axis : dense_.result_axes) {
      dims.push_back(
          axis == DenseSlice::kNewAxis ? 1 : slice.axes[static_cast<std::size_t>(axis)].size);
    }
    slice.result = PartialShape(std::move(dims));
    return slice;
  }

 private:
  void check_entries() const {
    const std::size_t count = strides_.size();
    if (count >= kMaxEntries || (begin_ != nullptr && begin_->size() != count) ||
        (end_ != nullptr && end_->size() != count)) {
      throw invalid_argument(
          "StridedSlice: begin, end and strides must be vectors of one length below ", kMaxEntries,
          ". Details: strides has ", count, " elements.");
    }
    if ((masks_.ellipsis & (masks_.ellipsis - 1)) != 0) {
      throw invalid_argument("StridedSlice: at most one ellipsis. Details: the mask is ",
                             masks_.ellipsis, ".");
    }
  }

  // An ellipsis beats a new axis, which beats shrinking; without one, it stands at the end.
  void spread() {
    const std::size_t count = strides_.size();
    std::size_t ellipsis = count;
    std::size_t new_axes = 0;  // behind the ellipsis
    for (std::size_t i = 0; i < count; ++i) {
      if (has_bit(masks_.ellipsis, i)) ellipsis = i;
      if (ellipsis < i && has_bit(masks_.new_axis, i)) ++new_axes;
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (i == ellipsis) {
        const std::size_t behind = count - i - 1 - new_axes;
        const std::size_t rank = static_cast<std::size_t>(input_.rank());
        while (dense_.entries.size() + behind < rank) add_whole_axis();
      } else if (has_bit(masks_.new_axis, i)) {
        dense_.result_axes.push_back(DenseSlice::kNewAxis);
      } else {
        add_entry(i);
      }
    }
    while (dense_.entries.size() < static_cast<std::size_t>(input_.rank())) add_whole_axis();
  }

  void add_whole_axis() {
    dense_.result_axes.push_back(static_cast<int>(dense_.entries.size()));
    dense_.entries.emplace_back();
  }

  void add_entry(std::size_t i) {
    if (dense_.entries.size() == static_cast<std::size_t>(input_.rank())) {
      throw invalid_argument(
          "StridedSlice: there are more entries than dimensions. Details: entry ", i,
          ", the input has rank ", input_.rank(), ".");
    }
    DenseSlice::Entry entry;
    if (begin_ != nullptr) entry.begin = (*begin_)[i];
    if (end_ != nullptr) entry.end = (*end_)[i];
    entry.stride = strides_[i];
    entry.whole_begin = has_bit(masks_.begin, i);
    entry.whole_end = has_bit(masks_.end, i);
    entry.shrink = has_bit(masks_.shrink, i);
    if (!entry.shrink) dense_.result_axes.push_back(static_cast<int>(dense_.entries.size()));
    dense_.entries.push_back(entry);
  }

  StridedSlice::Axis resolve_axis(int axis) const {
    const DenseSlice::Entry& entry = dense_.entries[static_cast<std::size_t>(axis)];
    const std::int64_t dim = input_.dim(axis);
    if (entry.stride == 0) {
      throw invalid_argument("StridedSlice: strides must not be zero. Details: axis ", axis, ".");
    }
    StridedSlice::Axis result{.begin = 0, .stride = entry.stride, .size = entry.shrink ? 1 : -1};
    if (dim < 0) return result;
    if (entry.shrink && entry.stride < 0) {
      throw invalid_argument(
          "StridedSlice: a single position takes no negative stride. Details: axis ", axis,
          ", stride ", entry.stride, ".");
    }
    const bool whole = entry.whole_begin && entry.whole_end;
    const bool known = (begin_ != nullptr && end_ != nullptr) || (whole && !entry.shrink);
    if (!known) return result;
    if (entry.shrink) {
      result.begin = entry.begin < 0 ? entry.begin + dim : entry.begin;
      if (result.begin < 0 || result.begin >= dim) {
        throw invalid_argument("StridedSlice: the index must lie in the dimension. Details: index ",
                               entry.begin, ", axis ", axis, " of ", input_, ".");
      }
      return result;
    }
    result.begin = bounded(entry.begin, entry.whole_begin, entry.stride, dim, true);
    const std::int64_t end = bounded(entry.end, entry.whole_end, entry.stride, dim, false);
    result.size = range_size(result.begin, end, entry.stride);
    return result;
  }

  // A position made non-negative and moved into the range that the stride can reach.
  static std::int64_t bounded(std::int64_t x, bool whole, std::int64_t stride, std::int64_t dim,
                              bool is_begin) {
    const std::int64_t low = stride > 0 ? 0 : -1;
    const std::int64_t high = stride > 0 ? dim : dim - 1;
    if (whole) return (stride > 0) == is_begin ? low : high;
    return std::clamp(x < 0 ? x + dim : x, low, high);
  }

  static std::int64_t range_size(std::int64_t begin, std::int64_t end, std::int64_t stride) {
    const std::int64_t length = end - begin;
    if (length == 0 || (length < 0) != (stride < 0)) return 0;
    return length / stride + (length % stride != 0 ? 1 : 0);
  }

  const PartialShape& input_;
  const std::vector<std::int64_t>* begin_;
  const std::vector<std::int64_t>* end_;
  const std::vector<std::int64_t>& strides_;
  const SliceMasks& masks_;
  DenseSlice dense_;
};

std::vector<std::int64_t> entries_input(const KernelContext& context, int input) {
  const Tensor& tensor = context.input(input);
  if (tensor.rank() != 1 || tensor.num_elements() >= static_cast<std::int64_t>(kMaxEntries)) {
    throw invalid_argument(
        "StridedSlice: begin, end and strides must be vectors of one length below ", kMaxEntries,
        ". Details: got shape ", tensor.shape(), ".");
  }
  std::vector<std::int64_t> entries(static_cast<std::size_t>(tensor.num_elements()));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    entries[i] = integer_at(tensor, static_cast<std::int64_t>(i));
  }
  return entries;
}

}  // namespace

StridedSlice::Box StridedSlice::box(const Shape& input) const {
  Box box;
  box.axes.resize(axes.size());
  std::vector<std::int64_t> strides(axes.size());
  row_major_strides(input.dims(), strides);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    box.first += axes[i].begin * strides[i];
    box.axes[i] = {axes[i].size, axes[i].size > 1 ? axes[i].stride * strides[i] : 0, 0};
  }
  return box;
}

StridedSlice resolve_strided_slice(const PartialShape& input,
                                   const std::optional<std::vector<std::int64_t>>& begin,
                                   const std::optional<std::vector<std::int64_t>>& end,
                                   const std::vector<std::int64_t>& strides,
                                   const SliceMasks& masks) {
  return SliceResolver(input, begin ? &*begin : nullptr, end ? &*end : nullptr, strides, masks)
      .resolve();
}

StridedSlice resolve_strided_slice(const KernelContext& context, const Shape& input,
                                   int first_input, const SliceMasks& masks) {
  const std::vector<std::int64_t> begin = entries_input(context, first_input);
  const std::vector<std::int64_t> end = entries_input(context, first_input + 1);
  const std::vector<std::int64_t> strides = entries_input(context, first_input + 2);
  const PartialShape shape(input);
  return SliceResolver(shape, &begin, &end, strides, masks).resolve();
}

void assign_strided_slice(KernelContext& context, const StridedSlice& slice, const Tensor& value,
                          Tensor& target) {
  const Shape wanted = *slice.result.as_shape();
  if (wanted.num_elements() == 0) return;  // whatever the value's shape, as in TensorFlow
  const int extra = wanted.rank() - value.rank();
  bool fits = extra >= 0;
  for (int i = 0; fits && i < value.rank(); ++i) {
    fits = value.dim(i) == 1 || value.dim(i) == wanted.dim(i + extra);
  }
  if (!fits) {
    throw invalid_argument(context.node().op_name,
                           ": the value must fit the slice. Details: the slice has shape ", wanted,
                           ", the value ", value.shape(), ".");
  }
  // The value seen with the axes of the target: dropped and added axes have size 1.
  std::vector<std::int64_t> value_strides(static_cast<std::size_t>(value.rank()));
  row_major_strides(value.shape().dims(), value_strides);
  StridedSlice::Box box = slice.box(target.shape());
  std::size_t axis = 0;
  for (int i = 0; i < wanted.rank(); ++i) {
    if (wanted.dim(i) == 1) continue;
    while (box.axes[axis].size == 1) ++axis;
    const bool repeated = i < extra || value.dim(i - extra) == 1;
    box.axes[axis].to = repeated ? 0 : value_strides[static_cast<std::size_t>(i - extra)];
    ++axis;
  }
  for (CopyAxis& entry : box.axes) std::swap(entry.from, entry.to);
  copy_box(context, target.dtype(), box.axes, value.raw_data(), element_at(target, box.first));
}

}  // namespace hub
