// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <coroutine>
#include <type_traits>
#include <utility>

#include <millrace/detail/macros.hpp>
#include <millrace/task/awaitable.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/operation.hpp>
#include <millrace/wait/promise_env.hpp>

namespace millrace::detail {

/// What the promises of millrace's own coroutines tell all that they await.
///
/// Threads     that of the coroutine.
class awaiting_promise {
 public:
  environment env() const noexcept { return env_; }
  /// See slot_of.
  stop_slot<default_traits>* slot() const noexcept { return slot_; }

  /// For resume_on: the coroutine belongs to this executor from now on.
  void set_executor(executor_ref executor) noexcept { env_.executor = executor; }

  /// An operation is told first whether it is to run at all, and whether others have their turn after it,
  /// also if it completes at once.
  template <class Step, class Modifiers>
  MILLRACE_ALWAYS_INLINE auto await_transform(operation<Step, Modifiers>&& op) noexcept {
    if (--turns_ == 0) turns_ = budget;
    operation_access::prepare(op, env_.token, turns_ == budget);
    return std::move(op).operator co_await();
  }
  /// So many operations were done without awaiting them.
  struct spent {
    unsigned operations;
  };
  std::suspend_never await_transform(spent s) noexcept {
    turns_ = s.operations < turns_ ? turns_ - s.operations : 1;
    return {};
  }
  template <class Awaitable>
  auto await_transform(Awaitable&& other) {
    if constexpr (std::is_reference_v<decltype(awaiter_of(std::forward<Awaitable>(other)))>) {
      auto&& awaiter = awaiter_of(std::forward<Awaitable>(other));
      return borrowed_awaiter<awaiter_t<Awaitable>>{awaiter};
    } else {
      return awaiter_of(std::forward<Awaitable>(other));
    }
  }

 protected:
  /// `slot` is that of env.token, or null.
  void set_env(const environment& env, stop_slot<default_traits>* slot) noexcept {
    env_ = env;
    slot_ = slot;
  }

 private:
  static constexpr unsigned budget = 128;  // operations without a pause for others

  environment env_;
  stop_slot<default_traits>* slot_ = nullptr;
  unsigned turns_ = budget;
};

}  // namespace millrace::detail
