// Descriptors with their manifests, listings of storage, config files and handles: text from
// others. What was read of a descriptor is written, and read again as the same.

#include <string>

#include "fuzz/format_fuzz.h"
#include "resolve/entry.h"
#include "resolve/handle_names.h"
#include "resolve/settings.h"
#include "resolve/storage.h"

using namespace hub;
using namespace hub::fuzzing;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text(data, size);
  expect_error_or_success([&] {
    const Descriptor descriptor = parse_descriptor(text);
    const Descriptor again = parse_descriptor(serialize_descriptor(descriptor));
    check(again.manifest == descriptor.manifest);
  });
  expect_error_or_success([&] { parse_storage_listing(text); });
  expect_error_or_success([&] { parse_resolve_config(text, "config"); });
  expect_error_or_success([&] {
    const std::string once = append_query(text, "a", "b");
    check(once.find("a=b") != std::string::npos);
    for (const Place& place : places_of(text, {})) check(!place.location.empty());
  });
  if (const auto owner = parse_lock_contents(text)) {
    check(owner->uid.find('/') == std::string::npos);
  }
  return 0;
}
