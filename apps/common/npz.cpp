// The parts of the zip format that .npz files have (PKWARE's APPNOTE.TXT):
//   { local header, data } for each file, then the central directory with one header a
//   file, then the end record. Numbers are little-endian. With zip64, 32-bit fields that are
//   all ones have their value in an extra field, or in a second end record.

#include "common/npz.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/checked.h"
#include "base/errors.h"
#include "common/npy.h"

namespace hub {
namespace {

constexpr std::uint32_t kLocalSignature = 0x04034b50;
constexpr std::uint32_t kCentralSignature = 0x02014b50;
constexpr std::uint32_t kEndSignature = 0x06054b50;
constexpr std::uint32_t kEnd64Signature = 0x06064b50;
constexpr std::uint32_t kLocator64Signature = 0x07064b50;
constexpr std::size_t kLocalSize = 30;
constexpr std::size_t kCentralSize = 46;
constexpr std::size_t kEndSize = 22;
constexpr std::size_t kEnd64Size = 56;
constexpr std::size_t kLocator64Size = 20;
constexpr std::uint32_t kIn64 = 0xFFFFFFFF;
constexpr std::uint16_t kExtra64 = 1;
constexpr std::uint16_t kStored = 0;
constexpr std::uint16_t kDeflated = 8;
constexpr std::uint64_t kMaxDeflateRatio = 1032;  // deflate cannot do better
constexpr std::string_view kExtension = ".npy";

template <class T>
T number_at(std::string_view bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

[[noreturn]] void not_an_archive(const MappedFile& file, std::string_view what) {
  throw data_loss("An .npz file is a zip archive. Details: \"", file.path(), "\": ", what, ".");
}

std::string_view checked_range(const MappedFile& file, std::uint64_t offset, std::uint64_t size) {
  const std::string_view bytes = file.bytes();
  if (offset > bytes.size() || size > bytes.size() - offset) {
    not_an_archive(file, "a part lies past the end");
  }
  return bytes.substr(offset, size);
}

struct Directory {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

Directory find_directory(const MappedFile& file) {
  const std::string_view bytes = file.bytes();
  if (bytes.size() < kEndSize) not_an_archive(file, "it is too short");
  // A comment of up to 65,535 bytes may follow the end record.
  const std::size_t first = bytes.size() - std::min<std::size_t>(bytes.size(), kEndSize + 0xFFFF);
  std::size_t at = bytes.size() - kEndSize;
  while (number_at<std::uint32_t>(bytes, at) != kEndSignature) {
    if (at == first) not_an_archive(file, "there is no end record");
    --at;
  }
  Directory directory{number_at<std::uint32_t>(bytes, at + 16),
                      number_at<std::uint32_t>(bytes, at + 12)};
  if (directory.offset == kIn64 || directory.size == kIn64) {
    if (at < kLocator64Size ||
        number_at<std::uint32_t>(bytes, at - kLocator64Size) != kLocator64Signature) {
      not_an_archive(file, "there is no zip64 end record");
    }
    const std::string_view end =
        checked_range(file, number_at<std::uint64_t>(bytes, at - kLocator64Size + 8), kEnd64Size);
    if (number_at<std::uint32_t>(end, 0) != kEnd64Signature) {
      not_an_archive(file, "there is no zip64 end record");
    }
    directory = {number_at<std::uint64_t>(end, 48), number_at<std::uint64_t>(end, 40)};
  }
  return directory;
}

std::string inflated(std::string_view packed, std::uint64_t size, const std::string& path) {
  if (size / kMaxDeflateRatio > packed.size()) {
    throw data_loss("An array is not larger than its compressed bytes allow. Details: \"", path,
                    "\": ", packed.size(), " bytes for ", size, ".");
  }
  std::string out(size, '\0');
  z_stream stream = {};
  // Negative window bits: raw deflate, as zip has it.
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw resource_exhausted("zlib has no memory.");
  int status = Z_OK;
  while (status == Z_OK) {
    // zlib counts in 32 bits.
    const auto chunk = [](std::uint64_t left) {
      return static_cast<uInt>(std::min<std::uint64_t>(left, std::numeric_limits<uInt>::max()));
    };
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data())) + stream.total_in;
    stream.avail_in = chunk(packed.size() - stream.total_in);
    stream.next_out = reinterpret_cast<Bytef*>(out.data()) + stream.total_out;
    stream.avail_out = chunk(size - stream.total_out);
    status = inflate(&stream, Z_NO_FLUSH);
  }
  const std::uint64_t written = stream.total_out;
  inflateEnd(&stream);
  if (status != Z_STREAM_END || written != size) {
    throw data_loss("A compressed array inflates to its size. Details: \"", path, "\": ", written,
                    " of ", size, " bytes.");
  }
  return out;
}

std::uint32_t crc_of(std::string_view bytes) {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace

NpzFile::NpzFile(const std::string& path) : file_(MappedFile::open(path)) {
  const Directory where = find_directory(*file_);
  std::string_view directory = checked_range(*file_, where.offset, where.size);
  while (!directory.empty()) {
    if (directory.size() < kCentralSize ||
        number_at<std::uint32_t>(directory, 0) != kCentralSignature) {
      not_an_archive(*file_, "an entry of the directory is damaged");
    }
    const std::string_view header = directory.substr(0, kCentralSize);
    const std::size_t name_size = number_at<std::uint16_t>(header, 28);
    const std::size_t extra_size = number_at<std::uint16_t>(header, 30);
    const std::size_t comment_size = number_at<std::uint16_t>(header, 32);
    if (directory.size() - kCentralSize < name_size + extra_size + comment_size) {
      not_an_archive(*file_, "an entry of the directory is cut off");
    }
    add_entry(header, directory.substr(kCentralSize, name_size),
              directory.substr(kCentralSize + name_size, extra_size));
    directory.remove_prefix(kCentralSize + name_size + extra_size + comment_size);
  }
}

void NpzFile::add_entry(std::string_view header, std::string_view name, std::string_view extra) {
  Entry entry{.offset = number_at<std::uint32_t>(header, 42),
              .packed_size = number_at<std::uint32_t>(header, 20),
              .size = number_at<std::uint32_t>(header, 24),
              .crc = number_at<std::uint32_t>(header, 16),
              .method = number_at<std::uint16_t>(header, 10)};
  while (extra.size() >= 4) {
    const std::size_t size = number_at<std::uint16_t>(extra, 2);
    if (size > extra.size() - 4) break;
    std::string_view values = extra.substr(4, size);
    if (number_at<std::uint16_t>(extra, 0) == kExtra64) {
      // Only the fields that are all ones, in this order.
      for (std::uint64_t* field : {&entry.size, &entry.packed_size, &entry.offset}) {
        if (*field != kIn64 || values.size() < 8) continue;
        *field = number_at<std::uint64_t>(values, 0);
        values.remove_prefix(8);
      }
    }
    extra.remove_prefix(4 + size);
  }
  const bool encrypted = number_at<std::uint16_t>(header, 8) & 1;
  if (encrypted || (entry.method != kStored && entry.method != kDeflated)) {
    throw unimplemented("The arrays of an .npz file are stored or deflated. Details: \"",
                        printable(name), "\" in \"", file_->path(), "\" has method ", entry.method,
                        encrypted ? ", encrypted." : ".");
  }
  if (!name.ends_with(kExtension)) {
    not_an_archive(*file_, cat("\"", printable(name), "\" is no .npy file"));
  }
  name.remove_suffix(kExtension.size());
  if (!entries_.emplace(name, entry).second) {
    not_an_archive(*file_, cat("\"", printable(name), "\" is there twice"));
  }
}

std::string_view NpzFile::packed_bytes(const Entry& entry) const {
  const std::string_view header = checked_range(*file_, entry.offset, kLocalSize);
  if (number_at<std::uint32_t>(header, 0) != kLocalSignature) {
    not_an_archive(*file_, "a file's header is damaged");
  }
  const std::uint64_t skipped =
      kLocalSize + number_at<std::uint16_t>(header, 26) + number_at<std::uint16_t>(header, 28);
  const auto begin = checked_add(entry.offset, skipped);
  if (!begin) not_an_archive(*file_, "a part lies past the end");
  return checked_range(*file_, *begin, entry.packed_size);
}

std::vector<std::string> NpzFile::names() const {
  std::vector<std::string> result;
  for (const auto& [name, entry] : entries_) result.push_back(name);
  return result;
}

Tensor NpzFile::read(std::string_view name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    throw not_found("There is no such array. Details: \"", name, "\" in \"", file_->path(),
                    "\", which has: ", join(names()), ".");
  }
  const Entry& entry = found->second;
  const std::string place = cat(file_->path(), "/", name, kExtension);
  std::string_view bytes = packed_bytes(entry);
  std::string unpacked;
  if (entry.method == kDeflated) {
    unpacked = inflated(bytes, entry.size, place);
    bytes = unpacked;
  }
  if (bytes.size() != entry.size || crc_of(bytes) != entry.crc) {
    throw data_loss("An array's bytes have the checksum of the directory. Details: \"", place,
                    "\" is damaged.");
  }
  return parse_npy(bytes, place);
}

std::map<std::string, Tensor> read_npz(const std::string& path) {
  const NpzFile file(path);
  std::map<std::string, Tensor> result;
  for (const std::string& name : file.names()) result[name] = file.read(name);
  return result;
}

namespace {

template <class T>
void append_number(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

std::uint32_t size32(std::size_t size) {
  if (size >= kIn64) throw resource_exhausted("An .npz file is smaller than 4 GiB.");
  return static_cast<std::uint32_t>(size);
}

// The fields that the local header and the directory share, up to the name's length.
void append_common(std::string& out, std::string_view name, std::string_view bytes) {
  constexpr std::uint16_t kVersion = 20;
  constexpr std::uint16_t kUtf8Names = 1 << 11;
  constexpr std::uint16_t kDate = 1 << 5 | 1;  // 1 January 1980: the same bytes at any time
  append_number<std::uint16_t>(out, kVersion);
  append_number<std::uint16_t>(out, kUtf8Names);
  append_number<std::uint16_t>(out, kStored);
  append_number<std::uint16_t>(out, 0);
  append_number<std::uint16_t>(out, kDate);
  append_number<std::uint32_t>(out, crc_of(bytes));
  append_number<std::uint32_t>(out, size32(bytes.size()));
  append_number<std::uint32_t>(out, size32(bytes.size()));
  append_number<std::uint16_t>(out, static_cast<std::uint16_t>(name.size()));
  append_number<std::uint16_t>(out, 0);  // no extra field
}

}  // namespace

std::string serialize_npz(const std::map<std::string, Tensor>& arrays) {
  std::string out;
  std::string directory;
  for (const auto& [key, tensor] : arrays) {
    const std::string name = cat(key, kExtension);
    if (name.size() > 0xFFFF) {
      throw invalid_argument("The name of an array has less than 64 KiB. Details: ", printable(key),
                             ".");
    }
    const std::string bytes = serialize_npy(tensor);
    const std::uint32_t offset = size32(out.size());
    append_number(out, kLocalSignature);
    append_common(out, name, bytes);
    out += name;
    out += bytes;
    append_number(directory, kCentralSignature);
    append_number<std::uint16_t>(directory, 20);  // made by
    append_common(directory, name, bytes);
    directory.append(10, '\0');  // no comment, disk 0, no attributes
    append_number(directory, offset);
    directory += name;
  }
  const std::uint32_t offset = size32(out.size());
  const auto count = static_cast<std::uint16_t>(arrays.size());
  if (arrays.size() >= 0xFFFF)
    throw resource_exhausted("An .npz file has less than 65,535 arrays.");
  const std::uint32_t directory_size = size32(directory.size());
  out += directory;
  append_number(out, kEndSignature);
  append_number<std::uint32_t>(out, 0);  // disk 0
  append_number(out, count);
  append_number(out, count);
  append_number(out, directory_size);
  append_number(out, offset);
  append_number<std::uint16_t>(out, 0);  // no comment
  return out;
}

}  // namespace hub
