// Archives of modules: what is unpacked is what the manifest says, and nothing is outside.

#include <algorithm>
#include <string>
#include <string_view>

#include "base/file.h"
#include "fuzz/format_fuzz.h"
#include "resolve/extract.h"

using namespace hub;
using namespace hub::fuzzing;

namespace {

class TextSource final : public ByteSource {
 public:
  explicit TextSource(std::string_view text) : rest_(text) {}
  std::string_view read() override {
    constexpr std::size_t kPiece = 700;  // pieces end within the blocks of tar
    const std::string_view piece = rest_.substr(0, kPiece);
    rest_.remove_prefix(piece.size());
    return piece;
  }
  bool knows_its_end() const override { return false; }

 private:
  std::string_view rest_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // In memory, where the system has it: each input is written to files.
  static const TempDirectory kFolder(is_directory("/dev/shm") ? "/dev/shm" : "");
  const std::string target = kFolder.path() + "/m";
  file_system().create_directories(target);
  TextSource source(as_text(data, size));
  expect_error_or_success([&] {
    const Manifest manifest =
        extract_archive(source, target, {.max_bytes = 1 << 20, .max_entries = 100});
    check(manifest == make_manifest(target));
  });
  check(list_directory(kFolder.path()).size() == 1);
  file_system().remove_all(target);
  return 0;
}
