// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cassert>
#include <cstddef>
#include <exception>
#include <utility>

#include <millrace/detail/backoff.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/queue/bounded_state.hpp>
#include <millrace/queue/message_source.hpp>
#include <millrace/queue/pop_result.hpp>
#include <millrace/queue/queue_options.hpp>
#include <millrace/queue/steps.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/trampoline.hpp>
#include <millrace/wait/waiter.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace::detail {

/// A ring that can be waited for: what bounded_queue does, without its interface.
///
/// Threads     any thread may call anything but the constructor and the destructor.
/// Progress    while nobody waits and the queue is open, exactly the ring's. A flag sends the
///             operation to a short critical section, locked by a bit of the ticket word itself.
template <class T, class Traits>
class bounded_core : public bounded_state<T, Traits> {
  // The words, the lists and their locks: see bounded_state. Waiters are woken after the unlock. Nobody
  // waits for another thread's message or cell while he holds a lock.
  //
  //   I1  a popper is listed only while the ring is empty and no pusher is listed: going to sleep is a CAS
  //       that locks the tail while it stands where the head was seen, without `waiting`; and as long as
  //       the tail has `waiting`, pushes hand their messages to poppers, so the tail stays there.
  //   I2  a pusher is listed only while the ring is full: going to sleep is a CAS that locks the head one
  //       lap behind the tail. As long as the head has `waiting`, each pop comes by under the lock, and puts
  //       the first pusher's message where it took its own: the ring stays full.
  //   I3  closed is set once, by the unlock of the tail that ends close(), and both lists are emptied
  //       before. A pusher looks for that under the head's lock before it is listed.
  //   I4  once closed, `waiting` on the head makes each pop look whether it took the last message:
  //       that one takes the drainers.
  //
  // One wake-up for each message is dear where many pushers wait. So a pusher that is about to run on the
  // very worker that wakes it becomes the agent: until it has run, pops only take, and then, before its
  // operation goes on, it lets others in for all that were taken (refill). Newcomers may take that room
  // meanwhile, but after capacity() pops without a refill the next pop does it: barging is bounded. While
  // there is an agent, I2 holds but for the last sentence; a pop that finds the ring empty refills it. The
  // agent's waiter stands `on_duty` until who does its duty takes that off it: itself, or the destructor.
  // Poppers are served in the order in which they came, and newcomers never overtake them.
  //
  // A waiter belongs to who took it from its list (see waiter.hpp), and is woken as the last touch: who
  // is woken may destroy the queue. One that is contested, and was won by a stop, a deadline or another
  // queue, stays listed until its winner withdraws it: I1 to I4 speak of the others, and who finds no
  // other clears `waiting`. The destructor waits for those withdrawals, and for an agent that refills. Nobody
  // says `closed` or wakes a drainer before the closer's last touch, the unlock of the tail: who hears it may
  // destroy the queue too. After the destructor, all waiters are unlinked, and touch the queue no more.

  using state = bounded_state<T, Traits>;
  using state::agent, state::closed, state::drainers, state::is_to_serve, state::let_in, state::lock_head,
      state::lock_tail, state::locked;
  using state::passed, state::poppers, state::pushers, state::ring_, state::unlock_head_at, state::waiting;
  using state::with, state::without;
  using typename state::ticket;

 public:
  static constexpr bool unlists_at_stop = true;

  explicit bounded_core(std::size_t capacity, const queue_options<T>& options = {})
      : state(capacity, options) {}

  ~bounded_core() {
    close(nullptr);
    work_list never_drained;
    for (backoff<Traits> pause;; pause()) {
      const ticket head = lock_head();
      const ticket tail = lock_tail();
      drainers().take_all(never_drained);
      if (agent() != nullptr && agent()->relieve()) agent() = nullptr;
      const bool all_gone =
          poppers().empty() && pushers().empty() && drainers().empty() && agent() == nullptr;
      ring_.unlock_tail(tail);
      ring_.unlock_head(head);
      if (all_gone) break;
    }
    assert((ring_.tail() & locked) == 0 && (ring_.head() & locked) == 0 &&
           "millrace: a queue was destroyed during a call on it");
    wake_all<Traits>(never_drained,
                     [](waiter<Traits>& w) { *static_cast<op_status*>(w.place) = op_status::closed; });
    if (!this->loses()) return;
    for (;;) {
      pop_result<T> left;
      if (!pop(left) || !left) break;
      this->lose(*std::move(left));
    }
  }

