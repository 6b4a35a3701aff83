#pragma once

// The arrays of v1 loops (tensorflow/core/kernels/tensor_array.{h,cc}).

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/stacking.h"
#include "tensor/dispatch.h"

namespace hub {

inline constexpr std::int64_t kMaxTensorArrayElements = 1 << 28;

class TensorArray final : public Resource {
 public:
  struct Options {
    DType dtype = DType::kInvalid;
    PartialShape element_shape;
    bool dynamic_size = false;
    bool clear_after_read = true;
    bool identical_element_shapes = false;
    bool is_gradient = false;  // writes to one place add up, what was not written is zero
  };

  TensorArray(std::string array_name, Options options, std::int64_t size)
      : name(std::move(array_name)),
        options_(std::move(options)),
        elements_(static_cast<std::size_t>(size)) {}

  const std::string name;
  DType dtype() const { return options_.dtype; }
  std::mutex& mutex() { return mutex_; }

  // What follows is called with `mutex()` held.
  std::int64_t size() const {
    check_open();
    return static_cast<std::int64_t>(elements_.size());
  }

  const PartialShape& element_shape() const { return options_.element_shape; }

  void merge_element_shape(const PartialShape& shape) {
    if (!options_.element_shape.is_compatible_with(shape)) {
      throw invalid_argument("A TensorArray's elements have one shape. Details: ", name, " has ",
                             options_.element_shape, ", the node says ", shape, ".");
    }
  }

  // Makes room for index `last` where the size is dynamic. Errors: INVALID_ARGUMENT.
  void reserve(std::int64_t last, std::string_view doing) {
    check_open();
    if (last < 0 || (last >= size() && !options_.dynamic_size)) {
      throw invalid_argument(
          "TensorArray ", name, ": the index is out of range. Details: tried to ", doing, " index ",
          last, ", the size is ", size(), options_.dynamic_size ? "." : " and not dynamic.");
    }
    if (last >= kMaxTensorArrayElements) {
      throw resource_exhausted("TensorArray ", name, ": too many elements. Details: index ", last,
                               ".");
    }
    if (last >= size()) elements_.resize(static_cast<std::size_t>(last) + 1);
  }

  void write(KernelContext& context, std::int64_t index, Tensor value) {
    reserve(index, "write");
    Element& element = elements_[static_cast<std::size_t>(index)];
    products.clear();
    if (value.dtype() != options_.dtype) {
      throw invalid_argument("TensorArray ", name,
                             ": the value has the wrong dtype. Details: index ", index, " got ",
                             value.dtype(), ", expected ", options_.dtype, ".");
    }
    if (!options_.element_shape.is_compatible_with(value.shape())) {
      throw invalid_argument("TensorArray ", name,
                             ": the value has the wrong shape. Details: index ", index, " got ",
                             value.shape(), ", expected ", options_.element_shape, ".");
    }
    if (options_.identical_element_shapes && !options_.element_shape.is_fully_defined()) {
      options_.element_shape = value.shape();
    }
    if (element.was_read) {
      throw invalid_argument("TensorArray ", name,
                             ": an index that was read cannot be written. Details: index ", index,
                             ".");
    }
    if (element.value.is_valid() && element.written) {
      if (!options_.is_gradient) {
        throw invalid_argument("TensorArray ", name,
                               ": an index can be written once. Details: index ", index, ".");
      }
      value = sum(context, element.value, value);
    }
    element.value = std::move(value);
    element.written = true;
  }

  Tensor read(KernelContext& context, std::int64_t index) {
    check_open();
    if (index < 0 || index >= size()) {
      throw invalid_argument("TensorArray ", name,
                             ": the index is out of range. Details: tried to read index ", index,
                             ", the size is ", size(), ".");
    }
    Element& element = elements_[static_cast<std::size_t>(index)];
    if (element.cleared) {
      throw invalid_argument(
          "TensorArray ", name,
          ": an index can be read once, as clear_after_read is set. Details: index ", index, ".");
    }
    if (!element.value.is_valid())
      element.value = zeros(context, options_.dtype, default_shape(index));
    Tensor value = element.value;
    element.was_read = true;
    if (options_.clear_after_read) {
      element.value = Tensor();
      element.cleared = true;
    }
    return value;
  }

