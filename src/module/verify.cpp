#include "module/verify.h"

#include <algorithm>
#include <set>

#include "base/errors.h"
#include "graph/function.h"
#include "graph/import.h"
#include "module/attachments.h"
#include "module/init_ops.h"
#include "module/signature.h"
#include "module/spec_impl.h"
#include "module/state_ops.h"
#include "module/variables.h"
#include "module/variants.h"
#include "ops/builtin.h"

namespace hub {
namespace {

class Verifier {
 public:
  explicit Verifier(const ModuleFiles& files) : files_(files) {}

  Verification verify() {
    check_checkpoint();
    check_tags();
    const std::vector<MetaGraph>& variants = files_.model.meta_graphs;
    for (std::size_t i = 0; i < variants.size(); ++i) {
      place_ = cat("graph ", tags_text(variants[i].tags));
      check_variant(variants[i]);
      if (i < files_.asset_bindings.size()) check_assets(files_.asset_bindings[i]);
    }
    check_asset_files();
    result_.unsupported_ops.assign(unsupported_ops_.begin(), unsupported_ops_.end());
    return std::move(result_);
  }

 private:
  template <class Check>
  void collect(const std::string& place, Check&& check) {
    try {
      check();
    } catch (const Error& error) {
      result_.problems.push_back(cat(place, ": ", error.what()));
    }
  }

  void check_checkpoint() {
    if (files_.checkpoint == nullptr) return;
    for (const std::string_view key : files_.checkpoint->keys()) {
      ++result_.tensors;
      collect(cat("stored tensor \"", printable(key), "\""),
              [&] { files_.checkpoint->verify(key); });
    }
  }

  void check_variant(const MetaGraph& meta_graph) {
    ++result_.graphs;
    GraphData graph(builtin_ops());
    const std::size_t problems = result_.problems.size();
    collect(place_, [&] { import_graph_def(meta_graph.graph, graph); });
    // A part of the graph says nothing of the rest.
    if (result_.problems.size() > problems) return;
    check_functions(graph);
    check_collections(graph, meta_graph);
    if (files_.kind == ModelKind::kTf1Hub) check_module_rules(graph, meta_graph);
    for (const Node& node : graph.nodes()) {
      if (node.op == nullptr) unsupported_ops_.insert(node.op_name);
    }
    collect(place_, [&] { static_cast<void>(attachments_of(meta_graph, files_.path)); });
    for (const auto& [name, signature] : meta_graph.signatures) {
      check_signature(graph, bind_signature(name, signature));
    }
    collect(place_, [&] { check_variables(meta_graph); });
    for (const std::string& name : init_ops(files_.kind, meta_graph)) {
      if (graph.find(parse_tensor_name(name).node) < 0) {
        result_.problems.push_back(
            cat(place_, ": there is no initialising op \"", printable(name), "\""));
      }
    }
  }

  void check_signature(const GraphData& graph, const BoundSignature& signature) {
    ++result_.signatures;
    const auto check = [&](const auto& values, std::string_view direction) {
      for (const auto& [name, value] : values) {
        collect(cat(place_, ", signature '", printable(signature.name), "', ", direction, " '",
                    printable(name), "'"),
                [&, &checked = value] { check_value(graph, checked); });
      }
    };
    check(signature.inputs, "input");
    check(signature.outputs, "output");
  }

  static void check_value(const GraphData& graph, const BoundValue& value) {
    if (!value.unsupported_type.empty()) {
      throw unimplemented("Signatures have tensors, sparse and ragged tensors. Details: this is a ",
                          value.unsupported_type, ".");
    }
    for (std::size_t i = 0; i < value.tensors.size(); ++i) {
      if (value.info.dtype == DType::kInvalid && graph.find(value.tensors[i]) >= 0) continue;
      const OutputFact& fact = graph.fact(graph.find_output(value.tensors[i]));
      const bool holds_values = value.info.kind == ValueKind::kSparse ? i == 1 : i == 0;
      if (!holds_values || fact.dtype == DType::kInvalid) continue;
      const bool fits =
          fact.dtype == value.info.dtype &&
          (value.info.kind != ValueKind::kDense || fact.shape.is_compatible_with(value.info.shape));
      if (fits) continue;
      throw invalid_argument("A signature says what its tensors are. Details: it says ",
                             to_string(value.info), ", \"", printable(value.tensors[i]), "\" is ",
                             fact.dtype, " ", fact.shape, ".");
    }
  }

