#pragma once

// Example and SequenceExample: the records that serving signatures take.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace hub {

// The values of a feature; monostate where the record names it, but gives no list.
using FeatureValues = std::variant<std::monostate, std::vector<std::string>, std::vector<float>,
                                   std::vector<std::int64_t>>;
using Features = std::map<std::string, FeatureValues, std::less<>>;

struct SequenceExample {
  Features context;
  std::map<std::string, std::vector<FeatureValues>, std::less<>> feature_lists;
};

// Nothing where the bytes are no such record.
std::optional<Features> parse_example(std::string_view bytes);
std::optional<SequenceExample> parse_sequence_example(std::string_view bytes);
// The bytes of the Example that JSON text says; nothing where it says none.
std::optional<std::string> example_from_json(std::string_view text);

}  // namespace hub
