// Partitioned variables, merged bundles, and the bundles of real models.

#include <gmock/gmock.h>
#include <sys/wait.h>

#include <numeric>

#include "format/bundle_index.h"
#include "format/crc32c.h"
#include "format/testing.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Tensor iota(Shape shape) {
  Tensor tensor(DType::kFloat32, std::move(shape));
  std::iota(tensor.mutable_data<float>(), tensor.mutable_data<float>() + tensor.num_elements(),
            0.0f);
  return tensor;
}

// The part of a matrix, by its definition.
Tensor part_of(const Tensor& matrix, const TensorSlice& box) {
  Tensor part(matrix.dtype(), slice_shape(box));
  float* out = part.mutable_data<float>();
  for (std::int64_t row = 0; row < box.extents[0].length; ++row) {
    for (std::int64_t col = 0; col < box.extents[1].length; ++col) {
      *out++ = matrix.data<float>()[(box.extents[0].start + row) * matrix.dim(1) +
                                    box.extents[1].start + col];
    }
  }
  return part;
}

class BundleSlicesTest : public ::testing::Test {
 protected:
  std::string prefix(const std::string& name = "variables") const {
    return temp_.path() + "/" + name;
  }

  // Writes a matrix cut at these rows and columns.
  void write_cut(const Tensor& matrix, const std::vector<std::int64_t>& rows,
                 const std::vector<std::int64_t>& cols) const {
    BundleWriter writer(prefix());
    for (std::size_t i = 0; i + 1 < rows.size(); ++i) {
      for (std::size_t j = 0; j + 1 < cols.size(); ++j) {
        const TensorSlice box = {
            {{rows[i], rows[i + 1] - rows[i]}, {cols[j], cols[j + 1] - cols[j]}}};
        writer.add_slice("m", matrix.shape(), box, part_of(matrix, box));
      }
    }
    writer.finish();
  }

  TempDirectory temp_;
};

TEST_F(BundleSlicesTest, AnyPartIsReadFromAnyPartition) {
  const Tensor matrix = iota({5, 4});
  const std::vector<std::vector<std::int64_t>> row_cuts = {{0, 5}, {0, 2, 5}, {0, 1, 2, 3, 4, 5}};
  const std::vector<std::vector<std::int64_t>> col_cuts = {{0, 4}, {0, 3, 4}, {0, 1, 2, 4}};
  for (const auto& rows : row_cuts) {
    for (const auto& cols : col_cuts) {
      write_cut(matrix, rows, cols);
      const BundleReader reader(prefix());
      EXPECT_THAT(reader.keys(), ElementsAre("m"));
      EXPECT_EQ(reader.entry("m").shape, matrix.shape());
      EXPECT_TRUE(same(reader.read("m"), matrix));
      for (std::int64_t start = 0; start < 5; ++start) {
        for (std::int64_t length = 0; length <= 5 - start; ++length) {
          const TensorSlice box = {{{start, length}, {1, 3}}};
          EXPECT_TRUE(same(reader.read_slice("m", box), part_of(matrix, box)));
          const TensorSlice lines = {{{start, length}, {}}};
          EXPECT_TRUE(same(reader.read_slice("m", lines),
                           part_of(matrix, resolve_slice(lines, matrix.shape()))));
        }
      }
    }
  }
}

TEST_F(BundleSlicesTest, RowsOfAWholeTensorShareItsMemory) {
  BundleWriter writer(prefix());
  writer.add("m", iota({4, 2}));
  writer.add("scalar", make_scalar(3.0f));
  writer.finish();
  const BundleReader reader(prefix());
  EXPECT_TRUE(reader.read_slice("m", {{{1, 2}, {}}}).shares_buffer_with(Tensor()) == false);
  EXPECT_EQ(reader.read_slice("m", {{{1, 2}, {}}}).raw_data(),
            static_cast<const float*>(reader.read("m").raw_data()) + 2);
  EXPECT_EQ(reader.read_slice("scalar", {}).scalar<float>(), 3.0f);
}

