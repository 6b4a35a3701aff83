#include "ops/kernels/fft.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <utility>

#include "ops/lanes.h"

namespace hub {
namespace {

// Primes above this are transformed by way of a convolution.
constexpr std::int64_t kLargestRadix = 13;
// Lanes that vectorise; the loops take multiples of it at a time.
constexpr std::int64_t kGroup = 16;

// The first stage's radices first: 4 before 2.
std::vector<int> factors_of(std::int64_t n) {
  std::vector<int> factors;
  for (const int radix : {4, 2, 3, 5, 7, 11, 13}) {
    for (; n % radix == 0; n /= radix) factors.push_back(radix);
  }
  if (n > 1) factors.clear();  // a large prime is left
  return factors;
}

// One butterfly's operands: element i of operand r is at r * step + i.
template <class T>
struct Columns {
  const T* re;
  const T* im;
  std::int64_t step;
};
template <class T>
struct Results {
  T* re;
  T* im;
  std::int64_t step;
};

template <class T>
struct Number {
  T re, im;
  Number operator+(Number other) const { return {re + other.re, im + other.im}; }
  Number operator-(Number other) const { return {re - other.re, im - other.im}; }
  Number operator*(T factor) const { return {re * factor, im * factor}; }
};

// Element i of operand r, times its twiddle factor.
template <class T>
[[gnu::always_inline]] inline Number<T> twisted(const Columns<T>& x, int r, std::int64_t i,
                                                const std::complex<T>* twiddles) {
  const T re = x.re[r * x.step + i];
  const T im = x.im[r * x.step + i];
  const T c = twiddles[r - 1].real();
  const T s = twiddles[r - 1].imag();
  return {re * c - im * s, re * s + im * c};
}

template <class T>
[[gnu::always_inline]] inline void store(const Results<T>& y, int s, std::int64_t i,
                                         Number<T> value) {
  y.re[s * y.step + i] = value.re;
  y.im[s * y.step + i] = value.im;
}

template <class T>
void butterfly2(const Columns<T>& x, const Results<T>& y, const std::complex<T>* twiddles,
                std::int64_t count) {
  for_lanes<kGroup>(count, [=](std::int64_t i) {
    const Number<T> a{x.re[i], x.im[i]};
    const Number<T> b = twisted(x, 1, i, twiddles);
    store(y, 0, i, a + b);
    store(y, 1, i, a - b);
  });
}

template <class T>
void butterfly3(const Columns<T>& x, const Results<T>& y, const std::complex<T>* twiddles,
                std::int64_t count) {
  constexpr auto kSine = static_cast<T>(0.86602540378443864676);
  for_lanes<kGroup>(count, [=](std::int64_t i) {
    const Number<T> a{x.re[i], x.im[i]};
    const Number<T> b = twisted(x, 1, i, twiddles);
    const Number<T> c = twisted(x, 2, i, twiddles);
    const Number<T> sum = b + c;
    const Number<T> middle = a - sum * T(0.5);
    const Number<T> turned = (b - c) * kSine;
    store(y, 0, i, a + sum);
    store(y, 1, i, {middle.re + turned.im, middle.im - turned.re});
    store(y, 2, i, {middle.re - turned.im, middle.im + turned.re});
  });
}

template <class T>
void butterfly4(const Columns<T>& x, const Results<T>& y, const std::complex<T>* twiddles,
                std::int64_t count) {
  for_lanes<kGroup>(count, [=](std::int64_t i) {
    const Number<T> a{x.re[i], x.im[i]};
    const Number<T> b = twisted(x, 1, i, twiddles);
    const Number<T> c = twisted(x, 2, i, twiddles);
    const Number<T> d = twisted(x, 3, i, twiddles);
    const Number<T> even = a + c, even_turned = a - c;
    const Number<T> odd = b + d, odd_turned = b - d;
    store(y, 0, i, even + odd);
    store(y, 1, i, {even_turned.re + odd_turned.im, even_turned.im - odd_turned.re});
    store(y, 2, i, even - odd);
    store(y, 3, i, {even_turned.re - odd_turned.im, even_turned.im + odd_turned.re});
  });
}

template <class T>
void butterfly5(const Columns<T>& x, const Results<T>& y, const std::complex<T>* twiddles,
                std::int64_t count) {
  constexpr auto kCosine1 = static_cast<T>(0.30901699437494742410);
  constexpr auto kCosine2 = static_cast<T>(-0.80901699437494742410);
  constexpr auto kSine1 = static_cast<T>(0.95105651629515357212);
  constexpr auto kSine2 = static_cast<T>(0.58778525229247312917);
  for_lanes<kGroup>(count, [=](std::int64_t i) {
    const Number<T> a{x.re[i], x.im[i]};
    const Number<T> b = twisted(x, 1, i, twiddles);
    const Number<T> c = twisted(x, 2, i, twiddles);
    const Number<T> d = twisted(x, 3, i, twiddles);
    const Number<T> e = twisted(x, 4, i, twiddles);
    const Number<T> outer = b + e, inner = c + d;
    const Number<T> outer_gap = b - e, inner_gap = c - d;
    const Number<T> m1 = a + outer * kCosine1 + inner * kCosine2;
    const Number<T> m2 = a + outer * kCosine2 + inner * kCosine1;
    const Number<T> t1 = outer_gap * kSine1 + inner_gap * kSine2;
    const Number<T> t2 = outer_gap * kSine2 - inner_gap * kSine1;
    store(y, 0, i, a + outer + inner);
    store(y, 1, i, {m1.re + t1.im, m1.im - t1.re});
    store(y, 2, i, {m2.re + t2.im, m2.im - t2.re});
    store(y, 3, i, {m2.re - t2.im, m2.im + t2.re});
    store(y, 4, i, {m1.re - t1.im, m1.im + t1.re});
  });
}

template <class T>
void butterfly_any(int radix, const Columns<T>& x, const Results<T>& y,
                   const std::complex<T>* twiddles, std::int64_t count) {
  std::complex<T> roots[kLargestRadix];
  for (int k = 0; k < radix; ++k) roots[k] = unit_root<T>(k, radix);
  for (std::int64_t i = 0; i < count; ++i) {
    Number<T> values[kLargestRadix];
    values[0] = {x.re[i], x.im[i]};
    for (int r = 1; r < radix; ++r) values[r] = twisted(x, r, i, twiddles);
    for (int s = 0; s < radix; ++s) {
      Number<T> sum = values[0];
      for (int r = 1; r < radix; ++r) {
        const std::complex<T> root = roots[r * s % radix];
        sum = sum + Number<T>{values[r].re * root.real() - values[r].im * root.imag(),
                              values[r].re * root.imag() + values[r].im * root.real()};
      }
      store(y, s, i, sum);
    }
  }
}

template <class T>
void butterfly(int radix, const Columns<T>& x, const Results<T>& y, const std::complex<T>* twiddles,
               std::int64_t count) {
  switch (radix) {
    case 2: return butterfly2(x, y, twiddles, count);
    case 3: return butterfly3(x, y, twiddles, count);
    case 4: return butterfly4(x, y, twiddles, count);
    case 5: return butterfly5(x, y, twiddles, count);
    default: return butterfly_any(radix, x, y, twiddles, count);
  }
}

}  // namespace

template <class T>
std::complex<T> unit_root(std::int64_t k, std::int64_t n) {
  const double angle = -2 * std::numbers::pi * static_cast<double>(k % n) / static_cast<double>(n);
  return {static_cast<T>(std::cos(angle)), static_cast<T>(std::sin(angle))};
}
template std::complex<float> unit_root<float>(std::int64_t, std::int64_t);
template std::complex<double> unit_root<double>(std::int64_t, std::int64_t);

// A transform of any length as a convolution with a chirp (Bluestein): since
// jk = (j^2 + k^2 - (k-j)^2) / 2, result[k] = w[k] * sum over j of (x[j] * w[j]) / w[k-j] with
// w[j] = exp(-pi i j^2 / n). In double precision also for float.
template <class T>
struct Fft<T>::ChirpPlan {
  explicit ChirpPlan(std::int64_t n)
      : convolution(
            static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(2 * n - 1)))) {
    chirp.reserve(static_cast<std::size_t>(n));
    std::int64_t square = 0;  // j^2 modulo 2n
    for (std::int64_t j = 0; j < n; ++j) {
      chirp.push_back(unit_root<double>(square, 2 * n));
      square = (square + 2 * j + 1) % (2 * n);
    }
    const std::int64_t m = convolution.size();
    const auto length = static_cast<std::size_t>(m);
    kernel_re.assign(length, 0);
    kernel_im.assign(length, 0);
    for (std::int64_t j = 0; j < n; ++j) {
      for (const std::int64_t at : {j, (m - j) % m}) {
        kernel_re[static_cast<std::size_t>(at)] = chirp[static_cast<std::size_t>(j)].real();
        kernel_im[static_cast<std::size_t>(at)] = -chirp[static_cast<std::size_t>(j)].imag();
      }
    }
    std::vector<double> scratch(2 * length);
    convolution.run(kernel_re.data(), kernel_im.data(), scratch.data(), scratch.data() + m, 1);
    for (double& value : kernel_re) value /= static_cast<double>(m);
    for (double& value : kernel_im) value /= static_cast<double>(m);
  }

  // One lane: its elements are `step` apart.
  void run(T* re, T* im, std::int64_t step) const {
    const std::int64_t m = convolution.size();
    const auto length = static_cast<std::size_t>(m);
    std::vector<double> work(4 * length, 0);
    double* a = work.data();
    double* b = a + m;
    for (std::size_t j = 0; j < chirp.size(); ++j) {
      const std::complex<double> x(re[static_cast<std::int64_t>(j) * step],
                                   im[static_cast<std::int64_t>(j) * step]);
      a[j] = x.real() * chirp[j].real() - x.imag() * chirp[j].imag();
      b[j] = x.real() * chirp[j].imag() + x.imag() * chirp[j].real();
    }
    convolution.run(a, b, b + m, b + 2 * m, 1);
    for (std::size_t j = 0; j < length; ++j) {
      const double product = a[j] * kernel_re[j] - b[j] * kernel_im[j];
      b[j] = a[j] * kernel_im[j] + b[j] * kernel_re[j];
      a[j] = product;
    }
    convolution.run(b, a, b + m, b + 2 * m, 1);  // exchanged: the inverse
    for (std::size_t k = 0; k < chirp.size(); ++k) {
      const auto at = static_cast<std::int64_t>(k) * step;
      re[at] = static_cast<T>(a[k] * chirp[k].real() - b[k] * chirp[k].imag());
      im[at] = static_cast<T>(a[k] * chirp[k].imag() + b[k] * chirp[k].real());
    }
  }

  Fft<double> convolution;
  std::vector<std::complex<double>> chirp;
  std::vector<double> kernel_re, kernel_im;  // transformed, divided by its length
};

