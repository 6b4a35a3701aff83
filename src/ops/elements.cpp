#include "ops/elements.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "ops/kernel.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

constexpr double kBytesPerNs = 4;  // one thread's memory traffic, roughly

template <class T>
void fill(const void* value, void* to, std::int64_t count) {
  std::fill_n(static_cast<T*>(to), count, *static_cast<const T*>(value));
}

double cost_ns(DType dtype) {
  return dtype_size(dtype) == 0 ? 20 : static_cast<double>(dtype_size(dtype)) / kBytesPerNs;
}

}  // namespace

std::size_t element_size(DType dtype) {
  switch (dtype) {
    case DType::kString: return sizeof(std::string);
    case DType::kResource: return sizeof(ResourceHandle);
    case DType::kVariant: return sizeof(Variant);
    default: return dtype_size(dtype);
  }
}

void copy_elements(DType dtype, const void* from, void* to, std::int64_t count) {
  const auto copy_objects = [&]<class T>(const T* source) {
    std::copy_n(source, count, static_cast<T*>(to));
  };
  switch (dtype) {
    case DType::kString: return copy_objects(static_cast<const std::string*>(from));
    case DType::kResource: return copy_objects(static_cast<const ResourceHandle*>(from));
    case DType::kVariant: return copy_objects(static_cast<const Variant*>(from));
    default: break;
  }
  if (count > 0) std::memcpy(to, from, static_cast<std::size_t>(count) * dtype_size(dtype));
}

void fill_elements(DType dtype, const void* value, void* to, std::int64_t count) {
  dispatch_by_size(dtype, [&]<class T>() { fill<T>(value, to, count); });
}

void zero_elements(DType dtype, void* to, std::int64_t count) {
  if (dtype_size(dtype) == 0) {
    dispatch_by_size(dtype, [&]<class T>() { std::fill_n(static_cast<T*>(to), count, T{}); });
  } else if (count > 0) {
    std::memset(to, 0, static_cast<std::size_t>(count) * dtype_size(dtype));
  }
}

void copy_tensor(KernelContext& context, const Tensor& from, Tensor& to) {
  const DType dtype = to.dtype();
  context.parallel_for(
      to.num_elements(), cost_ns(dtype), [&](std::int64_t begin, std::int64_t end) {
        copy_elements(dtype, element_at(from, begin), element_at(to, begin), end - begin);
      });
}

void fill_tensor(KernelContext& context, const void* value, Tensor& to) {
  const DType dtype = to.dtype();
  context.parallel_for(to.num_elements(), cost_ns(dtype),
                       [&](std::int64_t begin, std::int64_t end) {
                         fill_elements(dtype, value, element_at(to, begin), end - begin);
                       });
}

void zero_tensor(KernelContext& context, Tensor& to) {
  const DType dtype = to.dtype();
  context.parallel_for(to.num_elements(), cost_ns(dtype),
                       [&](std::int64_t begin, std::int64_t end) {
                         zero_elements(dtype, element_at(to, begin), end - begin);
                       });
}

Tensor view_of(const Tensor& tensor, std::int64_t first, Shape shape) {
  const auto* data = static_cast<const std::byte*>(element_at(tensor, first));
  const auto* start = static_cast<const std::byte*>(tensor.buffer()->data());
  return Tensor(tensor.dtype(), std::move(shape), tensor.buffer(),
                static_cast<std::size_t>(data - start));
}

std::int64_t integer_at(const Tensor& tensor, std::int64_t index) {
  std::int64_t value = 0;
  dispatch(Integers{}, tensor.dtype(),
           [&]<class T>() { value = static_cast<std::int64_t>(tensor.data<T>()[index]); });
  return value;
}

void set_integer(Tensor& tensor, std::int64_t index, std::int64_t value) {
  if (tensor.dtype() == DType::kInt64) {
    tensor.mutable_data<std::int64_t>()[index] = value;
    return;
  }
  if (value < std::numeric_limits<std::int32_t>::min() ||
      value > std::numeric_limits<std::int32_t>::max()) {
    throw invalid_argument("A value must fit into int32. Details: got ", value, ".");
  }
  tensor.mutable_data<std::int32_t>()[index] = static_cast<std::int32_t>(value);
}

void row_major_strides(std::span<const std::int64_t> dims, std::span<std::int64_t> strides) {
  std::int64_t stride = 1;
  for (std::size_t i = dims.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= dims[i];
  }
}

}  // namespace hub
