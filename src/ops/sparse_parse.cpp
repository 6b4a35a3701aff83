// Example records to tensors: dense, sparse and ragged features.

#include <algorithm>

#include "base/checked.h"
#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/elements.h"
#include "ops/example_columns.h"
#include "ops/kernel.h"
#include "ops/sparse_tensor.h"

namespace hub {
namespace {

// A dense feature's shape. A first dimension of -1 takes any number of strides.
struct DenseShape {
  bool variable = false;
  Shape inner;  // without the variable dimension
};

DenseShape dense_shape_of(const PartialShape& shape, std::string_view op) {
  DenseShape dense;
  dense.variable = shape.has_rank() && shape.rank() > 0 && shape.dim(0) < 0;
  const auto inner = (dense.variable ? sub_shape(shape, 1, shape.rank()) : shape).as_shape();
  if (!inner) {
    throw invalid_argument(
        op, ": a dense shape must be known but for its first dimension. Details: ", shape, ".");
  }
  dense.inner = *inner;
  return dense;
}

// Which features are asked for, and where the outputs of each kind begin.
struct Wanted {
  std::vector<std::string> sparse;
  std::vector<std::string> dense;
  std::vector<std::string> ragged;
  int first_default = 0;  // input
};

class ParseExampleBase : public Kernel {
 public:
  explicit ParseExampleBase(const KernelInit& init)
      : op_(init.op()),
        sparse_types_(init.attr<AttrList>("sparse_types").types),
        dense_types_(init.attr<AttrList>("Tdense").types) {
    for (const PartialShape& shape : init.attr<AttrList>("dense_shapes").shapes) {
      dense_shapes_.push_back(dense_shape_of(shape, op_));
    }
    if (dense_shapes_.size() != dense_types_.size()) {
      throw invalid_argument(op_,
                             ": each dense feature has a shape. Details: ", dense_shapes_.size(),
                             " shapes, ", dense_types_.size(), " features.");
    }
    if (init.has_attr("ragged_value_types")) {
      ragged_types_ = init.attr<AttrList>("ragged_value_types").types;
      if (init.attr<AttrList>("ragged_split_types").types.size() != ragged_types_.size()) {
        throw invalid_argument(op_, ": each ragged feature has a type of values and of splits.");
      }
    }
  }

 protected:
  // Parses the records of input 0 (one, where it is a scalar) into all outputs.
  void parse(KernelContext& context, const Wanted& wanted) const {
    check_sizes(context, static_cast<std::int64_t>(wanted.sparse.size()),
                static_cast<std::int64_t>(sparse_types_.size()),
                "the numbers of sparse keys and types");
    check_sizes(context, static_cast<std::int64_t>(wanted.dense.size()),
                static_cast<std::int64_t>(dense_types_.size()),
                "the numbers of dense keys and types");
    check_sizes(context, static_cast<std::int64_t>(wanted.ragged.size()),
                static_cast<std::int64_t>(ragged_types_.size()),
                "the numbers of ragged keys and types");
    check_defaults(context, wanted.first_default);
    std::vector<Column> sparse = columns(wanted.sparse, sparse_types_);
    std::vector<Column> dense = columns(wanted.dense, dense_types_);
    std::vector<Column> ragged = columns(wanted.ragged, ragged_types_);
    const Tensor& serialized = context.input(0);
    for (const std::string& bytes : serialized.values<std::string>()) {
      const std::optional<Features> features = parse_example(bytes);
      if (!features) {
        throw invalid_argument(op_, ": a record must be an Example. Details: \"", printable(bytes),
                               "\".");
      }
      for (Column& column : sparse) add(column, *features);
      for (Column& column : ragged) add(column, *features);
      for (std::size_t d = 0; d < dense.size(); ++d) {
        add_dense(dense[d], *features, dense_shapes_[d],
                  context.input(wanted.first_default + static_cast<int>(d)));
      }
    }
    const bool batched = serialized.rank() == 1;
    output_sparse(context, sparse, batched);
    const auto first_dense = static_cast<int>(3 * sparse.size());
    for (std::size_t d = 0; d < dense.size(); ++d) {
      output_dense(context, first_dense + static_cast<int>(d), dense[d], dense_shapes_[d],
                   context.input(wanted.first_default + static_cast<int>(d)), batched);
    }
    output_ragged(context, first_dense + static_cast<int>(dense.size()), ragged, batched);
  }

  const std::string& op() const { return op_; }
  int num_sparse() const { return static_cast<int>(sparse_types_.size()); }
  int num_dense() const { return static_cast<int>(dense_types_.size()); }

 private:
  static std::vector<Column> columns(const std::vector<std::string>& keys,
                                     const std::vector<DType>& types) {
    std::vector<Column> columns;
    for (std::size_t i = 0; i < keys.size(); ++i) columns.emplace_back(keys[i], types[i]);
    return columns;
  }

