// Numbers to text (AsString), bytes to numbers (DecodeRaw, DecodePaddedRaw), JSON to records.

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "base/checked.h"
#include "format/example.h"
#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// printf's conversion of one element, as the attributes say.
class AsStringKernel final : public Kernel {
 public:
  explicit AsStringKernel(const KernelInit& init) : dtype_(init.attr<DType>("T")) {
    check(init);
    format_ = "%";
    const auto& fill = init.attr<std::string>("fill");
    format_ += fill;
    const auto width = init.attr<std::int64_t>("width");
    padded_ = width > 0;
    if (width > -1) format_ += cat(width);
    if (const auto precision = init.attr<std::int64_t>("precision"); precision > -1)
      format_ += cat(".", precision);
    format_ += conversion(init);
    if (is_complex()) format_ = cat("(", format_, ",", format_, ")");
  }

  void compute(KernelContext& context) const override {
    const Tensor& input = context.input(0);
    std::string* result = context.output(0, input.shape()).mutable_data<std::string>();
    dispatch(Join<Numbers, TypeList<bool, std::string>>{}, dtype_, [&]<class T>() {
      for (const T& value : input.values<T>()) *result++ = text(value);
    });
  }

 private:
  bool is_complex() const { return dtype_ == DType::kComplex64 || dtype_ == DType::kComplex128; }
  bool is_float() const {
    return dtype_ == DType::kFloat32 || dtype_ == DType::kFloat64 || dtype_ == DType::kFloat16 ||
           dtype_ == DType::kBfloat16 || is_complex();
  }

  void check(const KernelInit& init) const {
    const bool scientific = init.attr<bool>("scientific");
    const bool shortest = init.attr<bool>("shortest");
    if (scientific && shortest) {
      throw invalid_argument("AsString: scientific and shortest notation exclude each other.");
    }
    const bool takes_all = is_float() || dtype_ == DType::kString;  // text ignores them
    if (!takes_all && (scientific || shortest)) {
      throw invalid_argument(
          "AsString: scientific and shortest notation are for floating numbers. Details: the dtype "
          "is ",
          dtype_, ".");
    }
    if (!takes_all && init.attr<std::int64_t>("precision") >= 0) {
      throw invalid_argument(
          "AsString: a precision is for floating numbers. Details: the dtype is ", dtype_, ".");
    }
    const auto& fill = init.attr<std::string>("fill");
    constexpr std::string_view kFlags = " +-0#";
    if (fill.size() > 1)
      throw invalid_argument("AsString: the fill must be at most one character. Details: \"",
                             printable(fill), "\".");
    if (!fill.empty() && kFlags.find(fill[0]) == std::string_view::npos) {
      throw invalid_argument(
          "AsString: the fill must be one of ' ', '+', '-', '0', '#'. Details: \"", printable(fill),
          "\".");
    }
  }

  std::string_view conversion(const KernelInit& init) const {
    if (is_float())
      return init.attr<bool>("shortest") ? "g" : init.attr<bool>("scientific") ? "e" : "f";
    switch (dtype_) {
      case DType::kUint8:
      case DType::kUint16:
      case DType::kUint32: return "u";
      case DType::kUint64: return PRIu64;
      case DType::kInt64: return PRId64;
      case DType::kString: return "s";
      default: return "d";
    }
  }

  template <class... Args>
  std::string print(Args... args) const {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
    // The format is made of checked attributes, above.
    const int size = std::snprintf(nullptr, 0, format_.c_str(), args...);
    if (size < 0)
      throw invalid_argument("AsString: the value cannot be formatted. Details: the format is ",
                             format_, ".");
    std::string result(static_cast<std::size_t>(size) + 1, '\0');
    std::snprintf(result.data(), result.size(), format_.c_str(), args...);
#pragma GCC diagnostic pop
    result.pop_back();
    return result;
  }

  template <class T>
  std::string text(const T& value) const {
    if constexpr (std::is_same_v<T, bool>) {
      return value ? "true" : "false";
    } else if constexpr (std::is_same_v<T, std::string>) {
      return padded_ ? print(value.c_str()) : value;
    } else if constexpr (std::is_same_v<T, std::complex<float>> ||
                         std::is_same_v<T, std::complex<double>>) {
      return print(static_cast<double>(value.real()), static_cast<double>(value.imag()));
    } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
      return print(static_cast<double>(static_cast<float>(value)));
    } else if constexpr (std::is_floating_point_v<T>) {
      return print(static_cast<double>(value));
    } else if constexpr (sizeof(T) < 4) {
      return print(static_cast<int>(value));
    } else {
      return print(value);
    }
  }

  DType dtype_;
  std::string format_;
  bool padded_ = false;  // text is formatted only then
};

// Reverses the bytes of each number, or of each part of a complex one.
void swap_bytes(Tensor& tensor) {
  std::size_t size = dtype_size(tensor.dtype());
  if (tensor.dtype() == DType::kComplex64 || tensor.dtype() == DType::kComplex128) size /= 2;
  if (size <= 1) return;
  auto* bytes = static_cast<std::byte*>(tensor.mutable_raw_data());
  for (std::size_t i = 0; i + size <= tensor.size_bytes(); i += size)
    std::reverse(bytes + i, bytes + i + size);
}

class DecodeRawKernel final : public Kernel {
 public:
  explicit DecodeRawKernel(const KernelInit& init)
      : dtype_(init.attr<DType>("out_type")), little_endian_(init.attr<bool>("little_endian")) {}

