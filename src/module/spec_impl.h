#pragma once

// What a ModuleSpec holds.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "format/module_files.h"
#include "hub/module_spec.h"
#include "module/signature.h"

namespace hub {

// Immutable.
class ModuleSpec::Impl {
 public:
  struct VariantGraph {
    Tags tags;  // sorted, each once
    MetaGraph meta_graph;
    std::map<std::string, BoundSignature> signatures;
    std::map<std::string, std::string> messages;  // attached, by key
  };

  // `place` names the module in errors. Without a checkpoint, variables keep their initialisers.
  // Errors: of kind value for one set of tags twice, for collections that modules cannot have or
  // that hold something else.
  Impl(std::vector<MetaGraph> variants, std::string place, std::string checkpoint_prefix = {},
       std::shared_ptr<const BundleReader> checkpoint = nullptr);

  const std::string& place() const { return place_; }
  const std::vector<VariantGraph>& variants() const { return variants_; }
  // Null where there is none.
  const VariantGraph* find(const Tags& tags) const;
  // Errors: of kind key.
  const VariantGraph& variant(const Tags& tags) const;
  // "{}, {train}", for messages.
  std::string tags_text() const;

  // Where values are stored; empty for a spec that was created.
  const std::string& checkpoint_prefix() const { return checkpoint_prefix_; }
  // Errors: NOT_FOUND where the prefix has no index file.
  const BundleReader& checkpoint() const;

 private:
  std::string place_;
  std::vector<VariantGraph> variants_;
  std::string checkpoint_prefix_;
  std::shared_ptr<const BundleReader> checkpoint_;
};

// The signature of the variant; "" is "default". Errors: of kind value.
const BoundSignature& find_signature(const ModuleSpec::Impl::VariantGraph& variant,
                                     std::string_view name);

// The collections of the meta graph that modules cannot have, sorted.
std::vector<std::string> unsupported_collections(const MetaGraph& meta_graph);

}  // namespace hub
