// Checkpoints of version 1. The input is a list of records which get a valid table around them;
// where it starts with 0xff, the rest is the file itself.

#include <string>

#include "fuzz/format_fuzz.h"
#include "fuzz/table_records.h"

using namespace hub;
using namespace hub::fuzzing;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // In memory, where the system has it: each input is written to a file.
  static const TempDirectory kFolder(is_directory("/dev/shm") ? "/dev/shm" : "");
  const std::string path = kFolder.path() + "/c";
  const std::string_view input = as_text(data, size);
  if (!input.empty() && input[0] == '\xff') {
    write(path, input.substr(1));
  } else {
    Cursor cursor(input);
    const auto table = table_of_records(cursor);
    if (!table) return 0;
    write(path, *table);
  }
  return expect_error_or_success(
      [&] { read_all(BundleReader(path, Checksums::kNever, CheckpointVersion::kV1)); });
}
