#include "format/tensor_bundle.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <complex>

#include "format/bundle_index.h"
#include "format/coding.h"
#include "format/crc32c.h"
#include "format/table.h"
#include "format/testing.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TensorBundleTest : public ::testing::Test {
 protected:
  std::string prefix(const std::string& name = "variables") const {
    return temp_.path() + "/" + name;
  }

  void write_halves() const {
    BundleWriter writer(prefix());
    writer.add("a", make_scalar(0.5f));
    writer.add("b", make_scalar(2.0f));
    writer.finish();
  }

  void write_data(std::string_view bytes) const {
    write_raw(bundle_data_path(prefix(), 0, 1), bytes);
  }
  void write_index(const BundleEntries& entries, int shards = 1) const {
    write_raw(bundle_index_path(prefix()), bundle_index(entries, shards));
  }

  TempDirectory temp_;
};

BundleEntry entry_of(DType dtype, Shape shape, std::int64_t offset, std::string_view bytes) {
  BundleEntry entry;
  entry.dtype = dtype;
  entry.shape = std::move(shape);
  entry.offset = offset;
  entry.size_bytes = static_cast<std::int64_t>(bytes.size());
  entry.masked_crc32c = mask_crc(crc32c(bytes));
  return entry;
}

TEST_F(TensorBundleTest, TwoScalarsGiveTheKnownBytes) {
  write_halves();
  EXPECT_EQ(read_file(bundle_data_path(prefix(), 0, 1)), from_hex("0000003f 00000040"));
  EXPECT_EQ(
      read_file(bundle_index_path(prefix())),
      from_hex(
          "00 00 06 08 01 1a 02 08 01 00 01 0b 61 08 01 12 00 28 04 35 06 38 27 1f 00 01 0d 62 "
          "08 01 12 00 20 04 28 04 35 10 fd 78 4f 00 00 00 00 01 00 00 00 00 6c 12 9e f3 00 00 "
          "00 00 01 00 00 00 00 c0 f2 a1 b0 00 01 02 63 00 31 00 00 00 00 01 00 00 00 00 54 f2 "
          "76 2d 36 08 43 0e") +
          std::string(36, '\0') + from_hex("57 fb 80 8b 24 75 47 db"));
}

TEST_F(TensorBundleTest, StringsGiveTheKnownBytes) {
  BundleWriter writer(prefix());
  writer.add("s", strings({"abc", "de"}));
  writer.finish();
  EXPECT_EQ(read_file(bundle_data_path(prefix(), 0, 1)),
            from_hex("03 02 ee ba 48 cf 61 62 63 64 65"));
  const BundleReader reader(prefix());
  EXPECT_EQ(reader.entry("s").masked_crc32c, 0xc28fad4eu);
  EXPECT_TRUE(same(reader.read("s"), strings({"abc", "de"})));
}

TEST_F(TensorBundleTest, EveryDTypeIsReadAsItWasWritten) {
  const std::vector<Tensor> tensors = {
      make_vector<float>({1.5f, -2}),
      make_vector<double>({1e300}),
      make_vector<std::int8_t>({-1, 2, 3}),
      make_vector<std::int16_t>({-300}),
      make_vector<std::int32_t>({1 << 30}),
      make_vector<std::int64_t>({std::int64_t{1} << 60}),
      make_vector<std::uint8_t>({255}),
      make_vector<std::uint16_t>({65535}),
      make_vector<std::uint32_t>({4000000000u}),
      make_vector<std::uint64_t>({~std::uint64_t{0}}),
      make_vector<bool>({true, false, true}),
      make_vector<Half>({Half(0.5f)}),
      make_vector<BFloat16>({BFloat16(0.5f)}),
      make_vector<std::complex<float>>({{1, 2}}),
      make_vector<std::complex<double>>({{3, -4}}),
      make_vector<std::int8_t>({-5}).bit_cast(DType::kQint8),
      make_vector<std::int32_t>({-5}).bit_cast(DType::kQint32),
      strings({"", "x", std::string(1000, 'y')}),
      Tensor(DType::kFloat32, Shape{0, 3}),
      Tensor(DType::kString, Shape{0}),
      make_scalar<std::string>("text"),
  };
  BundleWriter writer(prefix());
  for (std::size_t i = 0; i < tensors.size(); ++i) writer.add(cat("t", i), tensors[i]);
  writer.finish();
  const BundleReader reader(prefix());
  EXPECT_EQ(reader.keys().size(), tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_TRUE(same(reader.read(cat("t", i)), tensors[i])) << to_string(tensors[i]);
  }
}

