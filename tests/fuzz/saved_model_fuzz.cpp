// Binary SavedModels with what their collections hold.

#include "format/saved_model.h"
#include "format/variable_def.h"
#include "fuzz/format_fuzz.h"

using namespace hub;
using namespace hub::fuzzing;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return expect_error_or_success([&] {
    const SavedModel model = parse_saved_model(as_text(data, size), "fuzz", kLimits);
    const std::string bytes = serialize_saved_model(model);
    check(serialize_saved_model(parse_saved_model(bytes, "again", kLimits)) == bytes);
    for (const MetaGraph& meta_graph : model.meta_graphs) {
      for (const auto& entry : meta_graph.collections) {
        const auto* list = std::get_if<ByteStrings>(&entry.second.value);
        if (list == nullptr) continue;
        for (const std::string& value : list->values) {
          expect_error_or_success(
              [&] { serialize_variable_def(parse_variable_def(value, "fuzz")); });
          expect_error_or_success(
              [&] { serialize_while_context(parse_while_context(value, "fuzz")); });
        }
      }
    }
  });
}
