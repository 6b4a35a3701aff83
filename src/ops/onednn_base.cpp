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

void execute(const dnnl::primitive& primitive, const Args& args) {
  const SingleThread single;
  dnnl::stream stream(engine());
  primitive.execute(stream, args);
  stream.wait();
}

bool is_reference(std::string_view implementation) {
  return implementation.find("ref") != std::string_view::npos;
}

}  // namespace hub::dnn
