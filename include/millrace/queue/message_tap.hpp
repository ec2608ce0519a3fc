// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <memory>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/macros.hpp>

namespace millrace::detail {

/// Sees messages without taking them.
template <class T>
class message_tap {
 public:
  virtual ~message_tap() = default;
  virtual void observe(const T& message) noexcept = 0;
};

/// Where a queue has its tap, if there is one.
///
/// Threads     any.
/// Progress    wait-free.
/// Complexity  where there is none: a load that hits the cache, and a branch.
/// Lifetime    owns the tap, and keeps it until the queue goes.
template <class T>
class tap_point {
  // tap_ is null until the first install(), then never changes.
  //
  // E1  install -> observe   the tap.

 public:
  tap_point() noexcept = default;
  tap_point(const tap_point&) = delete;
  tap_point& operator=(const tap_point&) = delete;
  ~tap_point() { delete tap(); }

  /// Null: there is none.
  message_tap<T>* tap() const noexcept { return tap_.load(std::memory_order_acquire); }  // E1 observe

  /// Installs it, unless there is one; that which is there.
  message_tap<T>& install(std::unique_ptr<message_tap<T>> fresh) noexcept {
    message_tap<T>* found = nullptr;
    if (!tap_.compare_exchange_strong(found, fresh.get(),
                                      std::memory_order_release,     // E1 publish
                                      std::memory_order_acquire)) {  // E1 observe
      return *found;
    }
    return *fresh.release();
  }

  /// For who holds the message, and no lock. The queue is there until this returns.
  MILLRACE_ALWAYS_INLINE void observe(const T& message) const noexcept {
    if (message_tap<T>* const t = tap(); t != nullptr) [[unlikely]]
      t->observe(message);
  }

 private:
  default_traits::atomic<message_tap<T>*> tap_{nullptr};
};

}  // namespace millrace::detail
