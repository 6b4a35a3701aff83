// Fourier transforms over the innermost one, two or three dimensions. The inverses divide by
// the number of elements. Real transforms keep the half of the innermost dimension that says
// all; their inputs are cropped at the end, never padded.

#include <algorithm>
#include <map>
#include <mutex>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/kernels/fft.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

enum class Direction : std::uint8_t { kForward, kInverse };

// Sequences that are transformed together.
constexpr std::int64_t kMostLanes = 16;
// Above this length one sequence fills the cache.
constexpr std::int64_t kLongSequence = 1 << 15;

// The plans of the lengths that a node has met.
template <class T>
class FftPlans {
 public:
  std::shared_ptr<const Fft<T>> find(std::int64_t n) const {
    const std::lock_guard lock(mutex_);
    auto& plan = plans_[n];
    if (!plan) {
      if (plans_.size() > kMostPlans) {
        plans_.clear();
        return plans_[n] = std::make_shared<const Fft<T>>(n);
      }
      plan = std::make_shared<const Fft<T>>(n);
    }
    return plan;
  }

 private:
  static constexpr std::size_t kMostPlans = 16;
  mutable std::mutex mutex_;
  mutable std::map<std::int64_t, std::shared_ptr<const Fft<T>>> plans_;
};

// Room for some sequences side by side: real and imaginary parts, [length, lanes] each.
template <class T>
class Lanes {
 public:
  Lanes(std::int64_t length, std::int64_t lanes)
      : plane_(length * lanes), memory_(dtype_of<T>, Shape{4, plane_}) {}

  T* re() { return memory_.mutable_data<T>(); }
  T* im() { return re() + plane_; }
  void transform(const Fft<T>& plan, Direction direction, std::int64_t lanes) {
    T* a = direction == Direction::kForward ? re() : im();
    T* b = direction == Direction::kForward ? im() : re();
    plan.run(a, b, im() + plane_, im() + 2 * plane_, lanes);
  }

 private:
  std::int64_t plane_;
  Tensor memory_;
};

// Calls body(first, lanes, room) for groups of sequences, on several threads.
template <class T, class Body>
void for_each_group(KernelContext& c, std::int64_t sequences, std::int64_t length,
                    const Body& body) {
  const std::int64_t together = length > kLongSequence ? 1 : kMostLanes;
  const std::int64_t groups = (sequences + together - 1) / together;
  const double cost_ns = static_cast<double>(length * together) * 6;
  c.parallel_for(groups, cost_ns, [&](std::int64_t begin, std::int64_t end) {
    Lanes<T> room(length, together);
    for (std::int64_t group = begin; group < end; ++group) {
      const std::int64_t first = group * together;
      body(first, std::min(together, sequences - first), room);
    }
  });
}

// Transforms `data`, seen as [outer, n, inner], along its middle dimension, in place.
template <class T>
void transform_axis(KernelContext& c, std::complex<T>* data, std::int64_t outer, std::int64_t inner,
                    const Fft<T>& plan, Direction direction) {
  const std::int64_t n = plan.size();
  const T factor = direction == Direction::kInverse ? T(1) / static_cast<T>(n) : T(1);
  for_each_group<T>(
      c, outer * inner, n, [&](std::int64_t first, std::int64_t lanes, Lanes<T>& room) {
        T* re = room.re();
        T* im = room.im();
        const auto place = [&](std::int64_t lane) {
          const std::int64_t sequence = first + lane;
          return data + sequence / inner * n * inner + sequence % inner;
        };
        for (std::int64_t lane = 0; lane < lanes; ++lane) {
          const std::complex<T>* from = place(lane);
          for (std::int64_t j = 0; j < n; ++j) {
            re[j * lanes + lane] = from[j * inner].real();
            im[j * lanes + lane] = from[j * inner].imag();
          }
        }
        room.transform(plan, direction, lanes);
        for (std::int64_t lane = 0; lane < lanes; ++lane) {
          std::complex<T>* to = place(lane);
          for (std::int64_t j = 0; j < n; ++j) {
            to[j * inner] = {re[j * lanes + lane] * factor, im[j * lanes + lane] * factor};
          }
        }
      });
}

// A real transform of length n by a complex one: of half the length where n is even, with
// neighbours as real and imaginary part. `roots` are exp(-2 pi i k / n) for k <= n / 2.
template <class T>
struct RealPlan {
  RealPlan(std::int64_t length, const FftPlans<T>& plans)
      : n(length), half(n % 2 == 0 ? n / 2 : 0), plan(plans.find(half > 0 ? half : n)) {
    for (std::int64_t k = 0; half > 0 && k <= half; ++k) roots.push_back(unit_root<T>(k, n));
  }

