// Ragged tensors as variants: whole or row by row, as loops over rows hold them.

#include <algorithm>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/ragged.h"

namespace hub {
namespace {

class RaggedValue final : public VariantValue {
 public:
  RaggedValue(std::vector<Tensor> row_splits, Tensor flat_values)
      : splits(std::move(row_splits)), values(std::move(flat_values)) {}
  std::string_view type_name() const override { return "RaggedTensorVariant"; }

  const std::vector<Tensor> splits;  // outermost first
  const Tensor values;
};

Tensor splits_tensor(DType dtype, const Splits& splits) {
  Tensor tensor(dtype, Shape{static_cast<std::int64_t>(splits.size())});
  for (std::size_t i = 0; i < splits.size(); ++i) {
    set_integer(tensor, static_cast<std::int64_t>(i), splits[i]);
  }
  return tensor;
}

class ToVariantKernel final : public Kernel {
 public:
  explicit ToVariantKernel(const KernelInit& init)
      : by_row_(init.attr<bool>("batched_input")),
        levels_(static_cast<int>(init.attr<std::int64_t>("RAGGED_RANK"))),
        splits_dtype_(init.attr<DType>("Tsplits")) {}

  void compute(KernelContext& context) const override {
    const Tensor& values = context.input(levels_);
    if (values.rank() < 1) {
      throw invalid_argument("RaggedTensorToVariant: the values must not be a scalar.");
    }
    const std::vector<Splits> nested = nested_splits_input(context, 0, levels_, values.dim(0));
    if (!by_row_) {
      std::vector<Tensor> splits;
      for (int i = 0; i < levels_; ++i) splits.push_back(context.input(i));
      context.output(0, Shape{}).mutable_data<Variant>()->value =
          std::make_shared<RaggedValue>(std::move(splits), values);
      return;
    }
    if (nested.empty()) {
      throw internal_error("RaggedTensorToVariant: only ragged tensors have rows to take apart.");
    }
    const auto rows = static_cast<std::int64_t>(nested[0].size()) - 1;
    Variant* result = context.output(0, Shape{rows}).mutable_data<Variant>();
    for (std::int64_t row = 0; row < rows; ++row) result[row].value = row_of(nested, values, row);
  }

 private:
  std::shared_ptr<RaggedValue> row_of(const std::vector<Splits>& nested, const Tensor& values,
                                      std::int64_t row) const {
    auto begin = static_cast<std::size_t>(nested[0][static_cast<std::size_t>(row)]);
    auto end = static_cast<std::size_t>(nested[0][static_cast<std::size_t>(row) + 1]);
    std::vector<Tensor> splits;
    for (std::size_t level = 1; level < nested.size(); ++level) {
      const Splits& all = nested[level];
      Splits own(all.begin() + static_cast<std::ptrdiff_t>(begin),
                 all.begin() + static_cast<std::ptrdiff_t>(end) + 1);
      const std::int64_t first = own[0];
      for (std::int64_t& split : own) split -= first;
      splits.push_back(splits_tensor(splits_dtype_, own));
      begin = static_cast<std::size_t>(all[begin]);
      end = static_cast<std::size_t>(all[end]);
    }
    return std::make_shared<RaggedValue>(
        std::move(splits),
        values.rows(static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end)));
  }

  bool by_row_;
  int levels_;
  DType splits_dtype_;
};

class FromVariantKernel final : public Kernel {
 public:
  explicit FromVariantKernel(const KernelInit& init)
      : input_levels_(static_cast<int>(init.attr<std::int64_t>("input_ragged_rank"))),
        output_levels_(static_cast<int>(init.attr<std::int64_t>("output_ragged_rank"))),
        values_dtype_(init.attr<DType>("Tvalues")),
        splits_dtype_(init.attr<DType>("Tsplits")) {}

  void compute(KernelContext& context) const override {
    const Tensor& encoded = context.input(0);
    const int levels = component_levels(encoded.rank());
    const std::vector<const RaggedValue*> parts = components(encoded, levels);
    if (encoded.rank() == 0) {
      for (int i = 0; i < levels; ++i) {
        context.set_output(i, parts[0]->splits[static_cast<std::size_t>(i)]);
      }
      context.set_output(levels, parts[0]->values);
    } else if (output_levels_ == 0) {
      stack_dense(context, parts);
    } else {
      stack(context, encoded.shape(), parts, levels);
    }
  }

