// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/lockfree/ring_core.hpp>

namespace millrace {

/// A bounded lock-free FIFO ring for any number of producers and consumers: the bare structure,
/// for those who want only a queue and do their own waiting.
///
/// Threads     any thread may call any operation; construction and destruction are exclusive.
/// Progress    an operation never waits. A thread stopped in the middle of a push makes pops say
///             empty from that message on; one stopped in the middle of a pop makes pushes say
///             full one lap later.
/// Ordering    linearizable FIFO; what precedes a push happens-before the return of the pop that
///             takes its message.
/// Errors      the constructor throws std::invalid_argument on capacity 0, std::bad_alloc, or
///             std::length_error beyond 2^58 messages. Nothing else throws but T's own construction.
/// Complexity  constant: one CAS and one release store. Allocates only in the constructor: sizeof(T)
///             plus 8 bytes for each slot, rounded up to T's alignment, and 320 bytes.
/// Use instead bounded_queue to wait for a message or for room.
template <class T, class Traits = default_traits>
class mpmc_ring {
 public:
  using value_type = T;

  explicit mpmc_ring(std::size_t capacity) : ring_(capacity) {}

  /// False: full, or a pop that was to make room is still in flight; the argument is untouched.
  [[nodiscard]] bool try_push(T&& message) noexcept {
    return ring_.try_put(std::move(message)) == detail::claim::done;
  }
  [[nodiscard]] bool try_push(const T& message) noexcept(std::is_nothrow_copy_constructible_v<T>)
    requires std::copy_constructible<T>
  {
    return try_emplace(message);
  }

  /// Builds T in its slot where that cannot throw. Where it can, T is built once there seems to be
  /// room: the arguments may then be used up although the answer is false.
  template <class... Args>
    requires std::constructible_from<T, Args...>
  [[nodiscard]] bool try_emplace(Args&&... args) noexcept(
      std::is_nothrow_constructible_v<T, Args...>) {
    if constexpr (std::is_nothrow_constructible_v<T, Args...>) {
      return ring_.try_put(std::forward<Args>(args)...) == detail::claim::done;
    } else {
      return ring_.sees_room() &&
             ring_.try_put(T(std::forward<Args>(args)...)) == detail::claim::done;
    }
  }

  /// Nothing: empty, or the push of the oldest message is still in flight.
  [[nodiscard]] std::optional<T> try_pop() noexcept {
    std::optional<T> message;
    ring_.try_take([&](T&& taken) noexcept { message.emplace(std::move(taken)); });
    return message;
  }
  [[nodiscard]] bool try_pop(T& out) noexcept
    requires std::is_nothrow_move_assignable_v<T>
  {
    return ring_.try_take([&](T&& taken) noexcept { out = std::move(taken); }) ==
           detail::claim::done;
  }

  std::size_t capacity() const noexcept { return ring_.capacity(); }

  /// A snapshot: claimed by pushes and not yet by pops, between 0 and capacity().
  std::size_t size_approx() const noexcept { return ring_.size_approx(); }

 private:
  detail::ring_core<T, Traits> ring_;
};

}  // namespace millrace
