// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/backoff.hpp>
#include <millrace/detail/cache_line.hpp>
#include <millrace/detail/cpu.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/detail/raw_slot.hpp>
#include <millrace/lockfree/claim.hpp>
#include <millrace/lockfree/segment_pool.hpp>

namespace millrace::detail {

/// The queue under segmented_queue: a chain of segments, and one ticket word for each end.
///
/// Threads     any thread may call anything but the constructor and the destructor.
/// Progress    a claim is lock-free, except at the end of a segment, where one thread moves its end of
///             the queue to the next segment and the others of that end wait for it.
/// Complexity  constant, amortized over a segment.
template <class T, class Traits>
class segment_core {
  // A ticket counts the messages before it; a ticket word is {ticket, 4 flag bits}. The ticket t belongs
  // into cell t - base of the segment that its end stands in.
  //
  //   push: CAS tail t -> t + 1, fill, stamp = t | 1
  //   pop:  stamp is t | 1? CAS head t -> t + 1, empty, mark the cell
  //
  // A stamp t | 1 is unique for ever (2^60 tickets), so a stamp in a segment that is used again never
  // belongs to a ticket of before, and a pop that looks into the wrong segment finds nothing of its own.
  //
  // The claim of the last cell of a segment sets the flag `changing`; until it clears that, the thread
  // that did so is alone at its end:
  //
  //   push: [has a fresh segment in hand]  fresh.base = t + 1, segment.next = fresh, tail.segment = fresh,
  //                                        tail = t + 1; fills its cell
  //   pop:                                 head.segment = segment.next, head = t + 1; empties its cell,
  //                                        gives the segment to the pool
  //
  // next is written before the last cell's stamp, so the pop of the last cell finds it.
  //
  // The other flags are opaque here, as in ring_core: while one is set, a claim leaves the word alone, unless
  // it was told to pass by. They are set while `changing` is not.
  //
  // A ticket word moves only by CAS, but out of `changing`, and by who has locked it with a flag. An
  // operation loads the word, the segment pointer, and then that segment's base. The pointer is not older
  // than the word, by E2. Where the pointer or the base are newer, the word has moved on, and the CAS on it
  // fails.
  //
  // Who may destroy what: see ring_core for messages, segment_pool for segments. A ticket pins its
  // segment: until its cell is marked, nobody uses the segment again.
  //
  // E1  put -> take      the message and next, by the cell's stamp.
  // E2  change -> claim  the segment that an end stands in and its base, by the pointer and by the word.
  // E3  unlock -> lock    what the lock of a ticket word guards: see ring_core.

 public:
  using ticket = typename Traits::ticket;

  static constexpr bool nothrow_put = false;
  static constexpr ticket flag_bits = 15;
  static constexpr ticket changing = 1;  // the others are free for the floor above

  segment_core() {
    segment_type* const first = pool_.take();
    first->base.store(start, std::memory_order_relaxed);  // relaxed: nobody else knows us yet
    for (end* e : {&tail_, &head_}) {
      e->word.store(start, std::memory_order_relaxed);     // relaxed: nobody else knows us yet
      e->segment.store(first, std::memory_order_relaxed);  // relaxed: nobody else knows us yet
    }
  }

  segment_core(const segment_core&) = delete;
  segment_core& operator=(const segment_core&) = delete;

  ~segment_core() {
    while (try_take<static_cast<ticket>(flag_bits & ~changing)>([](T&&) noexcept {}) == claim::done) {
    }
    segment_type::destroy(head_.segment.load(std::memory_order_relaxed));  // relaxed: we are alone
  }

  std::size_t size_approx() const noexcept {
    const ticket head = head_.word.load(std::memory_order_relaxed);  // relaxed: a snapshot
    const ticket tail = tail_.word.load(std::memory_order_relaxed);  // relaxed: a snapshot
    const ticket size = static_cast<ticket>(place(tail) - place(head));
    if (size > static_cast<ticket>(~ticket{0}) / 2) return 0;  // the head has moved in between
    return static_cast<std::size_t>(size / step);
  }

  static constexpr bool sees_room() noexcept { return true; }

  /// Done, unless there is a flag, or std::bad_alloc; both leave args alone.
  template <class... Args>
  MILLRACE_ALWAYS_INLINE claim try_put(Args&&... args) {
    static_assert(std::is_nothrow_constructible_v<T, Args...>);
    const claimed ours = claim_tail(1);
    if (ours.count == 0) return claim::flagged;
    fill(*ours.cells(), ours.at, std::forward<Args>(args)...);
    return claim::done;
  }

