#pragma once

// NumPy's .npz: a zip archive of .npy files, stored or deflated.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "hub/tensor.h"

namespace hub {

// An open archive; arrays are read when asked for. Any thread may read.
class NpzFile {
 public:
  // Errors: DATA_LOSS for a file that is no zip archive; those of opening it.
  explicit NpzFile(const std::string& path);

  // Sorted; without ".npy".
  std::vector<std::string> names() const;
  bool contains(std::string_view name) const { return entries_.contains(name); }
  // Errors: NOT_FOUND for a name that is not there, DATA_LOSS for damaged bytes, UNIMPLEMENTED
  // for object arrays and for compression other than deflate.
  Tensor read(std::string_view name) const;

 private:
  struct Entry {
    std::uint64_t offset = 0;  // of the local header
    std::uint64_t packed_size = 0;
    std::uint64_t size = 0;
    std::uint32_t crc = 0;
    std::uint16_t method = 0;
  };

  void add_entry(std::string_view header, std::string_view name, std::string_view extra);
  std::string_view packed_bytes(const Entry& entry) const;

  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, Entry, std::less<>> entries_;
};

// All arrays of a file.
std::map<std::string, Tensor> read_npz(const std::string& path);

// An archive of these arrays, stored. Errors: those of serialize_npy; RESOURCE_EXHAUSTED
// beyond 4 GiB.
std::string serialize_npz(const std::map<std::string, Tensor>& arrays);

}  // namespace hub
