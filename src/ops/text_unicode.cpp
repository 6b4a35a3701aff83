// Unicode: code points from and to encoded text, and their scripts, by ICU.

#include <unicode/schriter.h>
#include <unicode/uchar.h>
#include <unicode/ucnv.h>
#include <unicode/unistr.h>

#include <limits>
#include <memory>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/ragged.h"
#include "ops/unicode_script.h"

namespace hub {
namespace {

// What becomes of text that is not well formed.
struct ErrorPolicy {
  bool strict;
  bool ignore;
  bool replace_controls = false;
  UChar32 replacement;

  explicit ErrorPolicy(const KernelInit& init)
      : strict(init.attr<std::string>("errors") == "strict"),
        ignore(init.attr<std::string>("errors") == "ignore") {
    if (init.has_attr("replace_control_characters")) {
      replace_controls = init.attr<bool>("replace_control_characters");
    }
    const std::int64_t code = init.attr<std::int64_t>("replacement_char");
    if (code < UCHAR_MIN_VALUE || code > UCHAR_MAX_VALUE) {
      throw invalid_argument(init.op(), ": the replacement must be a code point. Details: ", code,
                             ".");
    }
    replacement = static_cast<UChar32>(code);
  }
};

Error malformed(std::string_view op) {
  return invalid_argument(op, ": the text must be well formed, as errors='strict' asks.");
}

extern "C" {
// Notes the error, then lets ICU substitute U+FFFD.
void note_error(const void* context, UConverterToUnicodeArgs* args, const char* bytes,
                std::int32_t length, UConverterCallbackReason reason, UErrorCode* status) {
  if (reason == UCNV_UNASSIGNED || reason == UCNV_ILLEGAL || reason == UCNV_IRREGULAR) {
    *static_cast<bool*>(const_cast<void*>(context)) = true;
  }
  UCNV_TO_U_CALLBACK_SUBSTITUTE(nullptr, args, bytes, length, reason, status);
}
}

// Reads text in one of ICU's encodings. For one thread.
class Decoder {
 public:
  Decoder(const std::string& encoding, std::string_view op) {
    UErrorCode status = U_ZERO_ERROR;
    converter_.reset(ucnv_open(encoding.c_str(), &status));
    if (U_FAILURE(status) || converter_ == nullptr) {
      throw invalid_argument(op, ": the encoding must be one that ICU knows. Details: \"",
                             printable(encoding), "\".");
    }
    ucnv_setToUCallBack(converter_.get(), note_error, &malformed_, nullptr, nullptr, &status);
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  // Calls emit(code point, bytes that it took, whether they were malformed).
  template <class Emit>
  void decode(std::string_view text, Emit&& emit) {
    const char* at = text.data();
    const char* end = at + text.size();
    ucnv_reset(converter_.get());
    while (at < end) {
      malformed_ = false;
      const char* begin = at;
      UErrorCode status = U_ZERO_ERROR;
      const UChar32 code = ucnv_getNextUChar(converter_.get(), &at, end, &status);
      if (U_FAILURE(status)) at = end;
      emit(code, at - begin, malformed_);
    }
  }

 private:
  struct Close {
    void operator()(UConverter* converter) const { ucnv_close(converter); }
  };
  std::unique_ptr<UConverter, Close> converter_;
  bool malformed_ = false;
};

enum class Encoding { kUtf8, kUtf16Be, kUtf32Be };

Encoding output_encoding(const KernelInit& init) {
  const auto& name = init.attr<std::string>("output_encoding");
  return name == "UTF-16-BE"   ? Encoding::kUtf16Be
         : name == "UTF-32-BE" ? Encoding::kUtf32Be
                               : Encoding::kUtf8;
}

void encode(Encoding encoding, const icu::UnicodeString& text, std::string& to) {
  to.clear();
  if (encoding == Encoding::kUtf8) {
    text.toUTF8String(to);
  } else if (encoding == Encoding::kUtf16Be) {
    for (std::int32_t i = 0; i < text.length(); ++i) {
      to += static_cast<char>(text[i] >> 8);
      to += static_cast<char>(text[i] & 0xff);
    }
  } else {
    icu::StringCharacterIterator codes(text);
    while (codes.hasNext()) {
      const UChar32 code = codes.next32PostInc();
      for (int shift = 24; shift >= 0; shift -= 8) to += static_cast<char>(code >> shift & 0xff);
    }
  }
}

// The code point to use instead; nothing where it is left out.
std::optional<UChar32> repaired(const ErrorPolicy& policy, UChar32 code, bool malformed) {
  if (!malformed && !(policy.replace_controls && code <= 0x1f)) return code;
  if (policy.ignore) return std::nullopt;
  return policy.replacement;
}

class TranscodeKernel final : public Kernel {
 public:
  explicit TranscodeKernel(const KernelInit& init)
      : policy_(init),
        input_encoding_(init.attr<std::string>("input_encoding")),
        output_encoding_(output_encoding(init)) {
    Decoder(input_encoding_, "UnicodeTranscode");
  }

