// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <millrace/wait/waiter.hpp>

namespace millrace::detail {

/// A waiter that is a thread: an executor for one item, which wakes the thread instead of running it.
///
/// Lifetime   lies on the blocked thread's stack; gone as soon as block() returns.
template <class Traits>
class thread_waiter : public waiter<Traits> {
 public:
  thread_waiter() noexcept { this->home = executor_ref(*this); }

  /// Called by the waker, through home.
  void post(work_item&) noexcept { parker_.unpark(); }  // *this may be gone from here on

  /// Sleeps until the waker has completed this waiter.
  void block() noexcept {
    parker_.park();
    this->probe.read();
  }

 private:
  typename Traits::parker parker_;
};

}  // namespace millrace::detail
