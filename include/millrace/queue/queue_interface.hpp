// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <cstddef>
#include <exception>
#include <type_traits>
#include <utility>

#include <millrace/detail/backoff.hpp>
#include <millrace/queue/batch_steps.hpp>
#include <millrace/queue/message_source.hpp>
#include <millrace/queue/pop_result.hpp>
#include <millrace/queue/push_result.hpp>
#include <millrace/queue/queue_stats.hpp>
#include <millrace/queue/steps.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/operation.hpp>

namespace millrace::detail {

/// For what stands above queues.
struct queue_access {
  template <class Queue>
  static auto& tap_point_of(Queue& queue) noexcept {
    return queue.core_;
  }
};

/// What every queue that can be waited for offers; Core does the work. The doc comments are those of a
/// queue with room; each queue says where it differs.
template <class Core>
class queue_interface {
  using core = Core;
  using T = typename Core::value_type;
  using Traits = typename Core::traits;

 public:
  using value_type = T;
  using pop_operation = operation<pop_step<core>>;
  using push_operation = operation<push_step<core>>;
  using push_from_operation = operation<push_from_step<core>>;
  using drained_operation = operation<drained_step<core>>;

  /// Operation -> push_result<T>: waits for room. Ends `closed`, with the message in its result,
  /// where the queue is closed before the message is in.
  push_operation push(T message) noexcept {
    return push_operation(std::in_place_type<push_step<core>>, core_, std::move(message));
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
    return push_from_operation(std::in_place_type<push_from_step<core>>, core_, x);
  }

  /// Operation -> push_range_result: pushes what is in [first, last), in order, and waits for room as often as
  /// that takes; what others push may come in between. Elements are copied; std::move_iterator gives them
  /// away. Where it ends early (closed, a stop, a deadline), what was not pushed is still the caller's. A
  /// forward iterator, and T made of its elements: nothing of that may throw.
  template <class I, class S>
  auto push_range(I first, S last) noexcept {
    using step = push_range_step<core, I, S>;
    return operation<step>(std::in_place_type<step>, core_, std::move(first), std::move(last));
  }

  /// Operation -> pop_result<T>: waits for a message. Ends `closed` once the queue is closed and
  /// empty.
  pop_operation pop() noexcept { return pop_operation(std::in_place_type<pop_step<core>>, core_); }

  /// ok, full or closed; the argument is untouched unless ok. `full` may also mean that the pop
  /// which is to make room is still in flight.
  op_status try_push(T&& message) noexcept { return try_push_from(detail::source_of(message)); }
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
      return try_push_from([&](auto&& sink) noexcept { return sink(std::forward<Args>(args)...); });
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
    if (!core_.pop_fast(result)) core_.pop(result);
    if (result) core_.observe(*result);
    return result;
  }

  /// Operation -> batch_result: waits for a message, then takes what is there, `most` at most, to *out and
  /// what follows it, in the order of the queue. Ends `closed` as pop does. Errors: where writing to `out`
  /// throws, the message in hand goes to on_undelivered, and the rest stays in the queue.
  template <class OutputIt>
  auto pop_some(OutputIt out, std::size_t most) {
    using step = pop_some_step<core, OutputIt>;
    return operation<step>(std::in_place_type<step>, core_, std::move(out), most);
  }
  /// As pop_some, but takes only what is there: how many.
  template <class OutputIt>
  std::size_t try_pop_some(OutputIt out, std::size_t most) {
    return take_some(core_, out, most);
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
  /// `out` throws, the message in hand goes to on_undelivered and the rest stays in the queue.
  template <class OutputIt>
  std::size_t close_and_drain(OutputIt out) {
    close();
    std::size_t count = 0;
    for (detail::backoff<Traits> pause;;) {
      pop_result<T> message = try_pop();
      if (message) {
        try {
          *out = *std::move(message);
        } catch (...) {
          core_.lose(*std::move(message));
          throw;
        }
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
    return drained_operation(std::in_place_type<drained_step<core>>, core_);
  }

  bool is_closed() const noexcept { return core_.is_closed(); }
  queue_stats stats() const noexcept { return core_.stats(); }
  /// A snapshot: messages pushed and not yet popped, between 0 and capacity(); those that waiting
  /// producers hold do not count.
  std::size_t size_approx() const noexcept { return core_.size_approx(); }

 protected:
  template <class... Args>
  explicit queue_interface(Args&&... args) : core_(std::forward<Args>(args)...) {}

  core core_;

 private:
  friend queue_access;

  template <class Source>
  op_status try_push_from(const Source& source) noexcept {
    op_status status = op_status::ok;
    if (!core_.push_fast(source)) {
      core_.push(source, status, [this](T&& oldest) noexcept { core_.lose(std::move(oldest)); });
    }
    return status;
  }
};

}  // namespace millrace::detail
