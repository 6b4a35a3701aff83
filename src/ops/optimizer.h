#pragma once

// Kernels that apply a gradient to a variable and to the slots that an optimiser keeps beside it.
// A rule says what happens to one element:
//
//   struct MomentumRule {
//     using Types = FieldTypes;
//     static constexpr std::array kSlots = {"accum"sv};
//     static constexpr std::array kScalars = {"lr"sv, "momentum"sv};
//     template <class W>
//     struct Update {
//       Update(const std::array<W, 2>& scalars, const UpdateOptions& options);
//       void operator()(W gradient, W& variable, std::array<W, 1>& slots) const;
//     };
//   };
//
// W is the type of arithmetic: float for the 16-bit floats, which are rounded once, at the end. A
// rule may have `static void check(op, scalars, options)`, for values that TensorFlow refuses, and
// `kAllOrNothing` (a wrong index is found before any row is changed) or `kNeedsColumns` (rows
// without elements are refused).

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <string_view>
#include <vector>

#include "ops/kernel.h"
#include "ops/lanes.h"
#include "ops/variable_update.h"
#include "ops/wide.h"
#include "tensor/dispatch.h"

namespace hub {

// What TensorFlow's kernels of an optimiser take.
using FieldTypes = Join<Floats, Complexes>;
using PreciseFloats = TypeList<float, double>;

struct UpdateOptions {
  bool sparse = false;  // rows by index
  bool nesterov = false;
  bool update_slots = true;
  bool multiply_linear_by_lr = false;
};

// Where an op's arguments are among its inputs.
struct OptimizerInputs {
  OptimizerInputs(const KernelInit& init, std::span<const std::string_view> slots,
                  std::span<const std::string_view> scalars);

  std::vector<int> variables;  // the variable, then its slots
  std::vector<int> scalars;
  int gradient = 0;
  int indices = -1;  // -1: dense
};

UpdateOptions update_options(const KernelInit& init);

// The variables that one op updates, locked.
class UpdatedVariables {
 public:
  // Errors: as VariableUpdate's; INVALID_ARGUMENT where the slots differ from the variable in
  // shape.
  UpdatedVariables(const KernelContext& context, const std::vector<int>& inputs, DType dtype);

  const Shape& shape() const { return variables_[0]->value.shape(); }
  // Memory to write all of variable `i` to, reading from `data(i)`: its own, or new where somebody
  // holds a snapshot of it, which `finish` makes the value.
  void* start_rewriting(std::size_t i);
  void finish();
  // Memory of variable `i` to change some rows of.
  void* writable_rows(std::size_t i) {
    variables_[i]->prepare_write(is_ref_);
    return variables_[i]->value.mutable_raw_data();
  }
  const void* data(std::size_t i) const { return variables_[i]->value.raw_data(); }

 private:
  std::vector<std::shared_ptr<VariableResource>> variables_;
  std::vector<std::unique_lock<std::mutex>> locks_;
  std::vector<Tensor> rewritten_;  // invalid: in place
  bool is_ref_;
};

// Errors: INVALID_ARGUMENT.
void check_scalars(const KernelContext& context, const std::vector<int>& inputs);
void check_dense_gradient(const KernelContext& context, const Shape& variable,
                          const Tensor& gradient);
void check_sparse_gradient(const KernelContext& context, const Shape& variable,
                           const Tensor& gradient, const Tensor& indices);
[[noreturn]] void throw_row_out_of_range(const KernelContext& context, std::int64_t position,
                                         std::int64_t index, std::int64_t rows);

[[noreturn]] void throw_no_columns(const KernelContext& context, const Shape& variable);

// indices[i]. Errors: INVALID_ARGUMENT where it is not a row.
inline std::int64_t checked_row(const KernelContext& context, const Tensor& indices, std::int64_t i,
                                std::int64_t rows) {
  const std::int64_t index = indices.dtype() == DType::kInt32 ? indices.data<std::int32_t>()[i]
                                                              : indices.data<std::int64_t>()[i];
  if (index < 0 || index >= rows) throw_row_out_of_range(context, i, index, rows);
  return index;
}

inline void check_rows(const KernelContext& context, const Tensor& indices, std::int64_t rows) {
  for (std::int64_t i = 0; i < indices.num_elements(); ++i) checked_row(context, indices, i, rows);
}

Shapes optimizer_shape(ShapeContext& c);

// The scalar in the type of arithmetic. AdagradDA's step is int64.
template <class T>
Wide<T> optimizer_scalar(const KernelContext& context, int input) {
  const Tensor& tensor = context.input(input);
  if (tensor.dtype() != dtype_of<T>) {
    return static_cast<Wide<T>>(static_cast<double>(tensor.scalar<std::int64_t>()));
  }
  return static_cast<Wide<T>>(tensor.scalar<T>());
}

template <class Rule>
class OptimizerKernel final : public Kernel {
 public:
  explicit OptimizerKernel(const KernelInit& init)
      : inputs_(init, Rule::kSlots, Rule::kScalars), options_(update_options(init)) {}

