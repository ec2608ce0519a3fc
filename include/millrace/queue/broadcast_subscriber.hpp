// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cassert>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <type_traits>
#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/queue/broadcast_core.hpp>
#include <millrace/queue/broadcast_pop_step.hpp>
#include <millrace/queue/pop_result.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/operation.hpp>

namespace millrace {

template <class T, class Traits>
class broadcast;

/// One reader of a broadcast: gets a copy of each message that is pushed while it is subscribed, in the one
/// order that all subscribers see.
///
/// Threads     one call at a time, as on the one consumer of spsc_queue, and a pop that waits is such a call;
///             which thread, may change where something else orders the calls. is_closed() and
///             close_reason(): any.
/// Progress    see broadcast.
/// Errors      what T's copy constructor throws, pop and try_pop throw. The message then stays where it is:
///             the next pop tries again (or misses it, where it lags). In a select, the results of
///             the other operations, the message of a push among them, are lost then.
/// Complexity  constant; pop allocates nothing.
/// Lifetime    may outlive the broadcast: then it still gets what is left for it, and `closed`. It outlives
///             its own pops, those that wait too (checked in debug builds). Moved from, it is empty, and
///             may only be destroyed or assigned to.
template <class T, class Traits = default_traits>
class [[nodiscard]] broadcast_subscriber {
  using core = detail::broadcast_core<T, Traits>;

 public:
  using value_type = T;
  using pop_operation = operation<detail::broadcast_pop_step<core>>;

  /// Empty.
  broadcast_subscriber() noexcept = default;
  broadcast_subscriber(broadcast_subscriber&& other) noexcept : at_(std::exchange(other.at_, nullptr)) {}
  broadcast_subscriber& operator=(broadcast_subscriber other) noexcept {
    std::swap(at_, other.at_);
    return *this;
  }
  ~broadcast_subscriber() { unsubscribe(); }

  /// Whether it is subscribed.
  explicit operator bool() const noexcept { return at_ != nullptr; }

  /// Gives up what it has not read, and is empty then. Pushers that waited for it go on.
  void unsubscribe() noexcept {
    if (at_ != nullptr) at_->core.unsubscribe(*std::exchange(at_, nullptr));
  }

  /// Operation -> pop_result<T>: waits for a message. Ends `closed` once the broadcast is closed and this
  /// subscriber has read all. One that is cancelled, or loses in a select, leaves the message to the next.
  pop_operation pop() & noexcept {
    return pop_operation(std::in_place_type<detail::broadcast_pop_step<core>>, cursor());
  }
  template <class Rvalue = T>
  auto pop() && {  // auto: so that no error comes before this one
    static_assert(!std::same_as<Rvalue, T>,
                  "millrace: keep the subscriber in a variable: it would be gone before its operation");
  }

  /// A message, or `empty`, or `closed` (and all read). `empty` may also mean that the push of the next
  /// message is still in flight.
  pop_result<T> try_pop() noexcept(std::is_nothrow_copy_constructible_v<T>) {
    pop_result<T> result;
    core& from = cursor().core;
    if (from.read(*at_, result)) {
      if (from.is_room_wanted()) from.serve_pushers();
    } else if (from.is_over(*at_)) {
      result.refuse(op_status::closed);
    }
    return result;
  }

  /// How many messages since it subscribed were overwritten before this subscriber read them: exact, as
  /// of now: a later pop gets none of those that it counts. What was pushed since then is popped, missed or
  /// left.
  std::uint64_t missed() noexcept { return cursor().core.missed(*at_); }
  /// A snapshot: how many messages are there that it has not read.
  std::size_t size_approx() const noexcept { return cursor().core.size_approx(*at_); }
  std::size_t capacity() const noexcept { return cursor().core.capacity(); }

  bool is_closed() const noexcept { return cursor().core.is_closed(); }
  std::exception_ptr close_reason() const noexcept { return cursor().core.close_reason(); }

 private:
  friend broadcast<T, Traits>;
  explicit broadcast_subscriber(typename core::cursor& at) noexcept : at_(&at) {}

  typename core::cursor& cursor() const noexcept {
    assert(at_ != nullptr && "millrace: this subscriber was moved from, or has unsubscribed");
    return *at_;
  }

  typename core::cursor* at_ = nullptr;
};

}  // namespace millrace
