#include "resolve/storage.h"

#include <charconv>
#include <filesystem>
#include <optional>

#include "base/errors.h"
#include "resolve/digest.h"
#include "resolve/extract.h"

namespace hub {
namespace {

constexpr std::string_view kScheme = "gs://";
constexpr std::size_t kMaxListing = std::size_t{16} << 20;
constexpr std::size_t kMaxObjects = 100'000;

struct Location {
  std::string bucket;
  std::string path;  // without slashes at its ends
};

Location parse_location(std::string_view handle) {
  std::string_view rest = handle.substr(kScheme.size());
  while (rest.ends_with('/')) rest.remove_suffix(1);
  const std::size_t slash = rest.find('/');
  Location location{std::string(rest.substr(0, slash)),
                    slash == rest.npos ? std::string() : std::string(rest.substr(slash + 1))};
  if (location.bucket.empty()) {
    throw value_error("A gs:// handle must name a bucket. Details: \"", printable(handle), "\".");
  }
  return location;
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  constexpr std::string_view kPlain = "-_.~/";
  std::string out;
  for (const char c : text) {
    const bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                          (c >= 'A' && c <= 'Z') || kPlain.find(c) != kPlain.npos;
    const auto byte = static_cast<unsigned char>(c);
    out += is_plain ? std::string(1, c) : cat('%', kDigits[byte >> 4], kDigits[byte & 15]);
  }
  return out;
}

std::string object_url(const Location& location, const NetworkOptions& options) {
  return cat(options.storage_endpoint, "/", percent_encoded(location.bucket), "/",
             percent_encoded(location.path));
}

// The text of the first element of this name.
std::optional<std::string_view> element(std::string_view xml, std::string_view name) {
  const std::string open = cat("<", name, ">");
  const std::size_t begin = xml.find(open);
  if (begin == xml.npos) return std::nullopt;
  const std::string_view rest = xml.substr(begin + open.size());
  const std::size_t end = rest.find(cat("</", name, ">"));
  if (end == rest.npos) throw decode_error("A storage listing is cut. Details: in <", name, ">.");
  return rest.substr(0, end);
}

std::string xml_text(std::string_view text) {
  constexpr std::string_view kEntities[][2] = {{"&lt;", "<"},   {"&gt;", ">"},  {"&quot;", "\""},
                                               {"&apos;", "'"}, {"&#39;", "'"}, {"&amp;", "&"}};
  std::string out;
  while (!text.empty()) {
    bool is_entity = false;
    for (const auto& [entity, character] : kEntities) {
      if (!text.starts_with(entity)) continue;
      out += character;
      text.remove_prefix(entity.size());
      is_entity = true;
      break;
    }
    if (is_entity) continue;
    out += text.front();
    text.remove_prefix(1);
  }
  return out;
}

std::vector<StorageObject> list_folder(const std::string& handle, const Location& location,
                                       const ResolveOptions& options,
                                       const std::function<void()>& beat) {
  std::vector<StorageObject> objects;
  std::string marker;
  const std::string prefix = location.path.empty() ? std::string() : location.path + "/";
  do {
    std::string url = cat(options.network.storage_endpoint, "/", percent_encoded(location.bucket),
                          "?prefix=", percent_encoded(prefix));
    if (!marker.empty()) url += cat("&marker=", percent_encoded(marker));
    const HttpAnswer answer = http_get(url, options.network, beat, kMaxListing);
    if (answer.status != 200) throw Error(http_status_error(answer.status, url, answer.body));
    StorageListing listing = parse_storage_listing(answer.body);
    for (StorageObject& object : listing.objects) {
      if (!object.name.ends_with('/')) objects.push_back(std::move(object));
    }
    if (objects.size() > kMaxObjects) {
      throw resource_exhausted(
          "A folder in storage has too many objects. Details: ", printable(handle, 4096), ".");
    }
    if (!listing.next.empty() && listing.next <= marker) {
      throw decode_error("A storage listing goes in circles. Details: ", printable(url, 4096), ".");
    }
    marker = std::move(listing.next);
  } while (!marker.empty());
  return objects;
}

}  // namespace

std::string storage_url(std::string_view handle, const NetworkOptions& options) {
  return object_url(parse_location(handle), options);
}

StorageListing parse_storage_listing(std::string_view xml) {
  if (xml.find("<ListBucketResult") == xml.npos || xml.find("</ListBucketResult>") == xml.npos) {
    throw decode_error("The answer is no storage listing. Details: \"", printable(xml), "\".");
  }
  StorageListing listing;
  std::string_view rest = xml;
  while (const auto contents = element(rest, "Contents")) {
    rest = std::string_view(contents->data() + contents->size(),
                            static_cast<std::size_t>(rest.data() + rest.size() -
                                                     (contents->data() + contents->size())));
    const auto name = element(*contents, "Key");
    const auto size = element(*contents, "Size");
    StorageObject object;
    if (!name || !size ||
        std::from_chars(size->data(), size->data() + size->size(), object.size).ec != std::errc()) {
      throw decode_error("A storage listing makes no sense. Details: \"", printable(*contents),
                         "\".");
    }
    object.name = xml_text(*name);
    listing.objects.push_back(std::move(object));
  }
  const auto is_truncated = element(xml, "IsTruncated");
  if (is_truncated && *is_truncated == "true") {
    const auto next = element(xml, "NextMarker");
    listing.next = next && !next->empty()    ? xml_text(*next)
                   : listing.objects.empty() ? std::string()
                                             : listing.objects.back().name;
  }
  return listing;
}

Downloaded fetch_storage_folder(const std::string& handle, const ResolveOptions& options,
                                const std::string& folder, std::uint64_t limit,
                                ProgressReport& progress, const std::function<void()>& beat) {
  const Location location = parse_location(handle);
  const std::vector<StorageObject> objects = list_folder(handle, location, options, beat);
  if (objects.empty()) {
    throw io_error(ErrorCode::kNotFound, printable(handle, 4096), " does not exist.");
  }
  std::uint64_t total = 0;
  for (const StorageObject& object : objects) {
    if (object.size > limit - total) {
      throw resource_exhausted("A folder in storage is larger than may be. Details: ",
                               printable(handle, 4096), " has over ", limit, " bytes.");
    }
    total += object.size;
  }
  const std::size_t prefix = location.path.empty() ? 0 : location.path.size() + 1;
  std::uint64_t before = 0;
  for (const StorageObject& object : objects) {
    const std::string path =
        merge_relative_path(folder, std::string_view(object.name).substr(prefix));
    file_system().create_directories(std::filesystem::path(path).parent_path().string());
    HttpSource source(object_url({location.bucket, object.name}, options.network), options.network,
                      beat);
    const auto file = file_system().create(path);
    for (std::string_view bytes = source.read(); !bytes.empty(); bytes = source.read()) {
      if (source.received() > object.size) break;
      file->append(bytes);
      progress.received(before + source.received(), total);
    }
    file->close();
    if (source.received() != object.size) {
      throw io_error(ErrorCode::kDataLoss,
                     "An object has another size than its listing says. Details: ",
                     printable(object.name, 4096), " of ", printable(handle, 4096), ".");
    }
    before += object.size;
  }
  return {handle, make_manifest(folder)};
}

}  // namespace hub
