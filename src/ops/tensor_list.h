#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "ops/kernel.h"

namespace hub {

// The lists of functional loops: a value, copied when it is shared and written.
class TensorList final : public VariantValue {
 public:
  std::string_view type_name() const override { return "tensorflow::TensorList"; }

  DType dtype = DType::kInvalid;
  PartialShape element_shape;
  std::int64_t max_elements = -1;  // -1: no limit
  std::vector<Tensor> elements;    // an invalid tensor is an element that was not set
};

// The list in a scalar variant. Errors: INVALID_ARGUMENT where it is none.
const TensorList& tensor_list(const KernelContext& context, int input);

// The list of input `input`, writable: itself where nobody else holds it, else a copy.
std::shared_ptr<TensorList> take_tensor_list(KernelContext& context, int input);

void set_tensor_list(KernelContext& context, int output, std::shared_ptr<const TensorList> list);

// A shape as list ops take it: scalar -1 (unknown rank), or a vector of sizes with -1.
PartialShape partial_shape_input(const KernelContext& context, int input);

}  // namespace hub
