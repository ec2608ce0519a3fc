// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/backoff.hpp>
#include <millrace/detail/cache_line.hpp>
#include <millrace/detail/cpu.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/detail/raw_slot.hpp>
#include <millrace/lockfree/claim.hpp>
#include <millrace/lockfree/slot_layout.hpp>

namespace millrace::detail {

/// The ring under mpmc_ring and bounded_queue: cells with a sequence stamp each, and one ticket
/// word for each end that can carry flags. Source: D. Vyukov's bounded MPMC queue (2011), with the
/// capacity made exact by lap stepping and with flags in the words that its threads claim from.
///
/// Threads     any thread may call anything but the constructor and the destructor.
/// Progress    a claim is lock-free; but a thread stopped between its claim and its stamp holds up
///             the other end at that cell, so the ring as a whole is not.
/// Complexity  constant; sizeof(T) plus one ticket, rounded up to their alignment, for each slot.
///
/// The flags are opaque here. While any is set, try_put and try_take leave the word alone; the floor above
/// gives each bit its meaning, and keeps what such a lock guards in Beside::tail and Beside::head.
template <class T, class Traits, class Layout = dense_slots, class Beside = nothing_beside>
class ring_core {
  // A ticket word is {lap, index, flag_bits}: index < capacity, one lap is the smallest power of
  // two >= capacity, so stepping needs no division and every capacity >= 1 is exact.
  //
  // A cell's stamp, for the ticket t (flags 0) that comes to it next:
  //   t          free: the push that holds ticket t may fill it
  //   t | 1      published: the pop that holds ticket t may empty it
  //   t + lap    free again, for the push one lap later
  //
  //   push: stamp is t?      CAS tail t -> next(t), fill,  stamp = t | 1
  //   pop:  stamp is t | 1?  CAS head t -> next(t), empty, stamp = t + lap
  //
  // A ticket word moves only by CAS; while a flag of the floor above locks it, only that lock's
  // holder stores to it.
  //
  // Who may destroy what: a message in a cell belongs to the ring while its stamp is published and
  // no pop has claimed its ticket; the destructor, when nobody calls any more, destroys those.
  //
  // E1  put -> take     the message, by the cell's stamp.
  // E2  take -> put     the emptied cell, by its stamp.
  // E3  unlock -> lock  what the lock of a ticket word guards, through any claims in between
  //                     (they are RMWs, so they continue the release sequence).

 public:
  using ticket = typename Traits::ticket;

  static constexpr ticket flag_bits = 15;
  static constexpr ticket step = 16;
  static constexpr bool nothrow_put = true;

  explicit ring_core(std::size_t capacity)
      : capacity_(checked(capacity)),
        lap_(static_cast<ticket>(std::bit_ceil(capacity) * step)),
        index_mask_(static_cast<ticket>(lap_ - step)),
        wrap_(static_cast<ticket>((capacity * step) & index_mask_)),
        skip_(static_cast<ticket>(lap_ - capacity * step)),
        cells_(static_cast<cell*>(Traits::allocate(capacity * sizeof(cell), alignof(cell)))) {
    const ticket start = static_cast<ticket>(static_cast<ticket>(Traits::first_ticket * step) & ~index_mask_);
    ticket stamp = start;
    for (std::size_t i = 0; i < capacity; ++i, stamp = next(stamp)) {
      cell* const fresh = ::new (static_cast<void*>(cells_ + Layout::place(i, capacity))) cell;
      fresh->stamp.store(stamp, std::memory_order_relaxed);  // relaxed: nobody else knows us yet
    }
    tail_.store(start, std::memory_order_relaxed);  // relaxed: nobody else knows us yet
    head_.store(start, std::memory_order_relaxed);  // relaxed: nobody else knows us yet
  }

  ring_core(const ring_core&) = delete;
  ring_core& operator=(const ring_core&) = delete;

  ~ring_core() {
    for (ticket at = place(head()); is_published(at); at = next(at)) cell_at(at).slot.destroy();
    for (std::size_t i = 0; i < capacity_; ++i) cells_[i].~cell();
    Traits::deallocate(cells_, alignof(cell));
  }

  std::size_t capacity() const noexcept { return capacity_; }

