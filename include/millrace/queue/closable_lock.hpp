// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/backoff.hpp>

namespace millrace::detail {

/// A spin lock that also says whether what it guards is closed: the last unlock by who closes says so. So who
/// hears it may destroy the lock.
///
/// Threads     any thread may call any operation.
/// Progress    for a few instructions, as spin_lock. is_closed() is wait-free.
template <class Traits>
class closable_lock {
  // word_ = {locked, closed}
  //
  // E1  unlock -> lock   what the lock guards; and to who sees `closed`.

 public:
  bool is_closed() const noexcept {
    return (word_.load(std::memory_order_acquire) & closed) != 0;  // E1 observe
  }

  /// Holds the lock for a scope.
  class [[nodiscard]] guard {
   public:
    explicit guard(closable_lock& of) noexcept : word_(of.word_) {
      for (backoff<Traits> pause;; pause()) {
        found_ = word_.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
        if ((found_ & locked) != 0) continue;
        unsigned char found = found_;
        if (word_.compare_exchange_strong(found, static_cast<unsigned char>(found_ | locked),
                                          std::memory_order_acquire,     // E1 observe
                                          std::memory_order_relaxed)) {  // relaxed: who fails looks again
          return;
        }
      }
    }
    guard(const guard&) = delete;
    guard& operator=(const guard&) = delete;
    ~guard() { word_.store(found_, std::memory_order_release); }  // E1 publish: the lock may be gone

    bool is_closed() const noexcept { return (found_ & closed) != 0; }
    /// For the unlock to say.
    void close() noexcept { found_ = closed; }

   private:
    typename Traits::template atomic<unsigned char>& word_;
    unsigned char found_;
  };

 private:
  static constexpr unsigned char locked = 1;
  static constexpr unsigned char closed = 2;

  typename Traits::template atomic<unsigned char> word_{0};
};

}  // namespace millrace::detail
