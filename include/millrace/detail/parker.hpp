// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <cstdint>

#include <millrace/detail/cpu.hpp>
#include <millrace/detail/futex.hpp>

namespace millrace::detail {

/// Puts one thread to sleep until another one wakes it, or a deadline passes. One wake-up is remembered.
///
/// Threads    one thread parks; any thread unparks.
/// Progress   unpark() is wait-free but for the system call that wakes a sleeper.
/// Ordering   what precedes unpark() happens-before the return of the park() that it ends.
/// Lifetime   the parked thread may destroy the parker as soon as it was woken: unpark() then uses its
///            address, never its content (what P2616 asks of atomic notification, and what every
///            implementation does). If it was not woken, an unpark() may still come.
class parker {
  // state_:  idle --unpark--> token --park--> idle
  //          idle --park, after spinning--> asleep --unpark--> token
  //                                         asleep --the deadline has passed--> idle
  //
  // E1  unpark -> park   all that the waking thread did before.
 public:
  /// Returns once unpark() has been called: spins a few microseconds, then sleeps.
  void park() noexcept {
    if (falls_asleep()) {
      do {
        futex_wait(state_, asleep);
      } while (state_.load(std::memory_order_relaxed) == asleep);  // relaxed: settled by E1 below
    }
    state_.exchange(idle, std::memory_order_acquire);  // E1 observe
  }

  /// As park(), but not beyond a point of the steady clock (its max() never comes). False: that has
  /// passed, and no unpark() was used up.
  template <class TimePoint>
  bool park_until(TimePoint deadline) noexcept {
    if (falls_asleep()) {
      while (futex_wait_until(state_, asleep, deadline) &&
             state_.load(std::memory_order_relaxed) == asleep) {  // relaxed: settled by E1 below
      }
    }
    return state_.exchange(idle, std::memory_order_acquire) == token;  // E1 observe
  }

  /// Ends the park() that is in progress, or else the next one.
  void unpark() noexcept {
    // *this may be gone from here on: only its address is used below.
    if (state_.exchange(token, std::memory_order_release) == asleep) {  // E1 publish
      futex_wake_one(state_);
    }
  }

 private:
  static constexpr std::uint32_t idle = 0, token = 1, asleep = 2;
  static constexpr int spins = 64;

  /// Spins; false: there is a token by now.
  bool falls_asleep() noexcept {
    for (int turn = 0; turn < spins; ++turn) {
      if (state_.load(std::memory_order_relaxed) == token) return false;  // relaxed: settled by E1
      cpu_pause();
    }
    std::uint32_t found = idle;
    return state_.compare_exchange_strong(found, asleep,
                                          std::memory_order_relaxed,   // relaxed: carries nothing
                                          std::memory_order_relaxed);  // relaxed: settled by E1
  }

  std::atomic<std::uint32_t> state_{idle};
};

}  // namespace millrace::detail
