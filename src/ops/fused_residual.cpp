#include "ops/fused_residual.h"

#include "ops/broadcast.h"

namespace hub {

void add_broadcast_residual(KernelContext& context, const Tensor& product, const Tensor& residual,
                            RowActivation activation) {
  const Broadcast broadcast("Add", {&product.shape(), &residual.shape()});
  Tensor& y = context.output(0, broadcast.shape());
  float* to = y.mutable_data<float>();
  Broadcast::Scratch first, second;
  const std::int64_t end = y.num_elements();
  for (std::int64_t begin = 0, n = 0; begin < end; begin += n) {
    n = broadcast.block(begin, end);
    const auto x = broadcast.operand(0, product.raw_data(), sizeof(float), begin, n, first);
    const auto z = broadcast.operand(1, residual.raw_data(), sizeof(float), begin, n, second);
    const auto* left = static_cast<const float*>(x.data);
    const auto* right = static_cast<const float*>(z.data);
    for (std::int64_t i = 0; i < n; ++i)
      to[begin + i] = left[x.repeated ? 0 : i] + right[z.repeated ? 0 : i];
    finish_row(activation, nullptr, nullptr, to + begin, n);
  }
}

}  // namespace hub
