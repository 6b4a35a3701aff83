#include "base/strings.h"
#include "hub/module.h"

namespace hub {

std::string_view to_string(ValueKind kind) {
  switch (kind) {
    case ValueKind::kDense: return "dense";
    case ValueKind::kSparse: return "sparse";
    case ValueKind::kRagged: return "ragged";
  }
  return "";
}

std::string to_string(const ValueInfo& info) {
  std::string text;
  if (info.kind != ValueKind::kDense) text = cat(to_string(info.kind), " ");
  text += cat(info.dtype, " ", info.shape);
  if (info.kind == ValueKind::kRagged) {
    text += cat(" with ", info.ragged_rank, " ragged dimension", info.ragged_rank == 1 ? "" : "s");
    if (info.row_splits_dtype != DType::kInt64) text += cat(", ", info.row_splits_dtype, " splits");
  }
  return text;
}

std::vector<std::string> part_names(std::string_view name, const ValueInfo& info) {
  switch (info.kind) {
    case ValueKind::kDense: return {std::string(name)};
    case ValueKind::kSparse:
      return {cat(name, "/indices"), cat(name, "/values"), cat(name, "/dense_shape")};
    case ValueKind::kRagged: break;
  }
  std::vector<std::string> names = {cat(name, "/values")};
  if (info.ragged_rank == 1) names.push_back(cat(name, "/row_splits"));
  for (int i = 0; info.ragged_rank > 1 && i < info.ragged_rank; ++i) {
    names.push_back(cat(name, "/row_splits_", i));
  }
  return names;
}

}  // namespace hub
