#include <snappy.h>

#include "base/errors.h"
#include "format/coding.h"
#include "format/crc32c.h"
#include "format/table.h"

namespace hub {

namespace {

constexpr std::size_t kTrailerBytes = 5;  // type and checksum
constexpr char kRawBlock = 0;
constexpr char kSnappyBlock = 1;

struct BlockHandle {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

class TableReader {
 public:
  using Visit = std::function<void(std::string_view, std::string_view)>;

  TableReader(std::string_view bytes, std::string_view place) : bytes_(bytes), place_(place) {}

  std::optional<std::string> find(std::string_view wanted) {
    const BlockHandle index = read_footer();
    std::string index_storage, data_storage;
    // A block's key in the index is not before the block's last one.
    std::optional<BlockHandle> block;
    visit_block(read_block(index, index_storage), index.offset,
                [&](std::string_view key, std::string_view value) {
                  if (block || key < wanted) return;
                  Cursor cursor(value);
                  block = read_handle(cursor);
                  if (!cursor.ok()) fail("An index entry must be a block handle.", index.offset);
                });
    std::optional<std::string> found;
    if (!block) return found;
    visit_block(read_block(*block, data_storage), block->offset,
                [&](std::string_view key, std::string_view value) {
                  if (!found && key == wanted) found = value;
                });
    return found;
  }

  void read(const Visit& visit) {
    const BlockHandle index = read_footer();
    std::string last_key;
    bool first = true;
    std::string index_storage, data_storage;
    visit_block(read_block(index, index_storage), index.offset,
                [&](std::string_view, std::string_view value) {
                  Cursor cursor(value);
                  const BlockHandle handle = read_handle(cursor);
                  if (!cursor.ok()) fail("An index entry must be a block handle.", index.offset);
                  visit_block(read_block(handle, data_storage), handle.offset,
                              [&](std::string_view key, std::string_view record) {
                                if (!first && key <= last_key) {
                                  fail("Keys must be strictly increasing.", handle.offset);
                                }
                                first = false;
                                last_key = key;
                                visit(key, record);
                              });
                });
  }

 private:
  [[noreturn]] void fail(std::string_view rule, std::uint64_t offset) const {
    throw data_loss(rule, " Details: at offset ", offset, " of ", bytes_.size(), " bytes.")
        .add_context(cat("in ", place_));
  }

  static BlockHandle read_handle(Cursor& cursor) {
    BlockHandle handle;
    handle.offset = cursor.varint64();
    handle.size = cursor.varint64();
    return handle;
  }

  BlockHandle read_footer() const {
    if (bytes_.size() < kTableFooterBytes) fail("A table must have a footer of 48 bytes.", 0);
    const std::size_t offset = bytes_.size() - kTableFooterBytes;
    const std::string_view footer = bytes_.substr(offset);
    Cursor cursor(footer.substr(0, kTableFooterBytes - 8));
    read_handle(cursor);  // the metaindex, which is empty
    const BlockHandle index = read_handle(cursor);
    const std::uint64_t magic =
        read_uint32(footer.data() + 40) | std::uint64_t{read_uint32(footer.data() + 44)} << 32;
    if (magic != kTableMagic) fail("A table must end with its magic number.", bytes_.size() - 8);
    if (!cursor.ok()) fail("A table's footer must hold two block handles.", offset);
    return index;
  }

  // The contents of a block, in the file or, unpacked, in `storage`.
  std::string_view read_block(const BlockHandle& handle, std::string& storage) {
    const std::uint64_t available = bytes_.size() - kTableFooterBytes;
    if (handle.offset > available || handle.size > available - handle.offset ||
        available - handle.offset - handle.size < kTrailerBytes) {
      fail("A block must lie inside the table.", handle.offset);
    }
    blocks_bytes_ += handle.size + kTrailerBytes;
    if (blocks_bytes_ > available) fail("Blocks must not overlap.", handle.offset);
    const std::string_view checked = bytes_.substr(handle.offset, handle.size + 1);
    const std::uint32_t stored = read_uint32(checked.data() + checked.size());
    if (mask_crc(crc32c(checked)) != stored) {
      fail("A block's checksum must match its bytes.", handle.offset);
    }
    const std::string_view contents = checked.substr(0, handle.size);
    const char type = checked.back();
    if (type == kRawBlock) return contents;
    if (type != kSnappyBlock) fail("A block's type must be raw or Snappy.", handle.offset);
    unpack(contents, handle.offset, storage);
    return storage;
  }

  void unpack(std::string_view packed, std::uint64_t offset, std::string& storage) const {
    // Snappy's longest copy makes 64 bytes of 3.
    constexpr std::size_t kMaxRatio = 32;
    std::size_t size = 0;
    if (!snappy::GetUncompressedLength(packed.data(), packed.size(), &size) ||
        size / kMaxRatio > packed.size() ||
        !snappy::Uncompress(packed.data(), packed.size(), &storage)) {
      fail("A Snappy block must be valid.", offset);
    }
  }

  // Walks the entries before the restart array, which readers of a whole block do not need.
  template <class Body>
  void visit_block(std::string_view contents, std::uint64_t offset, Body body) const {
    if (contents.size() < 4) fail("A block must have a restart array.", offset);
    const std::uint64_t restarts = read_uint32(contents.data() + contents.size() - 4);
    if (restarts == 0 || restarts > (contents.size() - 4) / 4) {
      fail("A block's restart array must fit into it.", offset);
    }
    Cursor cursor(contents.substr(0, contents.size() - 4 - 4 * restarts));
    std::string key;
    while (!cursor.at_end()) {
      const std::uint32_t shared = cursor.varint32();
      const std::uint32_t unshared = cursor.varint32();
      const std::uint32_t value_size = cursor.varint32();
      const std::string_view suffix = cursor.bytes(unshared);
      const std::string_view value = cursor.bytes(value_size);
      if (!cursor.ok() || shared > key.size()) fail("A block's entry is malformed.", offset);
      key.resize(shared);
      key += suffix;
      body(std::string_view(key), value);
    }
  }

  std::string_view bytes_;
  std::string_view place_;
  std::uint64_t blocks_bytes_ = 0;  // of the blocks read so far: bounds the work
};

}  // namespace

void read_table(std::string_view bytes, std::string_view place,
                const std::function<void(std::string_view, std::string_view)>& visit) {
  TableReader(bytes, place).read(visit);
}

bool is_table(std::string_view bytes) {
  std::string magic;
  append_uint32(magic, static_cast<std::uint32_t>(kTableMagic));
  append_uint32(magic, static_cast<std::uint32_t>(kTableMagic >> 32));
  return bytes.size() >= kTableFooterBytes && bytes.ends_with(magic);
}

std::optional<std::string> find_in_table(std::string_view bytes, std::string_view place,
                                         std::string_view key) {
  return TableReader(bytes, place).find(key);
}

}  // namespace hub
