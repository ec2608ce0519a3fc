// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <millrace/detail/atomic.hpp>
#include <millrace/queue/queue_interface.hpp>
#include <millrace/queue/queue_options.hpp>
#include <millrace/queue/rendezvous_core.hpp>

namespace millrace {

/// A queue of capacity 0: a push ends when a pop has taken its message, and has then synchronised with it.
///
/// Threads     any thread may call any operation; construction and destruction are exclusive.
/// Progress    a spin lock for a few instructions; try_push succeeds only where a pop waits, try_pop only
///             where a push does.
/// Ordering    linearizable. What precedes a push happens-before the return of its pop. Waiting producers
///             and waiting consumers are served in the order in which they came.
/// Resumption  see operation; and bounded_queue.
/// Errors      being closed is a status, not an exception.
/// Complexity  constant; allocates nothing.
/// Lifetime    as bounded_queue.
/// Use instead bounded_queue, unless a producer is to know that its message was taken: each message costs
///             a wake-up on one of the sides.
template <class T, class Traits = default_traits>
class rendezvous_queue : public detail::queue_interface<detail::rendezvous_core<T, Traits>> {
 public:
  explicit rendezvous_queue(queue_options<T> options = {}) noexcept
      : detail::queue_interface<detail::rendezvous_core<T, Traits>>(options) {}
};

}  // namespace millrace
