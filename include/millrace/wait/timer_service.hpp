// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <time.h>


#include <millrace/wait/clock.hpp>
#include <millrace/wait/timer.hpp>

namespace millrace {

namespace detail {

/// The steady clock's time, as it was some milliseconds ago at most, where the system has a clock for that.
#if defined(CLOCK_MONOTONIC_COARSE)
inline timer_node::clock::time_point coarse_time() noexcept {
  timespec at{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &at);  // fails only for clocks that there are not
  return timer_node::clock::time_point(std::chrono::seconds(at.tv_sec) +
                                       std::chrono::nanoseconds(at.tv_nsec));
}
#else
inline timer_node::clock::time_point coarse_time() noexcept {
  return timer_node::clock::now();
}
#endif

}  // namespace detail

/// Where timers are added, whoever it is that fires them: the timer thread, or an executor that has
/// timers of its own (see executor_ref::timers()).
///
/// Threads     any thread may call anything.
/// Lifetime    outlives the timers that are pending.
class timer_service {
 public:
  /// The timer will be fired once its deadline has passed. Precondition: it is not pending.
  virtual void add(timer_node& node) noexcept = 0;

  /// As basic_timer_queue::remove(): then it is neither being fired nor will be.
  virtual void remove(timer_node& node) noexcept = 0;

  /// The time by which it fires them, and from which a duration counts for who waits here.
  virtual timer_node::clock::time_point now() const noexcept { return timer_node::clock::now(); }
  /// The same, as it was some milliseconds ago at most, where that is cheaper to say: a span between two such
  /// times is right in the mean.
  virtual timer_node::clock::time_point roughly_now() const noexcept { return detail::coarse_time(); }

 protected:
  timer_service() noexcept = default;
  ~timer_service() = default;
  timer_service(const timer_service&) = delete;
  timer_service& operator=(const timer_service&) = delete;
};

namespace detail {

/// The timers of somebody who calls expire(), sleeps until sleeps_until(), and begins anew.
///
/// Progress   adding wakes the sleeper only if he would sleep past the deadline: not where timers come and
///            go that are due after the one for which he went to sleep, be that gone or not.
/// Lifetime   once the timer can be fired, add() touches nothing but the parker of a sleeper that waits for
///            it: firing the timer may lead to the end of this.
template <class Traits>
class timer_driver : public timer_service {
 public:
  using clock = timer_node::clock;
  using parker = typename Traits::parker;

  void add(timer_node& node) noexcept final {
    parker* const sleeper = queue_.add(node, [this, &node]() noexcept -> parker* {
      probe_.read();
      return node.deadline < wakes_at_ ? sleeps_too_long() : nullptr;
    });
    if (sleeper != nullptr) sleeper->unpark();  // *this may be gone, but for a sleeper's parker
  }
  void remove(timer_node& node) noexcept final { queue_.remove(node); }

  /// As those of basic_timer_queue.
  clock::time_point earliest() const noexcept { return queue_.earliest(); }
  std::size_t expire(clock::time_point now) noexcept { return queue_.expire(now); }

  /// For the driver, once he has made known that he sleeps: the earliest deadline. From now on he is
  /// woken for those before it.
  clock::time_point sleeps_until() noexcept {
    return queue_.earliest_now([this](clock::time_point deadline) noexcept {
      probe_.write();
      wakes_at_ = deadline;
    });
  }

  /// Fires what is due; reads the clock only where a timer is pending.
  void expire() noexcept {
    if (earliest() != clock::time_point::max()) expire(this->now());
  }

 protected:
  timer_driver() noexcept = default;
  ~timer_driver() = default;

 private:
  /// There is a deadline before the one that sleeps_until() last told. Called under the queue's lock:
  /// names a sleeper to wake, who does not go on before that. Null: nobody sleeps, and whoever will do so
  /// asks sleeps_until() before.
  virtual parker* sleeps_too_long() noexcept = 0;

  basic_timer_queue<Traits> queue_;
  clock::time_point wakes_at_ = clock::time_point::min();  // guarded by the queue's lock
  [[no_unique_address]] typename Traits::probe probe_;
};

}  // namespace detail

}  // namespace millrace
