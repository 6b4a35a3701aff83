#pragma once

// FlatBuffers tables, read where they lie. Every offset is checked; what lies outside of the
// bytes is an error.

#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/errors.h"

namespace hub {

// A vector of a table's: `count` elements of `size` bytes.
struct FlatVector {
  std::string_view bytes;
  std::uint32_t count = 0;
  std::size_t begin = 0;  // of its first element, in the whole

  template <class T>
  T at(std::uint32_t index) const {
    T value;
    std::memcpy(&value, bytes.data() + begin + std::size_t{index} * sizeof(T), sizeof(T));
    return value;
  }
};

// Errors: INVALID_ARGUMENT, naming `what`, where the bytes are broken.
class FlatTable {
 public:
  FlatTable(std::string_view bytes, std::string_view what) : bytes_(bytes), what_(what) {
    table_ = read<std::uint32_t>(0);
    const auto back = static_cast<std::int64_t>(read<std::int32_t>(table_));
    const std::int64_t fields = static_cast<std::int64_t>(table_) - back;
    if (fields < 0) throw broken();
    fields_ = static_cast<std::size_t>(fields);
    fields_size_ = read<std::uint16_t>(fields_);
  }

  // The field's value, or `fallback` where the table lacks it.
  template <class T>
  T scalar(int field, T fallback) const {
    const std::size_t place = field_place(field);
    return place == 0 ? fallback : read<T>(place);
  }

  // Elements of `element_size` bytes; none where the table lacks the field.
  FlatVector vector(int field, std::size_t element_size) const {
    const std::size_t place = field_place(field);
    return place == 0 ? FlatVector{} : vector_at(place, element_size);
  }

  std::string_view text(int field) const { return text_of(vector(field, 1)); }

  // An element of a vector of strings. The index lies in it.
  std::string_view text_in(const FlatVector& texts, std::uint32_t index) const {
    return text_of(vector_at(texts.begin + std::size_t{index} * 4, 1));
  }

 private:
  template <class T>
  T read(std::size_t place) const {
    if (place > bytes_.size() || bytes_.size() - place < sizeof(T)) throw broken();
    T value;
    std::memcpy(&value, bytes_.data() + place, sizeof(T));
    return value;
  }

  // Where the field's value is; 0 where the table lacks it.
  std::size_t field_place(int field) const {
    const auto entry = static_cast<std::size_t>(4 + 2 * field);
    if (entry + 2 > fields_size_) return 0;
    const auto offset = read<std::uint16_t>(fields_ + entry);
    return offset == 0 ? 0 : table_ + offset;
  }

  // The vector to which the offset at `place` leads.
  FlatVector vector_at(std::size_t place, std::size_t element_size) const {
    const std::size_t begin = place + read<std::uint32_t>(place);
    const auto count = read<std::uint32_t>(begin);
    if (std::size_t{count} > (bytes_.size() - begin - 4) / element_size) throw broken();
    return {bytes_, count, begin + 4};
  }

  static std::string_view text_of(const FlatVector& vector) {
    return vector.bytes.substr(vector.begin, vector.count);
  }

  Error broken() const {
    return invalid_argument(what_, " must be whole. Details: an offset in its ", bytes_.size(),
                            " bytes leads outside.");
  }

  std::string_view bytes_;
  std::string_view what_;
  std::size_t table_ = 0;
  std::size_t fields_ = 0;
  std::size_t fields_size_ = 0;
};

}  // namespace hub
