// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cassert>
#include <cstddef>
#include <exception>
#include <utility>

#include <millrace/detail/backoff.hpp>
#include <millrace/detail/cache_line.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/lockfree/ring_core.hpp>
#include <millrace/queue/pop_result.hpp>
#include <millrace/queue/steps.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/waiter.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace::detail {

/// A ring that can be waited for: what bounded_queue does, without its interface.
///
/// Threads     any thread may call anything but the constructor and the destructor.
/// Progress    while nobody waits and the queue is open, exactly the ring's. A flag sends the
///             operation to a short critical section, locked by a bit of the ticket word itself.
template <class T, class Traits>
class bounded_core {
  // The ring's ticket words carry three flags:
  //
  //   tail = {place, locked, waiting: poppers wait,  closed}
  //   head = {place, locked, waiting: pushers wait, or the queue is closed and drained() waits}
  //
  // The ring's own operations stop at any flag, so an operation's one CAS on its ticket word is
  // also its look for waiters: no fence, and no race between that look and somebody's going to
  // sleep. `locked` is a spin lock. Lock order: head, then tail. Messages are moved and waiters are
  // woken after the unlock. Nobody waits for another thread's message or cell while he holds a lock.
  //
  // tail locked guards  poppers_, reason_.      head locked guards  pushers_, drainers_.
  //
  //   I1  a popper is listed only while the ring is empty: going to sleep is a CAS that locks the
  //       tail while it stands where the head was seen; and as long as `waiting` is set, pushes
  //       hand their messages to poppers, so the tail stays there.
  //   I2  a pusher is listed only while the ring is full: going to sleep is a CAS that locks the head
  //       one lap behind the tail; and as long as `waiting` is set, a pop puts the first waiter's
  //       message where it took its own.
  //   I3  closed is set once, under both locks, and both lists are emptied before either is unlocked.
  //       A pusher looks for closed under the head's lock before it is listed.
  //   I4  once closed, `waiting` on the head makes each pop look whether it took the last message:
  //       that one takes the drainers.
  //
  // So waiters are served in the order in which they came, and newcomers never overtake them.
  //
  // A waiter belongs to who unlinked it under the lock (see waiter.hpp), and is woken as the last
  // touch: who is woken may destroy the queue. The closer's last touch is the unlock of the tail, and
  // nobody says `closed` or wakes a drainer before that: who hears it may destroy the queue too. After
  // the destructor, all waiters are unlinked and completed, and touch the queue no more.
  //
  // The edges are ring_core's: its E3 (unlock -> lock) carries the lists and reason_.

 public:
  using value_type = T;
  using traits = Traits;

  explicit bounded_core(std::size_t capacity) : ring_(capacity) {}

  ~bounded_core() {
    close(nullptr);
    assert((ring_.tail() & locked) == 0 && (ring_.head() & locked) == 0 &&
           "millrace: a queue was destroyed during a call on it");
    work_list never_drained;
    while (!drainers_.empty()) never_drained.push_back(drainers_.pop_front());
    complete(never_drained, [](waiter<Traits>& w) {
      *static_cast<op_status*>(w.place) = op_status::closed;
    });
  }

  std::size_t capacity() const noexcept { return ring_.capacity(); }
  std::size_t size_approx() const noexcept { return ring_.size_approx(); }
  bool is_closed() const noexcept { return (ring_.tail() & (closed | locked)) == closed; }
  bool sees_room() const noexcept { return ring_.sees_room(); }

  std::exception_ptr close_reason() const noexcept {
    return is_closed() ? reason_ : std::exception_ptr{};
  }

  /// A source calls its argument, once, with what a message is to be built from.
  static auto source_of(T& message) noexcept {
    return [&message](auto&& sink) noexcept { return sink(std::move(message)); };
  }

  template <class Source>
  MILLRACE_ALWAYS_INLINE bool push_fast(const Source& source) noexcept {
    return put(source) == claim::done;
  }
  MILLRACE_ALWAYS_INLINE bool pop_fast(pop_result<T>& out) noexcept {
    return ring_.try_take([&](T&& message) noexcept { out.deliver(std::move(message)); }) ==
           claim::done;
  }

