// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>

#include <millrace/detail/atomic.hpp>
#include <millrace/lockfree/patient_ring.hpp>
#include <millrace/lockfree/slot_layout.hpp>
#include <millrace/lockfree/try_queue.hpp>

namespace millrace {

/// A bounded lock-free FIFO ring for any number of producers and consumers: the bare structure,
/// for those who want only a queue and do their own waiting.
///
/// Threads     any thread may call any operation; construction and destruction are exclusive.
/// Progress    an operation waits for nobody: it pauses at most (see Complexity). A thread stopped in the
///             middle of a push makes pops say empty from that message on; one stopped in the middle of a
///             pop makes pushes say full one lap later.
/// Ordering    linearizable FIFO; what precedes a push happens-before the return of the pop that
///             takes its message. A batch is in order, but others may come in between.
/// Answers     a push that fails: full, or the pop that was to make room is in flight. A pop that
///             fails: empty, or the push of the oldest message is in flight. So fewer than n from
///             try_push_n or try_pop_n; which of the two cannot be told at the price of one load.
/// Errors      the constructor throws std::invalid_argument on capacity 0, std::bad_alloc, or
///             std::length_error from about 2^58 messages, or where memory could never hold them. Nothing else throws but T's own construction
///             and the iterators of a batch.
/// Complexity  constant: one CAS and one release store; a batch needs one CAS for each run of ready slots.
///             Allocates only in the constructor: sizeof(T) plus 8 bytes for each slot, rounded up to a
///             multiple of 8 and of T's alignment, and 192 bytes. An operation that loses a race for its
///             ticket pauses (2 to 4 us on x86) before it tries again. From capacity 64 on, the first
///             try_push, try_emplace or try_pop that finds the ring full or empty at this place pauses too
///             (1 to 3 us on x86, less if a batch comes meanwhile) and looks again; of those whose
///             pause was in vain so far, only every 256th does, in the end.
/// Layout      dense_slots, padded_slots or scattered_slots (slot_layout.hpp).
/// Use instead bounded_queue to wait for a message or for room; spsc_ring for one producer and one
///             consumer.
template <class T, class Traits = default_traits, class Layout = dense_slots>
class mpmc_ring : public detail::try_queue<T, detail::patient_ring<T, Traits, Layout>> {
 public:
  explicit mpmc_ring(std::size_t capacity) : mpmc_ring::try_queue(capacity) {}

  std::size_t capacity() const noexcept { return this->core_.capacity(); }
};

}  // namespace millrace
