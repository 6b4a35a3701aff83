// A library for tests that load this one and TensorFlow into one process.

#include <hub/hub.h>
#include <cstdio>

// Loads the module at `path` and applies it to one number; NaN (and a message on stderr) where
// that fails.
extern "C" __attribute__((visibility("default"))) float apply_module(const char* path,
                                                                     float value) {
  try {
    return hub::load(path)(hub::make_vector<float>({value})).values<float>()[0];
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return __builtin_nanf("");
  }
}
