// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <utility>

#include <millrace/detail/backoff.hpp>
#include <millrace/lockfree/ring_core.hpp>
#include <millrace/queue/queue_options.hpp>
#include <millrace/queue/queue_stats.hpp>
#include <millrace/queue/steps.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/trampoline.hpp>
#include <millrace/wait/waiter.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace::detail {

/// What a bounded queue consists of: a ring, the flags in its ticket words, and who waits at which end.
///
/// Threads     any thread may call anything but the constructor.
/// Progress    the locks are spin locks, held for a few instructions.
template <class T, class Traits>
class bounded_state : public core_options<T> {
  // The ring's ticket words carry three flags:
  //
  //   tail = {place, locked, waiting: poppers may wait,  closed}
  //   head = {place, locked, waiting: pushers may wait, or the queue is closed and drained() waits}
  //
  // The ring's own operations stop at any flag, so an operation's one CAS on its ticket word is
  // also its look for waiters: no fence, and no race between that look and somebody's going to
  // sleep. `locked` is a spin lock. Lock order: head, then tail.
  //
  // tail locked guards  poppers, reason.      head locked guards  pushers, drainers, agent, passed.
  //
  // The edges are ring_core's: its E3 (unlock -> lock) carries what the locks guard.

 public:
  using value_type = T;
  using traits = Traits;

  bounded_state(std::size_t capacity, const queue_options<T>& options)
      : core_options<T>(options), ring_(capacity) {}

  std::size_t capacity() const noexcept { return ring_.capacity(); }
  std::size_t size_approx() const noexcept { return ring_.size_approx(); }
  bool sees_room() const noexcept { return ring_.sees_room(); }
  bool is_closed() const noexcept { return (ring_.tail() & closed) != 0; }

  std::exception_ptr close_reason() const noexcept {
    return is_closed() ? ring_.beside_tail().reason : std::exception_ptr{};
  }

  /// Whether the queue is closed and empty.
  bool is_drained() const noexcept {
    const ticket head = ring_.head();  // never past the tail: if they are equal then, they stay so
    const ticket tail = ring_.tail();
    return (tail & closed) != 0 && ring_.place(tail) == ring_.place(head);
  }

  queue_stats stats() const noexcept {
    const std::uint64_t popped = ring_.count_of(ring_.head());  // first: so it is not more than was pushed
    return {this->options_.name, ring_.count_of(ring_.tail()), popped, size_approx(), capacity(),
            is_closed()};
  }

 protected:
  struct ends {
    struct tail {
      waiter_list<Traits> poppers;
      std::exception_ptr reason;
    };
    struct head {
      waiter_list<Traits> pushers;
      waiter_list<Traits> drainers;
      waiter<Traits>* agent = nullptr;  // was woken with the duty to let the other pushers in
      std::size_t passed = 0;           // how many messages were taken since that was seen to
    };
  };
  using ring = ring_core<T, Traits, dense_slots, ends>;
  using ticket = typename ring::ticket;

  static constexpr ticket locked = 1;
  static constexpr ticket waiting = 2;
  static constexpr ticket closed = 4;

  static ticket with(ticket word, ticket flag) noexcept { return static_cast<ticket>(word | flag); }
  static ticket without(ticket word, ticket flag) noexcept { return static_cast<ticket>(word & ~flag); }

  waiter_list<Traits>& poppers() noexcept { return ring_.beside_tail().poppers; }
  waiter_list<Traits>& pushers() noexcept { return ring_.beside_head().pushers; }
  waiter_list<Traits>& drainers() noexcept { return ring_.beside_head().drainers; }
  waiter<Traits>*& agent() noexcept { return ring_.beside_head().agent; }
  std::size_t& passed() noexcept { return ring_.beside_head().passed; }

  /// What the word was, without `locked`.
  ticket lock_head() noexcept {
    ticket head;
    for (backoff<Traits> pause; !try_lock_head(head);) pause();
    return head;
  }
  ticket lock_tail() noexcept {
    ticket tail;
    for (backoff<Traits> pause; !try_lock_tail(tail);) pause();
    return tail;
  }

