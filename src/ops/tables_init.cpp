// Filling a HashTable: from tensors, or from the lines of a text file.

#include <algorithm>

#include "base/file.h"
#include "ops/kernel.h"
#include "ops/parse_number.h"
#include "ops/table.h"
#include "ops/table_shapes.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

void compute_initialize(KernelContext& context) {
  const auto table = LookupTable::of_input(context);
  const Tensor& keys = context.input(1);
  const Tensor& values = context.input(2);
  if (keys.rank() != 1 || values.rank() != 1 || keys.num_elements() != values.num_elements()) {
    throw invalid_argument(context.node().op_name,
                           ": keys and values must be vectors of one size. Details: ", keys.shape(),
                           " and ", values.shape(), ".");
  }
  table->initialize(keys, values);
}

// Where a key or a value stands in a line.
constexpr std::int64_t kWholeLine = -2;
constexpr std::int64_t kLineNumber = -1;

struct TextFileFormat {
  std::int64_t key_index = 0;
  std::int64_t value_index = 0;
  std::int64_t vocab_size = -1;  // -1: all lines
  std::int64_t offset = 0;       // added to line numbers, and to int32 fields
  char delimiter = '\t';
};

// The lines of a file, without what ends them.
std::vector<std::string> read_lines(const std::string& path, std::int64_t most) {
  const auto file = MappedFile::open(path);
  std::string_view rest = file->bytes();
  std::vector<std::string> lines;
  while (!rest.empty() && (most < 0 || static_cast<std::int64_t>(lines.size()) < most)) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string line(rest.substr(0, end));
    if (!line.empty() && line.back() == '\r') line.pop_back();
    const bool last = end == rest.size();
    if (last && line.empty()) break;  // nothing behind the last newline
    lines.push_back(std::move(line));
    rest.remove_prefix(last ? end : end + 1);
  }
  return lines;
}

// One column of keys or values.
class Column {
 public:
  Column(DType dtype, std::int64_t index, std::int64_t count, const TextFileFormat& format)
      : index_(index), format_(format), values_(dtype, Shape{count}) {
    check(dtype);
  }

  void set(std::int64_t i, const std::string& line, const std::vector<std::string>& fields) {
    if (index_ == kLineNumber) {
      values_.mutable_data<std::int64_t>()[i] = i + format_.offset;
      return;
    }
    const std::string& text =
        index_ == kWholeLine ? line : fields[static_cast<std::size_t>(index_)];
    switch (values_.dtype()) {
      case DType::kString: values_.mutable_data<std::string>()[i] = text; break;
      case DType::kInt32:
        store(i, text, parse_integer<std::int32_t>(text));
        // As in TensorFlow, which leaves int64 fields alone; it wraps.
        values_.mutable_data<std::int32_t>()[i] =
            static_cast<std::int32_t>(values_.data<std::int32_t>()[i] + format_.offset);
        break;
      case DType::kInt64: store(i, text, parse_integer<std::int64_t>(text)); break;
      case DType::kFloat32: store(i, text, parse_float<float>(text)); break;
      case DType::kFloat64: store(i, text, parse_float<double>(text)); break;
      default:
        throw invalid_argument("A text file cannot hold this dtype. Details: ", values_.dtype(),
                               ".");
    }
  }

  const Tensor& values() const { return values_; }

 private:
  void check(DType dtype) const {
    const bool integer = dtype == DType::kInt32 || dtype == DType::kInt64;
    if (index_ == kLineNumber && dtype != DType::kInt64) {
      throw invalid_argument("Line numbers are int64. Details: the table has ", dtype, ".");
    }
    if (index_ == kWholeLine && !integer && dtype != DType::kString) {
      throw invalid_argument("A whole line is a string or an integer. Details: the table has ",
                             dtype, ".");
    }
  }

  template <class T>
  void store(std::int64_t i, const std::string& text, const std::optional<T>& value) {
    if (!value) {
      throw invalid_argument("A text file's field must be a number. Details: \"", printable(text),
                             "\" in line ", i, " is not a valid ", values_.dtype(), ".");
    }
    values_.mutable_data<T>()[i] = *value;
  }

  std::int64_t index_;
  const TextFileFormat& format_;
  Tensor values_;
};