  /// Passes by the flags in `Passes`.
  template <ticket Passes = 0, class Sink>
  MILLRACE_ALWAYS_INLINE claim try_take(Sink&& sink) noexcept {
    static_assert(std::is_nothrow_invocable_v<Sink, T&&>);
    const claimed ours = claim_head<Passes>(1);
    if (ours.count == 0) return ours.in == nullptr ? claim::blocked : claim::flagged;
    empty(*ours.cells(), std::forward<Sink>(sink));
    give_back(ours);
    return claim::done;
  }

  /// All n, in one step for each segment; fewer at a flag, or if memory ends; std::bad_alloc if
  /// then not one went in.
  template <class It>
  std::size_t try_put_n(It first, std::size_t n) {
    std::size_t done = 0;
    while (done < n) {
      claimed ours;
      try {
        ours = claim_tail(n - done);
        if (ours.count == 0) return done;
      } catch (...) {
        if (done == 0) throw;
        break;
      }
      ticket at = ours.at;
      for (cell *c = ours.cells(), *const stop = c + ours.count; c != stop; ++c, ++first, at = after(at, 1)) {
        fill(*c, at, *first);
      }
      done += ours.count;
    }
    return done;
  }

  /// What is published of the next n, in one step for each segment.
  template <class Out>
  std::size_t try_take_n(Out out, std::size_t n) noexcept {
    std::size_t done = 0;
    while (done < n) {
      const claimed ours = claim_head<0>(n - done);
      if (ours.count == 0) break;
      for (cell *c = ours.cells(), *const stop = c + ours.count; c != stop; ++c, ++out) {
        empty(*c, [&](T&& message) noexcept { *out = std::move(message); });
      }
      done += ours.count;
      if (!give_back(ours)) break;
    }
    return done;
  }

  // For the floor above, which locks the tail by a flag, and marks the head with one.

  static ticket place(ticket word) noexcept { return static_cast<ticket>(word & ~flag_bits); }

  /// How many tickets were claimed before this one.
  static std::uint64_t count_of(ticket word) noexcept {
    return static_cast<ticket>(place(word) - start) / step;
  }

  ticket tail() const noexcept { return tail_.word.load(std::memory_order_acquire); }  // E3 observe
  ticket head() const noexcept { return head_.word.load(std::memory_order_acquire); }  // E3 observe
  // caution: who reads it again later, to compare, must have read it first: in the checker, loads stay in order.

  /// Replaces the word if it is still `found`; otherwise tells in `found` what it is. Not while `changing`.
  bool change_tail(ticket& found, ticket wanted) noexcept { return change_word(tail_, found, wanted); }
  bool change_head(ticket& found, ticket wanted) noexcept { return change_word(head_, found, wanted); }

  /// Only for the holder of its lock: ends it.
  void unlock_tail(ticket word) noexcept {
    tail_.word.store(word, std::memory_order_release);  // E3 publish
  }

 private:
  using pool = segment_pool<T, Traits>;
  using segment_type = typename pool::segment_type;
  using cell = typename segment_type::cell;

  static_assert(message_requirements<T>::met);

  static constexpr ticket step = 16;
  static constexpr ticket start = static_cast<ticket>(Traits::first_ticket * step);

  struct claimed {
    segment_type* in = nullptr;
    ticket at = 0;          // of the first cell
    std::size_t index = 0;  // of the first cell
    std::size_t count = 0;
    cell* cells() const noexcept { return in->cells() + index; }
    bool is_last() const noexcept { return index + count == in->count; }
  };

  struct end {
    alignas(cache_line) typename Traits::template atomic<ticket> word;
    alignas(cache_line) typename Traits::template atomic<segment_type*> segment;
  };

  static ticket after(ticket at, std::size_t n) noexcept {
    return static_cast<ticket>(at + static_cast<ticket>(n) * step);
  }
  static ticket published(ticket at) noexcept { return static_cast<ticket>(at | 1); }

  /// Where in a segment this ticket's cell is: not below its count, if the ticket is not of this segment.
  static std::size_t index_in(const segment_type& in, ticket at) noexcept {
    const ticket base = in.base.load(std::memory_order_relaxed);  // relaxed: E2 by the segment pointer
    return static_cast<std::size_t>(static_cast<ticket>(at - base) / step);
  }

  template <class... Args>
  static void fill(cell& here, ticket at, Args&&... args) noexcept {
    cpu_prefetch_after(here);
    here.slot.construct(std::forward<Args>(args)...);
    here.stamp.store(published(at), std::memory_order_release);  // E1 publish: last touch
  }

  template <class Sink>
  static void empty(cell& here, Sink&& sink) noexcept {
    sink(std::move(here.slot.get()));
    here.slot.destroy();
  }

  /// Gives back cells that were emptied, and if they are the last ones, the segment: true.
  bool give_back(const claimed& ours) noexcept {
    const bool is_last = ours.is_last();
    ours.in->mark(ours.index, ours.count);  // the last touch, but of who retires the segment
    if (is_last) pool_.retire(ours.in);
    return is_last;
  }

