// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <coroutine>
#include <exception>
#include <type_traits>
#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/task/awaiting_promise.hpp>
#include <millrace/task/outcome.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/promise_env.hpp>
#include <millrace/wait/trampoline.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace {

template <class T>
class task;

namespace detail {

/// What the promises of all tasks share: who awaits, and where.
class task_promise_base : public awaiting_promise, private work_item {
  using trampoline = detail::trampoline<default_traits>;

  struct hand_back {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      task_promise_base& promise = self.promise();
      promise.run = [](work_item* item) noexcept {
        auto* const p = static_cast<task_promise_base*>(item);
        trampoline::enter(p->awaiter_, p->awaiter_home_);
      };
      // The task may be gone as soon as its awaiter runs.
      const std::coroutine_handle<> awaiter = promise.awaiter_;
      const executor_ref home = promise.awaiter_home_;
      trampoline::transfer(awaiter, home, promise);
    }
    void await_resume() const noexcept {}
  };

 public:
  std::suspend_always initial_suspend() const noexcept { return {}; }
  hand_back final_suspend() const noexcept { return {}; }

  template <class Promise>
  void awaited_by(std::coroutine_handle<Promise> awaiter) noexcept {
    const environment env = promise_env<Promise>::get(awaiter.promise());
    awaiter_ = awaiter;
    awaiter_home_ = env.executor;
    set_env(env, slot_of(awaiter.promise()));
  }

 private:
  std::coroutine_handle<> awaiter_;
  executor_ref awaiter_home_;
};

template <class T>
class task_promise : public task_promise_base {
 public:
  task<T> get_return_object() noexcept;

  // A reference binds to what is returned itself, never to a temporary made from it.
  template <class U = T>
    requires std::convertible_to<U, T> &&
             (!std::is_reference_v<T> ||
              std::convertible_to<std::remove_reference_t<U>*, std::remove_reference_t<T>*>) &&
             (!std::is_lvalue_reference_v<T> || std::is_lvalue_reference_v<U>)
  void return_value(U&& value) {
    outcome_.set(std::forward<U>(value));
  }
  void unhandled_exception() noexcept { outcome_.fail(std::current_exception()); }
  T take() { return outcome_.take(); }

 private:
  outcome<T> outcome_;
};

template <>
class task_promise<void> : public task_promise_base {
 public:
  task<void> get_return_object() noexcept;

  void return_void() const noexcept {}
  void unhandled_exception() noexcept { outcome_.fail(std::current_exception()); }
  void take() { outcome_.take(); }

 private:
  outcome<void> outcome_;
};

}  // namespace detail

/// A coroutine that runs when it is awaited, once, and gives its awaiter a value or an exception.
///
/// Threads     one thread at a time.
/// Resumption  inherits its awaiter's executor, and resumes its awaiter there, whatever executor it
///             moved to itself (resume_on). Awaiting and returning run in constant stack, also at
///             -O0 and under sanitizers: however deep tasks nest and however many complete at once.
/// Errors      an exception that leaves the coroutine is rethrown by co_await.
/// Complexity  one allocation: the coroutine frame. Awaiting and returning: no atomic operation.
/// Lifetime    the coroutine's frame is destroyed with the task; destroying one that is in progress
///             destroys the operation that it waits at (see operation), and the tasks that it awaits,
///             by recursion: nest them no deeper than the stack allows if you do that.
template <class T = void>
class [[nodiscard("millrace: a task does nothing until it is awaited or spawned")]] task {
 public:
  using promise_type = detail::task_promise<T>;
  using value_type = T;

  task(task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  task& operator=(task&& other) noexcept {
    task(std::move(other)).swap(*this);
    return *this;
  }
  ~task() {
    if (coroutine_) coroutine_.destroy();
  }

  void swap(task& other) noexcept { std::swap(coroutine_, other.coroutine_); }

  auto operator co_await() && noexcept { return awaiter(coroutine_); }

  template <class Lvalue = T>
  auto operator co_await() & {  // auto: so that no error comes before this one
    static_assert(!std::same_as<Lvalue, T>,
                  "millrace: a task runs once, so a stored one is given away: "
                  "co_await std::move(task)");
  }

 private:
  friend promise_type;
  using handle = std::coroutine_handle<promise_type>;

  explicit task(handle coroutine) noexcept : coroutine_(coroutine) {}

  class awaiter {
   public:
    explicit awaiter(handle coroutine) noexcept : coroutine_(coroutine) {}
    awaiter(awaiter&&) = delete;

    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      coroutine_.promise().awaited_by(awaiting);
      detail::trampoline<default_traits>::transfer(coroutine_);  // *this may be gone
    }
    T await_resume() { return coroutine_.promise().take(); }

   private:
    handle coroutine_;
  };

  handle coroutine_;
};

namespace detail {

template <class T>
task<T> task_promise<T>::get_return_object() noexcept {
  return task<T>(std::coroutine_handle<task_promise>::from_promise(*this));
}

inline task<void> task_promise<void>::get_return_object() noexcept {
  return task<void>(std::coroutine_handle<task_promise>::from_promise(*this));
}

}  // namespace detail

}  // namespace millrace