  // One lane of the transformed numbers, as the n / 2 + 1 results.
  void unpack(const T* re, const T* im, std::int64_t step, std::complex<T>* to) const {
    if (half == 0) {
      for (std::int64_t k = 0; k <= n / 2; ++k) to[k] = {re[k * step], im[k * step]};
      return;
    }
    for (std::int64_t k = 0; k <= half; ++k) {
      const std::int64_t i = k % half * step, j = (half - k) % half * step;
      const std::complex<T> even((re[i] + re[j]) / 2, (im[i] - im[j]) / 2);
      const std::complex<T> odd((im[i] + im[j]) / 2, (re[j] - re[i]) / 2);
      const std::complex<T> w = roots[static_cast<std::size_t>(k)];
      to[k] = {even.real() + odd.real() * w.real() - odd.imag() * w.imag(),
               even.imag() + odd.real() * w.imag() + odd.imag() * w.real()};
    }
  }

  // The opposite; the first number, and the last of an even length, count as real.
  void pack(const std::complex<T>* from, T* re, T* im, std::int64_t step) const {
    const auto at = [&](std::int64_t k) {
      return k == 0 || 2 * k == n ? std::complex<T>(from[k].real(), 0) : from[k];
    };
    for (std::int64_t k = 0; half == 0 && k < n; ++k) {
      const std::complex<T> x = k <= n / 2 ? at(k) : std::conj(at(n - k));
      re[k * step] = x.real();
      im[k * step] = x.imag();
    }
    for (std::int64_t k = 0; k < half; ++k) {
      const std::complex<T> a = at(k), b = std::conj(at(half - k));
      const std::complex<T> even((a.real() + b.real()) / 2, (a.imag() + b.imag()) / 2);
      const std::complex<T> gap((a.real() - b.real()) / 2, (a.imag() - b.imag()) / 2);
      const std::complex<T> w = roots[static_cast<std::size_t>(k)];  // its conjugate turns back
      const std::complex<T> odd(gap.real() * w.real() + gap.imag() * w.imag(),
                                gap.imag() * w.real() - gap.real() * w.imag());
      re[k * step] = even.real() - odd.imag();
      im[k * step] = even.imag() + odd.real();
    }
  }

  std::int64_t n;
  std::int64_t half;  // 0 where n is odd
  std::shared_ptr<const Fft<T>> plan;
  std::vector<std::complex<T>> roots;
};

// For each row of a result the row of the input that it is made of: the middle dimensions
// may be cropped.
class RowMap {
 public:
  RowMap(const Shape& from, const Shape& to) : from_(from), to_(to) {}
  std::int64_t operator()(std::int64_t row) const {
    std::int64_t source = 0, step = 1;
    for (int axis = to_.rank() - 2; axis >= 0; --axis) {
      source += row % to_.dim(axis) * step;
      row /= to_.dim(axis);
      step *= from_.dim(axis);
    }
    return source;
  }

 private:
  const Shape& from_;
  const Shape& to_;
};

template <int kRank, Direction kDirection>
class FftKernel final : public Kernel {
 public:
  void compute(KernelContext& c) const override {
    const Tensor& x = c.input(0);
    if (x.rank() < kRank) {
      throw invalid_argument(c.node().op_name, ": the input must have rank >= ", kRank,
                             ". Details: its shape is ", x.shape(), ".");
    }
    Tensor& y = c.output_in_place(0, 0, x.shape());
    if (y.num_elements() == 0) return;
    if (y.raw_data() != x.raw_data()) std::ranges::copy(x.bytes(), y.mutable_bytes().begin());
    dispatch(Complexes{}, x.dtype(), [&]<class C>() {
      using T = typename C::value_type;
      const FftPlans<T>& plans = std::get<FftPlans<T>>(plans_);
      for (int axis = y.rank() - kRank; axis < y.rank(); ++axis) {
        const Shape& shape = y.shape();
        transform_axis<T>(c, y.mutable_data<C>(), shape.slice(0, axis).num_elements(),
                          shape.slice(axis + 1, shape.rank()).num_elements(),
                          *plans.find(shape.dim(axis)), kDirection);
      }
    });
  }

 private:
  std::tuple<FftPlans<float>, FftPlans<double>> plans_;
};

