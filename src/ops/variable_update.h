#pragma once

// What the ops that write variables share: which variable, who holds its lock, and the
// memory to write.

#include <mutex>

#include "ops/kernel.h"

namespace hub {

// Whether a variable, whose lock the caller holds, has a value of this dtype. Errors: NOT_FOUND for
// a resource without a value, FAILED_PRECONDITION for such a reference, INVALID_ARGUMENT for
// another dtype.
inline void check_can_update(const KernelContext& context, const VariableResource& variable,
                             bool is_ref, DType dtype) {
  const std::string_view op = context.node().op_name;
  if (!variable.value.is_valid()) {
    if (is_ref) {
      throw failed_precondition(op, ": the variable has no value yet. Details: \"", variable.name,
                                "\".");
    }
    throw not_found(op, ": there is no such variable, or it has no value yet. Details: \"",
                    variable.name, "\".");
  }
  if (variable.value.dtype() != dtype) {
    throw invalid_argument(op, ": the variable has another dtype. Details: \"", variable.name,
                           "\" is ", variable.value.dtype(), ", expected ", dtype, ".");
  }
}

// A variable that is being written: of the handle or reference in an input. Holds the lock.
class VariableUpdate {
 public:
  // Errors: as check_can_update.
  VariableUpdate(KernelContext& context, int input, DType dtype)
      : is_ref_(context.input(input).dtype() != DType::kResource),
        variable_(is_ref_ ? context.ref_input(input) : context.resource<VariableResource>(input)),
        lock_(variable_->mutex) {
    check_can_update(context, *variable_, is_ref_, dtype);
  }

  const Tensor& value() const { return variable_->value; }
  // The value's memory: its own, unless it is a reference variable, whose aliases see writes.
  Tensor& writable() {
    variable_->prepare_write(is_ref_);
    return variable_->value;
  }
  // New memory in the place of the value, for a result that is written as a whole.
  void replace(Tensor value) {
    ++variable_->version;
    variable_->value = std::move(value);
  }
  // Whether `writable` would have to copy.
  bool is_shared() const { return !variable_->value.is_exclusive() && !is_ref_; }
  bool is_ref() const { return is_ref_; }
  const std::shared_ptr<VariableResource>& variable() const { return variable_; }

 private:
  bool is_ref_;
  std::shared_ptr<VariableResource> variable_;
  std::unique_lock<std::mutex> lock_;
};

// Passes the reference in input 0 on as output 0, where the op has one.
inline void pass_reference_on(KernelContext& context) {
  if (context.num_outputs() > 0) context.set_ref_output(0, context.ref_input(0));
}

}  // namespace hub