  /// How many tickets were claimed by pushes and not yet by pops: exact where nothing is in flight.
  std::size_t size_approx() const noexcept {
    const ticket from = place(head());
    const ticket to = place(tail());
    ticket distance = static_cast<ticket>(to - from);
    if (((to ^ from) & ~index_mask_) != 0) distance = static_cast<ticket>(distance - skip_);
    if (distance > static_cast<ticket>(~ticket{0}) / 2) return 0;  // the head has moved in between
    const std::size_t size = static_cast<std::size_t>(distance / step);
    return size < capacity_ ? size : capacity_;
  }

  /// How many tickets were claimed before this one.
  std::uint64_t count_of(ticket word) const noexcept {
    const ticket start = static_cast<ticket>(static_cast<ticket>(Traits::first_ticket * step) & ~index_mask_);
    const std::uint64_t laps =
        static_cast<ticket>(static_cast<ticket>(word - start) & ~(index_mask_ | flag_bits)) / lap_;
    return laps * capacity_ + index_of(word);
  }

  /// A snapshot: whether a push that came now would find a free cell.
  bool sees_room() const noexcept {
    for (ticket at = place(tail());;) {
      if (cell_at(at).stamp.load(std::memory_order_relaxed) == at) return true;  // relaxed: a snapshot
      const ticket now = place(tail());
      if (now == at) return false;
      at = now;  // another push has taken that cell
    }
  }

  /// Claims the next free cell and builds the message in it; touches args only when done.
  template <class... Args>
  MILLRACE_ALWAYS_INLINE claim try_put(Args&&... args) noexcept {
    static_assert(std::is_nothrow_constructible_v<T, Args...>);
    ticket at = tail_.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
    for (;;) {
      if ((at & flag_bits) != 0) return claim::flagged;
      cell& here = cell_at(at);
      if (here.stamp.load(std::memory_order_acquire) == at) {  // E2 observe
        ticket found = at;
        if (tail_.compare_exchange_strong(
                found, next(at),
                std::memory_order_relaxed,     // relaxed: only counts; the stamps carry E1 and E2
                std::memory_order_relaxed)) {  // relaxed: the word is looked at, not what it guards
          cpu_prefetch_after(here);
          here.slot.construct(std::forward<Args>(args)...);
          here.stamp.store(published(at), std::memory_order_release);  // E1 publish: last touch
          return claim::done;
        }
        backoff<Traits>::lost_race();
        at = tail_.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
      } else {
        const ticket now = tail_.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
        if (now == at) return claim::blocked;
        at = now;
      }
    }
  }

  /// Claims the oldest message and gives it to sink(T&&), then destroys what is left of it.
  template <class Sink>
  MILLRACE_ALWAYS_INLINE claim try_take(Sink&& sink) noexcept {
    static_assert(std::is_nothrow_invocable_v<Sink, T&&>);
    ticket at = head_.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
    for (;;) {
      if ((at & flag_bits) != 0) return claim::flagged;
      cell& here = cell_at(at);
      if (here.stamp.load(std::memory_order_acquire) == published(at)) {  // E1 observe
        ticket found = at;
        if (head_.compare_exchange_strong(
                found, next(at),
                std::memory_order_relaxed,     // relaxed: only counts; the stamps carry E1 and E2
                std::memory_order_relaxed)) {  // relaxed: the word is looked at, not what it guards
          // not of smaller cells: those on one line with them may not be filled yet
          if constexpr (sizeof(cell) > cache_line) cpu_prefetch_after(here);
          sink(std::move(here.slot.get()));
          here.slot.destroy();
          here.stamp.store(lap_after(at), std::memory_order_release);  // E2 publish: last touch
          return claim::done;
        }
        backoff<Traits>::lost_race();
        at = head_.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
      } else {
        const ticket now = head_.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
        if (now == at) return claim::blocked;
        at = now;
      }
    }
  }