  /// Pushes the source's message, or hands it to a popper, or lists w (a null w never waits: `full`),
  /// whose place holds the same message.
  template <class Source>
  MILLRACE_NOINLINE progress push(const Source& source, op_status& status,
                                  waiter<Traits>* w) noexcept {
    const auto ended = [&status](op_status how) noexcept {
      status = how;
      return how == op_status::full ? progress::must_wait : progress::completed;
    };
    backoff<Traits> pause;
    for (;;) {
      ticket tail = ring_.tail();
      if ((tail & locked) != 0) {
        pause();
        continue;
      }
      if ((tail & closed) != 0) return ended(op_status::closed);
      if ((tail & waiting) != 0) {  // I1: the ring is empty; hand over
        if (!ring_.change_tail(tail, with(tail, locked))) continue;
        waiter<Traits>& popper = poppers_.pop_front();
        ring_.unlock_tail(poppers_.empty() ? without(tail, waiting) : tail);
        auto* const out = static_cast<pop_result<T>*>(popper.place);
        source([out](auto&&... args) noexcept { out->deliver(std::forward<decltype(args)>(args)...); });
        status = op_status::ok;
        wake(popper);  // *this may be gone from here on
        return progress::completed;
      }
      switch (put(source)) {
        case claim::done: return ended(op_status::ok);
        case claim::flagged: continue;
        case claim::blocked: break;
      }
      if (w == nullptr) return ended(op_status::full);
      ticket head = ring_.head();
      if (ring_.lap_after(ring_.place(head)) != tail || (head & locked) != 0) {
        pause();  // not full: the pop before us in this cell is in flight
        continue;
      }
      if (!ring_.change_head(head, with(head, locked))) continue;
      if ((ring_.tail() & closed) != 0) {  // I3
        ring_.unlock_head(head);
        continue;
      }
      pushers_.push_back(*w);  // I2
      ring_.unlock_head(with(head, waiting));
      return progress::parked;  // *w may be gone from here on, and status with it
    }
  }

  /// Takes the oldest message, or lists w (a null w never waits: `empty`).
  MILLRACE_NOINLINE progress pop(pop_result<T>& out, waiter<Traits>* w) noexcept {
    backoff<Traits> pause;
    for (;;) {
      ticket head = ring_.head();
      if ((head & locked) != 0) {
        pause();
        continue;
      }
      const ticket at = ring_.place(head);
      if (ring_.is_published(at)) {
        if ((head & waiting) == 0) {
          if (pop_fast(out)) return progress::completed;
        } else if (ring_.change_head(head, with(head, locked))) {
          pop_locked(out, at);
          return progress::completed;
        }
        continue;
      }
      ticket tail = ring_.tail();
      if (ring_.place(tail) != at) {  // the push of the head's message is in flight
        if (w == nullptr && ring_.head() == head) return ended(out, op_status::empty);
        pause();
        continue;
      }
      if ((tail & locked) != 0) {
        pause();
        continue;
      }
      if ((tail & closed) != 0) return ended(out, op_status::closed, progress::completed);
      if (w == nullptr) return ended(out, op_status::empty);
      if (!ring_.change_tail(tail, with(tail, locked))) continue;
      poppers_.push_back(*w);  // I1
      ring_.unlock_tail(with(tail, waiting));
      return progress::parked;  // *w may be gone from here on, and out with it
    }
  }

  /// Completes once the queue is closed and empty. The waiter's place is an op_status.
  progress drained(waiter<Traits>* w) noexcept {
    for (backoff<Traits> pause;; pause()) {
      const ticket head = lock_head();
      const ticket tail = ring_.tail();
      if ((tail & locked) != 0) {
        ring_.unlock_head(head);
        continue;
      }
      const bool is_over = (tail & closed) != 0 && ring_.place(tail) == ring_.place(head);
      if (is_over || w == nullptr) {
        ring_.unlock_head(head);
        return is_over ? progress::completed : progress::must_wait;
      }
      drainers_.push_back(*w);
      ring_.unlock_head((tail & closed) != 0 ? with(head, waiting) : head);  // I4; else close() will
      return progress::parked;
    }
  }

  /// True for the call that closed it.
  bool close(std::exception_ptr reason) noexcept {
    const ticket head = lock_head();
    ticket tail = ring_.tail();
    for (backoff<Traits> pause;; tail = ring_.tail()) {
      if ((tail & closed) != 0) {
        ring_.unlock_head(head);
        wait_for_closer();
        return false;
      }
      if ((tail & locked) == 0 && ring_.change_tail(tail, with(tail, locked | closed))) break;
      pause();
    }
    reason_ = std::move(reason);
    work_list woken;
    work_list handed_back;
    work_list done;
    while (!poppers_.empty()) woken.push_back(poppers_.pop_front());
    while (!pushers_.empty()) handed_back.push_back(pushers_.pop_front());
    unlock_head_when_closed(ring_.place(head), done);
    ring_.unlock_tail(with(ring_.place(tail), closed));  // *this may be gone from here on

    complete(woken, [](waiter<Traits>& w) {
      static_cast<pop_result<T>*>(w.place)->refuse(op_status::closed);
    });
    complete(handed_back, [](waiter<Traits>& w) {
      static_cast<push_slot<T>*>(w.place)->status = op_status::closed;
    });
    complete(done, [](waiter<Traits>&) {});
    return true;
  }

