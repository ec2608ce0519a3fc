// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cassert>
#include <cstddef>
#include <utility>

#include <millrace/detail/spin_lock.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/operation.hpp>
#include <millrace/wait/waiter.hpp>

namespace millrace::detail {

/// Counts what is in progress, and lets one waiter wait until nothing is.
///
/// Threads    any thread adds and ends; one waiter at a time.
/// Progress   a spin lock for a few instructions.
/// Lifetime   may be destroyed as soon as the wait is over: the last end() is past its last touch.
template <class Traits>
class join_counter {
  // lock_ guards the rest. A parked waiter belongs to the end() that brings the count to 0, or to
  // the withdraw() that comes before. Each operation's unlock is its last touch.

 public:
  using traits = Traits;

  void begin() noexcept {
    const lock_guard guard(lock_);
    probe_.write();
    ++in_progress_;
  }

  void end() noexcept {
    waiter<Traits>* w = nullptr;
    {
      const lock_guard guard(lock_);
      probe_.write();
      if (--in_progress_ == 0) w = std::exchange(waiter_, nullptr);
    }
    if (w != nullptr) wake(*w);
  }

  /// Parks w (a null w never waits) unless nothing is in progress.
  progress park(waiter<Traits>* w) noexcept {
    const lock_guard guard(lock_);
    probe_.write();
    if (in_progress_ == 0) return progress::completed;
    if (w == nullptr) return progress::must_wait;
    assert(waiter_ == nullptr && "millrace: two waiters wait for the same work to end");
    w->probe.write();
    waiter_ = w;
    return progress::parked;
  }

  bool withdraw() noexcept {
    const lock_guard guard(lock_);
    probe_.write();
    return std::exchange(waiter_, nullptr) != nullptr;
  }

  /// A snapshot.
  bool idle() noexcept {
    const lock_guard guard(lock_);
    probe_.read();
    return in_progress_ == 0;
  }

 private:
  spin_lock<Traits> lock_;
  std::size_t in_progress_ = 0;
  waiter<Traits>* waiter_ = nullptr;
  [[no_unique_address]] typename Traits::probe probe_;
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
