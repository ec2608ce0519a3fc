// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <coroutine>
#include <type_traits>
#include <utility>

namespace millrace::detail {

/// The awaiter of an awaitable, as a co_await expression would find it.
template <class A>
decltype(auto) awaiter_of(A&& awaitable) {
  if constexpr (requires { std::forward<A>(awaitable).operator co_await(); }) {
    return std::forward<A>(awaitable).operator co_await();
  } else if constexpr (requires { operator co_await(std::forward<A>(awaitable)); }) {
    return operator co_await(std::forward<A>(awaitable));
  } else {
    return std::forward<A>(awaitable);
  }
}

template <class A>
using awaiter_t = std::remove_reference_t<decltype(awaiter_of(std::declval<A>()))>;

/// What can be awaited in any coroutine of ours.
template <class A>
concept awaitable = requires(awaiter_t<A>& a) {
  { a.await_ready() } -> std::convertible_to<bool>;
  a.await_resume();
};

/// What `co_await std::declval<A>()` yields.
template <awaitable A>
using await_result_t = decltype(std::declval<awaiter_t<A>&>().await_resume());

/// For a promise to hand over an awaiter that lives elsewhere: g++ 12 would make a copy of it.
template <class Awaiter>
struct borrowed_awaiter {
  Awaiter& awaiter;
  decltype(auto) await_ready() { return awaiter.await_ready(); }
  template <class Promise>
  decltype(auto) await_suspend(std::coroutine_handle<Promise> coroutine) {
    return awaiter.await_suspend(coroutine);
  }
  decltype(auto) await_resume() { return awaiter.await_resume(); }
};

}  // namespace millrace::detail
