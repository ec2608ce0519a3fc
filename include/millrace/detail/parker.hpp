// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <cstdint>

#include <millrace/detail/cpu.hpp>

namespace millrace::detail {

/// Puts one thread to sleep until another one wakes it. One wake-up is remembered.
///
/// Threads    one thread parks; any thread unparks.
/// Progress   unpark() is wait-free but for the system call that wakes a sleeper.
/// Ordering   what precedes unpark() happens-before the return of the park() that it ends.
/// Lifetime   the parked thread may destroy the parker as soon as park() has returned: unpark()
///            then uses its address, never its content (what P2616 asks of atomic notification,
///            and what every implementation does).
class parker {
  // state_:  idle --unpark--> token --park--> idle
  //          idle --park, after spinning--> asleep --unpark--> token
  //
  // E1  unpark -> park   all that the waking thread did before.
 public:
  /// Returns once unpark() has been called: spins a few microseconds, then sleeps.
  void park() noexcept {
    for (int turn = 0; turn < spins; ++turn) {
      if (state_.load(std::memory_order_relaxed) == token) break;  // relaxed: settled by E1 below
      cpu_pause();
    }
    std::uint32_t found = idle;
    if (state_.compare_exchange_strong(found, asleep,
                                       std::memory_order_relaxed,    // relaxed: carries nothing
                                       std::memory_order_relaxed)) {  // relaxed: settled by E1 below
      state_.wait(asleep, std::memory_order_relaxed);  // relaxed: settled by E1 below
    }
    state_.exchange(idle, std::memory_order_acquire);  // E1 observe
  }

  /// Ends the park() that is in progress, or else the next one.
  void unpark() noexcept {
    // *this may be gone from here on: only its address is used below.
    if (state_.exchange(token, std::memory_order_release) == asleep) {  // E1 publish
      state_.notify_one();
    }
  }

 private:
  static constexpr std::uint32_t idle = 0, token = 1, asleep = 2;
  static constexpr int spins = 64;

  std::atomic<std::uint32_t> state_{idle};
};

}  // namespace millrace::detail
