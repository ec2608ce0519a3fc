// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/wait/clock.hpp>
#include <millrace/wait/modifiers.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/operation.hpp>
#include <millrace/wait/timer.hpp>
#include <millrace/wait/timer_service.hpp>
#include <millrace/wait/timers_of.hpp>
#include <millrace/wait/waiter.hpp>

namespace millrace {

namespace detail {

/// Waits for a point in time (see step.hpp).
class after_step {
  using clock = std::chrono::steady_clock;

 public:
  using traits = default_traits;
  using result_type = op_status;

  explicit after_step(clock::duration span) noexcept : span_(span) {}
  after_step(after_step&& other) noexcept : span_(other.span_) {}  // it has not begun

  bool attempt_fast() const noexcept { return attempt(); }
  bool attempt() const noexcept { return span_ <= clock::duration::zero(); }
  bool park(waiter<traits>& w) noexcept {
    timer_.sleeper = &w;
    timer_.fire = [](timer_node* node) noexcept {
      waiter<traits>& sleeper = *static_cast<timer*>(node)->sleeper;
      if (sleeper.take()) wake(sleeper);  // *node may be gone from here on
    };
    timers_ = &timers_of(w.home);
    timer_.deadline = timers_->now() + span_;
    timers_->add(timer_);
    return true;
  }
  const void* parks_at() const noexcept { return this; }
  bool withdraw(waiter<traits>&) noexcept {
    if (timers_ == nullptr) return false;
    std::exchange(timers_, nullptr)->remove(timer_);
    return true;
  }
  void refuse(op_status why) noexcept { status_ = why; }
  op_status take_result() noexcept { return status_; }

 private:
  struct timer : timer_node {
    waiter<traits>* sleeper;
  };

  clock::duration span_;
  timer timer_;
  timer_service* timers_ = nullptr;
  op_status status_ = op_status::ok;
};

}  // namespace detail

/// Operation -> op_status: completes so long after it was run. In a select, a limit for the other operations;
/// alone, a pause.
///
/// Threads     see operation.
/// Resumption  see operation; a coroutine without an executor resumes on the timer thread.
/// Errors      where the timer thread has to be started and cannot be, the program ends.
/// Complexity  as basic_timer_queue; allocates nothing.
template <class Rep, class Period>
auto after(std::chrono::duration<Rep, Period> span) noexcept {
  using step = detail::after_step;
  return operation<step>(std::in_place_type<step>, detail::saturated(span));
}

/// As after(), for who only sleeps: co_await sleep_for(10ms).
template <class Rep, class Period>
auto sleep_for(std::chrono::duration<Rep, Period> span) noexcept {
  return after(span);
}

}  // namespace millrace
