#include "format/message_io.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <limits>

#include "base/errors.h"

namespace hub {

namespace gp = google::protobuf;

namespace {

// Nested deeper than this, a message is refused: parsers, converters and destructors recurse.
constexpr std::size_t kMaxNesting = 100;
constexpr std::size_t kMaxMessageBytes = std::numeric_limits<std::int32_t>::max();

Error at_place(Error error, std::string_view place) {
  if (!place.empty()) error.add_context(cat("in ", place));
  return error;
}

// Reads one varint; false where there is none.
bool read_varint(std::string_view bytes, std::size_t& offset, std::uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64 && offset < bytes.size(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes[offset++]);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

// One field of a message: where it is, and its contents where it is a string or message.
struct Field {
  std::size_t begin = 0;
  std::uint64_t number = 0;
  bool has_contents = false;
  std::string_view contents;
};

// How a value is written: the last three bits of a field's tag.
enum WireType : std::uint8_t {
  kVarint = 0,
  kEightBytes = 1,
  kLengthAndBytes = 2,
  kGroupBegin = 3,
  kGroupEnd = 4,
  kFourBytes = 5,
};

// Moves behind a value that is no group; `contents` are its bytes where it has a length.
bool skip_value(std::string_view bytes, std::size_t& offset, std::uint64_t type,
                std::string_view& contents) {
  std::uint64_t size = 0;
  switch (type) {
    case kVarint: return read_varint(bytes, offset, size);
    case kEightBytes: size = 8; break;
    case kLengthAndBytes:
      if (!read_varint(bytes, offset, size)) return false;
      break;
    case kFourBytes: size = 4; break;
    default: return false;
  }
  if (size > bytes.size() - offset) return false;
  contents = bytes.substr(offset, size);
  offset += size;
  return true;
}

// Moves behind the end of the group `number`. No message of ours has one, files of others may.
bool skip_group(std::string_view bytes, std::size_t& offset, std::uint64_t number) {
  std::vector<std::uint64_t> open = {number};
  while (!open.empty()) {
    std::uint64_t tag = 0;
    std::string_view contents;
    if (!read_varint(bytes, offset, tag)) return false;
    if ((tag & 7) == kGroupBegin) {
      if (open.size() >= kMaxNesting) return false;
      open.push_back(tag >> 3);
    } else if ((tag & 7) == kGroupEnd) {
      if (open.back() != tag >> 3) return false;
      open.pop_back();
    } else if (!skip_value(bytes, offset, tag & 7, contents)) {
      return false;
    }
  }
  return true;
}

// Reads the field at `offset` and moves behind it; false where it is broken.
bool read_field(std::string_view bytes, std::size_t& offset, Field& field) {
  field = {.begin = offset, .contents = {}};
  std::uint64_t tag = 0;
  if (!read_varint(bytes, offset, tag)) return false;
  field.number = tag >> 3;
  if (field.number == 0) return false;
  if ((tag & 7) == kGroupBegin) return skip_group(bytes, offset, field.number);
  field.has_contents = (tag & 7) == kLengthAndBytes;
  return skip_value(bytes, offset, tag & 7, field.contents);
}

// Says where the top-level structure of `bytes` breaks, for messages.
std::string broken_at(std::string_view bytes) {
  Field field;
  for (std::size_t offset = 0; offset < bytes.size();) {
    if (read_field(bytes, offset, field)) continue;
    return cat("field ", field.number, " at offset ", field.begin, " of ", bytes.size(),
               " is broken");
  }
  return cat("a nested message of the ", bytes.size(), " bytes is broken or nested too deeply");
}

void check_size(std::string_view bytes, std::string_view what, std::string_view place) {
  if (bytes.size() <= kMaxMessageBytes) return;
  throw at_place(
      decode_error("A ", what, " has at most 2^31 - 1 bytes. Details: got ", bytes.size(), "."),
      place);
}

Error not_a(std::string_view what, std::string_view bytes, std::string_view place) {
  return at_place(
      decode_error("The bytes cannot be parsed as a ", what, ". Details: ", broken_at(bytes), "."),
      place);
}

// Adds the bytes to the message; false where they cannot be parsed.
bool merge_bytes(gp::Message& message, std::string_view bytes) {
  gp::io::CodedInputStream stream(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                  static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(int{kMaxNesting});
  return message.MergeFromCodedStream(&stream) && stream.ConsumedEntireMessage();
}

class TextErrors final : public gp::io::ErrorCollector {
 public:
  void AddError(int line, gp::io::ColumnNumber column, const std::string& message) override {
    if (!first.empty()) return;
    first = cat("line ", line + 1, ", column ", column + 1, ": ", printable(message));
  }
  void AddWarning(int, gp::io::ColumnNumber, const std::string&) override {}

  std::string first;
};

// Any values are written out in text with TensorFlow's type names; ours are their twins.
class TwinTypes final : public gp::TextFormat::Finder {
 public:
  const gp::Descriptor* FindAnyType(const gp::Message&, const std::string&,
                                    const std::string& name) const override {
    constexpr std::string_view kPrefix = "tensorflow.";
    if (name.compare(0, kPrefix.size(), kPrefix) != 0) return nullptr;
    return gp::DescriptorPool::generated_pool()->FindMessageTypeByName(
        cat("tf1hub.format.", name.substr(kPrefix.size())));
  }
};

}  // namespace

void parse_binary(gp::Message& message, std::string_view bytes, std::string_view what,
                  std::string_view place) {
  check_size(bytes, what, place);
  const gp::LogSilencer silence;  // the library never prints
  message.Clear();
  if (merge_bytes(message, bytes)) return;
  throw not_a(what, bytes, place);
}

void split_fields(std::string_view bytes, std::span<FieldPieces> fields, gp::Message& rest,
                  std::string_view what, std::string_view place) {
  check_size(bytes, what, place);
  const gp::LogSilencer silence;
  std::size_t offset = 0, rest_begin = 0;  // from there to here: other fields, not merged yet
  bool good = true;
  while (good && offset < bytes.size()) {
    Field field;
    good = read_field(bytes, offset, field);
    const auto split = std::ranges::find_if(fields, [&](const FieldPieces& each) {
      return static_cast<std::uint64_t>(each.number) == field.number;
    });
    if (!good || split == fields.end() || !field.has_contents) continue;
    split->pieces.push_back(field.contents);
    if (rest_begin < field.begin) {
      good = merge_bytes(rest, bytes.substr(rest_begin, field.begin - rest_begin));
    }
    rest_begin = offset;
  }
  if (good && merge_bytes(rest, bytes.substr(rest_begin))) return;
  throw not_a(what, bytes, place);
}

void parse_text(gp::Message& message, std::string_view text, std::string_view what,
                std::string_view place) {
  check_size(text, what, place);
  const gp::LogSilencer silence;
  TextErrors errors;
  TwinTypes twins;
  gp::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  parser.SetFinder(&twins);
  parser.SetRecursionLimit(int{kMaxNesting});
  gp::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
  if (!parser.Parse(&stream, &message)) {
    throw at_place(
        decode_error("The text cannot be parsed as a ", what, ". Details: ",
                     errors.first.empty() ? "it is nested too deeply" : errors.first, "."),
        place);
  }
}

std::string serialize_binary(const gp::Message& message) {
  const gp::LogSilencer silence;
  const std::size_t size = message.ByteSizeLong();
  if (size > kMaxMessageBytes) {
    throw invalid_argument("A message has at most 2^31 - 1 bytes. Details: ",
                           message.GetDescriptor()->name(), " would have ", size, ".");
  }
  std::string bytes;
  bytes.resize(size);
  gp::io::ArrayOutputStream array(bytes.data(), static_cast<int>(size));
  {
    gp::io::CodedOutputStream stream(&array);
    stream.SetSerializationDeterministic(true);
    message.SerializeWithCachedSizes(&stream);
  }
  return bytes;
}

std::string serialize_text(const gp::Message& message) {
  const gp::LogSilencer silence;
  std::string text;
  gp::TextFormat::Printer printer;
  printer.SetHideUnknownFields(true);
  printer.PrintToString(message, &text);
  return text;
}

bool has_unknown_fields(const gp::Message& message) {
  return !message.GetReflection()->GetUnknownFields(message).empty();
}

std::string unknown_fields_of(const gp::Message& message) {
  const auto& fields = message.GetReflection()->GetUnknownFields(message);
  std::string bytes;
  if (!fields.empty()) fields.SerializeToString(&bytes);
  return bytes;
}

void merge_rest(gp::Message& message, std::string_view rest) {
  if (rest.empty()) return;
  const gp::LogSilencer silence;
  if (!merge_bytes(message, rest)) {
    throw invalid_argument("Unknown fields must be a serialized message. Details: those of a ",
                           message.GetDescriptor()->name(), " cannot be parsed.");
  }
}

std::optional<std::string_view> first_contents(std::string_view bytes, int number) {
  Field field;
  for (std::size_t offset = 0; offset < bytes.size() && read_field(bytes, offset, field);) {
    if (field.has_contents && field.number == static_cast<std::uint64_t>(number)) {
      return field.contents;
    }
  }
  return std::nullopt;
}

bool looks_like_text(std::string_view bytes) {
  constexpr std::size_t kLooked = 1024;
  return std::ranges::none_of(bytes.substr(0, kLooked), [](unsigned char byte) {
    return (byte < 0x20 && byte != '\n' && byte != '\t' && byte != '\r') || byte == 0x7f;
  });
}

}  // namespace hub
