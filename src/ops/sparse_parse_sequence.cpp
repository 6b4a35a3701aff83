// SequenceExample records to tensors: features of the context, and lists of features, which
// have a time dimension.

#include <algorithm>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/elements.h"
#include "ops/example_columns.h"
#include "ops/kernel.h"
#include "ops/sparse_tensor.h"

namespace hub {
namespace {

// A feature list in all records: a column whose lengths are those of the steps.
struct ListColumn {
  Column column;
  std::vector<std::int64_t> steps;  // of each record
};

// One kind of feature: its keys, its types, and where its outputs begin.
struct Kind {
  int keys = 0;     // input
  int outputs = 0;  // the first
  std::vector<DType> types;
  std::vector<Shape> shapes = {};  // of dense ones
};

std::vector<Shape> full_shapes(const KernelInit& init, std::string_view attr) {
  std::vector<Shape> shapes;
  for (const PartialShape& shape : init.attr<AttrList>(attr).shapes) {
    const auto full = shape.as_shape();
    if (!full)
      throw invalid_argument(init.op(), ": a dense shape must be known. Details: ", shape, ".");
    shapes.push_back(*full);
  }
  return shapes;
}

class ParseSequenceExampleKernel final : public Kernel {
 public:
  explicit ParseSequenceExampleKernel(const KernelInit& init) {
    const auto kind = [&](int keys, std::string_view outputs, std::string_view types) {
      return Kind{.keys = keys,
                  .outputs = init.output_range(outputs).begin,
                  .types = init.attr<AttrList>(types).types};
    };
    context_sparse_ = kind(2, "context_sparse_indices", "context_sparse_types");
    context_dense_ = kind(3, "context_dense_values", "Tcontext_dense");
    context_ragged_ = kind(4, "context_ragged_values", "context_ragged_value_types");
    list_sparse_ = kind(5, "feature_list_sparse_indices", "feature_list_sparse_types");
    list_dense_ = kind(6, "feature_list_dense_values", "feature_list_dense_types");
    list_ragged_ = kind(7, "feature_list_ragged_values", "feature_list_ragged_value_types");
    context_dense_.shapes = full_shapes(init, "context_dense_shapes");
    list_dense_.shapes = full_shapes(init, "feature_list_dense_shapes");
    if (context_dense_.shapes.size() != context_dense_.types.size() ||
        list_dense_.shapes.size() != list_dense_.types.size()) {
      throw invalid_argument("ParseSequenceExampleV2: each dense feature has a shape.");
    }
  }

  void compute(KernelContext& context) const override {
    const Tensor& serialized = context.input(0);
    if (serialized.rank() > 1) {
      throw invalid_argument(
          "ParseSequenceExampleV2: serialized must be a scalar or vector. Details: its shape is ",
          serialized.shape(), ".");
    }
    std::vector<SequenceExample> records;
    for (const std::string& bytes : serialized.values<std::string>()) {
      auto record = parse_sequence_example(bytes);
      if (!record) {
        throw invalid_argument(
            "ParseSequenceExampleV2: a record must be a SequenceExample. Details: \"",
            printable(bytes), "\".");
      }
      records.push_back(std::move(*record));
    }
    const bool batched = serialized.rank() == 1;
    context_sparse(context, records, batched);
    context_dense(context, records, batched);
    context_ragged(context, records, batched);
    list_sparse(context, records, batched);
    list_dense(context, records, batched);
    list_ragged(context, records, batched);
  }

 private:
  using Records = std::vector<SequenceExample>;

  static std::string key(const KernelContext& context, const Kind& kind, std::size_t i) {
    const Tensor& keys = context.input(kind.keys);
    check_rank(context, kind.keys, 1, "a list of keys");
    check_sizes(context, keys.dim(0), static_cast<std::int64_t>(kind.types.size()),
                "the numbers of keys and types");
    return keys.data<std::string>()[i];
  }

  static Column context_column(const KernelContext& context, const Kind& kind, std::size_t i,
                               const Records& records) {
    Column column(key(context, kind, i), kind.types[i]);
    for (const SequenceExample& record : records) {
      const FeatureValues* feature = find_feature(record.context, column.key);
      feature != nullptr ? append(column, *feature, context.node().op_name)
                         : append_nothing(column);
    }
    return column;
  }

  static ListColumn list_column(const KernelContext& context, const Kind& kind, std::size_t i,
                                const Records& records, bool required) {
    ListColumn list{Column(key(context, kind, i), kind.types[i]), {}};
    for (const SequenceExample& record : records) {
      const auto found = record.feature_lists.find(list.column.key);
      if (found == record.feature_lists.end()) {
        if (required) {
          throw invalid_argument("ParseSequenceExampleV2: a feature list is missing. Details: \"",
                                 printable(list.column.key), "\".");
        }
        list.steps.push_back(0);
        continue;
      }
      for (const FeatureValues& feature : found->second) {
        const bool empty = std::holds_alternative<std::monostate>(feature);
        empty ? append_nothing(list.column) : append(list.column, feature, context.node().op_name);
      }
      list.steps.push_back(static_cast<std::int64_t>(found->second.size()));
    }
    return list;
  }

