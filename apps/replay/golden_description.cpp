#include "replay/golden_description.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <map>
#include <set>
#include <vector>

#include "base/errors.h"
#include "common/base64.h"
#include "format/module_files.h"
#include "module/attachments.h"
#include "module/describe.h"
#include "ops/builtin.h"
#include "replay/golden_instances.h"
#include "replay/unit.h"
#include "tensor/dispatch.h"

namespace hub::replay {
namespace {

using Json = nlohmann::json;

constexpr double kStatisticsRtol = 1e-4;

// TensorFlow 2 lists how to initialize among the signatures; it can only be run.
constexpr std::string_view kInitSignature = "__saved_model_init_op";

template <class T>
void expect_equal(const std::string& what, const T& got, const T& want) {
  if (!(got == want)) throw Mismatch(what, " is ", got, " for ", want);
}

void expect_names(const std::string& what, const std::set<std::string>& got,
                  const std::set<std::string>& want) {
  if (got == want) return;
  std::vector<std::string> missing;
  std::vector<std::string> extra;
  std::ranges::set_difference(want, got, std::back_inserter(missing));
  std::ranges::set_difference(got, want, std::back_inserter(extra));
  throw Mismatch(what, ": missing {", join(missing), "}, beyond what is recorded {", join(extra),
                 "}");
}

template <class Map>
std::set<std::string> keys_of(const Map& map) {
  std::set<std::string> result;
  for (const auto& [key, value] : map) result.insert(key);
  return result;
}

std::set<std::string> keys_of(const Json& object) {
  std::set<std::string> result;
  for (const auto& [key, value] : object.items()) result.insert(key);
  return result;
}

std::set<std::string> names_in(const Json& list) { return list.get<std::set<std::string>>(); }

// null or -1 is an unknown dimension, null alone an unknown rank.
PartialShape partial_shape_of(const Json& json) {
  if (json.is_null()) return {};
  std::vector<std::int64_t> dims;
  for (const Json& dim : json) dims.push_back(dim.is_null() ? -1 : dim.get<std::int64_t>());
  return PartialShape(std::move(dims));
}

// `kind` in the zoo, `sparse` elsewhere; nothing where dense is all that there is.
std::string kind_of(const Json& value) {
  if (value.contains("kind")) return value.at("kind").get<std::string>();
  return value.value("sparse", false) ? "sparse" : "dense";
}

// A reference dtype is described as its value's.
std::string dtype_of(const Json& value) {
  auto name = value.at("dtype").get<std::string>();
  constexpr std::string_view kReference = "_ref";
  if (name.ends_with(kReference)) name.resize(name.size() - kReference.size());
  return name;
}

void check_values(const std::string& what, const std::map<std::string, ValueInfo>& got,
                  const Json& want) {
  expect_names(what, keys_of(got), keys_of(want));
  for (const auto& [name, json] : want.items()) {
    const ValueInfo& info = got.at(name);
    const std::string place = cat(what, " ", name);
    expect_equal(cat("the kind of ", place), std::string(to_string(info.kind)), kind_of(json));
    expect_equal(cat("the dtype of ", place), to_string(info.dtype), dtype_of(json));
    expect_equal(cat("the shape of ", place), info.shape, partial_shape_of(json.at("shape")));
    if (json.contains("ragged_rank")) {
      expect_equal(cat("the ragged rank of ", place), info.ragged_rank,
                   json.at("ragged_rank").get<int>());
      expect_equal(cat("the row splits of ", place), to_string(info.row_splits_dtype),
                   json.at("row_splits_dtype").get<std::string>());
    }
  }
}

void check_signatures(const std::map<std::string, Signature>& got, const Json& want) {
  std::set<std::string> names = keys_of(want);
  names.erase(std::string(kInitSignature));
  std::set<std::string> got_names = keys_of(got);
  got_names.erase(std::string(kInitSignature));
  expect_names("signatures", got_names, names);
  for (const std::string& name : names) {
    const Signature& signature = got.at(name);
    check_values(cat("signature ", name, ": inputs"), signature.inputs, want.at(name).at("inputs"));
    check_values(cat("signature ", name, ": outputs"), signature.outputs,
                 want.at(name).at("outputs"));
  }
}

void check_variables(const std::vector<ModelVariable>& got, const Json& variant) {
  if (!variant.contains("variable_map")) return;
  const Json& want = variant.at("variable_map");
  std::set<std::string> names;
  for (const ModelVariable& variable : got) names.insert(variable.name);
  expect_names("variables", names, keys_of(want));
  std::set<std::string> trainable;
  if (variant.contains("trainable_variables_when_trainable")) {
    trainable = names_in(variant.at("trainable_variables_when_trainable"));
  }
  for (const ModelVariable& variable : got) {
    const Json& json = want.at(variable.name);
    const std::string place = cat("variable ", variable.name);
    expect_equal(cat("the dtype of ", place), to_string(variable.dtype),
                 json.at("dtype").get<std::string>());
    expect_equal(cat("the shape of ", place), variable.shape, partial_shape_of(json.at("shape")));
    if (json.contains("trainable")) {
      expect_equal(cat(place, ": trainable"), variable.trainable, json.at("trainable").get<bool>());
    } else {
      expect_equal(cat(place, ": trainable with its module"), variable.in_trainable_collection,
                   trainable.contains(variable.name));
    }
  }
}

void check_attachments(const std::map<std::string, std::string>& got, const Json& variant) {
  for (const char* key : {"attached_messages", "attached_messages_base64"}) {
    if (!variant.contains(key)) continue;
    const Json& want = variant.at(key);
    expect_names("attachments", keys_of(got), keys_of(want));
    for (const auto& [name, json] : want.items()) {
      const Json& text = json.is_object() ? json.at("base64") : json;
      if (base64_decode(text.get<std::string>()) != got.at(name)) {
        throw Mismatch("attachment ", name, " has other bytes");
      }
    }
  }
}

void check_ops(const VariantDescription& got, const Json& variant) {
  const Json& graph = variant.contains("graph") ? variant.at("graph") : variant;
  if (graph.contains("ops")) expect_names("ops", keys_of(got.ops), names_in(graph.at("ops")));
  // Our counts hold the bodies of functions too, TensorFlow's do not.
  if (!graph.contains("nodes") || graph.value("functions", 0) != 0) return;
  std::int64_t nodes = 0;
  for (const auto& [op, count] : got.ops) nodes += count;
  expect_equal(std::string("the number of nodes"), nodes, graph.at("nodes").get<std::int64_t>());
}

void check_variant(const VariantDescription& got, const MetaGraph& meta_graph, const Json& variant,
                   const std::string& place) {
  const std::set<std::string> tags(got.tags.begin(), got.tags.end());
  expect_names("tags", tags, names_in(variant.at("tags")));
  check_signatures(got.signatures, variant.at("signatures"));
  check_variables(got.variables, variant);
  check_attachments(attachments_of(meta_graph, place), variant);
  check_ops(got, variant);
}

void check_assets(const std::vector<std::string>& got, const Json& golden) {
  if (!golden.contains("files")) return;
  constexpr std::string_view kAssets = "assets/";
  std::set<std::string> want;
  for (const std::string& file : keys_of(golden.at("files"))) {
    if (file.starts_with(kAssets)) want.insert(file.substr(kAssets.size()));
  }
  expect_names("assets", {got.begin(), got.end()}, want);
}

}  // namespace

void check_description(const GoldenFolder& golden) {
  const Json& json = golden.json();
  const std::string path = golden.model_path();
  const ModuleFiles files = open_model_files(path);
  const ModelDescription description = describe(files, builtin_ops());
  expect_equal(std::string("whether it is a hub module"), description.kind == ModelKind::kTf1Hub,
               golden.kind() == "hub_module");
  if (golden.kind() == "saved_model") {
    expect_equal(std::string("whether it is of TensorFlow 2"),
                 description.kind == ModelKind::kSavedModelV2, json.contains("v2"));
  }
  // `variants` are in the order of the file, `meta_graphs` are not.
  const bool is_ordered = json.contains("variants");
  const Json& variants = json.at(is_ordered ? "variants" : "meta_graphs");
  expect_equal(std::string("the number of variants"), description.variants.size(), variants.size());
  for (std::size_t i = 0; i < variants.size(); ++i) {
    const auto tags = names_in(variants[i].at("tags"));
    std::size_t at = i;
    if (!is_ordered) {
      const auto found = std::ranges::find_if(description.variants, [&](const auto& variant) {
        return std::set<std::string>(variant.tags.begin(), variant.tags.end()) == tags;
      });
      if (found == description.variants.end()) throw Mismatch("no variant {", join(tags), "}");
      at = static_cast<std::size_t>(found - description.variants.begin());
    }
    try {
      check_variant(description.variants[at], files.model.meta_graphs[at], variants[i], path);
    } catch (const Mismatch& mismatch) {
      throw Mismatch("variant {", join(tags), "}: ", mismatch.what());
    }
  }
  check_assets(description.assets, json);
  if (golden.kind() == "hub_module") check_instances(golden);
}

namespace {

struct Statistics {
  std::int64_t count = 0;
  double sum = 0;
  double abs_sum = 0;
  double squares = 0;
};

// Complex elements count as two.
std::vector<double> doubles_of(const Tensor& tensor) {
  std::vector<double> result;
  dispatch(PlainTypes{}, tensor.dtype(), [&]<class T>() {
    for (const T& value : tensor.values<T>()) {
      if constexpr (std::is_same_v<T, std::complex<float>> ||
                    std::is_same_v<T, std::complex<double>>) {
        result.push_back(static_cast<double>(value.real()));
        result.push_back(static_cast<double>(value.imag()));
      } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
        result.push_back(static_cast<double>(static_cast<float>(value)));
      } else {
        result.push_back(static_cast<double>(value));
      }
    }
  });
  return result;
}

bool is_close(double got, double want, double scale) {
  return std::abs(got - want) <= kStatisticsRtol * (scale + std::abs(want));
}

}  // namespace