  void compute(KernelContext& context) const override {
    const Tensor& input = context.input(0);
    Decoder decoder(input_encoding_, "UnicodeTranscode");
    std::string* result = context.output(0, input.shape()).mutable_data<std::string>();
    for (const std::string& text : input.values<std::string>()) {
      icu::UnicodeString unicode;
      decoder.decode(text, [&](UChar32 code, std::ptrdiff_t, bool bad) {
        const auto use = repaired(policy_, code, bad);
        // A replaced control character counts as an error, too.
        if (policy_.strict && (bad || (policy_.replace_controls && code <= 0x1f))) {
          throw malformed("UnicodeTranscode");
        }
        if (use) unicode.append(*use);
      });
      encode(output_encoding_, unicode, *result++);
    }
  }

 private:
  ErrorPolicy policy_;
  std::string input_encoding_;
  Encoding output_encoding_;
};

template <bool kOffsets>
class DecodeKernel final : public Kernel {
 public:
  explicit DecodeKernel(const KernelInit& init)
      : policy_(init), encoding_(init.attr<std::string>("input_encoding")), op_(init.op()) {
    Decoder(encoding_, op_);
  }

  void compute(KernelContext& context) const override {
    Decoder decoder(encoding_, op_);
    Splits splits{0};
    std::vector<std::int32_t> codes;
    std::vector<std::int64_t> offsets;
    for (const std::string& text : context.input(0).values<std::string>()) {
      std::int64_t offset = 0;
      decoder.decode(text, [&](UChar32 code, std::ptrdiff_t length, bool bad) {
        if (policy_.strict && bad) throw malformed(op_);
        if (const auto use = repaired(policy_, code, bad)) {
          codes.push_back(*use);
          if (kOffsets) offsets.push_back(offset);
        }
        offset += length;
      });
      splits.push_back(static_cast<std::int64_t>(codes.size()));
    }
    output_splits(context, 0, splits);
    const Shape shape{static_cast<std::int64_t>(codes.size())};
    std::ranges::copy(codes, context.output(1, shape).mutable_data<std::int32_t>());
    if constexpr (kOffsets) {
      std::ranges::copy(offsets, context.output(2, shape).mutable_data<std::int64_t>());
    }
  }

 private:
  ErrorPolicy policy_;
  std::string encoding_;
  std::string op_;
};

class EncodeKernel final : public Kernel {
 public:
  explicit EncodeKernel(const KernelInit& init) : policy_(init), encoding_(output_encoding(init)) {}

  void compute(KernelContext& context) const override {
    const Tensor& codes = context.input(0);
    if (codes.rank() != 1) {
      throw invalid_argument(
          "UnicodeEncode: the code points must be a vector. Details: ", codes.shape(), ".");
    }
    const Splits splits = nested_splits_input(context, 1, 1, codes.dim(0))[0];
    const auto rows = static_cast<std::int64_t>(splits.size()) - 1;
    std::string* result = context.output(0, Shape{rows}).mutable_data<std::string>();
    const std::int32_t* code = codes.data<std::int32_t>();
    for (std::size_t row = 1; row < splits.size(); ++row) {
      icu::UnicodeString text;
      for (std::int64_t i = splits[row - 1]; i < splits[row]; ++i) append(text, code[i]);
      encode(encoding_, text, *result++);
    }
  }

