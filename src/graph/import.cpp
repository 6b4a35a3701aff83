#include "graph/import.h"

#include <algorithm>
#include <charconv>

#include "base/errors.h"

namespace hub {
namespace {

constexpr std::string_view kColocation = "loc:@";

class Importer {
 public:
  Importer(const GraphDef& graph_def, const ImportOptions& options, GraphData& graph)
      : def_(graph_def), options_(options), graph_(graph), added_(graph_def.nodes.size(), -1) {}

  std::vector<int> run() {
    add_functions();
    index_names();
    find_edges();
    add_in_order();
    close_loops();
    return std::move(added_);
  }

 private:
  std::string prefixed(std::string_view name) const {
    return options_.prefix.empty() ? std::string(name) : cat(options_.prefix, "/", name);
  }

  void add_functions() {
    for (const FunctionDef& function : def_.library.functions) {
      graph_.functions.try_emplace(function.signature.name,
                                   std::make_shared<FunctionDef>(function));
    }
    for (const GradientDef& gradient : def_.library.gradients) {
      graph_.function_gradients.try_emplace(gradient.function_name, gradient.gradient_function);
    }
    merge_versions();
  }

  // The graph is then as old as the oldest of what was put into it
  // (tensorflow/core/common_runtime/graph_constructor.cc).
  void merge_versions() {
    VersionDef& versions = graph_.versions;
    if (versions.producer == 0) {
      versions = def_.versions;
    } else if (def_.versions.producer > 0) {
      versions.producer = std::min(versions.producer, def_.versions.producer);
      versions.min_consumer = std::max(versions.min_consumer, def_.versions.min_consumer);
    }
  }

  void index_names() {
    by_name_.reserve(def_.nodes.size());
    for (std::size_t i = 0; i < def_.nodes.size(); ++i) {
      if (!by_name_.emplace(def_.nodes[i].name, static_cast<int>(i)).second) {
        throw invalid_argument("The names of nodes are unique. Details: \"",
                               printable(def_.nodes[i].name), "\" is there twice.");
      }
    }
  }

  // An input of a node, found: another node of the GraphDef, or a mapped output.
  struct Edge {
    int source = -1;  // -1: mapped
    int index = 0;    // of the output, or within the argument of this name
    std::string_view output_name = {};
    bool control = false;
    OutputId mapped;
  };

  void find_edges() {
    edges_.resize(def_.nodes.size());
    waiting_.assign(def_.nodes.size(), 0);
    users_.resize(def_.nodes.size());
    for (std::size_t i = 0; i < def_.nodes.size(); ++i) {
      with_context([&] { find_edges_of(static_cast<int>(i)); },
                   [&] { return cat("in node \"", printable(def_.nodes[i].name), "\""); });
    }
  }

  void find_edges_of(int index) {
    const NodeDef& node = def_.nodes[static_cast<std::size_t>(index)];
    bool control_seen = false;
    for (const std::string& text : node.inputs) {
      const Edge edge = find_edge(text);
      if (control_seen && !edge.control) {
        throw invalid_argument("Control inputs must come after all data inputs. Details: \"",
                               printable(text), "\".");
      }
      control_seen = edge.control;
      edges_[static_cast<std::size_t>(index)].push_back(edge);
      if (edge.source < 0 || is_back_edge(edge.source, node)) continue;
      ++waiting_[static_cast<std::size_t>(index)];
      users_[static_cast<std::size_t>(edge.source)].push_back(index);
    }
  }

  Edge find_edge(const std::string& text) const {
    Edge edge;
    if (const auto mapped = options_.input_map.find(text); mapped != options_.input_map.end()) {
      edge.mapped = mapped->second;
      edge.control = text.starts_with('^');
      return edge;
    }
    if (options_.function_body && !text.starts_with('^')) return find_body_edge(text);
    const TensorName name = parse_tensor_name(text);
    const auto mapped = name.is_control ? options_.input_map.end()
                                        : options_.input_map.find(cat(name.node, ":", name.index));
    if (mapped != options_.input_map.end()) {
      edge.mapped = mapped->second;
      return edge;
    }
    const auto found = by_name_.find(name.node);
    if (found == by_name_.end()) {
      throw invalid_argument("Every input must be in the graph. Details: there is no node for \"",
                             printable(text), "\".");
    }
    edge.source = found->second;
    edge.index = name.index;
    edge.control = name.is_control;
    return edge;
  }

