#pragma once

// Reference variables are written in place, so that whoever read one in the same run sees what
// is written later. Between runs that would be a data race: a run that writes them is alone among
// the runs that touch them.

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "ops/kernel.h"

namespace hub {

enum class ReferenceUse : std::uint8_t { kNone, kRead, kWrite };

// Of a session. Writers come before readers that arrive after them.
class ReferenceLock {
 public:
  // What a run holds while it lives. Errors: CANCELLED, DEADLINE_EXCEEDED while waiting.
  class Guard {
   public:
    Guard(ReferenceLock& lock, ReferenceUse use, const Step& step) : lock_(lock), use_(use) {
      if (use_ != ReferenceUse::kNone) lock_.acquire(use_, step);
    }
    ~Guard() {
      if (use_ != ReferenceUse::kNone) lock_.release(use_);
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    ReferenceLock& lock_;
    ReferenceUse use_;
  };

 private:
  static constexpr std::chrono::milliseconds kPoll{
      5};  // how soon a waiter sees that it is cancelled

  void acquire(ReferenceUse use, const Step& step) {
    std::unique_lock lock(mutex_);
    const bool writes = use == ReferenceUse::kWrite;
    const WaitingWriter waiting(writes ? &waiting_writers_ : nullptr);
    while (writing_ || (writes ? readers_ > 0 : waiting_writers_ > 0)) {
      step.check_cancelled();
      changed_.wait_for(lock, kPoll);
    }
    writes ? void(writing_ = true) : void(++readers_);
  }

  void release(ReferenceUse use) {
    {
      const std::lock_guard lock(mutex_);
      use == ReferenceUse::kWrite ? void(writing_ = false) : void(--readers_);
    }
    changed_.notify_all();
  }

  // Counts a writer while it waits.
  class WaitingWriter {
   public:
    explicit WaitingWriter(int* count) : count_(count) {
      if (count_ != nullptr) ++*count_;
    }
    ~WaitingWriter() {
      if (count_ != nullptr) --*count_;
    }
    WaitingWriter(const WaitingWriter&) = delete;
    WaitingWriter& operator=(const WaitingWriter&) = delete;

   private:
    int* count_;
  };

  std::mutex mutex_;
  std::condition_variable changed_;
  int readers_ = 0;
  int waiting_writers_ = 0;
  bool writing_ = false;
};

}  // namespace hub
