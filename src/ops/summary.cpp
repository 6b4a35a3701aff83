// Summaries for TensorBoard, as serialized Summary messages: scalars, histograms, and their
// union.

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <set>
#include <span>

#include "format/coding.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/summary_message.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

using namespace summary;

void append_double(std::string& out, double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  append_uint32(out, static_cast<std::uint32_t>(bits));
  append_uint32(out, static_cast<std::uint32_t>(bits >> 32));
}

// Zero is left out.
void append_double(std::string& out, std::uint32_t field, double value) {
  if (std::bit_cast<std::uint64_t>(value) == 0) return;
  append_key(out, field, kFixed64);
  append_double(out, value);
}

void append_doubles(std::string& out, std::uint32_t field, std::span<const double> values) {
  append_key(out, field, kBytes);
  append_varint(out, values.size() * sizeof(double));
  for (const double value : values) append_double(out, value);
}

void compute_scalar(KernelContext& c) {
  const Tensor& tags = c.input(0);
  const Tensor& values = c.input(1);
  if (tags.shape() != values.shape()) {
    throw invalid_argument("ScalarSummary: tags and values must have the same shape. Details: ",
                           tags.shape(), " and ", values.shape(), ".");
  }
  std::string summary;
  dispatch(RealNumbers{}, values.dtype(), [&]<class T>() {
    for (std::int64_t i = 0; i < values.num_elements(); ++i) {
      std::string value = tagged(tags.data<std::string>()[i]);
      append_float(value, kSimpleValue, static_cast<float>(values.data<T>()[i]));
      append_bytes(summary, kValue, value);
    }
  });
  write_summary(c, std::move(summary));
}

constexpr double kMost = std::numeric_limits<double>::max();

// TensorFlow's limits: each bucket is a tenth wider than the one nearer to zero.
const std::vector<double>& bucket_limits() {
  static const std::vector<double> limits = [] {
    std::vector<double> positive;
    for (double limit = 1.0e-12; limit < 1.0e20; limit *= 1.1) positive.push_back(limit);
    positive.push_back(kMost);
    std::vector<double> all;
    std::transform(positive.rbegin(), positive.rend(), std::back_inserter(all),
                   [](double limit) { return -limit; });
    all.push_back(0);
    all.insert(all.end(), positive.begin(), positive.end());
    return all;
  }();
  return limits;
}

class Histogram {
 public:
  void add(double value) {
    const std::vector<double>& limits = bucket_limits();
    const auto above = std::upper_bound(limits.begin(), limits.end() - 1, value);
    ++counts_[static_cast<std::size_t>(above - limits.begin())];
    least_ = std::min(least_, value);
    most_ = std::max(most_, value);
    ++number_;
    sum_ += value;
    squares_ += value * value;
  }

  // A HistogramProto, in which neighbouring empty buckets are one.
  std::string serialized() const {
    std::vector<double> limits, counts;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      const bool continues = counts_[i] == 0 && !counts.empty() && counts.back() == 0;
      if (continues) {
        limits.back() = bucket_limits()[i];
      } else {
        limits.push_back(bucket_limits()[i]);
        counts.push_back(counts_[i]);
      }
    }
    std::string out;
    append_double(out, 1, least_);
    append_double(out, 2, most_);
    append_double(out, 3, number_);
    append_double(out, 4, sum_);
    append_double(out, 5, squares_);
    append_doubles(out, 6, limits);
    append_doubles(out, 7, counts);
    return out;
  }

 private:
  std::vector<double> counts_ = std::vector<double>(bucket_limits().size());
  double least_ = kMost;
  double most_ = -kMost;
  double number_ = 0;
  double sum_ = 0;
  double squares_ = 0;
};

void compute_histogram(KernelContext& c) {
  const Tensor& tag = c.input(0);
  const Tensor& values = c.input(1);
  if (tag.rank() != 0) {
    throw invalid_argument("HistogramSummary: the tag must be a scalar. Details: its shape is ",
                           tag.shape(), ".");
  }
  Histogram histogram;
  dispatch(RealNumbers{}, values.dtype(), [&]<class T>() {
    for (std::int64_t i = 0; i < values.num_elements(); ++i) {
      double value;
      if constexpr (std::is_arithmetic_v<T>) {
        value = static_cast<double>(values.data<T>()[i]);
      } else {
        value = static_cast<double>(static_cast<float>(values.data<T>()[i]));
      }
      if (!std::isfinite(value)) {
        throw invalid_argument("HistogramSummary: the values must be finite. Details: \"",
                               printable(tag.scalar<std::string>()), "\" has ", value,
                               " as element ", i, ".");
      }
      histogram.add(value);
    }
  });
  std::string value = tagged(tag.scalar<std::string>());
  append_bytes(value, kHistogram, histogram.serialized());
  std::string summary;
  append_bytes(summary, kValue, value);
  write_summary(c, std::move(summary));
}

// Calls body(field, bytes) for each field that is written as bytes. False where the bytes are
// no message.
template <class Body>
bool for_each_bytes_field(std::string_view message, Body&& body) {
  Cursor cursor(message);
  while (cursor.ok() && !cursor.at_end()) {
    const std::uint64_t key = cursor.varint64();
    switch (key & 7) {
      case 0: cursor.varint64(); break;
      case kFixed64: cursor.bytes(8); break;
      case kFixed32: cursor.bytes(4); break;
      case kBytes: {
        const std::string_view bytes = cursor.bytes(cursor.varint64());
        if (cursor.ok()) body(key >> 3, bytes);
        break;
      }
      default: return false;
    }
  }
  return cursor.ok();
}

void compute_merge(KernelContext& c) {
  std::string merged;
  std::set<std::string, std::less<>> tags;
  for (int i = 0; i < c.num_inputs(); ++i) {
    for (const std::string& summary : c.input(i).values<std::string>()) {
      bool is_message = true;
      const bool ends =
          for_each_bytes_field(summary, [&](std::uint64_t field, std::string_view value) {
            if (field != kValue) return;
            std::string_view tag;
            is_message &=
                for_each_bytes_field(value, [&](std::uint64_t inner, std::string_view bytes) {
                  if (inner == kTag) tag = bytes;
                });
            if (!tag.empty() && !tags.emplace(tag).second) {
              throw invalid_argument("MergeSummary: a tag must appear once. Details: \"",
                                     printable(tag), "\".");
            }
            append_bytes(merged, kValue, value);
          });
      if (!ends || !is_message) {
        throw invalid_argument("MergeSummary: the inputs must be serialized summaries. Details: ",
                               "input ", i, " has ", summary.size(), " bytes that are none.");
      }
    }
  }
  write_summary(c, std::move(merged));
}

constexpr OpDef kOps[] = {
    {.name = "HistogramSummary",
     .inputs = "tag: string, values: T",
     .outputs = "summary: string",
     .attrs = "T: realnumbertype = float",
     .shape = scalar_shape,
     .kernel = kernel_function<compute_histogram>,
     .differentiable = Differentiable::kNone},
    {.name = "MergeSummary",
     .inputs = "inputs: N * string",
     .outputs = "summary: string",
     .attrs = "N: int >= 1",
     .shape = scalar_shape,
     .kernel = kernel_function<compute_merge>,
     .differentiable = Differentiable::kNone},
    {.name = "ScalarSummary",
     .inputs = "tags: string, values: T",
     .outputs = "summary: string",
     .attrs = "T: realnumbertype",
     .shape = scalar_shape,
     .kernel = kernel_function<compute_scalar>,
     .differentiable = Differentiable::kNone},
};

}  // namespace

OpFamily summary_ops() { return kOps; }

}  // namespace hub
