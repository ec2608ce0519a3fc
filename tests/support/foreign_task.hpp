// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <coroutine>
#include <exception>
#include <utility>

#include <millrace/wait/promise_env.hpp>

namespace support {

/// A coroutine type that is not millrace's. Runs when it is started, and is destroyed with this
/// object wherever it stands.
template <class Promise>
class basic_foreign_task {
 public:
  using promise_type = Promise;

  explicit basic_foreign_task(std::coroutine_handle<Promise> coroutine) noexcept
      : coroutine_(coroutine) {}
  basic_foreign_task(basic_foreign_task&& other) noexcept
      : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  basic_foreign_task& operator=(basic_foreign_task&&) = delete;
  ~basic_foreign_task() { destroy(); }

  void start() const { coroutine_.resume(); }
  bool done() const noexcept { return coroutine_.done(); }
  std::coroutine_handle<> handle() const noexcept { return coroutine_; }
  void destroy() noexcept {
    if (coroutine_) std::exchange(coroutine_, nullptr).destroy();
  }

 private:
  std::coroutine_handle<Promise> coroutine_;
};

template <class Promise>
struct foreign_promise_base {
  basic_foreign_task<Promise> get_return_object() noexcept {
    return basic_foreign_task<Promise>(
        std::coroutine_handle<Promise>::from_promise(static_cast<Promise&>(*this)));
  }
  std::suspend_always initial_suspend() const noexcept { return {}; }
  std::suspend_always final_suspend() const noexcept { return {}; }
  void return_void() const noexcept {}
  [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
};

/// Tells nothing of itself: no executor, no awaiter.
struct foreign_promise : foreign_promise_base<foreign_promise> {};
using foreign_task = basic_foreign_task<foreign_promise>;

/// Wants to be resumed on the executor that is the coroutine's first argument.
struct homed_promise : foreign_promise_base<homed_promise> {
  millrace::executor_ref home;
  template <class... Others>
  explicit homed_promise(millrace::executor_ref e, Others&&...) noexcept : home(e) {}
  millrace::environment env() const noexcept { return {home}; }
};
using homed_task = basic_foreign_task<homed_promise>;

}  // namespace support