std::optional<std::string> statistics_difference(const Tensor& got, const Json& statistics) {
  if (got.dtype() == kString) return std::nullopt;  // recorded as a digest; none changes
  const std::vector<double> elements = doubles_of(got);
  Statistics own{.count = static_cast<std::int64_t>(elements.size())};
  for (const double element : elements) {
    own.sum += element;
    own.abs_sum += std::abs(element);
    own.squares += element * element;
  }
  if (own.count != statistics.at("count").get<std::int64_t>()) {
    return cat("it has ", own.count, " elements");
  }
  const std::pair<const char*, double> totals[] = {
      {"sum", own.sum}, {"abs_sum", own.abs_sum}, {"l2", std::sqrt(own.squares)}};
  for (const auto& [name, value] : totals) {
    const auto want = statistics.at(name).get<double>();
    if (!is_close(value, want, own.abs_sum)) return cat("its ", name, " is ", value, " for ", want);
  }
  const Json& at = statistics.at("at");
  const double mean = own.count == 0 ? 0 : own.abs_sum / static_cast<double>(own.count);
  for (std::size_t i = 0; i < at.size(); ++i) {
    const auto index = at[i].get<std::size_t>();
    const auto want = statistics.at("values")[i].get<double>();
    if (index >= elements.size()) return cat("there is no element ", index);
    if (!is_close(elements[index], want, mean)) {
      return cat("element ", index, " is ", elements[index], " for ", want);
    }
  }
  return std::nullopt;
}

}  // namespace hub::replay