  void check_defaults(const KernelContext& context, int first) const {
    for (std::size_t d = 0; d < dense_shapes_.size(); ++d) {
      const Tensor& value = context.input(first + static_cast<int>(d));
      const DenseShape& dense = dense_shapes_[d];
      const bool fits = dense.variable ? value.num_elements() == 1
                                       : value.num_elements() == 0 || value.shape() == dense.inner;
      if (!fits) {
        throw invalid_argument(op_,
                               ": a default must be empty or have the dense shape, or one element "
                               "where that has a variable dimension. Details: default ",
                               d, " has shape ", value.shape(), ".");
      }
    }
  }

  void add(Column& column, const Features& features) const {
    const FeatureValues* feature = find_feature(features, column.key);
    feature != nullptr ? append(column, *feature, op_) : append_nothing(column);
  }

  void add_dense(Column& column, const Features& features, const DenseShape& shape,
                 const Tensor& default_value) const {
    const FeatureValues* feature = find_feature(features, column.key);
    const std::int64_t stride = shape.inner.num_elements();
    if (feature != nullptr) {
      append(column, *feature, op_);
      const std::int64_t length = column.lengths.back();
      const bool fits =
          shape.variable ? (stride == 0 ? length == 0 : length % stride == 0) : length == stride;
      if (!fits) {
        throw invalid_argument(op_, ": a dense feature has a wrong number of values. Details: \"",
                               printable(column.key), "\" has ", length, ", its shape holds ",
                               stride, ".");
      }
    } else if (shape.variable) {
      append_nothing(column);
    } else if (default_value.num_elements() == 0 && stride != 0) {
      throw invalid_argument(op_, ": a feature without a default is missing. Details: \"",
                             printable(column.key), "\".");
    } else {
      append(column, default_value);
    }
  }

  static void output_sparse(KernelContext& context, const std::vector<Column>& sparse,
                            bool batched) {
    const auto count = static_cast<int>(sparse.size());
    for (int i = 0; i < count; ++i) {
      const Column& column = sparse[static_cast<std::size_t>(i)];
      const std::int64_t rank = batched ? 2 : 1;
      std::int64_t* to =
          context.output(i, Shape{column.count(), rank}).mutable_data<std::int64_t>();
      for (std::size_t row = 0; row < column.lengths.size(); ++row) {
        for (std::int64_t k = 0; k < column.lengths[row]; ++k) {
          if (batched) *to++ = static_cast<std::int64_t>(row);
          *to++ = k;
        }
      }
      output_values(context, count + i, column, Shape{column.count()});
      std::vector<std::int64_t> shape{column.longest()};
      if (batched) shape.insert(shape.begin(), static_cast<std::int64_t>(column.lengths.size()));
      output_vector(context, 2 * count + i, shape);
    }
  }

  static void output_dense(KernelContext& context, int output, const Column& column,
                           const DenseShape& dense, const Tensor& filler, bool batched) {
    Shape shape = dense.inner;
    const std::int64_t stride = std::max<std::int64_t>(dense.inner.num_elements(), 1);
    const std::int64_t longest = column.longest();
    if (dense.variable) shape = shape.with_inserted(0, longest / stride);
    if (batched) shape = shape.with_inserted(0, static_cast<std::int64_t>(column.lengths.size()));
    if (dense.variable) {
      output_padded(context, output, column, shape, longest, filler);
    } else {
      output_values(context, output, column, shape);
    }
  }

  static void output_ragged(KernelContext& context, int first, const std::vector<Column>& ragged,
                            bool batched) {
    const auto count = static_cast<int>(ragged.size());
    for (int i = 0; i < count; ++i) {
      const Column& column = ragged[static_cast<std::size_t>(i)];
      output_values(context, first + i, column, Shape{column.count()});
      if (!batched) {  // one row needs no splits
        context.output(first + count + i, Shape{0});
        continue;
      }
      Tensor& splits = context.output(first + count + i,
                                      Shape{static_cast<std::int64_t>(column.lengths.size()) + 1});
      std::int64_t end = 0;
      set_integer(splits, 0, 0);
      for (std::size_t row = 0; row < column.lengths.size(); ++row) {
        end += column.lengths[row];
        set_integer(splits, static_cast<std::int64_t>(row) + 1, end);
      }
    }
  }

