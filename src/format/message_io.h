#pragma once

// Private to this layer: protobuf messages from and to bytes and text, with our errors.

#include <google/protobuf/message.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hub {

// `what` says what the bytes should be ("GraphDef"), `place` where they are from (a path;
// empty: the caller adds it).
// Errors: DATA_LOSS (kind decode).
void parse_binary(google::protobuf::Message& message, std::string_view bytes, std::string_view what,
                  std::string_view place);
void parse_text(google::protobuf::Message& message, std::string_view text, std::string_view what,
                std::string_view place);

// Large messages are read in pieces, so that at no time the whole of them is in memory as
// protobuf messages: `pieces` gets the contents of every field `number` (which has messages),
// in order; all other fields are merged into `rest`. Errors: as parse_binary.
struct FieldPieces {
  int number = 0;
  std::vector<std::string_view> pieces = {};
};
void split_fields(std::string_view bytes, std::span<FieldPieces> fields,
                  google::protobuf::Message& rest, std::string_view what, std::string_view place);

// Equal messages give equal bytes: maps are sorted by key.
// Errors: INVALID_ARGUMENT where the message is above protobuf's limit of 2 GiB.
std::string serialize_binary(const google::protobuf::Message& message);
// Without unknown fields: text has no names for them, and could not be read again.
std::string serialize_text(const google::protobuf::Message& message);

// A message's own unknown fields, as bytes; merge_rest puts them back.
bool has_unknown_fields(const google::protobuf::Message& message);
std::string unknown_fields_of(const google::protobuf::Message& message);
void merge_rest(google::protobuf::Message& message, std::string_view rest);

// The contents of the first field `number` that is a string or a message; nothing where there
// is none, or the bytes are broken before it.
std::optional<std::string_view> first_contents(std::string_view bytes, int number);

// True where the bytes look like the text form of a message: no control bytes but
// whitespace in the beginning.
bool looks_like_text(std::string_view bytes);

}  // namespace hub
