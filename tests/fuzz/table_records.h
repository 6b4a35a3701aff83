#pragma once

// For fuzz targets of what is stored in tables: mutations of records, not of checksums.

#include <map>
#include <optional>
#include <string>

#include "base/file.h"
#include "format/coding.h"
#include "format/table.h"
#include "format/tensor_bundle.h"
#include "fuzz/format_fuzz.h"

namespace hub::fuzzing {

inline void write(const std::string& path, std::string_view bytes) {
  const auto file = file_system().create(path);
  file->append(bytes);
  file->close();
}

// Reads a list of records (length of the key plus 1, length of the value, key, value) that a
// zero ends, and makes a valid table of them. Nothing where the list is broken.
inline std::optional<std::string> table_of_records(Cursor& cursor) {
  std::map<std::string, std::string> records;
  for (std::uint64_t key_size = cursor.varint64(); cursor.ok() && key_size > 0;
       key_size = cursor.varint64()) {
    const std::uint64_t value_size = cursor.varint64();
    const std::string key(cursor.bytes(key_size - 1));  // a length of 1 is the header's
    records[key] = cursor.bytes(value_size);
  }
  if (!cursor.ok()) return std::nullopt;
  TableWriter table;
  for (const auto& [key, value] : records) table.add(key, value);
  return table.finish();
}

// Reads every tensor, and the first row of each.
inline void read_all(const BundleReader& reader) {
  for (const std::string_view key : reader.keys()) {
    expect_error_or_success([&] { reader.verify(key); });
    expect_error_or_success([&] {
      const Tensor whole = reader.read(key);
      if (whole.rank() == 0 || whole.dim(0) == 0) return;
      TensorSlice first_row;
      for (int axis = 0; axis < whole.rank(); ++axis) first_row.extents.push_back({});
      first_row.extents[0] = {0, 1};
      check(reader.read_slice(key, first_row).dim(0) == 1);
    });
  }
}

}  // namespace hub::fuzzing
