// TensorProto and TensorShapeProto. A tensor's values are either raw bytes
// (tensor_content) or a typed list, which may be shorter than the tensor (the last value
// is repeated; none: zeros) or longer (the surplus is ignored).

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <complex>
#include <cstring>
#include <memory>

#include "base/checked.h"
#include "base/errors.h"
#include "format/coding.h"
#include "format/proto_convert.h"
#include "format/tensor_content.h"
#include "tensor/buffers.h"
#include "tensor/dispatch.h"

namespace hub {

static_assert(std::endian::native == std::endian::little, "files hold little-endian values");

void SplatBudget::check(std::uint64_t bytes) const {
  if (bytes <= left_) return;
  throw resource_exhausted(
      "A constant that repeats one value may not be so large. Details: it needs ", bytes,
      " bytes, ", left_, " are allowed.");
}

void SplatBudget::take(std::uint64_t bytes) {
  check(bytes);
  left_ -= bytes;
}

DType read_dtype(int number, DTypeRule rule) {
  const bool known = number == 0 || dtype_is_known(number) || dtype_is_known(number - 100);
  if (!known && (rule == DTypeRule::kKnown || number < 0 || number > 255)) {
    throw invalid_argument("A dtype must be known. Details: got the number ", number, ".");
  }
  return static_cast<DType>(number);
}

PartialShape read_partial_shape(const pb::TensorShapeProto& message) {
  if (message.unknown_rank()) return PartialShape::unknown_rank();
  std::vector<std::int64_t> dims;
  dims.reserve(static_cast<std::size_t>(message.dim_size()));
  for (const auto& dim : message.dim()) dims.push_back(dim.size());
  return PartialShape(std::move(dims));
}

Shape read_full_shape(const pb::TensorShapeProto& message) {
  if (message.unknown_rank()) {
    throw invalid_argument("A tensor's shape must be known. Details: its rank is unknown.");
  }
  std::vector<std::int64_t> dims;
  dims.reserve(static_cast<std::size_t>(message.dim_size()));
  for (const auto& dim : message.dim()) dims.push_back(dim.size());
  return Shape(dims);
}

void write_shape(const PartialShape& shape, pb::TensorShapeProto& message) {
  if (!shape.has_rank()) message.set_unknown_rank(true);
  for (const std::int64_t dim : shape.dims()) message.add_dim()->set_size(dim);
}

void write_shape(const Shape& shape, pb::TensorShapeProto& message) {
  for (const std::int64_t dim : shape.dims()) message.add_dim()->set_size(dim);
}

namespace {

// Zeros which take no memory until they are read: for large constants without values.
BufferRef lazy_zeros(std::size_t size_bytes) {
  void* data =
      ::mmap(nullptr, size_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    throw resource_exhausted("Out of memory. Details: ", size_bytes, " bytes were asked for.");
  }
  const std::shared_ptr<const void> owner(
      data, [size_bytes](const void* mapped) { ::munmap(const_cast<void*>(mapped), size_bytes); });
  return borrow_buffer(data, size_bytes, owner);
}

// Where a tensor's values come from: the message's typed lists by dtype.
class TypedValues {
 public:
  TypedValues(pb::TensorProto& message, DType dtype, Shape shape, SplatBudget& budget)
      : message_(message), dtype_(dtype), shape_(std::move(shape)), budget_(budget) {}

  Tensor read() {
    switch (storage_dtype(dtype_)) {
      case DType::kFloat32: return plain<float>(message_.float_val());
      case DType::kFloat64: return plain<double>(message_.double_val());
      case DType::kInt32: return plain<std::int32_t>(message_.int_val());
      case DType::kInt16: return plain<std::int16_t>(message_.int_val());
      case DType::kInt8: return plain<std::int8_t>(message_.int_val());
      case DType::kUint16: return plain<std::uint16_t>(message_.int_val());
      case DType::kUint8: return plain<std::uint8_t>(message_.int_val());
      case DType::kInt64: return plain<std::int64_t>(message_.int64_val());
      case DType::kUint32: return plain<std::uint32_t>(message_.uint32_val());
      case DType::kUint64: return plain<std::uint64_t>(message_.uint64_val());
      case DType::kBool: return plain<bool>(message_.bool_val());
      case DType::kFloat16:
      case DType::kBfloat16: return plain<std::uint16_t>(message_.half_val());
      case DType::kComplex64: return pairs<float>(message_.scomplex_val());
      case DType::kComplex128: return pairs<double>(message_.dcomplex_val());
      case DType::kString: return strings();
      case DType::kResource: return resources();
      default: return variants();
    }
  }

