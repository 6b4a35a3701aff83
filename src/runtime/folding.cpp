#include "runtime/folding.h"

#include <algorithm>

#include "base/errors.h"
#include "graph/shape_context.h"
#include "tensor/buffer_pool.h"

namespace hub {
namespace {

// A folded value may take this much more memory than what it was made of.
constexpr std::size_t kMaxGrowthBytes = 1 << 20;

class Folder {
 public:
  Folder(GraphData& graph, ResourceManager& resources) : graph_(graph), resources_(resources) {
    step_.buffers = &buffers_;
    step_.pool = nullptr;
    step_.max_threads = 1;
    step_.resources = &resources;
  }

  void run() {
    const int count = graph_.num_nodes();
    replaced_.resize(static_cast<std::size_t>(count));
    // Nodes were copied inputs first (an import adds them so), except back edges of loops.
    for (int i = 0; i < count; ++i) visit(i);
  }

 private:
  void visit(int index) {
    Node& node = graph_.mutable_node(index);
    bool changed = false;
    for (OutputId& input : node.inputs) changed |= replace(input);
    if (changed && node.op != nullptr) infer_again(node);
    if (can_fold(node)) fold(index);
  }

  bool replace(OutputId& input) const {
    if (!input.is_valid() || static_cast<std::size_t>(input.node) >= replaced_.size()) return false;
    const auto& outputs = replaced_[static_cast<std::size_t>(input.node)];
    if (outputs.empty()) return false;
    input = outputs[static_cast<std::size_t>(input.index)];
    return true;
  }

  void infer_again(Node& node) const {
    const std::vector<OutputFact> before = node.outputs;
    try {
      infer_shapes(graph_, node);
      for (std::size_t i = 0; i < before.size(); ++i) {
        node.outputs[i].shape = node.outputs[i].shape.merge_with(before[i].shape);
      }
    } catch (const Error&) {
      node.outputs = before;  // the kernel will say it, if the node runs
    }
  }

  bool can_fold(const Node& node) const {
    if (node.op == nullptr || node.op->def().kernel == nullptr || node.op_name == "Const" ||
        node.outputs.empty())
      return false;
    const OpDef& def = node.op->def();
    if (!node.control_inputs.empty() || def.control_flow != ControlFlow::kNone) return false;
    if (def.constant_in_session) return node.inputs.empty();
    if (def.stateful || node.inputs.empty() || calls_function(node)) return false;
    for (const OutputFact& fact : node.outputs) {
      if (fact.is_ref || fact.dtype == DType::kResource || fact.dtype == DType::kVariant)
        return false;
    }
    return std::ranges::all_of(node.inputs, [&](OutputId input) {
      return graph_.constant(input) != nullptr && graph_.node(input.node).control_inputs.empty();
    });
  }

  static bool calls_function(const Node& node) {
    return std::ranges::any_of(node.op->schema().attrs, [](const AttrDef& attr) {
      return attr.type == "func" || attr.type == "list(func)";
    });
  }

  void fold(int index) {
    const Node& node = graph_.node(index);
    std::vector<Tensor> inputs;
    std::size_t input_bytes = 0;
    for (const OutputId input : node.inputs) {
      inputs.push_back(*graph_.constant(input));
      input_bytes += inputs.back().size_bytes();
    }
    std::vector<Tensor> outputs;
    try {
      outputs = compute(node, inputs);
    } catch (const Error&) {
      return;
    }
    for (const Tensor& output : outputs) {
      if (!output.is_valid() || output.size_bytes() > input_bytes + kMaxGrowthBytes) return;
    }
    std::vector<OutputId> constants;
    for (const Tensor& output : outputs) constants.push_back(add_constant(node.name, output));
    replaced_[static_cast<std::size_t>(index)] = std::move(constants);
  }

  std::vector<Tensor> compute(const Node& node, std::vector<Tensor>& inputs) {
    // Nodes that call functions are not folded.
    const KernelInit init(graph_, node, resources_, /*functions=*/nullptr, {});
    const std::unique_ptr<Kernel> kernel = node.op->def().kernel(init);
    std::vector<Tensor> outputs(node.outputs.size());
    std::vector<Tensor*> pointers;
    for (Tensor& input : inputs) pointers.push_back(&input);
    const auto last_uses = std::make_unique<bool[]>(inputs.size() + 1);
    KernelContext::Frame frame;
    frame.node = &node;
    frame.step = &step_;
    frame.inputs = pointers;
    frame.outputs = outputs;
    frame.last_uses = {last_uses.get(), inputs.size()};
    KernelContext context(frame);
    const FlushDenormals flush;
    kernel->compute(context);
    return outputs;
  }

  OutputId add_constant(const std::string& name, const Tensor& value) {
    Node node;
    node.name = graph_.unique_name(cat(name, "/folded"));
    node.op_name = "Const";
    node.op = graph_.registry().find("Const");
    node.attrs["dtype"] = AttrValue(value.dtype());
    node.attrs["value"] = AttrValue(value);
    OutputFact fact;
    fact.dtype = value.dtype();
    fact.shape = value.shape();
    node.outputs.push_back(std::move(fact));
    node.input_arg_begins = {0};
    node.output_arg_begins = {0, 1};
    return {graph_.add_copy(std::move(node)), 0};
  }

  GraphData& graph_;
  ResourceManager& resources_;
  BufferPool buffers_;
  Step step_;
  std::vector<std::vector<OutputId>> replaced_;  // by node: its outputs as constants
};

}  // namespace

void fold_constants(GraphData& graph, ResourceManager& resources) {
  Folder(graph, resources).run();
}

}  // namespace hub
