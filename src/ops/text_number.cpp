// Text to numbers: StringToNumber, DecodeCSV.

#include <algorithm>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/parse_number.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

using ParsedTypes = TypeList<float, double, std::int32_t, std::int64_t>;

template <class T>
std::optional<T> parse_number(std::string_view text) {
  if constexpr (std::floating_point<T>) {
    return parse_float<T>(text);
  } else {
    return parse_integer<T>(text);
  }
}

void string_to_number(KernelContext& context) {
  const Tensor& input = context.input(0);
  Tensor& result = context.output(0, input.shape());
  dispatch(ParsedTypes{}, result.dtype(), [&]<class T>() {
    T* to = result.mutable_data<T>();
    for (const std::string& text : input.values<std::string>()) {
      const std::optional<T> value = parse_number<T>(text);
      if (!value) {
        throw invalid_argument("StringToNumber: the text must be a number. Details: \"",
                               printable(text), "\" is no ", dtype_of<T>, ".");
      }
      *to++ = *value;
    }
  });
}

// The fields of a record between single delimiters; quotes, where they are used, take
// delimiters and line ends, and "" for a quote.
class CsvReader {
 public:
  CsvReader(std::string_view record, char delimiter, bool use_quotes)
      : record_(record), delimiter_(delimiter), use_quotes_(use_quotes) {}

  // False where there are no more.
  bool next(std::string& field) {
    field.clear();
    while (at_ < record_.size() && is_line_end(record_[at_])) ++at_;
    if (at_ >= record_.size()) return next_after_last_delimiter();
    if (use_quotes_ && record_[at_] == '"') {
      read_quoted(field);
    } else {
      read_plain(field);
    }
    return true;
  }

 private:
  static bool is_line_end(char c) { return c == '\n' || c == '\r'; }

  // A record that ends with a delimiter has an empty last field.
  bool next_after_last_delimiter() {
    if (finished_ || record_.empty() || record_.back() != delimiter_) return false;
    finished_ = true;
    return true;
  }

  void read_plain(std::string& field) {
    const std::size_t end = std::min(record_.find(delimiter_, at_), record_.size());
    field = record_.substr(at_, end - at_);
    if (field.find_first_of(use_quotes_ ? "\"\n\r" : "\n\r") != field.npos) {
      throw invalid_argument(
          "DecodeCSV: a field without quotes must hold no quotes and line ends. Details: \"",
          printable(field), "\".");
    }
    at_ = end + 1;
  }

  void read_quoted(std::string& field) {
    for (++at_; at_ + 1 < record_.size(); ++at_) {
      if (record_[at_] == '"') {
        if (record_[at_ + 1] == delimiter_) break;
        if (record_[at_ + 1] != '"') {
          throw invalid_argument(
              "DecodeCSV: a quote inside of quotes must be doubled. Details: the record is \"",
              printable(record_), "\".");
        }
        ++at_;
      }
      field += record_[at_];
    }
    if (at_ >= record_.size() || record_[at_] != '"') {
      throw invalid_argument(
          "DecodeCSV: a field that begins with a quote must end with one. Details: the record "
          "is \"",
          printable(record_), "\".");
    }
    at_ += 2;
  }

  std::string_view record_;
  char delimiter_;
  bool use_quotes_;
  std::size_t at_ = 0;
  bool finished_ = false;
};

