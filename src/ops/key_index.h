#pragma once

// From keys (strings or integers) to the numbers of rows: a hash map with open addressing.
// Many readers or one writer.

#include <farmhash.h>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/errors.h"

namespace hub {

// Where the bytes of string keys lie: one after the other, each behind its length.
class KeyBytes {
 public:
  std::uint64_t add(std::string_view key) {
    if (key.size() > UINT32_MAX) {
      throw resource_exhausted("A table's key is too long. Details: ", key.size(), " bytes.");
    }
    const std::uint64_t begin = bytes_.size();
    const auto size = static_cast<std::uint32_t>(key.size());
    bytes_.append(reinterpret_cast<const char*>(&size), sizeof size);
    bytes_.append(key);
    return begin;
  }
  std::string_view get(std::uint64_t begin) const {
    std::uint32_t size;
    std::memcpy(&size, bytes_.data() + begin, sizeof size);
    return {bytes_.data() + begin + sizeof size, size};
  }
  void prefetch(std::uint64_t begin) const { __builtin_prefetch(bytes_.data() + begin); }
  std::size_t size_bytes() const { return bytes_.size(); }
  void clear() { bytes_.clear(); }

 private:
  std::string bytes_;
};

// `Key` is std::string, std::int32_t or std::int64_t.
template <class Key>
class KeyIndex {
 public:
  static constexpr bool kIsString = std::is_same_v<Key, std::string>;
  // What a key is passed and given back as.
  using View = std::conditional_t<kIsString, std::string_view, Key>;

  std::int64_t size() const { return size_; }

  // The key's row, or -1.
  std::int64_t find(View key) const {
    const Slot* slot = find_slot(hash(key), key);
    return slot == nullptr ? -1 : static_cast<std::int64_t>(slot->row);
  }

  // The rows of many keys (of type Key or View): memory is asked for ahead.
  template <class K>
  void find_many(const K* keys, std::int64_t count, std::int64_t* rows) const {
    constexpr std::int64_t kGroup = 16;
    std::uint64_t hashes[kGroup];
    for (std::int64_t begin = 0; begin < count; begin += kGroup) {
      const std::int64_t group = std::min(kGroup, count - begin);
      for (std::int64_t i = 0; i < group; ++i) {
        hashes[i] = hash(keys[begin + i]);
        if (!slots_.empty()) __builtin_prefetch(&slots_[hashes[i] & mask()]);
      }
      if constexpr (kIsString) {
        for (std::int64_t i = 0; i < group && !slots_.empty(); ++i) {
          const Slot& slot = slots_[hashes[i] & mask()];
          if (slot.tag == tag_of(hashes[i])) key_bytes_.prefetch(slot.key);
        }
      }
      for (std::int64_t i = 0; i < group; ++i) {
        const Slot* slot = find_slot(hashes[i], keys[begin + i]);
        rows[begin + i] = slot == nullptr ? -1 : static_cast<std::int64_t>(slot->row);
      }
    }
  }

  // The key's row, which is `row` where the key is new. Errors: RESOURCE_EXHAUSTED.
  std::int64_t insert(View key, std::int64_t row) {
    if ((size_ + 1) * 3 > static_cast<std::int64_t>(slots_.size()) * 2) rehash();
    const std::uint64_t hashed = hash(key);
    if (Slot* slot = find_slot(hashed, key)) return slot->row;
    if (row < 0 || row >= kFree) {
      throw resource_exhausted("A table has too many keys. Details: ", row, ".");
    }
    std::uint64_t stored;
    if constexpr (kIsString) {
      stored = key_bytes_.add(key);
    } else {
      stored = static_cast<std::uint64_t>(key);
    }
    place({tag_of(hashed), static_cast<std::uint32_t>(row), stored});
    ++size_;
    return row;
  }