 private:
  int component_levels(int rank) const {
    int levels = input_levels_;
    if (levels < 0) levels = output_levels_ == 0 ? 0 : output_levels_ - rank;
    const bool dense = output_levels_ == 0 && levels == 0;
    if (levels < 0 || (!dense && output_levels_ != rank + levels)) {
      throw invalid_argument(
          "RaggedTensorFromVariant: output_ragged_rank must be input_ragged_rank and the rank of "
          "the variants together. Details: ",
          output_levels_, ", ", input_levels_, ", ", rank, ".");
    }
    return levels;
  }

  std::vector<const RaggedValue*> components(const Tensor& encoded, int levels) const {
    std::vector<const RaggedValue*> parts;
    for (const Variant& variant : encoded.values<Variant>()) {
      const auto* part = dynamic_cast<const RaggedValue*>(variant.value.get());
      if (part == nullptr) {
        throw invalid_argument(
            "RaggedTensorFromVariant: each variant must hold a ragged tensor. Details: element ",
            parts.size(), " does not.");
      }
      if (static_cast<int>(part->splits.size()) != levels ||
          part->values.dtype() != values_dtype_ ||
          (levels > 0 && part->splits[0].dtype() != splits_dtype_)) {
        throw invalid_argument(
            "RaggedTensorFromVariant: a variant must hold what the attributes say. Details: "
            "element ",
            parts.size(), " has ragged rank ", part->splits.size(), " and values of ",
            part->values.dtype(), ", expected are ", levels, " and ", values_dtype_, ".");
      }
      parts.push_back(part);
    }
    return parts;
  }

  // Where there are no parts, nothing says the values' inner shape.
  void stack_dense(KernelContext& context, const std::vector<const RaggedValue*>& parts) const {
    if (parts.empty()) {
      context.output(0, Shape{0});
      return;
    }
    const Shape& first = parts[0]->values.shape();
    for (const RaggedValue* part : parts) {
      if (part->values.shape() == first) continue;
      throw invalid_argument("RaggedTensorFromVariant: dense values must have one shape. Details: ",
                             first, " and ", part->values.shape(), ".");
    }
    write_values(context, 0, parts,
                 first.with_inserted(0, static_cast<std::int64_t>(parts.size())));
  }

  void stack(KernelContext& context, const Shape& outer,
             const std::vector<const RaggedValue*>& parts, int levels) const {
    std::int64_t rows = 1;
    for (int axis = 0; axis + 1 < outer.rank(); ++axis) {
      rows *= outer.dim(axis);
      Splits uniform;
      for (std::int64_t i = 0; i <= rows; ++i) uniform.push_back(i * outer.dim(axis + 1));
      output_splits(context, axis, uniform);
    }
    Splits lengths{0};
    for (const RaggedValue* part : parts) {
      const std::int64_t length = levels > 0 ? part->splits[0].num_elements() - 1  //
                                             : part->values.dim(0);
      lengths.push_back(lengths.back() + length);
    }
    output_splits(context, outer.rank() - 1, lengths);
    for (int level = 0; level < levels; ++level) {
      Splits joined{0};
      for (const RaggedValue* part : parts) {
        const Tensor& own = part->splits[static_cast<std::size_t>(level)];
        const std::int64_t base = joined.back();
        for (std::int64_t i = 1; i < own.num_elements(); ++i) {
          joined.push_back(base + integer_at(own, i));
        }
      }
      output_splits(context, outer.rank() + level, joined);
    }
    stack_values(context, parts);
  }

  void stack_values(KernelContext& context, const std::vector<const RaggedValue*>& parts) const {
    if (parts.empty()) {
      context.output(output_levels_, Shape{0});
      return;
    }
    const Shape& first = parts[0]->values.shape();
    std::int64_t rows = 0;
    for (const RaggedValue* part : parts) {
      const Shape& shape = part->values.shape();
      if (shape.rank() != first.rank() ||
          !(shape.slice(1, shape.rank()) == first.slice(1, first.rank()))) {
        throw invalid_argument(
            "RaggedTensorFromVariant: rows of values must have one shape. Details: ", first,
            " and ", shape, ".");
      }
      rows += shape.dim(0);
    }
    write_values(context, output_levels_, parts, first.with_dim(0, rows));
  }

  static void write_values(KernelContext& context, int output,
                           const std::vector<const RaggedValue*>& parts, const Shape& shape) {
    Tensor& result = context.output(output, shape);
    std::int64_t at = 0;
    for (const RaggedValue* part : parts) {
      const std::int64_t count = part->values.num_elements();
      if (count == 0) continue;
      copy_elements(result.dtype(), part->values.raw_data(), element_at(result, at), count);
      at += count;
    }
  }

