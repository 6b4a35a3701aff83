// StringToHashBucketFast: FarmHash's fingerprint, which is the same on every machine.

#include <farmhash.h>

#include "graph/shape_rules.h"
#include "ops/kernel.h"

namespace hub {
namespace {

class HashBucketKernel final : public Kernel {
 public:
  explicit HashBucketKernel(const KernelInit& init)
      : num_buckets_(static_cast<std::uint64_t>(init.attr<std::int64_t>("num_buckets"))) {}

  void compute(KernelContext& context) const override {
    const Tensor& input = context.input(0);
    const std::string* from = input.data<std::string>();
    std::int64_t* to = context.output(0, input.shape()).mutable_data<std::int64_t>();
    context.parallel_for(input.num_elements(), 30.0, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        to[i] = static_cast<std::int64_t>(util::Fingerprint64(from[i].data(), from[i].size()) %
                                          num_buckets_);
      }
    });
  }

 private:
  std::uint64_t num_buckets_;
};

constexpr OpDef kOps[] = {
    {.name = "StringToHashBucketFast",
     .inputs = "input: string",
     .outputs = "output: int64",
     .attrs = "num_buckets: int >= 1",
     .shape = unchanged_shape,
     .kernel = make_kernel<HashBucketKernel>,
     .differentiable = Differentiable::kNone},
};

}  // namespace

OpFamily hash_bucket_ops() { return kOps; }

}  // namespace hub
