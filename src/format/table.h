#pragma once

// Sorted tables of keys and values, as LevelDB writes them without filters: the index file
// of a tensor bundle. docs/formats/table.md describes the bytes.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hub {

inline constexpr std::size_t kTableFooterBytes = 48;
inline constexpr std::uint64_t kTableMagic = 0xdb4775248b80fb57;

// Whether the bytes end as a table does.
bool is_table(std::string_view bytes);

// Calls `visit` for each entry of the table in order; key and value live for the call.
// `place` names the source in errors. Blocks may be raw or compressed with Snappy.
// Errors: DATA_LOSS for a bad magic, a bad checksum, a block that is cut, malformed or of an
// unknown type, and for keys that are not strictly increasing.
void read_table(std::string_view bytes, std::string_view place,
                const std::function<void(std::string_view key, std::string_view value)>& visit);

// The value of one key; nothing where the table has no such key. Only the index and one block
// are read, and checked. Errors: as read_table.
std::optional<std::string> find_in_table(std::string_view bytes, std::string_view place,
                                         std::string_view key);

// Builds the bytes of a table: blocks without compression, as TensorFlow writes them.
class TableWriter {
 public:
  struct Options {
    std::size_t block_bytes = 262144;
    int restart_interval = 16;
  };

  TableWriter() : TableWriter(Options{}) {}
  explicit TableWriter(Options options);
  // Keys must come in strictly increasing order (by their bytes).
  void add(std::string_view key, std::string_view value);
  // The whole table. Nothing can be added after it.
  std::string finish();

 private:
  // Entries with shared prefixes, then the restart array.
  class Block {
   public:
    explicit Block(int restart_interval) : restart_interval_(restart_interval) {}
    void add(std::string_view key, std::string_view value);
    bool empty() const { return bytes_.empty(); }
    std::size_t size() const { return bytes_.size() + 4 * restarts_.size() + 4; }
    // The contents; the block is empty afterwards.
    std::string finish();

   private:
    int restart_interval_;
    int since_restart_ = 0;
    std::string bytes_;
    std::string last_key_;
    std::vector<std::uint32_t> restarts_ = {0};
  };

  void flush();
  // The handle of the pending block, under a key between it and the next one.
  void add_index_entry(std::string_view separator);
  // Appends a block and its trailer; the result is its handle.
  std::string write_block(std::string_view contents);

  Options options_;
  std::string bytes_;
  Block data_;
  Block index_;
  std::string last_key_;
  std::string pending_handle_;  // of a block whose index entry waits for the next key
  bool has_entries_ = false;
};

}  // namespace hub
