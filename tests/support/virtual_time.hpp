// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>

#include <millrace/detail/atomic.hpp>
#include <millrace/wait/timer_service.hpp>
#include <millrace/wait/work_item.hpp>

#include "support/manual_executor.hpp"

namespace support {

/// A manual_executor whose time passes where it is told to. For one thread.
class virtual_time : public manual_executor {
 public:
  using duration = std::chrono::steady_clock::duration;

  millrace::timer_service* timers() noexcept { return &timers_; }

  /// Since the beginning.
  duration elapsed() const noexcept { return timers_.now().time_since_epoch(); }

  /// Runs all that is posted, but lets no time pass.
  void run() noexcept {
    while (run_one()) {
    }
  }
  /// Runs all that is due in this span, each at its time.
  void advance(duration span) noexcept {
    run();
    const auto end = timers_.now() + span;
    while (timers_.earliest() <= end) {
      timers_.pass(timers_.earliest());
      run();
    }
    timers_.pass(end);
  }

 private:
  class manual_timers final : public millrace::detail::timer_driver<millrace::default_traits> {
   public:
    clock::time_point now() const noexcept override { return now_; }
    clock::time_point roughly_now() const noexcept override { return now_; }
    void pass(clock::time_point until) noexcept {
      now_ = until;
      this->expire(until);
    }

   private:
    parker* sleeps_too_long() noexcept override { return nullptr; }
    clock::time_point now_{};
  };

  manual_timers timers_;
};

}  // namespace support