  /// Claims the free cells of the next n in one step for each run that the wrap does not break, builds
  /// messages from *first and what follows in them: how many. Stops short at a flag.
  template <class It>
  std::size_t try_put_n(It first, std::size_t n) noexcept {
    const auto cell_of = geometry();
    std::size_t done = 0;
    ticket at = tail_.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
    while (done < n && (at & flag_bits) == 0) {
      const std::size_t index = index_of(at);
      const std::size_t most = n - done < capacity_ - index ? n - done : capacity_ - index;
      std::size_t run = 0;
      for (ticket t = at; run < most; ++run, t = static_cast<ticket>(t + step)) {
        if (cell_of(index + run).stamp.load(std::memory_order_acquire) != t) break;  // E2 observe
      }
      if (run == 0) {
        const ticket now = tail_.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
        if (now == at) break;
        at = now;
        continue;
      }
      ticket found = at;
      const ticket after = next(static_cast<ticket>(at + static_cast<ticket>(run - 1) * step));
      if (!tail_.compare_exchange_strong(
              found, after,
              std::memory_order_relaxed,     // relaxed: only counts; the stamps carry E1 and E2
              std::memory_order_relaxed)) {  // relaxed: the word is looked at, not what it guards
        backoff<Traits>::lost_race();
        at = tail_.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
        continue;
      }
      for (std::size_t i = 0; i < run; ++i, ++first, at = static_cast<ticket>(at + step)) {
        cell& here = cell_of(index + i);
        here.slot.construct(*first);
        here.stamp.store(published(at), std::memory_order_release);  // E1 publish: last touch
      }
      done += run;
      if (run < most) break;  // the next one is not ready
      at = after;             // behind the wrap
    }
    return done;
  }

  /// Claims the published messages of the next n in one step for each run that the wrap does not break,
  /// and moves them to *out and what follows: how many. Stops short at a flag.
  template <class Out>
  std::size_t try_take_n(Out out, std::size_t n) noexcept {
    const auto cell_of = geometry();
    const ticket lap = lap_;
    std::size_t done = 0;
    ticket at = head_.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
    while (done < n && (at & flag_bits) == 0) {
      const std::size_t index = index_of(at);
      const std::size_t most = n - done < capacity_ - index ? n - done : capacity_ - index;
      std::size_t run = 0;
      for (ticket t = at; run < most; ++run, t = static_cast<ticket>(t + step)) {
        if (cell_of(index + run).stamp.load(std::memory_order_acquire) != published(t)) break;  // E1 observe
      }
      if (run == 0) {
        const ticket now = head_.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
        if (now == at) break;
        at = now;
        continue;
      }
      ticket found = at;
      const ticket after = next(static_cast<ticket>(at + static_cast<ticket>(run - 1) * step));
      if (!head_.compare_exchange_strong(
              found, after,
              std::memory_order_relaxed,     // relaxed: only counts; the stamps carry E1 and E2
              std::memory_order_relaxed)) {  // relaxed: the word is looked at, not what it guards
        backoff<Traits>::lost_race();
        at = head_.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
        continue;
      }
      for (std::size_t i = 0; i < run; ++i, ++out, at = static_cast<ticket>(at + step)) {
        cell& here = cell_of(index + i);
        *out = std::move(here.slot.get());
        here.slot.destroy();
        here.stamp.store(static_cast<ticket>(at + lap), std::memory_order_release);  // E2 publish: last touch
      }
      done += run;
      if (run < most) break;  // the next one is not ready
      at = after;             // behind the wrap
    }
    return done;
  }

  // For the floor above, which locks a ticket word by a flag.

  typename Beside::tail& beside_tail() noexcept { return beside_tail_; }
  const typename Beside::tail& beside_tail() const noexcept { return beside_tail_; }
  typename Beside::head& beside_head() noexcept { return beside_head_; }

  static ticket place(ticket word) noexcept { return static_cast<ticket>(word & ~flag_bits); }

  ticket next(ticket at) const noexcept {
    const ticket after = static_cast<ticket>(at + step);
    return static_cast<ticket>(after + ((after & index_mask_) == wrap_ ? skip_ : 0));
  }
  ticket lap_after(ticket at) const noexcept { return static_cast<ticket>(at + lap_); }

  ticket tail() const noexcept { return tail_.load(std::memory_order_acquire); }  // E3 observe
  ticket head() const noexcept { return head_.load(std::memory_order_relaxed); }  // relaxed: a CAS follows

  /// Replaces the word if it is still `found`; otherwise tells in `found` what it is.
  bool change_tail(ticket& found, ticket wanted) noexcept { return change(tail_, found, wanted); }
  bool change_head(ticket& found, ticket wanted) noexcept { return change(head_, found, wanted); }

