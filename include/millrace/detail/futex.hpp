// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <cerrno>
#include <cstdint>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#elif __has_include(<time.h>) && !defined(_WIN32)
#include <time.h>
#elif defined(_WIN32)
extern "C" __declspec(dllimport) void __stdcall Sleep(unsigned long milliseconds);
#endif

namespace millrace::detail {

// What std::atomic's wait() and notify_one() do, and a wait with a deadline, which they do not have. All
// may wake for no reason. A wake-up uses the address only: the word may be gone.

#if defined(__linux__) && defined(SYS_futex)

struct futex_call {
  /// What the kernel takes for SYS_futex: where long has 32 bits, 68 years since the start of the machine.
  struct timespec {
    long seconds;
    long nanoseconds;
  };
  static constexpr int wait = 9 | 128;  // FUTEX_WAIT_BITSET: until a point of CLOCK_MONOTONIC; private
  static constexpr int wake = 1 | 128;  // FUTEX_WAKE; private
  static constexpr std::uint32_t any_bit = ~std::uint32_t{0};

  static bool sleep(const std::atomic<std::uint32_t>& word, std::uint32_t value,
                    const timespec* until) noexcept {
    return ::syscall(SYS_futex, &word, wait, value, until, nullptr, any_bit) == 0 || errno != ETIMEDOUT;
  }
};

/// Sleeps while word == value.
inline void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t value) noexcept {
  futex_call::sleep(word, value, nullptr);
}

/// As futex_wait(), until a point of the steady clock. False: that has passed.
template <class TimePoint>
bool futex_wait_until(const std::atomic<std::uint32_t>& word, std::uint32_t value,
                      TimePoint deadline) noexcept {
  static_assert(
      TimePoint::clock::is_steady && TimePoint::period::num == 1 && TimePoint::period::den == 1'000'000'000,
      "the steady clock of this standard library is not CLOCK_MONOTONIC in nanoseconds");
  const auto ticks = deadline.time_since_epoch().count();
  constexpr auto most = static_cast<unsigned long>(-1) / 2;
  if (ticks < 0) return futex_wait_until(word, value, TimePoint());
  if (static_cast<std::uint64_t>(ticks / 1'000'000'000) > most || deadline == TimePoint::max()) {
    futex_wait(word, value);
    return true;
  }
  const futex_call::timespec until{static_cast<long>(ticks / 1'000'000'000),
                                   static_cast<long>(ticks % 1'000'000'000)};
  return futex_call::sleep(word, value, &until);
}

inline void futex_wake_one(std::atomic<std::uint32_t>& word) noexcept {
  ::syscall(SYS_futex, &word, futex_call::wake, 1, nullptr, nullptr, 0);
}

#else

inline void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t value) noexcept {
  word.wait(value, std::memory_order_relaxed);  // relaxed: the caller looks again
}

/// Sleeps in naps of at most a millisecond, and so may wake that much too late.
template <class TimePoint>
bool futex_wait_until(const std::atomic<std::uint32_t>& word, std::uint32_t value,
                      TimePoint deadline) noexcept {
  if (deadline == TimePoint::max()) {
    futex_wait(word, value);
    return true;
  }
  if (word.load(std::memory_order_relaxed) != value) return true;  // relaxed: the caller looks again
  const auto now = TimePoint::clock::now();
  if (now >= deadline) return false;
#if defined(_WIN32)
  ::Sleep(1);
#else
  constexpr auto millisecond = TimePoint::period::den / TimePoint::period::num / 1000;
  const auto left = (deadline - now).count();
  const ::timespec nap{0, left < millisecond ? static_cast<long>(1'000'000 * left / millisecond) : 1'000'000};
  ::nanosleep(&nap, nullptr);
#endif
  return true;
}

inline void futex_wake_one(std::atomic<std::uint32_t>& word) noexcept {
  word.notify_one();
}

#endif

}  // namespace millrace::detail