// The lengths of the transformed dimensions, checked against the input.
template <int kRank>
std::vector<std::int64_t> transform_lengths(const KernelContext& c, Direction direction) {
  const Tensor& x = c.input(0);
  const Tensor& lengths = c.input(1);
  if (x.rank() < kRank || lengths.rank() != 1 || lengths.dim(0) != kRank) {
    throw invalid_argument(c.node().op_name, ": the input must have rank >= ", kRank,
                           " and fft_length the shape [", kRank, "]. Details: ", x.shape(), " and ",
                           lengths.shape(), ".");
  }
  const std::vector<std::int64_t> result = integer_vector(c, 1, "fft_length");
  for (int i = 0; i < kRank; ++i) {
    const std::int64_t length = result[static_cast<std::size_t>(i)];
    const std::int64_t size = x.dim(x.rank() - kRank + i);
    const bool is_half = direction == Direction::kInverse && i == kRank - 1;
    if (length < 0 || (is_half ? length / 2 + 1 : length) > size) {
      throw invalid_argument(
          c.node().op_name, ": the input must hold enough for the transform, whose ",
          "length must be >= 0. Details: dimension ", i, " of the transform has ", "length ",
          length, ", the input's shape is ", x.shape(), ".");
    }
  }
  return result;
}

// The input's shape with its last dimensions replaced by `lengths`.
Shape with_lengths(const Shape& shape, std::span<const std::int64_t> lengths) {
  std::vector<std::int64_t> dims(shape.dims().begin(), shape.dims().end());
  std::ranges::copy(lengths, dims.end() - static_cast<std::ptrdiff_t>(lengths.size()));
  return Shape(dims);
}

std::int64_t half_length(std::int64_t n) { return n == 0 ? 0 : n / 2 + 1; }

void check_precision(const KernelContext& c, DType real, DType complex) {
  if ((real == DType::kFloat64) != (complex == DType::kComplex128)) {
    throw invalid_argument(c.node().op_name,
                           ": the dtypes must have the same precision. Details: ", real, " and ",
                           complex, ".");
  }
}

template <int kRank>
class RealFftKernel final : public Kernel {
 public:
  void compute(KernelContext& c) const override {
    check_precision(c, c.input(0).dtype(), c.output_dtype(0));
    dispatch(TypeList<float, double>{}, c.input(0).dtype(), [&]<class T>() { run<T>(c); });
  }

 private:
  template <class T>
  void run(KernelContext& c) const {
    const Tensor& x = c.input(0);
    std::vector<std::int64_t> lengths = transform_lengths<kRank>(c, Direction::kForward);
    const std::int64_t n = lengths.back();
    lengths.back() = half_length(n);
    Tensor& y = c.output(0, with_lengths(x.shape(), lengths));
    if (y.num_elements() == 0) return;
    const FftPlans<T>& plans = std::get<FftPlans<T>>(plans_);
    transform_rows(c, x, y, RealPlan<T>(n, plans));
    for (int axis = y.rank() - kRank; axis < y.rank() - 1; ++axis) {
      const Shape& shape = y.shape();
      transform_axis<T>(c, y.mutable_data<std::complex<T>>(), shape.slice(0, axis).num_elements(),
                        shape.slice(axis + 1, shape.rank()).num_elements(),
                        *plans.find(shape.dim(axis)), Direction::kForward);
    }
  }

  template <class T>
  static void transform_rows(KernelContext& c, const Tensor& x, Tensor& y,
                             const RealPlan<T>& plan) {
    const RowMap source(x.shape(), y.shape());
    const std::int64_t columns = x.dim(x.rank() - 1), results = y.dim(y.rank() - 1);
    const T* from = x.data<T>();
    auto* to = y.mutable_data<std::complex<T>>();
    const std::int64_t n = plan.n;
    for_each_group<T>(c, y.num_elements() / results, plan.plan->size(),
                      [&](std::int64_t first, std::int64_t lanes, Lanes<T>& room) {
                        T* re = room.re();
                        T* im = room.im();
                        for (std::int64_t lane = 0; lane < lanes; ++lane) {
                          const T* row = from + source(first + lane) * columns;
                          const std::int64_t step = plan.half > 0 ? 2 : 1;
                          for (std::int64_t j = 0; j < n / step; ++j) {
                            re[j * lanes + lane] = row[j * step];
                            im[j * lanes + lane] = plan.half > 0 ? row[j * step + 1] : 0;
                          }
                        }
                        room.transform(*plan.plan, Direction::kForward, lanes);
                        for (std::int64_t lane = 0; lane < lanes; ++lane) {
                          plan.unpack(re + lane, im + lane, lanes, to + (first + lane) * results);
                        }
                      });
  }

