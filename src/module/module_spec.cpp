// Reading module specs, and what they say.

#include "hub/module_spec.h"

#include <algorithm>
#include <array>

#include "base/errors.h"
#include "format/module_def.h"
#include "hub/resolver.h"
#include "module/attachments.h"
#include "module/spec_impl.h"
#include "module/variants.h"

namespace hub {
namespace {

constexpr const char* kImageInfoKey = "image_module_info";

constexpr std::array kSupportedCollections = {
    Collections::kGlobalVariables, Collections::kTrainableVariables,
    Collections::kModelVariables,  Collections::kTableInitializers,
    Collections::kUpdateOps,       Collections::kRegularizationLosses,
    Collections::kAssetFilepaths,  Collections::kCondContext,
    Collections::kWhileContext,    std::string_view("hub_module_attachments")};

Tags as_set(const Tags& tags) {
  Tags sorted = tags;
  std::ranges::sort(sorted);
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  return sorted;
}

}  // namespace

std::vector<std::string> unsupported_collections(const MetaGraph& meta_graph) {
  std::vector<std::string> result;
  for (const auto& entry : meta_graph.collections) {
    if (std::ranges::find(kSupportedCollections, entry.first) == kSupportedCollections.end())
      result.push_back(entry.first);
  }
  return result;
}

ModuleSpec::Impl::Impl(std::vector<MetaGraph> variants, std::string place,
                       std::string checkpoint_prefix,
                       std::shared_ptr<const BundleReader> checkpoint)
    : place_(std::move(place)),
      checkpoint_prefix_(std::move(checkpoint_prefix)),
      checkpoint_(std::move(checkpoint)) {
  for (MetaGraph& meta_graph : variants) {
    VariantGraph variant{.tags = as_set(meta_graph.tags),
                         .meta_graph = {},
                         .signatures = {},
                         .messages = attachments_of(meta_graph, place_)};
    if (find(variant.tags) != nullptr) {
      throw value_error("Tags ", hub::tags_text(variant.tags), " used repeatedly. Details: in ",
                        place_, ".");
    }
    const std::vector<std::string> unsupported = unsupported_collections(meta_graph);
    if (!unsupported.empty()) {
      throw value_error("Unsupported collections in graph: [", printable(join(unsupported)),
                        "]. Give them as drop_collections where the module does not need them. "
                        "Details: in ",
                        place_, ".");
    }
    for (const auto& [name, signature] : meta_graph.signatures)
      variant.signatures.emplace(name, bind_signature(name, signature));
    variant.meta_graph = std::move(meta_graph);
    variants_.push_back(std::move(variant));
  }
}

const ModuleSpec::Impl::VariantGraph* ModuleSpec::Impl::find(const Tags& tags) const {
  const Tags wanted = as_set(tags);
  const auto found = std::ranges::find(variants_, wanted, &VariantGraph::tags);
  return found == variants_.end() ? nullptr : &*found;
}

const ModuleSpec::Impl::VariantGraph& ModuleSpec::Impl::variant(const Tags& tags) const {
  if (const VariantGraph* found = find(tags)) return *found;
  throw key_error("No graph variant for tags ", hub::tags_text(as_set(tags)), ". Details: ", place_,
                  " has ", tags_text(), ".");
}

std::string ModuleSpec::Impl::tags_text() const {
  std::vector<std::string> texts;
  for (const VariantGraph& variant : variants_) texts.push_back(hub::tags_text(variant.tags));
  return texts.empty() ? "no graphs" : join(texts);
}

const BundleReader& ModuleSpec::Impl::checkpoint() const {
  if (checkpoint_ != nullptr) return *checkpoint_;
  throw not_found("The variables' checkpoint is missing. Details: there is no ",
                  bundle_index_path(checkpoint_prefix_), ".");
}

const BoundSignature& find_signature(const ModuleSpec::Impl::VariantGraph& variant,
                                     std::string_view name) {
  const std::string wanted(name.empty() ? "default" : name);
  const auto found = variant.signatures.find(wanted);
  if (found != variant.signatures.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& entry : variant.signatures) names.push_back(printable(entry.first));
  throw value_error("Signature '", printable(wanted), "' is missing from meta graph. Details: ",
                    names.empty() ? "it has none" : cat("it has ", join(names)), ".");
}

std::vector<Tags> ModuleSpec::tags() const {
  std::vector<Tags> result;
  for (const auto& variant : impl_->variants()) result.push_back(variant.tags);
  std::ranges::sort(result);
  return result;
}

std::vector<std::string> ModuleSpec::signature_names(const Tags& tags) const {
  std::vector<std::string> names;
  for (const auto& entry : impl_->variant(tags).signatures) names.push_back(entry.first);
  return names;
}

Signature ModuleSpec::signature(std::string_view name, const Tags& tags) const {
  return find_signature(impl_->variant(tags), name).info();
}

std::optional<std::string> ModuleSpec::attached_message(std::string_view key,
                                                        const Tags& tags) const {
  const auto& messages = impl_->variant(tags).messages;
  const auto found = messages.find(std::string(key));
  if (found == messages.end()) return std::nullopt;
  return found->second;
}

std::string ModuleSpec::required_attached_message(std::string_view key, const Tags& tags) const {
  if (auto message = attached_message(key, tags)) return std::move(*message);
  throw key_error("There is no attached message for key \"", printable(key), "\" in the graph ",
                  hub::tags_text(as_set(tags)), " of ", impl_->place(), ".");
}

std::vector<std::string> ModuleSpec::attached_keys(const Tags& tags) const {
  std::vector<std::string> keys;
  for (const auto& entry : impl_->variant(tags).messages) keys.push_back(entry.first);
  return keys;
}

ModuleSpec load_module_spec(const std::string& handle) {
  ModuleFiles files = open_hub_module_files(resolve(handle));
  return ModuleSpec(std::make_shared<const ModuleSpec::Impl>(
      std::move(files.model.meta_graphs), files.path, files.checkpoint_prefix, files.checkpoint));
}

ModuleSpec create_module_spec_from_saved_model(const std::string& path,
                                               const std::vector<std::string>& drop_collections) {
  ModuleFiles files = open_model_files(path);
  if (files.kind == ModelKind::kSavedModelV2) {
    throw unimplemented(
        "A SavedModel of TensorFlow 2 cannot become a TF1 Hub module: load it as it is. Details: ",
        path, ".");
  }
  if (files.kind != ModelKind::kSavedModelV1 && files.kind != ModelKind::kTf1Hub) {
    throw value_error("A module is made of a SavedModel. Details: ", path, " is a ",
                      model_kind_name(files.kind), ".");
  }
  std::vector<std::string> dropped = {"global_step", "legacy_init_op", "saved_model_main_op",
                                      "saved_model_assets"};
  dropped.insert(dropped.end(), drop_collections.begin(), drop_collections.end());
  for (MetaGraph& meta_graph : files.model.meta_graphs) {
    for (const std::string& key : dropped) meta_graph.collections.erase(key);
    meta_graph.saver.reset();
    meta_graph.asset_files.clear();
  }
  return ModuleSpec(std::make_shared<const ModuleSpec::Impl>(
      std::move(files.model.meta_graphs), files.path, files.checkpoint_prefix, files.checkpoint));
}

std::optional<ImageSize> image_module_info(const ModuleSpec& spec) {
  const auto message = spec.attached_message(kImageInfoKey);
  if (!message) return std::nullopt;
  const ImageModuleInfo info = parse_image_module_info(*message, kImageInfoKey);
  return ImageSize{info.height, info.width};
}

namespace {

const PartialShape& image_shape(const Signature& signature, const ImageInput& input) {
  const std::string name = input.input_name.empty() ? "images" : input.input_name;
  const auto found = signature.inputs.find(name);
  if (found == signature.inputs.end()) {
    throw value_error("Module is missing input '", printable(name), "' in signature '",
                      input.signature.empty() ? "default" : printable(input.signature), "'.");
  }
  if (!found->second.shape.has_rank() || found->second.shape.rank() != 4) {
    throw value_error("Shape of module input is ", found->second.shape,
                      ", expected rank 4. Details: input '", printable(name), "'.");
  }
  return found->second.shape;
}

}  // namespace

ImageSize expected_image_size(const ModuleSpec& spec, const ImageInput& input) {
  const auto info = image_module_info(spec);
  if (info && info->height != 0 && info->width != 0) return *info;
  const Signature signature = spec.signature(input.signature);
  const PartialShape& shape = image_shape(signature, input);
  if (shape.dim(1) <= 0 || shape.dim(2) <= 0) {
    throw value_error("Expected to know the image size. Details: the module's input has shape ",
                      shape, ", and no message ", kImageInfoKey, " says it.");
  }
  return {static_cast<int>(shape.dim(1)), static_cast<int>(shape.dim(2))};
}

int num_image_channels(const ModuleSpec& spec, const ImageInput& input) {
  const Signature signature = spec.signature(input.signature);
  const PartialShape& shape = image_shape(signature, input);
  if (shape.dim(3) <= 0) {
    throw value_error(
        "Expected to know the number of channels. Details: the module's input has shape ", shape,
        ".");
  }
  return static_cast<int>(shape.dim(3));
}

}  // namespace hub
