// FarmHash's fingerprint, which is the same on every machine: StringToHashBucketFast, Fingerprint.

#include <farmhash.h>

#include <algorithm>
#include <cstring>

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

// Little-endian bytes of the fingerprint.
void write_fingerprint(const void* data, std::size_t size, std::uint8_t* to) {
  const std::uint64_t hash = util::Fingerprint64(static_cast<const char*>(data), size);
  for (int i = 0; i < 8; ++i) to[i] = static_cast<std::uint8_t>(hash >> (8 * i));
}

// A row of strings has the fingerprint of their fingerprints, a single one its own.
void fingerprint_strings(const Tensor& data, std::int64_t row, std::int64_t width,
                         std::uint8_t* to) {
  const std::string* text = data.data<std::string>() + row * width;
  if (width == 0) {
    std::fill_n(to, 8, std::uint8_t{0});
    return;
  }
  if (width == 1) return write_fingerprint(text->data(), text->size(), to);
  std::vector<std::uint8_t> parts(static_cast<std::size_t>(width) * 8);
  for (std::int64_t i = 0; i < width; ++i) {
    write_fingerprint(text[i].data(), text[i].size(), parts.data() + i * 8);
  }
  write_fingerprint(parts.data(), parts.size(), to);
}

void fingerprint(KernelContext& context) {
  const Tensor& data = context.input(0);
  if (data.rank() < 1) throw invalid_argument("Fingerprint: the data must not be a scalar.");
  const Tensor& method = context.input(1);
  if (method.rank() != 0 || method.scalar<std::string>() != "farmhash64") {
    throw invalid_argument("Fingerprint: the method must be 'farmhash64'. Details: ", method, ".");
  }
  const std::size_t size = dtype_size(data.dtype());
  if (size == 0 && data.dtype() != kString) {
    throw unimplemented("Fingerprint: there is no kernel for dtype ", data.dtype(), ".");
  }
  const std::int64_t rows = data.dim(0);
  const std::int64_t width = data.shape().slice(1, data.rank()).num_elements();
  std::uint8_t* to = context.output(0, Shape{rows, 8}).mutable_data<std::uint8_t>();
  const auto bytes = static_cast<std::size_t>(width) * size;
  for (std::int64_t row = 0; row < rows; ++row, to += 8) {
    if (data.dtype() == kString) {
      fingerprint_strings(data, row, width, to);
    } else {
      write_fingerprint(data.bytes().data() + static_cast<std::size_t>(row) * bytes, bytes, to);
    }
  }
}

Shapes fingerprint_shape(ShapeContext& c) {
  const PartialShape data = c.at_least_rank(0, 1);
  c.with_rank(1, 0);
  return {PartialShape{data.dim(0), c.input_value(1) != nullptr ? 8 : -1}};
}

constexpr OpDef kOps[] = {
    {.name = "StringToHashBucketFast",
     .inputs = "input: string",
     .outputs = "output: int64",
     .attrs = "num_buckets: int >= 1",
     .shape = unchanged_shape,
     .kernel = make_kernel<HashBucketKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "Fingerprint",
     .inputs = "data: T, method: string",
     .outputs = "fingerprint: uint8",
     .attrs = "T: type",
     .shape = fingerprint_shape,
     .kernel = kernel_function<fingerprint>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily hash_bucket_ops() { return kOps; }

}  // namespace hub
