// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/backoff.hpp>
#include <millrace/detail/cache_line.hpp>
#include <millrace/detail/intrusive_list.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/detail/raw_slot.hpp>
#include <millrace/lockfree/broadcast_slots.hpp>
#include <millrace/queue/broadcast_cursor.hpp>
#include <millrace/queue/broadcast_options.hpp>
#include <millrace/queue/closable_lock.hpp>
#include <millrace/queue/message_source.hpp>
#include <millrace/queue/pop_result.hpp>
#include <millrace/queue/steps.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/waiter.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace::detail {

/// A ring of messages that each cursor reads in full: what broadcast and its subscribers do, without their
/// interfaces.
///
/// Threads     any thread may call anything; of one cursor, one call at a time, a waiting pop included.
/// Progress    a spin lock for each push, under which no user code runs. Reading takes no lock.
/// Lifetime    counted: freed by the last release(). A push or a close that somebody has heard of touches
///             it no more.
template <class T, class Traits>
class broadcast_core {
  static_assert(message_requirements<T>::met);
  static_assert(std::is_copy_constructible_v<T>,
                "millrace: each subscriber gets a copy of the message: broadcast "
                "std::shared_ptr<const T> instead of a T that cannot be copied");

  // Messages are numbered: the ticket. lock_ guards tail_, the ticket of the next push, its slot index_, and
  // the lists.
  //
  // A push claims its ticket and takes all poppers under the lock; then, without it, it writes the message
  // into its slot, which publishes it, and wakes them. So pushes may be in flight side by side, and a cursor
  // stops at the first message that is not published. Nobody waits for a message or a cursor while he holds
  // the lock.
  //
  //   gate  a push claims ticket t only when all cursors are past t - capacity, so readers need not pin.
  //   lag   readers pin. A cursor that is more than capacity behind the tail skips to there.
  //
  //   I1  a popper is listed only while its cursor is at the tail: who claims a ticket, or closes, takes all
  //       poppers. So who was taken by a push will find a message, and copies it itself: a pop that is taken
  //       back, or loses in a select, has cost no message.
  //   I2  a pusher is listed only while there is no room; who makes room (a cursor that moves on or goes)
  //       then looks for pushers. Newcomers put the messages of those who wait in before their own.
  //
  // A waiter that is contested, and was won by somebody else, stays listed until its winner withdraws it: I1
  // and I2 speak of the others.
  //
  // E1  move on -> claim      that the copies are done (gate); then by the lock to who overwrites.
  // E2  release -> the last   all that was done with the core, to who frees it.
  // F1  cursor, pushers_wait_ -> pushers_wait_, cursors   it does not happen that a cursor moves on and then
  //     sees no pusher, while that pusher then sees no room.

 public:
  using value_type = T;
  using traits = Traits;
  using ticket = std::uint64_t;
  using place = typename broadcast_slots<T, Traits>::place;
  using cursor = broadcast_cursor<broadcast_core>;

  /// Errors: std::invalid_argument, std::length_error, std::bad_alloc.
  static broadcast_core* make(std::size_t capacity, broadcast_policy policy) {
    if (capacity == 0) {
      throw std::invalid_argument(
          "millrace: a broadcast has room for at least one message; capacity 0 holds none");
    }
    void* const memory = Traits::allocate(sizeof(broadcast_core), alignof(broadcast_core));
    try {
      return ::new (memory) broadcast_core(capacity, policy);
    } catch (...) {
      Traits::deallocate(memory, alignof(broadcast_core));
      throw;
    }
  }

  broadcast_core(const broadcast_core&) = delete;
  broadcast_core& operator=(const broadcast_core&) = delete;

