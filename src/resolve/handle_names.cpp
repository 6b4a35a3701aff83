#include "resolve/handle_names.h"

#include <algorithm>

#include "base/strings.h"

namespace hub {
namespace {

constexpr std::string_view kTfhub = "https://tfhub.dev/";
constexpr std::string_view kTfhubChina = "https://hub.tensorflow.google.cn/";
constexpr std::string_view kTfhubChinaFiles = "https://gcs.tensorflow.google.cn/tfhub-modules/";
constexpr std::string_view kKaggle = "https://www.kaggle.com/models/";
constexpr std::string_view kKaggleApi = "https://www.kaggle.com/api/v1/models/";

// Modules whose names at Kaggle people have published; there versions count anew for each
// variation. The config file can name more.
constexpr std::string_view kMoved[][2] = {
    {"https://tfhub.dev/google/elmo/3", "google/elmo/tensorFlow1/elmo/3"},
    {"https://tfhub.dev/google/openimages_v4/ssd/mobilenet_v2/1",
     "google/mobilenet-v2/tensorFlow1/openimages-v4-ssd-mobilenet-v2/1"},
    {"https://tfhub.dev/google/aiy/vision/classifier/food_V1/1",
     "google/aiy/tensorFlow1/vision-classifier-food-v1/1"},
    {"https://tfhub.dev/google/aiy/vision/classifier/birds_V1/1",
     "google/aiy/tensorFlow1/vision-classifier-birds-v1/1"},
    {"https://tfhub.dev/google/seefood/segmenter/mobile_food_segmenter_V1/1",
     "google/mobile-food-segmenter-v1/tensorFlow1/seefood-segmenter-mobile-food-segmenter-v1/1"},
    {"https://tfhub.dev/google/on_device_vision/classifier/landmarks_classifier_north_america_V1/1",
     "google/landmarks/tensorFlow1/classifier-north-america-v1/1"},
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::optional<std::string> replaced_prefix(std::string_view text, std::string_view from,
                                           std::string_view to) {
  if (!text.starts_with(from)) return std::nullopt;
  return cat(to, text.substr(from.size()));
}

bool is_framework(std::string_view word) {
  const std::string name = lower(word);
  return name == "tensorflow1" || name == "tensorflow2";
}

// "tensorFlow1" as Kaggle's tools write it, "TensorFlow1" as its pages do.
std::string framework_in_tools(std::string_view word) {
  return cat("tensorFlow", word.substr(word.size() - 1));
}
std::string framework_in_pages(std::string_view word) {
  return cat("TensorFlow", word.substr(word.size() - 1));
}

std::string kaggle_path(const KaggleModel& model, std::string_view framework) {
  const std::string path = cat(model.owner, "/", model.model, "/", framework, "/", model.variation);
  return model.version.empty() ? path : cat(path, "/", model.version);
}

std::vector<std::string> kaggle_spellings(const KaggleModel& model) {
  const std::string pages = framework_in_pages(model.framework);
  const std::string tail = kaggle_path(model, pages);
  std::string old_tail =
      cat(model.owner, "/", model.model, "/frameworks/", pages, "/variations/", model.variation);
  if (!model.version.empty()) old_tail += cat("/versions/", model.version);
  std::vector<std::string> all = {kaggle_path(model, framework_in_tools(model.framework))};
  for (const std::string_view host :
       {"https://www.kaggle.com/models/", "https://kaggle.com/models/"}) {
    all.push_back(cat(host, tail));
    all.push_back(cat(host, old_tail));
  }
  return all;
}

void add_spelling(std::vector<std::string>& all, std::string spelling) {
  if (std::ranges::find(all, spelling) == all.end()) all.push_back(std::move(spelling));
}

// The URL that gives the archive of a spelling; none for one that is no URL.
std::optional<std::string> archive_url(std::string_view spelling) {
  if (spelling.starts_with(kTfhubChina)) {
    return cat(kTfhubChinaFiles, spelling.substr(kTfhubChina.size()), ".tar.gz");
  }
  if (is_http(spelling)) return append_query(spelling, "tf-hub-format", "compressed");
  if (const auto model = parse_kaggle(spelling)) {
    return append_query(cat(kKaggle, kaggle_path(*model, framework_in_pages(model->framework))),
                        "tf-hub-format", "compressed");
  }
  return std::nullopt;
}

std::string quoted(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                          (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '-' || c == '~';
    if (is_plain) {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += cat('%', kDigits[byte >> 4], kDigits[byte & 15]);
    }
  }
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char low = static_cast<char>(c | 0x20);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

std::string unquoted(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
        hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

}  // namespace

bool is_http(std::string_view handle) {
  return handle.starts_with("http://") || handle.starts_with("https://");
}

bool is_storage(std::string_view handle) { return handle.starts_with("gs://"); }

bool has_archive_suffix(std::string_view handle) {
  return handle.ends_with(".tar") || handle.ends_with(".tar.gz") || handle.ends_with(".tgz");
}

std::string append_query(std::string_view url, std::string_view name, std::string_view value) {
  std::string_view fragment;
  if (const std::size_t hash = url.find('#'); hash != url.npos) {
    fragment = url.substr(hash);
    url = url.substr(0, hash);
  }
  const std::size_t question = url.find('?');
  std::string query;
  if (question != url.npos) {
    for (const std::string& pair : split(url.substr(question + 1), '&')) {
      const std::size_t equals = pair.find('=');
      if (equals == std::string::npos || equals + 1 == pair.size()) continue;
      query += cat(quoted(unquoted(std::string_view(pair).substr(0, equals))), "=",
                   quoted(unquoted(std::string_view(pair).substr(equals + 1))), "&");
    }
  }
  return cat(url.substr(0, question), "?", query, quoted(name), "=", quoted(value), fragment);
}

std::optional<KaggleModel> parse_kaggle(std::string_view handle) {
  for (const std::string_view host :
       {"https://www.kaggle.com/models/", "https://kaggle.com/models/",
        "http://www.kaggle.com/models/", "http://kaggle.com/models/"}) {
    if (handle.starts_with(host)) handle.remove_prefix(host.size());
  }
  while (handle.ends_with('/')) handle.remove_suffix(1);
  std::vector<std::string> parts = split(handle, '/');
  // owner/model/frameworks/F/variations/V[/versions/N]
  const bool is_long = parts.size() >= 6 && parts[2] == "frameworks" && parts[4] == "variations";
  if (is_long) {
    const bool has_version = parts.size() == 8 && parts[6] == "versions";
    if (!has_version && parts.size() != 6) return std::nullopt;
    std::vector<std::string> kept = {parts[0], parts[1], parts[3], parts[5]};
    if (has_version) kept.push_back(parts[7]);
    parts = kept;
  }
  if (parts.size() != 4 && parts.size() != 5) return std::nullopt;
  for (const std::string& part : parts) {
    if (part.empty() || part.find_first_of(":?#") != std::string::npos) return std::nullopt;
  }
  if (!is_framework(parts[2])) return std::nullopt;
  return KaggleModel{parts[0], parts[1], parts[2], parts[3], parts.size() == 5 ? parts[4] : ""};
}

std::vector<std::string> spellings_of(std::string_view handle, const ResolveOptions& options) {
  std::vector<std::string> all = {std::string(handle)};
  // Grows while it is walked: an alias's own spellings count, too.
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string one = all[i];
    if (auto twin = replaced_prefix(one, kTfhub, kTfhubChina)) add_spelling(all, *twin);
    if (auto twin = replaced_prefix(one, kTfhubChina, kTfhub)) add_spelling(all, *twin);
    if (const auto model = parse_kaggle(one)) {
      for (std::string& spelling : kaggle_spellings(*model)) add_spelling(all, std::move(spelling));
    }
    const auto add_pair = [&](std::string_view first, std::string_view second) {
      if (one == first) add_spelling(all, std::string(second));
      if (one == second) add_spelling(all, std::string(first));
    };
    for (const auto& [first, second] : options.aliases) add_pair(first, second);
    for (const auto& pair : kMoved) add_pair(pair[0], pair[1]);
  }
  return all;
}

std::vector<Place> places_of(std::string_view handle, const ResolveOptions& options) {
  std::vector<Place> places;
  const auto add = [&](std::string location, bool is_mirror) {
    const auto same = [&](const Place& place) { return place.location == location; };
    if (std::ranges::none_of(places, same)) places.push_back({std::move(location), is_mirror});
  };
  const std::vector<std::string> spellings = spellings_of(handle, options);
  for (const auto& [from, to] : options.mirrors) {
    for (const std::string& spelling : spellings) {
      const auto mirrored = replaced_prefix(spelling, from, to);
      if (!mirrored) continue;
      add(is_http(*mirrored) ? append_query(*mirrored, "tf-hub-format", "compressed") : *mirrored,
          true);
    }
  }
  for (const std::string& spelling : spellings) {
    // The twin has the same files; whoever names one is not sent to the other.
    const bool is_twin = (spelling.starts_with(kTfhub) && handle.starts_with(kTfhubChina)) ||
                         (spelling.starts_with(kTfhubChina) && handle != spelling);
    if (is_twin) continue;
    // The pages of Kaggle are all one.
    const auto model = parse_kaggle(spelling);
    if (model) {
      add(*archive_url(kaggle_path(*model, framework_in_tools(model->framework))), false);
    } else if (auto url = archive_url(spelling)) {
      add(std::move(*url), false);
    }
  }
  for (const std::string& spelling : spellings) {
    const auto model = parse_kaggle(spelling);
    if (!model || model->version.empty()) continue;
    add(cat(kKaggleApi, kaggle_path(*model, framework_in_tools(model->framework)), "/download"),
        false);
  }
  return places;
}

}  // namespace hub
