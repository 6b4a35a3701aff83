#include "format/table.h"

#include <gmock/gmock.h>
#include <snappy.h>

#include "format/coding.h"
#include "format/crc32c.h"
#include "format/testing.h"

namespace hub::testing {
namespace {

using ::testing::HasSubstr;

using Entries = std::vector<std::pair<std::string, std::string>>;

Entries read_all(std::string_view bytes) {
  Entries entries;
  read_table(bytes, "test.index", [&](std::string_view key, std::string_view value) {
    entries.emplace_back(key, value);
  });
  return entries;
}

std::string write_all(const Entries& entries, TableWriter::Options options = {}) {
  TableWriter writer(options);
  for (const auto& [key, value] : entries) writer.add(key, value);
  return writer.finish();
}

Entries numbered(int count, std::size_t value_bytes) {
  Entries entries;
  for (int i = 0; i < count; ++i) {
    std::string number = std::to_string(i);
    number.insert(0, 6 - number.size(), '0');
    entries.emplace_back("scope/layer/" + number,
                         std::string(value_bytes, static_cast<char>('a' + i % 26)));
  }
  return entries;
}

std::string with_trailer(std::string contents, char type) {
  contents += type;
  append_uint32(contents, mask_crc(crc32c(contents)));
  return contents;
}

std::string handle(std::uint64_t offset, std::uint64_t size) {
  std::string bytes;
  append_varint(bytes, offset);
  append_varint(bytes, size);
  return bytes;
}

// One entry with an empty shared prefix, or none, as a block.
std::string block_of(const Entries& entries) {
  std::string bytes;
  for (const auto& [key, value] : entries) {
    append_varint(bytes, 0);
    append_varint(bytes, key.size());
    append_varint(bytes, value.size());
    bytes += key + value;
  }
  append_uint32(bytes, 0);
  append_uint32(bytes, 1);
  return bytes;
}

// A table of these data blocks, each given with its type.
std::string table_of(const std::vector<std::pair<std::string, char>>& blocks) {
  std::string bytes;
  Entries index;
  for (const auto& [contents, type] : blocks) {
    index.emplace_back("k" + std::to_string(index.size()), handle(bytes.size(), contents.size()));
    bytes += with_trailer(contents, type);
  }
  const std::string metaindex = block_of({}), index_block = block_of(index);
  std::string footer = handle(bytes.size(), metaindex.size());
  bytes += with_trailer(metaindex, 0);
  footer += handle(bytes.size(), index_block.size());
  bytes += with_trailer(index_block, 0);
  footer.resize(40);
  append_uint32(footer, 0x8b80fb57);
  append_uint32(footer, 0xdb477524);
  return bytes + footer;
}

TEST(Crc32cTest, KnownAnswers) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(4, '\0')), 0x48674bc7u);
  EXPECT_EQ(crc32c(from_hex("0000003f")), 0x26973e52u);
  EXPECT_EQ(mask_crc(0x26973e52u), 0x1f273806u);
  EXPECT_EQ(unmask_crc(0x1f273806u), 0x26973e52u);
  EXPECT_EQ(extend_crc32c(crc32c("1234"), "56789"), crc32c("123456789"));
}

TEST(TableTest, AnEmptyTableHasNoEntries) {
  const std::string bytes = write_all({});
  EXPECT_EQ(bytes.size(), 2 * (8 + 5) + kTableFooterBytes);
  EXPECT_EQ(bytes.substr(bytes.size() - 8), from_hex("57fb808b247547db"));
  EXPECT_TRUE(read_all(bytes).empty());
}

TEST(TableTest, WhatWasWrittenIsRead) {
  for (const int count : {1, 2, 15, 16, 17, 33, 1000}) {
    for (const std::size_t block_bytes :
         {std::size_t{64}, std::size_t{4096}, std::size_t{262144}}) {
      const Entries entries = numbered(count, 10);
      EXPECT_EQ(read_all(write_all(entries, {block_bytes, 16})), entries);
      EXPECT_EQ(read_all(write_all(entries, {block_bytes, 1})), entries);
    }
  }
}

TEST(TableTest, AnOversizedEntryGetsItsOwnBlock) {
  const Entries entries = {{"a", "1"}, {"b", std::string(3000, 'x')}, {"c", "2"}};
  EXPECT_EQ(read_all(write_all(entries, {1024, 16})), entries);
}

TEST(TableTest, SnappyBlocksAreRead) {
  const Entries entries = {{"a", std::string(1000, 'x')}, {"b", "short"}};
  std::string packed;
  const std::string block = block_of(entries);
  snappy::Compress(block.data(), block.size(), &packed);
  ASSERT_LT(packed.size(), block.size());
  EXPECT_EQ(read_all(table_of({{packed, 1}})), entries);
}

TEST(TableTest, SnappyBlocksThatClaimTooMuchAreRefused) {
  std::string packed;
  append_varint(packed, 0xffffffff);  // the unpacked size
  const Error error = error_of([&] { read_all(table_of({{packed, 1}})); });
  EXPECT_EQ(error.code(), ErrorCode::kDataLoss);
  EXPECT_THAT(error.what(), HasSubstr("Snappy"));
}

TEST(TableTest, DamageIsAnErrorThatSaysWhere) {
  const std::string bytes = write_all({{"a", "1"}, {"b", "2"}});
  const auto message = [&](std::string damaged) {
    const Error error = error_of([&] { read_all(damaged); });
    EXPECT_EQ(error.code(), ErrorCode::kDataLoss);
    EXPECT_THAT(error.what(), HasSubstr("in test.index"));
    return std::string(error.what());
  };
  EXPECT_THAT(message(""), HasSubstr("footer"));
  EXPECT_THAT(message(bytes.substr(1)), HasSubstr("inside the table"));
  std::string no_magic = bytes;
  no_magic.back() = 0;
  EXPECT_THAT(message(no_magic), HasSubstr("magic"));
  std::string bad_byte = bytes;
  bad_byte[3] ^= 1;
  EXPECT_THAT(message(bad_byte), HasSubstr("at offset 0"));
  EXPECT_THAT(message(table_of({{block_of({{"a", "1"}}), 7}})), HasSubstr("type"));
  EXPECT_THAT(message(table_of({{block_of({{"b", "1"}, {"a", "2"}}), 0}})),
              HasSubstr("increasing"));
  EXPECT_THAT(message(table_of({{block_of({{"a", "1"}}), 0}, {block_of({{"a", "1"}}), 0}})),
              HasSubstr("increasing"));
  EXPECT_THAT(message(table_of({{"", 0}})), HasSubstr("restart"));
  EXPECT_THAT(message(table_of({{from_hex("ff ff ff ff"), 0}})), HasSubstr("restart"));
  EXPECT_THAT(message(table_of({{from_hex("05 01 01 61 62 00000000 01000000"), 0}})),
              HasSubstr("malformed"));
}

TEST(TableTest, EveryCorruptionIsAnErrorOrChangesNothing) {
  const Entries entries = {{"", "head"}, {"abc", "1"}, {"abd", "22"}, {"b", "3"}};
  const std::string bytes = write_all(entries);
  for_each_corruption(bytes, [&](const std::string& damaged) {
    Entries read;
    const bool good = survives([&] { read = read_all(damaged); });
    EXPECT_TRUE(!good || read == entries);
  });
}

}  // namespace
}  // namespace hub::testing
