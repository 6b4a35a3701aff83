#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <thread>

#include "base/checked.h"
#include "base/errors.h"
#include "base/strings.h"
#include "base/thread_pool.h"

namespace hub {
namespace {

using ::testing::ElementsAre;

TEST(StringsTest, CatJoinsTextAndNumbers) {
  EXPECT_EQ(cat("a", 1, ' ', true, " ", 1.5, " ", std::string("b")), "a1 true 1.5 b");
  EXPECT_EQ(join(std::vector<int>{1, 2, 3}), "1, 2, 3");
}

TEST(StringsTest, SplitKeepsEmptyParts) {
  EXPECT_THAT(split("a,,b", ','), ElementsAre("a", "", "b"));
}

TEST(StringsTest, PrintableShowsControlBytesAndInvalidUtf8) {
  EXPECT_EQ(printable("h\xc3\xa9\n\xff"), "h\xc3\xa9\\x0a\\xff");
  EXPECT_EQ(printable(std::string(200, 'x'), 10), "xxxxxxxxxx...");
}

TEST(ErrorTest, ContextIsAddedOutwards) {
  try {
    with_context([] { throw invalid_argument("the rule. ", "Details: ", 3, "."); },
                 [] { return std::string("in node \"a\""); });
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_STREQ(error.what(), "the rule. Details: 3.\n  in node \"a\"");
  }
}

TEST(CheckedTest, OverflowIsSeen) {
  EXPECT_EQ(checked_mul<std::int64_t>(1LL << 40, 1LL << 40), std::nullopt);
  EXPECT_EQ(checked_add<std::int64_t>(2, 3), 5);
  EXPECT_THROW(mul_or_throw<std::int64_t>(1LL << 62, 4, "size"), Error);
}

TEST(ThreadPoolTest, EveryItemIsDoneOnce) {
  ThreadPool pool(4);
  std::vector<std::atomic<int>> counts(10'000);
  pool.parallel_for(10'000, 7, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) ++counts[static_cast<std::size_t>(i)];
  });
  for (const auto& count : counts) EXPECT_EQ(count, 1);
}

TEST(ThreadPoolTest, AnExceptionReachesTheCaller) {
  ThreadPool pool(3);
  const auto fail = [&] {
    pool.parallel_for(1000, 1, 3, [](std::int64_t begin, std::int64_t) {
      if (begin == 500) throw invalid_argument("block 500");
    });
  };
  EXPECT_THROW(fail(), Error);
  std::atomic<int> done{0};
  pool.parallel_for(100, 1, 3, [&](std::int64_t, std::int64_t) { ++done; });
  EXPECT_EQ(done, 100);  // the pool goes on working
}

TEST(ThreadPoolTest, LoopsInsideLoopsAndFromManyThreads) {
  ThreadPool pool(3);
  std::atomic<int> done{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        pool.parallel_for(10, 1, 3, [&](std::int64_t, std::int64_t) {
          pool.parallel_for(10, 1, 3, [&](std::int64_t, std::int64_t) { ++done; });
        });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(done, 4 * 50 * 100);
}

TEST(FlushDenormalsTest, TheCallersSettingComesBack) {
  volatile float tiny = 1e-39f;
  {
    const FlushDenormals flush;
    EXPECT_EQ(tiny * 1.0f, 0.0f);
  }
  EXPECT_NE(tiny * 1.0f, 0.0f);
}

}  // namespace
}  // namespace hub
