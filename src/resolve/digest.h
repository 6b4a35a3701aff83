#pragma once

// Hashes, as lower-case hexadecimal.

#include <nettle/sha2.h>

#include <string>
#include <string_view>

namespace hub {

std::string sha1_hex(std::string_view bytes);

class Sha256 {
 public:
  Sha256();
  void update(std::string_view bytes);
  // Of all updates so far; once.
  std::string hex();

 private:
  sha256_ctx context_;
};

// Of a file. Errors: those of reading it.
std::string sha256_of_file(const std::string& path);

}  // namespace hub
