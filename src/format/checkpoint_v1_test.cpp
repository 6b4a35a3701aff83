#include "format/checkpoint_v1.h"

#include <gmock/gmock.h>

#include <complex>

#include "format/checkpoint_state.h"
#include "format/module_files.h"
#include "format/table.h"
#include "format/testing.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kFolder = TF1HUB_TEST_DATA_DIR "/checkpoint_v1/";

TEST(CheckpointV1Test, EveryDTypeThatTensorFlowWroteIsRead) {
  const BundleReader reader(kFolder + "dtypes");
  EXPECT_EQ(reader.keys().size(), 15u);
  for (const std::string_view key : reader.keys()) reader.verify(key);
  EXPECT_EQ(reader.read("scalar").scalar<float>(), 2.5f);
  EXPECT_EQ(reader.read("empty").shape(), (Shape{0, 3}));
  EXPECT_TRUE(
      same(reader.read("s").reshaped(Shape{3}), strings({"a", "", std::string("b\0c", 3)})));
  const Tensor doubles = reader.read("float64");
  EXPECT_EQ(doubles.shape(), (Shape{3, 4}));
  EXPECT_GT(doubles.data<double>()[11], 0);
  EXPECT_EQ(reader.read("complex128").dtype(), DType::kComplex128);
  EXPECT_EQ(error_of([&] { reader.read("none"); }).code(), ErrorCode::kNotFound);
}