TEST_F(TensorBundleTest, NumbersAreMappedAndOutliveTheReader) {
  BundleWriter writer(prefix());
  writer.add("aligned", make_vector<float>({1, 2, 3}));
  writer.add("byte", make_vector<std::uint8_t>({7}));
  writer.add("misaligned", make_vector<float>({4, 5}));
  writer.finish();
  Tensor aligned, again, misaligned;
  {
    const BundleReader reader(prefix());
    aligned = reader.read("aligned");
    again = reader.read("aligned");
    misaligned = reader.read("misaligned");
  }
  EXPECT_FALSE(aligned.is_exclusive());
  EXPECT_EQ(aligned.raw_data(), again.raw_data());
  EXPECT_TRUE(misaligned.is_exclusive());
  EXPECT_THAT(aligned.values<float>(), ElementsAre(1, 2, 3));
  EXPECT_THAT(misaligned.values<float>(), ElementsAre(4, 5));
}

TEST_F(TensorBundleTest, AnUnknownKeyIsNotFound) {
  write_halves();
  const BundleReader reader(prefix());
  const Error error = error_of([&] { reader.read("c"); });
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_THAT(error.what(), HasSubstr("c not found in checkpoint"));
  EXPECT_THAT(error.what(), HasSubstr(bundle_index_path(prefix())));
}

TEST_F(TensorBundleTest, MissingFilesAreNotFound) {
  EXPECT_EQ(error_of([&] { BundleReader reader(prefix("nothing")); }).code(), ErrorCode::kNotFound);
  write_halves();
  std::filesystem::remove(bundle_data_path(prefix(), 0, 1));
  const BundleReader reader(prefix());
  const Error error = error_of([&] { reader.read("a"); });
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_THAT(error.what(), HasSubstr("in key \"a\""));
  EXPECT_THAT(error.what(), HasSubstr("data-00000-of-00001"));
}

TEST_F(TensorBundleTest, ATruncatedDataFileIsOutOfRange) {
  write_halves();
  write_data(from_hex("0000003f 0000"));
  const BundleReader reader(prefix());
  EXPECT_EQ(reader.read("a").scalar<float>(), 0.5f);
  const Error error = error_of([&] { reader.read("b"); });
  EXPECT_EQ(error.code(), ErrorCode::kOutOfRange);
  EXPECT_THAT(error.what(), HasSubstr("in key \"b\""));
  EXPECT_THAT(error.what(), HasSubstr("offset 4"));
}

TEST_F(TensorBundleTest, AWrongChecksumIsDataLoss) {
  write_halves();
  write_data(from_hex("0000003f 01000040"));
  const BundleReader reader(prefix());
  for (int i = 0; i < 2; ++i) {
    const Error error = error_of([&] { reader.read("b"); });
    EXPECT_EQ(error.code(), ErrorCode::kDataLoss);
    EXPECT_THAT(error.what(), HasSubstr("checksum"));
    EXPECT_THAT(error.what(), HasSubstr("offset 4"));
  }
  const BundleReader unchecked(prefix(), Checksums::kNever);
  EXPECT_NE(unchecked.read("b").scalar<float>(), 2.0f);
}

TEST_F(TensorBundleTest, ChecksumsAreComparedWhenTheOptionSays) {
  write_halves();
  const BundleReader once(prefix()), always(prefix(), Checksums::kEachRead);
  once.read("a");
  always.read("a");
  write_data(from_hex("0000003e 00000040"));  // the same file, changed in place
  EXPECT_EQ(once.read("a").scalar<float>(), 0.125f);
  EXPECT_EQ(error_of([&] { always.read("a"); }).code(), ErrorCode::kDataLoss);
  EXPECT_EQ(error_of([&] { BundleReader(prefix()).verify("a"); }).code(), ErrorCode::kDataLoss);
}

TEST_F(TensorBundleTest, LargeTensorsAreCheckedToo) {
  Tensor large(DType::kFloat32, Shape{300000});
  for (std::int64_t i = 0; i < large.num_elements(); ++i) large.mutable_data<float>()[i] = float(i);
  BundleWriter writer(prefix());
  writer.add("large", large);
  writer.finish();
  EXPECT_TRUE(same(BundleReader(prefix()).read("large"), large));
  std::string data = read_file(bundle_data_path(prefix(), 0, 1));
  data[data.size() - 1] ^= 1;
  write_data(data);
  EXPECT_EQ(error_of([&] { BundleReader(prefix()).read("large"); }).code(), ErrorCode::kDataLoss);
}

