// EncodeBase64 and DecodeBase64: the web-safe alphabet, with - and _.

#include <array>
#include <optional>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"

namespace hub {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string encode(std::string_view bytes, bool pad) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::string_view group = bytes.substr(i, 3);
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (k < group.size() ? static_cast<unsigned char>(group[k]) : 0u);
    }
    for (std::size_t k = 0; k <= group.size(); ++k) text += kAlphabet[bits >> (18 - 6 * k) & 63];
    if (pad) text.append(3 - group.size(), '=');
  }
  return text;
}

// The last group of four may be short, or end with one or two '='.
std::optional<std::string> decode(std::string_view text) {
  if (text.size() >= 4 && text.size() % 4 == 0 && text.back() == '=') {
    text.remove_suffix(text[text.size() - 2] == '=' ? 2 : 1);
  }
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t digit = kAlphabet.find(text[i]);
    if (digit == kAlphabet.npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    // After the second, third and fourth digit of a group a byte is whole.
    if (i % 4 != 0) bytes += static_cast<char>(bits >> (6 - 2 * (i % 4)) & 0xff);
  }
  return bytes;
}

class EncodeKernel final : public Kernel {
 public:
  explicit EncodeKernel(const KernelInit& init) : pad_(init.attr<bool>("pad")) {}
  void compute(KernelContext& context) const override {
    const Tensor& input = context.input(0);
    std::string* result = context.output(0, input.shape()).mutable_data<std::string>();
    for (const std::string& bytes : input.values<std::string>()) *result++ = encode(bytes, pad_);
  }

 private:
  bool pad_;
};

void decode_all(KernelContext& context) {
  const Tensor& input = context.input(0);
  std::string* result = context.output(0, input.shape()).mutable_data<std::string>();
  for (const std::string& text : input.values<std::string>()) {
    std::optional<std::string> bytes = decode(text);
    if (!bytes) {
      throw invalid_argument("DecodeBase64: the text must be web-safe base64. Details: \"",
                             printable(text), "\".");
    }
    *result++ = std::move(*bytes);
  }
}

constexpr OpDef kOps[] = {
    {.name = "EncodeBase64",
     .inputs = "input: string",
     .outputs = "output: string",
     .attrs = "pad: bool = false",
     .shape = unchanged_shape,
     .kernel = make_kernel<EncodeKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "DecodeBase64",
     .inputs = "input: string",
     .outputs = "output: string",
     .shape = unchanged_shape,
     .kernel = kernel_function<decode_all>,
     .differentiable = Differentiable::kNone},
};

}  // namespace

OpFamily text_base64_ops() { return kOps; }

}  // namespace hub
