// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <cstdint>

#include <millrace/detail/cache_line.hpp>
#include <millrace/detail/spin_lock.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace::detail {

/// A FIFO of work items that one thread mostly owns and others may take from.
///
/// Threads     any thread may call anything.
/// Progress    a spin lock for a few instructions.
/// Complexity  constant; steal_into: linear in what it moves.
template <class Traits>
class alignas(cache_line) shared_work_list {
 public:
  void push(work_item& item) noexcept {
    push(item, [] { return nullptr; });
  }

  /// Also calls then(), under the lock: until it has returned, nobody can take the item.
  template <class Then>
  auto push(work_item& item, Then then) noexcept {
    const lock_guard guard(lock_);
    list_.push_back(item);
    count(pushed_, 1);
    return then();
  }

  /// The oldest item, or null.
  work_item* pop() noexcept {
    if (looks_empty()) return nullptr;
    return pop_now();
  }

  /// As pop(), but an item whose push happens-before is certain to be seen: it takes the lock first.
  work_item* pop_now() noexcept {
    const lock_guard guard(lock_);
    if (list_.empty()) return nullptr;
    count(popped_, 1);
    return &list_.pop_front();
  }

  /// Moves the older half of the items, and always one where there is one, to `to`.
  void steal_into(shared_work_list& to) noexcept {
    work_list loot;
    std::uint64_t moved = 0;
    {
      const lock_guard guard(lock_);
      for (std::uint64_t left = (pushed() - popped() + 1) / 2; moved < left; ++moved) {
        loot.push_back(list_.pop_front());
      }
      count(popped_, moved);
    }
    const lock_guard guard(to.lock_);
    while (!loot.empty()) to.list_.push_back(loot.pop_front());
    count(to.pushed_, moved);
  }

  /// Snapshots: how many items were ever pushed and popped.
  std::uint64_t pushed() const noexcept {
    return pushed_.load(std::memory_order_relaxed);  // relaxed: a hint; the lock orders the items
  }
  std::uint64_t popped() const noexcept {
    return popped_.load(std::memory_order_relaxed);  // relaxed: a hint; the lock orders the items
  }
  bool looks_empty() const noexcept { return pushed() == popped(); }

 private:
  using counter = typename Traits::template atomic<std::uint64_t>;

  static void count(counter& c, std::uint64_t n) noexcept {
    c.store(c.load(std::memory_order_relaxed) + n,  // relaxed: written under the lock only
            std::memory_order_relaxed);             // relaxed: a hint for who reads without it
  }

  spin_lock<Traits> lock_;
  work_list list_;
  counter pushed_{0};
  counter popped_{0};
};

}  // namespace millrace::detail
