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
#include <millrace/detail/cache_line.hpp>
#include <millrace/detail/cpu.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/detail/raw_slot.hpp>
#include <millrace/lockfree/claim.hpp>

namespace millrace::detail {

/// The ring under spsc_ring: cache lines of a few slots and a stamp each. The stamp stands beside the
/// messages that it publishes, so one line brings both, and no line goes to and fro with every message.
/// Source: a flag in each slot instead of a shared index: J. Giacomoni, T. Moseley and M. Vachharajani,
/// FastForward (PPoPP 2008); here one for each line, and the tail that it tells is a position.
///
/// Threads     one calls try_put, try_put_n and sees_room, one try_take, try_take_n and sees_message; any the
///             others.
/// Progress    wait-free.
/// Complexity  constant; no locked instruction.
///
/// Beside is what the floor above keeps for each side, in a line that only this side writes.
template <class T, class Traits, class Beside = nothing_beside>
class spsc_core {
  // A position is {lap, line, place in the line}: place 1 to slots_in_line is a slot, 0 is the stamp. One lap
  // is a power of two, so stepping needs no division, and positions order all messages.
  //
  //   tail          where the next push goes; only the producer writes it, only size_approx reads it
  //   head          where the next pop goes; published by each pop
  //   line's stamp  where the producer went on after its last push into this line: everything up to there is
  //                 published. Not after the consumer's position: nothing new in this line. A lap ahead of
  //                 it: the ring is nearly full, and its end stands in the line of its begin.
  //   limit         the producer's: so far there is room; one capacity after the head that it saw last
  //
  //   push: tail != limit (else look at head)?               fill, stamp = tail' = next(tail)
  //   pop:  this line's stamp after head?                    empty, head = next(head)
  //
  // Who may destroy what: the slots from head to tail hold messages, which belong to the consumer; the
  // others belong to the producer. The destructor, when nobody calls any more, destroys the messages.
  //
  // E1  put -> take   the messages of a line up to its stamp.
  // E2  take -> put   the emptied slots, by head.

 public:
  using ticket = typename Traits::ticket;

  static constexpr bool nothrow_put = true;

  explicit spsc_core(std::size_t capacity) : producer_(ring(capacity)), consumer_(producer_) {
    const ticket start = static_cast<ticket>(Traits::first_ticket & ~producer_.mask);
    for (std::size_t i = 0; i < producer_.line_count; ++i) {
      line* const fresh = ::new (static_cast<void*>(producer_.lines + i)) line;
      fresh->stamp.store(start, std::memory_order_relaxed);  // relaxed: nobody else knows us yet
    }
    const ticket first = static_cast<ticket>(start + 1);
    producer_.tail.store(first, std::memory_order_relaxed);  // relaxed: nobody else knows us yet
    head_.store(first, std::memory_order_relaxed);           // relaxed: nobody else knows us yet
    producer_.limit = producer_.lap_after(first);
  }

  spsc_core(const spsc_core&) = delete;
  spsc_core& operator=(const spsc_core&) = delete;

  ~spsc_core() {
    while (try_take([](T&&) noexcept {}) == claim::done) {
    }
    for (std::size_t i = 0; i < producer_.line_count; ++i) producer_.lines[i].~line();
    Traits::deallocate(producer_.lines, alignof(line));
  }

  std::size_t capacity() const noexcept { return producer_.capacity; }

  std::size_t size_approx() const noexcept {
    const ticket head = head_.load(std::memory_order_relaxed);           // relaxed: a snapshot
    const ticket tail = producer_.tail.load(std::memory_order_relaxed);  // relaxed: a snapshot
    if (!is_before(head, tail)) return 0;                                // or the head has moved in between
    const ring& r = producer_;
    const bool wrapped = ((tail ^ head) & ~r.mask) != 0;
    const std::size_t lines = r.line_of(tail) + (wrapped ? r.line_count : 0) - r.line_of(head);
    const std::size_t size = lines * slots_in_line + place_of(tail) - place_of(head);
    return size < r.capacity ? size : r.capacity;
  }

  /// Snapshots of how many messages went in, and out, modulo what a position counts.
  ticket pushed() const noexcept {
    return producer_.count_of(producer_.tail.load(std::memory_order_relaxed));  // relaxed: a snapshot
  }
  ticket popped() const noexcept {
    return producer_.count_of(head_.load(std::memory_order_relaxed));  // relaxed: a snapshot
  }

