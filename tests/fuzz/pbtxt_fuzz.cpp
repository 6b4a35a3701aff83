// The text form of graphs, SavedModels and checkpoint states.

#include "format/checkpoint_state.h"
#include "format/saved_model.h"
#include "fuzz/format_fuzz.h"

using namespace hub;
using namespace hub::fuzzing;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text(data, size);
  expect_error_or_success([&] {
    const std::string bytes = serialize_graph_def(parse_graph_def_text(text, "fuzz", kLimits));
    check(serialize_graph_def(parse_graph_def(bytes, "again", kLimits)) == bytes);
  });
  expect_error_or_success([&] { saved_model_text(parse_saved_model_text(text, "fuzz", kLimits)); });
  expect_error_or_success([&] { checkpoint_state_text(parse_checkpoint_state(text, "fuzz")); });
  return 0;
}
