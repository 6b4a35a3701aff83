// Rows of tensors as sets: the last dimension holds the elements, the others name the set.

#include <algorithm>
#include <map>

#include "base/checked.h"
#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/sparse_tensor.h"

namespace hub {
namespace {

using SetTypes = TypeList<std::int8_t, std::int16_t, std::int32_t, std::int64_t, std::uint8_t,
                          std::uint16_t, std::string>;

// Sets by their coordinates; each is sorted and without repetition.
template <class T>
using Sets = std::map<std::vector<std::int64_t>, std::vector<T>>;

template <class T>
void normalize(std::vector<T>& set) {
  std::ranges::sort(set);
  set.erase(std::unique(set.begin(), set.end()), set.end());
}

template <class T>
Sets<T> dense_sets(const Tensor& tensor) {
  Sets<T> sets;
  const Shape groups = tensor.shape().slice(0, tensor.rank() - 1);
  const std::int64_t size = tensor.dim(tensor.rank() - 1);
  const T* from = tensor.data<T>();
  std::vector<std::int64_t> group(static_cast<std::size_t>(groups.rank()), 0);
  for (std::int64_t i = 0; i < groups.num_elements(); ++i) {
    std::int64_t rest = i;
    for (int k = groups.rank() - 1; k >= 0; --k) {
      group[static_cast<std::size_t>(k)] = rest % groups.dim(k);
      rest /= groups.dim(k);
    }
    std::vector<T> set(from + i * size, from + (i + 1) * size);
    normalize(set);
    sets.emplace(group, std::move(set));
  }
  return sets;
}

template <class T>
Sets<T> sparse_sets(const SparseInput& sparse) {
  Sets<T> sets;
  for (std::int64_t i = 0; i < sparse.count; ++i) {
    const auto group = sparse.coordinates(i).first(static_cast<std::size_t>(sparse.rank - 1));
    sets[std::vector(group.begin(), group.end())].push_back(sparse.values->data<T>()[i]);
  }
  for (auto& [group, set] : sets) normalize(set);
  return sets;
}

// A sparse tensor of sets. With `validate`, its indices must be sorted.
SparseInput set_input(const KernelContext& context, int first, bool validate,
                      std::string_view what) {
  const SparseInput sparse = sparse_input(context, first, first + 1, first + 2, what);
  if (sparse.rank < 2) {
    throw invalid_argument(context.node().op_name,
                           ": a set's shape must have rank 2 or more. Details: got ", sparse.rank,
                           ".");
  }
  for (std::int64_t i = 0; i < sparse.count; ++i) {
    check_index(context, sparse, i);
    if (!validate || i == 0) continue;
    const auto before = sparse.coordinates(i - 1);
    const auto after = sparse.coordinates(i);
    if (!std::ranges::lexicographical_compare(before, after)) {
      throw invalid_argument(context.node().op_name,
                             ": indices must be sorted and not repeated. Details: entry ", i,
                             " is [", join(after, ","), "].");
    }
  }
  return sparse;
}

enum class SetOperation : std::uint8_t { kIntersection, kUnion, kAMinusB, kBMinusA };

SetOperation set_operation(const KernelInit& init) {
  const auto& name = init.attr<std::string>("set_operation");
  if (name == "intersection") return SetOperation::kIntersection;
  if (name == "union") return SetOperation::kUnion;
  if (name == "a-b") return SetOperation::kAMinusB;
  if (name == "b-a") return SetOperation::kBMinusA;
  throw invalid_argument(init.op(), ": unknown set operation. Details: \"", printable(name), "\".");
}

template <class T>
std::vector<T> combined(SetOperation operation, const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<T> result;
  const auto out = std::back_inserter(result);
  switch (operation) {
    case SetOperation::kIntersection: std::ranges::set_intersection(a, b, out); break;
    case SetOperation::kUnion: std::ranges::set_union(a, b, out); break;
    case SetOperation::kAMinusB: std::ranges::set_difference(a, b, out); break;
    case SetOperation::kBMinusA: std::ranges::set_difference(b, a, out); break;
  }
  return result;
}

// The sets as a sparse tensor; `groups` are its dimensions but the last.
template <class T>
void output_sets(KernelContext& context, const Sets<T>& sets,
                 std::span<const std::int64_t> groups) {
  std::int64_t count = 0;
  std::int64_t largest = 0;
  for (const auto& [group, set] : sets) {
    count += static_cast<std::int64_t>(set.size());
    largest = std::max(largest, static_cast<std::int64_t>(set.size()));
  }
  const auto rank = static_cast<std::int64_t>(groups.size()) + 1;
  std::int64_t* index = context.output(0, Shape{count, rank}).mutable_data<std::int64_t>();
  T* value = context.output(1, Shape{count}).mutable_data<T>();
  for (const auto& [group, set] : sets) {
    for (std::size_t i = 0; i < set.size(); ++i) {
      index = std::ranges::copy(group, index).out;
      *index++ = static_cast<std::int64_t>(i);
    }
    value = std::ranges::copy(set, value).out;
  }
  std::vector<std::int64_t> shape(groups.begin(), groups.end());
  shape.push_back(largest);
  output_vector(context, 2, shape);
}

enum class Operand : std::uint8_t { kDense, kSparse };

template <Operand kFirst, Operand kSecond>
class SetOperationKernel final : public Kernel {
 public:
  explicit SetOperationKernel(const KernelInit& init)
      : operation_(set_operation(init)), validate_(init.attr<bool>("validate_indices")) {}

