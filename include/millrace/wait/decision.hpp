// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <millrace/detail/atomic.hpp>
#include <millrace/wait/op_status.hpp>

namespace millrace::detail {

template <class Traits>
struct waiter;

/// Decides what ends a sleep that several things may end: a delivery at one of several queues, a stop, a
/// deadline. Lies beside its owner, the waiter of the operation.
///
/// Threads     the owner begins and arms; any thread takes.
/// Progress    wait-free.
/// Lifetime    concluded, it may be gone: conclude() is the last touch.
template <class Traits>
class decision {
  // taken_:    false --take--> true. The one that took it ends the sleep: a deliverer under its queue's
  //            lock, before it touches the waiter; a stop, a deadline, or the owner itself. The others
  //            leave the waiter alone, listed or not.
  // arrived_:  false --arm, or conclude--> true. Of the owner, who has registered everything, and the
  //            taker, who has done his part, the second settles: takes back what is still registered.
  //            If that is the taker, he then wakes the owner; else the owner need not sleep.
  //
  // So nothing is settled while the owner still registers, and nobody but the owner touches the operation
  // once it is resumed. A queue that is being destroyed waits until the waiters that were taken by others
  // are withdrawn, which their takers do without waiting for anybody.
  //
  // E1  arm <-> conclude   what the owner registered; what the taker delivered and said.

 public:
  /// For the owner, while nobody else knows it: `settle` takes back all that is registered, and says who
  /// the owner is.
  using settle_function = waiter<Traits>& (*)(decision&) noexcept;
  void begin(settle_function settle) noexcept {
    settle_ = settle;
    reset();
  }

  /// For the owner, once nothing is registered any more that could take it.
  void reset() noexcept {
    probe_.write();
    winner_ = nullptr;
    how_ = op_status::ok;
    taken_.store(false, std::memory_order_relaxed);    // relaxed: nobody else knows us
    arrived_.store(false, std::memory_order_relaxed);  // relaxed: nobody else knows us
  }

  /// True: the caller ends the sleep.
  bool take() noexcept {
    return !taken_.exchange(true, std::memory_order_relaxed);  // relaxed: decides; E1 carries the rest
  }

  /// For who took it, at the very end: `winner` has been served, or nullptr and why.
  void conclude(waiter<Traits>* winner, op_status how) noexcept {
    probe_.write();
    winner_ = winner;
    how_ = how;
    if (arrived_.load(std::memory_order_acquire) ||            // E1 observe: mostly, the owner came long ago
        arrived_.exchange(true, std::memory_order_acq_rel)) {  // E1 publish, E1 observe
      dispatch(settle_(*this));
    }
  }

  /// For the owner, once all is registered: true where it need not sleep, and all is settled; else *this
  /// may be gone.
  bool arm() noexcept {
    if (!arrived_.exchange(true, std::memory_order_acq_rel)) return false;  // E1 publish, E1 observe
    settle_(*this);
    return true;
  }

  /// Once it is concluded: who was served; null: nobody.
  waiter<Traits>* winner() const noexcept {
    probe_.read();
    return winner_;
  }
  /// Once it is concluded: ok, where somebody was served; else why the sleep ended.
  op_status how() const noexcept {
    probe_.read();
    return how_;
  }

 private:
  settle_function settle_;
  waiter<Traits>* winner_;
  typename Traits::template atomic<bool> taken_{false};
  typename Traits::template atomic<bool> arrived_{false};
  op_status how_;
  [[no_unique_address]] typename Traits::probe probe_;
};

}  // namespace millrace::detail
