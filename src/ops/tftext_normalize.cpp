// TensorFlow Text: Unicode normalisation by ICU, and the way back to offsets in the source.

#include <unicode/bytestream.h>
#include <unicode/edits.h>
#include <unicode/normalizer2.h>
#include <unicode/uniset.h>
#include <unicode/unistr.h>

#include <algorithm>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/ragged.h"
#include "ops/token_rows.h"

namespace hub {
namespace {

// Where the bytes of a normalised text are from.
class OffsetsMap final : public VariantValue {
 public:
  explicit OffsetsMap(const icu::Edits& edits) : edits_(edits) {}
  std::string_view type_name() const override { return "(anonymous namespace)::OffsetsMap"; }
  const icu::Edits& edits() const { return edits_; }

 private:
  icu::Edits edits_;
};

const OffsetsMap* offsets_map_at(const Tensor& maps, std::int64_t index) {
  if (index >= maps.num_elements()) {
    throw invalid_argument(
        "FindSourceOffsets: there must be a map for each row that has offsets. Details: there are ",
        maps.num_elements(), ".");
  }
  const auto* map = dynamic_cast<const OffsetsMap*>(maps.data<Variant>()[index].value.get());
  if (map == nullptr) {
    throw invalid_argument(
        "FindSourceOffsets: each map must be one of NormalizeUTF8WithOffsetsMap. Details: element ",
        index, " is none.");
  }
  return map;
}

// Decomposing forms go through UTF-16 in TensorFlow's ICU, where malformed bytes become U+FFFD;
// the others leave them.
std::string normalized(const icu::Normalizer2& normalizer, const std::string& text,
                       icu::Edits* edits, bool decomposes, std::string_view op) {
  std::string result;
  UErrorCode status = U_ZERO_ERROR;
  if (text.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    status = U_ILLEGAL_ARGUMENT_ERROR;
  } else {
    const icu::StringPiece piece(text.data(), static_cast<std::int32_t>(text.size()));
    if (decomposes) {
      normalizer.normalize(icu::UnicodeString::fromUTF8(piece), status).toUTF8String(result);
    } else {
      icu::StringByteSink<std::string> sink(&result);
      normalizer.normalizeUTF8(0, piece, sink, edits, status);
    }
  }
  if (U_FAILURE(status)) {
    throw internal_error(op, ": the text cannot be normalised. Details: ", u_errorName(status),
                         " for \"", printable(text), "\".");
  }
  return result;
}

bool decomposes(std::string_view form) {
  return !form.empty() && (form.back() == 'D' || form.back() == 'd');
}

// Normalises what Unicode 12.1, the version of TensorFlow Text's ICU, has assigned or ignores:
// what came later is left alone there.
class OldNormalizer {
 public:
  explicit OldNormalizer(const icu::Normalizer2* (*find)(UErrorCode&)) {
    icu::UnicodeSet assigned(icu::UnicodeString("[[:age=12.1:][[:DI:]&[:Cn:]]]"), status_);
    assigned.freeze();
    const icu::Normalizer2* normalizer = find(status_);
    if (U_SUCCESS(status_)) {
      assigned_ = std::make_unique<const icu::UnicodeSet>(assigned);
      filtered_ = std::make_unique<const icu::FilteredNormalizer2>(*normalizer, *assigned_);
    }
  }

  // Errors: INTERNAL where ICU lacks its data.
  const icu::Normalizer2& get() const {
    if (filtered_ != nullptr) return *filtered_;
    throw internal_error("ICU has no such normalisation. Details: ", u_errorName(status_), ".");
  }

 private:
  UErrorCode status_ = U_ZERO_ERROR;
  std::unique_ptr<const icu::UnicodeSet> assigned_;
  std::unique_ptr<const icu::FilteredNormalizer2> filtered_;
};

const icu::Normalizer2& case_folder() {
  static const OldNormalizer normalizer(icu::Normalizer2::getNFKCCasefoldInstance);
  return normalizer.get();
}

const icu::Normalizer2& normalizer_of(std::string form, std::string_view op) {
  static const OldNormalizer nfc(icu::Normalizer2::getNFCInstance);
  static const OldNormalizer nfd(icu::Normalizer2::getNFDInstance);
  static const OldNormalizer nfkc(icu::Normalizer2::getNFKCInstance);
  static const OldNormalizer nfkd(icu::Normalizer2::getNFKDInstance);
  std::ranges::transform(form, form.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  });
  if (form == "NFC") return nfc.get();
  if (form == "NFD") return nfd.get();
  if (form == "NFKC") return nfkc.get();
  if (form == "NFKD") return nfkd.get();
  throw invalid_argument(op, ": the normalisation form must be NFC, NFD, NFKC or NFKD. Details: \"",
                         printable(form), "\".");
}

void normalize_all(KernelContext& context, const icu::Normalizer2& normalizer, bool decomposes) {
  const Tensor& input = context.input(0);
  std::string* result = context.output(0, input.shape()).mutable_data<std::string>();
  for (const std::string& text : input.values<std::string>()) {
    *result++ = normalized(normalizer, text, nullptr, decomposes, context.node().op_name);
  }
}

void case_fold(KernelContext& context) { normalize_all(context, case_folder(), false); }

class NormalizeKernel final : public Kernel {
 public:
  explicit NormalizeKernel(const KernelInit& init)
      : form_(init.attr<std::string>("normalization_form")) {}
  void compute(KernelContext& context) const override {
    normalize_all(context, normalizer_of(form_, context.node().op_name), decomposes(form_));
  }

