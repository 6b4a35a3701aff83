#pragma once

// Double-array tries as darts-clone writes them, in the models of tokenizers.

#include <cstdint>
#include <cstring>
#include <string_view>

namespace hub {

// A view of bytes from outside. A unit of it names the next one by an offset; what lies
// outside of the array is no unit, so that no walk leaves it.
class DoubleArray {
 public:
  DoubleArray() = default;
  explicit DoubleArray(std::string_view bytes) : bytes_(bytes) {}

  std::uint32_t size() const { return static_cast<std::uint32_t>(bytes_.size() / 4); }
  bool empty() const { return size() == 0; }

  // A place in the trie.
  struct Cursor {
    std::uint32_t unit = 0;
    bool has_value = false;
  };
  Cursor root() const { return at(0); }
  // A unit that lies in the array.
  Cursor at(std::uint32_t index) const { return {index, has_leaf(unit(index))}; }

  // Goes on with one byte; false where no key does.
  bool advance(Cursor& cursor, unsigned char byte) const {
    const std::uint32_t next = cursor.unit ^ offset(unit(cursor.unit)) ^ byte;
    if (next >= size() || label(unit(next)) != byte) return false;
    cursor.unit = next;
    cursor.has_value = has_leaf(unit(next));
    return true;
  }

  // The value of the key that ends here (has_value), or -1 where the array is broken.
  std::int64_t value(const Cursor& cursor) const {
    const std::uint32_t leaf = cursor.unit ^ offset(unit(cursor.unit));
    return leaf < size() ? static_cast<std::int64_t>(unit(leaf) & 0x7fffffff) : -1;
  }

  // Calls found(length, value) for every key that begins `text`, shortest first.
  template <class Found>
  void find_prefixes(std::string_view text, Found&& found) const {
    if (empty()) return;
    Cursor cursor = root();
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (!advance(cursor, static_cast<unsigned char>(text[i]))) return;
      if (cursor.has_value) found(i + 1, value(cursor));
    }
  }

 private:
  static bool has_leaf(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
  static std::uint32_t label(std::uint32_t unit) { return unit & (1u << 31 | 0xff); }
  static std::uint32_t offset(std::uint32_t unit) { return unit >> 10 << ((unit & 1u << 9) >> 6); }

  // The caller has checked the index, but for the root of an empty array.
  std::uint32_t unit(std::uint32_t index) const {
    std::uint32_t value = 0;
    if (index < size()) std::memcpy(&value, bytes_.data() + std::size_t{index} * 4, 4);
    return value;
  }

  std::string_view bytes_;
};

}  // namespace hub