  // Row splits of these lengths; for a single record they mean nothing.
  static void output_lengths(KernelContext& context, int output,
                             std::span<const std::int64_t> lengths, bool batched) {
    const auto rows = static_cast<std::int64_t>(lengths.size());
    Tensor& splits = context.output(output, batched ? Shape{rows + 1} : Shape{});
    set_integer(splits, 0, 0);
    if (!batched) return;
    std::int64_t end = 0;
    for (std::int64_t row = 0; row < rows; ++row) {
      end += lengths[static_cast<std::size_t>(row)];
      set_integer(splits, row + 1, end);
    }
  }

  void context_sparse(KernelContext& context, const Records& records, bool batched) const {
    const auto count = static_cast<int>(context_sparse_.types.size());
    for (int i = 0; i < count; ++i) {
      const Column column =
          context_column(context, context_sparse_, static_cast<std::size_t>(i), records);
      const int output = context_sparse_.outputs + i;
      std::int64_t* to = context.output(output, Shape{column.count(), batched ? 2 : 1})
                             .mutable_data<std::int64_t>();
      for (std::size_t row = 0; row < column.lengths.size(); ++row) {
        for (std::int64_t k = 0; k < column.lengths[row]; ++k) {
          if (batched) *to++ = static_cast<std::int64_t>(row);
          *to++ = k;
        }
      }
      output_values(context, output + count, column, Shape{column.count()});
      std::vector<std::int64_t> shape{column.longest()};
      if (batched) shape.insert(shape.begin(), static_cast<std::int64_t>(records.size()));
      output_vector(context, output + 2 * count, shape);
    }
  }

  void context_dense(KernelContext& context, const Records& records, bool batched) const {
    const auto defaults = context.num_inputs() - static_cast<int>(context_dense_.types.size());
    for (std::size_t i = 0; i < context_dense_.types.size(); ++i) {
      const Shape& shape = context_dense_.shapes[i];
      const Tensor& value = context.input(defaults + static_cast<int>(i));
      if (value.num_elements() != 0 && value.shape() != shape) {
        throw invalid_argument(
            "ParseSequenceExampleV2: a default must be empty or have the dense shape. Details: ",
            value.shape(), " for ", shape, ".");
      }
      Column column(key(context, context_dense_, i), context_dense_.types[i]);
      for (const SequenceExample& record : records) {
        const FeatureValues* feature = find_feature(record.context, column.key);
        feature != nullptr ? append(column, *feature, context.node().op_name)
                           : append(column, value);
        if (column.lengths.back() != shape.num_elements()) {
          throw invalid_argument(
              "ParseSequenceExampleV2: a dense feature has a wrong number of values. Details: \"",
              printable(column.key), "\" has ", column.lengths.back(), " for shape ", shape, ".");
        }
      }
      const auto rows = static_cast<std::int64_t>(records.size());
      output_values(context, context_dense_.outputs + static_cast<int>(i), column,
                    batched ? shape.with_inserted(0, rows) : shape);
    }
  }

  void context_ragged(KernelContext& context, const Records& records, bool batched) const {
    const auto count = static_cast<int>(context_ragged_.types.size());
    for (int i = 0; i < count; ++i) {
      const Column column =
          context_column(context, context_ragged_, static_cast<std::size_t>(i), records);
      output_values(context, context_ragged_.outputs + i, column, Shape{column.count()});
      output_lengths(context, context_ragged_.outputs + count + i, column.lengths, batched);
    }
  }

  void list_sparse(KernelContext& context, const Records& records, bool batched) const {
    const auto count = static_cast<int>(list_sparse_.types.size());
    for (int i = 0; i < count; ++i) {
      const ListColumn list =
          list_column(context, list_sparse_, static_cast<std::size_t>(i), records, false);
      const Column& column = list.column;
      const int output = list_sparse_.outputs + i;
      std::int64_t* to = context.output(output, Shape{column.count(), batched ? 3 : 2})
                             .mutable_data<std::int64_t>();
      std::size_t step = 0;
      for (std::size_t row = 0; row < list.steps.size(); ++row) {
        for (std::int64_t time = 0; time < list.steps[row]; ++time, ++step) {
          for (std::int64_t k = 0; k < column.lengths[step]; ++k) {
            if (batched) *to++ = static_cast<std::int64_t>(row);
            *to++ = time;
            *to++ = k;
          }
        }
      }
      output_values(context, output + count, column, Shape{column.count()});
      std::vector<std::int64_t> shape{list.steps.empty() ? 0 : std::ranges::max(list.steps),
                                      column.longest()};
      if (batched) shape.insert(shape.begin(), static_cast<std::int64_t>(records.size()));
      output_vector(context, output + 2 * count, shape);
    }
  }

