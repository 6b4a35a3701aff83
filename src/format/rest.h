#pragma once

// Private to this layer: what a message holds and the library's structs do not, at any depth
// below a struct that keeps it as bytes (`unknown_fields`).
//
// A rest is a message of the same type that has nothing else: unknown fields, and the few
// known ones that no struct has (the names of dimensions, the device of a resource handle).
// Elements of repeated fields keep their index in it, entries of maps their key.

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

#include "format/proto/tensor.pb.h"

namespace hub {

// Takes the rest out of a message; empty where there is none. Parts whose structs have
// `unknown_fields` of their own are left alone.
std::string take_rest(google::protobuf::Message& message);
// Puts it back into a message that has its values already. What belongs to a part that the
// message no longer has is dropped.
void restore_rest(google::protobuf::Message& message, std::string_view rest);

// Whether there is a rest, without reflection.
bool has_rest(const tf1hub::format::TensorShapeProto& shape);
bool has_rest(const tf1hub::format::TensorProto& tensor);

}  // namespace hub
