// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>

#include <millrace/detail/backoff.hpp>

namespace millrace::detail {

/// A lock for a few instructions: no thread sleeps, allocates or runs user code while it holds one.
template <class Traits>
class spin_lock {
  // E1  unlock -> lock   what the lock guards.
 public:
  void lock() noexcept {
    backoff<Traits> pause;
    while (locked_.exchange(true, std::memory_order_acquire)) pause();  // E1 observe
  }
  void unlock() noexcept { locked_.store(false, std::memory_order_release); }  // E1 publish

 private:
  typename Traits::template atomic<bool> locked_{false};
};

/// Holds a lock for a scope: std::lock_guard, without <mutex>.
template <class Lock>
class [[nodiscard]] lock_guard {
 public:
  explicit lock_guard(Lock& lock) noexcept : lock_(lock) { lock_.lock(); }
  lock_guard(const lock_guard&) = delete;
  lock_guard& operator=(const lock_guard&) = delete;
  ~lock_guard() { lock_.unlock(); }

 private:
  Lock& lock_;
};

}  // namespace millrace::detail
