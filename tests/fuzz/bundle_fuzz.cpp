// Tensor bundles. The input is a list of records (length of the key, length of the value,
// key, value) which get a valid table around them, a zero, and then the data file. Where
// the input starts with 0xff, the rest is the index file itself.

#include <string>

#include "base/file.h"
#include "format/coding.h"
#include "format/tensor_bundle.h"
#include "fuzz/format_fuzz.h"
#include "fuzz/table_records.h"

using namespace hub;
using namespace hub::fuzzing;

namespace {

// Splits the input; false where it cannot be.
bool write_bundle(const std::string& prefix, std::string_view input) {
  if (!input.empty() && input[0] == '\xff') {
    write(bundle_index_path(prefix), input.substr(1));
    return true;
  }
  Cursor cursor(input);
  const auto table = table_of_records(cursor);
  if (!table) return false;
  write(bundle_index_path(prefix), *table);
  write(bundle_data_path(prefix, 0, 1), input.substr(cursor.position()));
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // In memory, where the system has it: each input is written to files.
  static const TempDirectory kFolder(is_directory("/dev/shm") ? "/dev/shm" : "");
  const std::string prefix = kFolder.path() + "/b";
  if (!write_bundle(prefix, as_text(data, size))) return 0;
  return expect_error_or_success([&] { read_all(BundleReader(prefix, Checksums::kNever)); });
}
