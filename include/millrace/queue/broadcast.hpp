// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <cstddef>
#include <exception>
#include <type_traits>
#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/queue/batch_steps.hpp>
#include <millrace/queue/broadcast_core.hpp>
#include <millrace/queue/broadcast_options.hpp>
#include <millrace/queue/broadcast_subscriber.hpp>
#include <millrace/queue/message_source.hpp>
#include <millrace/queue/push_result.hpp>
#include <millrace/queue/steps.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/operation.hpp>

namespace millrace {

/// A ring of messages that every subscriber sees in full, each at its own pace: what is pushed is read by all
/// who were subscribed then, and not, as in a queue, by one of them. Pushers and subscribers may be
/// coroutines, threads and callbacks.
///
///   broadcast<quote> quotes(1024, {.policy = broadcast_policy::lag});
///   auto mine = quotes.subscribe();
///   quotes.try_push(q);
///   while (auto q = co_await mine.pop()) use(*q);   // mine.missed(): how many came too fast
///
/// The policy says what a push does where the slowest subscriber is capacity() messages behind: gate, the
/// default, waits for him; lag overwrites the oldest message. Without subscribers, messages go nowhere.
///
/// Threads     any thread may push, subscribe and close, and subscribers come and go at any time;
///             construction and destruction are exclusive. For a subscriber: see there.
/// Progress    a push holds a spin lock for a few instructions, never while user code runs: under gate, once
///             in a while, while it looks at all subscribers. It writes its message without the lock, and
///             waits there, spinning, for the push of capacity() messages before, and, under lag, for
///             subscribers in the middle of copying the message that it overwrites. A pop whose message is
///             being written spins, too. So a thread that is stopped in there, in T's constructors or
///             destructor say, holds up the readers of its message and the pushes a lap later. A pop takes
///             no lock unless it parks or finds pushers that wait, which it lets in; where a message is
///             there, it is wait-free under gate, and lock-free under lag: pushes may overtake it again and
///             again.
/// Ordering    linearizable; all subscribers see one order. What precedes a push happens-before the return of
///             each pop that brings its message; under gate, a pop happens-before the push that overwrites
///             it. Waiting pushers are served in the order in which they came, and no newcomer overtakes
///             them.
/// Resumption  see operation, and bounded_queue: a try_push, a pop or an unsubscribe of a plain thread
///             may run a woken coroutine that has no executor.
/// Errors      the constructor throws std::invalid_argument on capacity 0, std::length_error on one that no
///             memory has room for, std::bad_alloc. subscribe() throws std::bad_alloc, and std::length_error
///             beyond 32767 subscribers. For copies that throw see broadcast_subscriber. T's copy
///             constructor, move constructor and destructor do not use the broadcast.
/// Complexity  a push: constant, and the subscribers that it wakes; under gate once every so many pushes
///             (where it finds no room, each time) the number of subscribers. A pop: a load, the copy, and a
///             store (gate) or two locked instructions on the slot (lag). Allocates in the constructor
///             (sizeof(T) and 8 bytes for each slot) and in subscribe() (64 bytes), never for a message or a
///             wait.
/// Lifetime    the destructor closes: who waits ends `closed`. No call may be in progress (one whose message
///             or whose close somebody has heard of no longer is). Subscribers may outlive it. A message
///             lives until it is overwritten, or the broadcast and all subscribers are gone, even where all
///             have read it.
/// Use instead callback_registry, where who listens is called, and nothing is buffered; a queue for each
///             reader, where each is to have a capacity of its own.
template <class T, class Traits = default_traits>
class broadcast {
  using core = detail::broadcast_core<T, Traits>;

 public:
  using value_type = T;
  using subscriber = broadcast_subscriber<T, Traits>;
  using push_operation = operation<detail::push_step<core>>;
  using push_from_operation = operation<detail::push_from_step<core>>;

  explicit broadcast(std::size_t capacity, broadcast_options options = {})
      : core_(core::make(capacity, options.policy)) {}
  broadcast(const broadcast&) = delete;
  broadcast& operator=(const broadcast&) = delete;
  ~broadcast() {
    core_->end();
    core_->release();
  }

  /// Sees what is pushed from now on; of a closed broadcast, nothing.
  subscriber subscribe() { return subscriber(*core_->subscribe()); }

  /// Operation -> push_result<T>: under gate, waits for room. Ends `closed`, with the message in its result,
  /// where the broadcast is closed before the message is in.
  push_operation push(T message) noexcept {
    return push_operation(std::in_place_type<detail::push_step<core>>, *core_, std::move(message));
  }
  /// push(T(args...)): T is built at once, so where that throws nothing has happened.
  template <class... Args>
    requires std::constructible_from<T, Args...>
  push_operation emplace(Args&&... args) noexcept(std::is_nothrow_constructible_v<T, Args...>) {
    return push(T(std::forward<Args>(args)...));
  }
  /// Operation -> op_status: as push, but the message stays in x, which outlives the operation, and is moved
  /// from only if the status is ok.
  push_from_operation push_from(T& x) noexcept {
    return push_from_operation(std::in_place_type<detail::push_from_step<core>>, *core_, x);
  }
  /// Operation -> push_range_result: as that of the queues.
  template <class I, class S>
  auto push_range(I first, S last) noexcept {
    using step = detail::push_range_step<core, I, S>;
    return operation<step>(std::in_place_type<step>, *core_, std::move(first), std::move(last));
  }

  /// ok, full (gate) or closed; the argument is untouched unless ok. `full` may also mean that the pop which
  /// is to make room is still in flight.
  op_status try_push(T&& message) noexcept { return try_push_from(detail::source_of(message)); }
  op_status try_push(const T& message) noexcept(std::is_nothrow_copy_constructible_v<T>) {
    return try_emplace(message);
  }
  /// Builds T only if ok, where that cannot throw. Where it can, T is built once there seems to be room: the
  /// arguments may then be used up although the answer is `full` or `closed`.
  template <class... Args>
    requires std::constructible_from<T, Args...>
  op_status try_emplace(Args&&... args) noexcept(std::is_nothrow_constructible_v<T, Args...>) {
    if constexpr (std::is_nothrow_constructible_v<T, Args...>) {
      return try_push_from([&](auto&& sink) noexcept { return sink(std::forward<Args>(args)...); });
    } else {
      if (is_closed()) return op_status::closed;
      if (!core_->sees_room()) return op_status::full;
      return try_push(T(std::forward<Args>(args)...));
    }
  }

  /// Closes it, once and for all; true for the call that did. Waiting pushes end `closed` with their
  /// messages; pops end `closed` once their subscriber has read all.
  bool close() noexcept { return core_->close(nullptr); }
  /// As close(), and leaves the reason for all to see in close_reason().
  bool close(std::exception_ptr reason) noexcept { return core_->close(std::move(reason)); }
  /// Null where it is open, or was closed without a reason.
  std::exception_ptr close_reason() const noexcept { return core_->close_reason(); }

  bool is_closed() const noexcept { return core_->is_closed(); }
  std::size_t capacity() const noexcept { return core_->capacity(); }
  broadcast_policy policy() const noexcept { return core_->policy(); }

 private:
  template <class Source>
  op_status try_push_from(const Source& source) noexcept {
    op_status status = op_status::ok;
    if (!core_->push_fast(source)) core_->push(source, status, [](T&&) noexcept {});
    return status;
  }

  core* const core_;
};

}  // namespace millrace
