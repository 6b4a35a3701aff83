// StringFormat: tensors as text in a template, as TensorFlow prints them.

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// The fewest of 6 or 9 (15 or 17) digits that give the number back.
template <class T>
std::string number_text(T value) {
  if (value != value) return std::signbit(value) ? "-nan" : "nan";
  constexpr bool kDouble = std::is_same_v<T, double>;
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, kDouble ? "%.15g" : "%.6g", static_cast<double>(value));
  const T read = kDouble ? static_cast<T>(std::strtod(buffer, nullptr))
                         : static_cast<T>(std::strtof(buffer, nullptr));
  if (read != value) {
    std::snprintf(buffer, sizeof buffer, kDouble ? "%.17g" : "%.9g", static_cast<double>(value));
  }
  return buffer;
}

// In quotes, with escapes of C; bytes above 0x7f stay.
std::string quoted(std::string_view bytes) {
  std::string text = "\"";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '\n': text += "\\n"; break;
      case '\r': text += "\\r"; break;
      case '\t': text += "\\t"; break;
      case '"':
      case '\'':
      case '\\': text += {'\\', c}; break;
      default:
        if (byte < 0x20 || byte == 0x7f) {
          text += {'\\', static_cast<char>('0' + byte / 64), static_cast<char>('0' + byte / 8 % 8),
                   static_cast<char>('0' + byte % 8)};
        } else {
          text += c;
        }
    }
  }
  return text + '"';
}

template <class T>
std::string element_text(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return quoted(value);
  } else if constexpr (std::is_same_v<T, bool>) {
    return value ? "1" : "0";
  } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return number_text(static_cast<float>(value));
  } else if constexpr (std::is_floating_point_v<T>) {
    return number_text(value);
  } else {
    return cat(value);
  }
}

// Nested brackets, with `ends` elements from both ends of each axis.
class Summary {
 public:
  Summary(const Shape& shape, std::int64_t ends) : shape_(shape), ends_(ends) {}

  template <class T>
  void write(std::string& to, const T* data, int axis, std::int64_t at) const {
    if (axis == shape_.rank()) {
      to += element_text(data[at]);
      return;
    }
    const std::int64_t count = shape_.dim(axis);
    const std::int64_t stride = shape_.slice(axis + 1, shape_.rank()).num_elements();
    to += '[';
    for (std::int64_t i = 0; i < std::min(ends_, count); ++i) {
      if (i > 0) write_space(to, axis);
      write(to, data, axis + 1, at + i * stride);
    }
    if (count > ends_ * 2) {
      write_space(to, axis);
      to += "...";
    }
    for (std::int64_t i = std::max(ends_, count - ends_); i < count; ++i) {
      write_space(to, axis);
      write(to, data, axis + 1, at + i * stride);
    }
    to += ']';
  }

 private:
  void write_space(std::string& to, int axis) const {
    if (axis == shape_.rank() - 1) {
      to += ' ';
      return;
    }
    to.append(static_cast<std::size_t>(shape_.rank() - axis - 1), '\n');
    to.append(static_cast<std::size_t>(axis + 1), ' ');
  }

  const Shape& shape_;
  std::int64_t ends_;
};

// Elements that TensorFlow does not print.
std::string unprinted(std::int64_t count, std::int64_t limit) {
  std::string text = "[";
  for (std::int64_t i = 0; i < limit; ++i) text += i > 0 ? " ?" : "?";
  if (limit < count) text += "...";
  return text + ']';
}

std::string summary_of(const Tensor& tensor, std::int64_t summarize) {
  const std::int64_t count = tensor.num_elements();
  const std::int64_t limit = summarize < 0 ? count : std::min(summarize, count);
  std::string text;
  switch (tensor.dtype()) {
    case DType::kComplex64:
    case DType::kComplex128:
    case DType::kResource:
    case DType::kVariant: return unprinted(count, limit);
    case DType::kBool:
      if (limit == 0) return text;
      break;
    default: break;
  }
  dispatch(Join<RealNumbers, TypeList<bool, std::string>>{}, tensor.dtype(), [&]<class T>() {
    if (tensor.rank() == 0) {
      text = limit > 0 ? element_text(tensor.data<T>()[0]) : "...";
    } else {
      Summary(tensor.shape(), limit).write(text, tensor.data<T>(), 0, 0);
    }
  });
  return text;
}

class FormatKernel final : public Kernel {
 public:
  explicit FormatKernel(const KernelInit& init) : summarize_(init.attr<std::int64_t>("summarize")) {
    std::string_view rest = init.attr<std::string>("template");
    const std::string_view placeholder = init.attr<std::string>("placeholder");
    // Without a placeholder the template falls apart into its bytes.
    while (placeholder.empty() ? rest.size() > 1 : rest.find(placeholder) != rest.npos) {
      const std::size_t end = placeholder.empty() ? 1 : rest.find(placeholder);
      pieces_.emplace_back(rest.substr(0, end));
      rest.remove_prefix(end + placeholder.size());
    }
    pieces_.emplace_back(rest);
    if (static_cast<int>(pieces_.size()) != init.num_inputs() + 1) {
      throw invalid_argument(
          "StringFormat: the template must have a placeholder for each input. Details: ",
          pieces_.size() - 1, " placeholders, ", init.num_inputs(), " inputs.");
    }
  }

  void compute(KernelContext& context) const override {
    std::string text = pieces_[0];
    for (int i = 0; i < context.num_inputs(); ++i) {
      text += summary_of(context.input(i), summarize_);
      text += pieces_[static_cast<std::size_t>(i) + 1];
    }
    *context.output(0, Shape{}).mutable_data<std::string>() = std::move(text);
  }

 private:
  std::int64_t summarize_;
  std::vector<std::string> pieces_;
};

constexpr OpDef kOps[] = {
    {.name = "StringFormat",
     .inputs = "inputs: T",
     .outputs = "output: string",
     .attrs = "T: list(type) >= 0; template: string = '%s'; placeholder: string = '%s'; "
              "summarize: int = 3",
     .shape = scalar_shape,
     .kernel = make_kernel<FormatKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily text_format_ops() { return kOps; }

}  // namespace hub
