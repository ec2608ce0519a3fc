// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>

#include <millrace/wait/executor.hpp>

namespace millrace {

/// What an awaiting coroutine tells the operations that it awaits.
struct environment {
  executor_ref executor{};  ///< where it wants to be resumed; empty: wherever the waker runs
};

/// The one customization point for coroutine types that are not millrace's: specialize it, or give
/// the promise a member `environment env() const noexcept`. Others have an empty environment.
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

}  // namespace millrace