  /// Whether the ring was full at some moment of the call.
  bool was_full() const noexcept {
    const ticket tail = producer_.tail.load(std::memory_order_relaxed);  // relaxed: full, if the head says so
    return producer_.lap_after(head_.load(std::memory_order_relaxed)) == tail;  // relaxed: nothing is taken
  }
  /// Exact, where the caller is ordered after the last operation of each side.
  bool is_empty() const noexcept {
    return head_.load(std::memory_order_relaxed) ==         // relaxed: the caller has ordered it
           producer_.tail.load(std::memory_order_relaxed);  // relaxed: the caller has ordered it
  }

  /// What is kept beside each side.
  Beside& at_producer() noexcept { return producer_.beside; }
  Beside& at_consumer() noexcept { return consumer_.beside; }

  /// For the consumer: whether a pop that came now would find a message.
  bool sees_message() const noexcept {
    return is_before(
        head_.load(std::memory_order_relaxed),                   // relaxed: our own
        consumer_.here->stamp.load(std::memory_order_relaxed));  // relaxed: who takes it looks again
  }
  /// Whether a push that came now would find a free slot.
  bool sees_room() noexcept {
    return has_room(producer_.tail.load(std::memory_order_relaxed));  // relaxed: our own
  }

  template <class... Args>
  MILLRACE_ALWAYS_INLINE claim try_put(Args&&... args) noexcept {
    static_assert(std::is_nothrow_constructible_v<T, Args...>);
    const ticket at = producer_.tail.load(std::memory_order_relaxed);  // relaxed: our own
    if (!has_room(at)) return claim::blocked;
    line& here = *producer_.here;
    here.slots[place_of(at) - 1].construct(std::forward<Args>(args)...);
    publish(here, producer_.next(at));
    return claim::done;
  }

  template <class Sink>
  MILLRACE_ALWAYS_INLINE claim try_take(Sink&& sink) noexcept {
    static_assert(std::is_nothrow_invocable_v<Sink, T&&>);
    const ticket at = head_.load(std::memory_order_relaxed);  // relaxed: our own
    line& here = *consumer_.here;
    if (!is_before(at, here.stamp.load(std::memory_order_acquire))) return claim::blocked;  // E1 observe
    slot& full = here.slots[place_of(at) - 1];
    sink(std::move(full.get()));
    full.destroy();
    head_.store(consumer_.next(at), std::memory_order_release);  // E2 publish
    return claim::done;
  }

  /// As many as there is room for, n at most, published line by line.
  template <class It>
  std::size_t try_put_n(It first, std::size_t n) noexcept {
    ticket at = producer_.tail.load(std::memory_order_relaxed);  // relaxed: our own
    std::size_t done = 0;
    while (done < n && has_room(at)) {
      line& here = *producer_.here;
      const std::size_t run = until(at, producer_.limit, n - done);
      slot* free = here.slots + (place_of(at) - 1);
      for (std::size_t i = 0; i < run; ++i, ++first, ++free) free->construct(*first);
      at = producer_.next(static_cast<ticket>(at + (run - 1)));
      publish(here, at);
      done += run;
    }
    return done;
  }

  /// As many as there are, n at most, their slots given back line by line.
  template <class Out>
  std::size_t try_take_n(Out out, std::size_t n) noexcept {
    ticket at = head_.load(std::memory_order_relaxed);  // relaxed: our own
    std::size_t done = 0;
    while (done < n) {
      line& here = *consumer_.here;
      const ticket stamp = here.stamp.load(std::memory_order_acquire);  // E1 observe
      if (!is_before(at, stamp)) break;
      const std::size_t run = until(at, stamp, n - done);
      slot* full = here.slots + (place_of(at) - 1);
      for (std::size_t i = 0; i < run; ++i, ++out, ++full) {
        *out = std::move(full->get());
        full->destroy();
      }
      at = consumer_.next(static_cast<ticket>(at + (run - 1)));
      done += run;
      head_.store(at, std::memory_order_release);  // E2 publish
    }
    return done;
  }

 private:
  static_assert(message_requirements<T>::met);

  using slot = raw_slot<T, Traits>;
  using word = typename Traits::template atomic<ticket>;

  template <std::size_t N>
  struct stamp_and_slots {
    word stamp;
    slot slots[N];
  };
  static constexpr std::size_t fitting() noexcept {
    constexpr std::size_t for_slots = cache_line - sizeof(stamp_and_slots<1>) % cache_line + sizeof(slot);
    return sizeof(stamp_and_slots<1>) < cache_line ? for_slots / sizeof(slot) : 1;
  }
  static constexpr std::size_t slots_in_line = Traits::template line_slots<fitting()>;
  // Where only one slot fits, padding to whole lines would only cost memory.
  struct alignas(slots_in_line == 1 ? alignof(stamp_and_slots<1>) : cache_line) line
      : stamp_and_slots<slots_in_line> {};

