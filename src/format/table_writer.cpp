#include <algorithm>

#include "base/errors.h"
#include "format/coding.h"
#include "format/crc32c.h"
#include "format/table.h"

namespace hub {

namespace {

constexpr std::size_t kOversizedRatio = 2;  // such an entry gets a block of its own

unsigned char byte_at(std::string_view text, std::size_t index) {
  return static_cast<unsigned char>(text[index]);
}

// The shortest key that is >= `start` and < `limit`, where one is shorter than `start`.
std::string shortest_separator(std::string_view start, std::string_view limit) {
  const std::size_t common_limit = std::min(start.size(), limit.size());
  std::size_t common = 0;
  while (common < common_limit && start[common] == limit[common]) ++common;
  if (common < common_limit && byte_at(start, common) + 1 < byte_at(limit, common)) {
    std::string separator(start.substr(0, common + 1));
    ++separator.back();
    return separator;
  }
  return std::string(start);
}

// A short key that is >= `key`.
std::string short_successor(std::string_view key) {
  for (std::size_t i = 0; i < key.size(); ++i) {
    if (byte_at(key, i) == 0xff) continue;
    std::string successor(key.substr(0, i + 1));
    ++successor.back();
    return successor;
  }
  return std::string(key);
}

}  // namespace

void TableWriter::Block::add(std::string_view key, std::string_view value) {
  std::size_t shared = 0;
  if (since_restart_ < restart_interval_) {
    const std::size_t limit = std::min(key.size(), last_key_.size());
    while (shared < limit && key[shared] == last_key_[shared]) ++shared;
  } else {
    restarts_.push_back(static_cast<std::uint32_t>(bytes_.size()));
    since_restart_ = 0;
  }
  append_varint(bytes_, shared);
  append_varint(bytes_, key.size() - shared);
  append_varint(bytes_, value.size());
  bytes_ += key.substr(shared);
  bytes_ += value;
  last_key_ = key;
  ++since_restart_;
}

std::string TableWriter::Block::finish() {
  for (const std::uint32_t restart : restarts_) append_uint32(bytes_, restart);
  append_uint32(bytes_, static_cast<std::uint32_t>(restarts_.size()));
  std::string contents = std::move(bytes_);
  bytes_.clear();
  last_key_.clear();
  restarts_ = {0};
  since_restart_ = 0;
  return contents;
}

TableWriter::TableWriter(Options options)
    : options_(options), data_(options.restart_interval), index_(1) {}

void TableWriter::add(std::string_view key, std::string_view value) {
  HUB_ASSERT(!has_entries_ || key > last_key_);
  if (key.size() + value.size() >= kOversizedRatio * options_.block_bytes) flush();
  if (!pending_handle_.empty()) add_index_entry(shortest_separator(last_key_, key));
  has_entries_ = true;
  last_key_ = key;
  data_.add(key, value);
  if (data_.size() >= options_.block_bytes) flush();
}

void TableWriter::flush() {
  if (data_.empty()) return;
  pending_handle_ = write_block(data_.finish());
}

void TableWriter::add_index_entry(std::string_view separator) {
  index_.add(separator, pending_handle_);
  pending_handle_.clear();
}

std::string TableWriter::write_block(std::string_view contents) {
  std::string handle;
  append_varint(handle, bytes_.size());
  append_varint(handle, contents.size());
  const std::size_t start = bytes_.size();
  bytes_ += contents;
  bytes_ += '\0';  // raw
  append_uint32(bytes_, mask_crc(crc32c(std::string_view(bytes_).substr(start))));
  return handle;
}

std::string TableWriter::finish() {
  flush();
  const std::string metaindex = write_block(Block(options_.restart_interval).finish());
  if (!pending_handle_.empty()) add_index_entry(short_successor(last_key_));
  const std::string index = write_block(index_.finish());
  std::string footer = metaindex + index;
  footer.resize(kTableFooterBytes - 8);
  append_uint32(footer, static_cast<std::uint32_t>(kTableMagic));
  append_uint32(footer, static_cast<std::uint32_t>(kTableMagic >> 32));
  bytes_ += footer;
  return std::move(bytes_);
}

}  // namespace hub
