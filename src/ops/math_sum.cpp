// Sums of many tensors, clipping, checking, and evenly spaced numbers.

#include <cmath>
#include <span>
#include <vector>

#include "graph/shape_rules.h"
#include "ops/elementwise.h"
#include "ops/tensor_list.h"
#include "ops/wide.h"

namespace hub {
namespace {

struct AddendOp {
  using Types = WideNumbers;
  static constexpr double kCost = 0.4;
  template <class T>
  static T apply(T sum, T x) {
    return add(sum, x);
  }
};

// Adds all terms in their order, block by block. Half and bfloat16 are added as floats and
// rounded once.
void add_blocks(std::span<const Tensor* const> terms, Tensor& sum, BinaryLoop loop,
                std::int64_t begin, std::int64_t end) {
  const DType dtype = sum.dtype();
  const std::size_t size = dtype_size(dtype);
  const bool widens = wide_dtype(dtype) != dtype;
  Broadcast::Scratch wide_sum, wide;
  for (std::int64_t n; begin < end; begin += n) {
    n = std::min(Broadcast::kBlock, end - begin);
    const std::size_t offset = static_cast<std::size_t>(begin) * size;
    const auto elements = [&](const Tensor& term, Broadcast::Scratch& scratch) -> const void* {
      const auto* data = static_cast<const std::byte*>(term.raw_data()) + offset;
      if (!widens) return data;
      widen(dtype, data, n, scratch.bytes);
      return scratch.bytes;
    };
    void* result = static_cast<std::byte*>(sum.mutable_raw_data()) + offset;
    void* partial = widens ? wide_sum.bytes : result;
    const void* first = elements(*terms.front(), wide_sum);
    for (const Tensor* term : terms.subspan(1)) {
      loop(first, elements(*term, wide), partial, n, Repeated::kNone);
      first = partial;
    }
    if (widens) narrow(dtype, wide_sum.bytes, n, result);
  }
}

BinaryLoop adding_loop(const KernelContext& c, DType dtype) {
  const BinaryLoop loop = binary_loops<AddendOp>.find(dtype);
  if (loop == nullptr) {
    throw unimplemented(c.node().op_name, ": there is no kernel for dtype ", dtype, ".");
  }
  return loop;
}

void check_same_shape(const KernelContext& c, const Shape& a, const Shape& b) {
  if (a != b) {
    throw invalid_argument(c.node().op_name, ": all terms must have the same shape. Details: ", a,
                           " and ", b, ".");
  }
}

Tensor sum_of_variants(const KernelContext& c, const Tensor& a, const Tensor& b);

// The sum of two elements of lists; one that was not set counts as zero.
Tensor sum_of_elements(const KernelContext& c, const Tensor& a, const Tensor& b) {
  if (!a.is_valid()) return b;
  if (!b.is_valid()) return a;
  check_same_shape(c, a.shape(), b.shape());
  if (a.dtype() == DType::kVariant) return sum_of_variants(c, a, b);
  Tensor sum(a.dtype(), a.shape());
  const Tensor* terms[] = {&a, &b};
  add_blocks(terms, sum, adding_loop(c, a.dtype()), 0, sum.num_elements());
  return sum;
}

// Variants are added where they are lists, element by element.
Tensor sum_of_variants(const KernelContext& c, const Tensor& a, const Tensor& b) {
  const auto list_in = [&](const Tensor& tensor) -> const TensorList& {
    const auto* list = tensor.num_elements() == 1 && tensor.rank() == 0
                           ? dynamic_cast<const TensorList*>(tensor.scalar<Variant>().value.get())
                           : nullptr;
    if (list == nullptr) {
      throw invalid_argument(c.node().op_name, ": variants must be scalars that hold lists.");
    }
    return *list;
  };
  const TensorList& x = list_in(a);
  const TensorList& y = list_in(b);
  if (x.dtype != y.dtype || x.elements.size() != y.elements.size()) {
    throw invalid_argument(
        c.node().op_name,
        ": lists must have the same dtype and length. Details: ", x.elements.size(), " of ",
        x.dtype, " and ", y.elements.size(), " of ", y.dtype, ".");
  }
  auto sum = std::make_shared<TensorList>(x);
  sum->element_shape = x.element_shape.merge_with(y.element_shape);
  for (std::size_t i = 0; i < x.elements.size(); ++i) {
    sum->elements[i] = sum_of_elements(c, x.elements[i], y.elements[i]);
  }
  return make_scalar(Variant{std::move(sum)});
}

void compute_add_n(KernelContext& c) {
  const Tensor& first = c.input(0);
  std::vector<const Tensor*> terms;
  // A term that occurs twice must not be written over between.
  bool alone = true;
  for (int i = 0; i < c.num_inputs(); ++i) {
    const Tensor& term = c.input(i);
    check_same_shape(c, first.shape(), term.shape());
    alone = alone && (i == 0 || !term.shares_buffer_with(first));
    terms.push_back(&term);
  }
  if (terms.size() == 1) return c.set_output(0, first);
  if (first.dtype() == DType::kVariant) {
    Tensor sum = first;
    for (const Tensor* term : std::span(terms).subspan(1)) sum = sum_of_variants(c, sum, *term);
    return c.set_output(0, std::move(sum));
  }
  const BinaryLoop loop = adding_loop(c, first.dtype());
  const Shape shape = first.shape();
  Tensor& sum = alone ? c.output_in_place(0, 0, shape) : c.output(0, shape);
  const double cost_ns = AddendOp::kCost * static_cast<double>(terms.size());
  c.parallel_for(sum.num_elements(), cost_ns, [&](std::int64_t begin, std::int64_t end) {
    add_blocks(terms, sum, loop, begin, end);
  });
}

Shapes accumulate_shape(ShapeContext& c) {
  return {merged_shape(c).front().merge_with(c.attr<PartialShape>("shape"))};
}

// Where the bounds cross, the lower one wins; a bound that is NaN does not bound.
template <class T>
T clip(T x, T low, T high) {
  if constexpr (kIsComplex<T>) {
    return T(clip(x.real(), low.real(), high.real()), clip(x.imag(), low.imag(), high.imag()));
  } else {
    const T below = high < x ? high : x;
    return below < low ? low : below;
  }
}

void compute_clip(KernelContext& c) {
  const Tensor& x = c.input(0);
  const Tensor& low = c.input(1);
  const Tensor& high = c.input(2);
  for (const Tensor* bound : {&low, &high}) {
    if (bound->rank() != 0 && bound->shape() != x.shape()) {
      throw invalid_argument(
          "ClipByValue: the bounds must be scalars or have the shape of the input. Details: input ",
          x.shape(), ", clip_value_min ", low.shape(), ", clip_value_max ", high.shape(), ".");
    }
  }
  Tensor& y = c.output_in_place(0, 0, x.shape());
  dispatch(Numbers{}, x.dtype(), [&]<class T>() {
    const T* from = x.data<T>();
    const T* lows = low.data<T>();
    const T* highs = high.data<T>();
    T* to = y.mutable_data<T>();
    if (low.rank() == 0 && high.rank() == 0) {
      const auto least = static_cast<Wide<T>>(*lows);
      const auto most = static_cast<Wide<T>>(*highs);
      return c.parallel_for(x.num_elements(), 0.4, [=](std::int64_t begin, std::int64_t end) {
        for_lanes(end - begin, [=](std::int64_t i) {
          to[begin + i] = static_cast<T>(clip(static_cast<Wide<T>>(from[begin + i]), least, most));
        });
      });
    }
    const std::int64_t low_step = low.rank() == 0 ? 0 : 1;
    const std::int64_t high_step = high.rank() == 0 ? 0 : 1;
    c.parallel_for(x.num_elements(), 0.6, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        to[i] = static_cast<T>(clip(static_cast<Wide<T>>(from[i]),
                                    static_cast<Wide<T>>(lows[i * low_step]),
                                    static_cast<Wide<T>>(highs[i * high_step])));
      }
    });
  });
}

