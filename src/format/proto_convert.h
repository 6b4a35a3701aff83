#pragma once

// Private to this layer: protobuf messages from and to the library's structs. Readers take
// the message's memory where they can, so a message is used up by converting it.

#include <cstdint>
#include <string>
#include <string_view>

#include "format/graph_def.h"
#include "format/message_io.h"
#include "format/proto/graph.pb.h"
#include "format/proto/tensor.pb.h"

namespace hub {

namespace pb = ::tf1hub::format;

// What one reading may allocate beyond what its bytes hold: a constant's single value that
// fills its whole shape.
class SplatBudget {
 public:
  explicit SplatBudget(const ParseLimits& limits) : left_(limits.max_splat_bytes) {}
  // Errors: RESOURCE_EXHAUSTED.
  void take(std::uint64_t bytes);
  void check(std::uint64_t bytes) const;

 private:
  std::uint64_t left_;
};

enum class DTypeRule {
  kKnown,   // a dtype of this library, its reference form, or none
  kAnyone,  // any number that fits: schemas may list dtypes of later versions
};

// Errors: INVALID_ARGUMENT with the number.
DType read_dtype(int number, DTypeRule rule = DTypeRule::kKnown);

PartialShape read_partial_shape(const pb::TensorShapeProto& message);
// Errors: INVALID_ARGUMENT where a dimension or the rank is unknown.
Shape read_full_shape(const pb::TensorShapeProto& message);
void write_shape(const PartialShape& shape, pb::TensorShapeProto& message);
void write_shape(const Shape& shape, pb::TensorShapeProto& message);

Tensor read_tensor(pb::TensorProto& message, SplatBudget& budget);
void write_tensor(const Tensor& tensor, pb::TensorProto& message);
// Only the values, each in the list of its dtype.
void write_typed_values(const Tensor& tensor, pb::TensorProto& message);

using AttrProtoMap = google::protobuf::Map<std::string, pb::AttrValue>;
AttrValue read_attr(pb::AttrValue& message, SplatBudget& budget,
                    DTypeRule rule = DTypeRule::kKnown);
AttrMap read_attrs(AttrProtoMap& map, SplatBudget& budget, DTypeRule rule = DTypeRule::kKnown);
void write_attr(const AttrValue& value, pb::AttrValue& message);
void write_attrs(const AttrMap& attrs, AttrProtoMap& map);

OpDefMessage read_op_def(pb::OpDef& message, SplatBudget& budget, DTypeRule rule);
void write_op_def(const OpDefMessage& op, pb::OpDef& message);

GraphDef read_graph(pb::GraphDef& message, SplatBudget& budget);
// Reads the bytes of a GraphDef node by node; several are merged. Errors name no file.
GraphDef read_graph(const std::vector<std::string_view>& pieces, SplatBudget& budget);
void write_graph(const GraphDef& graph, pb::GraphDef& message);

}  // namespace hub