  Edge find_body_edge(const std::string& text) const {
    Edge edge;
    std::string_view rest = text;
    const auto first = rest.find(':');
    const std::string_view node = rest.substr(0, first);
    if (first != std::string_view::npos) {
      rest.remove_prefix(first + 1);
      const auto second = rest.find(':');
      edge.output_name = rest.substr(0, second);
      if (second != std::string_view::npos) {
        const std::string_view digits = rest.substr(second + 1);
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), edge.index);
        if (error != std::errc() || end != digits.data() + digits.size() || edge.index < 0) {
          throw invalid_argument(
              "An input of a function's node is \"node:output:index\". Details: got \"",
              printable(text), "\".");
        }
      }
    }
    const auto found = by_name_.find(node);
    if (found == by_name_.end()) {
      throw invalid_argument(
          "Every input must be in the function. Details: there is no node for \"", printable(text),
          "\".");
    }
    edge.source = found->second;
    return edge;
  }

  // The index of the output that an edge of a function's body means.
  int resolved_index(int source, const Edge& edge) const {
    if (!options_.function_body || edge.output_name.empty()) return edge.index;
    const Node& node = graph_.node(source);
    const OpDefMessage* schema = schema_of(node);
    if (schema == nullptr) return edge.index;
    for (std::size_t i = 0; i < schema->outputs.size(); ++i) {
      if (schema->outputs[i].name == edge.output_name)
        return node.output_arg_begins[i] + edge.index;
    }
    throw invalid_argument(
        "An input of a function's node names an output that is not there. Details: \"", node.name,
        ":", edge.output_name, "\".");
  }

  const OpDefMessage* schema_of(const Node& node) const {
    if (node.op != nullptr) return &node.op->schema();
    const auto function = graph_.functions.find(node.op_name);
    return function == graph_.functions.end() ? nullptr : &function->second->signature;
  }

  ControlFlow control_flow_of(const NodeDef& node) const {
    const Op* op = graph_.registry().find(node.op);
    return op == nullptr ? ControlFlow::kNone : op->def().control_flow;
  }

  // The edge that closes a loop: from NextIteration to Merge.
  bool is_back_edge(int source, const NodeDef& user) const {
    return control_flow_of(def_.nodes[static_cast<std::size_t>(source)]) ==
               ControlFlow::kNextIteration &&
           control_flow_of(user) == ControlFlow::kMerge;
  }

  // Nodes in an order in which inputs come first; among those that are ready, as in the file.
  void add_in_order() {
    std::vector<int> ready;
    for (std::size_t i = 0; i < def_.nodes.size(); ++i) {
      if (waiting_[i] == 0) ready.push_back(static_cast<int>(i));
    }
    std::size_t done = 0;
    for (; done < ready.size(); ++done) {
      const int index = ready[done];
      with_context([&] { add_node(index); },
                   [&] { return std::string("while importing a graph"); });
      for (const int user : users_[static_cast<std::size_t>(index)]) {
        if (--waiting_[static_cast<std::size_t>(user)] == 0) ready.push_back(user);
      }
    }
    if (done < def_.nodes.size()) {
      for (std::size_t i = 0; i < def_.nodes.size(); ++i) {
        if (added_[i] < 0) {
          throw invalid_argument(
              "A graph has no cycles but those of loops (NextIteration to Merge). Details: node \"",
              printable(def_.nodes[i].name), "\" is on a cycle, or behind one.");
        }
      }
    }
  }

  void add_node(int index) {
    const NodeDef& node = def_.nodes[static_cast<std::size_t>(index)];
    NodeSpec spec;
    spec.name = prefixed(node.name);
    spec.op = node.op;
    spec.device = node.device;
    spec.attrs = node.attrs;
    rewrite_attrs(spec.attrs);
    for (const Edge& edge : edges_[static_cast<std::size_t>(index)]) {
      const int source =
          edge.source < 0 ? edge.mapped.node : added_[static_cast<std::size_t>(edge.source)];
      if (edge.control) {
        spec.control_inputs.push_back(source);
      } else if (edge.source < 0) {
        spec.inputs.push_back(edge.mapped);
      } else {
        const int output = source < 0 ? 0 : resolved_index(source, edge);
        check_output(source, output, node);
        spec.inputs.push_back({source, output});
      }
    }
    if (spec.inputs.empty() && spec.control_inputs.empty())
      spec.control_inputs = options_.control_dependencies;
    apply_output_shapes(spec, index);
  }

