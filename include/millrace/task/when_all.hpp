// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <coroutine>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/task/await_into.hpp>
#include <millrace/task/awaitable.hpp>
#include <millrace/task/detached.hpp>
#include <millrace/task/outcome.hpp>
#include <millrace/task/void_result.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/promise_env.hpp>
#include <millrace/wait/trampoline.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace {

namespace detail {

template <class... Awaitables>
class when_all_awaiter : private work_item {
  // left_ counts the children that have not ended, and one for await_suspend itself:
  //
  // E1  child's end -> the last to end   the children's results, to who resumes the awaiter.

  template <class T>
  using element = std::conditional_t<std::is_void_v<T>, void_result, T>;

 public:
  explicit when_all_awaiter(std::tuple<Awaitables...>& awaitables) noexcept : awaitables_(awaitables) {}
  when_all_awaiter(when_all_awaiter&&) = delete;

  bool await_ready() const noexcept { return sizeof...(Awaitables) == 0; }

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> coroutine) {
    return start(coroutine, promise_env<Promise>::get(coroutine.promise()),
                 std::index_sequence_for<Awaitables...>{});
  }

  std::tuple<element<await_value_t<Awaitables>>...> await_resume() {
    return std::apply(
        [](auto&... outcomes) {
          // In order, so that the leftmost exception is the one that is thrown.
          return std::tuple<element<await_value_t<Awaitables>>...>{take(outcomes)...};
        },
        outcomes_);
  }

 private:
  template <std::size_t... I>
  MILLRACE_NOINLINE bool start(std::coroutine_handle<> coroutine, const environment& env,
                               std::index_sequence<I...>) {
    // All frames exist before any of them runs: std::bad_alloc finds nothing started.
    std::tuple<std::conditional_t<true, detached, Awaitables>...> children{await_into<Awaitables>(
        std::forward<Awaitables>(std::get<I>(awaitables_)), std::get<I>(outcomes_))...};
    coroutine_ = coroutine;
    home_ = env.executor;
    (std::move(std::get<I>(children)).start(env, &child_done, this), ...);
    return left_.fetch_sub(1, std::memory_order_acq_rel) != 1;  // E1 publish, E1 observe
    // caution: no test can miss the publish: what start() wrote went with the children that it started
  }

  static void child_done(void* context) noexcept {
    auto* const self = static_cast<when_all_awaiter*>(context);
    if (self->left_.fetch_sub(1, std::memory_order_acq_rel) == 1) {  // E1 publish, E1 observe
      self->run = [](work_item* item) noexcept {
        auto* const me = static_cast<when_all_awaiter*>(item);
        const executor_ref home = me->home_;
        trampoline<default_traits>::enter(me->coroutine_, home);
      };
      const executor_ref home = self->home_;
      trampoline<default_traits>::transfer(self->coroutine_, home, *self);
    }
  }

  template <class T>
  static element<T> take(outcome<T>& from) {
    if constexpr (std::is_void_v<T>) {
      from.take();
      return {};
    } else {
      return from.take();
    }
  }

  std::tuple<Awaitables...>& awaitables_;
  std::tuple<outcome<await_value_t<Awaitables>>...> outcomes_;
  default_traits::atomic<std::size_t> left_{sizeof...(Awaitables) + 1};
  std::coroutine_handle<> coroutine_;
  executor_ref home_;
};

template <class... Awaitables>
class [[nodiscard("millrace: co_await when_all(...)")]] when_all_awaitable {
 public:
  explicit when_all_awaitable(Awaitables&&... awaitables)
      : awaitables_(std::forward<Awaitables>(awaitables)...) {}

  auto operator co_await() && noexcept { return when_all_awaiter<Awaitables...>(awaitables_); }

 private:
  std::tuple<Awaitables...> awaitables_;
};

}  // namespace detail

/// `co_await when_all(a, b, ...)`: awaits all at once, starting them from left to right, and yields
/// a tuple of what they yield (void_result for void).
///
/// Threads     each child runs where its executor, or else the awaiter's, resumes it.
/// Resumption  on the awaiter's executor.
/// Errors      waits for all, then rethrows the leftmost exception; std::bad_alloc, with nothing
///             started.
/// Complexity  one allocation for each awaitable.
/// Lifetime    takes ownership of rvalues; lvalues outlive it. Not to be destroyed while in progress.
template <detail::awaitable... Awaitables>
auto when_all(Awaitables&&... awaitables) {
  return detail::when_all_awaitable<Awaitables...>(std::forward<Awaitables>(awaitables)...);
}

}  // namespace millrace
