// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <coroutine>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <millrace/pipeline/chain.hpp>
#include <millrace/pipeline/fused_stages.hpp>
#include <millrace/task/awaitable.hpp>
#include <millrace/task/scope.hpp>
#include <millrace/task/task.hpp>
#include <millrace/wait/clock.hpp>
#include <millrace/wait/modifiers.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/promise_env.hpp>
#include <millrace/wait/stop_token.hpp>

namespace millrace {

/// What a function throws that has not come to its end in time: see timeout.
class timed_out : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace detail {

/// Awaited: what ends the waits of the coroutine that awaits it.
class ambient_token {
 public:
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    token_ = promise_env<Promise>::get(coroutine.promise()).token;
    return false;
  }
  stop_token await_resume() noexcept { return std::move(token_); }

 private:
  stop_token token_;
};

template <class F>
class limited_function {
 public:
  limited_function(stage_clock::duration most, F f) : most_(most), f_(std::move(f)) {}

  template <class T>
    requires takes_message<F, T>
  auto operator()(T& message) {
    static_assert(
        awaitable<decltype(call(f_, message))>,
        "millrace: timeout(time, f): f gives nothing to be awaited, so nothing can end it: let it be a "
        "function of a task");
    return run<typename stage_result<F, T>::type>(message);
  }

 private:
  template <class U, class T>
  task<U> run(T& message) {
    std::conditional_t<std::is_void_v<U>, no_message, std::optional<U>> result;
    const stop_token outer = co_await ambient_token();
    scope work;
    work.spawn(run_into(message, result));
    const op_status how = co_await work.join().within(most_).with(outer);
    if (how != op_status::ok) {
      work.request_stop();
      try {
        co_await work.join().with(stop_token());
      } catch (...) {
        if (how != op_status::timeout) throw;
      }
      if (how == op_status::timeout) {
        throw timed_out("millrace: it took longer than " +
                        std::to_string(std::chrono::duration<double>(most_).count()) + " s");
      }
    }
    if constexpr (!std::is_void_v<U>) co_return *std::move(result);
  }

  template <class T, class Result>
  task<> run_into(T& message, Result& result) {
    if constexpr (std::same_as<Result, no_message>) {
      co_await call(f_, message);
    } else {
      result.emplace(co_await call(f_, message));
    }
  }

  stage_clock::duration most_;
  F f_;
};

}  // namespace detail

/// A function for a stage: that of a task, which is told to stop after so long; then the stage is thrown a
/// timed_out at: map(timeout(50ms, fetch)).on_error(skip()).
///
/// Threads     as f: one message at a time.
/// Errors      those of f; timed_out once f has ended, whatever it gave then. f ends where what it waits in
///             ends `cancelled`: one that does not wait, or is shielded, is waited for.
/// Complexity  two allocations beside those of f.
template <class Rep, class Period, class F>
auto timeout(std::chrono::duration<Rep, Period> most, F f) {
  return detail::limited_function<F>(detail::saturated(most), std::move(f));
}

}  // namespace millrace
