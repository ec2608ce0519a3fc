// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/intrusive_list.hpp>
#include <millrace/wait/decision.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/stop_slot.hpp>
#include <millrace/wait/trampoline.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace::detail {

/// One operation that sleeps, or one branch of it: a node in the list of what it waits for, then the work
/// item that ends the sleep. It lies inside the operation's awaiter, so waiting allocates nothing.
///
/// Threads     guarded by the lock of the list it is in; then owned by whoever unlinked it, until
///             that thread has woken it.
/// Lifetime    woken, it may be gone: wake() is the last touch.
template <class Traits>
struct waiter : work_item {
  // listed:  its owner --list.push_back under the lock--> the list
  //          --list.take or list.remove under the lock--> the thread that did so
  //          --wake--> its owner again
  //
  // Where only the list can end the sleep, who unlinks the waiter completes it, or has taken it back. So it is
  // where besides a stop can that finds the waiter by the slot of its chain, its stopper: it unlinks it, too.
  // Where something else can as well, its contest decides: list.take passes over a waiter that somebody else
  // has won, and that one withdraws it from the list.
  //
  // What it waited for may leave it a duty, before it wakes it: to be done before the operation goes on, and
  // taken off it by whoever comes first to relieve().
  //
  // `standing` needs no order: not listed says only that the list, and what owns it, is not to be touched any
  // more; listed is rechecked under the lock; and being woken does the synchronising. Of those who relieve
  // it, the word decides.

  waiter* previous;           // the list's
  executor_ref home;          // where run() is to be called; empty: wherever the waker runs
  void* place;                // where the message is taken from or put; the list's owner knows its type
  decision<Traits>* contest;  // null: who unlinks it ends the sleep
  stop_node<Traits>* stopper = nullptr;  // entered in its slot while the waiter is listed; null: nothing is
  enum : unsigned char { free, listed, on_duty };
  typename Traits::template atomic<unsigned char> standing{free};
  [[no_unique_address]] typename Traits::probe probe;

  waiter() noexcept {}  // leaves the links unset: an operation that need not sleep pays nothing
  waiter(const waiter&) = delete;
  waiter& operator=(const waiter&) = delete;

  bool is_listed() const noexcept {
    return standing.load(std::memory_order_relaxed) == listed;  // relaxed: rechecked under the lock
  }
  /// For who has taken it from its list, before he wakes it.
  void appoint() noexcept {
    standing.store(on_duty, std::memory_order_relaxed);  // relaxed: waking it publishes that
  }
  /// True: it had a duty, and it is the caller's now.
  bool relieve() noexcept {
    const bool was = standing.load(std::memory_order_relaxed) == on_duty;         // relaxed: a first look
    return was && standing.exchange(free, std::memory_order_relaxed) == on_duty;  // relaxed: carries nothing
  }

  /// Whether the caller, who holds the list's lock, may complete it.
  bool take() noexcept { return contest == nullptr || contest->take(); }
};

/// Waiters in the order in which they came.
///
/// Threads     guarded by its owner's lock.
/// Complexity  constant, but for waiters that were won by somebody else and not yet withdrawn: take()
///             passes over them.
template <class Traits>
class waiter_list {
 public:
  using node = waiter<Traits>;

  bool empty() const noexcept {
    probe_.read();
    return list_.empty();
  }

  /// False: a stop was requested of its chain, and it is not listed.
  bool push_back(node& w) noexcept {
    probe_.write();
    w.probe.write();
    w.standing.store(node::listed, std::memory_order_relaxed);  // relaxed: the list's lock publishes it
    list_.push_back(w);
    if (w.stopper == nullptr || w.stopper->entered->enter(*w.stopper)) return true;
    remove(w);
    return false;
  }

  /// Unlinks the first that the caller may complete, and must; null: there is none.
  node* take() noexcept {
    probe_.read();
    for (node* w = list_.front(); w != nullptr; w = list_.after(*w)) {
      if (!w->take()) continue;
      remove(*w);
      return w;
    }
    return nullptr;
  }

  /// Takes all that the caller may complete.
  void take_all(work_list& to) noexcept {
    while (node* const w = take()) to.push_back(*w);
  }

  /// Whether there is one of another contest than w's, which does not serve itself.
  bool has_other(const node& w) const noexcept {
    probe_.read();
    for (node* other = list_.front(); other != nullptr; other = list_.after(*other)) {
      if (other->contest == nullptr || other->contest != w.contest) return true;
    }
    return false;
  }

  void remove(node& w) noexcept {
    probe_.write();
    list_.remove(w);
    w.probe.write();
    w.standing.store(node::free, std::memory_order_relaxed);  // relaxed: the waker publishes what matters
    if (w.stopper != nullptr) w.stopper->entered->leave();       // no stop is inside it any more
  }

 private:
  intrusive_list<node> list_;
  [[no_unique_address]] typename Traits::probe probe_;
};

/// Runs the waiter where it belongs. It may be gone when this returns.
template <class Traits>
void dispatch(waiter<Traits>& w) noexcept {
  const executor_ref home = w.home;
  trampoline<Traits>::dispatch(w, home);
}

/// Ends the sleep of a waiter that was taken, and served. It may be gone when this returns.
template <class Traits>
void wake(waiter<Traits>& w) noexcept {
  if (w.contest != nullptr) {
    w.contest->conclude(&w, op_status::ok);
  } else {
    dispatch(w);
  }
}

/// Serves waiters that were taken: finish(waiter), then wakes it.
template <class Traits, class Finish>
void wake_all(work_list& taken, Finish finish) noexcept {
  while (!taken.empty()) {
    auto& w = static_cast<waiter<Traits>&>(taken.pop_front());
    finish(w);
    wake(w);
  }
}

}  // namespace millrace::detail