template <class T>
Fft<T>::Fft(std::int64_t n) : size_(n) {
  const std::vector<int> radices = factors_of(n);
  if (radices.empty() && n > 1) {
    chirp_ = std::make_unique<ChirpPlan>(n);
    return;
  }
  std::int64_t length = 1;
  for (const int radix : radices) {
    Stage stage{radix, length, {}};
    for (std::int64_t j = 0; j < length; ++j) {
      for (int r = 1; r < radix; ++r) stage.twiddles.push_back(unit_root<T>(j * r, length * radix));
    }
    length *= radix;
    stages_.push_back(std::move(stage));
  }
}

template <class T>
Fft<T>::~Fft() = default;

// Before a stage, the array [length, n / length] holds the transforms of the sequences that
// take every (n / length)-th element; each stage joins `radix` of them (Stockham).
template <class T>
void Fft<T>::run(T* re, T* im, T* scratch_re, T* scratch_im, std::int64_t lanes) const {
  if (chirp_) {
    for (std::int64_t lane = 0; lane < lanes; ++lane) chirp_->run(re + lane, im + lane, lanes);
    return;
  }
  T *from_re = re, *from_im = im, *to_re = scratch_re, *to_im = scratch_im;
  for (const Stage& stage : stages_) {
    const std::int64_t count = size_ / (stage.length * stage.radix) * lanes;
    for (std::int64_t j = 0; j < stage.length; ++j) {
      const std::int64_t first = j * stage.radix * count;
      const Columns<T> x{from_re + first, from_im + first, count};
      const Results<T> y{to_re + j * count, to_im + j * count, stage.length * count};
      butterfly(stage.radix, x, y, stage.twiddles.data() + j * (stage.radix - 1), count);
    }
    std::swap(from_re, to_re);
    std::swap(from_im, to_im);
  }
  if (from_re != re) {
    std::copy_n(from_re, size_ * lanes, re);
    std::copy_n(from_im, size_ * lanes, im);
  }
}

template class Fft<float>;
template class Fft<double>;

}  // namespace hub
