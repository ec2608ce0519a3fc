// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <cstdint>

#include <millrace/detail/biased_lock.hpp>
#include <millrace/detail/cache_line.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace::detail {

/// A FIFO of work items that belongs to one thread, and from which others may take.
///
/// Threads     push(), pop() and steal() are its owner's; any thread may call the others, and be stolen from.
/// Progress    the owner's: wait-free, as long as nobody takes anything; the others, and the owner for a while
///             after that, take a spin lock for a few instructions.
/// Complexity  constant, and no locked instruction for the owner (see biased_lock); steal: linear in what it moves.
template <class Traits>
class alignas(cache_line) owned_work_list {
  // The edges are biased_lock's: its E1 and E2 carry the list.

 public:
  void push(work_item& item) noexcept {
    inside([&] {
      list_.push_back(item);
      count(pushed_, 1);
    });
  }

  /// The oldest item, or null.
  work_item* pop() noexcept {
    if (looks_empty()) return nullptr;  // only its owner adds to it
    work_item* item = nullptr;
    inside([&] { item = pop_locked(); });
    return item;
  }

  /// Moves the older half of the items of `victim`, and always one where there is one, to this list.
  void steal(owned_work_list& victim) noexcept {
    work_list loot;
    std::uint64_t moved = 0;
    victim.lock_.lock();
    for (std::uint64_t left = (victim.pushed() - victim.popped() + 1) / 2; moved < left; ++moved) {
      loot.push_back(victim.list_.pop_front());
    }
    count(victim.popped_, moved);
    victim.lock_.unlock(0);
    inside([&] {
      while (!loot.empty()) list_.push_back(loot.pop_front());
      count(pushed_, moved);
    });
  }

  /// For any thread: the oldest item, or null. Of an item that it does not see, the owner's push() sees what
  /// came before this call.
  work_item* take() noexcept {
    lock_.lock();
    work_item* const item = pop_locked();
    lock_.unlock(0);
    return item;
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

  template <class F>
  void inside(F f) noexcept {
    if (lock_.enter(owner_)) {
      f();
      lock_.leave(owner_);
    } else {
      lock_.lock();
      f();
      lock_.unlock(0);
    }
  }

  work_item* pop_locked() noexcept {
    if (list_.empty()) return nullptr;
    count(popped_, 1);
    return &list_.pop_front();
  }

  static void count(counter& c, std::uint64_t n) noexcept {
    c.store(c.load(std::memory_order_relaxed) + n,  // relaxed: written under the lock only
            std::memory_order_relaxed);             // relaxed: a hint for who reads without it
  }

  bias_owner<Traits> owner_;
  biased_lock<Traits> lock_{owner_, Traits::rebias_list_after};
  work_list list_;
  counter pushed_{0};
  counter popped_{0};
};

}  // namespace millrace::detail