TEST(CheckpointV1Test, SlicesOfSeveralFilesAreJoined) {
  const BundleReader reader(kFolder + "part-*-of-00003");
  EXPECT_EQ(reader.num_shards(), 3);
  EXPECT_EQ(reader.files().size(), 3u);
  const Tensor whole = reader.read("big");
  ASSERT_EQ(whole.shape(), (Shape{7, 4}));
  for (int i = 0; i < 28; ++i) EXPECT_EQ(whole.data<float>()[i], static_cast<float>(i));
  const Tensor part = reader.read_slice("big", {{{2, 2}, {1, 2}}});
  EXPECT_TRUE(same(part.reshaped(Shape{4}), make_vector<float>({9, 10, 13, 14})));
  const BundleReader first(kFolder + "part-00000-of-00003");
  EXPECT_EQ(error_of([&] { first.read("big"); }).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(first.read_slice("big", {{{0, 3}, {}}}).num_elements(), 12);
}

TEST(CheckpointV1Test, WhatIsWrittenIsRead) {
  const TempDirectory temp;
  const std::string path = temp.path() + "/model.ckpt-7";
  CheckpointV1Writer writer(path);
  writer.add("v", make_vector<std::complex<float>>({{1, 2}, {3, 4}}));
  writer.add_slice("w", Shape{4}, {{{2, 2}}}, make_vector<std::int64_t>({3, 4}));
  writer.add_slice("w", Shape{4}, {{{0, 2}}}, make_vector<std::int64_t>({1, 2}));
  EXPECT_EQ(error_of([&] { writer.add("w", make_scalar(1.0f)); }).code(), ErrorCode::kInternal);
  EXPECT_EQ(error_of([&] { writer.add("u", make_scalar(std::uint32_t{1})); }).code(),
            ErrorCode::kUnimplemented);
  EXPECT_EQ(error_of([&] {
              writer.add_slice("x", Shape{4}, {{{2, 2}}}, make_scalar(1.0f));
            }).code(),
            ErrorCode::kInvalidArgument);
  EXPECT_THAT(list_directory(temp.path()), IsEmpty());
  writer.finish();
  EXPECT_THAT(list_directory(temp.path()), ElementsAre("model.ckpt-7"));
  const BundleReader reader(path);
  EXPECT_TRUE(same(reader.read("w"), make_vector<std::int64_t>({1, 2, 3, 4})));
  EXPECT_EQ(reader.read("v").data<std::complex<float>>()[1], std::complex<float>(3, 4));
}

TEST(CheckpointV1Test, TheyAreFoundBesideMetaGraphs) {
  const TempDirectory temp;
  const auto kind = [&](const std::string& name) {
    return open_model_files(temp.path() + "/" + name).kind;
  };
  CheckpointV1Writer one(temp.path() + "/one");
  one.add("v", make_scalar(1.0f));
  one.finish();
  CheckpointV1Writer several(temp.path() + "/several-00000-of-00001");
  several.add("v", make_scalar(1.0f));
  several.finish();
  for (const std::string name : {"one", "several"}) {
    write_raw(temp.path() + "/" + name + ".meta", "meta_info_def { }");
    const ModuleFiles files = open_model_files(temp.path() + "/" + name + ".meta");
    ASSERT_NE(files.checkpoint, nullptr) << name;
    EXPECT_EQ(files.checkpoint->read("v").scalar<float>(), 1.0f);
  }
  EXPECT_EQ(kind("one"), ModelKind::kCheckpoint);
  EXPECT_EQ(kind("several-*"), ModelKind::kCheckpoint);
  write_checkpoint_state(temp.path(), {.model_checkpoint_path = "several-0000[0-9]-of-00001",
                                       .all_model_checkpoint_paths = {},
                                       .all_model_checkpoint_timestamps = {},
                                       .last_preserved_timestamp = 0});
  EXPECT_EQ(latest_checkpoint(temp.path()), temp.path() + "/several-0000[0-9]-of-00001");
}

TEST(CheckpointV1Test, OtherFilesAreErrors) {
  const TempDirectory temp;
  const auto code = [&](const std::string& path) {
    return error_of([&] { BundleReader(path, Checksums::kNever, CheckpointVersion::kV1); }).code();
  };
  EXPECT_EQ(code(temp.path() + "/none"), ErrorCode::kNotFound);
  EXPECT_EQ(code(temp.path()), ErrorCode::kDataLoss);
  write_raw(temp.path() + "/garbage", "hello");
  EXPECT_EQ(code(temp.path() + "/garbage"), ErrorCode::kDataLoss);
  TableWriter empty;
  empty.add("a", "");
  write_raw(temp.path() + "/no_list", empty.finish());
  EXPECT_EQ(code(temp.path() + "/no_list"), ErrorCode::kDataLoss);
  write_raw(temp.path() + "/a", read_file(kFolder + "dtypes"));
  write_raw(temp.path() + "/b", read_file(kFolder + "dtypes"));
  EXPECT_THAT(error_of([&] { BundleReader(temp.path() + "/[ab]"); }).what(), HasSubstr("overlap"));
}

TEST(CheckpointV1Test, EveryCorruptionIsAnErrorOrACheckpoint) {
  const TempDirectory temp(memory_folder());
  const std::string path = temp.path() + "/c";
  for_each_corruption(read_file(kFolder + "part-00000-of-00003"), [&](const std::string& damaged) {
    write_raw(path, damaged);
    survives([&] {
      const BundleReader reader(path, Checksums::kNever, CheckpointVersion::kV1);
      for (const std::string_view key : reader.keys()) survives([&] { reader.verify(key); });
    });
  });
}

TEST(TableTest, OneKeyIsFound) {
  TableWriter writer({.block_bytes = 64, .restart_interval = 2});
  for (int i = 100; i < 200; i += 2) writer.add(cat("key ", i), cat("value ", i));
  const std::string table = writer.finish();
  for (int i = 99; i < 202; ++i) {
    const auto value = find_in_table(table, "t", cat("key ", i));
    EXPECT_EQ(value.has_value(), i >= 100 && i < 200 && i % 2 == 0) << i;
    EXPECT_EQ(value.value_or(cat("value ", i)), cat("value ", i));
  }
  EXPECT_TRUE(is_table(table));
  EXPECT_FALSE(is_table(table.substr(1) + "x"));
}

}  // namespace
}  // namespace hub::testing
