// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/backoff.hpp>
#include <millrace/detail/raw_slot.hpp>

namespace millrace::detail {

/// A ring of slots whose messages are copied out by many readers: how a message gets in, is read, and is
/// overwritten a lap later. Who writes and reads what, its owner says: each ticket is written once.
///
/// Threads     any thread may write the tickets that it has claimed, and read.
/// Progress    a read is wait-free where readers do not pin; else it is lock-free: other readers, as many as
///             there are, may make it look again. A write waits for the write of a lap before, and, where
///             readers pin, for those that copy the message that it overwrites.
/// Lifetime    what is in the slots is destroyed with them.
template <class T, class Traits>
class broadcast_slots {
  // A slot's word = {stamp, filled, writing, readers}. With t the ticket of its next message:
  //
  //   {t - capacity, filled, readers}  --writing-->              {t - capacity, filled, writing, readers}
  //                                    --the last unpins-->      {t - capacity, filled, writing}
  //                                    --overwrite, publish-->   {t, filled}
  //
  // The stamp is the last 47 bits of a ticket. On the first lap, the slot is not `filled`. Only the write of
  // t leaves t - capacity, so it owns the slot from there until it publishes.
  //
  //   readers pin       a reader counts itself into the word while it copies, and does not where that says
  //                     `writing`; the writer waits for those that were before it.
  //   readers need not  the owner sees to it that they are done with t - capacity before it writes t. Nobody
  //                     says `writing`.
  //
  // E1  publish -> read, overwrite   the message, to who copies it, and to who destroys it a lap later.
  // E2  unpin -> overwrite           that the copy is done.
  // E3  writing -> read              the owner's claim of the next lap: who finds his message
  //                                  gone, knows why.

 public:
  using ticket = std::uint64_t;
  static constexpr std::size_t most_readers = (1u << 15) - 1;

  /// A ticket and its slot.
  struct place {
    ticket number;
    std::size_t index;
  };

  /// Errors: std::length_error, std::bad_alloc.
  broadcast_slots(std::size_t capacity, ticket first, bool readers_pin)
      : capacity_(capacity), readers_pin_(readers_pin), slots_(allocate(capacity)) {
    for (std::size_t i = 0; i < capacity; ++i) {
      ::new (static_cast<void*>(slots_ + i)) slot(stamp(first + i - capacity));
    }
  }
  broadcast_slots(const broadcast_slots&) = delete;
  broadcast_slots& operator=(const broadcast_slots&) = delete;
  ~broadcast_slots() {
    for (std::size_t i = 0; i < capacity_; ++i) {
      slot& each = slots_[i];
      const std::uint64_t found = each.word.load(std::memory_order_relaxed);  // relaxed: all calls are over
      if ((found & filled) != 0) each.message.destroy();
      each.~slot();
    }
    Traits::deallocate(slots_, alignof(slot));
  }

  std::size_t capacity() const noexcept { return capacity_; }
  bool readers_pin() const noexcept { return readers_pin_; }
  std::size_t after(std::size_t index) const noexcept { return ++index == capacity_ ? 0 : index; }

  /// Calls copy(const T&) with the message of that ticket. False: it is not published, or overwritten.
  template <class Copy>
  bool read(place at, Copy&& copy) const noexcept(noexcept(copy(std::declval<const T&>()))) {
    slot& here = slots_[at.index];
    std::uint64_t found = here.word.load(std::memory_order_acquire);  // E1 observe, E3 observe
    if (!holds(found, at.number)) return false;
    if (!readers_pin_) {
      copy(std::as_const(here.message).get());
      return true;
    }
    while (!here.word.compare_exchange_weak(
        found, found + reader,
        std::memory_order_acquire,  // E1 observe
        // caution: the load has observed E1 already: but g++ 12 warns where a success is weaker than a failure
        std::memory_order_acquire)) {  // E3 observe
      if (!holds(found, at.number)) return false;
    }
    const pinned until_copied(here);
    copy(std::as_const(here.message).get());
    return true;
  }

  /// Builds the message of that ticket: source(sink) calls sink(args...). The slots may be gone when it
  /// returns.
  template <class Source>
  void write(place at, const Source& source) noexcept {
    slot& here = slots_[at.index];
    std::uint64_t found;
    for (backoff<Traits> pause;; pause()) {
      found = here.word.load(std::memory_order_acquire);  // E1 observe
      if ((found & ~(readers | filled)) == stamp(at.number - capacity_)) break;
    }
    if (readers_pin_) {
      found = here.word.fetch_add(writing, std::memory_order_acq_rel);  // E3 publish, E2 observe
      for (backoff<Traits> pause; (found & readers) != 0; pause()) {
        found = here.word.load(std::memory_order_acquire);  // E2 observe
      }
    }
    if ((found & filled) != 0) here.message.destroy();
    source(
        [&here](auto&&... args) noexcept { here.message.construct(std::forward<decltype(args)>(args)...); });
    here.word.store(stamp(at.number) | filled, std::memory_order_release);  // E1 publish
  }

 private:
  static constexpr std::uint64_t reader = 1;
  static constexpr std::uint64_t readers = most_readers;
  static constexpr std::uint64_t writing = 1u << 15;
  static constexpr std::uint64_t filled = 1u << 16;
  static constexpr std::uint64_t stamp(ticket t) noexcept { return t << 17; }
  static constexpr bool holds(std::uint64_t word, ticket t) noexcept {
    return (word & ~readers) == (stamp(t) | filled);
  }

  struct slot {
    typename Traits::template atomic<std::uint64_t> word;
    raw_slot<T, Traits> message;
    explicit slot(std::uint64_t w) noexcept : word(w) {}
  };

  /// Unpins a slot where the copy has ended, or thrown.
  class pinned {
   public:
    explicit pinned(slot& at) noexcept : at_(at) {}
    pinned(const pinned&) = delete;
    pinned& operator=(const pinned&) = delete;
    ~pinned() { at_.word.fetch_sub(reader, std::memory_order_release); }  // E2 publish

   private:
    slot& at_;
  };

  static slot* allocate(std::size_t capacity) {
    if (capacity > (~std::size_t{0} >> 2) / sizeof(slot)) {
      throw std::length_error("millrace: the capacity of a broadcast is too large");
    }
    return static_cast<slot*>(Traits::allocate(capacity * sizeof(slot), alignof(slot)));
  }

  const std::size_t capacity_;
  const bool readers_pin_;
  slot* const slots_;
};

}  // namespace millrace::detail
