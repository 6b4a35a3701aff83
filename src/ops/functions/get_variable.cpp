// get_variable: sharing by name, initialisers, parts, penalties
// (tensorflow/python/ops/variable_scope.py, _VariableStore).

#include <algorithm>
#include <numeric>

#include "ops/functions/function_support.h"
#include "ops/functions/variable_store.h"

namespace hub {
namespace {

bool is_floating(DType dtype) {
  return dtype == kFloat || dtype == kDouble || dtype == DType::kFloat16 ||
         dtype == DType::kBfloat16;
}

Initializer default_initializer(std::string_view name, DType dtype) {
  if (is_floating(dtype)) return init::glorot_uniform();
  if (dtype == DType::kComplex64 || dtype == DType::kComplex128 ||
      dtype_size(storage_dtype(dtype)) == 0) {
    if (dtype != kString) {
      throw value_error("An initializer for variable ", name, " of ", dtype, " is required.");
    }
  }
  return init::zeros();
}

Reuse reuse_of(const VariableOptions& options) { return options.reuse.value_or(Reuse::kInherit); }

// Errors where the variable that is there is not the one that is asked for.
void check_shared(const Variable& found, const PartialShape& shape, DType dtype, Reuse reuse) {
  if (reuse == Reuse::kInherit) {
    throw value_error("Variable ", found.name(),
                      " already exists, disallowed. Did you mean to set reuse=True or "
                      "reuse=tf.AUTO_REUSE in VarScope?");
  }
  if (!shape.is_compatible_with(found.shape())) {
    throw value_error("Trying to share variable ", found.name(), ", but specified shape ", shape,
                      " and found shape ", found.shape(), ".");
  }
  if (dtype != DType::kInvalid && dtype != found.dtype()) {
    throw value_error("Trying to share variable ", found.name(), ", but specified dtype ", dtype,
                      " and found dtype ", found.dtype(), ".");
  }
}

[[noreturn]] void not_there(std::string_view name) {
  throw value_error("Variable ", name,
                    " does not exist, or was not created with tf.get_variable(). Did you mean to "
                    "set reuse=tf.AUTO_REUSE in VarScope?");
}

void add_penalty(const Graph& graph, const Variable& variable, const std::string& name,
                 const Regularizer& regularizer) {
  if (!regularizer) return;
  const Colocation colocation(graph, variable.op());
  const NameScope scope(graph, cat(name, "/Regularizer/"));
  if (const Output penalty = regularizer(variable))
    graph.add_to_collection(Collections::kRegularizationLosses, penalty);
}

// A whole variable or a part (with `slice`).
Variable single_variable(const Graph& graph, const std::string& name, const PartialShape& shape,
                         const VariableOptions& options, std::optional<SaveSliceInfo> slice) {
  VariableStore& store = variable_store(graph);
  if (const auto found = store.variables.find(name); found != store.variables.end()) {
    check_shared(found->second, shape, options.dtype, reuse_of(options));
    return found->second;
  }
  if (reuse_of(options) == Reuse::kYes) not_there(name);
  VariableSpec spec;
  spec.name = name;
  spec.dtype = options.dtype;
  spec.trainable = options.trainable;
  spec.collections = options.collections;
  spec.use_resource = options.use_resource.value_or(false);
  spec.slice = slice;
  if (options.initial_value) {
    spec.value = options.initial_value;
  } else {
    const std::optional<Shape> full = shape.as_shape();
    if (!full) {
      throw value_error("Shape of a new variable (", name,
                        ") must be fully defined, but instead was ", shape, ".");
    }
    const Initializer initializer =
        options.initializer ? options.initializer : default_initializer(name, options.dtype);
    std::optional<PartitionInfo> partition;
    if (slice) partition = PartitionInfo{Shape(slice->full_shape), slice->offset};
    spec.make_value = [=] {
      const Output value =
          initializer(graph, *full, options.dtype, partition ? &*partition : nullptr);
      if (value.dtype() != options.dtype) {
        throw value_error(
            "An initializer makes a value of the variable's dtype. Details: variable ", name,
            " is ", options.dtype, ", the value ", value.dtype(), ".");
      }
      return value;
    };
  }
  const Variable variable = create_variable(graph, spec);
  store.variables.emplace(name, variable);
  add_penalty(graph, variable, name, options.regularizer);
  return variable;
}

std::vector<int> checked_partitions(const Partitioner& partitioner, const PartialShape& shape,
                                    DType dtype, std::string_view name) {
  const std::optional<Shape> full = shape.as_shape();
  if (!full) {
    throw value_error("Shape of a new partitioned variable must be fully defined, but instead was ",
                      shape, ". Details: \"", name, "\".");
  }
  const std::vector<int> parts = partitioner(*full, dtype);
  if (static_cast<int>(parts.size()) != full->rank()) {
    throw value_error("A partitioner gives one number for each axis. Details: variable \"", name,
                      "\" of shape ", *full, ", got [", join(parts, ","), "].");
  }
  if (std::ranges::any_of(parts, [](int count) { return count < 1; })) {
    throw value_error("A partitioner gives at least one part for each axis. Details: variable \"",
                      name, "\" of shape ", *full, ", got [", join(parts, ","), "].");
  }
  if (std::ranges::count_if(parts, [](int count) { return count > 1; }) > 1) {
    throw value_error("Can only slice a variable along one dimension. Details: variable \"", name,
                      "\" of shape ", *full, ", got [", join(parts, ","), "].");
  }
  return parts;
}

// The initial value of a part: cut from the whole one.
Input part_of_value(const Graph& graph, const Input& value, DType dtype, const PartitionInfo& part,
                    const Shape& shape) {
  const Output whole =
      value.output() != nullptr ? *value.output() : ops::constant(graph, value, dtype);
  return ops::slice(whole, part.offset, {shape.dims().begin(), shape.dims().end()});
}

Variable add_parts(const Graph& graph, const std::string& name, const Shape& full,
                   const std::vector<int>& partitions, const VariableOptions& options) {
  int axis = 0;
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    if (partitions[i] > 1) axis = static_cast<int>(i);
  }
  const int count = full.rank() == 0 ? 1 : partitions[static_cast<std::size_t>(axis)];
  const std::int64_t length = full.dim(axis) / count;
  const std::int64_t longer = full.dim(axis) % count;
  std::vector<std::int64_t> offset(static_cast<std::size_t>(full.rank()), 0);
  std::vector<Variable> parts;
  for (int i = 0; i < count; ++i) {
    const Shape shape = full.with_dim(axis, length + (i < longer ? 1 : 0));
    const std::string part_name = cat(name, "/part_", i);
    SaveSliceInfo slice;
    slice.full_name = name;
    slice.full_shape.assign(full.dims().begin(), full.dims().end());
    slice.offset = offset;
    slice.shape.assign(shape.dims().begin(), shape.dims().end());
    VariableOptions part_options = options;
    {
      const NameScope scope(graph, cat(part_name, "/PartitionedInitializer"));
      if (options.initial_value) {
        part_options.initial_value =
            part_of_value(graph, *options.initial_value, options.dtype, {full, offset}, shape);
      }
    }
    const NameScope top(graph, "");
    parts.push_back(single_variable(graph, part_name,
                                    options.initial_value ? PartialShape() : PartialShape(shape),
                                    part_options, slice));
    offset[static_cast<std::size_t>(axis)] += shape.dim(axis);
  }
  return Variable(graph, name, full, std::move(parts));
}

Variable partitioned_variable(const Graph& graph, const std::string& name, PartialShape shape,
                              const VariableOptions& options) {
  VariableStore& store = variable_store(graph);
  if (store.variables.contains(name)) {
    throw value_error(
        "A partitioner was provided, but an unpartitioned version of the variable was "
        "found: ",
        name,
        ".  Perhaps a variable of the same name was already created without "
        "partitioning?");
  }
  if (options.initial_value) shape = shape.merge_with(options.initial_value->shape());
  const auto found = store.partitioned.find(name);
  if (found != store.partitioned.end()) {
    check_shared(found->second, shape, options.dtype, reuse_of(options));
    if (options.partitioner) {
      const auto wanted = checked_partitions(options.partitioner, shape, options.dtype, name);
      const int count = std::accumulate(wanted.begin(), wanted.end(), 1, std::multiplies<>());
      if (count != static_cast<int>(found->second.parts().size())) {
        throw value_error("Trying to reuse partitioned variable ", name, ", but specified ", count,
                          " partitions and found ", found->second.parts().size(), ".");
      }
    }
    return found->second;
  }
  if (reuse_of(options) == Reuse::kYes) not_there(name);
  const auto partitions = checked_partitions(options.partitioner, shape, options.dtype, name);
  Variable variable = add_parts(graph, name, *shape.as_shape(), partitions, options);
  store.partitioned.emplace(name, variable);
  return variable;
}

Variable true_getter(const Graph& graph, const std::string& name, const PartialShape& shape,
                     const VariableOptions& options) {
  VariableStore& store = variable_store(graph);
  const bool is_scalar = shape.has_rank() && shape.rank() == 0;
  const bool shares_parts = reuse_of(options) == Reuse::kYes && store.partitioned.contains(name);
  if ((options.partitioner && !is_scalar) || shares_parts)
    return partitioned_variable(graph, name, shape, options);
  if (store.variables.contains(cat(name, "/part_0"))) {
    throw value_error(
        "No partitioner was provided, but a partitioned version of the variable was "
        "found: ",
        name,
        "/part_0. Perhaps a variable of the same name was already created with "
        "partitioning?");
  }
  return single_variable(graph, name, shape, options, std::nullopt);
}

}  // namespace

