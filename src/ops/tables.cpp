// Lookup tables: what all kinds share, and the ops that work on any of them.

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/table.h"
#include "ops/table_rows.h"
#include "ops/table_shapes.h"

namespace hub {

// --- what all tables have ---

void LookupTable::initialize(const Tensor&, const Tensor&) {
  throw invalid_argument("A table's initialisation needs an immutable table. Details: it is a ",
                         kind(), ".");
}

void LookupTable::find_words(std::span<const std::string_view>, std::int64_t, std::int64_t*) const {
  throw unimplemented("A ", kind(), " finds no words without tensors.");
}

void LookupTable::insert(const Tensor&, const Tensor&) {
  throw unimplemented("A ", kind(), " cannot be changed: there is no insertion.");
}

void LookupTable::remove(const Tensor&) {
  throw unimplemented("A ", kind(), " cannot be changed: there is no removal.");
}

void LookupTable::import(const Tensor&, const Tensor&) {
  throw unimplemented("A ", kind(), " cannot be changed: there is no import.");
}

void LookupTable::check_import(const Tensor& keys, const Tensor& values) const {
  check_entries(*this, keys, values);
}

std::shared_ptr<LookupTable> LookupTable::of_input(KernelContext& context) {
  std::shared_ptr<LookupTable> table;
  const Tensor& handle = context.input(0);
  if (handle.dtype() == DType::kResource) {
    table = context.resource<LookupTable>(0);
  } else {
    if (handle.dtype() != DType::kString || handle.num_elements() != 2) {
      throw invalid_argument(context.node().op_name,
                             ": a table's handle must be two strings. Details: got ",
                             handle.dtype(), " ", handle.shape(), ".");
    }
    const std::string* names = handle.data<std::string>();
    table = context.resources().find<LookupTable>(names[0], names[1]);
  }
  if (table == nullptr) {
    throw not_found(context.node().op_name, ": there is no such table.");
  }
  return table;
}

TableName::TableName(const KernelInit& init) : container(init.attr<std::string>("container")) {
  const auto& shared_name = init.attr<std::string>("shared_name");
  if (!shared_name.empty()) {
    name = cat("table ", shared_name);
  } else if (init.attr<bool>("use_node_name_sharing")) {
    name = cat("table ", init.name());
  } else {
    name = cat("table of node ", init.name());  // of this node alone, in all plans
  }
}

Tensor table_handle(const TableName& name, const std::shared_ptr<LookupTable>& table,
                    const TableTypes& types, bool as_resource) {
  if (table->key_dtype() != types.key_dtype || table->value_dtype() != types.value_dtype) {
    throw invalid_argument(
        "Tables of one name must have the same dtypes. Details: there is one from ",
        table->key_dtype(), " to ", table->value_dtype(), ".");
  }
  if (!as_resource) return strings({name.container, name.name});
  Tensor handle(DType::kResource, Shape{});
  *handle.mutable_data<ResourceHandle>() = {name.container, name.name, table};
  return handle;
}

TableTypes::TableTypes(const KernelInit& init)
    : key_dtype(init.attr<DType>("key_dtype")), value_dtype(init.attr<DType>("value_dtype")) {
  if (!init.has_attr("value_shape")) return;
  const auto& declared = init.attr<PartialShape>("value_shape");
  const auto known = declared.as_shape();
  if (!known) {
    throw invalid_argument(init.op(), ": the shape of values must be known. Details: it is ",
                           declared, ".");
  }
  value_shape = *known;
}

void check_keys(const LookupTable& table, const Tensor& keys) {
  const int key_rank = table.key_shape().rank();
  const bool fits = keys.dtype() == table.key_dtype() && keys.rank() >= key_rank &&
                    keys.shape().slice(keys.rank() - key_rank, keys.rank()) == table.key_shape();
  if (!fits) {
    throw invalid_argument(
        "Keys must have the table's key dtype, and its key shape at the end. Details: keys are ",
        keys.dtype(), " ", keys.shape(), ", the table's ", table.key_dtype(), " ",
        table.key_shape(), ".");
  }
}

namespace {

// [keys without the key shape] + [value shape].
Shape value_shape_for(const LookupTable& table, const Shape& keys) {
  const Shape outer = keys.slice(0, keys.rank() - table.key_shape().rank());
  std::vector<std::int64_t> dims(outer.dims().begin(), outer.dims().end());
  dims.insert(dims.end(), table.value_shape().dims().begin(), table.value_shape().dims().end());
  return Shape(dims);
}

}  // namespace

void check_entries(const LookupTable& table, const Tensor& keys, const Tensor& values) {
  check_keys(table, keys);
  const Shape expected = value_shape_for(table, keys.shape());
  if (values.dtype() != table.value_dtype() || !(values.shape() == expected)) {
    throw invalid_argument("There must be one value for each key. Details: values are ",
                           values.dtype(), " ", values.shape(), ", expected ", table.value_dtype(),
                           " ", expected, ".");
  }
}

namespace {

void compute_find(KernelContext& context) {
  const auto table = LookupTable::of_input(context);
  const Tensor& keys = context.input(1);
  const Tensor& default_value = context.input(2);
  check_keys(*table, keys);
  if (default_value.dtype() != table->value_dtype() ||
      context.output_dtype(0) != table->value_dtype()) {
    throw invalid_argument(context.node().op_name,
                           ": the default must have the table's value dtype. Details: it is ",
                           default_value.dtype(), ", the table's ", table->value_dtype(), ".");
  }
  const Shape shape = value_shape_for(*table, keys.shape());
  if (!(default_value.shape() == table->value_shape()) && !(default_value.shape() == shape)) {
    throw invalid_argument(
        context.node().op_name,
        ": the default must be one value, or one for each key. Details: ", "its shape is ",
        default_value.shape(), ", expected ", table->value_shape(), " or ", shape, ".");
  }
  Tensor& values = context.output(0, shape);
  table->find(context, keys, default_value, values);
}

void compute_size(KernelContext& context) {
  const std::int64_t size = LookupTable::of_input(context)->size();
  *context.output(0, Shape{}).mutable_data<std::int64_t>() = size;
}

void compute_insert(KernelContext& context) {
  const auto table = LookupTable::of_input(context);
  check_entries(*table, context.input(1), context.input(2));
  table->insert(context.input(1), context.input(2));
}

void compute_import(KernelContext& context) {
  const auto table = LookupTable::of_input(context);
  table->check_import(context.input(1), context.input(2));
  table->import(context.input(1), context.input(2));
}

void compute_remove(KernelContext& context) {
  const auto table = LookupTable::of_input(context);
  check_keys(*table, context.input(1));
  table->remove(context.input(1));
}

void compute_export(KernelContext& context) {
  const auto table = LookupTable::of_input(context);
  if (context.output_dtype(0) != table->key_dtype() ||
      context.output_dtype(1) != table->value_dtype()) {
    throw invalid_argument(
        context.node().op_name,
        ": the outputs must have the table's dtypes. Details: the table is from ",
        table->key_dtype(), " to ", table->value_dtype(), ".");
  }
  table->export_to(context);
}

constexpr OpDef kOps[] = {
    {.name = "LookupTableFindV2",
     .inputs = "table_handle: resource, keys: Tin, default_value: Tout",
     .outputs = "values: Tout",
     .attrs = "Tin: type; Tout: type",
     .shape = table_find_shape,
     .kernel = kernel_function<compute_find>,
     .differentiable = Differentiable::kNone,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "LookupTableFind",
     .inputs = "table_handle: Ref(string), keys: Tin, default_value: Tout",
     .outputs = "values: Tout",
     .attrs = "Tin: type; Tout: type",
     .shape = table_find_shape,
     .kernel = kernel_function<compute_find>,
     .differentiable = Differentiable::kNone,
     .reads_variables_only = true},
    {.name = "LookupTableSizeV2",
     .inputs = "table_handle: resource",
     .outputs = "size: int64",
     .shape = table_size_shape,
     .kernel = kernel_function<compute_size>,
     .differentiable = Differentiable::kNone,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "LookupTableSize",
     .inputs = "table_handle: Ref(string)",
     .outputs = "size: int64",
     .shape = table_size_shape,
     .kernel = kernel_function<compute_size>,
     .differentiable = Differentiable::kNone,
     .reads_variables_only = true},
    {.name = "LookupTableInsertV2",
     .inputs = "table_handle: resource, keys: Tin, values: Tout",
     .attrs = "Tin: type; Tout: type",
     .shape = table_use_shape,
     .kernel = kernel_function<compute_insert>,
     .differentiable = Differentiable::kNone,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "LookupTableInsert",
     .inputs = "table_handle: Ref(string), keys: Tin, values: Tout",
     .attrs = "Tin: type; Tout: type",
     .shape = table_use_shape,
     .kernel = kernel_function<compute_insert>,
     .differentiable = Differentiable::kNone,
     .reads_variables_only = true},
    {.name = "LookupTableRemoveV2",
     .inputs = "table_handle: resource, keys: Tin",
     .attrs = "Tin: type",
     .shape = table_use_shape,
     .kernel = kernel_function<compute_remove>,
     .differentiable = Differentiable::kRefused,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "LookupTableImportV2",
     .inputs = "table_handle: resource, keys: Tin, values: Tout",
     .attrs = "Tin: type; Tout: type",
     .shape = table_use_shape,
     .kernel = kernel_function<compute_import>,
     .differentiable = Differentiable::kRefused,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "LookupTableImport",
     .inputs = "table_handle: Ref(string), keys: Tin, values: Tout",
     .attrs = "Tin: type; Tout: type",
     .shape = table_use_shape,
     .kernel = kernel_function<compute_import>,
     .differentiable = Differentiable::kRefused,
     .reads_variables_only = true},
    {.name = "LookupTableExportV2",
     .inputs = "table_handle: resource",
     .outputs = "keys: Tkeys, values: Tvalues",
     .attrs = "Tkeys: type; Tvalues: type",
     .shape = table_export_shape,
     .kernel = kernel_function<compute_export>,
     .differentiable = Differentiable::kRefused,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "LookupTableExport",
     .inputs = "table_handle: Ref(string)",
     .outputs = "keys: Tkeys, values: Tvalues",
     .attrs = "Tkeys: type; Tvalues: type",
     .shape = table_export_shape,
     .kernel = kernel_function<compute_export>,
     .differentiable = Differentiable::kRefused,
     .reads_variables_only = true},
};

}  // namespace

OpFamily table_ops() { return kOps; }

}  // namespace hub
