// Binary GraphDefs. What was read is written, and read again as the same graph.

#include "fuzz/format_fuzz.h"

using namespace hub;
using namespace hub::fuzzing;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return expect_error_or_success([&] {
    const std::string bytes =
        serialize_graph_def(parse_graph_def(as_text(data, size), "fuzz", kLimits));
    check(serialize_graph_def(parse_graph_def(bytes, "again", kLimits)) == bytes);
  });
}
