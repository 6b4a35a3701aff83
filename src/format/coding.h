#pragma once

// Integers as the table and bundle formats write them, and a cursor over untrusted bytes
// that remembers failure.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace hub {

inline std::uint32_t read_uint32(const char* bytes) {
  std::uint32_t value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

inline void append_uint32(std::string& out, std::uint32_t value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

inline void append_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

// After the first failure every read gives zero or nothing.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  bool at_end() const { return position_ == bytes_.size(); }
  std::size_t position() const { return position_; }

  std::uint64_t varint64() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (!ok_ || position_ == bytes_.size()) break;
      const auto byte = static_cast<unsigned char>(bytes_[position_++]);
      if (shift == 63 && byte > 1) break;  // more than 64 bits
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    ok_ = false;
    return 0;
  }

  std::uint32_t varint32() {
    const std::uint64_t value = varint64();
    if (value > 0xffffffff) ok_ = false;
    return ok_ ? static_cast<std::uint32_t>(value) : 0;
  }

  std::uint32_t uint32() {
    const std::string_view four = bytes(4);
    return ok_ ? read_uint32(four.data()) : 0;
  }

  std::string_view bytes(std::uint64_t count) {
    if (!ok_ || count > bytes_.size() - position_) {
      ok_ = false;
      return {};
    }
    const std::string_view piece = bytes_.substr(position_, count);
    position_ += count;
    return piece;
  }

 private:
  std::string_view bytes_;
  std::size_t position_ = 0;
  bool ok_ = true;
};

}  // namespace hub
