// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cassert>
#include <concepts>
#include <coroutine>
#include <type_traits>
#include <utility>

#include <millrace/detail/macros.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/promise_env.hpp>
#include <millrace/wait/thread_waiter.hpp>
#include <millrace/wait/trampoline.hpp>
#include <millrace/wait/waiter.hpp>

namespace millrace {

namespace detail {

/// What one attempt of an operation came to.
enum class progress : unsigned char {
  completed,  ///< the result is in the step
  parked,     ///< the waiter is listed: step and waiter may be gone
  must_wait,  ///< there was no waiter to park
};

/// What a structure that can be waited for supplies, one class for each operation:
///   attempt_fast()     the attempt that most calls succeed with; false: look closer
///   attempt(waiter*)   try or park; a null waiter never parks
///   withdraw(waiter&)  takes a parked waiter back; false: somebody is completing it
///   take_result()      once, after completion; may throw what the operation is documented to throw
template <class S>
concept step = requires(S& s, waiter<typename S::traits>* w) {
  typename S::result_type;
  { s.attempt_fast() } noexcept -> std::same_as<bool>;
  { s.attempt(w) } noexcept -> std::same_as<progress>;
  { s.withdraw(*w) } noexcept -> std::same_as<bool>;
  { s.take_result() } -> std::same_as<typename S::result_type>;
};

template <class Step>
class operation_awaiter;
struct operation_access;
template <class Step, class F>
class started_operation;

}  // namespace detail

/// Something to be done that may have to wait: nothing happens until it is run, once, in one way:
///
///   co_await q.pop()            suspends the coroutine (a stored one: co_await std::move(op))
///   q.pop().wait()              blocks the thread
///   q.pop().start(callback)     calls callback(result) once it has completed
///
/// Threads     one thread runs it; whatever completes it may be on any other.
/// Progress    one that can complete at once costs what the bare try_ call costs.
/// Resumption  first match: the executor given to on(); that of the awaiting coroutine's promise
///             (promise_env); the one whose work the waking thread is running; else the waking
///             thread itself, once it is inside no coroutine. Never inside another coroutine's
///             operation, never under a lock, never by recursion.
/// Errors      none of its own: how it ended is in the result.
/// Complexity  no allocation, but for start() where it must wait: one.
/// Lifetime    what it works on outlives it. One that was never run destroys what it holds. A parked
///             one may be destroyed with its coroutine's frame as long as nothing completes it at
///             the same time: that takes it back, and no message is lost.
template <class Step>
class [[nodiscard("millrace: an operation does nothing until it is run: co_await it, or call .wait() "
                  "or .start(callback)")]] operation {
  static_assert(detail::step<Step>);
  using traits = typename Step::traits;

 public:
  using result_type = typename Step::result_type;

  template <class... Args>
    requires std::constructible_from<Step, Args...>
  explicit operation(std::in_place_type_t<Step>, Args&&... args) noexcept
      : step_(std::forward<Args>(args)...) {}

  operation(operation&&) noexcept = default;
  operation& operator=(operation&&) = delete;

  /// Where to resume or to call back if it has to wait. The executor outlives the operation.
  operation on(executor_ref home) && noexcept {
    home_ = home;
    return std::move(*this);
  }

  detail::operation_awaiter<Step> operator co_await() && noexcept {
    return detail::operation_awaiter<Step>(*this);
  }

  template <class Lvalue = Step>
  void operator co_await() & {
    static_assert(!std::same_as<Lvalue, Step>,
                  "millrace: an operation runs once, so a stored one is given away: "
                  "co_await std::move(operation)");
  }

  /// Blocks the calling thread until it has completed. Not inside a coroutine or other work of an
  /// executor: what it waits for may be queued behind it on this thread (checked in debug builds).
  result_type wait() && noexcept(noexcept(std::declval<Step&>().take_result())) {
    if (!step_.attempt_fast()) {
      detail::thread_waiter<traits> sleeper;
      if (step_.attempt(&sleeper) == detail::progress::parked) {
        assert(!detail::trampoline<traits>::active() &&
               "millrace: .wait() inside a coroutine, or other work of an executor, can wait for what "
               "is queued behind it on this thread; co_await instead");
        sleeper.block();
      }
    }
    return step_.take_result();
  }

  /// Calls callback(result) once it has completed: before start() returns where it completes at
  /// once, else as a coroutine would be resumed. The callback must not throw.
  /// Errors: std::bad_alloc, with nothing done, where it would have to wait.
  template <class F>
    requires std::invocable<F&, result_type>
  void start(F callback) && {
    if (step_.attempt_fast() || step_.attempt(nullptr) == detail::progress::completed) {
      detail::started_operation<Step, F>::call(callback, step_.take_result());
    } else {
      (new detail::started_operation<Step, F>(std::move(*this), std::move(callback)))->begin();
    }
  }

 private:
  friend detail::operation_awaiter<Step>;
  friend struct detail::operation_access;
  template <class, class>
  friend class detail::started_operation;

  Step step_;
  executor_ref home_{};
};

namespace detail {

/// For waiters of our own that are neither coroutine, nor thread, nor single callback.
struct operation_access {
  template <class Step>
  static Step take_step(operation<Step>&& op) noexcept {
    return std::move(op.step_);
  }
};

/// Makes the coroutine wait. Never copied: a copy would be the one that is woken (g++ 12 makes such
/// copies of lvalue awaiters).
template <class Step>
class operation_awaiter : private waiter<typename Step::traits> {
  using traits = typename Step::traits;

