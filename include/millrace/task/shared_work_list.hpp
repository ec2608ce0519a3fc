// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>

#include <millrace/detail/cache_line.hpp>
#include <millrace/detail/spin_lock.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace::detail {

/// A FIFO of work items that any thread adds to and takes from.
///
/// Threads     any thread may call anything.
/// Progress    a spin lock for a few instructions.
/// Complexity  constant.
template <class Traits>
class alignas(cache_line) shared_work_list {
 public:
  /// Also calls then(), under the lock: until it has returned, nobody can take the item.
  template <class Then>
  auto push(work_item& item, Then then) noexcept {
    const lock_guard guard(lock_);
    list_.push_back(item);
    is_empty_.store(false, std::memory_order_relaxed);  // relaxed: a hint; the lock orders the items
    return then();
  }

  /// The oldest item, or null.
  work_item* pop() noexcept {
    if (is_empty_.load(std::memory_order_relaxed)) return nullptr;  // relaxed: a hint
    return pop_now();
  }

  /// As pop(), but an item whose push happens-before is certain to be seen: it takes the lock first.
  work_item* pop_now() noexcept {
    const lock_guard guard(lock_);
    if (list_.empty()) return nullptr;
    work_item& item = list_.pop_front();
    is_empty_.store(list_.empty(), std::memory_order_relaxed);  // relaxed: a hint
    return &item;
  }

 private:
  spin_lock<Traits> lock_;
  work_list list_;
  typename Traits::template atomic<bool> is_empty_{true};
};

}  // namespace millrace::detail
