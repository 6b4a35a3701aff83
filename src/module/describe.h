#pragma once

// What a model is: all that can be said without running it.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "format/module_files.h"
#include "graph/op.h"
#include "hub/module.h"
#include "module/unsupported.h"
#include "module/variables.h"

namespace hub {

struct VariantDescription {
  std::vector<std::string> tags;  // sorted
  std::map<std::string, Signature> signatures;
  std::vector<ModelVariable> variables;
  std::vector<std::string> attachments;      // keys, sorted
  std::map<std::string, std::int64_t> ops;   // nodes of each op, functions' bodies included
  std::vector<std::string> unsupported_ops;  // sorted
  std::vector<UnsupportedNode> unsupported_nodes;
};

struct ModelDescription {
  ModelKind kind = ModelKind::kGraphDef;
  std::vector<VariantDescription> variants;  // in the order of the file
  std::vector<std::string> assets;           // paths below assets/, sorted
  std::uint64_t bytes = 0;                   // of the format's own files
};

ModelDescription describe(const ModuleFiles& files, const OpRegistry& registry);
VariantDescription describe(const MetaGraph& meta_graph, const OpRegistry& registry,
                            std::string_view place);

}  // namespace hub
