#pragma once

// What an op does: a Kernel is made once for a node of a plan and computes many times,
// from any number of threads (`compute` is const).

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/errors.h"
#include "base/thread_pool.h"
#include "graph/graph_data.h"
#include "ops/resource.h"
#include "tensor/buffer_pool.h"

namespace hub {

class KernelContext;

// A function of the library, ready to be called (runtime/ implements it). Thread-safe.
class FunctionInstance {
 public:
  virtual ~FunctionInstance() = default;
  virtual int num_inputs() const = 0;
  virtual int num_outputs() const = 0;
  virtual DType output_dtype(int i) const = 0;
  // Runs the body in the caller's step, moving from `inputs` (what nobody else holds may be
  // overwritten). Errors: those of its nodes; INVALID_ARGUMENT for wrong inputs,
  // RESOURCE_EXHAUSTED where calls nest too deeply.
  virtual void call(KernelContext& caller, std::span<Tensor> inputs,
                    std::span<Tensor> outputs) const = 0;
};

// Finds functions for kernels; planned at their first call. Owned by the plan.
class FunctionFinder {
 public:
  virtual ~FunctionFinder() = default;
  // Errors: NOT_FOUND where the library has no such function.
  virtual std::shared_ptr<const FunctionInstance> find(const FunctionRef& function) = 0;
};

// What a kernel learns when it is made.
class KernelInit {
 public:
  KernelInit(const GraphData& graph, const Node& node, ResourceManager& resources,
             FunctionFinder* functions, std::vector<bool> stable_inputs)
      : graph_(graph),
        node_(node),
        resources_(resources),
        functions_(functions),
        stable_inputs_(std::move(stable_inputs)) {}

  const Node& node() const { return node_; }
  std::string_view name() const { return node_.name; }
  std::string_view op() const { return node_.op_name; }
  template <class T>
  const T& attr(std::string_view attr_name) const {
    return attr_value<T>(node_.attrs, node_.name, attr_name);
  }
  bool has_attr(std::string_view attr_name) const { return node_.attrs.contains(attr_name); }

  int num_inputs() const { return static_cast<int>(node_.inputs.size()); }
  int num_outputs() const { return static_cast<int>(node_.outputs.size()); }
  ArgRange input_range(std::string_view arg) const { return hub::input_range(node_, arg); }
  ArgRange output_range(std::string_view arg) const { return hub::output_range(node_, arg); }
  DType input_dtype(int i) const {
    return graph_.fact(node_.inputs[static_cast<std::size_t>(i)]).dtype;
  }
  bool input_is_ref(int i) const {
    return graph_.fact(node_.inputs[static_cast<std::size_t>(i)]).is_ref;
  }
  DType output_dtype(int i) const { return node_.outputs[static_cast<std::size_t>(i)].dtype; }
  const PartialShape& output_shape(int i) const {
    return node_.outputs[static_cast<std::size_t>(i)].shape;
  }

  // The input where it is a constant of the plan, else nullptr.
  const Tensor* constant_input(int i) const {
    return graph_.constant(node_.inputs[static_cast<std::size_t>(i)]);
  }
  // True where the input is a constant, or a variable that nothing in the plan writes: what
  // is derived from it (packed weights) may be kept as long as its buffer is the same. Pin
  // that buffer (`Buffer::pin`), so that no other plan writes into it.
  bool input_is_stable(int i) const {
    const auto index = static_cast<std::size_t>(i);
    return index < stable_inputs_.size() && stable_inputs_[index];
  }

  ResourceManager& resources() const { return resources_; }
  // The function that an attribute names. Errors: NOT_FOUND.
  std::shared_ptr<const FunctionInstance> function(std::string_view attr_name) const {
    return functions_->find(attr<FunctionRef>(attr_name));
  }
  std::shared_ptr<const FunctionInstance> function(const FunctionRef& ref) const {
    return functions_->find(ref);
  }

 private:
  const GraphData& graph_;
  const Node& node_;
  ResourceManager& resources_;
  FunctionFinder* functions_;
  std::vector<bool> stable_inputs_;
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  // Errors carry the rule and the values; the executor adds the node's name.
  virtual void compute(KernelContext& context) const = 0;
};

// `.kernel = make_kernel<SoftmaxKernel>`: SoftmaxKernel has a constructor from
// `const KernelInit&`, or none.
template <class K>
std::unique_ptr<Kernel> make_kernel(const KernelInit& init) {
  if constexpr (std::is_constructible_v<K, const KernelInit&>) {
    return std::make_unique<K>(init);
  } else {
    return std::make_unique<K>();
  }
}

// `.kernel = kernel_function<compute_shape>`: for kernels that need nothing but their inputs.
template <void (*kCompute)(KernelContext&)>
std::unique_ptr<Kernel> kernel_function(const KernelInit&) {
  class FunctionKernel final : public Kernel {
    void compute(KernelContext& context) const override { kCompute(context); }
  };
  return std::make_unique<FunctionKernel>();
}

// One run of a plan, as kernels see it. Functions called inside share it.
struct Step {
  BufferPool* buffers = nullptr;
  ThreadPool* pool = nullptr;
  int max_threads = 1;
  ResourceManager* resources = nullptr;  // of the session
  ResourceManager step_resources;        // TensorArrays and stacks: gone with the step
  const std::atomic<bool>* cancelled = nullptr;
  std::optional<std::chrono::steady_clock::time_point> deadline;
  int call_depth = 0;  // functions that are being called
  const std::function<void(std::string_view)>* log =
      nullptr;  // where Print writes; nullptr: nowhere