 private:
  // Memory for the tensor, of which the first `given` elements are in the message.
  Tensor allocate(std::int64_t given, std::size_t element_bytes) {
    const std::int64_t repeated = std::max<std::int64_t>(shape_.num_elements() - given, 0);
    budget_.take(mul_or_throw(static_cast<std::uint64_t>(repeated),
                              static_cast<std::uint64_t>(element_bytes), "A tensor"));
    return Tensor(dtype_, shape_);
  }

  // `value(i)` gives the i-th of `given` values.
  template <class T, class Value>
  Tensor fill(std::int64_t given, Value value) {
    constexpr std::size_t kLazyBytes = std::size_t{64} << 10;
    const std::int64_t count = shape_.num_elements();
    const auto bytes = mul_or_throw(static_cast<std::uint64_t>(count),
                                    static_cast<std::uint64_t>(sizeof(T)), "A tensor");
    if (given == 0 && bytes >= kLazyBytes) {
      budget_.check(bytes);
      return Tensor(dtype_, shape_, lazy_zeros(bytes));
    }
    Tensor tensor = allocate(given, sizeof(T));
    T* out = static_cast<T*>(tensor.mutable_raw_data());
    const std::int64_t copied = std::min(given, count);
    for (std::int64_t i = 0; i < copied; ++i) out[i] = value(static_cast<int>(i));
    const T last = given > 0 ? value(static_cast<int>(given - 1)) : T();
    std::fill(out + copied, out + count, last);
    return tensor;
  }

  template <class T, class List>
  Tensor plain(const List& list) {
    return fill<T>(list.size(), [&](int i) { return static_cast<T>(list.Get(i)); });
  }

  template <class T, class List>
  Tensor pairs(const List& list) {
    return fill<std::complex<T>>(list.size() / 2, [&](int i) {
      return std::complex<T>(list.Get(2 * i), list.Get(2 * i + 1));
    });
  }

  // Elements with constructors: a new tensor has them empty.
  template <class T, class List, class Convert>
  Tensor objects(List& list, Convert convert) {
    const std::int64_t given = list.size();
    Tensor tensor = allocate(given, sizeof(T));
    const auto out = tensor.template mutable_values<T>();
    const std::int64_t copied = std::min(given, shape_.num_elements());
    for (std::int64_t i = 0; i < copied; ++i) {
      out[static_cast<std::size_t>(i)] = convert(*list.Mutable(static_cast<int>(i)));
    }
    if (copied == 0) return tensor;
    const T last = out[static_cast<std::size_t>(copied - 1)];
    if constexpr (std::is_same_v<T, std::string>) {
      budget_.take(mul_or_throw(static_cast<std::uint64_t>(shape_.num_elements() - copied),
                                static_cast<std::uint64_t>(last.size()), "A tensor"));
    }
    std::fill(out.begin() + copied, out.end(), last);
    return tensor;
  }

  Tensor strings() {
    return objects<std::string>(*message_.mutable_string_val(),
                                [](std::string& value) { return std::move(value); });
  }

  Tensor resources() {
    return objects<ResourceHandle>(
        *message_.mutable_resource_handle_val(), [](pb::ResourceHandleProto& value) {
          return ResourceHandle{std::move(*value.mutable_container()),
                                std::move(*value.mutable_name()), nullptr};
        });
  }

  Tensor variants() {
    return objects<Variant>(*message_.mutable_variant_val(), [](pb::VariantTensorDataProto& value) {
      return Variant{std::make_shared<OpaqueVariant>(value.type_name(), serialize_binary(value))};
    });
  }

