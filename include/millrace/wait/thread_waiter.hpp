// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <type_traits>
#include <utility>

#include <millrace/wait/clock.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/waiter.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace::detail {

/// A waiter, Base, that is a thread: an executor for one item, which wakes the thread instead of running it.
///
/// Lifetime   lies on the blocked thread's stack; gone as soon as it no longer blocks.
template <class Base, class Traits>
class thread_waiter : public Base {
 public:
  template <class... Args>
  explicit thread_waiter(Args&&... args) noexcept : Base(std::forward<Args>(args)...) {
    this->home = executor_ref(*this);
  }

  /// Called by the waker, through home.
  void post(work_item&) noexcept { parker_.unpark(); }  // *this may be gone from here on

  /// Sleeps until the waker has completed this waiter.
  void block() noexcept {
    parker_.park();
    this->probe.read();
  }

  /// As block(), but no longer than until that time: false.
  bool block_until(std::chrono::steady_clock::time_point time) noexcept {
    if (!parker_.park_until(time)) return false;
    this->probe.read();
    return true;
  }

 private:
  typename Traits::parker parker_;
};

}  // namespace millrace::detail
