// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <millrace/detail/atomic.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/timer_service.hpp>
#include <millrace/wait/trampoline.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace {

/// An executor that runs its work on the thread that calls run(), and fires its timers there.
///
/// Threads     any thread posts, adds timers and finishes; one thread at a time runs.
/// Progress    post() is lock-free, with a system call where the runner sleeps. A timer whose deadline
///             passes while there is work fires after 16 more items at the latest.
/// Ordering    items run in the order in which they were posted; what precedes post() happens-before
///             the item's run().
/// Complexity  constant; allocates nothing.
/// Lifetime    outlives all that may resume on it, and its pending timers. Items that are never run are
///             not destroyed: they belong to who posted them.
template <class Traits>
class basic_run_loop {
  // posted_ holds the items posted since the runner looked last, newest first:
  //
  //   nullptr --post--> item --post--> item --take--> nullptr
  //   nullptr --sleep--> asleep() --post, which then unparks--> item
  //                      asleep() --a timer becomes the earliest, whose add() then unparks--> nullptr
  //                      asleep() --the earliest deadline has passed--> nullptr
  //
  // Once asleep, the runner looks again only after the unpark() of whoever took its mark away, if it was
  // not itself. That is thus the poster's last touch: the loop may be gone as soon as the item has run.
  //
  // No timer is slept through: the runner marks itself as asleep, then asks for the earliest deadline,
  // under the lock of the timers. An add() looks for the mark under that lock. If it came first, the
  // runner sees its timer; else the lock carries the mark to it.
  //
  // E1  post -> take   the item, and what precedes it.

 public:
  basic_run_loop() noexcept = default;
  basic_run_loop(const basic_run_loop&) = delete;
  basic_run_loop& operator=(const basic_run_loop&) = delete;

  /// Its timers, for operations with a deadline.
  timer_service* timers() noexcept { return &timers_; }

  void post(work_item& item) noexcept {
    work_item* found = posted_.load(std::memory_order_relaxed);  // relaxed: settled by E1
    do {
      item.next = found == asleep() ? nullptr : found;
    } while (!posted_.compare_exchange_weak(
        found, &item,
        std::memory_order_release,  // E1 publish: but for an asleep runner, the last touch
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
    if (++turn_ % timer_fairness == 0) expire();
    if (ready_.empty()) take();
    work_item& item = ready_.pop_front();
    if (&item == &finish_) return false;
    detail::trampoline<Traits>(executor_ref(*this)).run(item);
    return true;
  }

  /// Ends run() once what was posted before has run. Call it once for each run().
  void finish() noexcept { post(finish_); }

 private:
  using clock = timer_node::clock;

  static constexpr unsigned timer_fairness = 16;  // how many items between looks at the clock

  class driver final : public detail::timer_driver<Traits> {
   public:
    explicit driver(basic_run_loop& loop) noexcept : loop_(loop) {}

   private:
    typename Traits::parker* sleeps_too_long() noexcept override {
      return loop_.take_mark() ? &loop_.parker_ : nullptr;
    }

    basic_run_loop& loop_;
  };

  work_item* asleep() noexcept { return &asleep_; }

  /// True: the runner was marked as asleep, and waits for an unpark().
  bool take_mark() noexcept {
    work_item* mark = asleep();
    return posted_.compare_exchange_strong(mark, nullptr,
                                           std::memory_order_relaxed,   // relaxed: carries nothing
                                           std::memory_order_relaxed);  // relaxed: see "no timer"
  }

  /// Fires the timers that are due.
  void expire() noexcept {
    if (timers_.earliest() == clock::time_point::max()) return;
    detail::trampoline<Traits> bottom{executor_ref(*this)};
    timers_.expire(clock::now());
    bottom.run();
  }

  /// Moves what was posted to ready_, oldest first; sleeps until there is something.
  void take() noexcept {
    work_item* newest = posted_.exchange(nullptr, std::memory_order_acquire);  // E1 observe
    while (newest == nullptr) {
      expire();
      if (posted_.compare_exchange_strong(
              newest, asleep(),
              std::memory_order_relaxed,     // relaxed: publishes nothing
              std::memory_order_relaxed)) {  // relaxed: taken by the exchange below
        const bool woken = parker_.park_until(timers_.sleeps_until());
        if (!woken && !take_mark()) parker_.park();
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
  driver timers_{*this};
  unsigned turn_ = 0;  // the runner's
  work_list ready_;    // the runner's
  work_item asleep_;
  work_item finish_;
};

using run_loop = basic_run_loop<default_traits>;

}  // namespace millrace
