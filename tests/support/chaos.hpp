// SPDX-License-Identifier: BSL-1.0
#pragma once

// Traits under which threads are stopped at the worst moments: a delay may come before and after every
// atomic operation, so that what usually takes nanoseconds takes, now and then, a time slice.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/cpu.hpp>

namespace support {

/// A random number for this thread alone (xorshift): threads that draw share nothing.
inline std::uint32_t thread_random() noexcept {
  static std::atomic<std::uint64_t> threads{0};
  thread_local std::uint64_t state = 0x9e3779b97f4a7c15u * (2 * threads.fetch_add(1) + 1);
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return static_cast<std::uint32_t>(state >> 32);
}

namespace chaos {

/// Delays the calling thread now and then: by up to 64 pauses, seldom by a yield, very seldom by a sleep.
inline void disturb() noexcept {
  const std::uint32_t random = thread_random();
  if (random % 32 != 0) return;
  const std::uint32_t which = (random >> 5) % 1024;
  if (which == 0) {
    std::this_thread::sleep_for(std::chrono::microseconds(1));
  } else if (which < 128) {
    millrace::detail::cpu_yield();
  } else {
    for (std::uint32_t i = which % 64; i != 0; --i) millrace::detail::cpu_pause();
  }
}

/// std::atomic with delays, whose weak compare-exchange fails one time in eight without a cause.
template <class T>
class atomic {
  struct disturbed {
    disturbed() noexcept { disturb(); }
    disturbed(const disturbed&) = delete;
    disturbed& operator=(const disturbed&) = delete;
    ~disturbed() { disturb(); }
  };

 public:
  constexpr atomic() noexcept = default;
  constexpr atomic(T value) noexcept : word_(value) {}  // NOLINT: as std::atomic
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;

  T load(std::memory_order order) const noexcept {
    const disturbed around;
    return word_.load(order);
  }
  void store(T value, std::memory_order order) noexcept {
    const disturbed around;
    word_.store(value, order);
  }
  T exchange(T value, std::memory_order order) noexcept {
    const disturbed around;
    return word_.exchange(value, order);
  }
  T fetch_add(T value, std::memory_order order) noexcept {
    const disturbed around;
    return word_.fetch_add(value, order);
  }
  T fetch_sub(T value, std::memory_order order) noexcept {
    const disturbed around;
    return word_.fetch_sub(value, order);
  }
  bool compare_exchange_strong(T& found, T wanted, std::memory_order success,
                               std::memory_order failure) noexcept {
    const disturbed around;
    return word_.compare_exchange_strong(found, wanted, success, failure);
  }
  bool compare_exchange_weak(T& found, T wanted, std::memory_order success,
                             std::memory_order failure) noexcept {
    const disturbed around;
    if (thread_random() % 8 == 0) {
      found = word_.load(failure);
      return false;
    }
    return word_.compare_exchange_weak(found, wanted, success, failure);
  }

 private:
  std::atomic<T> word_;
};

}  // namespace chaos

struct chaos_traits : millrace::default_traits {
  template <class T>
  using atomic = chaos::atomic<T>;
};

/// Tickets of full width that wrap around after about a thousand operations, however many bits of the word
/// are flags.
template <class Traits>
struct near_wrap : Traits {
  static constexpr typename Traits::ticket first_ticket = ~typename Traits::ticket{0} - 1000;
};

/// Segments of two cells: every other operation changes the segment.
template <class Traits>
struct tiny_segments : Traits {
  template <std::size_t>
  static constexpr std::size_t segment_cells = 2;
};

}  // namespace support