  void compute(KernelContext& context) const override {
    dispatch(SetTypes{}, context.output_dtype(1), [&]<class T>() {
      std::vector<std::int64_t> groups;
      std::vector<std::int64_t> other_groups;
      Sets<T> a = read<kFirst, T>(context, 0, groups);
      const Sets<T> b = read<kSecond, T>(context, kFirst == Operand::kDense ? 1 : 3, other_groups);
      if (groups != other_groups) {
        throw invalid_argument(context.node().op_name,
                               ": all dimensions but the last must agree. Details: [",
                               join(groups, ","), "] and [", join(other_groups, ","), "].");
      }
      for (const auto& [group, set] : b) a.try_emplace(group);
      static const std::vector<T> kEmpty;
      for (auto& [group, set] : a) {
        const auto found = b.find(group);
        set = combined(operation_, set, found == b.end() ? kEmpty : found->second);
      }
      output_sets(context, a, groups);
    });
  }

 private:
  template <Operand kOperand, class T>
  Sets<T> read(const KernelContext& context, int input, std::vector<std::int64_t>& groups) const {
    if constexpr (kOperand == Operand::kDense) {
      const Tensor& tensor = context.input(input);
      if (tensor.rank() < 2) {
        throw invalid_argument(context.node().op_name,
                               ": sets must have rank 2 or more. Details: the shape is ",
                               tensor.shape(), ".");
      }
      const auto dims = tensor.shape().dims();
      groups.assign(dims.begin(), dims.end() - 1);
      return dense_sets<T>(tensor);
    } else {
      const SparseInput sparse =
          set_input(context, input, validate_, input == 0 ? "set1_" : "set2_");
      groups.assign(sparse.shape.begin(), sparse.shape.end() - 1);
      return sparse_sets<T>(sparse);
    }
  }

