#include "module/unsupported.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include "graph/function.h"
#include "graph/import.h"
#include "ops/kernel.h"
#include "tensor/buffer_pool.h"

namespace hub {
namespace {

// What a node that was found wanting becomes, so that the rest of its graph can be checked: an op
// that nobody knows.
const std::string kOpaque(1, '?');

// The functions that attributes of the node name.
std::vector<std::string> called_functions(const AttrMap& attrs) {
  std::vector<std::string> names;
  for (const auto& [name, attr] : attrs) {
    if (const auto* function = std::get_if<FunctionRef>(&attr.value)) {
      names.push_back(function->name);
    } else if (const auto* list = std::get_if<AttrList>(&attr.value)) {
      for (const FunctionRef& each : list->functions) names.push_back(each.name);
    }
  }
  return names;
}

// The node that an error is about: `in node "NAME"`, the innermost one.
std::optional<std::string> node_of(const Error& error) {
  constexpr std::string_view kBegin = "in node \"";
  for (const std::string& line : error.context()) {
    if (!line.starts_with(kBegin)) continue;
    const auto end = line.find('"', kBegin.size());
    return line.substr(kBegin.size(), end - kBegin.size());
  }
  return std::nullopt;
}

// Tries a kernel on made-up inputs, of the shapes that are known or of one element each, to learn
// whether it takes the dtypes.
class KernelTrial {
 public:
  KernelTrial(const GraphData& graph, const Node& node, ResourceManager& resources)
      : graph_(graph), node_(node), resources_(resources) {}

  // Why the kernel does not take the dtypes, if that shows.
  std::optional<std::string> run(const Kernel& kernel) {
    constexpr int kMaxRank = 5;
    for (int rank = 0; rank <= kMaxRank; ++rank) {
      try {
        compute(kernel, rank);
        return std::nullopt;
      } catch (const Error& error) {
        if (error.code() == ErrorCode::kUnimplemented && !is_about_rank(error.message())) {
          return error.message();
        }
      }
    }
    return std::nullopt;
  }

  // Nodes that change nothing but their outputs, and need nothing but tensors.
  static bool can_try(const GraphData& graph, const Node& node) {
    if (node.op->def().stateful) return false;
    const auto is_plain = [](const OutputFact& fact) {
      return !fact.is_ref && fact.dtype != DType::kInvalid && fact.dtype != DType::kResource &&
             fact.dtype != DType::kVariant;
    };
    return std::ranges::all_of(node.outputs, is_plain) &&
           std::ranges::all_of(node.inputs, [&](OutputId input) {
             return input.node >= 0 && is_plain(graph.fact(input));
           });
  }

 private:
  // The ranks are made up.
  static bool is_about_rank(std::string_view message) {
    constexpr std::string_view kWords[] = {"rank", "dimensions", "axes"};
    return std::ranges::any_of(
        kWords, [&](std::string_view word) { return message.find(word) != message.npos; });
  }

  void compute(const Kernel& kernel, int rank) {
    BufferPool buffers;
    Step step;
    step.buffers = &buffers;
    step.resources = &resources_;
    std::vector<Tensor> inputs, outputs(node_.outputs.size());
    for (const OutputId input : node_.inputs) inputs.push_back(made_up(input, rank));
    std::vector<Tensor*> pointers;
    for (Tensor& input : inputs) pointers.push_back(&input);
    const auto last_uses = std::make_unique<bool[]>(inputs.size() + 1);
    KernelContext::Frame frame;
    frame.node = &node_;
    frame.step = &step;
    frame.inputs = pointers;
    frame.outputs = outputs;
    frame.last_uses = {last_uses.get(), inputs.size()};
    KernelContext context(frame);
    kernel.compute(context);
  }

