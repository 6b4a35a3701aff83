#include "module/diff.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <set>

#include "base/errors.h"
#include "graph/graph_data.h"
#include "module/attachments.h"
#include "module/describe.h"
#include "module/signature.h"
#include "module/variants.h"
#include "ops/builtin.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

using Texts = std::map<std::string, std::string>;

std::vector<std::string> sorted(std::vector<std::string> tags) {
  std::ranges::sort(tags);
  return tags;
}

// Every name that one of the maps has, in order, with what each map holds or nothing.
template <class Map, class Visit>
void for_each_pair(const Map& first, const Map& second, const Visit& visit) {
  auto a = first.begin();
  auto b = second.begin();
  while (a != first.end() || b != second.end()) {
    const bool takes_first = b == second.end() || (a != first.end() && a->first <= b->first);
    const bool takes_second = a == first.end() || (b != second.end() && b->first <= a->first);
    visit(takes_first ? a->first : b->first, takes_first ? &a->second : nullptr,
          takes_second ? &b->second : nullptr);
    if (takes_first) ++a;
    if (takes_second) ++b;
  }
}

template <class T>
double distance(const T& a, const T& b) {
  if constexpr (requires { a.imag(); }) {
    return std::abs(a - b);
  } else {
    double x = 0;
    double y = 0;
    if constexpr (std::is_arithmetic_v<T>) {
      x = static_cast<double>(a);
      y = static_cast<double>(b);
    } else {  // half precision
      x = static_cast<float>(a);
      y = static_cast<float>(b);
    }
    if (x == y || (std::isnan(x) && std::isnan(y))) return 0;
    const double difference = std::abs(x - y);
    return std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
  }
}

// None where the elements are no numbers; the tensors are of one dtype and shape.
std::optional<double> largest_difference(const Tensor& a, const Tensor& b) {
  std::optional<double> largest;
  const auto compare = [&]<class T>() {
    const auto x = a.values<T>();
    const auto y = b.values<T>();
    largest = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      double difference = distance(x[i], y[i]);
      if (std::isnan(difference)) difference = std::numeric_limits<double>::infinity();
      largest = std::max(*largest, difference);
    }
  };
  if (a.dtype() != kString) dispatch(PlainTypes{}, a.dtype(), compare);
  return largest;
}

bool are_equal_texts(const Tensor& a, const Tensor& b) {
  return std::ranges::equal(a.values<std::string>(), b.values<std::string>());
}

// "float32 [3,4]".
std::string entry_text(const BundleEntry& entry) { return cat(entry.dtype, " ", entry.shape); }

std::string variable_text(const ModelVariable& variable) {
  return cat(variable.dtype, " ", variable.shape,
             variable.is_partitioned() ? cat(" in ", variable.parts.size(), " parts") : "",
             variable.trainable ? " trainable" : "");
}

// Nodes that stand for a path: it differs wherever the model lies.
using PathNodes = std::set<std::string, std::less<>>;

// The two values of an attribute, but for constants that hold paths.
std::string node_difference(const NodeDef& a, const NodeDef& b, bool holds_path) {
  if (a.op != b.op) return "op";
  if (a.inputs != b.inputs) return "inputs";
  if (a.device != b.device) return "device";
  std::string found;
  for_each_pair(a.attrs, b.attrs,
                [&](const std::string& name, const AttrValue* x, const AttrValue* y) {
                  if (holds_path && name == "value") return;
                  if (found.empty() && (x == nullptr || y == nullptr || !(*x == *y))) {
                    found = "attribute " + name;
                  }
                });
  return found;
}

class Differ {
 public:
  Differ(const ModuleFiles& first, const ModuleFiles& second) : first_(first), second_(second) {}

  std::vector<Difference> diff() {
    if (first_.kind != second_.kind) {
      add(DifferenceKind::kFormat, "", std::string(model_kind_name(first_.kind)),
          std::string(model_kind_name(second_.kind)));
    }
    for_each_pair(
        graphs_of(first_), graphs_of(second_),
        [&](const std::vector<std::string>& tags, const std::size_t* a, const std::size_t* b) {
          tags_ = tags;
          diff_graph(a, b);
        });
    tags_.reset();
    diff_values();
    diff_assets();
    return std::move(result_);
  }

 private:
  using OptionalText = std::optional<std::string>;