  void compute(KernelContext& context) const override {
    const Tensor& gradient = context.input(inputs_.gradient);
    {
      UpdatedVariables variables(context, inputs_.variables, gradient.dtype());
      check_scalars(context, inputs_.scalars);
      if (options_.sparse) {
        check_sparse_gradient(context, variables.shape(), gradient, context.input(inputs_.indices));
      } else {
        check_dense_gradient(context, variables.shape(), gradient);
      }
      dispatch(typename Rule::Types{}, gradient.dtype(),
               [&]<class T>() { run<T>(context, variables, gradient); });
    }
    pass_reference_on(context);
  }

 private:
  static constexpr std::size_t kVariables = 1 + Rule::kSlots.size();
  template <class T>
  using Pointers = std::array<T*, kVariables>;

  template <class T>
  void run(KernelContext& context, UpdatedVariables& variables, const Tensor& gradient) const {
    std::array<Wide<T>, Rule::kScalars.size()> scalars;
    for (std::size_t i = 0; i < scalars.size(); ++i) {
      scalars[i] = optimizer_scalar<T>(context, inputs_.scalars[i]);
    }
    if constexpr (requires { Rule::check(context.node().op_name, scalars, options_); }) {
      Rule::check(context.node().op_name, scalars, options_);
    }
    const typename Rule::template Update<Wide<T>> update(scalars, options_);
    if (options_.sparse) {
      update_rows<T>(context, variables, gradient.data<T>(), update);
    } else {
      update_all<T>(context, variables, gradient.data<T>(), update);
    }
  }

  template <class T, class Update>
  void update_all(KernelContext& context, UpdatedVariables& variables, const T* gradient,
                  const Update& update) const {
    Pointers<const T> from;
    Pointers<T> to;
    for (std::size_t i = 0; i < kVariables; ++i) {
      from[i] = static_cast<const T*>(variables.data(i));
      to[i] = static_cast<T*>(variables.start_rewriting(i));
    }
    constexpr double kCost = 0.5 + 0.5 * kVariables;
    context.parallel_for(variables.shape().num_elements(), kCost,
                         [=](std::int64_t begin, std::int64_t end) {
                           update_range<T>(update, shifted(from, begin), shifted(to, begin),
                                           gradient + begin, end - begin);
                         });
    variables.finish();
  }

  // Rows one after the other: an index may come twice.
  template <class T, class Update>
  void update_rows(const KernelContext& context, UpdatedVariables& variables, const T* gradient,
                   const Update& update) const {
    const Tensor& indices = context.input(inputs_.indices);
    if (indices.num_elements() == 0) return;
    const Shape shape = variables.shape();
    const std::int64_t row = shape.slice(1, shape.rank()).num_elements();
    if constexpr (requires { Rule::kNeedsColumns; }) {
      if (row == 0) throw_no_columns(context, shape);
    }
    if constexpr (requires { Rule::kAllOrNothing; }) check_rows(context, indices, shape.dim(0));
    Pointers<T> rows;
    for (std::size_t i = 0; i < kVariables; ++i) {
      rows[i] = static_cast<T*>(variables.writable_rows(i));
    }
    for (std::int64_t i = 0; i < indices.num_elements(); ++i) {
      const std::int64_t index = checked_row(context, indices, i, shape.dim(0));
      const Pointers<T> to = shifted(rows, index * row);
      Pointers<const T> from;
      std::copy(to.begin(), to.end(), from.begin());
      update_range<T>(update, from, to, gradient + i * row, row);
    }
  }

  template <class P>
  static P shifted(P pointers, std::int64_t offset) {
    for (auto& pointer : pointers) pointer += offset;
    return pointers;
  }

  template <class T, class Update>
  static void update_range(const Update& update, const Pointers<const T>& from,
                           const Pointers<T>& to, const T* gradient, std::int64_t count) {
    using W = Wide<T>;
    for_lanes<16>(count, [&](std::int64_t i) {
      std::array<W, kVariables - 1> slots;
      W variable = static_cast<W>(from[0][i]);
      for (std::size_t k = 1; k < kVariables; ++k) slots[k - 1] = static_cast<W>(from[k][i]);
      update(static_cast<W>(gradient[i]), variable, slots);
      to[0][i] = static_cast<T>(variable);
      for (std::size_t k = 1; k < kVariables; ++k) to[k][i] = static_cast<T>(slots[k - 1]);
    });
  }

  OptimizerInputs inputs_;
  UpdateOptions options_;
};

// -1, 0 or 1; NaN for NaN.
template <class W>
W sign_of(W x) {
  return x != x ? x : static_cast<W>((x > 0) - (x < 0));
}

// The point that the penalties on its absolute value and its square pull nearest to zero.
template <class W>
W proximal(W point, W rate, W l1, W l2) {
  const W kept = l1 > 0 ? sign_of(point) * std::max(std::abs(point) - rate * l1, W{0}) : point;
  return kept / (1 + rate * l2);
}

}  // namespace hub