TEST_F(TensorBundleTest, OffsetsHave64Bits) {
  const std::string value = from_hex("0000003f");
  const std::int64_t offset = (std::int64_t{5} << 30) + 4;
  write_data("");
  const std::string path = bundle_data_path(prefix(), 0, 1);
  ASSERT_EQ(::truncate(path.c_str(), offset), 0);  // sparse: takes no disk
  FILE* file = std::fopen(path.c_str(), "ab");
  std::fwrite(value.data(), 1, value.size(), file);
  std::fclose(file);
  write_index({{"far", entry_of(DType::kFloat32, Shape{}, offset, value)}});
  EXPECT_EQ(BundleReader(prefix()).read("far").scalar<float>(), 0.5f);
}

TEST_F(TensorBundleTest, BigEndianNumbersAreSwapped) {
  const std::string numbers = from_hex("3f000000"), pairs = from_hex("3f800000 40000000");
  std::string text = from_hex("03 02");
  std::string lengths = from_hex("00000003 00000002");
  const std::uint32_t checksum = __builtin_bswap32(mask_crc(crc32c(lengths)));
  append_uint32(text, checksum);
  const std::uint32_t whole = extend_crc32c(crc32c(lengths), text.substr(2) + "abcde");
  text += "abcde";
  BundleEntries entries = {{"c", entry_of(DType::kComplex64, Shape{1}, 4, pairs)},
                           {"n", entry_of(DType::kFloat32, Shape{}, 0, numbers)},
                           {"s", entry_of(DType::kString, Shape{2}, 12, text)}};
  entries["s"].masked_crc32c = mask_crc(whole);
  write_data(numbers + pairs + text);
  TableWriter table;
  read_table(bundle_index(entries, 1), "index", [&](std::string_view key, std::string_view value) {
    table.add(key, key.empty() ? from_hex("08 01 10 01 1a 02 08 01") : std::string(value));
  });
  write_raw(bundle_index_path(prefix()), table.finish());
  const BundleReader reader(prefix());
  EXPECT_EQ(reader.read("n").scalar<float>(), 0.5f);
  EXPECT_EQ(reader.read("c").scalar<std::complex<float>>(), std::complex<float>(1, 2));
  EXPECT_TRUE(same(reader.read("s"), strings({"abc", "de"})));
}

TEST_F(TensorBundleTest, ABadHeaderIsRefused) {
  const auto error_with_header = [&](const std::string& header) {
    TableWriter table;
    table.add("", header);
    write_raw(bundle_index_path(prefix()), table.finish());
    return error_of([&] { BundleReader reader(prefix()); });
  };
  EXPECT_EQ(error_with_header("").code(), ErrorCode::kDataLoss);                       // no shards
  EXPECT_EQ(error_with_header(from_hex("08 80808040")).code(), ErrorCode::kDataLoss);  // too many
  EXPECT_EQ(error_with_header(from_hex("08 01 10 05")).code(), ErrorCode::kDataLoss);
  EXPECT_EQ(error_with_header(from_hex("08 01 1a 02 10 02")).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_with_header(from_hex("08 01 1a 02 18 01")).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_with_header("\xff\xff").code(), ErrorCode::kDataLoss);
  TableWriter no_header;
  no_header.add("a", "");
  write_raw(bundle_index_path(prefix()), no_header.finish());
  EXPECT_EQ(error_of([&] { BundleReader reader(prefix()); }).code(), ErrorCode::kDataLoss);
}

TEST_F(TensorBundleTest, HostileEntriesAreRefused) {
  write_data(std::string(64, '\0'));
  const std::string four(4, '\0');
  const auto read_error = [&](const BundleEntry& entry) {
    write_index({{"x", entry}});
    return error_of([&] { BundleReader(prefix()).read("x"); });
  };
  BundleEntry entry = entry_of(DType::kFloat32, Shape{1 << 30, 1 << 20}, 0, four);
  EXPECT_EQ(read_error(entry).code(), ErrorCode::kDataLoss);
  entry = entry_of(DType::kString, Shape{std::int64_t{1} << 50}, 0, four);
  EXPECT_EQ(read_error(entry).code(), ErrorCode::kDataLoss);
  entry = entry_of(DType::kFloat32, Shape{}, std::int64_t{1} << 62, four);
  EXPECT_EQ(read_error(entry).code(), ErrorCode::kOutOfRange);
  entry.offset = -4;
  EXPECT_EQ(read_error(entry).code(), ErrorCode::kDataLoss);
  entry.offset = 0;
  entry.shard = 7;
  EXPECT_EQ(read_error(entry).code(), ErrorCode::kDataLoss);
  entry.shard = 0;
  entry.dtype = static_cast<DType>(29);
  EXPECT_EQ(read_error(entry).code(), ErrorCode::kUnimplemented);
}

