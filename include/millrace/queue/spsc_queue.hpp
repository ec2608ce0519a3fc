// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>

#include <millrace/detail/atomic.hpp>
#include <millrace/queue/queue_interface.hpp>
#include <millrace/queue/queue_options.hpp>
#include <millrace/queue/spsc_queue_core.hpp>

namespace millrace {

/// A bounded FIFO queue for one producer and one consumer, each of which may be a coroutine, a thread or a
/// callback.
///
/// Threads     one call at a time pushes, one call at a time pops (which thread, may change where something
///             else orders them; close_and_drain() pops). A waiting operation is no call. Any thread may call
///             close(), drained(), stop a waiting operation, or ask for the queue's state; construction and
///             destruction are exclusive. Two producers at once are a broken precondition (in debug builds,
///             most are caught).
/// Progress    try_ operations never park. While nobody has waited lately, and the queue is open, they are
///             wait-free, and have no locked instruction; else a spin lock for a moment. Who is about to
///             park, closes or destroys the queue waits for a push or a pop in flight: a thread that is
///             stopped in there, in T's move constructor say, holds him up.
/// Ordering    linearizable FIFO. What precedes a push happens-before the return of the pop that
///             takes its message. Waiting operations are served in the order in which they came.
/// Answers     exact: `full` and `empty` were true at some moment of the call.
/// Resumption  see operation; and bounded_queue.
/// Errors      the constructor throws std::invalid_argument on capacity 0, or on overflow_policy::displace_oldest,
///             which would be a pop by the producer; std::bad_alloc; or std::length_error. Being closed is a
///             status, not an exception. T's move constructor and destructor, and the iterators of a batch,
///             do not use the queue.
/// Complexity  constant. The first to park after a while, close() and the destructor make a system call
///             that reaches every running thread of the process (Linux: membarrier, 1 to 2 us; where there is none,
///             each push and each pop costs a fence instead). Allocates only in the constructor: what
///             spsc_ring does; an empty queue is 5 KiB. A waiting operation allocates nothing.
/// Lifetime    as bounded_queue.
/// Use instead bounded_queue, where a second thread may push or pop; spsc_ring, where nobody ever waits.
template <class T, class Traits = default_traits>
class spsc_queue : public detail::queue_interface<detail::spsc_queue_core<T, Traits>> {
 public:
  explicit spsc_queue(std::size_t capacity, queue_options<T> options = {})
      : detail::queue_interface<detail::spsc_queue_core<T, Traits>>(capacity, options) {}

  std::size_t capacity() const noexcept { return this->core_.capacity(); }
};

}  // namespace millrace