void initialize_from_file(LookupTable& table, const std::string& path,
                          const TextFileFormat& format) {
  const std::vector<std::string> lines = read_lines(path, format.vocab_size);
  const auto count = static_cast<std::int64_t>(lines.size());
  Column keys(table.key_dtype(), format.key_index, count, format);
  Column values(table.value_dtype(), format.value_index, count, format);
  if (format.vocab_size >= 0 && count < format.vocab_size) {
    throw invalid_argument("A text file must have as many lines as vocab_size says. Details: \"",
                           path, "\" has ", count, ", expected ", format.vocab_size, ".");
  }
  if (lines.empty())
    throw out_of_range("A table cannot be initialised from no lines. Details: \"", path, "\".");
  const std::int64_t last_field = std::max(format.key_index, format.value_index);
  std::vector<std::string> fields;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::string& line = lines[static_cast<std::size_t>(i)];
    if (line.empty()) {
      throw invalid_argument("A text file must have no empty lines. Details: line ", i, " of \"",
                             path, "\".");
    }
    if (last_field >= 0) {
      fields = split(line, format.delimiter);
      if (static_cast<std::int64_t>(fields.size()) <= last_field) {
        throw invalid_argument("A line must have all columns. Details: line ", i, " of \"", path,
                               "\" has ", fields.size(), ", expected ", last_field + 1, ".");
      }
    }
    keys.set(i, line, fields);
    values.set(i, line, fields);
  }
  try {
    table.initialize(keys.values(), values.values());
  } catch (const Error& error) {
    // A table's name holds its file's, so a table that is filled was filled from this file.
    if (error.code() != ErrorCode::kFailedPrecondition || !table.is_initialized()) throw;
  }
}

class InitializeFromTextFileKernel final : public Kernel {
 public:
  explicit InitializeFromTextFileKernel(const KernelInit& init) {
    format_.key_index = init.attr<std::int64_t>("key_index");
    format_.value_index = init.attr<std::int64_t>("value_index");
    format_.vocab_size = init.attr<std::int64_t>("vocab_size");
    format_.offset = init.attr<std::int64_t>("offset");
    const auto& delimiter = init.attr<std::string>("delimiter");
    if (delimiter.size() != 1) {
      throw invalid_argument(init.op(), ": the delimiter must be one character. Details: \"",
                             printable(delimiter), "\".");
    }
    format_.delimiter = delimiter.front();
  }

  void compute(KernelContext& context) const override {
    const auto table = LookupTable::of_input(context);
    if (!table->is_immutable()) {
      throw invalid_argument(context.node().op_name, ": only an immutable table is filled from a ",
                             "file. Details: it is a ", table->kind(), ".");
    }
    initialize_from_file(*table, context.input(1).scalar<std::string>(), format_);
  }

 private:
  TextFileFormat format_;
};

constexpr OpDef kOps[] = {
    {.name = "InitializeTableV2",
     .inputs = "table_handle: resource, keys: Tkey, values: Tval",
     .attrs = "Tkey: type; Tval: type",
     .shape = table_use_shape,
     .kernel = kernel_function<compute_initialize>,
     .differentiable = Differentiable::kNone,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "InitializeTable",
     .inputs = "table_handle: Ref(string), keys: Tkey, values: Tval",
     .attrs = "Tkey: type; Tval: type",
     .shape = table_use_shape,
     .kernel = kernel_function<compute_initialize>,
     .differentiable = Differentiable::kNone,
     .reads_variables_only = true},
    {.name = "InitializeTableFromTextFileV2",
     .inputs = "table_handle: resource, filename: string",
     .attrs = "key_index: int >= -2; value_index: int >= -2; vocab_size: int >= -1 = -1; "
              "delimiter: string = '\\t'; offset: int = 0",
     .shape = table_use_shape,
     .kernel = make_kernel<InitializeFromTextFileKernel>,
     .differentiable = Differentiable::kNone,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "InitializeTableFromTextFile",
     .inputs = "table_handle: Ref(string), filename: string",
     .attrs = "key_index: int >= -2; value_index: int >= -2; vocab_size: int >= -1 = -1; "
              "delimiter: string = '\\t'; offset: int = 0",
     .shape = table_use_shape,
     .kernel = make_kernel<InitializeFromTextFileKernel>,
     .differentiable = Differentiable::kNone,
     .reads_variables_only = true},
};

}  // namespace

OpFamily table_init_ops() { return kOps; }

}  // namespace hub