  // The value at an index that was written and can be read; nullptr where there is none.
  const Tensor* peek(std::int64_t index) const {
    if (closed_ || index < 0 || index >= static_cast<std::int64_t>(elements_.size()))
      return nullptr;
    const Element& element = elements_[static_cast<std::size_t>(index)];
    return element.written && element.value.is_valid() ? &element.value : nullptr;
  }

  // What loops multiplied some elements with before they came to them; gone with the next write.
  struct Products {
    const void* matrix;
    std::int64_t first;
    std::int64_t count;
    Tensor values;  // [count * rows, columns]
  };
  std::vector<Products> products;

  void close() {
    products.clear();
    elements_.clear();
    closed_ = true;
  }

  // An array for gradients, with the elements' shapes of this one. This one can no longer grow.
  std::shared_ptr<TensorArray> gradient(std::string gradient_name, const Shape& prepended) {
    check_open();
    options_.dynamic_size = false;
    Options options;
    options.dtype = options_.dtype;
    options.is_gradient = true;
    options.identical_element_shapes = options_.identical_element_shapes;
    options.element_shape = options_.element_shape.has_rank()
                                ? concatenate(prepended, options_.element_shape)
                                : PartialShape();
    auto array =
        std::make_shared<TensorArray>(std::move(gradient_name), std::move(options), size());
    for (std::size_t i = 0; i < elements_.size(); ++i) {
      const Element& element = elements_[i];
      if (element.written && element.value.is_valid()) {
        std::vector<std::int64_t> dims(prepended.dims().begin(), prepended.dims().end());
        dims.insert(dims.end(), element.value.shape().dims().begin(),
                    element.value.shape().dims().end());
        array->elements_[i].shape = Shape(dims);
      } else {
        array->elements_[i].shape = element.shape;
      }
    }
    return array;
  }

  // Keeps the shape of cleared elements, for gradients made after reading.
  void remember_shape(std::int64_t index, const Shape& shape) {
    elements_[static_cast<std::size_t>(index)].shape = shape;
  }

 private:
  struct Element {
    Tensor value;
    std::optional<Shape> shape;  // of a gradient's element
    bool written = false;
    bool was_read = false;
    bool cleared = false;
  };

  void check_open() const {
    if (closed_) throw invalid_argument("TensorArray ", name, " has already been closed.");
  }

  Shape default_shape(std::int64_t index) const {
    const Element& element = elements_[static_cast<std::size_t>(index)];
    if (element.shape) return *element.shape;
    if (const auto shape = options_.element_shape.as_shape()) return *shape;
    throw invalid_argument(
        "TensorArray ", name,
        ": an index that was never written cannot be read, as the element shape is not known. ",
        "Details: index ", index, ", shape ", options_.element_shape, ".");
  }

  Tensor sum(KernelContext& context, const Tensor& a, const Tensor& b) const {
    if (!(a.shape() == b.shape())) {
      throw invalid_argument("TensorArray ", name,
                             ": values that add up must have one shape. Details: ", a.shape(),
                             " and ", b.shape(), ".");
    }
    Tensor result = context.temporary(a.dtype(), a.shape());
    dispatch(Numbers{}, a.dtype(), [&]<class T>() {
      for (std::int64_t i = 0; i < a.num_elements(); ++i) {
        if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
          result.mutable_data<T>()[i] =
              T(static_cast<float>(a.data<T>()[i]) + static_cast<float>(b.data<T>()[i]));
        } else {
          result.mutable_data<T>()[i] = static_cast<T>(a.data<T>()[i] + b.data<T>()[i]);
        }
      }
    });
    return result;
  }

  Options options_;
  std::mutex mutex_;
  std::vector<Element> elements_;
  bool closed_ = false;
};

// As read, with the shape kept.
inline Tensor read_element(KernelContext& context, TensorArray& array, std::int64_t index) {
  Tensor value = array.read(context, index);
  array.remember_shape(index, value.shape());
  return value;
}

}  // namespace hub
