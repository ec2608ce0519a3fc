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
      if (--in_progress_ == 0 && waiter_ != nullptr && waiter_->take()) w = std::exchange(waiter_, nullptr);
    }
    if (w != nullptr) wake(*w);
  }

  /// Parks w; false: nothing is in progress.
  bool park(waiter<Traits>& w) noexcept {
    const lock_guard guard(lock_);
    probe_.write();
    if (in_progress_ == 0) return false;
    assert(waiter_ == nullptr && "millrace: two waiters wait for the same work to end");
    w.probe.write();
    waiter_ = &w;
    return true;
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

/// Waits for a join_counter. `Owner::joined()` runs once at the end, and may throw. No ambient stop ends it: who
/// stops still has to wait for what runs.
template <class Owner>
class join_step {
 public:
  using traits = typename Owner::traits;
  using result_type = op_status;
  static constexpr bool ignores_ambient_stop = true;

  explicit join_step(Owner& owner) noexcept : owner_(&owner) {}

  bool attempt_fast() noexcept { return attempt(); }
  bool attempt() noexcept { return owner_->counter().idle(); }
  bool park(waiter<traits>& w) noexcept { return owner_->counter().park(w); }
  const void* parks_at() const noexcept { return owner_; }
  bool withdraw(waiter<traits>&) noexcept { return owner_->counter().withdraw(); }
  void refuse(op_status why) noexcept { status_ = why; }
  op_status take_result() noexcept(noexcept(std::declval<Owner&>().joined())) {
    if (status_ == op_status::ok) owner_->joined();
    return status_;
  }

 private:
  Owner* owner_;
  op_status status_ = op_status::ok;
};

}  // namespace millrace::detail
