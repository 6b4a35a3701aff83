#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace hub {

// A reference to something callable that outlives the call: no allocation.
template <class Signature>
class CallableRef;
template <class Result, class... Args>
class CallableRef<Result(Args...)> {
 public:
  template <class Callable>
  requires(!std::is_same_v<std::remove_cvref_t<Callable>, CallableRef>)
      CallableRef(Callable&& callable)  // NOLINT: made from what is called
      : object_(const_cast<void*>(static_cast<const void*>(&callable))),
        call_([](void* object, Args... args) -> Result {
          return (*static_cast<std::remove_reference_t<Callable>*>(object))(args...);
        }) {}
  Result operator()(Args... args) const { return call_(object_, args...); }

 private:
  void* object_;
  Result (*call_)(void*, Args...);
};

// Worker threads that share the blocks of one loop at a time, handed out atomically. All
// functions are thread-safe; a loop started while another runs, or from inside of one, is
// done by its caller alone.
class ThreadPool {
 public:
  // `threads` counts the caller: threads - 1 workers are started.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Whether no worker sleeps: then a loop starts on all of them within a microsecond.
  bool is_awake() const { return asleep_.load(std::memory_order_relaxed) == 0; }

  // Calls body(begin, end) for consecutive blocks of at most `block` that cover [0, count),
  // on at most `max_threads` threads. The first exception of a block is thrown again here,
  // after all started blocks have ended; blocks not started are left out.
  using Body = CallableRef<void(std::int64_t, std::int64_t)>;
  void parallel_for(std::int64_t count, std::int64_t block, int max_threads, Body body);

 private:
  struct Loop {
    std::int64_t count;
    std::int64_t block;
    const Body* body;
    std::atomic<std::int64_t> next{0};
    std::atomic<int> seats;  // workers that may still join
    std::mutex error_mutex;
    std::exception_ptr error;
  };

  void work();
  // The next generation after `seen`; spins for a while, then sleeps.
  std::uint32_t next_generation(std::uint32_t seen);
  void leave_loop();
  static void run_blocks(Loop& loop);

  std::vector<std::thread> workers_;
  std::mutex one_loop_;  // held by whoever runs a loop
  // A worker counts itself in `inside_` before it looks at `loop_`; whoever runs the loop clears
  // `loop_` before it looks at `inside_`. So one of the two sees the other.
  std::atomic<Loop*> loop_{nullptr};
  std::atomic<std::uint32_t> inside_{0};
  std::atomic<std::uint32_t> generation_{0};  // loops begun
  std::atomic<int> asleep_{0};
  std::atomic<bool> stopping_{false};
};

// The pool of the process: one thread for each CPU that it may use. Started at the first call.
ThreadPool& process_thread_pool();

// While it lives, this thread flushes denormal numbers to zero and reads them as zero, as
// TensorFlow does; then the caller's setting is back.
class FlushDenormals {
 public:
  FlushDenormals();
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  std::uint64_t saved_;
};

}  // namespace hub
