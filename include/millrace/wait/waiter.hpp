// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/intrusive_list.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/trampoline.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace::detail {

/// One operation that sleeps: a node in the list of what it waits for, then the work item that ends
/// its sleep. It lies inside the operation's awaiter, so waiting allocates nothing.
///
/// Threads     guarded by the lock of the list it is in; then owned by whoever unlinked it, until
///             that thread has woken it.
/// Lifetime    woken, it may be gone: wake() is the last touch.
template <class Traits>
struct waiter : work_item {
  // listed:  its owner --list.push_back under the lock--> the list
  //          --list.remove under the lock--> the thread that removed it, which alone completes it:
  //          being the one who unlinks it is the claim
  //          --wake--> its owner again
  //
  // `listed` needs no order: false says only that the list, and what owns it, is not to be touched any
  // more; true is rechecked under the lock; and being woken does the synchronising.

  waiter* previous;   // the list's
  executor_ref home;  // where run() is to be called; empty: wherever the waker runs
  void* place;        // where the message is taken from or put; the list's owner knows its type
  typename Traits::template atomic<bool> listed{false};
  [[no_unique_address]] typename Traits::probe probe;

  waiter() noexcept {}  // leaves the links unset: an operation that need not sleep pays nothing
  waiter(const waiter&) = delete;
  waiter& operator=(const waiter&) = delete;

  bool is_listed() const noexcept {
    return listed.load(std::memory_order_relaxed);  // relaxed: true is rechecked under the lock
  }
};

/// Waiters in the order in which they came.
///
/// Threads    guarded by its owner's lock.
template <class Traits>
class waiter_list {
 public:
  using node = waiter<Traits>;

  bool empty() const noexcept {
    probe_.read();
    return list_.empty();
  }

  void push_back(node& w) noexcept {
    probe_.write();
    w.probe.write();
    w.listed.store(true, std::memory_order_relaxed);  // relaxed: the list's lock publishes it
    list_.push_back(w);
  }

  node& pop_front() noexcept {
    probe_.write();
    node& w = list_.pop_front();
    w.probe.write();
    w.listed.store(false, std::memory_order_relaxed);  // relaxed: the waker publishes what matters
    return w;
  }

  void remove(node& w) noexcept {
    probe_.write();
    list_.remove(w);
    w.probe.write();
    w.listed.store(false, std::memory_order_relaxed);  // relaxed: the waker publishes what matters
  }

 private:
  intrusive_list<node> list_;
  [[no_unique_address]] typename Traits::probe probe_;
};

/// Ends the waiter's sleep. The waiter may be gone when this returns.
template <class Traits>
void wake(waiter<Traits>& w) noexcept {
  const executor_ref home = w.home;
  trampoline<Traits>::dispatch(w, home);
}

}  // namespace millrace::detail