  void check_output(int source, int output, const NodeDef& user) const {
    if (source < 0) return;  // a back edge: looked at when it is closed
    const Node& node = graph_.node(source);
    if (node.op != nullptr && output >= static_cast<int>(node.outputs.size())) {
      throw invalid_argument("An input names an output that the node does not have. Details: \"",
                             printable(user.name), "\" reads ", node.name, ":", output, ", but ",
                             node.op_name, " has ", node.outputs.size(), " outputs.");
    }
  }

  // `_output_shapes` says the static shapes that the writer knew.
  void apply_output_shapes(NodeSpec& spec, int index) {
    std::vector<PartialShape> known;
    if (const auto found = spec.attrs.find("_output_shapes"); found != spec.attrs.end()) {
      if (const auto* list = std::get_if<AttrList>(&found->second.value)) known = list->shapes;
      spec.attrs.erase(found);
    }
    const int added = graph_.add(std::move(spec));
    added_[static_cast<std::size_t>(index)] = added;
    Node& node = graph_.mutable_node(added);
    if (known.size() != node.outputs.size()) return;
    for (std::size_t i = 0; i < known.size(); ++i) {
      // TensorFlow says [2] of the handles of TensorArrays, which are scalars.
      if (node.outputs[i].dtype == DType::kResource) continue;
      PartialShape& shape = node.outputs[i].shape;
      if (!shape.is_compatible_with(known[i])) {
        throw invalid_argument("The attribute _output_shapes must fit the op. Details: node \"",
                               node.name, "\", output ", i, ": ", known[i], " against ", shape,
                               ".");
      }
      shape = shape.merge_with(known[i]);
    }
  }

  void rewrite_attrs(AttrMap& attrs) const {
    if (options_.prefix.empty()) return;
    if (const auto found = attrs.find("_class"); found != attrs.end()) {
      if (auto* list = std::get_if<AttrList>(&found->second.value)) {
        for (std::string& text : list->strings) {
          if (text.starts_with(kColocation))
            text = cat(kColocation, prefixed(text.substr(kColocation.size())));
        }
      }
    }
    if (const auto found = attrs.find("frame_name"); found != attrs.end()) {
      if (auto* frame = std::get_if<std::string>(&found->second.value)) *frame = prefixed(*frame);
    }
  }

  void close_loops() {
    for (std::size_t i = 0; i < def_.nodes.size(); ++i) {
      int input = 0;
      for (const Edge& edge : edges_[i]) {
        if (edge.control) break;
        if (edge.source >= 0 && is_back_edge(edge.source, def_.nodes[i])) {
          graph_.set_input(added_[i], input,
                           {added_[static_cast<std::size_t>(edge.source)], edge.index});
        }
        ++input;
      }
      // A control edge may close a loop too (from NextIteration to Merge).
      Node& node = graph_.mutable_node(added_[i]);
      std::size_t control = 0;
      for (const Edge& edge : edges_[i]) {
        if (!edge.control) continue;
        if (edge.source >= 0)
          node.control_inputs[control] = added_[static_cast<std::size_t>(edge.source)];
        ++control;
      }
    }
  }

  const GraphDef& def_;
  const ImportOptions& options_;
  GraphData& graph_;
  std::vector<int> added_;
  std::unordered_map<std::string_view, int> by_name_;
  std::vector<std::vector<Edge>> edges_;
  std::vector<int> waiting_;
  std::vector<std::vector<int>> users_;
};

}  // namespace

std::vector<int> import_graph_def(const GraphDef& graph_def, const ImportOptions& options,
                                  GraphData& graph) {
  return Importer(graph_def, options, graph).run();
}

GraphDef export_graph_def(const GraphData& graph) {
  GraphDef def;
  def.versions = graph.versions;
  for (const Node& node : graph.nodes()) {
    if (node.op_name.starts_with('_')) {
      throw internal_error("a planner's op cannot be exported. Details: node \"", node.name, "\" (",
                           node.op_name, ").");
    }
    NodeDef out;
    out.name = node.name;
    out.op = node.op_name;
    out.device = node.device;
    out.attrs = node.attrs;
    for (const OutputId input : node.inputs) {
      const std::string& source = graph.node(input.node).name;
      out.inputs.push_back(input.index == 0 ? source : cat(source, ":", input.index));
    }
    for (const std::int32_t control : node.control_inputs)
      out.inputs.push_back(cat("^", graph.node(control).name));
    def.nodes.push_back(std::move(out));
  }
  for (const auto& [name, function] : graph.functions) def.library.functions.push_back(*function);
  for (const auto& [name, gradient] : graph.function_gradients)
    def.library.gradients.push_back({name, gradient, {}});
  return def;
}

}  // namespace hub
