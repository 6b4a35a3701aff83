// A pattern, a rewrite and a text, each behind its length in one byte: the tables of a
// RegexReplacer give what RE2 gives. Patterns that ask RE2 for much memory are errors.

#include "fuzz/format_fuzz.h"
#include "ops/regex_replacer.h"

using namespace hub;
using namespace hub::fuzzing;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes = as_text(data, size);
  const auto take = [&]() -> std::string {
    if (bytes.empty()) return {};
    const auto length = static_cast<std::size_t>(static_cast<unsigned char>(bytes[0]));
    std::string taken(bytes.substr(1, length));
    bytes.remove_prefix(taken.size() + 1);
    return taken;
  };
  const std::string pattern = take();
  const std::string rewrite = take();
  const std::string text = take();
  return expect_error_or_success([&] {
    for (const bool global : {true, false}) {
      const RegexReplacer replacer(pattern, rewrite, global, "Fuzz");
      std::string result, expected = text;
      replacer.replace(text, result);
      const re2::RE2 regex(pattern, re2::RE2::Quiet);
      if (global) {
        re2::RE2::GlobalReplace(&expected, regex, rewrite);
      } else {
        re2::RE2::Replace(&expected, regex, rewrite);
      }
      check(result == expected);
    }
  });
}
