// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <exception>
#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/task/detached.hpp>
#include <millrace/task/join_counter.hpp>
#include <millrace/task/task.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/operation.hpp>
#include <millrace/wait/stop_token.hpp>
#include <millrace/wait/trampoline.hpp>

namespace millrace {

/// Owns the tasks that were spawned into it, and waits for them: none outlives it.
///
/// Threads     any thread spawns while the scope is not joined or something in it still runs; one
///             joins at a time.
/// Progress    spawn(), and the end of a child, take spin locks for a few instructions.
/// Resumption  a child runs on the executor that it was spawned on.
/// Errors      the first exception of a child is rethrown by join(); the others are dropped.
/// Complexity  spawn: one allocation beside the task's own.
/// Lifetime    after join() it is free to go, or to spawn again. ~scope with live children terminates
///             the program.
class scope {
  // failed_: the first child that fails takes it, writes error_, and then ends; join_counter's E1
  // carries error_ to join().

 public:
  using traits = default_traits;

  scope() noexcept = default;
  scope(const scope&) = delete;
  scope& operator=(const scope&) = delete;
  ~scope() {
    if (!children_.idle()) std::terminate();
  }

  /// Starts the task on this thread, before spawn() returns; its executor is the one whose work this
  /// thread runs, if any. Errors: std::bad_alloc, with nothing started.
  void spawn(task<> child) {
    detail::detached root = run(std::move(child), *this);
    children_.begin();
    std::move(root).start({.executor = detail::trampoline<traits>::current_executor(), .token = token()},
                          &ended, this);
  }

  /// Starts the task on `home`. Errors: std::bad_alloc, with nothing started.
  template <executor E>
  void spawn(E& home, task<> child) {
    detail::detached root = run(std::move(child), *this);
    children_.begin();
    std::move(root).post({.executor = home, .token = token()}, &ended, this);
  }

  /// Asks all that was spawned, and will be, to stop: their waits end `cancelled`. Once and for all.
  void request_stop() noexcept { stop_.request_stop(); }
  stop_token token() const noexcept { return stop_.token(); }

  /// Operation -> op_status, ok unless it was given a deadline or a token: waits until no child runs any more. `co_await work.join()`
  /// or `work.join().wait()`. Errors: rethrows the first exception of a child.
  auto join() noexcept {
    return operation<detail::join_step<scope>>(std::in_place_type<detail::join_step<scope>>, *this);
  }

 private:
  friend detail::join_step<scope>;

  static detail::detached run(task<> child, scope& owner) {
    try {
      task<> mine = std::move(child);  // gone when the end is reported
      co_await std::move(mine);
    } catch (...) {
      if (!owner.failed_.exchange(true, std::memory_order_relaxed)) {  // relaxed: see failed_
        owner.error_ = std::current_exception();
      }
    }
  }

  static void ended(void* self) noexcept { static_cast<scope*>(self)->children_.end(); }

  detail::join_counter<traits>& counter() noexcept { return children_; }
  void joined() {
    if (error_) {
      failed_.store(false, std::memory_order_relaxed);  // relaxed: no child runs
      std::rethrow_exception(std::exchange(error_, nullptr));
    }
  }

  detail::join_counter<traits> children_;
  stop_source stop_;
  traits::atomic<bool> failed_{false};
  std::exception_ptr error_;
};

}  // namespace millrace
