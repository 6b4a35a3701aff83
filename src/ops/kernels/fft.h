#pragma once

#include <complex>
#include <cstdint>
#include <memory>
#include <vector>

namespace hub {

// Discrete Fourier transforms of one length n >= 1, without a factor:
//   result[k] = sum over j of x[j] * exp(-2 pi i j k / n).
// Immutable after construction: any thread may use it. T is float or double.
template <class T>
class Fft {
 public:
  explicit Fft(std::int64_t n);
  ~Fft();
  Fft(const Fft&) = delete;
  Fft& operator=(const Fft&) = delete;

  std::int64_t size() const { return size_; }

  // Transforms `lanes` sequences in place: re and im are [n, lanes], as are the two that are
  // overwritten. With re and im exchanged it is the inverse, times n. Each lane's result is
  // the same whatever the others hold and however many there are.
  void run(T* re, T* im, T* scratch_re, T* scratch_im, std::int64_t lanes) const;

 private:
  // One factor of n: `radix` transforms of length `length` are joined into one.
  struct Stage {
    int radix;
    std::int64_t length;
    std::vector<std::complex<T>> twiddles;  // [length, radix - 1]
  };
  struct ChirpPlan;

  std::int64_t size_;
  std::vector<Stage> stages_;
  std::unique_ptr<ChirpPlan> chirp_;  // where n has a large prime factor
};

extern template class Fft<float>;
extern template class Fft<double>;

// exp(-2 pi i k / n), rounded from double precision.
template <class T>
std::complex<T> unit_root(std::int64_t k, std::int64_t n);

}  // namespace hub