 private:
  std::string form_;
};

class NormalizeWithMapKernel final : public Kernel {
 public:
  explicit NormalizeWithMapKernel(const KernelInit& init)
      : form_(init.attr<std::string>("normalization_form")) {}

  // Only NFC and NFKC keep track of offsets in TensorFlow's ICU.
  void compute(KernelContext& context) const override {
    const icu::Normalizer2& normalizer = normalizer_of(form_, context.node().op_name);
    const Tensor& input = context.input(0);
    if (decomposes(form_) && input.num_elements() > 0) {
      throw internal_error(
          "NormalizeUTF8WithOffsetsMap: there are offsets under NFC and NFKC only. Details: the "
          "form is ",
          form_, ".");
    }
    std::string* result = context.output(0, input.shape()).mutable_data<std::string>();
    Variant* map = context.output(1, input.shape()).mutable_data<Variant>();
    for (const std::string& text : input.values<std::string>()) {
      icu::Edits edits;
      *result++ = normalized(normalizer, text, &edits, false, context.node().op_name);
      (map++)->value = std::make_shared<OffsetsMap>(edits);
    }
  }

 private:
  std::string form_;
};

// Row by row of the offsets; a row without offsets has no map, as in TensorFlow.
void find_source_offsets(KernelContext& context) {
  const Tensor& maps = context.input(0);
  const Tensor& offsets = context.input(1);
  const Splits splits = splits_input(context, 2);
  if (splits.back() > offsets.num_elements()) {
    throw invalid_argument("FindSourceOffsets: the splits must lie in the offsets. Details: ",
                           splits.back(), " of ", offsets.num_elements(), ".");
  }
  std::vector<std::int64_t> sources(static_cast<std::size_t>(offsets.num_elements()), 0);
  std::int64_t used_maps = 0;
  for (std::size_t row = 1; row < splits.size(); ++row) {
    if (splits[row - 1] == splits[row]) continue;
    const OffsetsMap* map = offsets_map_at(maps, used_maps++);
    icu::Edits::Iterator changes = map->edits().getFineChangesIterator();
    for (std::int64_t i = splits[row - 1]; i < splits[row]; ++i) {
      constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
      const std::int64_t offset = std::clamp(offsets.data<std::int64_t>()[i], -kMost, kMost);
      UErrorCode status = U_ZERO_ERROR;
      sources[static_cast<std::size_t>(i)] =
          changes.sourceIndexFromDestinationIndex(static_cast<std::int32_t>(offset), status);
    }
  }
  if (used_maps != maps.num_elements()) {
    throw invalid_argument(
        "FindSourceOffsets: there must be a map for each row that has offsets. Details: ",
        maps.num_elements(), " maps for ", used_maps, " rows.");
  }
  output_integers(context, 0, sources);
}

Shapes source_offsets_shape(ShapeContext& c) {
  c.with_rank(0, 1);
  c.with_rank(2, 1);
  return {c.with_rank(1, 1)};
}

constexpr OpDef kOps[] = {
    {.name = "CaseFoldUTF8",
     .inputs = "input: string",
     .outputs = "output: string",
     .shape = unchanged_shape,
     .kernel = kernel_function<case_fold>,
     .differentiable = Differentiable::kRefused},
    {.name = "NormalizeUTF8",
     .inputs = "input: string",
     .outputs = "output: string",
     .attrs = "normalization_form: string",
     .shape = unchanged_shape,
     .kernel = make_kernel<NormalizeKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "NormalizeUTF8WithOffsetsMap",
     .inputs = "input: string",
     .outputs = "output: string, offsets_map: variant",
     .attrs = "normalization_form: string",
     .shape = unchanged_shape,
     .kernel = make_kernel<NormalizeWithMapKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "FindSourceOffsets",
     .inputs = "offsets_map: variant, input_offsets_values: int64, input_offsets_splits: Tsplits",
     .outputs = "output_offsets_values: int64",
     .attrs = "Tsplits: {int32, int64} = int64",
     .shape = source_offsets_shape,
     .kernel = kernel_function<find_source_offsets>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily tftext_normalize_ops() { return kOps; }

}  // namespace hub