 public:
  explicit operation_awaiter(operation<Step>& op) noexcept : operation_(op) {}
  operation_awaiter(operation_awaiter&&) = delete;
  ~operation_awaiter() {
    if (parked_) operation_.step_.withdraw(*this);
  }

  bool await_ready() noexcept { return operation_.step_.attempt_fast(); }

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    this->home = operation_.home_ ? operation_.home_
                                  : promise_env<Promise>::get(coroutine.promise()).executor;
    return suspend(coroutine);
  }

  typename Step::result_type await_resume() noexcept(
      noexcept(std::declval<Step&>().take_result())) {
    parked_ = false;
    this->probe.read();
    return operation_.step_.take_result();
  }

 private:
  // Not inlined into the coroutine: its locals must not end up in the frame, which may be gone.
  MILLRACE_NOINLINE bool suspend(std::coroutine_handle<> coroutine) noexcept {
    coroutine_ = coroutine;
    this->run = &resume;
    parked_ = true;
    if (trampoline<traits>::active()) {
      if (operation_.step_.attempt(this) == progress::parked) return true;  // *this may be gone
      parked_ = false;
      return false;
    }
    // Nobody below resumes coroutines on this thread yet. Whom this operation wakes must not run
    // inside it, so this coroutine goes first, then those.
    trampoline<traits> bottom;
    if (operation_.step_.attempt(this) == progress::parked) {
      bottom.run();
    } else {
      bottom.run(coroutine);
    }
    return true;  // *this may be gone
  }

  static void resume(work_item* item) noexcept {
    auto* const self = static_cast<operation_awaiter*>(item);
    const executor_ref home = self->home;
    trampoline<traits>::enter(self->coroutine_, home);
  }

  operation<Step>& operation_;
  std::coroutine_handle<> coroutine_;
  bool parked_ = false;
};

/// An operation that a callback waits for: frees itself after the call.
template <class Step, class F>
class started_operation : private waiter<typename Step::traits> {
 public:
  started_operation(operation<Step>&& op, F&& callback)
      : operation_(std::move(op)), callback_(std::move(callback)) {
    this->home = operation_.home_;
    this->run = &complete;
  }

  void begin() noexcept {
    if (operation_.step_.attempt(this) != progress::parked) complete(this);
  }

  static void call(F& callback, typename Step::result_type&& result) noexcept {
    callback(std::move(result));
  }

 private:
  static void complete(work_item* item) noexcept {
    auto* const self = static_cast<started_operation*>(item);
    self->probe.read();
    call(self->callback_, self->operation_.step_.take_result());
    delete self;
  }

  operation<Step> operation_;
  F callback_;
};

}  // namespace detail

}  // namespace millrace
