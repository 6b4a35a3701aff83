#include <algorithm>
#include <array>

#include "base/checked.h"
#include "base/errors.h"
#include "hub/tensor.h"

namespace hub {

Shape::Shape(std::span<const std::int64_t> dims) {
  if (dims.size() > static_cast<std::size_t>(kMaxRank)) {
    throw invalid_argument("A shape has at most ", kMaxRank, " dimensions. Details: got ",
                           dims.size(), ".");
  }
  rank_ = static_cast<std::uint8_t>(dims.size());
  std::int64_t* out = inline_.data();
  if (rank_ > kInline) {
    heap_ = std::make_unique<std::int64_t[]>(rank_);
    out = heap_.get();
  }
  std::int64_t nonzero_product = 1;  // a zero must not hide an overflow of the others
  for (const std::int64_t dim : dims) {
    if (dim < 0) {
      throw invalid_argument("A dimension must be >= 0. Details: got shape [", join(dims, ","),
                             "].");
    }
    *out++ = dim;
    if (dim > 0) {
      const auto product = checked_mul(nonzero_product, dim);
      if (!product) {
        throw invalid_argument("A shape has too many elements. Details: [", join(dims, ","),
                               "] needs more than 2^63 - 1.");
      }
      nonzero_product = *product;
    }
    if (dim == 0) num_elements_ = 0;
  }
  if (num_elements_ != 0) num_elements_ = nonzero_product;
}

Shape::Shape(Shape&& other) noexcept
    : num_elements_(other.num_elements_), rank_(other.rank_), heap_(std::move(other.heap_)) {
  std::copy_n(other.inline_.begin(), heap_ ? 0 : rank_, inline_.begin());
  other.rank_ = 0;
  other.num_elements_ = 1;
}

Shape& Shape::operator=(Shape&& other) noexcept {
  if (this == &other) return *this;
  num_elements_ = other.num_elements_;
  rank_ = other.rank_;
  heap_ = std::move(other.heap_);
  std::copy_n(other.inline_.begin(), heap_ ? 0 : rank_, inline_.begin());
  other.rank_ = 0;
  other.num_elements_ = 1;
  return *this;
}

void Shape::assign(const Shape& other) {
  num_elements_ = other.num_elements_;
  rank_ = other.rank_;
  if (other.heap_) {
    heap_ = std::make_unique<std::int64_t[]>(rank_);
    std::copy_n(other.heap_.get(), rank_, heap_.get());
  } else {
    heap_.reset();
    std::copy_n(other.inline_.begin(), rank_, inline_.begin());
  }
}

// On the stack: shapes are changed in kernels, which must not allocate.
using DimsOnStack = std::array<std::int64_t, Shape::kMaxRank + 1>;

Shape Shape::with_dim(int axis, std::int64_t size) const {
  DimsOnStack changed;
  std::ranges::copy(dims(), changed.begin());
  changed[static_cast<std::size_t>(axis)] = size;
  return Shape(std::span(changed.data(), rank_));
}

Shape Shape::without_dim(int axis) const {
  DimsOnStack changed;
  const auto rest = std::copy_n(data(), axis, changed.begin());
  std::copy(data() + axis + 1, data() + rank_, rest);
  return Shape(std::span(changed.data(), rank_ - std::size_t{1}));
}

Shape Shape::with_inserted(int axis, std::int64_t size) const {
  DimsOnStack changed;
  auto next = std::copy_n(data(), axis, changed.begin());
  *next++ = size;
  std::copy(data() + axis, data() + rank_, next);
  return Shape(std::span(changed.data(), rank_ + std::size_t{1}));
}

bool Shape::operator==(const Shape& other) const {
  return rank_ == other.rank_ && std::equal(dims().begin(), dims().end(), other.dims().begin());
}

std::string to_string(const Shape& shape) { return cat("[", join(shape.dims(), ","), "]"); }

PartialShape::PartialShape(std::vector<std::int64_t> dims) : known_(true), dims_(std::move(dims)) {
  if (dims_.size() > static_cast<std::size_t>(Shape::kMaxRank)) {
    throw invalid_argument("A shape has at most ", Shape::kMaxRank, " dimensions. Details: got ",
                           dims_.size(), ".");
  }
  for (const std::int64_t dim : dims_) {
    if (dim < -1) {
      throw invalid_argument("A dimension must be >= -1 (unknown). Details: got [",
                             join(dims_, ","), "].");
    }
  }
}

PartialShape::PartialShape(const Shape& shape)
    : known_(true), dims_(shape.dims().begin(), shape.dims().end()) {}

bool PartialShape::is_fully_defined() const {
  return known_ && std::ranges::none_of(dims_, [](std::int64_t dim) { return dim < 0; });
}

std::optional<Shape> PartialShape::as_shape() const {
  if (!is_fully_defined()) return std::nullopt;
  return Shape(dims_);
}

bool PartialShape::is_compatible_with(const PartialShape& other) const {
  if (!known_ || !other.known_) return true;
  if (dims_.size() != other.dims_.size()) return false;
  for (std::size_t i = 0; i < dims_.size(); ++i) {
    if (dims_[i] >= 0 && other.dims_[i] >= 0 && dims_[i] != other.dims_[i]) return false;
  }
  return true;
}

PartialShape PartialShape::merge_with(const PartialShape& other) const {
  if (!is_compatible_with(other)) {
    throw invalid_argument("Shapes must be compatible. Details: ", *this, " and ", other, ".");
  }
  if (!known_) return other;
  if (!other.known_) return *this;
  PartialShape merged = *this;
  for (std::size_t i = 0; i < dims_.size(); ++i) {
    if (merged.dims_[i] < 0) merged.dims_[i] = other.dims_[i];
  }
  return merged;
}

std::string to_string(const PartialShape& shape) {
  if (!shape.has_rank()) return "?";
  std::string out = "[";
  for (int i = 0; i < shape.rank(); ++i) {
    if (i > 0) out += ",";
    out += shape.dim(i) < 0 ? "?" : cat(shape.dim(i));
  }
  return out + "]";
}

}  // namespace hub
