// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <utility>

#include <millrace/detail/backoff.hpp>
#include <millrace/detail/cache_line.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/lockfree/segment_core.hpp>
#include <millrace/queue/message_source.hpp>
#include <millrace/queue/pop_result.hpp>
#include <millrace/queue/queue_options.hpp>
#include <millrace/queue/queue_stats.hpp>
#include <millrace/queue/steps.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/waiter.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace::detail {

/// A chain of segments that can be waited for: what unbounded_queue does, without its interface.
///
/// Threads     any thread may call anything but the constructor and the destructor.
/// Progress    while nobody waits and the queue is open, exactly that of the segments. A flag sends the
///             operation to a short critical section, locked by a bit of the tail's ticket word.
template <class T, class Traits>
class unbounded_core : public core_options<T> {
  // The ticket words of the segments carry these flags (see bounded_core, which this follows):
  //
  //   tail = {place, locked, waiting: poppers may wait, closed}     head = {place, closed}
  //
  // tail locked guards  poppers_, drainers_, reason_.
  //
  //   I1  a popper is listed only while the queue is empty, and as long as `waiting` is set, pushes hand
  //       their messages to poppers: as in bounded_core.
  //   I2  closed is set once: in the head while the tail is locked, then by the unlock of the tail.
  //   I3  who takes a message from a closed head looks whether it was the last: that one takes the
  //       drainers. close() does likewise.
  //
  // Pushes never wait. Who may destroy what, and when: as in bounded_core.
  //
  // The edges are segment_core's: its E3 (unlock -> lock) carries the lists and reason_.

 public:
  using value_type = T;
  using traits = Traits;

  explicit unbounded_core(const queue_options<T>& options = {}) : core_options<T>(options) {}

  ~unbounded_core() {
    close(nullptr);
    work_list never_drained;
    for (backoff<Traits> pause;; pause()) {
      const ticket tail = lock_tail();
      drainers_.take_all(never_drained);
      const bool all_gone = poppers_.empty() && drainers_.empty();
      segments_.unlock_tail(tail);
      if (all_gone) break;
    }
    wake_all<Traits>(never_drained,
                     [](waiter<Traits>& w) { *static_cast<op_status*>(w.place) = op_status::closed; });
    if (!this->loses()) return;
    for (;;) {
      pop_result<T> left;
      if (!pop(left) || !left) break;
      this->lose(*std::move(left));
    }
  }

  std::size_t size_approx() const noexcept { return segments_.size_approx(); }
  bool is_closed() const noexcept { return (segments_.tail() & closed) != 0; }
  static constexpr bool sees_room() noexcept { return true; }

  std::exception_ptr close_reason() const noexcept { return is_closed() ? reason_ : std::exception_ptr{}; }

  template <class Source>
  MILLRACE_ALWAYS_INLINE bool push_fast(const Source& source) noexcept {
    return put(source) == claim::done;
  }
  MILLRACE_ALWAYS_INLINE bool pop_fast(pop_result<T>& out) noexcept {
    return segments_.try_take([&](T&& message) noexcept { out.deliver(std::move(message)); }) == claim::done;
  }

  /// As that of bounded_core.
  template <class Out>
  std::size_t pop_run(Out out, std::size_t n) noexcept {
    return segments_.try_take_n(std::move(out), n);
  }

  /// Always true: where there is no memory, the status is `full`.
  template <class Source, class Displaced>
  MILLRACE_NOINLINE bool push(const Source& source, op_status& status, Displaced&&) noexcept {
    backoff<Traits> pause;
    for (;;) {
      ticket tail = segments_.tail();
      if ((tail & busy) != 0) {
        pause();
        continue;
      }
      if ((tail & closed) != 0) {
        status = op_status::closed;
        return true;
      }
      if ((tail & waiting) != 0) {  // I1: the queue is empty; hand over
        if (!segments_.change_tail(tail, with(tail, locked))) continue;
        waiter<Traits>* const popper = poppers_.take();
        segments_.unlock_tail(popper == nullptr || poppers_.empty() ? without(tail, waiting) : tail);
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
          status = op_status::full;
          return true;
      }
    }
  }
  static constexpr bool park_push(waiter<Traits>&) noexcept { return false; }
  static constexpr bool withdraw_push(waiter<Traits>&) noexcept { return false; }

  /// Takes the oldest message, or says `closed`. False: it is `empty`, or a push is in flight.
  MILLRACE_NOINLINE bool pop(pop_result<T>& out) noexcept {
    for (backoff<Traits> pause;; pause()) {
      const ticket head = segments_.head();
      if (segments_.template try_take<closed>(
              [&](T&& message) noexcept { out.deliver(std::move(message)); }) == claim::done) {
        if ((segments_.head() & closed) != 0) end_drained();  // I3
        return true;
      }
      const ticket tail = segments_.tail();
      if ((head & segments::changing) != 0) continue;
      if (segments::place(tail) == segments::place(head)) {
        if ((tail & closed) != 0) {
          out.refuse(op_status::closed);
          return true;
        }
        if ((tail & busy) != 0) continue;
      } else if (segments_.head() != head) {
        continue;  // else a closed queue could be empty meanwhile
      }
      out.refuse(op_status::empty);
      return false;
    }
  }

