// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <millrace/callback/subscribe_options.hpp>
#include <millrace/detail/backoff.hpp>
#include <millrace/detail/spin_lock.hpp>
#include <millrace/wait/waiter.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace::detail {

/// Where one that waits for the next publication is given the arguments: the place of its waiter.
template <class... Args>
struct next_slot {
  void (*deliver)(next_slot& self, passed_argument<Args>... args) noexcept;
};

/// Who waits for the next publication of a registry.
///
/// Threads     any.
/// Progress    exist() is wait-free; the others take a spin lock for as many steps as there are waiters.
/// Lifetime    close() returns when nobody but those that it has taken can touch this.
template <class Traits>
class next_waiters {
  // listed under lock_ --take_all, close--> the publication, or the registry's destructor, that wakes it
  //                    --withdraw--> its owner again
  //
  // One that a stop, a deadline or another branch has won stays listed until its winner withdraws it:
  // take_all() passes over it, and close() waits for that.

 public:
  /// A publication that comes after a park() sees its waiter.
  bool exist() const noexcept { return exist_.load(std::memory_order_relaxed); }  // relaxed: the lock follows

  void park(waiter<Traits>& w) noexcept {
    const lock_guard guard(lock_);
    list_.push_back(w);
    look();
  }
  /// For who has won it, or while nothing completes it: nobody else takes it off the list meanwhile.
  bool withdraw(waiter<Traits>& w) noexcept {
    if (!w.is_listed()) return false;
    const lock_guard guard(lock_);
    list_.remove(w);
    look();
    return true;
  }
  void take_all(work_list& to) noexcept {
    const lock_guard guard(lock_);
    list_.take_all(to);
    look();
  }
  /// The same; nobody is listed any more, nor will be.
  void close(work_list& to) noexcept {
    take_all(to);
    for (backoff<Traits> pause; !is_left(); pause()) {
    }
  }

 private:
  void look() noexcept {
    exist_.store(!list_.empty(), std::memory_order_relaxed);  // relaxed: who sees it takes the lock
  }
  bool is_left() noexcept {
    const lock_guard guard(lock_);
    return list_.empty();
  }

  typename Traits::template atomic<bool> exist_{false};
  spin_lock<Traits> lock_;
  waiter_list<Traits> list_;
};

/// For next(): who waits at a registry, or a topic.
struct next_access {
  template <class Of>
  static auto& waiters(Of& of) noexcept {
    return of.waiters();
  }
};

}  // namespace millrace::detail