  std::string op_;
  std::vector<DType> sparse_types_;
  std::vector<DType> dense_types_;
  std::vector<DType> ragged_types_;
  std::vector<DenseShape> dense_shapes_;
};

std::vector<std::string> key_vector(const KernelContext& context, int input,
                                    std::string_view what) {
  check_rank(context, input, 1, what);
  const auto keys = context.input(input).values<std::string>();
  return {keys.begin(), keys.end()};
}

void check_names(const KernelContext& context) {
  const Tensor& names = context.input(1);
  if (names.num_elements() == 0) return;
  if (names.shape() != context.input(0).shape()) {
    throw invalid_argument(context.node().op_name,
                           ": names must be empty, or one for each record. Details: ",
                           names.shape(), " for ", context.input(0).shape(), ".");
  }
}

class ParseExampleKernel final : public ParseExampleBase {
 public:
  using ParseExampleBase::ParseExampleBase;
  void compute(KernelContext& context) const override {
    check_rank(context, 0, 1, "serialized");
    check_rank(context, 1, 1, "names");
    check_names(context);
    Wanted wanted;
    int input = 2;
    for (int i = 0; i < num_sparse(); ++i)
      wanted.sparse.push_back(context.input(input++).scalar<std::string>());
    for (int i = 0; i < num_dense(); ++i)
      wanted.dense.push_back(context.input(input++).scalar<std::string>());
    wanted.first_default = input;
    parse(context, wanted);
  }
};

class ParseExampleV2Kernel final : public ParseExampleBase {
 public:
  using ParseExampleBase::ParseExampleBase;
  void compute(KernelContext& context) const override {
    if (context.input(0).rank() > 1) {
      throw invalid_argument(
          "ParseExampleV2: serialized must be a scalar or vector. Details: its shape is ",
          context.input(0).shape(), ".");
    }
    check_names(context);
    parse(context, {.sparse = key_vector(context, 2, "sparse_keys"),
                    .dense = key_vector(context, 3, "dense_keys"),
                    .ragged = key_vector(context, 4, "ragged_keys"),
                    .first_default = 5});
  }
};

class ParseSingleExampleKernel final : public ParseExampleBase {
 public:
  explicit ParseSingleExampleKernel(const KernelInit& init)
      : ParseExampleBase(init),
        wanted_{.sparse = init.attr<AttrList>("sparse_keys").strings,
                .dense = init.attr<AttrList>("dense_keys").strings,
                .ragged = {},
                .first_default = 1} {}
  void compute(KernelContext& context) const override {
    check_rank(context, 0, 0, "serialized");
    parse(context, wanted_);
  }

 private:
  Wanted wanted_;
};

Shapes parse_example_shape(ShapeContext& c) {
  const PartialShape serialized = c.input(0);
  const auto sparse = c.attr<AttrList>("sparse_types").types.size();
  const bool known = serialized.has_rank();
  const std::int64_t rank = known ? serialized.rank() + 1 : -1;
  Shapes shapes(sparse, PartialShape{-1, rank});
  shapes.insert(shapes.end(), sparse, PartialShape{-1});
  shapes.insert(shapes.end(), sparse, PartialShape{rank});
  for (const PartialShape& shape : c.attr<AttrList>("dense_shapes").shapes) {
    shapes.push_back(concatenate(serialized, shape));
  }
  const auto rest = static_cast<std::size_t>(c.num_outputs()) - shapes.size();
  shapes.insert(shapes.end(), rest, PartialShape{-1});
  return shapes;
}

constexpr OpDef kOps[] = {
    {.name = "ParseExample",
     .inputs = "serialized: string, names: string, sparse_keys: Nsparse * string, "
               "dense_keys: Ndense * string, dense_defaults: Tdense",
     .outputs = "sparse_indices: Nsparse * int64, sparse_values: sparse_types, "
                "sparse_shapes: Nsparse * int64, dense_values: Tdense",
     .attrs = "Nsparse: int >= 0; Ndense: int >= 0; "
              "sparse_types: list({float, int64, string}) >= 0; "
              "Tdense: list({float, int64, string}) >= 0; dense_shapes: list(shape) >= 0",
     .shape = parse_example_shape,
     .kernel = make_kernel<ParseExampleKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "ParseExampleV2",
     .inputs = "serialized: string, names: string, sparse_keys: string, dense_keys: string, "
               "ragged_keys: string, dense_defaults: Tdense",
     .outputs = "sparse_indices: num_sparse * int64, sparse_values: sparse_types, "
                "sparse_shapes: num_sparse * int64, dense_values: Tdense, "
                "ragged_values: ragged_value_types, ragged_row_splits: ragged_split_types",
     .attrs = "Tdense: list({float, int64, string}) >= 0; num_sparse: int >= 0; "
              "sparse_types: list({float, int64, string}) >= 0; "
              "ragged_value_types: list({float, int64, string}) >= 0; "
              "ragged_split_types: list({int32, int64}) >= 0; dense_shapes: list(shape) >= 0",
     .shape = parse_example_shape,
     .kernel = make_kernel<ParseExampleV2Kernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "ParseSingleExample",
     .inputs = "serialized: string, dense_defaults: Tdense",
     .outputs = "sparse_indices: num_sparse * int64, sparse_values: sparse_types, "
                "sparse_shapes: num_sparse * int64, dense_values: Tdense",
     .attrs = "num_sparse: int >= 0; sparse_keys: list(string) >= 0; "
              "dense_keys: list(string) >= 0; sparse_types: list({float, int64, string}) >= 0; "
              "Tdense: list({float, int64, string}) >= 0; dense_shapes: list(shape) >= 0",
     .shape = parse_example_shape,
     .kernel = make_kernel<ParseSingleExampleKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily sparse_parse_ops() { return kOps; }

}  // namespace hub