  /// Only for the holder of that word's lock: ends it.
  void unlock_tail(ticket word) noexcept { tail_.store(word, std::memory_order_release); }  // E3 publish
  void unlock_head(ticket word) noexcept { head_.store(word, std::memory_order_release); }  // E3 publish

  /// Whether the cell of this ticket (no flags) can be filled; whether its message can be taken.
  bool is_free(ticket at) const noexcept {
    return cell_at(at).stamp.load(std::memory_order_acquire) == at;  // E2 observe
  }
  bool is_published(ticket at) const noexcept {
    return cell_at(at).stamp.load(std::memory_order_acquire) == published(at);  // E1 observe
  }

  /// Builds the message with this ticket in its free cell, for who has locked the tail there and moved it on.
  template <class... Args>
  void put_claimed(ticket at, Args&&... args) noexcept {
    cell& here = cell_at(at);
    here.slot.construct(std::forward<Args>(args)...);
    here.stamp.store(published(at), std::memory_order_release);  // E1 publish: last touch
  }

  /// The published message with this ticket, for who has locked the head there and moved it on.
  T& claimed(ticket at) noexcept { return cell_at(at).slot.get(); }

  /// Destroys what was moved out of a claimed cell, and frees it for the push one lap later.
  void free_claimed(ticket at) noexcept {
    cell& here = cell_at(at);
    here.slot.destroy();
    here.stamp.store(lap_after(at), std::memory_order_release);  // E2 publish: last touch
  }

  /// Destroys what was moved out of a claimed cell, and builds the message of the push one lap later in
  /// its place, for who has moved the tail past that push.
  template <class... Args>
  void replace_claimed(ticket at, Args&&... args) noexcept {
    cell& here = cell_at(at);
    here.slot.destroy();
    here.slot.construct(std::forward<Args>(args)...);
    here.stamp.store(published(lap_after(at)), std::memory_order_release);  // E1 publish: last touch
  }

 private:
  using ticket_word = typename Traits::template atomic<ticket>;

  struct bare_cell {
    ticket_word stamp;
    raw_slot<T, Traits> slot;
  };
  struct alignas(Layout::alignment(alignof(bare_cell))) cell {
    ticket_word stamp;
    raw_slot<T, Traits> slot;
  };

  static_assert(message_requirements<T>::met);

  static std::size_t checked(std::size_t capacity) {
    if (capacity == 0) {
      throw std::invalid_argument(
          "millrace: the capacity is 0, but a queue holds at least 1 message: ask for 1 or more");
    }
    constexpr std::size_t tickets = static_cast<ticket>(~ticket{0}) / (4 * std::size_t{step});
    constexpr std::size_t memory = ~std::size_t{0} / 2 / sizeof(cell);
    if (capacity > (tickets < memory ? tickets : memory)) {
      throw std::length_error("millrace: the capacity is beyond what tickets can count or memory can hold");
    }
    return capacity;
  }

  std::size_t index_of(ticket at) const noexcept {
    return static_cast<std::size_t>(static_cast<ticket>(at & index_mask_) / step);
  }

  static ticket published(ticket at) noexcept { return static_cast<ticket>(at | 1); }

  /// How to find a cell in a loop: a copy of the geometry, which no store to a cell can change.
  auto geometry() const noexcept {
    return [cells = cells_, capacity = capacity_](std::size_t index) noexcept -> cell& {
      return cells[Layout::place(index, capacity)];
    };
  }
  cell& cell_at(ticket at) const noexcept { return cells_[Layout::place(index_of(at), capacity_)]; }

  static bool change(ticket_word& word, ticket& found, ticket wanted) noexcept {
    return word.compare_exchange_strong(found, wanted,
                                        std::memory_order_acquire,   // E3 observe
                                        std::memory_order_relaxed);  // relaxed: who fails looks again
  }

  // Line 0, only read: the geometry.
  const std::size_t capacity_;
  const ticket lap_;         // one lap, in word units
  const ticket index_mask_;  // the bits of a word that hold the index
  const ticket wrap_;        // the index bits just past the last cell
  const ticket skip_;        // from there to the next lap's first cell
  cell* const cells_;

  alignas(cache_line) ticket_word tail_;
  [[no_unique_address]] typename Beside::tail beside_tail_;
  alignas(cache_line) ticket_word head_;
  [[no_unique_address]] typename Beside::head beside_head_;
};

}  // namespace millrace::detail
