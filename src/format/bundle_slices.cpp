// Reading any part of a tensor from whatever parts a bundle stores.

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/errors.h"
#include "format/bundle_values.h"
#include "tensor/dispatch.h"

namespace hub {

namespace {

// Copies the box `common` (in the coordinates of the full tensor) between two tensors that
// hold the boxes `from_box` and `to_box` of it.
class BoxCopy {
 public:
  BoxCopy(const TensorSlice& common, const TensorSlice& from_box, const TensorSlice& to_box)
      : rank_(common.extents.size()), common_(common), from_(from_box), to_(to_box) {}

  void copy(const Tensor& from, Tensor& to) {
    dispatch_by_size(from.dtype(), [&]<class T>() {
      run(static_cast<const T*>(from.raw_data()), static_cast<T*>(to.mutable_raw_data()));
    });
  }

 private:
  template <class T>
  void run(const T* from, T* to) {
    // Rows: the last dimension is contiguous on both sides.
    const std::size_t outer = rank_ == 0 ? 0 : rank_ - 1;
    const std::int64_t row = rank_ == 0 ? 1 : common_.extents[outer].length;
    std::vector<std::int64_t> index(outer, 0);
    for (;;) {
      const T* source = from + position(index, from_);
      std::copy(source, source + row, to + position(index, to_));
      std::size_t axis = outer;
      while (axis > 0 && ++index[axis - 1] == common_.extents[axis - 1].length) {
        index[--axis] = 0;
      }
      if (axis == 0) return;
    }
  }

  // Where the row at `index` of the common box begins in the tensor that holds `box`.
  std::ptrdiff_t position(const std::vector<std::int64_t>& index, const TensorSlice& box) const {
    std::int64_t flat = 0;
    for (std::size_t axis = 0; axis < rank_; ++axis) {
      const std::int64_t in_common = axis < index.size() ? index[axis] : 0;
      const std::int64_t in_box = common_.extents[axis].start - box.extents[axis].start + in_common;
      flat = flat * box.extents[axis].length + in_box;
    }
    return flat;
  }

  std::size_t rank_;
  const TensorSlice& common_;
  const TensorSlice& from_;
  const TensorSlice& to_;
};

std::uint64_t volume(const TensorSlice& resolved) {
  std::uint64_t product = 1;
  for (const SliceExtent& extent : resolved.extents) {
    product *= static_cast<std::uint64_t>(extent.length);
  }
  return product;
}

struct StoredSlice {
  TensorSlice stored;
  TensorSlice resolved;
  TensorSlice common;  // with what is wanted
};

[[noreturn]] void bad_cover(std::string_view rule, const TensorSlice& wanted) {
  throw invalid_argument(rule, " Details: the slice ", wanted, " is wanted.");
}

// Slices sorted by their start must not have a common element.
void check_disjoint(std::vector<StoredSlice>& slices, const TensorSlice& wanted) {
  if (wanted.extents.empty()) return;
  const auto first_start = [](const StoredSlice& slice) { return slice.resolved.extents[0].start; };
  std::ranges::sort(slices, {}, first_start);
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const SliceExtent& rows = slices[i].resolved.extents[0];
    for (std::size_t j = i + 1; j < slices.size(); ++j) {
      if (first_start(slices[j]) >= rows.start + rows.length) break;
      if (intersect(slices[i].resolved, slices[j].resolved)) {
        bad_cover("Stored slices must not overlap.", wanted);
      }
    }
  }
}

// Elements of a whole tensor, sharing its memory where the slice is a range of rows.
Tensor cut(const Tensor& whole, const TensorSlice& wanted) {
  const bool is_rows =
      whole.rank() > 0 &&
      std::equal(wanted.extents.begin() + 1, wanted.extents.end(), whole.shape().dims().begin() + 1,
                 [](const SliceExtent& extent, std::int64_t dim) { return extent.length == dim; });
  if (whole.rank() == 0) return whole;
  const SliceExtent& rows = wanted.extents[0];
  if (is_rows) return whole.rows(rows.start, rows.start + rows.length);
  Tensor part(whole.dtype(), slice_shape(wanted));
  if (part.num_elements() == 0) return part;
  TensorSlice all;
  for (const std::int64_t dim : whole.shape().dims()) all.extents.push_back({0, dim});
  BoxCopy(wanted, all, wanted).copy(whole, part);
  return part;
}

}  // namespace

Tensor BundleReader::read_slice(std::string_view key, const TensorSlice& slice) const {
  const BundleEntry& stored = entry(key);
  const TensorSlice wanted = with_context([&] { return resolve_slice(slice, stored.shape); },
                                          [&] { return cat("in key \"", printable(key), "\""); });
  if (stored.slices.empty()) return cut(read_stored(key), wanted);
  return read_from_slices(key, stored, wanted);
}

namespace {

// The stored slices that have a part of what is wanted; together they have all of it, once.
std::vector<StoredSlice> cover(const BundleEntry& entry, const TensorSlice& wanted) {
  std::vector<StoredSlice> slices;
  std::uint64_t covered = 0;
  for (const TensorSlice& stored : entry.slices) {
    const TensorSlice resolved = resolve_slice(stored, entry.shape);
    if (const auto common = intersect(resolved, wanted)) {
      covered += volume(*common);
      slices.push_back({stored, resolved, *common});
    }
    if (covered > volume(wanted)) bad_cover("Stored slices must not overlap.", wanted);
  }
  check_disjoint(slices, wanted);
  if (covered != volume(wanted)) bad_cover("Stored slices must cover what is wanted.", wanted);
  return slices;
}

void check_part(const Tensor& part, const StoredSlice& slice, const BundleEntry& entry) {
  if (part.dtype() == entry.dtype && part.shape() == slice_shape(slice.resolved)) return;
  throw data_loss(
      "A slice must have its variable's dtype and its own shape. Details: ", part.dtype(), " ",
      part.shape(), " for ", slice.stored, " of ", entry.dtype, " ", entry.shape, ".");
}

}  // namespace

Tensor BundleReader::read_from_slices(std::string_view full_key, const BundleEntry& entry,
                                      const TensorSlice& wanted) const {
  const auto read = [&] {
    const std::vector<StoredSlice> slices = cover(entry, wanted);
    std::vector<TensorSlice> stored;
    for (const StoredSlice& slice : slices) stored.push_back(slice.stored);
    check_stored_bytes(full_key, stored);
    // Every part is read before the whole is allocated: then the bytes justify it.
    std::vector<Tensor> parts;
    for (const StoredSlice& slice : slices) {
      parts.push_back(read_stored(slice_key(full_key, slice.stored)));
      check_part(parts.back(), slice, entry);
    }
    if (slices.size() == 1 && slices[0].resolved == wanted) return parts[0];
    Tensor result(entry.dtype, slice_shape(wanted));
    for (std::size_t i = 0; i < slices.size(); ++i) {
      BoxCopy(slices[i].common, slices[i].resolved, wanted).copy(parts[i], result);
    }
    return result;
  };
  return with_context(read,
                      [&] { return cat("in the partitioned key \"", printable(full_key), "\""); });
}

}  // namespace hub