TEST_F(BundleSlicesTest, StringsAreCutToo) {
  BundleWriter writer(prefix());
  writer.add_slice("s", Shape{3}, {{{0, 1}}}, strings({"a"}));
  writer.add_slice("s", Shape{3}, {{{1, 2}}}, strings({"b", "c"}));
  writer.finish();
  const BundleReader reader(prefix());
  EXPECT_TRUE(same(reader.read("s"), strings({"a", "b", "c"})));
  EXPECT_TRUE(same(reader.read_slice("s", {{{0, 2}}}), strings({"a", "b"})));
}

TEST_F(BundleSlicesTest, ASliceOfEverythingIsAPlainTensor) {
  BundleWriter writer(prefix());
  writer.add_slice("full", Shape{2}, {{{}}}, make_vector<float>({1, 2}));
  writer.add_slice("explicit", Shape{2}, {{{0, 2}}}, make_vector<float>({3, 4}));
  writer.finish();
  const BundleReader reader(prefix());
  EXPECT_THAT(reader.entry("full").slices, IsEmpty());
  EXPECT_THAT(reader.entry("explicit").slices, IsEmpty());
}

TEST_F(BundleSlicesTest, HolesAndOverlapsAreErrors) {
  const auto read_error = [&](const std::vector<TensorSlice>& boxes) {
    BundleWriter writer(prefix());
    const Tensor matrix = iota({4, 2});
    for (const TensorSlice& box : boxes) {
      writer.add_slice("m", matrix.shape(), box, part_of(matrix, box));
    }
    writer.finish();
    return error_of([&] { BundleReader(prefix()).read("m"); });
  };
  const Error hole = read_error({{{{0, 1}, {0, 2}}}, {{{2, 2}, {0, 2}}}});
  EXPECT_EQ(hole.code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(hole.what(), HasSubstr("cover"));
  EXPECT_THAT(hole.what(), HasSubstr("\"m\""));
  const Error overlap = read_error({{{{0, 3}, {0, 2}}}, {{{2, 2}, {0, 2}}}});
  EXPECT_THAT(overlap.what(), HasSubstr("overlap"));
  // As many elements as the whole, but some twice.
  const Error both = read_error({{{{0, 2}, {0, 2}}}, {{{1, 2}, {0, 2}}}});
  EXPECT_THAT(both.what(), HasSubstr("overlap"));
}

TEST_F(BundleSlicesTest, AFullShapeWithoutBytesIsNotAllocated) {
  BundleEntry full;
  full.dtype = DType::kFloat32;
  full.shape = Shape{std::int64_t{1} << 50};
  full.slices = {{{{0, std::int64_t{1} << 49}}},
                 {{{std::int64_t{1} << 49, std::int64_t{1} << 49}}}};
  BundleEntries entries = {{"m", full}};
  write_raw(bundle_index_path(prefix()), bundle_index(entries, 1));
  write_raw(bundle_data_path(prefix(), 0, 1), "data");
  EXPECT_EQ(error_of([&] { BundleReader(prefix()).read("m"); }).code(), ErrorCode::kNotFound);
  for (const TensorSlice& slice : full.slices) {
    BundleEntry part;
    part.dtype = DType::kFloat32;
    part.shape = slice_shape(slice);
    part.size_bytes = 4;
    entries[slice_key("m", slice)] = part;
  }
  write_raw(bundle_index_path(prefix()), bundle_index(entries, 1));
  EXPECT_TRUE(!survives([&] { BundleReader(prefix()).read("m"); }));
}

TEST_F(BundleSlicesTest, MergedBundlesAreOne) {
  {
    BundleWriter first(prefix("part0"));
    first.add("a", make_scalar(1.0f));
    first.add_slice("m", Shape{3}, {{{0, 1}}}, make_vector<float>({0}));
    first.finish();
    BundleWriter second(prefix("part1"));
    second.add("b", strings({"x"}));
    second.add_slice("m", Shape{3}, {{{1, 2}}}, make_vector<float>({1, 2}));
    second.finish();
  }
  merge_bundles({prefix("part0"), prefix("part1")}, prefix("whole"));
  EXPECT_THAT(list_directory(temp_.path()),
              ElementsAre("whole.data-00000-of-00002", "whole.data-00001-of-00002", "whole.index"));
  const BundleReader reader(prefix("whole"));
  EXPECT_THAT(reader.keys(), ElementsAre("a", "b", "m"));
  EXPECT_EQ(reader.read("a").scalar<float>(), 1.0f);
  EXPECT_TRUE(same(reader.read("b"), strings({"x"})));
  EXPECT_TRUE(same(reader.read("m"), make_vector<float>({0, 1, 2})));
}

TEST_F(BundleSlicesTest, AKeyInTwoMergedBundlesIsAnError) {
  for (const char* name : {"part0", "part1"}) {
    BundleWriter writer(prefix(name));
    writer.add("a", make_scalar(1.0f));
    writer.finish();
  }
  const Error error = error_of([&] {
    merge_bundles({prefix("part0"), prefix("part1")}, prefix("whole"));
  });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(path_exists(bundle_index_path(prefix("part0"))));
}

TEST_F(BundleSlicesTest, RealBundlesAreReadAndWrittenAgain) {
  int read = 0;
  for (const std::string& path : all_bundles()) {
    SCOPED_TRACE(path);
    const BundleReader reader(path);
    if (!has_data(reader)) continue;
    ++read;
    for (const std::string_view key : reader.keys()) reader.verify(key);
    rewrite_bundle(reader, prefix());
    const BundleReader again(prefix());
    ASSERT_EQ(again.keys(), reader.keys());
    for (const std::string_view key : reader.keys()) {
      EXPECT_TRUE(same(again.read(key), reader.read(key))) << key;
    }
  }
  EXPECT_GE(read, 40);
}

TEST_F(BundleSlicesTest, BundlesOfTensorFlowAreWrittenByteForByte) {
  for (const std::string& path : all_bundles()) {
    if (!path.starts_with(TF1HUB_TEST_DATA_DIR)) continue;  // those are all of one version
    SCOPED_TRACE(path);
    const BundleReader reader(path);
    if (!has_data(reader) || reader.num_shards() != 1) continue;
    rewrite_bundle(reader, prefix());
    EXPECT_EQ(read_file(bundle_data_path(prefix(), 0, 1)), read_file(bundle_data_path(path, 0, 1)));
    EXPECT_EQ(read_file(bundle_index_path(prefix())), read_file(bundle_index_path(path)));
  }
}

// Skipped unless TF1HUB_TENSORFLOW_PYTHON names a Python that has TensorFlow.
TEST_F(BundleSlicesTest, TensorFlowReadsWhatWasWritten) {
  const char* python = std::getenv("TF1HUB_TENSORFLOW_PYTHON");
  if (python == nullptr) GTEST_SKIP() << "TF1HUB_TENSORFLOW_PYTHON names no Python";
  std::string pairs;
  for (const std::string& path : all_bundles()) {
    const BundleReader reader(path);
    if (!has_data(reader)) continue;
    const std::string copy = prefix(cat("copy", pairs.size()));
    rewrite_bundle(reader, copy);
    pairs += path + "\t" + copy + "\n";
  }
  write_raw(prefix("pairs"), pairs);
  const std::string command = cat("'", python, "' '", TF1HUB_SOURCE_DIR,
                                  "/tests/tensorflow/read_bundle.py' '", prefix("pairs"), "'");
  const int status = std::system(command.c_str());
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
    GTEST_SKIP() << python << " has no TensorFlow";
  EXPECT_EQ(status, 0) << command;
}

}  // namespace
}  // namespace hub::testing