  template <class Source>
  MILLRACE_ALWAYS_INLINE bool push_fast(const Source& source) noexcept {
    return put(source) == claim::done;
  }
  MILLRACE_ALWAYS_INLINE bool pop_fast(pop_result<T>& out) noexcept {
    return ring_.try_take([&](T&& message) noexcept { out.deliver(std::move(message)); }) == claim::done;
  }

  bool sees_popper() const noexcept { return (ring_.tail() & waiting) != 0; }
  bool sees_pusher() const noexcept { return (ring_.head() & waiting) != 0; }

  /// Takes what is published of the next n, where nobody waits: how many.
  template <class Out>
  std::size_t pop_run(Out out, std::size_t n) noexcept {
    return ring_.try_take_n(std::move(out), n);
  }

  /// Pushes the source's message, or hands it to a popper; where the queue is full, and is not to wait then,
  /// says so, or gives the oldest message to displaced(T&&). False: it is `full`, or a pop is in flight.
  template <class Source, class Displaced>
  MILLRACE_NOINLINE bool push(const Source& source, op_status& status, Displaced&& displaced) noexcept {
    backoff<Traits> pause;
    for (;;) {
      ticket tail = ring_.tail();
      if ((tail & locked) != 0) {
        pause();
        continue;
      }
      if ((tail & closed) != 0) {
        status = op_status::closed;
        return true;
      }
      if ((tail & waiting) != 0) {  // I1: the ring is empty; hand over
        if (!ring_.change_tail(tail, with(tail, locked))) continue;
        waiter<Traits>* const popper = poppers().take();
        ring_.unlock_tail(popper == nullptr || poppers().empty() ? without(tail, waiting) : tail);
        if (popper == nullptr) continue;
        auto* const out = static_cast<pop_result<T>*>(popper->place);
        source([out](auto&&... args) noexcept { out->deliver(std::forward<decltype(args)>(args)...); });
        this->observe(**out);
        status = op_status::ok;
        wake(*popper);  // *this may be gone from here on
        return true;
      }
      switch (put(source)) {
        case claim::done:
          status = op_status::ok;
          return true;
        case claim::flagged:
          continue;
        case claim::blocked:
          break;
      }
      if (this->options_.overflow == overflow_policy::wait) {
        status = op_status::full;
        return false;
      }
      if (overflows(source, status, displaced)) return true;
      pause();
    }
  }

  /// Lists a push, whose place is a push_slot, where the ring is full. False: it is not, or was not, or somebody
  /// has locked an end, or a push is not to wait for that.
  MILLRACE_NOINLINE bool park_push(waiter<Traits>& w) noexcept {
    if (this->options_.overflow != overflow_policy::wait) return false;
    const ticket tail = ring_.tail();
    ticket head = ring_.head();
    if (ring_.lap_after(ring_.place(head)) != tail) return false;  // or the tail has flags
    if ((head & locked) != 0 || !ring_.change_head(head, with(head, locked))) return false;
    const bool is_listed = (ring_.tail() & (closed | locked)) == 0 && pushers().push_back(w);  // I3, I2
    ring_.unlock_head(is_listed ? with(head, waiting) : head);
    return is_listed;  // w may be gone from here on, and the queue with it
  }

