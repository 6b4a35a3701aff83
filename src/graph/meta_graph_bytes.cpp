// Messages as bytes: the public face of meta_graph.h.

#include "hub/meta_graph.h"

#include "base/errors.h"
#include "graph/meta_graph.h"

namespace hub {
namespace {

MetaExportOptions export_options(const ExportGraphOptions& options) {
  MetaExportOptions result;
  result.strip_default_attrs = options.strip_default_attrs;
  result.output_shapes = options.output_shapes;
  result.tags = options.tags;
  return result;
}

MetaImportOptions import_options(const Graph& graph, const ImportGraphOptions& options) {
  MetaImportOptions result;
  if (!options.name.empty()) {
    const NameScope scope(graph, options.name);
    result.prefix = without_slash(scope.name());
  }
  for (const auto& [name, output] : options.input_map)
    result.input_map[name] = id_of(output, graph.state());
  return result;
}

std::string import(const Graph& graph, const MetaGraph& meta, const ImportGraphOptions& options) {
  const MetaImportOptions internal = import_options(graph, options);
  import_meta_graph(meta, internal, graph.state());
  return internal.prefix.empty() ? std::string() : cat(internal.prefix, "/");
}

}  // namespace

std::string export_graph_def(const Graph& graph, const ExportGraphOptions& options) {
  return serialize_graph_def(to_meta_graph(graph.state(), export_options(options)).graph);
}

std::string export_meta_graph_def(const Graph& graph, const ExportGraphOptions& options) {
  return serialize_meta_graph(to_meta_graph(graph.state(), export_options(options)));
}

std::string import_graph_def(const Graph& graph, std::string_view bytes,
                             const ImportGraphOptions& options) {
  MetaGraph meta;
  meta.graph = parse_graph_def(bytes, "a GraphDef");
  return import(graph, meta, options);
}

std::string import_meta_graph_def(const Graph& graph, std::string_view bytes,
                                  const ImportGraphOptions& options) {
  return import(graph, parse_meta_graph(bytes, "a MetaGraphDef"), options);
}

}  // namespace hub
