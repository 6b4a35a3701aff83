// Einsum of one or two inputs: what only one input has is summed first, then both are
// arranged as batches of matrices and multiplied, then the axes are put in order.

#include <algorithm>
#include <map>

#include "graph/shape_rules.h"
#include "ops/einsum.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/matmul.h"
#include "ops/reduce_driver.h"

namespace hub {
namespace {

using Labels = std::vector<EinsumLabel>;

bool contains(const Labels& labels, EinsumLabel label) {
  return std::ranges::find(labels, label) != labels.end();
}

// Sizes of all labels; ellipsis axes broadcast, others must agree.
class LabelSizes {
 public:
  void add(EinsumLabel label, std::int64_t size) {
    const auto [entry, is_new] = sizes_.try_emplace(label, size);
    std::int64_t& known = entry->second;
    if (is_new || known == size) return;
    if (is_ellipsis_label(label) && (known == 1 || size == 1)) {
      // An axis of unknown size could still be 1.
      known = known == 1 ? size : known;
      return;
    }
    if (known < 0 || size < 0) {
      known = std::max(known, size);
      return;
    }
    throw invalid_argument("Einsum: axes of one label must have one size. Details: ", known,
                           " and ", size, ".");
  }
  std::int64_t operator[](EinsumLabel label) const { return sizes_.at(label); }

 private:
  std::map<EinsumLabel, std::int64_t> sizes_;
};

void check_ellipsis(const EinsumEquation& equation, int ellipsis_rank) {
  if (ellipsis_rank == 0 || equation.output.has_ellipsis()) return;
  throw invalid_argument(
      "Einsum: the output must have an ellipsis where the inputs do. Details: it stands for ",
      ellipsis_rank, " axes.");
}

Shapes einsum_shape(ShapeContext& c) {
  const EinsumEquation equation = parse_einsum(c.attr<std::string>("equation"), c.num_inputs());
  LabelSizes sizes;
  int ellipsis_rank = 0;
  bool is_known = true;
  for (int i = 0; i < c.num_inputs(); ++i) {
    const EinsumSubscript& subscript = equation.inputs[static_cast<std::size_t>(i)];
    const PartialShape& shape = c.input(i);
    if (!shape.has_rank()) {
      is_known = is_known && !subscript.has_ellipsis();
      for (const EinsumLabel label : subscript.labels) sizes.add(label, -1);
      continue;
    }
    const Labels labels = subscript.expanded_to(shape.rank());
    for (std::size_t axis = 0; axis < labels.size(); ++axis)
      sizes.add(labels[axis], shape.dim(static_cast<int>(axis)));
    ellipsis_rank =
        std::max(ellipsis_rank, shape.rank() - static_cast<int>(subscript.labels.size()));
  }
  if (!is_known && equation.output.has_ellipsis()) return {PartialShape{}};
  check_ellipsis(equation, ellipsis_rank);
  std::vector<std::int64_t> dims;
  for (const EinsumLabel label : equation.output.expanded(ellipsis_rank))
    dims.push_back(sizes[label]);
  return {PartialShape(std::move(dims))};
}

// A tensor whose axes have names, each name once. Its elements may lie apart.
struct Operand {
  Tensor tensor;
  Labels labels;
  std::vector<std::int64_t> sizes;
  std::vector<std::int64_t> strides;