  void add(DifferenceKind kind, const std::string& name, OptionalText first, OptionalText second,
           std::optional<double> largest = {}) {
    result_.push_back({kind, tags_, name, std::move(first), std::move(second), largest});
  }

  void diff_texts(DifferenceKind kind, const Texts& first, const Texts& second) {
    for_each_pair(first, second,
                  [&](const std::string& name, const std::string* a, const std::string* b) {
                    if (a != nullptr && b != nullptr && *a == *b) return;
                    add(kind, name, a != nullptr ? OptionalText(*a) : std::nullopt,
                        b != nullptr ? OptionalText(*b) : std::nullopt);
                  });
  }

  static std::map<std::vector<std::string>, std::size_t> graphs_of(const ModuleFiles& files) {
    std::map<std::vector<std::string>, std::size_t> result;
    const std::vector<MetaGraph>& graphs = files.model.meta_graphs;
    for (std::size_t i = 0; i < graphs.size(); ++i) result.emplace(sorted(graphs[i].tags), i);
    return result;
  }

  void diff_graph(const std::size_t* a, const std::size_t* b) {
    if (a == nullptr || b == nullptr) {
      const auto text = [&](const std::size_t* graph, const ModuleFiles& files) -> OptionalText {
        if (graph == nullptr) return std::nullopt;
        return cat(files.model.meta_graphs[*graph].graph.nodes.size(), " nodes");
      };
      return add(DifferenceKind::kGraph, tags_text(*tags_), text(a, first_), text(b, second_));
    }
    const MetaGraph& first = first_.model.meta_graphs[*a];
    const MetaGraph& second = second_.model.meta_graphs[*b];
    const VariantDescription x = describe(first, builtin_ops(), first_.path);
    const VariantDescription y = describe(second, builtin_ops(), second_.path);
    diff_texts(DifferenceKind::kSignature, signature_texts(x), signature_texts(y));
    diff_texts(DifferenceKind::kVariable, variable_texts(x), variable_texts(y));
    diff_attachments(attachments_of(first, first_.path), attachments_of(second, second_.path));
    diff_texts(DifferenceKind::kOp, op_texts(x), op_texts(y));
    diff_nodes(first.graph, second.graph, path_nodes(first_, *a), path_nodes(second_, *b));
    diff_functions(first.graph, second.graph);
  }

  static Texts signature_texts(const VariantDescription& graph) {
    Texts texts;
    for (const auto& [name, signature] : graph.signatures) {
      texts[cat("'", name, "'")] = "";
      for (const auto& [key, info] : signature.inputs)
        texts[cat("'", name, "', input '", key, "'")] = to_string(info);
      for (const auto& [key, info] : signature.outputs)
        texts[cat("'", name, "', output '", key, "'")] = to_string(info);
    }
    return texts;
  }

  static Texts variable_texts(const VariantDescription& graph) {
    Texts texts;
    for (const ModelVariable& variable : graph.variables)
      texts[variable.name] = variable_text(variable);
    return texts;
  }

  static Texts op_texts(const VariantDescription& graph) {
    Texts texts;
    for (const auto& [op, count] : graph.ops) texts[op] = cat(count);
    return texts;
  }

  void diff_attachments(const Texts& first, const Texts& second) {
    const auto text = [](const std::string* bytes) -> OptionalText {
      if (bytes == nullptr) return std::nullopt;
      return cat(bytes->size(), " bytes");
    };
    for_each_pair(first, second,
                  [&](const std::string& key, const std::string* a, const std::string* b) {
                    if (a != nullptr && b != nullptr && *a == *b) return;
                    add(DifferenceKind::kAttachment, key, text(a), text(b));
                  });
  }

  static PathNodes path_nodes(const ModuleFiles& files, std::size_t graph) {
    PathNodes nodes;
    if (graph >= files.asset_bindings.size()) return nodes;
    for (const AssetBinding& binding : files.asset_bindings[graph])
      nodes.emplace(parse_tensor_name(binding.tensor_name).node);
    return nodes;
  }