  Tensor made_up(OutputId input, int rank) const {
    if (const Tensor* constant = graph_.constant(input)) return *constant;
    const OutputFact& fact = graph_.fact(input);
    std::vector<std::int64_t> dims(static_cast<std::size_t>(rank), 1);
    if (fact.shape.has_rank()) {
      dims.assign(static_cast<std::size_t>(fact.shape.rank()), 1);
      std::int64_t elements = 1;
      constexpr std::int64_t kMaxElements = 4096;
      for (int i = 0; i < fact.shape.rank(); ++i) {
        const std::int64_t size = fact.shape.dim(i);
        if (size < 0 || size > kMaxElements / std::max<std::int64_t>(elements, 1)) continue;
        dims[static_cast<std::size_t>(i)] = size;
        elements *= size;
      }
    }
    Tensor tensor(fact.dtype, Shape(dims));
    if (fact.dtype == DType::kString) return tensor;
    std::ranges::fill(tensor.mutable_bytes(), std::byte{0});
    if (storage_dtype(fact.dtype) == DType::kInt32) fill_ones<std::int32_t>(tensor);
    if (fact.dtype == DType::kInt64) fill_ones<std::int64_t>(tensor);
    return tensor;
  }

  // Sizes and axes are integers.
  template <class T>
  static void fill_ones(Tensor& tensor) {
    std::fill_n(static_cast<T*>(tensor.mutable_raw_data()), tensor.num_elements(), T{1});
  }

  const GraphData& graph_;
  const Node& node_;
  ResourceManager& resources_;
};

class Checker {
 public:
  Checker(const GraphDef& graph, const OpRegistry& registry) : graph_(graph), registry_(registry) {}

  std::vector<UnsupportedNode> run() {
    for (FunctionDef& function : graph_.library.functions) {
      functions_.emplace(function.signature.name, &function);
    }
    const std::vector<FunctionDef*> called = find_called();
    check_names(graph_.nodes, "");
    for (FunctionDef* function : called) check_names(function->nodes, function->signature.name);
    check_graph();
    for (FunctionDef* function : called) {
      // What its attributes stand for is known at the calls only.
      if (function->signature.attrs.empty()) check_function(*function);
    }
    sort();
    return std::move(found_);
  }

 private:
  void report(NodeDef& node, const std::string& function, std::string reason) {
    found_.push_back({node.name, node.op, function, std::move(reason)});
    node.op = kOpaque;
  }

  // The functions that the graph's nodes call, or these call in turn. TensorFlow 2 writes others
  // too: for training, and for other devices.
  std::vector<FunctionDef*> find_called() const {
    std::vector<FunctionDef*> called;
    std::set<std::string_view> seen;
    const auto add = [&](const std::string& name) {
      const auto found = functions_.find(name);
      if (found != functions_.end() && seen.insert(found->first).second) {
        called.push_back(found->second);
      }
    };
    const auto add_calls = [&](const std::vector<NodeDef>& nodes) {
      for (const NodeDef& node : nodes) {
        add(node.op);
        for (const std::string& name : called_functions(node.attrs)) add(name);
      }
    };
    add_calls(graph_.nodes);
    for (std::size_t i = 0; i < called.size(); ++i) add_calls(called[i]->nodes);
    return called;
  }

  void check_names(std::vector<NodeDef>& nodes, const std::string& function) {
    for (NodeDef& node : nodes) {
      order_.emplace(std::pair(function, node.name), order_.size());
      const Op* op = registry_.find(node.op);
      if (op == nullptr && functions_.contains(node.op)) continue;
      if (op == nullptr) {
        report(node, function, "the op is not known");
      } else if (!is_supported(op)) {
        report(node, function, "the op has no kernel");
      } else {
        for (const std::string& name : called_functions(node.attrs)) {
          if (name.empty() || functions_.contains(name) || registry_.find(name) != nullptr)
            continue;
          report(node, function, cat("there is no function \"", printable(name), "\""));
          break;
        }
      }
    }
  }

