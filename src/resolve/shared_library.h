#pragma once

// Libraries that are loaded when they are first needed: libcurl with all that it needs costs
// every process 5 ms at its start, and a module that is in the cache needs none of it.

#include <dlfcn.h>

#include "base/errors.h"

namespace hub {

// Never unloaded.
class SharedLibrary {
 public:
  // Errors: UNIMPLEMENTED, naming the Debian package that is missing.
  SharedLibrary(const char* file, const char* package)
      : handle_(::dlopen(file, RTLD_NOW | RTLD_LOCAL)), file_(file) {
    if (handle_ != nullptr) return;
    const char* reason = ::dlerror();
    throw unimplemented("A library that is needed here cannot be loaded: install ", package,
                        ". Details: ", reason == nullptr ? file : reason, ".");
  }

  template <class Function>
  void load(Function*& function, const char* name) const {
    function = reinterpret_cast<Function*>(::dlsym(handle_, name));
    if (function == nullptr) {
      throw unimplemented("A library is too old. Details: ", file_, " has no ", name, ".");
    }
  }

 private:
  void* handle_;
  const char* file_;
};

}  // namespace hub
