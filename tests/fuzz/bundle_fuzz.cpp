// Tensor bundles. The input is a list of records (length of the key, length of the value,
// key, value) which get a valid table around them, a zero, and then the data file. Where
// the input starts with 0xff, the rest is the index file itself.

#include <map>
#include <string>

#include "base/file.h"
#include "format/coding.h"
#include "format/table.h"
#include "format/tensor_bundle.h"
#include "fuzz/format_fuzz.h"

using namespace hub;
using namespace hub::fuzzing;

namespace {

void write(const std::string& path, std::string_view bytes) {
  const auto file = file_system().create(path);
  file->append(bytes);
  file->close();
}

// Splits the input; false where it cannot be.
bool write_bundle(const std::string& prefix, std::string_view input) {
  if (!input.empty() && input[0] == '\xff') {
    write(bundle_index_path(prefix), input.substr(1));
    return true;
  }
  Cursor cursor(input);
  std::map<std::string, std::string> records;
  for (std::uint64_t key_size = cursor.varint64(); cursor.ok() && key_size > 0;
       key_size = cursor.varint64()) {
    const std::uint64_t value_size = cursor.varint64();
    const std::string key(cursor.bytes(key_size - 1));  // a length of 1 is the header's
    records[key] = cursor.bytes(value_size);
  }
  if (!cursor.ok()) return false;
  TableWriter table;
  for (const auto& [key, value] : records) table.add(key, value);
  write(bundle_index_path(prefix), table.finish());
  write(bundle_data_path(prefix, 0, 1), input.substr(cursor.position()));
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // In memory, where the system has it: each input is written to files.
  static const TempDirectory kFolder(is_directory("/dev/shm") ? "/dev/shm" : "");
  const std::string prefix = kFolder.path() + "/b";
  if (!write_bundle(prefix, as_text(data, size))) return 0;
  return expect_error_or_success([&] {
    const BundleReader reader(prefix, Checksums::kNever);
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
  });
}
