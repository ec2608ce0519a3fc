// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <millrace/detail/atomic.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/trampoline.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace {

/// An executor that runs its work on the thread that calls run().
///
/// Threads     any thread posts and finishes; one thread at a time runs.
/// Progress    post() is lock-free, with a system call where the runner sleeps.
/// Ordering    items run in the order in which they were posted; what precedes post() happens-before
///             the item's run().
/// Complexity  constant; allocates nothing.
/// Lifetime    outlives all that may resume on it. Items that are never run are not destroyed: they
///             belong to who posted them.
template <class Traits>
class basic_run_loop {
  // posted_ holds the items posted since the runner looked last, newest first:
  //
  //   nullptr --post--> item --post--> item --take--> nullptr
  //   nullptr --sleep--> asleep() --post, which then unparks--> item
  //
  // Once asleep, the runner looks again only after the unpark(), which is thus the poster's last
  // touch: the loop may be gone as soon as the item has run.
  //
  // E1  post -> take   the item, and what precedes it.

 public:
  basic_run_loop() noexcept = default;
  basic_run_loop(const basic_run_loop&) = delete;
  basic_run_loop& operator=(const basic_run_loop&) = delete;

  void post(work_item& item) noexcept {
    work_item* found = posted_.load(std::memory_order_relaxed);  // relaxed: settled by E1
    do {
      item.next = found == asleep() ? nullptr : found;
    } while (!posted_.compare_exchange_weak(
        found, &item,
        std::memory_order_release,    // E1 publish: but for an asleep runner, the last touch
        std::memory_order_relaxed));  // relaxed: only compared and linked, never followed
    if (found == asleep()) parker_.unpark();
  }

  /// Runs items, sleeping while there are none, until finish() was called and all that was posted
  /// before it has run. What was posted later is left for the next run().
  void run() noexcept {
    while (run_one()) {
    }
  }

  /// Waits for one item and runs it; false, with nothing run, once finish() has been called and all
  /// that was posted before it has run (the next call waits again).
  bool run_one() noexcept {
    if (ready_.empty()) take();
    work_item& item = ready_.pop_front();
    if (&item == &finish_) return false;
    detail::trampoline<Traits>(executor_ref(*this)).run(item);
    return true;
  }

  /// Ends run() once what was posted before has run. Call it once for each run().
  void finish() noexcept { post(finish_); }

 private:
  work_item* asleep() noexcept { return &asleep_; }

  /// Moves what was posted to ready_, oldest first; sleeps until there is something.
  void take() noexcept {
    work_item* newest = posted_.exchange(nullptr, std::memory_order_acquire);  // E1 observe
    while (newest == nullptr) {
      if (posted_.compare_exchange_strong(
              newest, asleep(),
              std::memory_order_relaxed,     // relaxed: publishes nothing
              std::memory_order_relaxed)) {  // relaxed: taken by the exchange below
        parker_.park();
      }
      newest = posted_.exchange(nullptr, std::memory_order_acquire);  // E1 observe
    }
    work_item* oldest = nullptr;
    while (newest != nullptr) {
      work_item* const next = newest->next;
      newest->next = oldest;
      oldest = newest;
      newest = next;
    }
    while (oldest != nullptr) {
      work_item& item = *oldest;
      oldest = item.next;
      ready_.push_back(item);
    }
  }

  typename Traits::template atomic<work_item*> posted_{nullptr};
  typename Traits::parker parker_;
  work_list ready_;  // the runner's
  work_item asleep_;
  work_item finish_;
};

using run_loop = basic_run_loop<default_traits>;

}  // namespace millrace