class CheckNumericsKernel final : public Kernel {
 public:
  explicit CheckNumericsKernel(const KernelInit& init)
      : message_(init.attr<std::string>("message")), signs_(init.op() == "CheckNumericsV2") {}

  void compute(KernelContext& c) const override {
    const Tensor& x = c.input(0);
    bool nan = false, low = false, high = false;
    dispatch(Floats{}, x.dtype(), [&]<class T>() {
      if (all_finite<T>(x)) return;
      for (const T& element : x.values<T>()) {
        const auto value = static_cast<Wide<T>>(element);
        nan |= std::isnan(value);
        low |= std::isinf(value) && value < 0;
        high |= std::isinf(value) && value > 0;
      }
    });
    if (nan || low || high) {
      throw invalid_argument(message_, " : Tensor had ", found(nan, low, high), " values");
    }
    c.set_output(0, x);
  }

 private:
  // A number times zero is zero; infinities and NaN make the sum NaN.
  template <class T>
  static bool all_finite(const Tensor& x) {
    const T* values = x.data<T>();
    Wide<T> lanes[32] = {};
    const std::int64_t count = x.num_elements();
    std::int64_t i = 0;
    for (; i + 32 <= count; i += 32) {
      for (int lane = 0; lane < 32; ++lane)
        lanes[lane] += static_cast<Wide<T>>(values[i + lane]) * 0;
    }
    for (; i < count; ++i) lanes[0] += static_cast<Wide<T>>(values[i]) * 0;
    for (const Wide<T> lane : lanes) {
      if (lane != 0) return false;
    }
    return true;
  }