  void compute(KernelContext& context) const override {
    const Tensor& input = context.input(0);
    const auto texts = input.values<std::string>();
    const std::size_t length = texts.empty() ? 0 : texts[0].size();
    const std::size_t size = dtype_size(dtype_);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (texts[i].size() != length) {
        throw invalid_argument("DecodeRaw: all strings must have one length. Details: element ", i,
                               " has ", texts[i].size(), " bytes, the first ", length, ".");
      }
    }
    if (length % size != 0) {
      throw invalid_argument(
          "DecodeRaw: the length must be a multiple of the dtype's size. Details: ", length,
          " bytes for ", dtype_, ".");
    }
    Tensor& result = context.output(
        0, input.shape().with_inserted(input.rank(), static_cast<std::int64_t>(length / size)));
    auto* to = static_cast<std::byte*>(result.mutable_raw_data());
    for (const std::string& text : texts) {
      if (length > 0) std::memcpy(to, text.data(), length);
      to += length;
    }
    if (dtype_ == DType::kBool) {  // a bool is one whose byte is not zero
      auto* bytes = static_cast<unsigned char*>(result.mutable_raw_data());
      for (std::int64_t i = 0; i < result.num_elements(); ++i) bytes[i] = bytes[i] != 0;
    }
    if (!little_endian_) swap_bytes(result);
  }

 private:
  DType dtype_;
  bool little_endian_;
};

// Bytes past the fixed length are dropped, missing ones are zero.
class DecodePaddedRawKernel final : public Kernel {
 public:
  explicit DecodePaddedRawKernel(const KernelInit& init)
      : dtype_(init.attr<DType>("out_type")), little_endian_(init.attr<bool>("little_endian")) {}

  void compute(KernelContext& context) const override {
    const Tensor& input = context.input(0);
    if (context.input(1).rank() != 0) {
      throw invalid_argument("DecodePaddedRaw: the fixed length must be a scalar. Details: ",
                             context.input(1).shape(), ".");
    }
    const std::int64_t length = integer_scalar(context, 1, "fixed_length");
    const auto size = static_cast<std::int64_t>(dtype_size(dtype_));
    if (length <= 0 || length % size != 0) {
      throw invalid_argument(
          "DecodePaddedRaw: the fixed length must be positive, and a multiple of the dtype's size. "
          "Details: ",
          length, " bytes for ", dtype_, ".");
    }
    Tensor& result = context.output(0, input.shape().with_inserted(input.rank(), length / size));
    auto* to = static_cast<std::byte*>(result.mutable_raw_data());
    for (const std::string& text : input.values<std::string>()) {
      const std::size_t count = std::min(text.size(), static_cast<std::size_t>(length));
      if (count > 0) std::memcpy(to, text.data(), count);
      std::fill(to + count, to + length, std::byte{0});
      to += length;
    }
    if (!little_endian_) swap_bytes(result);
  }

 private:
  DType dtype_;
  bool little_endian_;
};

Shapes decode_padded_raw_shape(ShapeContext& c) {
  const auto length = c.input_as_int(1);
  const auto size = static_cast<std::int64_t>(dtype_size(c.attr<DType>("out_type")));
  const std::int64_t width = length && *length > 0 ? *length / size : -1;
  c.with_rank(1, 0);
  return {concatenate(c.input(0), PartialShape{width})};
}

void decode_json_example(KernelContext& context) {
  const Tensor& input = context.input(0);
  std::string* result = context.output(0, input.shape()).mutable_data<std::string>();
  for (const std::string& text : input.values<std::string>()) {
    std::optional<std::string> bytes = example_from_json(text);
    if (!bytes) {
      throw invalid_argument(
          "DecodeJSONExample: the text must be an Example record as JSON. Details: \"",
          printable(text), "\".");
    }
    *result++ = std::move(*bytes);
  }
}

Shapes decode_raw_shape(ShapeContext& c) { return {concatenate(c.input(0), PartialShape{-1})}; }

constexpr OpDef kOps[] = {
    {.name = "AsString",
     .inputs = "input: T",
     .outputs = "output: string",
     .attrs = "T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, "
              "uint32, uint64, "
              "complex64, complex128, bool, variant, string}; precision: int = -1; scientific: "
              "bool = false; "
              "shortest: bool = false; width: int = -1; fill: string = ''",
     .shape = unchanged_shape,
     .kernel = make_kernel<AsStringKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "DecodeRaw",
     .inputs = "bytes: string",
     .outputs = "output: out_type",
     .attrs = "out_type: {half, float, double, int32, uint16, uint8, int16, int8, int64, "
              "complex64, complex128, "
              "bool, bfloat16}; little_endian: bool = true",
     .shape = decode_raw_shape,
     .kernel = make_kernel<DecodeRawKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "DecodePaddedRaw",
     .inputs = "input_bytes: string, fixed_length: int32",
     .outputs = "output: out_type",
     .attrs = "out_type: {half, float, double, int32, uint16, uint8, int16, int8, int64, "
              "bfloat16}; little_endian: bool = true",
     .shape = decode_padded_raw_shape,
     .kernel = make_kernel<DecodePaddedRawKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "DecodeJSONExample",
     .inputs = "json_examples: string",
     .outputs = "binary_examples: string",
     .shape = unchanged_shape,
     .kernel = kernel_function<decode_json_example>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily text_convert_ops() { return kOps; }

}  // namespace hub