  queue_stats stats() const noexcept {
    const std::uint64_t popped =
        segments_.count_of(segments_.head());  // first: so it is not more than was pushed
    return {this->options_.name, segments_.count_of(segments_.tail()), popped, size_approx(), ~std::size_t{0},
            is_closed()};
  }

  /// Lists a pop, whose place is a pop_result, where the queue is empty. False: it is not, or was not.
  MILLRACE_NOINLINE bool park_pop(waiter<Traits>& w) noexcept {
    for (backoff<Traits> pause;; pause()) {
      const ticket head = segments_.head();
      if ((head & segments::changing) != 0) continue;
      ticket tail = segments_.tail();
      if (segments::place(tail) != segments::place(head) || (tail & closed) != 0) return false;
      if ((tail & busy) != 0 || !segments_.change_tail(tail, with(tail, locked))) continue;
      poppers_.push_back(w);  // I1
      segments_.unlock_tail(with(tail, waiting));
      return true;  // w may be gone from here on, and the queue with it
    }
  }

  /// Whether the queue is closed and empty.
  bool is_drained() const noexcept {
    const ticket head = segments_.head();  // never past the tail: if they are equal then, they stay so
    const ticket tail = segments_.tail();
    return (tail & closed) != 0 && segments::place(tail) == segments::place(head);
  }

  /// Lists a drained(), whose place is an op_status. False: the queue is drained.
  MILLRACE_NOINLINE bool park_drained(waiter<Traits>& w) noexcept {
    const ticket tail = lock_tail();
    const bool is_over = (tail & closed) != 0 && segments::place(tail) == segments::place(segments_.head());
    if (!is_over) drainers_.push_back(w);
    segments_.unlock_tail(tail);
    return !is_over;
  }

  /// True for the call that closed it.
  bool close(std::exception_ptr reason) noexcept {
    const ticket tail = lock_tail();
    if ((tail & closed) != 0) {
      segments_.unlock_tail(tail);
      return false;
    }
    reason_ = std::move(reason);
    work_list woken;
    work_list done;
    poppers_.take_all(woken);
    if (mark_head() == segments::place(tail)) drainers_.take_all(done);
    segments_.unlock_tail(with(segments::place(tail), closed));  // *this may be gone from here on

    wake_all<Traits>(
        woken, [](waiter<Traits>& w) { static_cast<pop_result<T>*>(w.place)->refuse(op_status::closed); });
    wake_all<Traits>(done, [](waiter<Traits>&) {});
    return true;
  }

  /// As those of bounded_core.
  bool withdraw_pop(waiter<Traits>& w) noexcept { return withdraw(poppers_, w); }
  bool withdraw_drained(waiter<Traits>& w) noexcept { return withdraw(drainers_, w); }

 private:
  using segments = segment_core<T, Traits>;
  using ticket = typename segments::ticket;

  static constexpr ticket locked = 2;
  static constexpr ticket waiting = 4;
  static constexpr ticket closed = 8;
  static constexpr ticket busy = segments::changing | locked;

  static ticket with(ticket word, ticket flag) noexcept { return static_cast<ticket>(word | flag); }
  static ticket without(ticket word, ticket flag) noexcept { return static_cast<ticket>(word & ~flag); }

  /// Blocked: there is no memory.
  template <class Source>
  MILLRACE_ALWAYS_INLINE claim put(const Source& source) noexcept {
    return source([this](auto&&... args) noexcept {
      try {
        return segments_.try_put(std::forward<decltype(args)>(args)...);
      } catch (const std::bad_alloc&) {
        return claim::blocked;
      }
    });
  }

  /// What the word was, without `locked`.
  ticket lock_tail() noexcept {
    for (backoff<Traits> pause;; pause()) {
      ticket tail = segments_.tail();
      if ((tail & busy) == 0 && segments_.change_tail(tail, with(tail, locked))) return tail;
    }
  }

  /// Says `closed` in the head, and where it stands.
  ticket mark_head() noexcept {
    for (backoff<Traits> pause;; pause()) {
      ticket head = segments_.head();
      if ((head & segments::changing) != 0) continue;
      if (segments_.change_head(head, with(head, closed))) return segments::place(head);
    }
  }

  /// For who has taken a message from a closed queue.
  void end_drained() noexcept {
    if (segments::place(segments_.tail()) != segments::place(segments_.head())) return;
    work_list done;
    const ticket tail = lock_tail();  // the closer has unlocked it: who is woken may destroy the queue
    drainers_.take_all(done);
    segments_.unlock_tail(tail);
    wake_all<Traits>(done, [](waiter<Traits>&) {});
  }

  bool withdraw(waiter_list<Traits>& list, waiter<Traits>& w) noexcept {
    if (!w.is_listed()) return false;
    const ticket tail = lock_tail();
    const bool ours = w.is_listed();
    if (ours) list.remove(w);
    segments_.unlock_tail(poppers_.empty() ? without(tail, waiting) : tail);
    return ours;
  }

  segments segments_;
  alignas(cache_line) waiter_list<Traits> poppers_;
  waiter_list<Traits> drainers_;
  std::exception_ptr reason_;
};

}  // namespace millrace::detail