Variable get_variable(const Graph& graph, std::string_view name, const PartialShape& shape,
                      const VariableOptions& given) {
  const VariableScopeState scope = variable_store(graph).scope;
  VariableOptions options = given;
  if (!options.regularizer) options.regularizer = scope.regularizer();
  if (!options.partitioner) options.partitioner = scope.partitioner();
  if (!options.custom_getter) options.custom_getter = scope.custom_getter();
  if (!options.initializer) options.initializer = scope.initializer();
  if (!options.reuse) options.reuse = scope.reuse();
  if (!options.use_resource) options.use_resource = scope.use_resource();
  const DType value_dtype =
      options.initial_value ? options.initial_value->dtype() : DType::kInvalid;
  if (value_dtype != DType::kInvalid && given.dtype != DType::kInvalid &&
      value_dtype != given.dtype) {
    throw value_error("Initializer type '", value_dtype, "' and explicit dtype '", given.dtype,
                      "' don't match.");
  }
  if (options.initial_value && shape.has_rank())
    throw value_error("If initializer is a constant, do not specify shape.");
  if (options.dtype == DType::kInvalid)
    options.dtype = value_dtype != DType::kInvalid ? value_dtype : scope.dtype();
  const std::string full = scope.name().empty() ? std::string(name) : cat(scope.name(), "/", name);
  const NameScope top(graph, "");
  const VariableGetter getter = [&](const std::string& wanted, const PartialShape& wanted_shape,
                                    const VariableOptions& wanted_options) {
    return true_getter(graph, wanted, wanted_shape, wanted_options);
  };
  const CustomGetter custom = options.custom_getter;
  if (!custom) return getter(full, shape, options);
  options.custom_getter = {};
  return custom(getter, full, shape, options);
}

}  // namespace hub