  int input_levels_;
  int output_levels_;
  DType values_dtype_;
  DType splits_dtype_;
};

// The values of the rows' gradients, one after the other; a row without one has zeros.
void variant_gradient(KernelContext& context) {
  const auto variants = context.input(0).values<Variant>();
  const Tensor& splits = context.input(1);
  const Shape shape = shape_input(context, 2, "dense_values_shape");
  const auto value_of = [&](std::size_t i) {
    return dynamic_cast<const RaggedValue*>(variants[i].value.get());
  };
  const DType dtype = context.output_dtype(0);
  for (std::size_t i = 0; i < variants.size(); ++i) {
    if (value_of(i) != nullptr && value_of(i)->values.dtype() != dtype) {
      throw invalid_argument("RaggedTensorToVariantGradient: the values must be of ", dtype,
                             ". Details: element ", i, " has ", value_of(i)->values.dtype(), ".");
    }
  }
  if (variants.size() == 1 && value_of(0) != nullptr) {
    context.set_output(0, value_of(0)->values);
    return;
  }
  Tensor& result = context.output(0, shape);
  zero_tensor(context, result);
  const std::int64_t inner = shape.rank() > 0 && shape.dim(0) > 0  //
                                 ? shape.num_elements() / shape.dim(0)
                                 : 0;
  std::int64_t at = 0;
  for (std::size_t i = 0; i < variants.size(); ++i) {
    const RaggedValue* value = value_of(i);
    std::int64_t count = 0;
    if (value != nullptr) {
      count = value->values.num_elements();
    } else if (static_cast<std::int64_t>(i) + 1 < splits.num_elements()) {
      const auto row = static_cast<std::int64_t>(i);
      count = (integer_at(splits, row + 1) - integer_at(splits, row)) * inner;
    }
    if (count < 0 || count > shape.num_elements() - at) {
      throw invalid_argument(
          "RaggedTensorToVariantGradient: the rows must be those of dense_values_shape. Details: ",
          shape, " ends in row ", i, ".");
    }
    if (value != nullptr && count > 0) {
      copy_elements(dtype, value->values.raw_data(), element_at(result, at), count);
    }
    at += count;
  }
}

Shapes to_variant_shape(ShapeContext& c) {
  const int levels = c.num_inputs() - 1;
  c.at_least_rank(levels, 1);
  for (int i = 0; i < levels; ++i) c.with_rank(i, 1);
  if (!c.attr<bool>("batched_input")) return {PartialShape::scalar()};
  const std::int64_t splits = levels > 0 ? c.with_rank(0, 1).dim(0) : -1;
  return {PartialShape{splits < 1 ? -1 : splits - 1}};
}

Shapes from_variant_shape(ShapeContext& c) {
  const std::int64_t input_levels = c.attr<std::int64_t>("input_ragged_rank");
  const std::int64_t output_levels = c.attr<std::int64_t>("output_ragged_rank");
  if (input_levels >= 0 && c.input(0).has_rank()) {
    c.with_rank(0, static_cast<int>(output_levels - input_levels));
  }
  Shapes shapes(static_cast<std::size_t>(output_levels), PartialShape{-1});
  shapes.emplace_back();
  return shapes;
}

Shapes variant_gradient_shape(ShapeContext& c) {
  const PartialShape shape = c.input_as_shape(2);
  return {shape.has_rank() ? PartialShape::unknown_dims(shape.rank()) : shape};
}

constexpr OpDef kOps[] = {
    {.name = "RaggedTensorToVariant",
     .inputs = "rt_nested_splits: RAGGED_RANK * Tsplits, rt_dense_values: Tvalues",
     .outputs = "encoded_ragged: variant",
     .attrs = "RAGGED_RANK: int >= 0; Tvalues: type; Tsplits: {int32, int64} = int64; "
              "batched_input: bool",
     .shape = to_variant_shape,
     .kernel = make_kernel<ToVariantKernel>},
    {.name = "RaggedTensorFromVariant",
     .inputs = "encoded_ragged: variant",
     .outputs = "output_nested_splits: output_ragged_rank * Tsplits, output_dense_values: Tvalues",
     .attrs = "input_ragged_rank: int >= -1; output_ragged_rank: int >= 0; Tvalues: type; "
              "Tsplits: {int32, int64} = int64",
     .shape = from_variant_shape,
     .kernel = make_kernel<FromVariantKernel>},
    {.name = "RaggedTensorToVariantGradient",
     .inputs = "encoded_ragged_grad: variant, row_splits: Tsplits, dense_values_shape: int32",
     .outputs = "dense_values_grad: Tvalues",
     .attrs = "Tvalues: type; Tsplits: {int32, int64} = int64",
     .shape = variant_gradient_shape,
     .kernel = kernel_function<variant_gradient>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily sparse_ragged_variant_ops() { return kOps; }

}  // namespace hub
