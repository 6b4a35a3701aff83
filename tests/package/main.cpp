// What a user's first program needs: the headers, the shared library, and Error across
// the library's border.

#include <hub/error.h>
#include <hub/tensor.h>

#include <cstdio>

int main() {
  const hub::Tensor tensor = hub::make_vector<float>({1, 2, 3});
  std::printf("%s\n", hub::to_string(tensor).c_str());
  try {
    tensor.reshaped(hub::Shape{2, 2});
  } catch (const hub::Error& error) {
    std::printf("%s\n", error.what());
    return 0;
  }
  std::printf("a reshape to another size must be an error\n");
  return 1;
}
