// Regular expressions, which are RE2's (syntax and leftmost-first matching).

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/regex.h"
#include "ops/regex_replacer.h"

namespace hub {
namespace {

constexpr double kMatchCostNs = 400;

const std::string& scalar_string(KernelContext& context, int input, std::string_view what) {
  const Tensor& tensor = context.input(input);
  if (tensor.rank() != 0) {
    throw invalid_argument(context.node().op_name, ": ", what,
                           " must be a scalar. Details: its shape is ", tensor.shape(), ".");
  }
  return tensor.scalar<std::string>();
}

void replace_all(KernelContext& context, const RegexReplacer& replacer) {
  const Tensor& input = context.input(0);
  std::string* result = context.output(0, input.shape()).mutable_data<std::string>();
  const std::string* text = input.data<std::string>();
  context.parallel_for(input.num_elements(), kMatchCostNs,
                       [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t i = begin; i < end; ++i)
                           replacer.replace(text[i], result[i]);
                       });
}

void full_match(KernelContext& context, const re2::RE2& regex) {
  const Tensor& input = context.input(0);
  bool* result = context.output(0, input.shape()).mutable_data<bool>();
  const std::string* text = input.data<std::string>();
  context.parallel_for(input.num_elements(), kMatchCostNs,
                       [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t i = begin; i < end; ++i)
                           result[i] = re2::RE2::FullMatch(text[i], regex);
                       });
}

class RegexReplaceKernel final : public Kernel {
 public:
  explicit RegexReplaceKernel(const KernelInit& init)
      : global_(init.attr<bool>("replace_global")) {}
  void compute(KernelContext& context) const override {
    const std::string& pattern = scalar_string(context, 1, "pattern");
    const std::string& rewrite = scalar_string(context, 2, "rewrite");
    replace_all(context, *cache_.find(pattern, rewrite, global_, context.node().op_name));
  }

 private:
  bool global_;
  ReplacerCache cache_;
};

class StaticRegexReplaceKernel final : public Kernel {
 public:
  explicit StaticRegexReplaceKernel(const KernelInit& init)
      : pattern_(init.attr<std::string>("pattern")),
        rewrite_(init.attr<std::string>("rewrite")),
        global_(init.attr<bool>("replace_global")) {}
  void compute(KernelContext& context) const override {
    replace_all(context, *cache_.find(pattern_, rewrite_, global_, context.node().op_name));
  }

 private:
  std::string pattern_;
  std::string rewrite_;
  bool global_;
  ReplacerCache cache_;
};

class RegexFullMatchKernel final : public Kernel {
 public:
  void compute(KernelContext& context) const override {
    full_match(context, *cache_.find(scalar_string(context, 1, "pattern"), context.node().op_name));
  }

 private:
  PatternCache cache_;
};

class StaticRegexFullMatchKernel final : public Kernel {
 public:
  explicit StaticRegexFullMatchKernel(const KernelInit& init)
      : pattern_(init.attr<std::string>("pattern")) {}
  void compute(KernelContext& context) const override {
    full_match(context, *cache_.find(pattern_, context.node().op_name));
  }

 private:
  std::string pattern_;
  PatternCache cache_;
};

Shapes pattern_shape(ShapeContext& c) {
  for (int i = 1; i < c.num_inputs(); ++i) c.with_rank(i, 0);
  return {c.input(0)};
}

constexpr OpDef kOps[] = {
    {.name = "RegexReplace",
     .inputs = "input: string, pattern: string, rewrite: string",
     .outputs = "output: string",
     .attrs = "replace_global: bool = true",
     .shape = pattern_shape,
     .kernel = make_kernel<RegexReplaceKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "StaticRegexReplace",
     .inputs = "input: string",
     .outputs = "output: string",
     .attrs = "pattern: string; rewrite: string; replace_global: bool = true",
     .shape = unchanged_shape,
     .kernel = make_kernel<StaticRegexReplaceKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "RegexFullMatch",
     .inputs = "input: string, pattern: string",
     .outputs = "output: bool",
     .shape = pattern_shape,
     .kernel = make_kernel<RegexFullMatchKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "StaticRegexFullMatch",
     .inputs = "input: string",
     .outputs = "output: bool",
     .attrs = "pattern: string",
     .shape = unchanged_shape,
     .kernel = make_kernel<StaticRegexFullMatchKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily text_regex_ops() { return kOps; }

}  // namespace hub