  void diff_nodes(const GraphDef& first, const GraphDef& second, const PathNodes& first_paths,
                  const PathNodes& second_paths) {
    const auto by_name = [](const GraphDef& graph) {
      std::map<std::string_view, const NodeDef*> nodes;
      for (const NodeDef& node : graph.nodes) nodes.emplace(node.name, &node);
      return nodes;
    };
    using Slot = const NodeDef* const*;
    for_each_pair(by_name(first), by_name(second), [&](std::string_view name, Slot a, Slot b) {
      const auto text = [](Slot node) -> OptionalText {
        if (node == nullptr) return std::nullopt;
        return (*node)->op;
      };
      std::string what;
      if (a != nullptr && b != nullptr) {
        what = node_difference(**a, **b, first_paths.contains(name) && second_paths.contains(name));
        if (what.empty()) return;
      }
      const std::string suffix = what.empty() || what == "op" ? "" : ", " + what;
      add(DifferenceKind::kNode, std::string(name) + suffix, text(a), text(b));
    });
  }

  void diff_functions(const GraphDef& first, const GraphDef& second) {
    const auto bytes = [](const GraphDef& graph) {
      Texts functions;
      for (const FunctionDef& function : graph.library.functions) {
        GraphDef alone;
        alone.library.functions.push_back(function);
        functions[function.signature.name] = serialize_graph_def(alone);
      }
      return functions;
    };
    for_each_pair(bytes(first), bytes(second),
                  [&](const std::string& name, const std::string* a, const std::string* b) {
                    if (a != nullptr && b != nullptr && *a == *b) return;
                    add(DifferenceKind::kFunction, name,
                        a != nullptr ? OptionalText("a body") : std::nullopt,
                        b != nullptr ? OptionalText("a body") : std::nullopt);
                  });
  }

  static std::map<std::string_view, const BundleEntry*> entries_of(const ModuleFiles& files) {
    std::map<std::string_view, const BundleEntry*> entries;
    if (files.checkpoint == nullptr) return entries;
    for (const std::string_view key : files.checkpoint->keys())
      entries.emplace(key, &files.checkpoint->entry(key));
    return entries;
  }

  void diff_values() {
    using Slot = const BundleEntry* const*;
    for_each_pair(entries_of(first_), entries_of(second_),
                  [&](std::string_view key, Slot a, Slot b) {
                    const auto text = [](Slot entry) -> OptionalText {
                      if (entry == nullptr) return std::nullopt;
                      return entry_text(**entry);
                    };
                    if (a == nullptr || b == nullptr || text(a) != text(b)) {
                      return add(DifferenceKind::kValue, std::string(key), text(a), text(b));
                    }
                    const Tensor x = first_.checkpoint->read(key);
                    const Tensor y = second_.checkpoint->read(key);
                    const auto largest = largest_difference(x, y);
                    if (largest ? *largest == 0 : are_equal_texts(x, y)) return;
                    add(DifferenceKind::kValue, std::string(key), text(a), text(b), largest);
                  });
  }

  void diff_assets() {
    const auto paths = [](const ModuleFiles& files) {
      Texts assets;
      for (const std::string& asset : files.assets)
        assets[asset] = cat(files.path, "/assets/", asset);
      return assets;
    };
    const auto text = [](const std::string* path) -> OptionalText {
      if (path == nullptr) return std::nullopt;
      return cat(file_size(*path), " bytes");
    };
    for_each_pair(paths(first_), paths(second_),
                  [&](const std::string& name, const std::string* a, const std::string* b) {
                    if (a != nullptr && b != nullptr &&
                        MappedFile::open(*a)->bytes() == MappedFile::open(*b)->bytes()) {
                      return;
                    }
                    add(DifferenceKind::kAsset, name, text(a), text(b));
                  });
  }

  const ModuleFiles& first_;
  const ModuleFiles& second_;
  std::optional<std::vector<std::string>> tags_;
  std::vector<Difference> result_;
};

}  // namespace

std::string_view to_string(DifferenceKind kind) {
  switch (kind) {
    case DifferenceKind::kFormat: return "format";
    case DifferenceKind::kGraph: return "graph";
    case DifferenceKind::kSignature: return "signature";
    case DifferenceKind::kVariable: return "variable";
    case DifferenceKind::kValue: return "value";
    case DifferenceKind::kAttachment: return "attachment";
    case DifferenceKind::kAsset: return "asset";
    case DifferenceKind::kOp: return "op";
    case DifferenceKind::kNode: return "node";
    case DifferenceKind::kFunction: return "function";
  }
  return "";
}

std::vector<Difference> diff_models(const ModuleFiles& first, const ModuleFiles& second) {
  return Differ(first, second).diff();
}

}  // namespace hub
