// A run that was run before allocates nothing.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "runtime/session.h"
#include "support/op_test.h"

namespace {
std::atomic<long> allocations{0};
}

// Not inlined: GCC would see a free() of what new gave.
__attribute__((noinline)) void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace hub::testing {
namespace {

TEST(AllocationTest, ARepeatedRunAllocatesNothing) {
  TestGraph graph;
  const OutputId x = graph.input(floats({2, 3}, {1, 2, 3, 4, 5, 6}));
  const OutputId weights = graph.variable(floats({2, 3}, {1, 0, 0, 1, 1, 1}));
  const OutputId read = graph.add("ReadVariableOp", {weights}, {{"dtype", kFloat}});
  OutputId y = graph.add("Mul", {x, read});
  for (int i = 0; i < 20; ++i)
    y = graph.add(i % 2 == 0 ? "Relu" : "Neg", {graph.add("AddV2", {y, y})});
  const PreparedRun run = graph.engine().prepare(std::vector{x}, std::vector{y});
  const Tensor input = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  Tensor feed;
  Tensor fetch;
  const auto run_once = [&] {
    feed = input;
    fetch = Tensor();
    run.run({&feed, 1}, {&fetch, 1});
  };
  for (int i = 0; i < 3; ++i) run_once();
  const long before = allocations;
  for (int i = 0; i < 100; ++i) run_once();
  EXPECT_EQ(allocations - before, 0);
}

}  // namespace
}  // namespace hub::testing
