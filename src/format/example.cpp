#include "format/example.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <limits>

#include "format/proto/example.pb.h"

namespace hub {
namespace {

namespace proto = tf1hub::format;

FeatureValues read_feature(const proto::Feature& feature) {
  switch (feature.kind_case()) {
    case proto::Feature::kBytesList: {
      const auto& list = feature.bytes_list().value();
      return std::vector<std::string>(list.begin(), list.end());
    }
    case proto::Feature::kFloatList: {
      const auto& list = feature.float_list().value();
      return std::vector<float>(list.begin(), list.end());
    }
    case proto::Feature::kInt64List: {
      const auto& list = feature.int64_list().value();
      return std::vector<std::int64_t>(list.begin(), list.end());
    }
    case proto::Feature::KIND_NOT_SET: break;
  }
  return {};
}

Features read_features(const proto::Features& message) {
  Features features;
  for (const auto& [name, feature] : message.feature())
    features.emplace(name, read_feature(feature));
  return features;
}

template <class Message>
bool parse(Message& message, std::string_view bytes) {
  return bytes.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()) &&
         message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace

std::optional<Features> parse_example(std::string_view bytes) {
  proto::Example message;
  if (!parse(message, bytes)) return std::nullopt;
  return read_features(message.features());
}

std::optional<SequenceExample> parse_sequence_example(std::string_view bytes) {
  proto::SequenceExample message;
  if (!parse(message, bytes)) return std::nullopt;
  SequenceExample example{.context = read_features(message.context()), .feature_lists = {}};
  for (const auto& [name, list] : message.feature_lists().feature_list()) {
    std::vector<FeatureValues>& features = example.feature_lists[name];
    for (const auto& feature : list.feature()) features.push_back(read_feature(feature));
  }
  return example;
}

std::optional<std::string> example_from_json(std::string_view text) {
  const auto* descriptor = proto::Example::descriptor();
  const std::unique_ptr<google::protobuf::util::TypeResolver> resolver(
      google::protobuf::util::NewTypeResolverForDescriptorPool("", descriptor->file()->pool()));
  std::string bytes;
  const auto status = google::protobuf::util::JsonToBinaryString(
      resolver.get(), "/" + descriptor->full_name(),
      google::protobuf::StringPiece(text.data(), text.size()), &bytes);
  if (!status.ok()) return std::nullopt;
  return bytes;
}

}  // namespace hub