  SetOperation operation_;
  bool validate_;
};

Shapes set_result(std::int64_t rank) {
  return {PartialShape{-1, rank}, PartialShape{-1}, PartialShape{rank}};
}

Shapes dense_sets_shape(ShapeContext& c) {
  const PartialShape a = c.at_least_rank(0, 2);
  const PartialShape b = c.at_least_rank(1, 2);
  if (a.has_rank() && b.has_rank()) {
    sub_shape(a, 0, a.rank() - 1).merge_with(sub_shape(b, 0, b.rank() - 1));
  }
  return set_result(a.has_rank() ? a.rank() : b.has_rank() ? b.rank() : -1);
}

Shapes dense_sparse_sets_shape(ShapeContext& c) {
  const PartialShape a = c.at_least_rank(0, 2);
  c.with_rank(1, 2);
  c.with_rank(2, 1);
  const PartialShape shape = c.with_rank(3, 1);
  return set_result(a.has_rank() ? a.rank() : shape.dim(0));
}

Shapes sparse_sets_shape(ShapeContext& c) {
  c.with_rank(0, 2);
  c.with_rank(1, 1);
  const PartialShape a = c.with_rank(2, 1);
  c.with_rank(3, 2);
  c.with_rank(4, 1);
  return set_result(a.merge_with(c.with_rank(5, 1)).dim(0));
}

class SetSizeKernel final : public Kernel {
 public:
  explicit SetSizeKernel(const KernelInit& init) : validate_(init.attr<bool>("validate_indices")) {}

  void compute(KernelContext& context) const override {
    const SparseInput sparse = set_input(context, 0, validate_, "set_");
    const Shape shape(sparse.shape.first(static_cast<std::size_t>(sparse.rank - 1)));
    Tensor& result = context.output(0, shape);
    std::ranges::fill(result.mutable_values<std::int32_t>(), 0);
    dispatch(SetTypes{}, sparse.values->dtype(), [&]<class T>() {
      for (const auto& [group, set] : sparse_sets<T>(sparse)) {
        std::int64_t place = 0;
        for (std::size_t k = 0; k < group.size(); ++k) place = place * sparse.shape[k] + group[k];
        result.mutable_data<std::int32_t>()[place] = static_cast<std::int32_t>(set.size());
      }
    });
  }

 private:
  bool validate_;
};

constexpr OpDef kOps[] = {
    {.name = "DenseToDenseSetOperation",
     .inputs = "set1: T, set2: T",
     .outputs = "result_indices: int64, result_values: T, result_shape: int64",
     .attrs = "set_operation: string; validate_indices: bool = true; "
              "T: {int8, int16, int32, int64, uint8, uint16, string}",
     .shape = dense_sets_shape,
     .kernel = make_kernel<SetOperationKernel<Operand::kDense, Operand::kDense>>,
     .differentiable = Differentiable::kNone},
    {.name = "DenseToSparseSetOperation",
     .inputs = "set1: T, set2_indices: int64, set2_values: T, set2_shape: int64",
     .outputs = "result_indices: int64, result_values: T, result_shape: int64",
     .attrs = "set_operation: string; validate_indices: bool = true; "
              "T: {int8, int16, int32, int64, uint8, uint16, string}",
     .shape = dense_sparse_sets_shape,
     .kernel = make_kernel<SetOperationKernel<Operand::kDense, Operand::kSparse>>,
     .differentiable = Differentiable::kNone},
    {.name = "SparseToSparseSetOperation",
     .inputs = "set1_indices: int64, set1_values: T, set1_shape: int64, set2_indices: int64, "
               "set2_values: T, set2_shape: int64",
     .outputs = "result_indices: int64, result_values: T, result_shape: int64",
     .attrs = "set_operation: string; validate_indices: bool = true; "
              "T: {int8, int16, int32, int64, uint8, uint16, string}",
     .shape = sparse_sets_shape,
     .kernel = make_kernel<SetOperationKernel<Operand::kSparse, Operand::kSparse>>,
     .differentiable = Differentiable::kNone},
    {.name = "SetSize",
     .inputs = "set_indices: int64, set_values: T, set_shape: int64",
     .outputs = "size: int32",
     .attrs =
         "validate_indices: bool = true; T: {int8, int16, int32, int64, uint8, uint16, string}",
     .kernel = make_kernel<SetSizeKernel>,
     .differentiable = Differentiable::kNone},
};

}  // namespace

OpFamily sparse_sets_ops() { return kOps; }

}  // namespace hub
