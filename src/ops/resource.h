#pragma once

// State that kernels hold on to, owned by a session.

#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/errors.h"
#include "hub/tensor.h"

namespace hub {

// A variable of either kind. `value` is invalid until the first assignment. Whoever reads
// or writes holds `mutex`; a reader copies the Tensor, which shares the buffer: a writer
// that finds the buffer shared makes a new one, so that what was read does not change.
// Only reference variables (VariableV2) are written in place all the same (`write_in_place`).
class VariableResource final : public Resource {
 public:
  VariableResource(std::string variable_name, DType variable_dtype, PartialShape declared_shape)
      : name(std::move(variable_name)), dtype(variable_dtype), shape(std::move(declared_shape)) {}

  // A snapshot; invalid where there is no value.
  Tensor read() const {
    const std::lock_guard lock(mutex);
    return value;
  }
  void assign(Tensor new_value) {
    const std::lock_guard lock(mutex);
    value = std::move(new_value);
    ++version;
  }
  // Makes `value` writable: its own, unless `in_place` (reference variables). The caller
  // holds `mutex` and has checked that there is a value.
  void prepare_write(bool in_place) {
    ++version;
    const Buffer& buffer = *value.buffer().get();
    if (value.is_exclusive() || (in_place && buffer.writable() && !buffer.pinned())) return;
    value = value.clone();
  }

  const std::string name;
  const DType dtype;
  const PartialShape shape;
  mutable std::mutex mutex;
  Tensor value;
  std::uint64_t version = 0;
};

// Resources by container, name and C++ type. Thread-safe.
class ResourceManager {
 public:
  // The resource, made by `make()` where there is none.
  // Errors: INVALID_ARGUMENT where the name belongs to a resource of another type.
  template <std::derived_from<Resource> T, class Make>
  std::shared_ptr<T> find_or_create(const std::string& container, const std::string& name,
                                    Make&& make) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Resource>& slot = resources_[{container, name}];
    if (slot == nullptr) slot = make();
    auto resource = std::dynamic_pointer_cast<T>(slot);
    if (resource == nullptr) {
      throw invalid_argument("A resource's name belongs to one kind of resource. Details: \"", name,
                             "\" in container \"", container, "\" is of another kind.");
    }
    return resource;
  }

  // nullptr where there is none, or one of another type.
  template <std::derived_from<Resource> T>
  std::shared_ptr<T> find(const std::string& container, const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto found = resources_.find({container, name});
    return found == resources_.end() ? nullptr : std::dynamic_pointer_cast<T>(found->second);
  }

  // False where there was none.
  bool erase(const std::string& container, const std::string& name) {
    const std::lock_guard lock(mutex_);
    return resources_.erase({container, name}) > 0;
  }

  // A name that no resource of this manager has had.
  std::string fresh_name(std::string_view prefix) {
    const std::lock_guard lock(mutex_);
    return cat(prefix, "_", next_name_++);
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<Resource>> resources_;
  std::uint64_t next_name_ = 0;
};

}  // namespace hub