  /// Claims up to n cells, all in one segment; none: at a flag.
  MILLRACE_ALWAYS_INLINE claimed claim_tail(std::size_t n) {
    backoff<Traits> pause;
    for (;;) {
      const ticket at = tail_.word.load(std::memory_order_acquire);            // E2 observe
      segment_type* const in = tail_.segment.load(std::memory_order_acquire);  // E2 observe
      const std::size_t index = index_in(*in, at);
      if ((at & flag_bits & ~changing) != 0) return {};
      if ((at & changing) != 0 || index >= in->count) {
        pause();
      } else if (n < in->count - index) {
        ticket found = at;
        if (tail_.word.compare_exchange_strong(
                found, after(at, n),
                std::memory_order_relaxed,     // relaxed: only counts; continues E2 of who changed it
                std::memory_order_relaxed)) {  // relaxed: loaded again
          return {in, at, index, n};
        }
        backoff<Traits>::lost_race();
      } else {
        if (claim_rest(*in, at, in->count - index)) return {in, at, index, in->count - index};
        backoff<Traits>::lost_race();
      }
    }
  }

  /// Claims the last n cells of a segment, and changes the tail to a fresh one.
  MILLRACE_NOINLINE bool claim_rest(segment_type& in, ticket at, std::size_t n) {
    segment_type* const fresh = pool_.take();
    const ticket to = after(at, n);
    ticket found = at;
    if (!tail_.word.compare_exchange_strong(
            found, static_cast<ticket>(to | changing),
            std::memory_order_acquire,     // E3 observe: the store in change(), which is no RMW, hands it on
            std::memory_order_relaxed)) {  // relaxed: loaded again
      pool_.give_back(fresh);
      return false;
    }
    fresh->base.store(to, std::memory_order_relaxed);  // relaxed: E2 carries it
    in.next.store(fresh, std::memory_order_relaxed);   // relaxed: E1 carries it, by the last cell's stamp
    change(tail_, to, fresh);
    return true;
  }

  /// Claims up to n messages, all in one segment; none: there is none, or its push is in flight; or at a flag,
  /// where `in` is not null.
  template <ticket Passes>
  MILLRACE_ALWAYS_INLINE claimed claim_head(std::size_t n) noexcept {
    backoff<Traits> pause;
    for (;;) {
      ticket found = head_.word.load(std::memory_order_acquire);  // E2 observe
      // caution: else the pointer may be older, and its segment have the ticket in a later use: then our change
      // of the pointer could land before the last one. In the checker, stores never overtake each other.
      segment_type* const in = head_.segment.load(std::memory_order_acquire);  // E2 observe
      const ticket at = place(found);
      const std::size_t index = index_in(*in, at);
      if ((found & flag_bits & ~(changing | Passes)) != 0) return {in, at, index, 0};
      if ((found & changing) != 0 || index >= in->count) {
        pause();
        continue;
      }
      const std::size_t run = ready(*in, at, index, n);
      if (run == 0) {
        if (head_.word.load(std::memory_order_relaxed) == found) return {};  // relaxed: it carries nothing
        continue;
      }
      const bool is_last = index + run == in->count;
      const ticket to = after(found, run);  // with the flags that it passes by
      if (head_.word.compare_exchange_strong(
              found, static_cast<ticket>(is_last ? to | changing : to),
              std::memory_order_relaxed,     // relaxed: only counts; continues E2 of who changed it
              std::memory_order_relaxed)) {  // relaxed: loaded again
        if (is_last) {
          change(head_, to, in->next.load(std::memory_order_relaxed));  // relaxed: E1 has carried it
        }
        return {in, at, index, run};
      }
      backoff<Traits>::lost_race();
    }
  }

  /// How many of n messages from this place on are published.
  static std::size_t ready(segment_type& in, ticket at, std::size_t index, std::size_t n) noexcept {
    const std::size_t most = n < in.count - index ? n : in.count - index;
    const cell* const first = in.cells() + index;
    std::size_t run = 0;
    while (run < most &&
           first[run].stamp.load(std::memory_order_acquire) == published(after(at, run))) {  // E1 observe
      ++run;
    }
    return run;
  }

  static bool change_word(end& e, ticket& found, ticket wanted) noexcept {
    return e.word.compare_exchange_strong(found, wanted,
                                          std::memory_order_acquire,   // E3 observe; continues E2
                                          std::memory_order_relaxed);  // relaxed: who fails looks again
  }

  /// Ends `changing`, which this thread began by claiming the last cell of the segment before.
  static void change(end& e, ticket to, segment_type* next) noexcept {
    e.segment.store(next, std::memory_order_release);  // E2 publish
    e.word.store(to, std::memory_order_release);       // E2 publish, E3 publish
  }

  end tail_;
  end head_;
  alignas(cache_line) pool pool_;
};

}  // namespace millrace::detail
