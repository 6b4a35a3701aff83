#include "ops/onednn_base.h"

// Of OpenMP's runtime, without the compiler's support for it.
extern "C" {
void omp_set_num_threads(int);
int omp_get_max_threads();
}

namespace hub::dnn {

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

SingleThread::SingleThread() : saved_(omp_get_max_threads()) {
  if (saved_ != 1) omp_set_num_threads(1);
}

SingleThread::~SingleThread() {
  if (saved_ != 1) omp_set_num_threads(saved_);
}

void execute(const dnnl::primitive& primitive, const std::unordered_map<int, dnnl::memory>& args) {
  const SingleThread single;
  dnnl::stream stream(engine());
  primitive.execute(stream, args);
  stream.wait();
}

struct Executable::Call {
  explicit Call(std::span<const Argument> arguments) : stream(engine()) {
    for (const Argument& argument : arguments) {
      memories.emplace_back(argument.desc, engine(), nullptr);
      args.push_back({argument.id, memories.back().get()});
    }
  }

  dnnl::stream stream;
  std::vector<dnnl::memory> memories;
  std::vector<dnnl_exec_arg_t> args;
};

Executable::Executable(dnnl::primitive primitive, std::vector<Argument> arguments)
    : primitive_(std::move(primitive)), arguments_(std::move(arguments)) {}
Executable::~Executable() = default;

std::unique_ptr<Executable::Call> Executable::take_call() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Call> call = std::move(idle_.back());
      idle_.pop_back();
      return call;
    }
  }
  return std::make_unique<Call>(arguments_);
}

void Executable::run(std::span<void* const> data) const {
  HUB_ASSERT(data.size() == arguments_.size());
  const SingleThread single;
  std::unique_ptr<Call> call = take_call();
  for (std::size_t i = 0; i < data.size(); ++i) {
    // Setting an address writes zeros where the layout pads, so the packed filter is left alone.
    if (call->memories[i].get_data_handle() != data[i]) call->memories[i].set_data_handle(data[i]);
  }
  dnnl::error::wrap_c_api(
      dnnl_primitive_execute(primitive_.get(), call->stream.get(),
                             static_cast<int>(call->args.size()), call->args.data()),
      "a primitive could not be run");
  call->stream.wait();
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(call));
}

bool is_reference(std::string_view implementation) {
  return implementation.find("ref") != std::string_view::npos;
}

}  // namespace hub::dnn