  /// Takes the oldest message, or says `closed`. False: it is `empty`, or a push is in flight.
  MILLRACE_NOINLINE bool pop(pop_result<T>& out) noexcept {
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
          if (pop_fast(out)) return true;
        } else if (ring_.change_head(head, with(head, locked))) {
          pop_locked(out, at);
          return true;
        }
        continue;
      }
      const ticket tail = ring_.tail();
      if (ring_.place(tail) != at) {  // the push of the head's message is in flight, or the head moved
        if (ring_.head() != head) continue;
      } else if ((tail & closed) != 0) {
        out.refuse(op_status::closed);
        return true;
      } else if ((tail & locked) != 0) {
        pause();
        continue;
      } else if ((head & waiting) != 0) {  // the agent has not come yet
        refill();
        continue;
      }
      out.refuse(op_status::empty);
      return false;
    }
  }

  /// Lists a pop, whose place is a pop_result, where the ring is empty. False: it is not, or was not, or
  /// somebody has locked an end.
  MILLRACE_NOINLINE bool park_pop(waiter<Traits>& w) noexcept {
    const ticket head = ring_.head();
    ticket tail = ring_.tail();
    if (ring_.place(tail) != head) return false;  // or pushers wait, or the head is locked
    if ((tail & (closed | locked)) != 0 || !ring_.change_tail(tail, with(tail, locked))) return false;
    const bool is_listed = poppers().push_back(w);  // I1
    ring_.unlock_tail(is_listed ? with(tail, waiting) : tail);
    return is_listed;  // w may be gone from here on, and the queue with it
  }

  /// Lists a drained(), whose place is an op_status. False: the queue is drained.
  MILLRACE_NOINLINE bool park_drained(waiter<Traits>& w) noexcept {
    for (backoff<Traits> pause;; pause()) {
      const ticket head = lock_head();
      const ticket tail = ring_.tail();
      if ((tail & closed) == 0 && (tail & locked) != 0) {  // somebody may be closing it
        ring_.unlock_head(head);
        continue;
      }
      if ((tail & closed) != 0 && ring_.place(tail) == ring_.place(head)) {
        ring_.unlock_head(head);
        return false;
      }
      drainers().push_back(w);
      ring_.unlock_head((tail & closed) != 0 ? with(head, waiting) : head);  // I4; else close() will
      return true;
    }
  }

  /// True for the call that closed it.
  bool close(std::exception_ptr reason) noexcept {
    const ticket head = lock_head();
    const ticket tail = lock_tail();
    if ((tail & closed) != 0) {
      ring_.unlock_tail(tail);
      ring_.unlock_head(head);
      return false;
    }
    ring_.beside_tail().reason = std::move(reason);
    work_list woken;
    work_list handed_back;
    work_list done;
    poppers().take_all(woken);
    pushers().take_all(handed_back);
    if (ring_.place(tail) == ring_.place(head)) drainers().take_all(done);
    const ticket at = ring_.place(head);
    ring_.unlock_head(drainers().empty() ? at : with(at, waiting));  // I4
    ring_.unlock_tail(with(ring_.place(tail), closed));              // *this may be gone from here on

    wake_all<Traits>(
        woken, [](waiter<Traits>& w) { static_cast<pop_result<T>*>(w.place)->refuse(op_status::closed); });
    wake_all<Traits>(handed_back, [](waiter<Traits>& w) {
      static_cast<push_slot<T>*>(w.place)->status = op_status::closed;
    });
    wake_all<Traits>(done, [](waiter<Traits>&) {});
    return true;
  }

  /// Takes a parked waiter back; false: somebody else has taken it. For a waiter that its caller has won,
  /// or that nobody completes at the same time.
  bool withdraw_pop(waiter<Traits>& w) noexcept { return this->withdraw_at_tail(poppers(), w); }
  bool withdraw_push(waiter<Traits>& w) noexcept { return this->withdraw_at_head(pushers(), w); }
  bool withdraw_drained(waiter<Traits>& w) noexcept { return this->withdraw_at_head(drainers(), w); }

  /// The agent's duty, once it is relieved of it.
  MILLRACE_NOINLINE void do_duty() noexcept {
    work_list served;
    waiter<Traits>* next = nullptr;
    for (backoff<Traits> pause;; pause()) {
      const ticket head = lock_head();
      const bool is_full = ring_.place(ring_.tail()) == ring_.lap_after(ring_.place(head));
      if (next != nullptr || is_full || (head & waiting) == 0 || pushers().empty()) {
        agent() = next;
        passed() = 0;
        ring_.unlock_head(head);  // *this may be gone from here on
        break;
      }
      next = let_in(head, 1 + (ring_.capacity() - ring_.size_approx()) / let_in_for_free, served);
    }
    wake_all<Traits>(served, [](waiter<Traits>&) {});
  }

 private:
  static constexpr std::size_t let_in_for_free = 128;  // for each so many free places, one more at a time
  static constexpr std::size_t everybody = ~std::size_t{0};  // none of whom becomes an agent too

  template <class Source>
  MILLRACE_ALWAYS_INLINE claim put(const Source& source) noexcept {
    return source(put_into{ring_});
  }

  /// Takes the message at the locked head, and puts the first waiting push's message in its place.
  void pop_locked(pop_result<T>& out, ticket at) noexcept {
    const ticket after = ring_.next(at);
    // From the head's unlock on until its stamp, the cell is still ours.
    if (agent() != nullptr && !pushers().empty()) {
      const bool is_due = ++passed() > ring_.capacity();
      ring_.unlock_head(with(after, waiting));
      out.deliver(std::move(ring_.claimed(at)));
      ring_.free_claimed(at);
      if (is_due) refill();
      return;
    }
    waiter<Traits>* const pusher = pushers().take();
    if (pusher == nullptr) {
      work_list done;
      unlock_head_at(after, done);
      out.deliver(std::move(ring_.claimed(at)));
      ring_.free_claimed(at);
      wake_all<Traits>(done, [](waiter<Traits>&) {});
      return;
    }
    const ticket tail = ring_.lap_after(at);  // I2: the ring is full
    backoff<Traits> pause;
    for (ticket found = tail; !ring_.change_tail(found, ring_.next(tail)); found = tail) {
      pause();  // a withdrawal holds it, which does not wait for us
    }
    if (is_to_serve(*pusher)) {
      pusher->appoint();
      agent() = pusher;
      passed() = 0;
    }
    ring_.unlock_head(pushers().empty() ? after : with(after, waiting));
    auto* const slot = static_cast<push_slot<T>*>(pusher->place);
    out.deliver(std::move(ring_.claimed(at)));
    ring_.replace_claimed(at, std::move(*slot->message));
    slot->status = op_status::ok;
    wake(*pusher);  // *this may be gone from here on
  }

  /// In the agent's place: lets all pushers in for whom there is room.
  MILLRACE_NOINLINE void refill() noexcept {
    work_list served;
    for (backoff<Traits> pause;; pause()) {
      const ticket head = lock_head();
      const bool is_full = ring_.place(ring_.tail()) == ring_.lap_after(ring_.place(head));
      if (is_full || (head & waiting) == 0 || pushers().empty()) {
        ring_.unlock_head(head);
        break;
      }
      let_in(head, everybody, served);
    }
    wake_all<Traits>(served, [](waiter<Traits>&) {});
  }

  /// For a push that does not wait for room. False: the queue is not full, or was not for a moment.
  template <class Source, class Displaced>
  bool overflows(const Source& source, op_status& status, Displaced&& displaced) noexcept {
    const ticket tail = ring_.tail();
    ticket head = ring_.head();
    const ticket at = ring_.place(head);
    if (ring_.lap_after(at) != tail || (head & locked) != 0) return false;
    if (this->options_.overflow == overflow_policy::reject) {
      status = op_status::full;
      return true;
    }
    if (!ring_.is_published(at) || !ring_.change_head(head, with(head, locked))) return false;
    if ((ring_.tail() & (closed | locked)) != 0) {  // I3; a later closer needs this lock first
      ring_.unlock_head(head);
      return false;
    }
    backoff<Traits> pause;
    for (ticket found = tail; !ring_.change_tail(found, ring_.next(tail)); found = tail) {
      pause();  // as pop_locked
    }
    ring_.unlock_head(ring_.next(at));
    T oldest(std::move(ring_.claimed(at)));
    source(
        [&](auto&&... args) noexcept { ring_.replace_claimed(at, std::forward<decltype(args)>(args)...); });
    displaced(std::move(oldest));
    status = op_status::ok;
    return true;
  }
};

}  // namespace millrace::detail
