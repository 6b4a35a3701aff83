#include "cli/print_tensor.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "base/strings.h"
#include "cli/table.h"
#include "tensor/dispatch.h"

namespace hub::cli {
namespace {

constexpr std::int64_t kMaxRows = 8;
constexpr std::int64_t kMaxColumns = 8;
constexpr std::size_t kMaxTextBytes = 40;

using Printable = Join<PlainTypes, TypeList<std::string>>;

template <class T>
std::string cell(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return '"' + printable(value, kMaxTextBytes) + '"';
  } else if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_integral_v<T>) {
    return std::to_string(value);
  } else if constexpr (requires { value.imag(); }) {
    return fmt::format("{:.6g}{:+.6g}i", value.real(), value.imag());
  } else if constexpr (std::is_same_v<T, double>) {
    return fmt::format("{:.6g}", value);
  } else {
    return fmt::format("{:.6g}", static_cast<float>(value));
  }
}

// "[1,0]" for the row with this number; nothing where there is only one.
std::string row_label(const Shape& shape, std::int64_t row) {
  if (shape.rank() < 2) return "";
  std::vector<std::int64_t> index;
  for (int axis = shape.rank() - 2; axis >= 0; --axis) {
    index.push_back(row % shape[axis]);
    row /= shape[axis];
  }
  std::reverse(index.begin(), index.end());
  return "[" + join(index, ",") + "]";
}

template <class T>
std::vector<std::vector<std::string>> table_rows(const Tensor& tensor) {
  const Shape& shape = tensor.shape();
  const std::int64_t columns = shape.rank() == 0 ? 1 : shape[shape.rank() - 1];
  const std::int64_t rows = columns == 0 ? 0 : tensor.num_elements() / columns;
  std::vector<std::vector<std::string>> result;
  for (std::int64_t row = 0; row < std::min(rows, kMaxRows); ++row) {
    std::vector<std::string> cells;
    if (const std::string label = row_label(shape, row); !label.empty()) cells.push_back(label);
    for (std::int64_t column = 0; column < std::min(columns, kMaxColumns); ++column) {
      cells.push_back(cell(tensor.data<T>()[row * columns + column]));
    }
    if (columns > kMaxColumns) cells.push_back("...");
    result.push_back(std::move(cells));
  }
  if (rows > kMaxRows) result.push_back({"..."});
  return result;
}

}  // namespace

std::string tensor_table(std::string_view name, const Tensor& tensor) {
  std::string text = fmt::format("{}  {} {}\n", printable(name), dtype_name(tensor.dtype()),
                                 to_string(tensor.shape()));
  if (tensor.dtype() == DType::kResource || tensor.dtype() == DType::kVariant) return text;
  dispatch(Printable{}, tensor.dtype(),
           [&]<class T>() { text += aligned(table_rows<T>(tensor), 2); });
  return text;
}

}  // namespace hub::cli