  /// For the holder of the head's lock: unlocks it at this place, where no pusher waits, having taken the
  /// drainers if it is drained.
  void unlock_head_at(ticket at, work_list& done) noexcept {
    ticket tail = ring_.tail();
    // Somebody may be closing it, and who is woken may destroy it: until he has unlocked it.
    for (backoff<Traits> pause; (tail & locked) != 0; tail = ring_.tail()) pause();
    const bool is_over = (tail & closed) != 0;
    if (is_over && ring_.place(tail) == at) drainers().take_all(done);
    ring_.unlock_head(is_over && !drainers().empty() ? with(at, waiting) : at);
  }

  /// Whether this pusher, who was taken and is to be woken, is to be the agent: where others wait, and it will
  /// soon run. Only this thread's own pool can be trusted with that.
  bool is_to_serve(const waiter<Traits>& w) noexcept {
    return !pushers().empty() && ring_.capacity() >= Traits::least_refilled && w.home &&
           Traits::this_thread().worker != nullptr && w.home == trampoline<Traits>::current_executor();
  }

  /// Unlocks the head, and lets up to so many pushers in (one at least, where there is room), who are then to
  /// be woken. Returns the last of them, if it is to serve the others.
  waiter<Traits>* let_in(ticket head, std::size_t most, work_list& served) noexcept {
    const ticket tail = lock_tail();
    const ticket first = ring_.place(tail);
    const ticket full = ring_.lap_after(ring_.place(head));
    work_list in;
    waiter<Traits>* last = nullptr;
    bool is_over = false;  // nobody else is to be let in, whoever is still listed
    ticket at = first;
    for (; most != 0 && at != full && ring_.is_free(at); --most, at = ring_.next(at)) {
      waiter<Traits>* const w = pushers().take();
      is_over = w == nullptr;
      if (is_over) break;
      in.push_back(*w);
      last = w;
    }
    passed() = 0;
    const bool serves = most == 0 && is_to_serve(*last);
    if (serves) last->appoint();
    ring_.unlock_tail(with(at, static_cast<ticket>(tail - first)));
    ring_.unlock_head(is_over || pushers().empty() ? without(head, waiting) : head);
    // From there until its stamp, each of these cells is ours.
    for (ticket to = first; !in.empty(); to = ring_.next(to)) {
      auto& w = static_cast<waiter<Traits>&>(in.pop_front());
      auto* const slot = static_cast<push_slot<T>*>(w.place);
      ring_.put_claimed(to, std::move(*slot->message));
      slot->status = op_status::ok;
      served.push_back(w);
    }
    return serves ? last : nullptr;
  }

  /// Takes a parked waiter back; false: somebody else has taken it, who may wait, under the lock, until this
  /// returns.
  bool withdraw_at_tail(waiter_list<Traits>& list, waiter<Traits>& w) noexcept {
    ticket tail;
    for (backoff<Traits> pause;; pause()) {
      if (!w.is_listed()) return false;
      if (try_lock_tail(tail)) break;
    }
    const bool ours = w.is_listed();
    if (ours) list.remove(w);
    ring_.unlock_tail(poppers().empty() ? without(tail, waiting) : tail);
    return ours;
  }
  bool withdraw_at_head(waiter_list<Traits>& list, waiter<Traits>& w) noexcept {
    ticket head;
    for (backoff<Traits> pause;; pause()) {
      if (!w.is_listed()) return false;
      if (try_lock_head(head)) break;
    }
    const bool ours = w.is_listed();
    if (ours) list.remove(w);
    // A locked tail may be that of the closer, who has set it for the drainers.
    const bool wanted =
        !pushers().empty() || (!drainers().empty() && (ring_.tail() & (closed | locked)) != 0);
    ring_.unlock_head(wanted ? head : without(head, waiting));
    return ours;
  }

  ring ring_;

 private:
  /// The word, without `locked`; false: it is locked, or has changed.
  bool try_lock_head(ticket& head) noexcept {
    ticket found = head = ring_.head();
    return (head & locked) == 0 && ring_.change_head(found, with(head, locked));
  }
  bool try_lock_tail(ticket& tail) noexcept {
    ticket found = tail = ring_.tail();
    return (tail & locked) == 0 && ring_.change_tail(found, with(tail, locked));
  }
};

}  // namespace millrace::detail
