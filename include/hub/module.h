#pragma once

// Modules as functions of tensors: load one, look at its signatures, call it.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hub/export.h"
#include "hub/resolver.h"
#include "hub/tensor.h"

namespace hub {

enum class ValueKind : std::uint8_t { kDense, kSparse, kRagged };

// "dense", "sparse", "ragged".
HUB_EXPORT std::string_view to_string(ValueKind kind);

// What a signature says of one input or output.
struct ValueInfo {
  ValueKind kind = ValueKind::kDense;
  DType dtype = DType::kInvalid;  // of the values
  PartialShape shape;             // of the whole value, as if it were dense
  int ragged_rank = 0;            // ragged: how many dimensions are
  DType row_splits_dtype = DType::kInt64;
  bool operator==(const ValueInfo&) const = default;
};
// "float32 [?,4]", "sparse float32 [?,4]", "ragged float32 [?,?] with 1 ragged dimension".
HUB_EXPORT std::string to_string(const ValueInfo& info);

struct Signature {
  std::map<std::string, ValueInfo> inputs;
  std::map<std::string, ValueInfo> outputs;
};

// Tensors by name. A dense value is one tensor under its own name. A sparse value is three:
// "x/indices" (int64 [n,rank]), "x/values" [n], "x/dense_shape" (int64 [rank]). A ragged one
// is "x/values" and "x/row_splits", or "x/row_splits_0", "x/row_splits_1"... from the
// outermost dimension inwards where there are several.
using TensorMap = std::map<std::string, Tensor>;

// The names of the tensors of a value, in that order.
HUB_EXPORT std::vector<std::string> part_names(std::string_view name, const ValueInfo& info);

struct LoadOptions {
  // Which graph of the module. Empty: the one without tags, or the only one that there is.
  std::vector<std::string> tags = {};
  // What operator() calls. Empty: "default", and "serving_default" for SavedModels.
  std::string signature = {};
  // At most this many threads compute; 0: one for each CPU.
  int threads = 0;
  // How the handle is found.
  ResolveOptions resolve = {};
};

// A loaded module: its graph compiled, its variables and tables in memory. Immutable as far
// as the module's own ops are stateless; a copy is the same function. Any number of threads
// may call it; calls never grow anything.
class HUB_EXPORT Function {
 public:
  class Impl;
  explicit Function(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

  // Applies the signature that was chosen at loading; gives its output "default" (of a
  // SavedModel: its only output). The first form is for signatures with one dense input.
  // Errors: of kind type where inputs or outputs are not what the signature says, of kind
  // value for a tensor of another dtype; those of the graph's ops.
  Tensor operator()(const Tensor& input) const;
  Tensor operator()(const TensorMap& inputs) const;

  // All outputs by name, of any signature ("": the one chosen at loading).
  // Errors: the same; of kind value for a signature that does not exist.
  TensorMap call(const TensorMap& inputs, std::string_view signature = {}) const;

  // Feeds and fetches any tensors of the graph by their names there ("conv1/Relu:0"): for
  // graphs without signatures. Errors: NOT_FOUND for a name that is not in the graph.
  TensorMap run(const TensorMap& feeds, const std::vector<std::string>& fetches) const;

  // By name.
  const std::map<std::string, Signature>& signatures() const;

 private:
  std::shared_ptr<const Impl> impl_;
};

// Loads a TF1 Hub module, a SavedModel of TensorFlow 1 or 2, or a frozen graph (a file).
// Errors: those of hub::resolve, such as kind io where there is nothing at `handle`; of kind
// value where the module has no graph with these tags or is of a newer format; DATA_LOSS for
// damaged files.
HUB_EXPORT Function load(const std::string& handle, const LoadOptions& options = {});

}  // namespace hub
