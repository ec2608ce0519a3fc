// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <thread>

#include <millrace/detail/atomic.hpp>
#include <millrace/wait/timer_service.hpp>
#include <millrace/wait/trampoline.hpp>

namespace millrace {

/// The timers of those who wait under no executor that has any: a thread of the library's own, started
/// when it is first asked for.
///
/// Threads     any thread may call anything.
/// Resumption  its thread runs no executor's work: a coroutine that has no executor either is resumed on
///             it, once the timers that are due have been fired, and delays those that come.
/// Lifetime    for ever: the thread is detached, and what it uses is never destroyed. What it still has
///             to fire when main() returns may be fired or not.
template <class Traits>
class basic_timer_thread final : public detail::timer_driver<Traits> {
 public:
  /// Errors: std::system_error where the thread cannot be started, std::bad_alloc; the next call tries
  /// again.
  static timer_service& get() {
    static basic_timer_thread* const only = new basic_timer_thread;  // reachable, for leak checkers
    return *only;
  }

 private:
  using clock = timer_node::clock;

  basic_timer_thread() {
    std::thread([this] { run(); }).detach();
  }
  ~basic_timer_thread() = default;

  typename Traits::parker* sleeps_too_long() noexcept override { return &parker_; }

  [[noreturn]] void run() noexcept {
    detail::trampoline<Traits> bottom;
    for (;;) {
      this->expire();
      bottom.run();
      parker_.park_until(this->sleeps_until());
    }
  }

  typename Traits::parker parker_;
};

using timer_thread = basic_timer_thread<default_traits>;

}  // namespace millrace
