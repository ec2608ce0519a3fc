// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <exception>
#include <type_traits>

#include <millrace/task/awaitable.hpp>
#include <millrace/task/detached.hpp>
#include <millrace/task/outcome.hpp>

namespace millrace::detail {

/// What is kept of an awaitable's result.
template <class Awaitable>
using await_value_t =
    std::conditional_t<std::is_lvalue_reference_v<await_result_t<Awaitable>>, await_result_t<Awaitable>,
                       std::remove_cvref_t<await_result_t<Awaitable>>>;

/// Awaits, and keeps what came of it. `Awaitable` may be an lvalue reference: it then outlives this.
template <class Awaitable>
detached await_into(Awaitable awaitable, outcome<await_value_t<Awaitable>>& result) {
  try {
    Awaitable mine = static_cast<Awaitable&&>(awaitable);  // gone when the end is reported
    if constexpr (std::is_void_v<await_value_t<Awaitable>>) {
      co_await static_cast<Awaitable&&>(mine);
    } else {
      result.set(co_await static_cast<Awaitable&&>(mine));
    }
  } catch (...) {
    result.fail(std::current_exception());
  }
}

}  // namespace millrace::detail