  std::string found(bool nan, bool low, bool high) const {
    std::vector<std::string_view> words;
    if (signs_) {
      if (low) words.push_back("-Inf");
      if (high) words.push_back("+Inf");
    } else if (low || high) {
      words.push_back("Inf");
    }
    if (nan) words.push_back("NaN");
    return join(words, " and ");
  }

  std::string message_;
  bool signs_;
};

void compute_lin_space(KernelContext& c) {
  for (int i = 0; i < 3; ++i) {
    if (c.input(i).rank() != 0) {
      throw invalid_argument("LinSpace: start, stop and num must be scalars. Details: input ", i,
                             " has shape ", c.input(i).shape(), ".");
    }
  }
  const std::int64_t count = integer_scalar(c, 2, "num");
  if (count <= 0) throw invalid_argument("LinSpace: num must be positive. Details: ", count, ".");
  Tensor& y = c.output(0, Shape{count});
  dispatch(Floats{}, y.dtype(), [&]<class T>() {
    const auto start = static_cast<Wide<T>>(c.input(0).scalar<T>());
    const auto stop = static_cast<Wide<T>>(c.input(1).scalar<T>());
    T* out = y.mutable_data<T>();
    const Wide<T> step = count == 1 ? 0 : (stop - start) / static_cast<Wide<T>>(count - 1);
    for (std::int64_t i = 0; i < count; ++i) {
      out[i] = static_cast<T>(start + step * static_cast<Wide<T>>(i));
    }
    if (count > 1) out[count - 1] = static_cast<T>(stop);
  });
}

Shapes lin_space_shape(ShapeContext& c) {
  for (int i = 0; i < 3; ++i) c.with_rank(i, 0);
  const auto count = c.input_as_int(2);
  if (count && *count <= 0 && c.input_value(2) != nullptr) {
    throw invalid_argument("LinSpace: num must be positive. Details: ", *count, ".");
  }
  return {PartialShape{count && *count > 0 ? *count : -1}};
}

constexpr OpDef kOps[] = {
    {.name = "AddN",
     .inputs = "inputs: N * T",
     .outputs = "sum: T",
     .attrs = "N: int >= 1; T: {float, double, int32, uint8, int16, int8, complex64, int64, qint8, "
              "quint8, qint32, bfloat16, qint16, quint16, uint16, complex128, half, uint32, "
              "uint64, variant}",
     .shape = merged_shape,
     .kernel = kernel_function<compute_add_n>,
     .commutative = true,
     .aggregate = true},
    {.name = "AccumulateNV2",
     .inputs = "inputs: N * T",
     .outputs = "sum: T",
     .attrs = "N: int >= 1; T: numbertype; shape: shape",
     .shape = accumulate_shape,
     .kernel = kernel_function<compute_add_n>,
     .commutative = true,
     .aggregate = true},
    {.name = "ClipByValue",
     .inputs = "t: T, clip_value_min: T, clip_value_max: T",
     .outputs = "output: T",
     .attrs = "T: numbertype",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_clip>},
    {.name = "CheckNumerics",
     .inputs = "tensor: T",
     .outputs = "output: T",
     .attrs = "T: {bfloat16, half, float, double}; message: string",
     .shape = unchanged_shape,
     .kernel = make_kernel<CheckNumericsKernel>,
     .stateful = true},
    {.name = "CheckNumericsV2",
     .inputs = "tensor: T",
     .outputs = "output: T",
     .attrs = "T: {bfloat16, half, float, double}; message: string",
     .shape = unchanged_shape,
     .kernel = make_kernel<CheckNumericsKernel>,
     .stateful = true},
    {.name = "LinSpace",
     .inputs = "start: T, stop: T, num: Tidx",
     .outputs = "output: T",
     .attrs = "T: {bfloat16, half, float, double}; Tidx: {int32, int64} = int32",
     .shape = lin_space_shape,
     .kernel = kernel_function<compute_lin_space>,
     .differentiable = Differentiable::kNone},
};

}  // namespace

OpFamily math_sum_ops() { return kOps; }

}  // namespace hub
