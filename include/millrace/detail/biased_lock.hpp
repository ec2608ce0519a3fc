// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <cassert>

#include <millrace/detail/backoff.hpp>
#include <millrace/detail/macros.hpp>

namespace millrace::detail {

/// One of those that use what a biased_lock guards without locking it. Lies where only it writes.
template <class Traits>
class bias_owner {
  template <class>
  friend class biased_lock;
  typename Traits::template atomic<bool> inside_{false};
};

/// A spin lock that is biased to two owners, or one: as long as nobody else wants what it guards, each of them
/// enters and leaves by plain stores to a word of its own, also at the same time. Who locks it revokes the
/// bias: from then on they lock it, too, until rebias_after turns have gone by in which nobody objected.
///
/// Threads     one at a time uses each owner; any locks.
/// Progress    enter() and leave() are wait-free. Locking is not: it waits for whom it excludes; a thread that
///             is stopped inside holds up the others.
/// Ordering    what came before an unlock() or a leave() happens-before what comes after the lock() that
///             excludes it, and the enter() that it admits.
/// Complexity  enter() and leave(): two stores, two loads, no locked instruction. A revocation: some us.
/// Lifetime    unlock() and leave() are the last touch.
/// Source      biased locking: K. Kawachiya, A. Koseki, T. Onodera, Lock Reservation (OOPSLA 2002); its
///             revocation is an asymmetric Dekker protocol, see asymmetric_fence.
template <class Traits>
class biased_lock {
  // word_ = {locked, revoked, marks}; the marks are the user's, and as long as there is one it is revoked.
  //
  //   biased           --lock_beside-->        biased, locked   --unlock_beside-->  biased
  //   biased           --lock-->               revoked, locked  once no owner is inside: heavy fence, and a wait
  //   revoked          --lock, lock_beside-->  revoked, locked
  //   revoked, locked  --unlock-->             revoked; or biased, after rebias_after unlocks without a mark
  //
  // Only who has locked the word changes it. An owner enters unless the word says revoked:
  //
  //   enter   inside = true;  light fence;  revoked?  then inside = false, and no
  //   lock    revoked;        heavy fence;  wait until inside is false
  //
  // By the fences (F1), an owner who does not see that it is revoked is seen inside. So once the revoker has
  // waited, all who enter see it, until somebody unlocks it without revoked.
  //
  // A revocation costs about as much more than none, as rebias_after operations under the lock cost more than
  // as many inside: so whatever its users do, it costs at most about twice what the better of both would.
  //
  // E1  unlock -> lock, enter   all that was done under the lock; the word tells it to who enters, too.
  // E2  leave -> revoke         what an owner did inside. Also where it did not get in: the revoker may see
  //                             that step, and not the one by which it left before.
  // F1  enter <-> revoke        forbids that the owner misses `revoked` and the revoker misses `inside`.

 public:
  using owner = bias_owner<Traits>;
  static constexpr unsigned a_mark = 4;  // the others are shifted from it
  static constexpr unsigned all_marks = 0xfc;

  biased_lock(const owner& first, const owner& second, unsigned rebias_after = Traits::rebias_after) noexcept
      : rebias_after_(rebias_after), first_(first), second_(second) {
    Traits::fence::prepare();
  }
  /// With one owner.
  biased_lock(const owner& only, unsigned rebias_after) noexcept : biased_lock(only, only, rebias_after) {}
  biased_lock(const biased_lock&) = delete;
  biased_lock& operator=(const biased_lock&) = delete;

  /// For an owner: true, and it is inside until leave(); false: it is to lock.
  MILLRACE_ALWAYS_INLINE bool enter(owner& self) noexcept {
    assert(!self.inside_.load(std::memory_order_relaxed) &&  // relaxed: our own
           "millrace: two threads took the place of one at the same time: two producers, or two consumers, of a "
           "queue for one");
    self.inside_.store(true, std::memory_order_relaxed);                    // relaxed: F1 tells it
    Traits::fence::light();                                                 // F1 publish
    if ((word_.load(std::memory_order_acquire) & revoked) == 0) [[likely]]  // E1 observe, F1 observe
      return true;
    leave(self);
    return false;
  }
  MILLRACE_ALWAYS_INLINE void leave(owner& self) noexcept {
    self.inside_.store(false, std::memory_order_release);  // E2 publish
  }

  /// Excludes everybody: other lockers, and both owners. The marks.
  unsigned lock() noexcept {
    const unsigned was = take(revoked);
    if ((was & revoked) == 0) revoke();
    return was & all_marks;
  }
  /// Unlocks it, with these marks from now on.
  void unlock(unsigned marks) noexcept {
    calm_ = marks == 0 ? calm_ + 1 : 0;
    unlock_as(calm_ > rebias_after_ ? 0 : revoked | marks);
  }

  /// Excludes other lockers only. The marks.
  unsigned lock_beside() noexcept { return take(0) & all_marks; }
  /// Unlocks it, with these marks: no more of them than there were.
  void unlock_beside(unsigned marks) noexcept {
    unlock_as((word_.load(std::memory_order_relaxed) & revoked) | marks);  // relaxed: we have locked it
  }

  unsigned marks() const noexcept { return word_.load(std::memory_order_acquire) & all_marks; }  // E1 observe

  /// Whether somebody has locked it, or is inside: for assertions.
  bool is_used() const noexcept {
    return (word_.load(std::memory_order_relaxed) & locked) != 0 ||  // relaxed: a snapshot
           first_.inside_.load(std::memory_order_relaxed) ||         // relaxed: a snapshot
           second_.inside_.load(std::memory_order_relaxed);          // relaxed: a snapshot
  }

 private:
  using flags = unsigned char;
  static constexpr unsigned locked = 1;
  static constexpr unsigned revoked = 2;

  MILLRACE_NOINLINE void revoke() noexcept {
    calm_ = 0;
    Traits::fence::heavy();  // F1 publish
    await(first_);
    await(second_);
  }

  /// Locks it, and adds flags: what it was.
  unsigned take(unsigned added) noexcept {
    for (backoff<Traits> pause;; pause()) {
      flags was = word_.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
      if ((was & locked) == 0 &&
          word_.compare_exchange_strong(was, static_cast<flags>(was | locked | added),
                                        std::memory_order_acquire,     // E1 observe
                                        std::memory_order_relaxed)) {  // relaxed: who fails looks again
        return was;
      }
    }
  }
  void unlock_as(unsigned word) noexcept {
    word_.store(static_cast<flags>(word), std::memory_order_release);  // E1 publish; *this may be gone
  }
  void await(const owner& one) const noexcept {
    backoff<Traits> pause;
    while (one.inside_.load(std::memory_order_acquire)) pause();  // E2 observe, F1 observe
  }

  typename Traits::template atomic<flags> word_{0};
  unsigned calm_ = 0;
  const unsigned rebias_after_;
  const owner& first_;
  const owner& second_;
};

}  // namespace millrace::detail