  // Errors: CANCELLED, DEADLINE_EXCEEDED.
  void check_cancelled() const;
};

// What a kernel gets for one computation. Valid during `compute` only; used by one thread
// (the body of parallel_for may read inputs and write outputs that exist already).
class KernelContext {
 public:
  // How the executor says where inputs lie and outputs go.
  struct Frame {
    const Node* node = nullptr;
    Step* step = nullptr;
    std::span<Tensor* const> inputs;  // never null; a dead or missing tensor is invalid
    std::span<Tensor> outputs;        // invalid until set
    std::span<const bool> last_uses;  // whether nobody reads the input after this node
    std::span<const std::shared_ptr<VariableResource>> ref_inputs = {};  // empty: there are none
    std::span<std::shared_ptr<VariableResource>> ref_outputs = {};
  };
  explicit KernelContext(const Frame& frame) : frame_(frame) {}

  const Node& node() const { return *frame_.node; }
  Step& step() const { return *frame_.step; }
  ResourceManager& resources() const { return *frame_.step->resources; }

  int num_inputs() const { return static_cast<int>(frame_.inputs.size()); }
  const Tensor& input(int i) const { return *frame_.inputs[static_cast<std::size_t>(i)]; }
  // The input, moved out where nobody reads it after this node, so that its memory may be
  // written in place by whoever gets it.
  Tensor take_input(int i) {
    Tensor& source = *frame_.inputs[static_cast<std::size_t>(i)];
    return frame_.last_uses[static_cast<std::size_t>(i)] && times_read(i) == 1 ? std::move(source)
                                                                               : source;
  }
  int num_outputs() const { return static_cast<int>(frame_.outputs.size()); }
  DType output_dtype(int i) const {
    return frame_.node->outputs[static_cast<std::size_t>(i)].dtype;
  }

  // A new tensor of the node's dtype for output `i`, uninitialised (strings are empty).
  Tensor& output(int i, const Shape& shape) { return output(i, output_dtype(i), shape); }
  Tensor& output(int i, DType dtype, const Shape& shape) {
    Tensor& result = frame_.outputs[static_cast<std::size_t>(i)];
    result = frame_.step->buffers->tensor(dtype, shape);
    return result;
  }
  // Output `i` of this shape in the memory of input `from` where nobody else needs that (and
  // the sizes agree), else new. Read an element of the input before writing its place.
  Tensor& output_in_place(int from, int i, const Shape& shape);
  // Any tensor as output `i`: an input passed on, a view of one, a constant.
  void set_output(int i, Tensor tensor) {
    frame_.outputs[static_cast<std::size_t>(i)] = std::move(tensor);
  }
  Tensor temporary(DType dtype, const Shape& shape) {
    return frame_.step->buffers->tensor(dtype, shape);
  }

  // The reference variable behind input `i`. Errors: INVALID_ARGUMENT where it is none.
  const std::shared_ptr<VariableResource>& ref_input(int i) const;
  void set_ref_output(int i, std::shared_ptr<VariableResource> variable);

  // The resource that the handle in input `i` names. Errors: INVALID_ARGUMENT for a
  // resource of another type or an empty handle.
  template <std::derived_from<Resource> T>
  std::shared_ptr<T> resource(int i) const {
    const ResourceHandle& handle = input(i).scalar<ResourceHandle>();
    auto found = std::dynamic_pointer_cast<T>(handle.resource);
    if (found == nullptr) {
      throw invalid_argument(frame_.node->op_name,
                             ": the handle is of another kind of resource. Details: input ", i,
                             ", resource \"", handle.name, "\".");
    }
    return found;
  }

  // Calls body(begin, end) over [0, count), on several threads where the work is worth it.
  // `cost_ns` is what one item costs, roughly. The split depends on the load: a result must
  // not depend on it.
  template <class Body>
  void parallel_for(std::int64_t count, double cost_ns, Body&& body) {
    const int threads = useful_threads(count, cost_ns);
    if (threads <= 1) {
      if (count > 0) body(std::int64_t{0}, count);
      return;
    }
    // Four blocks a thread, so that a slow thread does not hold up the rest.
    const std::int64_t block = (count + threads * 4 - 1) / (threads * 4);
    frame_.step->pool->parallel_for(count, block, threads, ThreadPool::Body(body));
  }
  int max_threads() const { return frame_.step->max_threads; }

 private:
  // How many of this node's inputs are that same value.
  int times_read(int i) const {
    int times = 0;
    for (const Tensor* input : frame_.inputs)
      times += input == frame_.inputs[static_cast<std::size_t>(i)];
    return times;
  }
  int useful_threads(std::int64_t count, double cost_ns) const;

  Frame frame_;
};

// Scalars that ops take as inputs. Errors: INVALID_ARGUMENT naming the argument.
std::int64_t integer_scalar(const KernelContext& context, int input, std::string_view what);
std::vector<std::int64_t> integer_vector(const KernelContext& context, int input,
                                         std::string_view what);
// A shape given as an integer vector (or scalar -1: refused). Errors: INVALID_ARGUMENT.
Shape shape_input(const KernelContext& context, int input, std::string_view what);
// An axis in [-rank, rank), made non-negative. Errors: INVALID_ARGUMENT.
int checked_axis(std::int64_t axis, int rank, std::string_view op);

}  // namespace hub