  std::tuple<FftPlans<float>, FftPlans<double>> plans_;
};

template <int kRank>
class InverseRealFftKernel final : public Kernel {
 public:
  void compute(KernelContext& c) const override {
    check_precision(c, c.output_dtype(0), c.input(0).dtype());
    dispatch(TypeList<float, double>{}, c.output_dtype(0), [&]<class T>() { run<T>(c); });
  }

 private:
  template <class T>
  void run(KernelContext& c) const {
    const Tensor& x = c.input(0);
    std::vector<std::int64_t> lengths = transform_lengths<kRank>(c, Direction::kInverse);
    Tensor& y = c.output(0, with_lengths(x.shape(), lengths));
    if (y.num_elements() == 0) return;
    const FftPlans<T>& plans = std::get<FftPlans<T>>(plans_);
    const RealPlan<T> plan(lengths.back(), plans);
    if (kRank == 1) return transform_rows(c, x, y, plan);
    lengths.back() = half_length(plan.n);
    Tensor cropped = crop<T>(c, x, with_lengths(x.shape(), lengths));
    for (int axis = x.rank() - kRank; axis < x.rank() - 1; ++axis) {
      const Shape& shape = cropped.shape();
      transform_axis<T>(c, cropped.mutable_data<std::complex<T>>(),
                        shape.slice(0, axis).num_elements(),
                        shape.slice(axis + 1, shape.rank()).num_elements(),
                        *plans.find(shape.dim(axis)), Direction::kInverse);
    }
    transform_rows(c, cropped, y, plan);
  }

  template <class T>
  static Tensor crop(KernelContext& c, const Tensor& x, const Shape& shape) {
    Tensor cropped = c.temporary(x.dtype(), shape);
    const RowMap source(x.shape(), shape);
    const std::int64_t columns = shape.dim(shape.rank() - 1);
    const auto* from = x.data<std::complex<T>>();
    auto* to = cropped.mutable_data<std::complex<T>>();
    for (std::int64_t row = 0; row < shape.num_elements() / columns; ++row) {
      std::copy_n(from + source(row) * x.dim(x.rank() - 1), columns, to + row * columns);
    }
    return cropped;
  }

  template <class T>
  static void transform_rows(KernelContext& c, const Tensor& x, Tensor& y,
                             const RealPlan<T>& plan) {
    const std::int64_t columns = x.dim(x.rank() - 1);
    const auto* from = x.data<std::complex<T>>();
    T* to = y.mutable_data<T>();
    const std::int64_t n = plan.n;
    const T factor = T(1) / static_cast<T>(plan.plan->size());
    for_each_group<T>(c, y.num_elements() / n, plan.plan->size(),
                      [&](std::int64_t first, std::int64_t lanes, Lanes<T>& room) {
                        T* re = room.re();
                        T* im = room.im();
                        for (std::int64_t lane = 0; lane < lanes; ++lane) {
                          plan.pack(from + (first + lane) * columns, re + lane, im + lane, lanes);
                        }
                        room.transform(*plan.plan, Direction::kInverse, lanes);
                        for (std::int64_t lane = 0; lane < lanes; ++lane) {
                          T* row = to + (first + lane) * n;
                          for (std::int64_t j = 0; j < n; ++j) {
                            const T value = plan.half == 0 ? re[j * lanes + lane]
                                            : j % 2 == 0   ? re[j / 2 * lanes + lane]
                                                           : im[j / 2 * lanes + lane];
                            row[j] = value * factor;
                          }
                        }
                      });
  }

  std::tuple<FftPlans<float>, FftPlans<double>> plans_;
};

template <int kRank>
Shapes fft_shape(ShapeContext& c) {
  return {c.at_least_rank(0, kRank)};
}

template <int kRank, Direction kDirection>
Shapes real_fft_shape(ShapeContext& c) {
  const PartialShape x = c.at_least_rank(0, kRank);
  const PartialShape vector = c.with_rank(1, 1);
  if (vector.dim(0) >= 0 && vector.dim(0) != kRank) {
    throw invalid_argument(c.node().op_name, ": fft_length must have the shape [", kRank,
                           "]. Details: it has ", vector, ".");
  }
  if (!x.has_rank()) return {PartialShape{}};
  std::vector<std::int64_t> dims(x.dims().begin(), x.dims().end());
  const Tensor* lengths = c.input_value(1);
  for (int i = 0; i < kRank; ++i) {
    std::int64_t length = -1;
    if (lengths != nullptr && lengths->num_elements() == kRank) {
      length = lengths->data<std::int32_t>()[i];
      if (length < 0) {
        throw invalid_argument(c.node().op_name, ": fft_length must be >= 0. Details: ", length,
                               ".");
      }
      if (kDirection == Direction::kForward && i == kRank - 1) length = half_length(length);
    }
    dims[dims.size() - kRank + static_cast<std::size_t>(i)] = length;
  }
  return {PartialShape(std::move(dims))};
}