  // The row that the key had, or -1.
  std::int64_t erase(View key) {
    Slot* slot = find_slot(hash(key), key);
    if (slot == nullptr) return -1;
    const std::int64_t row = slot->row;
    if constexpr (kIsString) lost_bytes_ += key.size() + sizeof(std::uint32_t);
    close_gap(static_cast<std::size_t>(slot - slots_.data()));
    --size_;
    if constexpr (kIsString) {
      if (lost_bytes_ > 4096 && lost_bytes_ * 2 > key_bytes_.size_bytes()) compact();
    }
    return row;
  }

  void clear() { *this = KeyIndex(); }

  // Makes room for `count` keys.
  void reserve(std::int64_t count) {
    while (count * 3 > static_cast<std::int64_t>(slots_.size()) * 2) rehash();
  }

  // Calls visit(key, row) for every key, in no particular order.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const Slot& slot : slots_) {
      if (slot.row != kFree) visit(key_of(slot), static_cast<std::int64_t>(slot.row));
    }
  }

  std::size_t size_bytes() const { return slots_.size() * sizeof(Slot) + key_bytes_.size_bytes(); }

 private:
  static constexpr std::uint32_t kFree = UINT32_MAX;
  struct Slot {
    std::uint32_t tag = 0;  // the low half of the hash: tells most keys apart, and finds the place
    std::uint32_t row = kFree;
    std::uint64_t key = 0;  // the integer, or where the bytes begin
  };

  static std::uint64_t hash(View key) {
    if constexpr (kIsString) {
      return util::Fingerprint64(key.data(), key.size());
    } else {
      std::uint64_t mixed = static_cast<std::uint64_t>(key) * 0x9E3779B97F4A7C15U;
      mixed = (mixed ^ (mixed >> 32)) * 0xD6E8FEB86659FD93U;
      return mixed ^ (mixed >> 32);
    }
  }
  static std::uint32_t tag_of(std::uint64_t hashed) { return static_cast<std::uint32_t>(hashed); }

  std::size_t mask() const { return slots_.size() - 1; }

  View key_of(const Slot& slot) const {
    if constexpr (kIsString) {
      return key_bytes_.get(slot.key);
    } else {
      return static_cast<Key>(slot.key);
    }
  }

  const Slot* find_slot(std::uint64_t hashed, View key) const {
    if (slots_.empty()) return nullptr;
    for (std::size_t i = tag_of(hashed) & mask();; i = (i + 1) & mask()) {
      const Slot& slot = slots_[i];
      if (slot.row == kFree) return nullptr;
      if (slot.tag == tag_of(hashed) && key_of(slot) == key) return &slot;
    }
  }
  Slot* find_slot(std::uint64_t hashed, View key) {
    return const_cast<Slot*>(std::as_const(*this).find_slot(hashed, key));
  }

  void place(const Slot& slot) {
    std::size_t i = slot.tag & mask();
    while (slots_[i].row != kFree) i = (i + 1) & mask();
    slots_[i] = slot;
  }

  void rehash() {
    std::vector<Slot> old(std::max<std::size_t>(16, slots_.size() * 2));
    std::swap(old, slots_);
    for (const Slot& slot : old) {
      if (slot.row != kFree) place(slot);
    }
  }

  // Moves the slots behind a removed one up, so that no search stops too early.
  void close_gap(std::size_t gap) {
    for (std::size_t i = (gap + 1) & mask(); slots_[i].row != kFree; i = (i + 1) & mask()) {
      const std::size_t home = slots_[i].tag & mask();
      const bool may_move = ((i - home) & mask()) >= ((i - gap) & mask());
      if (!may_move) continue;
      slots_[gap] = slots_[i];
      gap = i;
    }
    slots_[gap] = Slot();
  }

  // Drops the bytes of removed keys.
  void compact() {
    KeyBytes kept;
    for (Slot& slot : slots_) {
      if (slot.row != kFree) slot.key = kept.add(key_bytes_.get(slot.key));
    }
    std::swap(key_bytes_, kept);
    lost_bytes_ = 0;
  }

  std::vector<Slot> slots_;  // a power of two of them, or none
  std::int64_t size_ = 0;
  KeyBytes key_bytes_;
  std::size_t lost_bytes_ = 0;
};

}  // namespace hub
