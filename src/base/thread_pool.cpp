#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <memory>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace hub {
namespace {

thread_local bool inside_loop = false;

// How long a thread looks for work, or for the end of others' work, before it sleeps: longer than
// the serial ops between two loops of a small network, since waking a thread costs as much as they.
constexpr std::chrono::microseconds kSpinTime{100};

void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

// Looks for about kSpinTime whether `done()` holds.
template <class Done>
bool spin_until(Done done) {
  constexpr int kPausesPerLook = 16;  // at the clock
  const auto give_up = std::chrono::steady_clock::now() + kSpinTime;
  do {
    for (int i = 0; i < kPausesPerLook; ++i) {
      if (done()) return true;
      pause_briefly();
    }
  } while (std::chrono::steady_clock::now() < give_up);
  return done();
}

int usable_cpus() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  stopping_.store(true);
  generation_.fetch_add(1);
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run_blocks(Loop& loop) {
  try {
    while (true) {
      const std::int64_t begin = loop.next.fetch_add(loop.block, std::memory_order_relaxed);
      if (begin >= loop.count) return;
      (*loop.body)(begin, std::min(begin + loop.block, loop.count));
    }
  } catch (...) {
    loop.next.store(loop.count, std::memory_order_relaxed);
    const std::lock_guard lock(loop.error_mutex);
    if (!loop.error) loop.error = std::current_exception();
  }
}

std::uint32_t ThreadPool::next_generation(std::uint32_t seen) {
  if (!spin_until([&] { return generation_.load(std::memory_order_relaxed) != seen; })) {
    asleep_.fetch_add(1, std::memory_order_relaxed);
    generation_.wait(seen);
    asleep_.fetch_sub(1, std::memory_order_relaxed);
  }
  return generation_.load();
}

void ThreadPool::leave_loop() {
  if (inside_.fetch_sub(1) == 1) inside_.notify_one();
}

void ThreadPool::work() {
  const FlushDenormals flush;
  inside_loop = true;
  std::uint32_t seen = 0;
  while (true) {
    seen = next_generation(seen);
    if (stopping_.load()) return;
    inside_.fetch_add(1);
    Loop* const loop = loop_.load();
    if (loop != nullptr && loop->seats.fetch_sub(1) > 0) run_blocks(*loop);
    leave_loop();
  }
}

void ThreadPool::parallel_for(std::int64_t count, std::int64_t block, int max_threads, Body body) {
  if (count <= 0) return;
  block = std::max<std::int64_t>(block, 1);
  const bool alone = inside_loop || workers_.empty() || max_threads <= 1 || count <= block;
  std::unique_lock one_loop(one_loop_, std::defer_lock);
  if (alone || !one_loop.try_lock()) {
    for (std::int64_t begin = 0; begin < count; begin += block)
      body(begin, std::min(begin + block, count));
    return;
  }
  Loop loop{count, block, &body, {0}, {max_threads - 1}, {}, {}};
  loop_.store(&loop);
  generation_.fetch_add(1);
  generation_.notify_all();
  inside_loop = true;
  run_blocks(loop);
  inside_loop = false;
  loop_.store(nullptr);
  spin_until([&] { return inside_.load() == 0; });
  for (std::uint32_t inside = inside_.load(); inside != 0; inside = inside_.load())
    inside_.wait(inside);
  if (loop.error) std::rethrow_exception(loop.error);
}

ThreadPool& process_thread_pool() {
  static ThreadPool pool(usable_cpus());
  return pool;
}

#if defined(__x86_64__)
namespace {
constexpr unsigned kFlushToZero = 0x8000;
constexpr unsigned kDenormalsAreZero = 0x0040;
}  // namespace

FlushDenormals::FlushDenormals() : saved_(_mm_getcsr()) {
  _mm_setcsr(static_cast<unsigned>(saved_) | kFlushToZero | kDenormalsAreZero);
}
FlushDenormals::~FlushDenormals() { _mm_setcsr(static_cast<unsigned>(saved_)); }
#elif defined(__aarch64__)
FlushDenormals::FlushDenormals() {
  asm volatile("mrs %0, fpcr" : "=r"(saved_));
  asm volatile("msr fpcr, %0" : : "r"(saved_ | (1ULL << 24)));
}
FlushDenormals::~FlushDenormals() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }
#else
FlushDenormals::FlushDenormals() : saved_(0) {}
FlushDenormals::~FlushDenormals() = default;
#endif

}  // namespace hub
