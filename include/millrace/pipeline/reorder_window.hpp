// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <millrace/detail/atomic.hpp>

namespace millrace::detail {

/// Messages that are worked on by several at a time, and whose results leave in the order in which they came.
///
/// Threads     a place belongs to who has put a message there, then to who works on it, until finish(). Then
///             it is the emitter's: one at a time, who takes the results in order.
/// Progress    wait-free.
template <class T, class U, class Traits>
class reorder_window {
  // Places go round: the n-th message is in place n % size. A place is
  //
  //   free --put--> a message --work--> a result, or none --finish--> done --the emitter takes it, in turn-->
  //   free
  //
  // finished_ counts the finish() calls that no emitter has seen to. Who takes it from 0 to 1 is the emitter;
  // it takes results while the next place is done, and resigns by taking the count back to 0, where it has
  // not changed since it began to look: else it looks again. So a place that is done when the emitter looks
  // is taken by it, and one that is done later is seen by it or by the next emitter.
  //
  // E1  finish -> emitter        the result, by its flag; that it is done, by the count.
  // E2  emitter -> next emitter  where it stands (next_), by the count, which the finish() calls between only
  //                              add to.

 public:
  struct place {
    std::optional<T> message;
    std::uint64_t stamp = 0;  // see stamped
    std::optional<U> result;
    typename Traits::template atomic<bool> is_done{false};
    [[no_unique_address]] typename Traits::probe probe;
  };

  explicit reorder_window(std::size_t size) : places_(size) {}

  std::size_t size() const noexcept { return places_.size(); }
  place& at(std::size_t index) noexcept { return places_[index]; }

  /// For who has worked on the place: true: the caller is the emitter now.
  bool finish(std::size_t index) noexcept {
    place& p = places_[index];
    p.probe.write();
    p.is_done.store(true, std::memory_order_release);               // E1 publish
    return finished_.fetch_add(1, std::memory_order_release) == 0;  // E1 publish; continues E2
  }

  /// For the emitter, first of all and after each resign() that failed.
  void look() noexcept {
    seen_ = finished_.load(std::memory_order_acquire);  // E1 observe, E2 observe
  }
  /// For the emitter: the next place, if it is done. Null: it is not.
  place* next() noexcept {
    place& p = places_[next_];
    if (!p.is_done.load(std::memory_order_acquire)) return nullptr;  // E1 observe
    p.probe.read();
    return &p;
  }
  /// For the emitter, who has taken what next() gave: the place is free.
  std::size_t advance() noexcept {
    const std::size_t index = next_;
    places_[index].is_done.store(false, std::memory_order_relaxed);  // relaxed: a permit carries it
    next_ = next_ + 1 == places_.size() ? 0 : next_ + 1;
    return index;
  }
  /// False: the emitter is to look() again.
  bool resign() noexcept {
    std::size_t seen = seen_;
    return finished_.compare_exchange_strong(seen, 0,
                                             std::memory_order_release,   // E2 publish
                                             std::memory_order_relaxed);  // relaxed: it looks again
  }

 private:
  std::vector<place> places_;
  typename Traits::template atomic<std::size_t> finished_{0};
  std::size_t next_ = 0;  // the emitter's
  std::size_t seen_ = 0;  // the emitter's
};

}  // namespace millrace::detail