  pb::TensorProto& message_;
  DType dtype_;
  Shape shape_;
  SplatBudget& budget_;
};

// tensor_content of objects: the length of each as a varint, then all their bytes.
std::vector<std::string> split_content(std::string_view content, std::int64_t count) {
  if (static_cast<std::uint64_t>(count) > content.size()) {
    throw invalid_argument("A tensor's bytes must hold its elements. Details: ", count,
                           " elements, ", content.size(), " bytes.");
  }
  Cursor cursor(content);
  std::vector<std::uint64_t> sizes(static_cast<std::size_t>(count));
  for (std::uint64_t& size : sizes) size = cursor.varint64();
  std::vector<std::string> pieces;
  pieces.reserve(sizes.size());
  for (const std::uint64_t size : sizes) pieces.emplace_back(cursor.bytes(size));
  if (!cursor.ok() || !cursor.at_end()) {
    throw invalid_argument("A tensor's bytes must be its elements. Details: the lengths of ", count,
                           " elements do not add up to ", content.size(), " bytes.");
  }
  return pieces;
}

Tensor read_object_content(pb::TensorProto& message, DType dtype, const Shape& shape) {
  const auto pieces = split_content(message.tensor_content(), shape.num_elements());
  Tensor tensor(dtype, shape);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (dtype == DType::kString) {
      tensor.mutable_values<std::string>()[i] = pieces[i];
    } else if (dtype == DType::kResource) {
      pb::ResourceHandleProto handle;
      parse_binary(handle, pieces[i], "ResourceHandleProto", "a tensor");
      tensor.mutable_values<ResourceHandle>()[i] = {handle.container(), handle.name(), nullptr};
    } else {
      pb::VariantTensorDataProto data;
      parse_binary(data, pieces[i], "VariantTensorDataProto", "a tensor");
      tensor.mutable_values<Variant>()[i].value =
          std::make_shared<OpaqueVariant>(data.type_name(), pieces[i]);
    }
  }
  return tensor;
}

Tensor read_content(pb::TensorProto& message, DType dtype, const Shape& shape) {
  const std::size_t element_bytes = dtype_size(dtype);
  if (element_bytes == 0) return read_object_content(message, dtype, shape);
  const auto wanted = checked_mul(static_cast<std::size_t>(shape.num_elements()), element_bytes);
  const std::size_t size = message.tensor_content().size();
  if (!wanted || *wanted != size) {
    throw invalid_argument("A tensor's bytes must fill its shape. Details: ", dtype, " ", shape,
                           " has ", shape.num_elements(), " elements, got ", size, " bytes.");
  }
  return Tensor(dtype, shape, adopt_bytes(std::move(*message.mutable_tensor_content())));
}

}  // namespace

Tensor read_tensor(pb::TensorProto& message, SplatBudget& budget) {
  if (message.dtype() == pb::DT_INVALID) return {};
  const DType dtype = read_dtype(message.dtype());
  if (is_reference(dtype)) {
    throw invalid_argument("A tensor's dtype must not be a reference. Details: got the number ",
                           static_cast<int>(message.dtype()), ".");
  }
  Shape shape = read_full_shape(message.tensor_shape());
  if (!message.tensor_content().empty()) return read_content(message, dtype, shape);
  return TypedValues(message, dtype, std::move(shape), budget).read();
}

namespace {

template <class T>
void write_value(const T& value, DType dtype, pb::TensorProto& message) {
  if constexpr (std::is_same_v<T, float>) {
    message.add_float_val(value);
  } else if constexpr (std::is_same_v<T, double>) {
    message.add_double_val(value);
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    message.add_int64_val(value);
  } else if constexpr (std::is_same_v<T, std::uint32_t>) {
    message.add_uint32_val(value);
  } else if constexpr (std::is_same_v<T, std::uint64_t>) {
    message.add_uint64_val(value);
  } else if constexpr (std::is_same_v<T, bool>) {
    message.add_bool_val(value);
  } else if constexpr (std::is_same_v<T, std::complex<float>>) {
    message.add_scomplex_val(value.real());
    message.add_scomplex_val(value.imag());
  } else if constexpr (std::is_same_v<T, std::complex<double>>) {
    message.add_dcomplex_val(value.real());
    message.add_dcomplex_val(value.imag());
  } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    message.add_half_val(value.bits);
  } else if constexpr (std::is_same_v<T, std::string>) {
    message.add_string_val(value);
  } else if constexpr (std::is_same_v<T, ResourceHandle>) {
    auto& handle = *message.add_resource_handle_val();
    handle.set_container(value.container);
    handle.set_name(value.name);
  } else if constexpr (std::is_same_v<T, Variant>) {
    const auto* opaque = dynamic_cast<const OpaqueVariant*>(value.value.get());
    if (opaque == nullptr) {
      throw unimplemented("This variant value cannot be written. Details: a tensor of dtype ",
                          dtype, " holds a ", value.value ? value.value->type_name() : "null", ".");
    }
    merge_rest(*message.add_variant_val(), opaque->bytes());
  } else {
    message.add_int_val(value);
  }
}

