#pragma once

// For tests: tar archives of any kind, good and bad, and environments.

#include <zlib.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/errors.h"
#include "base/file.h"

namespace hub::testing {

inline std::optional<Error> error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

// Writes ustar archives, also such as no tool would.
class Tar {
 public:
  static constexpr char kFile = '0';
  static constexpr char kHardLink = '1';
  static constexpr char kSymbolicLink = '2';
  static constexpr char kCharacterDevice = '3';
  static constexpr char kDirectory = '5';
  static constexpr char kFifo = '6';

  Tar& add(std::string_view name, std::string_view content, char type = kFile,
           std::string_view link = {}) {
    return add_header(name, content.size(), type, link).append(content);
  }
  Tar& directory(std::string_view name) { return add(name, {}, kDirectory); }
  // A header that promises `size` bytes.
  Tar& add_header(std::string_view name, std::uint64_t size, char type = kFile,
                  std::string_view link = {}) {
    std::string header(512, '\0');
    header.replace(0, name.size(), name);
    header.replace(100, 7, "0000644");
    header.replace(108, 7, "0000000");
    header.replace(116, 7, "0000000");
    char number[16];
    std::snprintf(number, sizeof number, "%011llo", static_cast<unsigned long long>(size));
    header.replace(124, 11, number);
    header.replace(136, 11, "00000000000");
    header.replace(148, 8, "        ");
    header[156] = type;
    header.replace(157, link.size(), link);
    header.replace(257, 8, std::string_view("ustar\00000", 8));
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    std::snprintf(number, sizeof number, "%06o", sum);
    header.replace(148, 7, std::string_view(number, 7));
    bytes_ += header;
    return *this;
  }
  Tar& append(std::string_view content) {
    bytes_ += content;
    bytes_.append((512 - content.size() % 512) % 512, '\0');
    return *this;
  }

  const std::string& open() const { return bytes_; }  // without its end
  std::string finished() const { return bytes_ + std::string(1024, '\0'); }

 private:
  std::string bytes_;
};

inline std::string gzipped(std::string_view bytes) {
  z_stream stream = {};
  ::deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(::deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  ::deflate(&stream, Z_FINISH);
  out.resize(out.size() - stream.avail_out);
  ::deflateEnd(&stream);
  return out;
}

// The files below a folder, by path.
inline std::map<std::string, std::string> tree_of(const std::string& folder) {
  std::map<std::string, std::string> tree;
  for (const std::string& path : list_files_recursively(folder)) {
    tree[path] = read_file(cat(folder, "/", path));
  }
  return tree;
}

// An environment variable for the time of a test; null: not set.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  ~Environment() { set(before_ ? before_->c_str() : nullptr); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  void set(const char* value) const {
    if (value == nullptr) {
      ::unsetenv(name_);
    } else {
      ::setenv(name_, value, 1);
    }
  }

  const char* name_;
  std::optional<std::string> before_;
};

}  // namespace hub::testing
