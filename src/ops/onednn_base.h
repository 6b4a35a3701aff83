#pragma once

// What the onednn*.cpp files share. oneDNN's types stay in them.

#include <dnnl.hpp>

#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/errors.h"

namespace hub::dnn {

// The CPU engine of the process.
const dnnl::engine& engine();

// While it lives, this thread makes and runs oneDNN's primitives alone: they use OpenMP,
// whose threads would fight with ours.
class SingleThread {
 public:
  SingleThread();
  ~SingleThread();
  SingleThread(const SingleThread&) = delete;
  SingleThread& operator=(const SingleThread&) = delete;

 private:
  int saved_;
};

// Runs a primitive on this thread and waits for it.
void execute(const dnnl::primitive& primitive, const std::unordered_map<int, dnnl::memory>& args);

// A primitive with what it reads and writes. Making oneDNN's objects for a run takes as long as a
// small primitive, so that they are kept for the next one. Any number of threads may run it.
class Executable {
 public:
  struct Argument {
    int id;  // DNNL_ARG_...
    dnnl::memory::desc desc;
  };
  Executable(dnnl::primitive primitive, std::vector<Argument> arguments);
  ~Executable();

  // Works on the calling thread alone. `data` has an address for each argument, in order.
  void run(std::span<void* const> data) const;

 private:
  struct Call;
  std::unique_ptr<Call> take_call() const;

  dnnl::primitive primitive_;
  std::vector<Argument> arguments_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Call>> idle_;  // as many as there were runs at a time
};

// True for oneDNN's plain loops, which are hundreds of times slower than the rest.
bool is_reference(std::string_view implementation);

inline dnnl::memory memory_of(const dnnl::memory::desc& desc, const void* data) {
  return dnnl::memory(desc, engine(), const_cast<void*>(data));
}

}  // namespace hub::dnn
