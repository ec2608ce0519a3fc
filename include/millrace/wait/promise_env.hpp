// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>

#include <millrace/detail/atomic.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/stop_slot.hpp>
#include <millrace/wait/stop_token.hpp>

namespace millrace {

/// What an awaiting coroutine tells the operations that it awaits.
struct environment {
  executor_ref executor{};  ///< where it wants to be resumed; empty: wherever the waker runs
  stop_token token{};       ///< what ends its waits; empty: nothing
};

/// The one customization point for coroutine types that are not millrace's: specialize it, or give
/// the promise a member `environment env() const noexcept`. Others have an empty environment. An operation
/// asks when it has to wait: of a foreign coroutine, a stop does not end what completes at once.
template <class Promise>
struct promise_env {
  static environment get([[maybe_unused]] const Promise& promise) noexcept {
    if constexpr (requires {
                    { promise.env() } noexcept -> std::convertible_to<environment>;
                  }) {
      return promise.env();
    } else {
      return {};
    }
  }
};

namespace detail {

/// By which a stop finds the operation that the coroutine waits in, where that is one of a chain of
/// millrace's own; null: each operation is listed at the token's source.
template <class Promise>
stop_slot<default_traits>* slot_of([[maybe_unused]] const Promise& promise) noexcept {
  if constexpr (requires {
                  { promise.slot() } noexcept -> std::same_as<stop_slot<default_traits>*>;
                }) {
    return promise.slot();
  } else {
    return nullptr;
  }
}

}  // namespace detail

}  // namespace millrace
