// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <cstddef>
#include <exception>
#include <type_traits>
#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/backoff.hpp>
#include <millrace/queue/bounded_core.hpp>
#include <millrace/queue/pop_result.hpp>
#include <millrace/queue/push_result.hpp>
#include <millrace/queue/steps.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/operation.hpp>

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
///             which they came, and newcomers never overtake them.
/// Resumption  see operation. A plain thread's try_push or try_pop may run a woken coroutine that
///             has no executor: do not call them under a mutex that this coroutine takes.
/// Errors      the constructor throws std::invalid_argument on capacity 0, std::bad_alloc, or
///             std::length_error beyond 2^58 messages. Being closed is a status, not an exception.
/// Complexity  constant. Allocates only in the constructor: sizeof(T) plus 8 bytes for each slot,
///             rounded up to T's alignment; an empty queue is 448 bytes. A waiting operation
///             allocates nothing.
/// Lifetime    the destructor closes: who waits ends `closed` and touches the queue no more; what is
///             still buffered is destroyed. No call may be in progress (checked in debug builds). The
///             push of a message, or the close, that a pop or a drained() has seen is no longer
///             in progress as far as this goes: who has popped the last message may destroy the queue.
/// Use instead mpmc_ring where nobody ever waits.
template <class T, class Traits = default_traits>
class bounded_queue {
  using core = detail::bounded_core<T, Traits>;

 public:
  using value_type = T;
  using pop_operation = operation<detail::pop_step<core>>;
  using push_operation = operation<detail::push_step<core>>;
  using push_from_operation = operation<detail::push_from_step<core>>;
  using drained_operation = operation<detail::drained_step<core>>;

  explicit bounded_queue(std::size_t capacity) : core_(capacity) {}

  /// Operation -> push_result<T>: waits for room. Ends `closed`, with the message in its result,
  /// where the queue is closed before the message is in.
  push_operation push(T message) noexcept {
    return push_operation(std::in_place_type<detail::push_step<core>>, core_, std::move(message));
  }
  /// push(T(args...)): T is built at once, so where that throws nothing has happened.
  template <class... Args>
    requires std::constructible_from<T, Args...>
  push_operation emplace(Args&&... args) noexcept(std::is_nothrow_constructible_v<T, Args...>) {
    return push(T(std::forward<Args>(args)...));
  }
  /// Operation -> op_status: as push, but the message stays in x, which outlives the operation, and
  /// is moved from only if the status is ok.
  push_from_operation push_from(T& x) noexcept {
    return push_from_operation(std::in_place_type<detail::push_from_step<core>>, core_, x);
  }

  /// Operation -> pop_result<T>: waits for a message. Ends `closed` once the queue is closed and
  /// empty.
  pop_operation pop() noexcept {
    return pop_operation(std::in_place_type<detail::pop_step<core>>, core_);
  }

  /// ok, full or closed; the argument is untouched unless ok. `full` may also mean that the pop
  /// which is to make room is still in flight.
  op_status try_push(T&& message) noexcept { return try_push_from(core::source_of(message)); }
  op_status try_push(const T& message) noexcept(std::is_nothrow_copy_constructible_v<T>)
    requires std::copy_constructible<T>
  {
    return try_emplace(message);
  }
  /// Builds T only if ok, where that cannot throw. Where it can, T is built once there seems to be
  /// room: the arguments may then be used up although the answer is `full` or `closed`.
  template <class... Args>
    requires std::constructible_from<T, Args...>
  op_status try_emplace(Args&&... args) noexcept(std::is_nothrow_constructible_v<T, Args...>) {
    if constexpr (std::is_nothrow_constructible_v<T, Args...>) {
      return try_push_from(
          [&](auto&& sink) noexcept { return sink(std::forward<Args>(args)...); });
    } else {
      if (core_.is_closed()) return op_status::closed;
      if (!core_.sees_room()) return op_status::full;
      return try_push(T(std::forward<Args>(args)...));
    }
  }

  /// A message, or `empty`, or `closed` (and empty). `empty` may also mean that the push of the
  /// oldest message is still in flight.
  pop_result<T> try_pop() noexcept {
    pop_result<T> result;
    if (!core_.pop_fast(result)) core_.pop(result, nullptr);
    return result;
  }

  /// Closes the queue, once and for all; true for the call that did. What is buffered stays
  /// poppable; waiting pushes end `closed` with their messages; pops end `closed` once it is empty.
  bool close() noexcept { return core_.close(nullptr); }
  /// As close(), and leaves the reason for all to see in close_reason().
  bool close(std::exception_ptr reason) noexcept { return core_.close(std::move(reason)); }
  /// Null where the queue is open, or was closed without a reason.
  std::exception_ptr close_reason() const noexcept { return core_.close_reason(); }

  /// Closes, then moves what is buffered to `out`, oldest first, and says how many. Other consumers
  /// may take their share meanwhile. Waits for pushes that are in flight. Errors: where writing to
  /// `out` throws, the message in hand goes with the exception and the rest stays in the queue.
  template <class OutputIt>
  std::size_t close_and_drain(OutputIt out) {
    close();
    std::size_t count = 0;
    for (detail::backoff<Traits> pause;;) {
      pop_result<T> message = try_pop();
      if (message) {
        *out = *std::move(message);
        ++out;
        ++count;
      } else if (message.status() == op_status::closed) {
        return count;
      } else {
        pause();
      }
    }
  }

  /// Operation -> op_status: waits until the queue is closed and its last message taken, by a pop that
  /// may still be returning. `closed`: the queue was destroyed before.
  drained_operation drained() noexcept {
    return drained_operation(std::in_place_type<detail::drained_step<core>>, core_);
  }

  bool is_closed() const noexcept { return core_.is_closed(); }
  std::size_t capacity() const noexcept { return core_.capacity(); }
  /// A snapshot: messages pushed and not yet popped, between 0 and capacity(); those that waiting
  /// producers hold do not count.
  std::size_t size_approx() const noexcept { return core_.size_approx(); }

 private:
  template <class Source>
  op_status try_push_from(const Source& source) noexcept {
    op_status status = op_status::ok;
    if (!core_.push_fast(source)) core_.push(source, status, nullptr);
    return status;
  }

  core core_;
};

/// The queue to start with.
template <class T>
using queue = bounded_queue<T>;

}  // namespace millrace