  /// Takes a parked waiter back; false: somebody else is completing it.
  bool withdraw_pop(waiter<Traits>& w) noexcept {
    backoff<Traits> pause;
    while (w.is_listed()) {
      ticket tail = ring_.tail();
      if ((tail & closed) != 0) return false;  // the closer takes all poppers
      if ((tail & locked) != 0 || !ring_.change_tail(tail, with(tail, locked))) {
        pause();
        continue;
      }
      const bool ours = w.is_listed();
      if (ours) poppers_.remove(w);
      ring_.unlock_tail(poppers_.empty() ? without(tail, waiting) : tail);
      return ours;
    }
    return false;
  }
  bool withdraw_push(waiter<Traits>& w) noexcept { return withdraw_at_head(pushers_, w); }
  bool withdraw_drained(waiter<Traits>& w) noexcept { return withdraw_at_head(drainers_, w); }

 private:
  using ring = ring_core<T, Traits>;
  using ticket = typename ring::ticket;

  static constexpr ticket locked = 1;
  static constexpr ticket waiting = 2;
  static constexpr ticket closed = 4;

  static ticket with(ticket word, ticket flag) noexcept { return static_cast<ticket>(word | flag); }
  static ticket without(ticket word, ticket flag) noexcept {
    return static_cast<ticket>(word & ~flag);
  }

  template <class Source>
  MILLRACE_ALWAYS_INLINE claim put(const Source& source) noexcept {
    return source([this](auto&&... args) noexcept {
      return ring_.try_put(std::forward<decltype(args)>(args)...);
    });
  }

  static progress ended(pop_result<T>& out, op_status status,
                        progress how = progress::must_wait) noexcept {
    out.refuse(status);
    return how;
  }

  ticket lock_head() noexcept {
    for (backoff<Traits> pause;; pause()) {
      ticket head = ring_.head();
      if ((head & locked) == 0 && ring_.change_head(head, with(head, locked))) return head;
    }
  }

  /// Takes the message at the locked head, and puts the first waiting push's message in its place.
  void pop_locked(pop_result<T>& out, ticket at) noexcept {
    const ticket after = ring_.next(at);
    // From the head's unlock on until its stamp, the cell is still ours.
    if (pushers_.empty()) {  // closed: a drainer waits
      wait_for_closer();     // who is woken may destroy the queue
      work_list done;
      unlock_head_when_closed(after, done);
      out.deliver(std::move(ring_.claimed(at)));
      ring_.free_claimed(at);
      complete(done, [](waiter<Traits>&) {});
      return;
    }
    const ticket tail = ring_.lap_after(at);  // I2: the ring is full
    backoff<Traits> pause;
    for (ticket found = tail; !ring_.change_tail(found, ring_.next(tail)); found = tail) {
      pause();  // a withdrawal holds it, which does not wait for us
    }
    waiter<Traits>& pusher = pushers_.pop_front();
    ring_.unlock_head(pushers_.empty() ? after : with(after, waiting));
    auto* const slot = static_cast<push_slot<T>*>(pusher.place);
    out.deliver(std::move(ring_.claimed(at)));
    ring_.replace_claimed(at, std::move(*slot->message));
    slot->status = op_status::ok;
    wake(pusher);  // *this may be gone from here on
  }

  /// Of a closed queue, only the closer locks the tail: until he has unlocked it.
  void wait_for_closer() noexcept {
    for (backoff<Traits> pause; (ring_.tail() & locked) != 0;) pause();
  }

  /// Unlocks the head of a closed queue at this place, having taken the drainers if it is drained.
  void unlock_head_when_closed(ticket at, work_list& done) noexcept {
    if (ring_.place(ring_.tail()) == at) {
      while (!drainers_.empty()) done.push_back(drainers_.pop_front());
    }
    ring_.unlock_head(drainers_.empty() ? at : with(at, waiting));
  }

  bool withdraw_at_head(waiter_list<Traits>& list, waiter<Traits>& w) noexcept {
    if (!w.is_listed()) return false;
    const ticket head = lock_head();
    const bool ours = w.is_listed();
    if (ours) list.remove(w);
    const bool wanted =
        !pushers_.empty() || ((ring_.tail() & closed) != 0 && !drainers_.empty());
    ring_.unlock_head(wanted ? head : without(head, waiting));
    return ours;
  }

  /// Ends the sleep of waiters that were unlinked.
  template <class Finish>
  static void complete(work_list& list, Finish finish) noexcept {
    while (!list.empty()) {
      auto& w = static_cast<waiter<Traits>&>(list.pop_front());
      finish(w);
      wake(w);
    }
  }

  ring ring_;
  alignas(cache_line) waiter_list<Traits> poppers_;  // guarded by the tail's lock
  std::exception_ptr reason_;                        // guarded by the tail's lock until closed
  alignas(cache_line) waiter_list<Traits> pushers_;  // guarded by the head's lock
  waiter_list<Traits> drainers_;                     // guarded by the head's lock
};

}  // namespace millrace::detail
