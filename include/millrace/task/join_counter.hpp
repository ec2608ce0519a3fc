// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cassert>
#include <cstddef>
#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/operation.hpp>
#include <millrace/wait/waiter.hpp>

namespace millrace::detail {

/// Counts what is in progress, and lets one waiter wait until nothing is.
///
/// Threads    any thread adds and ends; one waiter at a time.
/// Progress   lock-free.
/// Lifetime   may be destroyed as soon as the wait is over: the end() that made it so is past its
///            last touch.
template <class Traits>
class join_counter {
  // word_ = 2 * in progress + (a waiter is parked)
  //
  //   {n, 0} --park--> {n, 1}                     n > 0; the waiter belongs to the last end()
  //   {n, w} --end---> {n-1, w}                   n > 1
  //   {1, 1} --end---> {0, 1} --reset--> {0, 0}   that end() then wakes the waiter
  //   {n, 1} --withdraw--> {n, 0}                 n > 0
  //
  // E1  end -> join    what the ended work wrote.
  // E2  park -> end    the parked waiter.
  // E3  reset -> park  that the last wait's waiter is forgotten.

 public:
  using traits = Traits;

  void begin() noexcept {
    word_.fetch_add(2, std::memory_order_relaxed);  // relaxed: who begins work has not ended his own
  }

  void end() noexcept {
    if (word_.fetch_sub(2, std::memory_order_acq_rel) == 3) {  // E1 publish, E2 observe
      waiter<Traits>& w = *waiter_;
      word_.store(0, std::memory_order_release);  // E1 publish, E3 publish
      wake(w);                                    // *this may be gone from here on
    }
  }

  progress park(waiter<Traits>* w) noexcept {
    std::size_t word = word_.load(std::memory_order_acquire);  // E1 observe
    for (;;) {
      if (word < 2) return settled(word);
      if (w == nullptr) return progress::must_wait;
      assert((word & 1) == 0 && "millrace: two waiters wait for the same work to end");
      waiter_ = w;
      w->probe.write();
      if (word_.compare_exchange_weak(word, word | 1,
                                      std::memory_order_release,    // E2 publish: *w may be gone
                                      std::memory_order_acquire)) {  // E1 observe
        return progress::parked;
      }
    }
  }

  bool withdraw() noexcept {
    std::size_t word = word_.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
    do {
      if (word < 2 || (word & 1) == 0) return false;
    } while (!word_.compare_exchange_weak(
        word, word & ~std::size_t{1},
        std::memory_order_relaxed,    // relaxed: nothing is handed over
        std::memory_order_relaxed));  // relaxed: only counts
    return true;
  }

  bool idle() const noexcept {
    return word_.load(std::memory_order_relaxed) < 2;  // relaxed: a snapshot
  }

 private:
  progress settled(std::size_t word) noexcept {
    while (word == 1) {  // the last end() is on its way to another waiter's wake
      Traits::yield();
      word = word_.load(std::memory_order_acquire);  // E1 observe, E3 observe
    }
    return progress::completed;
  }

  typename Traits::template atomic<std::size_t> word_{0};
  waiter<Traits>* waiter_ = nullptr;  // handed over by E2
};

/// Waits for a join_counter. `Owner::joined()` runs once at the end and may throw.
template <class Owner>
class join_step {
 public:
  using traits = typename Owner::traits;
  using result_type = op_status;

  explicit join_step(Owner& owner) noexcept : owner_(&owner) {}

  bool attempt_fast() noexcept { return attempt(nullptr) == progress::completed; }
  progress attempt(waiter<traits>* w) noexcept { return owner_->counter().park(w); }
  bool withdraw(waiter<traits>&) noexcept { return owner_->counter().withdraw(); }
  op_status take_result() noexcept(noexcept(std::declval<Owner&>().joined())) {
    owner_->joined();
    return op_status::ok;
  }

 private:
  Owner* owner_;
};

}  // namespace millrace::detail