  // Calls body() until it finds nothing wrong with a node of these.
  template <class Body>
  void until_whole(std::vector<NodeDef>& nodes, const std::string& function, Body&& body) {
    constexpr int kMaxNodes = 64;
    for (int i = 0; i < kMaxNodes; ++i) {
      try {
        return body();
      } catch (const Error& error) {
        const auto name = node_of(error);
        const auto node = std::ranges::find_if(
            nodes, [&](const NodeDef& candidate) { return name && candidate.name == *name; });
        if (node != nodes.end() && node->op == kOpaque) return;
        if (node == nodes.end()) {
          found_.push_back({name.value_or(""), "", function, error.message()});
          return;
        }
        report(*node, function, error.message());
      }
    }
  }

  void check_graph() {
    until_whole(graph_.nodes, "", [&] {
      GraphData graph(registry_);
      import_graph_def(graph_, graph);
      check_kernels(graph, graph_.nodes, "");
    });
  }

  void check_function(FunctionDef& function) {
    FunctionRef itself;
    itself.name = function.signature.name;
    until_whole(function.nodes, itself.name, [&] {
      GraphData library(registry_);
      for (const FunctionDef& other : graph_.library.functions) {
        library.functions.emplace(other.signature.name, std::shared_ptr<const FunctionDef>(
                                                            std::shared_ptr<void>(), &other));
      }
      check_kernels(instantiate_function(itself, library)->graph, function.nodes, itself.name);
    });
  }

  void check_kernels(const GraphData& graph, std::vector<NodeDef>& defs,
                     const std::string& function) {
    ResourceManager resources;
    for (NodeDef& def : defs) {
      const int index = graph.find(def.name);
      if (index < 0) continue;
      const Node& node = graph.node(index);
      // What calls functions is made where they are planned.
      if (node.op == nullptr || node.op->def().kernel == nullptr ||
          !called_functions(node.attrs).empty()) {
        continue;
      }
      if (const auto reason = refusal(graph, node, resources)) report(def, function, *reason);
    }
  }

  std::optional<std::string> refusal(const GraphData& graph, const Node& node,
                                     ResourceManager& resources) {
    try {
      const KernelInit init(graph, node, resources, /*functions=*/nullptr, {});
      const std::unique_ptr<Kernel> kernel = node.op->def().kernel(init);
      if (!KernelTrial::can_try(graph, node)) return std::nullopt;
      std::string key = node.op_name;
      for (const OutputId input : node.inputs) key.append(1, ' ').append(dtype_of(graph, input));
      for (const OutputFact& output : node.outputs) {
        key.append(1, ' ').append(dtype_name(output.dtype));
      }
      if (const auto known = trials_.find(key); known != trials_.end()) return known->second;
      return trials_[key] = KernelTrial(graph, node, resources).run(*kernel);
    } catch (const Error& error) {
      return error.message();
    }
  }

  static std::string_view dtype_of(const GraphData& graph, OutputId input) {
    return dtype_name(graph.fact(input).dtype);
  }

  void sort() {
    const auto place = [&](const UnsupportedNode& node) {
      const auto known = order_.find({node.function, node.node});
      return known == order_.end() ? order_.size() : known->second;
    };
    std::ranges::stable_sort(found_, {}, place);
  }

  GraphDef graph_;
  const OpRegistry& registry_;
  std::map<std::string, FunctionDef*, std::less<>> functions_;
  std::map<std::pair<std::string, std::string>, std::size_t> order_;
  std::map<std::string, std::optional<std::string>> trials_;
  std::vector<UnsupportedNode> found_;
};

}  // namespace

bool is_supported(const Op* op) {
  return op != nullptr &&
         (op->def().kernel != nullptr || op->def().control_flow != ControlFlow::kNone);
}

std::vector<UnsupportedNode> unsupported_nodes(const GraphDef& graph, const OpRegistry& registry) {
  return Checker(graph, registry).run();
}

}  // namespace hub