  /// One reference less than make() and subscribe() gave: *this may be gone.
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;  // E2 publish, E2 observe
    this->~broadcast_core();
    Traits::deallocate(this, alignof(broadcast_core));
  }

  std::size_t capacity() const noexcept { return slots_.capacity(); }
  broadcast_policy policy() const noexcept {
    return slots_.readers_pin() ? broadcast_policy::lag : broadcast_policy::gate;
  }
  bool is_closed() const noexcept { return lock_.is_closed(); }
  std::exception_ptr close_reason() const noexcept { return is_closed() ? reason_ : std::exception_ptr{}; }
  bool sees_room() noexcept {
    const guard here(lock_);
    return has_room();
  }

  /// For the steps of a push: nothing is displaced.
  static void lose(T&&) noexcept {}

  /// Where nobody waits and nobody has to.
  template <class Source>
  bool push_fast(const Source& source) noexcept {
    place at;
    {
      const guard here(lock_);
      if (here.is_closed() || !poppers_.empty() || !pushers_.empty() || !has_room()) return false;
      at = claim();
    }
    slots_.write(at, source);
    return true;
  }

  /// False: it is `full`.
  template <class Source, class Displaced>
  MILLRACE_NOINLINE bool push(const Source& source, op_status& status, Displaced&&) noexcept {
    for (;;) {
      place at;
      waiter<Traits>* first = nullptr;
      work_list woken;
      {
        const guard here(lock_);
        if (here.is_closed()) {
          status = op_status::closed;
          return true;
        }
        if (!has_room()) {
          status = op_status::full;
          return false;
        }
        first = take_pusher();
        at = claim();
        poppers_.take_all(woken);
      }
      if (first != nullptr) {
        let_in(*first, at, woken);
        continue;
      }
      slots_.write(at, source);  // *this may be gone from here on
      status = op_status::ok;
      wake_readers(woken);
      return true;
    }
  }

  bool park_push(waiter<Traits>& w) noexcept {
    const guard here(lock_);
    if (here.is_closed()) return false;
    pushers_wait_.store(true, std::memory_order_seq_cst);  // F1 publish
    if (has_room()) {
      note_pushers();
      return false;
    }
    pushers_.push_back(w);
    return true;
  }

  bool withdraw_push(waiter<Traits>& w) noexcept {
    if (!w.is_listed()) return false;
    const guard here(lock_);
    if (!w.is_listed()) return false;
    pushers_.remove(w);
    note_pushers();
    return true;
  }

  /// Copies the next message to `out`, where it is there. Whoever made room then serves the pushers: see
  /// is_room_wanted(). Where the copy throws, nothing has happened.
  bool read(cursor& at, pop_result<T>& out) noexcept(std::is_nothrow_copy_constructible_v<T>) {
    const auto copy = [&out](const T& message) noexcept(std::is_nothrow_copy_constructible_v<T>) {
      out.deliver(message);
    };
    while (!slots_.read({at.where(), at.index}, copy)) {
      if (!slots_.readers_pin() || !at.skip(tail(), capacity())) return false;
    }
    at.index = slots_.after(at.index);
    if (slots_.readers_pin()) {
      at.position.store(at.where() + 1, std::memory_order_relaxed);  // relaxed: pushes that lag do not look
    } else {
      at.position.store(at.where() + 1, std::memory_order_seq_cst);  // E1 publish, F1 publish
    }
    return true;
  }

  /// After read(): whether pushers wait for what it may have made, room. Then serve_pushers(), which may
  /// wake.
  bool is_room_wanted() const noexcept {
    return pushers_wait_.load(std::memory_order_seq_cst);  // F1 observe
  }

  MILLRACE_NOINLINE void serve_pushers() noexcept {
    for (;;) {
      place at;
      waiter<Traits>* first = nullptr;
      work_list woken;
      {
        const guard here(lock_);
        if (here.is_closed() || !has_room()) return;
        first = take_pusher();
        if (first == nullptr) return;
        at = claim();
        poppers_.take_all(woken);
      }
      let_in(*first, at, woken);
    }
  }

  /// Whether it is closed, and the cursor has read all.
  bool is_over(const cursor& at) const noexcept { return is_closed() && behind(at) == 0; }

  /// False: a message is there or on its way, or none will come.
  bool park_pop(waiter<Traits>& w, cursor& at) noexcept {
    const guard here(lock_);
    if (here.is_closed() || behind(at) != 0) return false;
    assert(!at.is_waiting && "millrace: two pops wait at one subscriber of a broadcast");
    at.is_waiting = true;
    poppers_.push_back(w);
    return true;
  }

  bool withdraw_pop(waiter<Traits>& w, cursor& at) noexcept {
    if (!w.is_listed()) return false;
    const guard here(lock_);
    if (!w.is_listed()) return false;
    poppers_.remove(w);
    at.is_waiting = false;
    return true;
  }

  /// For its owner: how many messages the cursor has passed over.
  std::uint64_t missed(cursor& at) const noexcept {
    if (slots_.readers_pin()) at.skip(tail(), capacity());
    return at.missed;
  }
  std::size_t size_approx(const cursor& at) const noexcept {
    const ticket n = behind(at);
    return n < capacity() ? static_cast<std::size_t>(n) : capacity();
  }

  /// Errors: std::length_error, std::bad_alloc.
  cursor* subscribe() {
    void* const memory = Traits::allocate(sizeof(cursor), alignof(cursor));
    {
      const guard here(lock_);
      if (subscribers_ < broadcast_slots<T, Traits>::most_readers) {
        ++subscribers_;
        references_.fetch_add(1, std::memory_order_relaxed);  // relaxed: the caller has one
        auto* const made = ::new (memory) cursor(*this, tail(), index_);
        cursors_.push_back(*made);
        return made;
      }
    }
    Traits::deallocate(memory, alignof(cursor));
    throw std::length_error("millrace: a broadcast has at most 32767 subscribers");
  }

  /// The cursor is gone then, and *this may be too.
  void unsubscribe(cursor& at) noexcept {
    assert(!at.is_waiting && "millrace: a subscriber of a broadcast was destroyed while a pop of it waits");
    {
      const guard here(lock_);
      --subscribers_;
      cursors_.remove(at);
    }
    at.~cursor();
    Traits::deallocate(&at, alignof(cursor));
    serve_pushers();
    release();
  }

  /// True for the call that closed it.
  bool close(std::exception_ptr reason) noexcept {
    work_list woken;
    work_list handed_back;
    {
      guard here(lock_);
      if (here.is_closed()) return false;
      reason_ = std::move(reason);
      poppers_.take_all(woken);
      pushers_.take_all(handed_back);
      here.close();
    }  // *this may be gone from here on
    wake_all<Traits>(
        woken, [](waiter<Traits>& w) { static_cast<pop_result<T>*>(w.place)->refuse(op_status::closed); });
    wake_all<Traits>(handed_back, [](waiter<Traits>& w) {
      static_cast<push_slot<T>*>(w.place)->status = op_status::closed;
    });
    return true;
  }

  /// Closes, and waits until the pushers that others have won are withdrawn.
  void end() noexcept {
    close(nullptr);
    for (backoff<Traits> pause; !is_left(); pause()) {
    }
  }

 private:
  using guard = typename closable_lock<Traits>::guard;

  broadcast_core(std::size_t capacity, broadcast_policy policy)
      : slots_(capacity, Traits::first_ticket, policy == broadcast_policy::lag) {}
  ~broadcast_core() = default;

  ticket tail() const noexcept {
    return tail_.load(std::memory_order_relaxed);  // relaxed: what a slot holds, its word says
  }
  ticket behind(const cursor& at) const noexcept { return tail() - at.where(); }

  /// Under the lock: whether a ticket can be claimed.
  bool has_room() noexcept {
    if (slots_.readers_pin() || tail() - slowest_ < capacity()) return true;
    ticket most = 0;
    for (cursor* c = cursors_.front(); c != nullptr; c = cursors_.after(*c)) {
      const ticket n = tail() - c->position.load(std::memory_order_seq_cst);  // E1 observe, F1 observe
      if (n > most) most = n;
    }
    slowest_ = tail() - most;
    return most < capacity();
  }

  /// Under the lock.
  place claim() noexcept {
    const place at{tail(), index_};
    tail_.store(at.number + 1, std::memory_order_relaxed);  // relaxed: as its loads
    index_ = slots_.after(index_);
    return at;
  }

  /// Under the lock: the first pusher that waits; null: there is none.
  waiter<Traits>* take_pusher() noexcept {
    if (pushers_.empty()) return nullptr;
    waiter<Traits>* const first = pushers_.take();
    note_pushers();
    return first;
  }
  void note_pushers() noexcept {
    if (pushers_.empty()) {
      pushers_wait_.store(false, std::memory_order_relaxed);  // relaxed: who is listed says so anew, by F1
    }
  }

  /// Writes the message of a pusher that was taken. He and those whom his message wakes may then let go of
  /// it.
  void let_in(waiter<Traits>& pusher, place at, work_list& woken) noexcept {
    auto* const from = static_cast<push_slot<T>*>(pusher.place);
    slots_.write(at, source_of(*from->message));
    wake_readers(woken);
    from->status = op_status::ok;
    wake(pusher);
  }

  static void wake_readers(work_list& woken) noexcept {
    wake_all<Traits>(woken, [](waiter<Traits>&) {});
  }

  bool is_left() noexcept {
    const guard here(lock_);
    return pushers_.empty();
  }

  broadcast_slots<T, Traits> slots_;
  typename Traits::template atomic<std::size_t> references_{1};

  // Read by who has moved a cursor.
  alignas(cache_line) typename Traits::template atomic<bool> pushers_wait_{false};

  // Those of pushes.
  alignas(cache_line) closable_lock<Traits> lock_;
  typename Traits::template atomic<ticket> tail_{Traits::first_ticket};
  std::size_t index_ = 0;
  ticket slowest_ = Traits::first_ticket;  // no cursor is behind it
  std::size_t subscribers_ = 0;
  intrusive_list<cursor> cursors_;
  waiter_list<Traits> poppers_;
  waiter_list<Traits> pushers_;
  std::exception_ptr reason_;
};

}  // namespace millrace::detail
