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

// How long a worker looks for the next loop before it sleeps: about 20 microseconds.
constexpr int kSpins = 400;

void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
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
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    generation_.fetch_add(1);
  }
  wake_.notify_all();
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

void ThreadPool::work() {
  const FlushDenormals flush;
  inside_loop = true;
  std::uint64_t seen = 0;
  while (true) {
    for (int i = 0; i < kSpins && generation_.load(std::memory_order_acquire) == seen; ++i)
      pause_briefly();
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return generation_.load() != seen; });
    seen = generation_.load();
    if (stopping_) return;
    Loop* loop = loop_;
    if (loop == nullptr || loop->seats.fetch_sub(1) <= 0) continue;
    ++inside_;
    lock.unlock();
    run_blocks(*loop);
    lock.lock();
    if (--inside_ == 0) done_.notify_all();
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
  {
    const std::lock_guard lock(mutex_);
    loop_ = &loop;
    generation_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  inside_loop = true;
  run_blocks(loop);
  inside_loop = false;
  {
    std::unique_lock lock(mutex_);
    loop_ = nullptr;
    done_.wait(lock, [&] { return inside_ == 0; });
  }
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