TEST_F(TensorBundleTest, KeysThatExpandWithoutEndAreRefused) {
  TableWriter::Options options;
  options.block_bytes = 1 << 22;
  options.restart_interval = 1 << 30;  // every key shares all of the one before
  TableWriter table(options);
  table.add("", from_hex("08 01"));
  std::string key;
  const std::string entry = from_hex("08 01 12 00");
  for (int i = 0; i < 20000; ++i) table.add(key += 'a', entry);
  write_raw(bundle_index_path(prefix()), table.finish());
  EXPECT_THAT(error_of([&] { BundleReader reader(prefix()); }).what(), HasSubstr("too long"));
}

TEST_F(TensorBundleTest, EveryCorruptionOfTheIndexIsAnErrorOrChangesNothing) {
  BundleWriter writer(prefix());
  writer.add_slice("p", Shape{4}, {{{0, 2}}}, make_vector<float>({1, 2}));
  writer.add_slice("p", Shape{4}, {{{2, 2}}}, make_vector<float>({3, 4}));
  writer.add("s", strings({"abc"}));
  writer.finish();
  const std::string index = read_file(bundle_index_path(prefix()));
  for_each_corruption(index, [&](const std::string& damaged) {
    write_raw(bundle_index_path(prefix()), damaged);
    Tensor p, s;
    const bool good = survives([&] {
      const BundleReader reader(prefix());
      p = reader.read("p");
      s = reader.read("s");
    });
    if (!good) return;
    EXPECT_TRUE(same(p, make_vector<float>({1, 2, 3, 4})));
    EXPECT_TRUE(same(s, strings({"abc"})));
  });
}

TEST_F(TensorBundleTest, EveryCorruptionOfTheDataIsAnError) {
  BundleWriter writer(prefix());
  writer.add("f", make_vector<float>({1, 2}));
  writer.add("s", strings({"abc", "", "de"}));
  writer.finish();
  const std::string data = read_file(bundle_data_path(prefix(), 0, 1));
  for_each_corruption(data, [&](const std::string& damaged) {
    write_data(damaged);
    EXPECT_FALSE(survives([&] {
      const BundleReader reader(prefix());
      reader.read("f");
      reader.read("s");
    }));
  });
}

TEST_F(TensorBundleTest, VariantsAreKeptAsBytes) {
  const std::string proto = from_hex("0a 03") + "foo" + from_hex("12 02") + "hi";
  Tensor variants(DType::kVariant, Shape{2});
  for (Variant& element : variants.mutable_values<Variant>()) {
    element.value = std::make_shared<OpaqueVariant>("foo", proto);
  }
  BundleWriter writer(prefix());
  writer.add("v", variants);
  writer.finish();
  EXPECT_TRUE(same(BundleReader(prefix()).read("v"), variants));
}

TEST_F(TensorBundleTest, WriterMistakesAreErrors) {
  BundleWriter writer(prefix());
  writer.add("a", make_scalar(1.0f));
  EXPECT_THAT(error_of([&] { writer.add("a", make_scalar(1.0f)); }).what(), HasSubstr("\"a\""));
  EXPECT_EQ(error_of([&] { writer.add("", make_scalar(1.0f)); }).code(),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([&] { writer.add("r", Tensor(DType::kResource, Shape{})); }).code(),
            ErrorCode::kUnimplemented);
  EXPECT_EQ(error_of([&] {
              writer.add_slice("p", Shape{4}, {{{0, 2}}}, make_vector<float>({1, 2, 3}));
            }).code(),
            ErrorCode::kInvalidArgument);
}

TEST_F(TensorBundleTest, WithoutFinishNothingIsLeft) {
  { BundleWriter(prefix()).add("a", make_scalar(1.0f)); }
  EXPECT_TRUE(list_directory(temp_.path()).empty());
}

}  // namespace
}  // namespace hub::testing
