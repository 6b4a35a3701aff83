#include "module/export_spec.h"

#include <set>

#include "base/errors.h"
#include "base/file.h"
#include "format/assets.h"
#include "format/checkpoint_state.h"
#include "format/module_files.h"
#include "module/variable_slices.h"

namespace hub {
namespace {

// The variables of all graphs, by name.
std::map<std::string, ModelVariable> all_variables(const ModuleSpec::Impl& spec) {
  std::map<std::string, ModelVariable> result;
  for (const auto& variant : spec.variants()) {
    for (ModelVariable& variable : variables_of(variant.meta_graph, spec.place())) {
      const std::string name = variable.name;
      result.emplace(name, std::move(variable));
    }
  }
  return result;
}

// Values of a checkpoint, under names of their own there.
class StoredValues final : public VariableValues {
 public:
  using Names = std::function<std::string(const std::string&)>;

  StoredValues(const BundleReader& reader, const std::map<std::string, ModelVariable>& variables,
               Names key_of)
      : reader_(reader), variables_(variables), key_of_(std::move(key_of)) {
    for (const auto& [name, variable] : variables) check(variable);
  }

  bool has(const std::string& name) const override { return variables_.contains(name); }

  void write(const std::string& name, BundleWriter& writer) const override {
    const ModelVariable& variable = variables_.at(name);
    const std::string key = key_of_(name);
    if (!variable.is_partitioned()) {
      writer.add(name, reader_.read(key));
      return;
    }
    const Shape& full_shape = reader_.entry(key).shape;
    for (const VariablePart& part : variable.parts) {
      const TensorSlice slice = slice_of(part);
      writer.add_slice(name, full_shape, slice, reader_.read_slice(key, slice));
    }
  }

 private:
  void check(const ModelVariable& variable) const {
    const std::string key = key_of_(variable.name);
    const BundleEntry* entry = reader_.find(key);
    if (entry == nullptr) {
      throw value_error("Tensor ", printable(key), " is not found in ", reader_.prefix(),
                        " checkpoint.");
    }
    if (!variable.shape.is_compatible_with(entry->shape)) {
      throw value_error("Shape of variable ", variable.name, " (", variable.shape,
                        ") doesn't match with shape of tensor ", printable(key), " (", entry->shape,
                        ") from checkpoint reader. Details: ", reader_.prefix(), ".");
    }
    if (entry->dtype != variable.dtype) {
      throw value_error("Variable ", variable.name, " is ", variable.dtype, ", but tensor ",
                        printable(key), " of ", reader_.prefix(), " is ", entry->dtype, ".");
    }
  }

  const BundleReader& reader_;
  const std::map<std::string, ModelVariable>& variables_;
  Names key_of_;
};

std::string same_name(const std::string& name) { return name; }

void write_variables(const std::map<std::string, ModelVariable>& variables,
                     const ModuleSpec::Impl& spec, const VariableValues& values,
                     ModuleWriter& folder) {
  if (variables.empty()) return;
  std::map<std::string, ModelVariable> elsewhere;
  for (const auto& [name, variable] : variables) {
    if (!values.has(name)) elsewhere.emplace(name, variable);
  }
  if (!elsewhere.empty() && spec.checkpoint_prefix().empty()) {
    throw failed_precondition(
        "A module is exported with the values of all variables of all its graphs. Details: the "
        "instance does not have \"",
        elsewhere.begin()->first, "\", which another graph of the module has.");
  }
  std::unique_ptr<const StoredValues> stored;
  if (!elsewhere.empty())
    stored = std::make_unique<const StoredValues>(spec.checkpoint(), elsewhere, same_name);
  BundleWriter writer(folder.checkpoint_prefix(), folder.files());
  for (const auto& [name, variable] : variables) {
    const VariableValues& source = stored != nullptr && elsewhere.contains(name) ? *stored : values;
    source.write(name, writer);
  }
  writer.finish();
}

}  // namespace

void export_spec(const ModuleSpec::Impl& spec, const std::string& path,
                 const VariableValues& values) {
  with_context(
      [&] {
        SavedModel model;
        for (const auto& variant : spec.variants()) model.meta_graphs.push_back(variant.meta_graph);
        const std::vector<AssetSource> assets = unbind_assets(model);
        ModuleWriter folder(without_file_scheme(path));
        for (const AssetSource& asset : assets)
          folder.add_asset(asset.filename, without_file_scheme(asset.path));
        write_variables(all_variables(spec), spec, values, folder);
        folder.write_saved_model(model);
        folder.write_module_def();
        folder.commit();
      },
      [&] { return cat("while exporting to ", path); });
}

void ModuleSpec::export_to(const std::string& path, const SpecExportOptions& options) const {
  if (options.checkpoint_path.empty()) {
    throw value_error("Missing mandatory `checkpoint_path` parameter");
  }
  std::string prefix = options.checkpoint_path;
  if (is_directory(prefix)) {
    const auto latest = latest_checkpoint(prefix);
    if (!latest) {
      throw not_found("There is no checkpoint in the folder. Details: ", prefix, ".");
    }
    prefix = *latest;
  }
  const BundleReader reader(prefix);
  const auto variables = all_variables(*impl_);
  export_spec(
      *impl_, path,
      StoredValues(reader, variables, options.name_transform ? options.name_transform : same_name));
}

void ModuleSpec::export_to(const std::string& path) const {
  const auto variables = all_variables(*impl_);
  if (variables.empty()) {
    struct NoValues final : VariableValues {
      bool has(const std::string&) const override { return false; }
      void write(const std::string&, BundleWriter&) const override {}
    };
    return export_spec(*impl_, path, NoValues());
  }
  if (impl_->checkpoint_prefix().empty()) {
    throw value_error(
        "A module that was created has no values of its variables yet: instantiate it, and export "
        "the instance with a session; or give a checkpoint path.");
  }
  export_spec(*impl_, path, StoredValues(impl_->checkpoint(), variables, same_name));
}

}  // namespace hub
