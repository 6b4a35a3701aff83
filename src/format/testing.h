#pragma once

// Helpers for the tests of this layer.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/errors.h"
#include "base/file.h"
#include "format/graph_def.h"
#include "format/tensor_bundle.h"

namespace hub::testing {

// The error that `body` throws; a failure of the test where it throws none.
inline Error error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "expected an error";
  return Error(ErrorCode::kUnknown, "no error");
}

// "00 ff" -> two bytes.
inline std::string from_hex(std::string_view hex) {
  std::string bytes, digits;
  for (const char c : hex) {
    if (c == ' ' || c == '\n') continue;
    digits += c;
    if (digits.size() < 2) continue;
    bytes += static_cast<char>(std::strtol(digits.c_str(), nullptr, 16));
    digits.clear();
  }
  return bytes;
}

// The contract for bytes from outside: an Error is fine, anything else that is thrown fails
// the test. False where there was an Error.
inline bool survives(const std::function<void()>& body) {
  try {
    body();
    return true;
  } catch (const Error& error) {
    EXPECT_FALSE(error.message().empty());
    EXPECT_NE(error.code(), ErrorCode::kInternal) << error.what();
    return false;
  }
}

// Calls `body` with every prefix of `bytes` and with every byte changed in several ways.
inline void for_each_corruption(const std::string& bytes,
                                const std::function<void(const std::string&)>& body) {
  for (std::size_t size = 0; size < bytes.size(); ++size) body(bytes.substr(0, size));
  std::string damaged = bytes;
  for (char& byte : damaged) {
    const char original = byte;
    for (const int mask : {0x01, 0x80, 0xff}) {
      byte = static_cast<char>(original ^ mask);
      body(damaged);
    }
    byte = original;
  }
}

// For tests that write many files: in memory, where the system has it.
inline std::string memory_folder() { return is_directory("/dev/shm") ? "/dev/shm" : ""; }

inline void write_raw(const std::string& path, std::string_view bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  const auto file = file_system().create(path);
  file->append(bytes);
  file->close();
}

inline bool same(const Tensor& a, const Tensor& b) { return AttrValue(a) == AttrValue(b); }

// The prefixes of all bundles below the tests' data and, where it is there, the shared data.
inline std::vector<std::string> all_bundles() {
  std::vector<std::string> prefixes;
  for (const std::string directory : {TF1HUB_TEST_DATA_DIR "/zoo", TF1HUB_SHARED_DIR "/real"}) {
    if (!is_directory(directory)) continue;
    for (const std::string& file : list_files_recursively(directory)) {
      if (!file.ends_with(".index")) continue;
      prefixes.push_back(directory + "/" + file.substr(0, file.size() - 6));
    }
  }
  return prefixes;
}

// Whether the first data file is there; some folders hold an index alone.
inline bool has_data(const BundleReader& reader) {
  return path_exists(bundle_data_path(reader.prefix(), 0, reader.num_shards()));
}

// Writes all that is in a bundle again, in the order of its data.
inline void rewrite_bundle(const BundleReader& reader, const std::string& prefix) {
  struct Piece {
    std::pair<int, std::int64_t> position;
    std::string key;
    std::optional<TensorSlice> slice;
  };
  std::vector<Piece> pieces;
  for (const std::string_view view : reader.keys()) {
    const std::string key(view);
    const BundleEntry& entry = reader.entry(key);
    if (entry.slices.empty()) pieces.push_back({{entry.shard, entry.offset}, key, {}});
    for (const TensorSlice& slice : entry.slices) {
      const BundleEntry& part = reader.entry(slice_key(key, slice));
      pieces.push_back({{part.shard, part.offset}, key, slice});
    }
  }
  std::ranges::stable_sort(pieces, {}, &Piece::position);
  BundleWriter writer(prefix);
  for (const Piece& piece : pieces) {
    if (piece.slice) {
      writer.add_slice(piece.key, reader.entry(piece.key).shape, *piece.slice,
                       reader.read_slice(piece.key, *piece.slice));
    } else {
      writer.add(piece.key, reader.read(piece.key));
    }
  }
  writer.finish();
}

}  // namespace hub::testing
