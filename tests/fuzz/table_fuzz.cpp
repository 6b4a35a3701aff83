// Sorted tables. The first byte says how the rest is meant: as a whole table, or as one data
// block (raw, Snappy) that gets the checksums and the index it needs to be looked at.

#include "format/table.h"

#include <string>

#include "format/coding.h"
#include "format/crc32c.h"
#include "fuzz/format_fuzz.h"

using namespace hub;
using namespace hub::fuzzing;

namespace {

// Appends a block with its trailer; the result is its handle.
std::string append_block(std::string& table, std::string contents, char type) {
  std::string handle;
  append_varint(handle, table.size());
  append_varint(handle, contents.size());
  contents += type;
  append_uint32(contents, mask_crc(crc32c(contents)));
  table += contents;
  return handle;
}

std::string table_of_block(std::string_view contents, char type) {
  std::string table, index;
  const std::string data = append_block(table, std::string(contents), type);
  append_varint(index, 0);
  append_varint(index, 0);
  append_varint(index, data.size());
  index += data;
  append_uint32(index, 0);
  append_uint32(index, 1);
  std::string footer = data + append_block(table, index, 0);
  footer.resize(40);
  append_uint32(footer, static_cast<std::uint32_t>(kTableMagic));
  append_uint32(footer, static_cast<std::uint32_t>(kTableMagic >> 32));
  return table + footer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest = as_text(data, size).substr(1);
  const char mode = static_cast<char>(data[0] % 3);
  const std::string table = mode == 2 ? std::string(rest) : table_of_block(rest, mode);
  return expect_error_or_success([&] {
    TableWriter copy;
    read_table(table, "fuzz", [&](std::string_view key, std::string_view value) {
      // What a reader sees is in order, so a writer takes it.
      copy.add(key, value);
    });
    read_table(copy.finish(), "again", [](std::string_view, std::string_view) {});
  });
}
