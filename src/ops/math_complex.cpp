// Complex numbers and their parts.

#include <cmath>

#include "graph/shape_rules.h"
#include "ops/elementwise.h"

namespace hub {
namespace {

struct ComplexOp {
  using Types = WideFloats;
  static constexpr double kCost = 0.6;
  template <class T>
  static std::complex<T> apply(T real, T imaginary) {
    return {real, imaginary};
  }
};

struct RealOp {
  using Types = Complexes;
  static constexpr double kCost = 0.5;
  template <class R>
  static R apply(std::complex<R> x) {
    return x.real();
  }
};

struct ImagOp {
  using Types = Complexes;
  static constexpr double kCost = 0.5;
  template <class R>
  static R apply(std::complex<R> x) {
    return x.imag();
  }
};

struct AngleOp {
  using Types = Complexes;
  static constexpr double kCost = 20;
  template <class R>
  static R apply(std::complex<R> x) {
    return std::atan2(x.imag(), x.real());
  }
};

struct ComplexAbsOp {
  using Types = Complexes;
  static constexpr double kCost = 5;
  template <class R>
  static R apply(std::complex<R> x) {
    return std::hypot(x.real(), x.imag());
  }
};

struct ConjOp {
  using Types = Complexes;
  static constexpr double kCost = 0.6;
  template <class R>
  static std::complex<R> apply(std::complex<R> x) {
    return std::conj(x);
  }
};

// The schema allows any pair of dtypes, the loops only those of equal precision.
void check_precision(const KernelContext& c, DType complex, DType real) {
  const bool equal = complex == DType::kComplex64
                         ? real == DType::kFloat32
                         : complex == DType::kComplex128 && real == DType::kFloat64;
  if (!equal) {
    throw unimplemented(c.node().op_name, ": there is no kernel for ", complex, " and ", real, ".");
  }
}

template <class Op>
void compute_part(KernelContext& c) {
  check_precision(c, c.input(0).dtype(), c.output_dtype(0));
  run_unary(c, unary_loops<Op>, Op::kCost);
}

void compute_complex(KernelContext& c) {
  check_precision(c, c.output_dtype(0), c.input(0).dtype());
  run_binary(c, binary_loops<ComplexOp>, ComplexOp::kCost);
}

constexpr OpDef kOps[] = {
    {.name = "Complex",
     .inputs = "real: T, imag: T",
     .outputs = "out: Tout",
     .attrs = "T: {float, double} = float; Tout: {complex64, complex128} = complex64",
     .shape = broadcast_shape,
     .kernel = kernel_function<compute_complex>},
    {.name = "Real",
     .inputs = "input: T",
     .outputs = "output: Tout",
     .attrs = "T: {complex64, complex128} = complex64; Tout: {float, double} = float",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_part<RealOp>>},
    {.name = "Imag",
     .inputs = "input: T",
     .outputs = "output: Tout",
     .attrs = "T: {complex64, complex128} = complex64; Tout: {float, double} = float",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_part<ImagOp>>},
    {.name = "Angle",
     .inputs = "input: T",
     .outputs = "output: Tout",
     .attrs = "T: {complex64, complex128} = complex64; Tout: {float, double} = float",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_part<AngleOp>>},
    {.name = "ComplexAbs",
     .inputs = "x: T",
     .outputs = "y: Tout",
     .attrs = "T: {complex64, complex128} = complex64; Tout: {float, double} = float",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_part<ComplexAbsOp>>},
    {.name = "Conj",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "T: {complex64, complex128, variant} = complex64",
     .shape = unchanged_shape,
     .kernel = unary_kernel<ConjOp>},
};

}  // namespace

OpFamily math_complex_ops() { return kOps; }

}  // namespace hub