bool all_equal(const Tensor& tensor) {
  if (tensor.dtype() == DType::kString) {
    const auto values = tensor.values<std::string>();
    return std::ranges::all_of(values, [&](const auto& value) { return value == values[0]; });
  }
  const std::size_t element_bytes = dtype_size(tensor.dtype());
  if (element_bytes == 0) return false;
  const auto* data = static_cast<const char*>(tensor.raw_data());
  return std::memcmp(data, data + element_bytes, tensor.size_bytes() - element_bytes) == 0;
}

}  // namespace

void write_typed_values(const Tensor& tensor, pb::TensorProto& message) {
  dispatch(AllTypes{}, tensor.dtype(), [&]<class T>() {
    for (const T& value : tensor.values<T>()) write_value(value, tensor.dtype(), message);
  });
}

void write_tensor(const Tensor& tensor, pb::TensorProto& message) {
  if (!tensor.is_valid()) return;
  message.set_dtype(static_cast<pb::DataType>(tensor.dtype()));
  write_shape(tensor.shape(), *message.mutable_tensor_shape());
  const std::int64_t count = tensor.num_elements();
  if (count == 0) return;
  const bool has_raw_bytes = dtype_size(tensor.dtype()) > 0;
  const bool one_value = count == 1 || all_equal(tensor);
  if (has_raw_bytes && !one_value) {
    message.set_tensor_content(tensor.raw_data(), tensor.size_bytes());
    return;
  }
  if (one_value && count > 1) {
    dispatch(AllTypes{}, tensor.dtype(),
             [&]<class T>() { write_value(tensor.values<T>()[0], tensor.dtype(), message); });
  } else {
    write_typed_values(tensor, message);
  }
}

Tensor parse_tensor_proto(std::string_view bytes, std::string_view place) {
  pb::TensorProto message;
  parse_binary(message, bytes, "TensorProto", place);
  SplatBudget budget({});
  return with_context([&] { return read_tensor(message, budget); },
                      [&] { return cat("in ", place); });
}

std::string serialize_tensor_proto(const Tensor& tensor) {
  pb::TensorProto message;
  write_tensor(tensor, message);
  return serialize_binary(message);
}

namespace {

// Dtype, shape and, where they have such, the elements' bytes.
pb::TensorProto with_raw_bytes(const Tensor& tensor) {
  pb::TensorProto message;
  message.set_dtype(static_cast<pb::DataType>(tensor.dtype()));
  write_shape(tensor.shape(), *message.mutable_tensor_shape());
  if (tensor.dtype() == DType::kString || tensor.num_elements() == 0) return message;
  if (dtype_size(tensor.dtype()) == 0) {
    throw unimplemented("Such tensors are not serialized. Details: the dtype is ", tensor.dtype(),
                        ".");
  }
  message.set_tensor_content(tensor.raw_data(), tensor.size_bytes());
  return message;
}

}  // namespace

std::string serialize_tensor_content(const Tensor& tensor) {
  pb::TensorProto message = with_raw_bytes(tensor);
  if (tensor.dtype() == DType::kString) {
    std::string& content = *message.mutable_tensor_content();
    for (const std::string& text : tensor.values<std::string>()) {
      append_varint(content, text.size());
    }
    for (const std::string& text : tensor.values<std::string>()) content += text;
    if (content.empty()) message.clear_tensor_content();
  }
  return serialize_binary(message);
}

std::string serialize_tensor_values(const Tensor& tensor) {
  pb::TensorProto message = with_raw_bytes(tensor);
  if (tensor.dtype() == DType::kString) write_typed_values(tensor, message);
  return serialize_binary(message);
}

}  // namespace hub
