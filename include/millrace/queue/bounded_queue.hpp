// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>

#include <millrace/detail/atomic.hpp>
#include <millrace/queue/bounded_core.hpp>
#include <millrace/queue/queue_interface.hpp>
#include <millrace/queue/queue_options.hpp>

namespace millrace {

/// A bounded FIFO queue for any number of producers and consumers, each of which may be a coroutine
/// (co_await q.pop()), a thread (q.pop().wait()) or a callback (q.pop().start(f)).
///
/// Threads     any thread may call any operation; construction and destruction are exclusive.
/// Progress    try_ operations never park: lock-free while nobody waits (as mpmc_ring: a thread
///             stopped inside one holds up that cell), else a spin lock for a moment. push and pop
///             park while the queue is full or empty.
/// Ordering    linearizable FIFO. What precedes a push happens-before the return of the pop that
///             takes its message. Waiting producers and waiting consumers are served in the order in
///             which they came. Newcomers never overtake waiting consumers; they overtake waiting producers
///             by at most capacity() messages, where the first of these has been woken and is about to let
///             the others in.
/// Resumption  see operation. A plain thread's try_push or try_pop may run a woken coroutine that
///             has no executor: do not call them under a mutex that this coroutine takes.
/// Errors      the constructor throws std::invalid_argument on capacity 0, std::bad_alloc, or
///             std::length_error beyond 2^58 messages. Being closed is a status, not an exception.
/// Complexity  constant. Allocates only in the constructor: sizeof(T) plus 8 bytes for each slot,
///             rounded up to T's alignment; an empty queue is 256 bytes. A waiting operation
///             allocates nothing.
/// Lifetime    the destructor closes: who waits ends `closed` and touches the queue no more; what is
///             still buffered is destroyed. No call may be in progress (checked in debug builds). The
///             push of a message, or the close, that a pop or a drained() has seen is no longer
///             in progress as far as this goes: who has popped the last message may destroy the queue.
/// Use instead mpmc_ring where nobody ever waits.
template <class T, class Traits = default_traits>
class bounded_queue : public detail::queue_interface<detail::bounded_core<T, Traits>> {
 public:
  explicit bounded_queue(std::size_t capacity, queue_options<T> options = {})
      : detail::queue_interface<detail::bounded_core<T, Traits>>(capacity, options) {}

  std::size_t capacity() const noexcept { return this->core_.capacity(); }
};

/// The queue to start with.
template <class T>
using queue = bounded_queue<T>;

}  // namespace millrace