 private:
  // TensorFlow leaves what is no character as it is under 'ignore': of that, ICU takes
  // noncharacters and surrogates, and drops the rest.
  void append(icu::UnicodeString& text, std::int32_t code) const {
    if (!policy_.ignore && !U_IS_UNICODE_CHAR(code)) {
      if (policy_.strict) {
        throw invalid_argument("UnicodeEncode: a value must be a code point. Details: ", code, ".");
      }
      code = policy_.replacement;
    }
    text.append(static_cast<UChar32>(code));
  }

  ErrorPolicy policy_;
  Encoding encoding_;
};

void script(KernelContext& context) {
  const Tensor& codes = context.input(0);
  std::int32_t* result = context.output(0, codes.shape()).mutable_data<std::int32_t>();
  for (const std::int32_t code : codes.values<std::int32_t>()) {
    *result++ = script_of(code, kTensorFlowUnicode);
  }
}

Shapes decode_shape(ShapeContext& c) {
  const auto known = c.input(0).as_shape();
  const PartialShape splits{known ? known->num_elements() + 1 : -1};
  Shapes shapes(static_cast<std::size_t>(c.num_outputs()), PartialShape{-1});
  shapes[0] = splits;
  return shapes;
}

Shapes encode_shape(ShapeContext& c) {
  c.with_rank(0, 1);
  const std::int64_t splits = c.with_rank(1, 1).dim(0);
  return {PartialShape{splits < 1 ? -1 : splits - 1}};
}

constexpr OpDef kOps[] = {
    {.name = "UnicodeDecode",
     .inputs = "input: string",
     .outputs = "row_splits: Tsplits, char_values: int32",
     .attrs = "input_encoding: string; errors: {'strict', 'replace', 'ignore'} = 'replace'; "
              "replacement_char: int = 65533; replace_control_characters: bool = false; "
              "Tsplits: {int32, int64} = int64",
     .shape = decode_shape,
     .kernel = make_kernel<DecodeKernel<false>>,
     .differentiable = Differentiable::kRefused},
    {.name = "UnicodeDecodeWithOffsets",
     .inputs = "input: string",
     .outputs = "row_splits: Tsplits, char_values: int32, char_to_byte_starts: int64",
     .attrs = "input_encoding: string; errors: {'strict', 'replace', 'ignore'} = 'replace'; "
              "replacement_char: int = 65533; replace_control_characters: bool = false; "
              "Tsplits: {int32, int64} = int64",
     .shape = decode_shape,
     .kernel = make_kernel<DecodeKernel<true>>,
     .differentiable = Differentiable::kRefused},
    {.name = "UnicodeEncode",
     .inputs = "input_values: int32, input_splits: Tsplits",
     .outputs = "output: string",
     .attrs = "errors: {'ignore', 'replace', 'strict'} = 'replace'; "
              "output_encoding: {'UTF-8', 'UTF-16-BE', 'UTF-32-BE'}; "
              "replacement_char: int = 65533; Tsplits: {int32, int64} = int64",
     .shape = encode_shape,
     .kernel = make_kernel<EncodeKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "UnicodeScript",
     .inputs = "input: int32",
     .outputs = "output: int32",
     .shape = unchanged_shape,
     .kernel = kernel_function<script>,
     .differentiable = Differentiable::kRefused},
    {.name = "UnicodeTranscode",
     .inputs = "input: string",
     .outputs = "output: string",
     .attrs = "input_encoding: string; output_encoding: {'UTF-8', 'UTF-16-BE', 'UTF-32-BE'}; "
              "errors: {'strict', 'replace', 'ignore'} = 'replace'; "
              "replacement_char: int = 65533; replace_control_characters: bool = false",
     .shape = unchanged_shape,
     .kernel = make_kernel<TranscodeKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily text_unicode_ops() { return kOps; }

}  // namespace hub