  void list_dense(KernelContext& context, const Records& records, bool batched) const {
    const Tensor& may_miss = context.input(8);
    const auto count = static_cast<int>(list_dense_.types.size());
    check_rank(context, 8, 1, "feature_list_dense_missing_assumed_empty");
    check_sizes(context, may_miss.dim(0), count,
                "the size of feature_list_dense_missing_assumed_empty and the number of keys");
    for (int i = 0; i < count; ++i) {
      const auto index = static_cast<std::size_t>(i);
      ListColumn list =
          list_column(context, list_dense_, index, records, !may_miss.data<bool>()[i]);
      const Shape& shape = list_dense_.shapes[index];
      const std::int64_t size = shape.num_elements();
      for (const std::int64_t length : list.column.lengths) {
        if (length == size) continue;
        throw invalid_argument(
            "ParseSequenceExampleV2: a dense feature has a wrong number of values. Details: \"",
            printable(list.column.key), "\" has ", length, " for shape ", shape, ".");
      }
      const std::int64_t longest = list.steps.empty() ? 0 : std::ranges::max(list.steps);
      list.column.lengths.clear();  // now of the records
      for (const std::int64_t steps : list.steps) list.column.lengths.push_back(steps * size);
      const auto rows = static_cast<std::int64_t>(records.size());
      Shape padded = shape.with_inserted(0, longest);
      if (batched) padded = padded.with_inserted(0, rows);
      Tensor zero(list_dense_.types[index], Shape{});
      zero_elements(zero.dtype(), zero.mutable_raw_data(), 1);
      output_padded(context, list_dense_.outputs + i, list.column, padded, longest * size, zero);
      Tensor& lengths =
          context.output(list_dense_.outputs + count + i, batched ? Shape{rows} : Shape{});
      std::ranges::copy(list.steps, lengths.mutable_data<std::int64_t>());
    }
  }

  void list_ragged(KernelContext& context, const Records& records, bool batched) const {
    const auto count = static_cast<int>(list_ragged_.types.size());
    for (int i = 0; i < count; ++i) {
      const ListColumn list =
          list_column(context, list_ragged_, static_cast<std::size_t>(i), records, false);
      const int output = list_ragged_.outputs + i;
      output_values(context, output, list.column, Shape{list.column.count()});
      output_lengths(context, output + count, list.steps, batched);
      output_lengths(context, output + 2 * count, list.column.lengths, true);
    }
  }

  Kind context_sparse_;
  Kind context_dense_;
  Kind context_ragged_;
  Kind list_sparse_;
  Kind list_dense_;
  Kind list_ragged_;
};

Shapes parse_sequence_example_shape(ShapeContext& c) {
  c.at_most_rank(0, 1);
  return Shapes(static_cast<std::size_t>(c.num_outputs()));
}

constexpr OpDef kOps[] = {
    {.name = "ParseSequenceExampleV2",
     .inputs = "serialized: string, debug_name: string, context_sparse_keys: string, "
               "context_dense_keys: string, context_ragged_keys: string, "
               "feature_list_sparse_keys: string, feature_list_dense_keys: string, "
               "feature_list_ragged_keys: string, "
               "feature_list_dense_missing_assumed_empty: bool, "
               "context_dense_defaults: Tcontext_dense",
     .outputs = "context_sparse_indices: Ncontext_sparse * int64, "
                "context_sparse_values: context_sparse_types, "
                "context_sparse_shapes: Ncontext_sparse * int64, "
                "context_dense_values: Tcontext_dense, "
                "context_ragged_values: context_ragged_value_types, "
                "context_ragged_row_splits: context_ragged_split_types, "
                "feature_list_sparse_indices: Nfeature_list_sparse * int64, "
                "feature_list_sparse_values: feature_list_sparse_types, "
                "feature_list_sparse_shapes: Nfeature_list_sparse * int64, "
                "feature_list_dense_values: feature_list_dense_types, "
                "feature_list_dense_lengths: Nfeature_list_dense * int64, "
                "feature_list_ragged_values: feature_list_ragged_value_types, "
                "feature_list_ragged_outer_splits: feature_list_ragged_split_types, "
                "feature_list_ragged_inner_splits: feature_list_ragged_split_types",
     .attrs = "Ncontext_sparse: int >= 0 = 0; "
              "Tcontext_dense: list({float, int64, string}) >= 0 = []; "
              "context_sparse_types: list({float, int64, string}) >= 0 = []; "
              "context_ragged_value_types: list({float, int64, string}) >= 0 = []; "
              "context_ragged_split_types: list({int32, int64}) >= 0 = []; "
              "context_dense_shapes: list(shape) >= 0 = []; "
              "Nfeature_list_sparse: int >= 0 = 0; Nfeature_list_dense: int >= 0 = 0; "
              "feature_list_dense_types: list({float, int64, string}) >= 0 = []; "
              "feature_list_sparse_types: list({float, int64, string}) >= 0 = []; "
              "feature_list_ragged_value_types: list({float, int64, string}) >= 0 = []; "
              "feature_list_ragged_split_types: list({int32, int64}) >= 0 = []; "
              "feature_list_dense_shapes: list(shape) >= 0 = []",
     .shape = parse_sequence_example_shape,
     .kernel = make_kernel<ParseSequenceExampleKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily sparse_parse_sequence_ops() { return kOps; }

}  // namespace hub
