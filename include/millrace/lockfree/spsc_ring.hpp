// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>

#include <millrace/detail/atomic.hpp>
#include <millrace/lockfree/spsc_core.hpp>
#include <millrace/lockfree/try_queue.hpp>

namespace millrace {

/// A bounded FIFO ring for one producer and one consumer.
///
/// Threads     one thread at a time pushes, one thread at a time pops (which threads, may change where
///             something else orders them); any thread may ask size_approx(). Construction and
///             destruction are exclusive.
/// Progress    wait-free: an operation never waits, and nobody can hold up the other side.
/// Ordering    linearizable FIFO; what precedes a push happens-before the return of the pop that takes
///             its message.
/// Answers     exact for who asks: a push fails only if the ring was full at some moment of the call, a
///             pop only if it was empty.
/// Errors      the constructor throws std::invalid_argument on capacity 0, std::bad_alloc, or
///             std::length_error. Nothing else throws but T's own construction and the iterators of a batch.
/// Complexity  constant: one release store, no locked instruction. Allocates only in the constructor:
///             a cache line for each 7 messages of 8 bytes, 3 of 16, 2 of 24; for larger ones sizeof(T) plus
///             8 bytes each; and 3 KiB, aligned to 1024, that keep the two sides apart.
/// Use instead mpmc_ring where a second thread may push or pop.
template <class T, class Traits = default_traits>
class spsc_ring : public detail::try_queue<T, detail::spsc_core<T, Traits>> {
 public:
  explicit spsc_ring(std::size_t capacity) : spsc_ring::try_queue(capacity) {}

  std::size_t capacity() const noexcept { return this->core_.capacity(); }
};

}  // namespace millrace