  // Each function that a node calls, and each that has no attributes of its own.
  void check_functions(const GraphData& graph) {
    std::set<std::string> seen;
    const auto check = [&](const FunctionRef& function) {
      if (function.name.empty() || !seen.insert(function_key(function)).second) return;
      collect(cat(place_, ", function \"", printable(function.name), "\""),
              [&] { static_cast<void>(instantiate_function(function, graph)); });
    };
    for (const Node& node : graph.nodes()) {
      for (const auto& [name, value] : node.attrs) {
        if (const auto* function = std::get_if<FunctionRef>(&value.value)) check(*function);
        if (const auto* list = std::get_if<AttrList>(&value.value)) {
          for (const FunctionRef& function : list->functions) check(function);
        }
      }
    }
    for (const auto& [name, function] : graph.functions) {
      if (function->signature.attrs.empty())
        check({.name = name, .attrs = {}, .unknown_fields = {}});
    }
  }

  // The nodes and tensors that collections name.
  void check_collections(const GraphData& graph, const MetaGraph& meta_graph) {
    for (const auto& [key, collection] : meta_graph.collections) {
      const auto* names = std::get_if<NodeNames>(&collection.value);
      if (names == nullptr) continue;
      for (const std::string& name : names->values) {
        collect(cat(place_, ", collection \"", printable(key), "\""), [&] {
          if (graph.find(name) < 0) static_cast<void>(graph.find_output(name));
        });
      }
    }
  }

  void check_module_rules(const GraphData& graph, const MetaGraph& meta_graph) {
    const std::vector<std::string> unsupported = unsupported_collections(meta_graph);
    if (!unsupported.empty()) {
      result_.problems.push_back(
          cat(place_, ": Unsupported collections in graph: [", printable(join(unsupported)), "]"));
    }
    for (const Node& node : graph.nodes()) {
      if (!is_state_op(node.op) || node.outputs.size() == 1) continue;
      result_.problems.push_back(cat(place_, ": node \"", printable(node.name),
                                     "\" holds state and has ", node.outputs.size(),
                                     " outputs, expected 1"));
    }
  }

  void check_tags() {
    std::set<std::string> seen;
    for (const MetaGraph& meta_graph : files_.model.meta_graphs) {
      const std::string tags = tags_text(meta_graph.tags);
      if (!seen.insert(tags).second) {
        result_.problems.push_back(cat("Tags ", tags, " used repeatedly"));
      }
    }
  }

  void check_variables(const MetaGraph& meta_graph) {
    for (const ModelVariable& variable : variables_of(meta_graph, files_.path)) {
      // Those of an object graph are stored under other names.
      if (variable.parts.empty()) continue;
      ++result_.variables;
      collect(cat(place_, ", variable \"", printable(variable.name), "\""),
              [&] { check_stored(variable); });
    }
  }

  void check_stored(const ModelVariable& variable) const {
    if (files_.checkpoint == nullptr) {
      throw not_found("The variables' checkpoint is missing. Details: there is no ",
                      bundle_index_path(files_.checkpoint_prefix), ".");
    }
    const BundleEntry& entry = files_.checkpoint->entry(variable.name);
    if (entry.dtype == variable.dtype && variable.shape.is_compatible_with(entry.shape)) return;
    throw invalid_argument("A variable and its stored tensor agree. Details: the variable is ",
                           variable.dtype, " ", variable.shape, ", stored is ", entry.dtype, " ",
                           entry.shape, ".");
  }

  void check_assets(const std::vector<AssetBinding>& bindings) {
    for (const AssetBinding& binding : bindings) {
      if (path_exists(binding.path)) continue;
      result_.problems.push_back(
          cat(place_, ": there is no asset ", printable(binding.path, 4096)));
    }
  }

  // Reads every byte: a bad disk shows here.
  void check_asset_files() {
    for (const std::string& asset : files_.assets) {
      ++result_.assets;
      collect(cat("asset ", printable(asset, 4096)), [&] {
        constexpr std::uint64_t kPiece = std::uint64_t{1} << 20;
        const InputFile file(cat(files_.path, "/assets/", asset));
        std::string buffer(std::min(kPiece, file.size()), '\0');
        for (std::uint64_t at = 0; at < file.size(); at += buffer.size())
          file.read_at(at, buffer.data(), std::min<std::uint64_t>(buffer.size(), file.size() - at));
      });
    }
  }

  const ModuleFiles& files_;
  std::string place_;
  std::set<std::string> unsupported_ops_;
  Verification result_;
};

}  // namespace

Verification verify_model(const ModuleFiles& files) { return Verifier(files).verify(); }

}  // namespace hub
