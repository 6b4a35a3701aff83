// Ops that map each string to one value: case, length, strip, join, hashes, parts.

#include <farmhash.h>

#include <algorithm>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/hash64.h"
#include "ops/kernel.h"
#include "ops/letter_case.h"
#include "ops/siphash.h"
#include "ops/utf8.h"

namespace hub {
namespace {

constexpr double kStringCostNs = 60;

bool utf8_encoding(const KernelInit& init) {
  const auto& encoding = init.attr<std::string>("encoding");
  if (encoding.empty()) return false;
  if (encoding == "utf-8") return true;
  throw invalid_argument(init.op(), ": only utf-8 or '' (bytes) are encodings. Details: got \"",
                         printable(encoding), "\".");
}

template <bool kLower>
class CaseKernel final : public Kernel {
 public:
  explicit CaseKernel(const KernelInit& init) : utf8_(utf8_encoding(init)) {}
  void compute(KernelContext& context) const override {
    const Tensor& input = context.input(0);
    std::string* result = context.output(0, input.shape()).mutable_data<std::string>();
    const std::string* text = input.data<std::string>();
    context.parallel_for(input.num_elements(), kStringCostNs,
                         [&](std::int64_t begin, std::int64_t end) {
                           for (std::int64_t i = begin; i < end; ++i) {
                             if (utf8_) {
                               change_case_utf8<kLower>(text[i], result[i]);
                             } else {
                               change_case_ascii<kLower>(text[i], result[i]);
                             }
                           }
                         });
  }

 private:
  bool utf8_;
};

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

void strip(KernelContext& context) {
  const Tensor& input = context.input(0);
  std::string* result = context.output(0, input.shape()).mutable_data<std::string>();
  for (const std::string& text : input.values<std::string>()) {
    std::string_view view = text;
    while (!view.empty() && is_space(view.front())) view.remove_prefix(1);
    while (!view.empty() && is_space(view.back())) view.remove_suffix(1);
    *result++ = view;
  }
}

class LengthKernel final : public Kernel {
 public:
  explicit LengthKernel(const KernelInit& init)
      : characters_(init.attr<std::string>("unit") == "UTF8_CHAR") {}
  void compute(KernelContext& context) const override {
    const Tensor& input = context.input(0);
    std::int32_t* result = context.output(0, input.shape()).mutable_data<std::int32_t>();
    for (const std::string& text : input.values<std::string>()) {
      *result++ = static_cast<std::int32_t>(characters_ ? utf8_length(text) : text.size());
    }
  }

 private:
  bool characters_;
};

class JoinKernel final : public Kernel {
 public:
  explicit JoinKernel(const KernelInit& init) : separator_(init.attr<std::string>("separator")) {}

  // All inputs have one shape, or are scalars.
  void compute(KernelContext& context) const override {
    Shape shape;
    bool shaped = false;
    for (int i = 0; i < context.num_inputs(); ++i) {
      const Shape& other = context.input(i).shape();
      if (other.rank() == 0) continue;
      if (shaped && !(other == shape)) {
        throw invalid_argument(
            "StringJoin: inputs must have the same shape, or be scalars. Details: ", shape, " and ",
            other, ".");
      }
      shape = other;
      shaped = true;
    }
    std::string* result = context.output(0, shape).mutable_data<std::string>();
    for (std::int64_t k = 0; k < shape.num_elements(); ++k) {
      for (int i = 0; i < context.num_inputs(); ++i) {
        if (i > 0) result[k] += separator_;
        const Tensor& input = context.input(i);
        result[k] += input.data<std::string>()[input.rank() == 0 ? 0 : k];
      }
    }
  }

 private:
  std::string separator_;
};

Shapes join_shape(ShapeContext& c) {
  PartialShape shape = PartialShape::scalar();
  bool all_scalars = true;
  for (int i = 0; i < c.num_inputs(); ++i) {
    if (!c.input(i).has_rank()) return {PartialShape()};
    if (c.input(i).rank() == 0) continue;
    shape = all_scalars ? c.input(i) : shape.merge_with(c.input(i));
    all_scalars = false;
  }
  return {shape};
}

class HashKernel final : public Kernel {
 public:
  explicit HashKernel(const KernelInit& init)
      : buckets_(static_cast<std::uint64_t>(init.attr<std::int64_t>("num_buckets"))) {}
  void compute(KernelContext& context) const override {
    const Tensor& input = context.input(0);
    std::int64_t* result = context.output(0, input.shape()).mutable_data<std::int64_t>();
    for (const std::string& text : input.values<std::string>())
      *result++ = static_cast<std::int64_t>(hash64(text) % buckets_);
  }

 private:
  std::uint64_t buckets_;
};

class StrongHashKernel final : public Kernel {
 public:
  explicit StrongHashKernel(const KernelInit& init)
      : buckets_(static_cast<std::uint64_t>(init.attr<std::int64_t>("num_buckets"))) {
    const auto& key = init.attr<AttrList>("key").ints;
    if (key.size() != 2) {
      throw invalid_argument(
          "StringToHashBucketStrong: the key must have 2 elements. Details: it has ", key.size(),
          ".");
    }
    key_ = {static_cast<std::uint64_t>(key[0]), static_cast<std::uint64_t>(key[1])};
  }
  void compute(KernelContext& context) const override {
    const Tensor& input = context.input(0);
    std::int64_t* result = context.output(0, input.shape()).mutable_data<std::int64_t>();
    for (const std::string& text : input.values<std::string>()) {
      *result++ = static_cast<std::int64_t>(siphash_2_4(key_, text) % buckets_);
    }
  }

 private:
  std::uint64_t buckets_;
  std::array<std::uint64_t, 2> key_{};
};

constexpr OpDef kOps[] = {
    {.name = "StringLower",
     .inputs = "input: string",
     .outputs = "output: string",
     .attrs = "encoding: string = ''",
     .shape = unchanged_shape,
     .kernel = make_kernel<CaseKernel<true>>,
     .differentiable = Differentiable::kRefused},
    {.name = "StringUpper",
     .inputs = "input: string",
     .outputs = "output: string",
     .attrs = "encoding: string = ''",
     .shape = unchanged_shape,
     .kernel = make_kernel<CaseKernel<false>>,
     .differentiable = Differentiable::kRefused},
    {.name = "StringStrip",
     .inputs = "input: string",
     .outputs = "output: string",
     .shape = unchanged_shape,
     .kernel = kernel_function<strip>,
     .differentiable = Differentiable::kRefused},
    {.name = "StringLength",
     .inputs = "input: string",
     .outputs = "output: int32",
     .attrs = "unit: {'BYTE', 'UTF8_CHAR'} = 'BYTE'",
     .shape = unchanged_shape,
     .kernel = make_kernel<LengthKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "StringJoin",
     .inputs = "inputs: N * string",
     .outputs = "output: string",
     .attrs = "N: int >= 0; separator: string = ''",
     .shape = join_shape,
     .kernel = make_kernel<JoinKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "StringToHashBucket",
     .inputs = "string_tensor: string",
     .outputs = "output: int64",
     .attrs = "num_buckets: int >= 1",
     .shape = unchanged_shape,
     .kernel = make_kernel<HashKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "StringToHashBucketStrong",
     .inputs = "input: string",
     .outputs = "output: int64",
     .attrs = "num_buckets: int >= 1; key: list(int)",
     .shape = unchanged_shape,
     .kernel = make_kernel<StrongHashKernel>,
     .differentiable = Differentiable::kNone},
};

}  // namespace

OpFamily text_ops() { return kOps; }

}  // namespace hub
