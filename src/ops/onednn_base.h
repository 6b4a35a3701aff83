#pragma once

// What the onednn*.cpp files share. oneDNN's types stay in them.

#include <dnnl.hpp>

#include <string_view>
#include <unordered_map>

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

using Args = std::unordered_map<int, dnnl::memory>;

// Runs a primitive on this thread and waits for it.
void execute(const dnnl::primitive& primitive, const Args& args);

// True for oneDNN's plain loops, which are hundreds of times slower than the rest.
bool is_reference(std::string_view implementation);

inline dnnl::memory memory_of(const dnnl::memory::desc& desc, const void* data) {
  return dnnl::memory(desc, engine(), const_cast<void*>(data));
}

}  // namespace hub::dnn
