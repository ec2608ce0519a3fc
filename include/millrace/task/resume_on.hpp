// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <coroutine>

#include <millrace/detail/atomic.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/trampoline.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace {

namespace detail {

class resume_on_awaiter : private work_item {
 public:
  explicit resume_on_awaiter(executor_ref target) noexcept : target_(target) {}
  resume_on_awaiter(resume_on_awaiter&&) = delete;

  bool await_ready() const noexcept { return false; }

  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    if constexpr (requires { coroutine.promise().set_executor(target_); }) {
      coroutine.promise().set_executor(target_);
    }
    coroutine_ = coroutine;
    this->run = [](work_item* item) noexcept {
      auto* const self = static_cast<resume_on_awaiter*>(item);
      const executor_ref home = self->target_;
      trampoline<default_traits>::enter(self->coroutine_, home);
    };
    const executor_ref target = target_;
    target.post(*this);  // *this may be gone
  }

  void await_resume() const noexcept {}

 private:
  executor_ref target_;
  std::coroutine_handle<> coroutine_;
};

}  // namespace detail

/// `co_await resume_on(executor)`: the coroutine goes on there. A task belongs to that executor from
/// then on: what it waits for later resumes it there too. Its awaiter stays where it was. A coroutine
/// of another type is moved this once.
template <executor E>
[[nodiscard("millrace: co_await resume_on(executor)")]] auto resume_on(E& target) noexcept {
  return detail::resume_on_awaiter(executor_ref(target));
}

}  // namespace millrace