class DecodeCsvKernel final : public Kernel {
 public:
  explicit DecodeCsvKernel(const KernelInit& init)
      : types_(init.attr<AttrList>("OUT_TYPE").types),
        columns_(init.attr<AttrList>("select_cols").ints),
        use_quotes_(init.attr<bool>("use_quote_delim")),
        missing_(init.attr<std::string>("na_value")) {
    const auto& delimiter = init.attr<std::string>("field_delim");
    if (delimiter.size() != 1) {
      throw invalid_argument("DecodeCSV: the delimiter must be one byte. Details: \"",
                             printable(delimiter), "\".");
    }
    delimiter_ = delimiter[0];
    if (!columns_.empty() && columns_.size() != types_.size()) {
      throw invalid_argument("DecodeCSV: each output has a column. Details: ", columns_.size(),
                             " columns for ", types_.size(), " outputs.");
    }
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (columns_[i] < 0 || (i > 0 && columns_[i] <= columns_[i - 1])) {
        throw invalid_argument(
            "DecodeCSV: the columns must be at least 0 and rise. Details: ", join(columns_), ".");
      }
    }
  }

  void compute(KernelContext& context) const override {
    for (std::size_t i = 0; i < types_.size(); ++i) {
      const Tensor& value = context.input(static_cast<int>(i) + 1);
      if (value.num_elements() > 1) {
        throw invalid_argument("DecodeCSV: a field has at most one default. Details: field ", i,
                               " has ", value.num_elements(), ".");
      }
    }
    const Tensor& records = context.input(0);
    std::vector<Tensor*> outputs;
    for (int i = 0; i < context.num_outputs(); ++i) {
      outputs.push_back(&context.output(i, records.shape()));
    }
    const std::string* record = records.data<std::string>();
    for (std::int64_t i = 0; i < records.num_elements(); ++i) {
      const std::vector<std::string> fields = fields_of(record[i], i);
      for (std::size_t f = 0; f < fields.size(); ++f) {
        store(*outputs[f], i, fields[f], context.input(static_cast<int>(f) + 1), f);
      }
    }
  }

 private:
  std::vector<std::string> fields_of(std::string_view record, std::int64_t index) const {
    std::vector<std::string> fields;
    CsvReader reader(record, delimiter_, use_quotes_);
    std::string field;
    for (std::int64_t column = 0; columns_.empty() || fields.size() < columns_.size(); ++column) {
      if (!reader.next(field)) break;
      if (columns_.empty() || columns_[fields.size()] == column) fields.push_back(field);
    }
    if (fields.size() != types_.size()) {
      throw invalid_argument("DecodeCSV: a record must have ", types_.size(),
                             " fields. Details: record ", index, " has ", fields.size(), ": \"",
                             printable(record), "\".");
    }
    return fields;
  }

  void store(Tensor& to, std::int64_t record, const std::string& field, const Tensor& fallback,
             std::size_t index) const {
    if (field.empty() || field == missing_) {
      if (fallback.num_elements() == 0) {
        throw invalid_argument(
            "DecodeCSV: a field without a default must have a value. Details: field ", index,
            " of record ", record, " is missing.");
      }
      copy_elements(to.dtype(), fallback.raw_data(), element_at(to, record), 1);
      return;
    }
    if (to.dtype() == kString) {
      to.mutable_data<std::string>()[record] = field;
      return;
    }
    dispatch(ParsedTypes{}, to.dtype(), [&]<class T>() {
      const std::optional<T> value = parse_number<T>(field);
      if (!value) {
        throw invalid_argument("DecodeCSV: the field must be a number. Details: field ", index,
                               " of record ", record, ", \"", printable(field), "\", is no ",
                               dtype_of<T>, ".");
      }
      to.mutable_data<T>()[record] = *value;
    });
  }

  std::vector<DType> types_;
  std::vector<std::int64_t> columns_;
  bool use_quotes_;
  std::string missing_;
  char delimiter_ = ',';
};

Shapes decode_csv_shape(ShapeContext& c) {
  for (int i = 1; i < c.num_inputs(); ++i) {
    const PartialShape value = c.at_most_rank(i, 1);
    if (value.rank() == 1 && value.dim(0) > 1) {
      throw invalid_argument("DecodeCSV: a field has at most one default. Details: field ", i - 1,
                             " has ", value.dim(0), ".");
    }
  }
  return Shapes(static_cast<std::size_t>(c.num_outputs()), c.input(0));
}

constexpr OpDef kOps[] = {
    {.name = "StringToNumber",
     .inputs = "string_tensor: string",
     .outputs = "output: out_type",
     .attrs = "out_type: {float, double, int32, int64} = float",
     .shape = unchanged_shape,
     .kernel = kernel_function<string_to_number>,
     .differentiable = Differentiable::kNone},
    {.name = "DecodeCSV",
     .inputs = "records: string, record_defaults: OUT_TYPE",
     .outputs = "output: OUT_TYPE",
     .attrs = "OUT_TYPE: list({float, double, int32, int64, string}) >= 1; "
              "field_delim: string = ','; use_quote_delim: bool = true; na_value: string = ''; "
              "select_cols: list(int) = []",
     .shape = decode_csv_shape,
     .kernel = make_kernel<DecodeCsvKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily text_number_ops() { return kOps; }

}  // namespace hub