  static constexpr ticket places = static_cast<ticket>(std::bit_ceil(slots_in_line + 1));

  // How far apart what one side writes is from what the other does, so that no prefetcher brings one with
  // the other.
  static constexpr std::size_t apart = 1024;
  /// Where the lines are: each side has its own copy, and its own place.
  struct ring {
    explicit ring(std::size_t n)
        : capacity(checked(n)),
          line_count((n + slots_in_line - 1) / slots_in_line),
          mask(static_cast<ticket>(std::bit_ceil(line_count) * places - 1)),
          lines(static_cast<line*>(Traits::allocate(line_count * sizeof(line), alignof(line)))),
          here(lines) {}

    /// The position after this one, which is in the line `here`; sets `here` to the line of the next.
    ticket next(ticket at) noexcept {
      if (place_of(at) != slots_in_line) [[likely]]
        return static_cast<ticket>(at + 1);
      at = static_cast<ticket>(at - slots_in_line + places + 1);
      if (++here == lines + line_count) {
        here = lines;
        at = static_cast<ticket>(((at - places) | mask) + 2);
      }
      return at;
    }
    std::size_t line_of(ticket at) const noexcept {
      return static_cast<std::size_t>(static_cast<ticket>(at & mask) / places);
    }
    /// How many messages are before this position.
    ticket count_of(ticket at) const noexcept {
      const ticket from = static_cast<ticket>(at - (Traits::first_ticket & ~mask));
      const std::size_t lap = static_cast<std::size_t>(static_cast<ticket>(from / (mask + 1)));
      return static_cast<ticket>((lap * line_count + line_of(at)) * slots_in_line + place_of(at) - 1);
    }
    /// Where a push must stop while the head is here: one capacity later.
    ticket lap_after(ticket head) const noexcept {
      const std::size_t slots = place_of(head) - 1 + capacity;
      const std::size_t line = line_of(head) + slots / slots_in_line;
      const std::size_t place = slots % slots_in_line + 1;
      const bool wraps = line >= line_count;
      const ticket lap = static_cast<ticket>((head & ~mask) + (wraps ? mask + 1 : 0));
      return static_cast<ticket>(lap + (wraps ? line - line_count : line) * places + place);
    }

    std::size_t capacity;
    std::size_t line_count;
    ticket mask;  // of a position: line and place
    line* lines;
    line* here;
  };
  struct alignas(apart) producer_side : ring {
    explicit producer_side(const ring& where) : ring(where) {}
    word tail;
    ticket limit;
    [[no_unique_address]] Beside beside;
  };
  struct alignas(apart) consumer_side : ring {
    explicit consumer_side(const ring& where) : ring(where) {}
    [[no_unique_address]] Beside beside;
  };

  static std::size_t checked(std::size_t capacity) {
    if (capacity == 0) {
      throw std::invalid_argument(
          "millrace: the capacity is 0, but a queue holds at least 1 message: ask for 1 or more");
    }
    constexpr std::size_t memory = ~std::size_t{0} / 4 / sizeof(line);
    constexpr std::size_t positions = static_cast<ticket>(~ticket{0}) / 4 / places;
    if (capacity > (memory < positions ? memory : positions)) {
      throw std::length_error("millrace: the capacity is beyond what memory can hold");
    }
    return capacity;
  }

  static std::size_t place_of(ticket position) noexcept {
    return static_cast<std::size_t>(static_cast<ticket>(position & (places - 1)));
  }
  static bool is_before(ticket a, ticket b) noexcept {
    return static_cast<std::make_signed_t<ticket>>(static_cast<ticket>(b - a)) > 0;
  }

  /// How many of n positions from `at` on are before the end and in the same line.
  static std::size_t until(ticket at, ticket end, std::size_t n) noexcept {
    const bool is_here = static_cast<ticket>(end ^ at) < places;
    const std::size_t most = (is_here ? place_of(end) : slots_in_line + 1) - place_of(at);
    return n < most ? n : most;
  }

  bool has_room(ticket tail) noexcept {
    if (tail != producer_.limit) [[likely]]
      return true;
    producer_.limit = producer_.lap_after(head_.load(std::memory_order_acquire));  // E2 observe
    return tail != producer_.limit;
  }
  MILLRACE_ALWAYS_INLINE void publish(line& last, ticket tail) noexcept {
    last.stamp.store(tail, std::memory_order_release);      // E1 publish
    producer_.tail.store(tail, std::memory_order_relaxed);  // relaxed: for us and for snapshots
  }

  producer_side producer_;
  consumer_side consumer_;
  alignas(apart) word head_;
};

}  // namespace millrace::detail
