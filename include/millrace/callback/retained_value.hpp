// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/spin_lock.hpp>

namespace millrace::detail {

/// A message that a topic retains, and the how-many-th this was.
template <class T>
struct retained_message {
  explicit retained_message(const T& m) : message(m) {}
  const T message;
  std::uint64_t number = 0;
};

template <class T>
using retained_pointer = std::shared_ptr<const retained_message<T>>;

/// The last message of a topic.
///
/// Threads     any.
/// Progress    a spin lock for a few instructions; messages are copied and destroyed outside.
template <class T>
class retained_value {
 public:
  /// Errors: std::bad_alloc, or what copying throws, with nothing done.
  retained_pointer<T> keep(const T& message) {
    const auto fresh = std::make_shared<retained_message<T>>(message);
    retained_pointer<T> old = fresh;
    const lock_guard guard(lock_);
    fresh->number = ++count_;
    last_.swap(old);
    return fresh;
  }
  /// Null: there was none.
  retained_pointer<T> last() noexcept {
    const lock_guard guard(lock_);
    return last_;
  }

 private:
  spin_lock<default_traits> lock_;
  std::uint64_t count_ = 0;
  retained_pointer<T> last_;
};

/// Between a topic that retains and a new listener of it: the last message comes first, on the thread that
/// subscribes, then all that have a higher number, once each, and none of the others.
///
/// Threads     one opens it, any may come through.
/// Progress    a mutex until it is open; no user code runs under it. Wait-free then.
/// Ordering    what comes before it is open waits for the opener, in the order in which it came. So open()
///             returns when the listener has caught up.
template <class T>
class retained_gate {
  // The listener is listed before the opener looks for the last message, #k. What it cannot see was stored before,
  // so has a number <= k; what has a number > k sees the listener, and comes here.
  //
  // E1  open -> pass   k; and that the listener has returned.

 public:
  /// Whether the caller is to call the listener with it. Errors: std::bad_alloc; then it is lost for it.
  bool passes(const retained_pointer<T>& one) {
    if (is_open_.load(std::memory_order_acquire)) return one->number > last_;  // E1 observe
    const std::lock_guard guard(mutex_);
    if (is_open_.load(std::memory_order_relaxed)) return one->number > last_;  // relaxed: the mutex
    waiting_.push_back(one);
    return false;
  }

  /// call(message) for the last one and for what has come meanwhile, then opens, unless call() throws.
  template <class Call>
  void open(retained_value<T>& of, Call call) {
    {
      const retained_pointer<T> last = of.last();
      if (last != nullptr) {
        last_ = last->number;
        call(last->message);
      }
    }
    for (;;) {
      std::vector<retained_pointer<T>> batch;
      {
        const std::lock_guard guard(mutex_);
        if (waiting_.empty()) {
          is_open_.store(true, std::memory_order_release);  // E1 publish
          return;
        }
        batch.swap(waiting_);
      }
      for (const retained_pointer<T>& one : batch) {
        if (one->number > last_) call(one->message);
      }
    }
  }

 private:
  default_traits::atomic<bool> is_open_{false};
  std::uint64_t last_ = 0;
  std::mutex mutex_;
  std::vector<retained_pointer<T>> waiting_;
};

}  // namespace millrace::detail
