// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cassert>
#include <type_traits>
#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/task/await_into.hpp>
#include <millrace/task/awaitable.hpp>
#include <millrace/task/outcome.hpp>
#include <millrace/task/run_loop.hpp>
#include <millrace/wait/trampoline.hpp>

namespace millrace {

/// Blocks the calling thread until `awaitable` has completed, and returns what it yields. Meanwhile
/// the thread is the executor of what is awaited: tasks run on it, in a run_loop.
///
/// Threads     not inside a coroutine or other work of an executor (checked in debug builds).
/// Errors      rethrows what the awaitable throws; std::bad_alloc.
/// Complexity  one allocation.
template <detail::awaitable Awaitable>
detail::await_value_t<Awaitable> sync_wait(Awaitable&& awaitable) {
  assert(!detail::trampoline<default_traits>::active() &&
         "millrace: sync_wait() inside a coroutine, or other work of an executor, can wait for what is "
         "queued behind it on this thread; co_await instead");
  run_loop loop;
  detail::outcome<detail::await_value_t<Awaitable>> outcome;
  detail::await_into<Awaitable>(std::forward<Awaitable>(awaitable), outcome)
      .post(
          {.executor = loop}, [](void* context) noexcept { static_cast<run_loop*>(context)->finish(); },
          &loop);
  loop.run();
  return outcome.take();
}

/// Says what sync_wait() takes.
template <class T>
  requires(!detail::awaitable<T>)
void sync_wait(T&&) {
  static_assert(
      std::is_void_v<T>,
      "millrace: sync_wait(awaitable): it is given what can be awaited, such as a task, which is given "
      "away: sync_wait(std::move(task)), or an operation; call a coroutine to have its task");
}

}  // namespace millrace