  std::size_t axis(EinsumLabel label) const {
    return static_cast<std::size_t>(std::ranges::find(labels, label) - labels.begin());
  }
  std::int64_t size(EinsumLabel label) const { return sizes[axis(label)]; }
  std::int64_t product(const Labels& of) const {
    std::int64_t result = 1;
    for (const EinsumLabel label : of) result *= size(label);
    return result;
  }
};

// Axes that share a label become their diagonal.
Operand make_operand(const Tensor& tensor, const Labels& labels) {
  Operand operand;
  operand.tensor = tensor;
  std::vector<std::int64_t> strides(labels.size());
  row_major_strides(tensor.shape().dims(), strides);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (contains(operand.labels, labels[i])) {
      operand.strides[operand.axis(labels[i])] += strides[i];
    } else {
      operand.labels.push_back(labels[i]);
      operand.sizes.push_back(tensor.dim(static_cast<int>(i)));
      operand.strides.push_back(strides[i]);
    }
  }
  return operand;
}

bool is_in_order(const Operand& operand, const Labels& order) {
  std::int64_t stride = 1;
  for (std::size_t i = order.size(); i-- > 0;) {
    const std::size_t axis = operand.axis(order[i]);
    if (operand.sizes[axis] != 1 && operand.strides[axis] != stride) return false;
    stride *= operand.sizes[axis];
  }
  return stride == operand.tensor.num_elements();
}

// The elements one after the other, in this order of axes: a copy, unless they lie so.
Operand arranged(KernelContext& ctx, const Operand& operand, const Labels& order) {
  Operand result;
  result.labels = order;
  for (const EinsumLabel label : order) result.sizes.push_back(operand.size(label));
  result.strides.resize(order.size());
  row_major_strides(result.sizes, result.strides);
  const Shape shape(result.sizes);
  if (is_in_order(operand, order)) {
    result.tensor = operand.tensor.reshaped(shape);
    return result;
  }
  result.tensor = ctx.temporary(operand.tensor.dtype(), shape);
  if (shape.num_elements() == 0) return result;
  std::vector<CopyAxis> axes;
  for (std::size_t i = 0; i < order.size(); ++i) {
    axes.push_back({result.sizes[i], operand.strides[operand.axis(order[i])], result.strides[i]});
  }
  copy_box(ctx, operand.tensor.dtype(), axes, operand.tensor.raw_data(),
           result.tensor.mutable_raw_data());
  return result;
}

Labels joined(Labels first, const Labels& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// Sums over the labels for which `is_gone`.
template <class IsGone>
Operand sum_over(KernelContext& ctx, const Operand& operand, IsGone&& is_gone) {
  Labels kept, gone;
  for (const EinsumLabel label : operand.labels) (is_gone(label) ? gone : kept).push_back(label);
  if (gone.empty()) return operand;
  const Operand source = arranged(ctx, operand, joined(kept, gone));
  Operand result;
  result.labels = kept;
  for (const EinsumLabel label : kept) result.sizes.push_back(operand.size(label));
  result.strides.resize(kept.size());
  row_major_strides(result.sizes, result.strides);
  result.tensor = ctx.temporary(operand.tensor.dtype(), Shape(result.sizes));
  std::vector<bool> reduced(kept.size() + gone.size(), true);
  std::fill_n(reduced.begin(), kept.size(), false);
  reduce(ctx, sum_loops(operand.tensor.dtype()), source.tensor, reduced, result.tensor);
  return result;
}

// The roles of the labels in a product. Ellipsis axes are the outermost batch axes of either
// side; they may be missing or 1 in one of them.
struct Roles {
  Labels a_ellipsis, b_ellipsis, batch, a_free, b_free, contracted;

  Roles(const Operand& a, const Operand& b, const Labels& output) {
    for (const EinsumLabel label : a.labels) {
      if (is_ellipsis_label(label)) {
        a_ellipsis.push_back(label);
      } else if (!contains(b.labels, label)) {
        a_free.push_back(label);
      } else {
        (contains(output, label) ? batch : contracted).push_back(label);
      }
    }
    for (const EinsumLabel label : b.labels) {
      if (is_ellipsis_label(label)) {
        b_ellipsis.push_back(label);
      } else if (!contains(a.labels, label)) {
        b_free.push_back(label);
      }
    }
  }
};

// `operand` as matrices [batch..., rows, columns], or transposed where that needs no copy.
Operand as_matrices(KernelContext& ctx, const Operand& operand, const Labels& batch,
                    const Labels& rows, const Labels& columns, bool& transposed) {
  const Labels swapped = joined(joined(batch, columns), rows);
  transposed = !rows.empty() && !columns.empty() && is_in_order(operand, swapped);
  return arranged(ctx, operand, transposed ? swapped : joined(joined(batch, rows), columns));
}

Shape sizes_of(const Operand& operand, const Labels& labels) {
  std::vector<std::int64_t> sizes;
  for (const EinsumLabel label : labels) sizes.push_back(operand.size(label));
  return Shape(sizes);
}

// The product of two operands: its axes are [ellipsis..., batch..., a's own..., b's own...].
Operand product_of(KernelContext& ctx, const dnn::Matmul& matmul, const Operand& a,
                   const Operand& b, const Labels& output) {
  const Roles roles(a, b, output);
  const Labels a_batch = joined(roles.a_ellipsis, roles.batch);
  const Labels b_batch = joined(roles.b_ellipsis, roles.batch);
  MatrixSide a_side, b_side;
  const Operand left =
      as_matrices(ctx, a, a_batch, roles.a_free, roles.contracted, a_side.transposed);
  const Operand right =
      as_matrices(ctx, b, b_batch, roles.contracted, roles.b_free, b_side.transposed);
  MatrixProducts products;
  products.shape = {a.product(roles.a_free), a.product(roles.contracted), b.product(roles.b_free)};
  const Shape a_batch_shape = sizes_of(a, a_batch);
  const Shape b_batch_shape = sizes_of(b, b_batch);
  const Shape batch = broadcast_batch(a_batch_shape, b_batch_shape, products);

  const auto& [m, k, n, unused] = products.shape;
  const auto matrices = [](const Operand& operand, const Shape& outer, std::int64_t rows,
                           std::int64_t columns) {
    return operand.tensor.reshaped(Shape{outer.num_elements(), rows, columns});
  };
  const Tensor x =
      matrices(left, a_batch_shape, a_side.transposed ? k : m, a_side.transposed ? m : k);
  const Tensor y =
      matrices(right, b_batch_shape, b_side.transposed ? n : k, b_side.transposed ? k : n);
  Tensor result = ctx.temporary(x.dtype(), Shape{batch.num_elements(), m, n});
  multiply_matrices(ctx, matmul, x, a_side, y, b_side, products, result);

  const Labels& ellipsis =
      roles.a_ellipsis.size() > roles.b_ellipsis.size() ? roles.a_ellipsis : roles.b_ellipsis;
  const Labels labels = joined(joined(joined(ellipsis, roles.batch), roles.a_free), roles.b_free);
  std::vector<std::int64_t> dims(batch.dims().begin(), batch.dims().end());
  for (const EinsumLabel label : roles.a_free) dims.push_back(a.size(label));
  for (const EinsumLabel label : roles.b_free) dims.push_back(b.size(label));
  return make_operand(result.reshaped(Shape(dims)), labels);
}

// Puts the axes in the output's order. A label that comes twice there makes a diagonal.
void write_output(KernelContext& ctx, const Operand& operand, const Labels& output) {
  Labels once;
  for (const EinsumLabel label : output) {
    if (!contains(once, label)) once.push_back(label);
  }
  if (once.size() == output.size()) {
    ctx.set_output(0, arranged(ctx, operand, output).tensor);
    return;
  }
  std::vector<std::int64_t> dims;
  for (const EinsumLabel label : output) dims.push_back(operand.size(label));
  Tensor& result = ctx.output(0, operand.tensor.dtype(), Shape(dims));
  zero_tensor(ctx, result);
  if (result.num_elements() == 0) return;
  std::vector<std::int64_t> strides(dims.size());
  row_major_strides(dims, strides);
  std::vector<CopyAxis> axes;
  for (const EinsumLabel label : once) {
    std::int64_t to = 0;
    for (std::size_t i = 0; i < output.size(); ++i) to += output[i] == label ? strides[i] : 0;
    axes.push_back({operand.size(label), operand.strides[operand.axis(label)], to});
  }
  copy_box(ctx, operand.tensor.dtype(), axes, operand.tensor.raw_data(), result.mutable_raw_data());
}

class EinsumKernel final : public Kernel {
 public:
  explicit EinsumKernel(const KernelInit& init)
      : equation_(parse_einsum(init.attr<std::string>("equation"), init.num_inputs())) {}

  void compute(KernelContext& ctx) const override {
    std::vector<Operand> operands;
    LabelSizes sizes;
    int ellipsis_rank = 0;
    for (int i = 0; i < ctx.num_inputs(); ++i) {
      const EinsumSubscript& subscript = equation_.inputs[static_cast<std::size_t>(i)];
      const Tensor& tensor = ctx.input(i);
      const Labels labels = subscript.expanded_to(tensor.rank());
      for (std::size_t axis = 0; axis < labels.size(); ++axis)
        sizes.add(labels[axis], tensor.dim(static_cast<int>(axis)));
      ellipsis_rank =
          std::max(ellipsis_rank, tensor.rank() - static_cast<int>(subscript.labels.size()));
      operands.push_back(make_operand(tensor, labels));
    }
    check_ellipsis(equation_, ellipsis_rank);
    const Labels output = equation_.output.expanded(ellipsis_rank);
    for (std::size_t i = 0; i < operands.size(); ++i) {
      operands[i] = sum_over(ctx, operands[i], [&](EinsumLabel label) {
        return !contains(output, label) &&
               !(operands.size() == 2 && contains(operands[1 - i].labels, label));
      });
    }
    if (operands.size() == 1) {
      write_output(ctx, operands[0], output);
      return;
    }
    if (second_comes_first(operands[0], operands[1], output)) std::swap(operands[0], operands[1]);
    write_output(ctx, product_of(ctx, matmul_, operands[0], operands[1], output), output);
  }

 private:
  // Whether the axes that only b has come before those of a in the output.
  static bool second_comes_first(const Operand& a, const Operand& b, const Labels& output) {
    for (const EinsumLabel label : output) {
      const bool in_a = contains(a.labels, label);
      const bool in_b = contains(b.labels, label);
      if (in_a != in_b && !is_ellipsis_label(label)) return in_b;
    }
    return false;
  }

  const EinsumEquation equation_;
  dnn::Matmul matmul_;
};

constexpr OpDef kOps[] = {
    {.name = "Einsum",
     .inputs = "inputs: N * T",
     .outputs = "output: T",
     .attrs = "equation: string; N: int >= 1; T: type",
     .shape = einsum_shape,
     .kernel = make_kernel<EinsumKernel>},
};

}  // namespace

OpFamily linalg_einsum_ops() { return kOps; }

}  // namespace hub