constexpr OpDef kOps[] = {
    {.name = "FFT",
     .inputs = "input: Tcomplex",
     .outputs = "output: Tcomplex",
     .attrs = "Tcomplex: {complex64, complex128} = complex64",
     .shape = fft_shape<1>,
     .kernel = make_kernel<FftKernel<1, Direction::kForward>>},
    {.name = "IFFT",
     .inputs = "input: Tcomplex",
     .outputs = "output: Tcomplex",
     .attrs = "Tcomplex: {complex64, complex128} = complex64",
     .shape = fft_shape<1>,
     .kernel = make_kernel<FftKernel<1, Direction::kInverse>>},
    {.name = "FFT2D",
     .inputs = "input: Tcomplex",
     .outputs = "output: Tcomplex",
     .attrs = "Tcomplex: {complex64, complex128} = complex64",
     .shape = fft_shape<2>,
     .kernel = make_kernel<FftKernel<2, Direction::kForward>>},
    {.name = "IFFT2D",
     .inputs = "input: Tcomplex",
     .outputs = "output: Tcomplex",
     .attrs = "Tcomplex: {complex64, complex128} = complex64",
     .shape = fft_shape<2>,
     .kernel = make_kernel<FftKernel<2, Direction::kInverse>>},
    {.name = "FFT3D",
     .inputs = "input: Tcomplex",
     .outputs = "output: Tcomplex",
     .attrs = "Tcomplex: {complex64, complex128} = complex64",
     .shape = fft_shape<3>,
     .kernel = make_kernel<FftKernel<3, Direction::kForward>>},
    {.name = "IFFT3D",
     .inputs = "input: Tcomplex",
     .outputs = "output: Tcomplex",
     .attrs = "Tcomplex: {complex64, complex128} = complex64",
     .shape = fft_shape<3>,
     .kernel = make_kernel<FftKernel<3, Direction::kInverse>>},
    {.name = "RFFT",
     .inputs = "input: Treal, fft_length: int32",
     .outputs = "output: Tcomplex",
     .attrs = "Treal: {float, double} = float; Tcomplex: {complex64, complex128} = complex64",
     .shape = real_fft_shape<1, Direction::kForward>,
     .kernel = make_kernel<RealFftKernel<1>>},
    {.name = "IRFFT",
     .inputs = "input: Tcomplex, fft_length: int32",
     .outputs = "output: Treal",
     .attrs = "Treal: {float, double} = float; Tcomplex: {complex64, complex128} = complex64",
     .shape = real_fft_shape<1, Direction::kInverse>,
     .kernel = make_kernel<InverseRealFftKernel<1>>},
    {.name = "RFFT2D",
     .inputs = "input: Treal, fft_length: int32",
     .outputs = "output: Tcomplex",
     .attrs = "Treal: {float, double} = float; Tcomplex: {complex64, complex128} = complex64",
     .shape = real_fft_shape<2, Direction::kForward>,
     .kernel = make_kernel<RealFftKernel<2>>},
    {.name = "IRFFT2D",
     .inputs = "input: Tcomplex, fft_length: int32",
     .outputs = "output: Treal",
     .attrs = "Treal: {float, double} = float; Tcomplex: {complex64, complex128} = complex64",
     .shape = real_fft_shape<2, Direction::kInverse>,
     .kernel = make_kernel<InverseRealFftKernel<2>>},
    {.name = "RFFT3D",
     .inputs = "input: Treal, fft_length: int32",
     .outputs = "output: Tcomplex",
     .attrs = "Treal: {float, double} = float; Tcomplex: {complex64, complex128} = complex64",
     .shape = real_fft_shape<3, Direction::kForward>,
     .kernel = make_kernel<RealFftKernel<3>>,
     .differentiable = Differentiable::kRefused},
    {.name = "IRFFT3D",
     .inputs = "input: Tcomplex, fft_length: int32",
     .outputs = "output: Treal",
     .attrs = "Treal: {float, double} = float; Tcomplex: {complex64, complex128} = complex64",
     .shape = real_fft_shape<3, Direction::kInverse>,
     .kernel = make_kernel<InverseRealFftKernel<3>>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily math_fft_ops() { return kOps; }

}  // namespace hub
