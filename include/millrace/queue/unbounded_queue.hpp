// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <millrace/detail/atomic.hpp>
#include <millrace/queue/queue_interface.hpp>
#include <millrace/queue/queue_options.hpp>
#include <millrace/queue/unbounded_core.hpp>

namespace millrace {

/// A FIFO queue without a bound: a push never waits. For any number of producers and consumers, each of
/// which may be a coroutine, a thread or a callback.
///
/// Threads     any thread may call any operation; construction and destruction are exclusive.
/// Progress    as segmented_queue while nobody waits, else a spin lock for a moment. Only pop and drained
///             park.
/// Ordering    linearizable FIFO. What precedes a push happens-before the return of the pop that
///             takes its message. Waiting consumers are served in the order in which they came, and
///             newcomers never overtake them.
/// Resumption  see operation; and bounded_queue.
/// Errors      the constructor throws std::bad_alloc. Where later there is no memory for a segment, a push
///             ends `full`, with its message back. Being closed is a status, not an exception.
/// Complexity  constant, amortized over a segment; memory as segmented_queue.
/// Lifetime    as bounded_queue.
/// Use instead bounded_queue, wherever producers may be faster than consumers for long: nothing here holds
///             them back but the end of memory.
template <class T, class Traits = default_traits>
class unbounded_queue : public detail::queue_interface<detail::unbounded_core<T, Traits>> {
 public:
  explicit unbounded_queue(queue_options<T> options = {})
      : detail::queue_interface<detail::unbounded_core<T, Traits>>(options) {}
};

}  // namespace millrace
