// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cassert>
#include <concepts>
#include <coroutine>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <millrace/detail/macros.hpp>
#include <millrace/wait/clock.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/modifiers.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/promise_env.hpp>
#include <millrace/wait/step.hpp>
#include <millrace/wait/stop_token.hpp>
#include <millrace/wait/suspension.hpp>
#include <millrace/wait/thread_waiter.hpp>
#include <millrace/wait/trampoline.hpp>

namespace millrace {

namespace detail {

template <class Step, class Modifiers>
class operation_awaiter;
struct operation_access;
template <class Step, class Modifiers, class F>
class started_operation;

}  // namespace detail

/// Something to be done that may have to wait: nothing happens until it is run, once, in one way:
///
///   co_await q.pop()            suspends the coroutine (a stored one: co_await std::move(op))
///   q.pop().wait()              blocks the thread
///   q.pop().start(callback)     calls callback(result) once it has completed
///
/// and before that, in any order: .on(executor), .with(stop token), .within(duration), .until(time).
///
/// Threads     one thread runs it; whatever completes it may be on any other.
/// Progress    one that can complete at once costs what the bare try_ call costs.
/// Resumption  first match: the executor given to on(); that of the awaiting coroutine's promise
///             (promise_env); the one whose work the waking thread is running; else the waking
///             thread itself, once it is inside no coroutine. Never inside another coroutine's
///             operation, never under a lock, never by recursion.
/// Errors      none of its own: how it ended is in the result, `cancelled` and `timeout` included. What
///             ends it first decides: a message that was delivered is never lost to a stop or a deadline.
/// Complexity  no allocation, but for start() where it must wait: one.
/// Lifetime    what it works on outlives it. One that was never run destroys what it holds. A parked
///             one may be destroyed with its coroutine's frame as long as nothing completes it at
///             the same time: that takes it back, and no message is lost.
template <class Step, class Modifiers = detail::unmodified<typename Step::traits>>
class [[nodiscard(
    "millrace: an operation does nothing until it is run: co_await it, or call .wait() "
    "or .start(callback)")]] operation {
  static_assert(detail::step<Step>);
  using traits = typename Step::traits;
  using token_type = typename Modifiers::token_type;
  using modified = detail::modified<token_type>;

 public:
  using result_type = typename Step::result_type;

  template <class... Args>
    requires std::constructible_from<Step, Args...>
  explicit operation(std::in_place_type_t<Step>, Args&&... args) noexcept
      : step_(std::forward<Args>(args)...) {}

  operation(operation&&) noexcept = default;
  operation& operator=(operation&&) = delete;

  /// Where to resume or to call back if it has to wait. The executor outlives the operation.
  operation<Step, modified> on(executor_ref home) && noexcept {
    modified m = copied();
    m.home = home;
    return {std::move(step_), m};
  }

  /// Ends it `cancelled` once a stop is requested; where one was requested before it runs, nothing is
  /// done at all. Instead of the token that a task has from its awaiter; an empty one shields from that.
  operation<Step, detail::modified<basic_stop_token<traits>>> with(
      basic_stop_token<traits> token) && noexcept {
    return {std::move(step_), copied().with(token)};
  }
  /// As above, for std::stop_token and others of that kind.
  template <stoppable_token Token>
    requires(!std::convertible_to<Token, basic_stop_token<typename Step::traits>>)
  operation<Step, detail::modified<Token>> with(Token token) && noexcept {
    return {std::move(step_), copied().with(token)};
  }

  /// Ends it `timeout` if it has not completed so long after it was run; where that is not positive, it
  /// tries once.
  template <class Rep, class Period>
  operation<Step, modified> within(std::chrono::duration<Rep, Period> span) && noexcept {
    return {std::move(step_), copied().within(span)};
  }
  /// As within(), at a time of any clock, which is read once, here.
  template <class Clock, class Duration>
  operation<Step, modified> until(std::chrono::time_point<Clock, Duration> time) && noexcept {
    return {std::move(step_), copied().until(time)};
  }

  detail::operation_awaiter<Step, Modifiers> operator co_await() && noexcept {
    return detail::operation_awaiter<Step, Modifiers>(*this);
  }

  template <class Lvalue = Step>
  auto operator co_await() & {  // auto: so that no error comes before this one
    static_assert(!std::same_as<Lvalue, Step>,
                  "millrace: an operation runs once, so a stored one is given away: "
                  "co_await std::move(operation)");
  }

  /// Blocks the calling thread until it has completed. Not inside a coroutine or other work of an
  /// executor: what it waits for may be queued behind it on this thread (checked in debug builds).
  result_type wait() && noexcept(noexcept(std::declval<Step&>().take_result())) {
    if (modifiers_.token.stop_requested()) {
      step_.refuse(op_status::cancelled);
    } else if (!step_.attempt_fast()) {
      block();
    }
    return step_.take_result();
  }

  /// Calls callback(result) once it has completed: before start() returns where it completes at
  /// once, else as a coroutine would be resumed. The callback must not throw.
  /// Errors: std::bad_alloc, with nothing done, where it would have to wait.
  template <class F>
    requires std::invocable<F&, result_type>
  void start(F callback) && {
    using started = detail::started_operation<Step, Modifiers, F>;
    if (modifiers_.token.stop_requested()) {
      step_.refuse(op_status::cancelled);
      started::call(callback, step_.take_result());
    } else if (step_.attempt_fast() || step_.attempt()) {
      started::call(callback, step_.take_result());
    } else {
      (new started(std::move(*this), std::move(callback)))->begin();
    }
  }

 private:
  template <class, class>
  friend class operation;
  friend detail::operation_awaiter<Step, Modifiers>;
  friend struct detail::operation_access;
  template <class, class, class>
  friend class detail::started_operation;

  operation(Step&& step, const Modifiers& modifiers) noexcept
      : step_(std::move(step)), modifiers_(modifiers) {}

  modified copied() const noexcept {
    if constexpr (std::same_as<Modifiers, modified>) {
      return modifiers_;
    } else {
      return {};
    }
  }

  MILLRACE_NOINLINE void block() noexcept {
    detail::thread_waiter<detail::suspension<Step, token_type, false>, traits> sleeper(step_);
    const auto end = modifiers_.deadline(nullptr);
    if (!sleeper.sleep({modifiers_.token, nullptr, end, nullptr})) return;
    assert(!detail::trampoline<traits>::active() &&
           "millrace: .wait() inside a coroutine, or other work of an executor, can wait for what is "
           "queued behind it on this thread; co_await instead");
    do {
      if (end == std::chrono::steady_clock::time_point::max()) {
        sleeper.block();
      } else if (!sleeper.block_until(end)) {
        sleeper.end(op_status::timeout);
        sleeper.block();  // whoever ended it wakes us, also if that was this thread
      }
    } while (sleeper.sleeps_on());
  }

  Step step_;
  [[no_unique_address]] Modifiers modifiers_;
  bool is_stopped_ = false;    // the awaiting task was told to stop before this was run
  bool is_turn_over_ = false;  // the awaiting task has done so much without a pause that others go first
  // Its awaiter's:
  bool has_sleeper_ = false;
  bool is_parked_ = false;
  bool has_completed_ = false;  // but others have their turn before it resumes
};

namespace detail {

/// For waiters of our own that are neither coroutine, nor thread, nor single callback; and for promises.
struct operation_access {
  template <class Step, class Modifiers>
  static Step take_step(operation<Step, Modifiers>&& op) noexcept {
    return std::move(op.step_);
  }
  /// Runs it, where that needs no waiting and wakes nobody. False: nothing has happened.
  template <class Step, class Modifiers>
  MILLRACE_ALWAYS_INLINE static bool attempt_fast(operation<Step, Modifiers>&& op) noexcept {
    return op.step_.attempt_fast();
  }
  /// The same, also where it wakes somebody. Inside a coroutine that a trampoline runs.
  template <class Step, class Modifiers>
  MILLRACE_ALWAYS_INLINE static bool attempt_now(operation<Step, Modifiers>& op) noexcept {
    return op.step_.attempt_fast() || (sees_partner(op.step_) && op.step_.attempt());
  }
  /// As op.with(token), for the token that the slot is attached to.
  template <class Step>
    requires std::same_as<typename Step::traits, default_traits>
  static auto with_slot(operation<Step>&& op, stop_token token, stop_slot<default_traits>& slot) noexcept {
    return operation<Step, slotted<typename Step::traits>>(std::move(op.step_), {{}, token, &slot});
  }
  template <class Step, class Modifiers>
  static auto take_result(operation<Step, Modifiers>& op) noexcept {
    return op.step_.take_result();
  }
  /// What the promise of the awaiting coroutine knows before the operation runs.
  template <class Step, class Modifiers>
  MILLRACE_ALWAYS_INLINE static void prepare(operation<Step, Modifiers>& op, stop_token ambient,
                                             bool is_turn_over) noexcept {
    op.is_stopped_ = ambient.stop_requested();
    op.is_turn_over_ = is_turn_over;
  }
};

template <class Step>
constexpr bool ignores_ambient_stop = requires { requires Step::ignores_ambient_stop; };

/// Makes the coroutine wait. Never copied: a copy would be the one that is woken (g++ 12 makes such
/// copies of lvalue awaiters).
template <class Step, class Modifiers>
class operation_awaiter {
  using token_type = typename Modifiers::token_type;
  using traits = typename Step::traits;

  struct sleeper : suspension<Step, token_type, Modifiers::is_timed> {
    explicit sleeper(Step& step) noexcept : suspension<Step, token_type, Modifiers::is_timed>(step) {}
    std::coroutine_handle<> coroutine;
  };
  using rivals_type = typename sleeper::rivals_type;

 public:
  explicit operation_awaiter(operation<Step, Modifiers>& op) noexcept : op_(op) {}
  operation_awaiter(operation_awaiter&&) = delete;
  MILLRACE_ALWAYS_INLINE ~operation_awaiter() {
    if (op_.has_sleeper_) end_sleeper();
  }

  MILLRACE_ALWAYS_INLINE bool await_ready() noexcept {
    if (is_stopped()) {
      op_.step_.refuse(op_status::cancelled);
      return true;
    }
    if (!op_.step_.attempt_fast() && !(sees_partner(op_.step_) && meets_partner())) return false;
    op_.has_completed_ = op_.is_turn_over_;
    return !op_.is_turn_over_;
  }

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    if constexpr (requires { coroutine.promise().sleeps(); }) coroutine.promise().sleeps();
    ::new (static_cast<void*>(std::addressof(sleeper_))) sleeper(op_.step_);
    op_.has_sleeper_ = true;
    const Modifiers& asked = op_.modifiers_;
    const environment env = promise_env<Promise>::get(coroutine.promise());
    sleeper_.home = asked.home ? asked.home : env.executor;
    if constexpr (std::same_as<rivals_type, rivals<stop_token, default_traits>> &&
                  !ignores_ambient_stop<Step>) {
      if (!asked.has_token) return suspend(coroutine, env.token, slot_of(coroutine.promise()));
    }
    return suspend(coroutine, asked.token, asked.slot);
  }

  typename Step::result_type await_resume() noexcept(noexcept(std::declval<Step&>().take_result())) {
    op_.is_parked_ = false;
    return op_.step_.take_result();
  }

 private:
  MILLRACE_NOINLINE void end_sleeper() noexcept {
    if (op_.is_parked_) sleeper_.abandon();
    sleeper_.~sleeper();
  }

  bool is_stopped() const noexcept {
    if (op_.modifiers_.has_token || ignores_ambient_stop<Step>) return op_.modifiers_.token.stop_requested();
    return op_.is_stopped_;
  }

  /// Where somebody waits for this operation, it will not have to: no need to make a sleeper first. Whom it
  /// wakes must not run inside it, so there has to be a loop below.
  MILLRACE_NOINLINE bool meets_partner() noexcept {
    if (!trampoline<traits>::active()) return false;
    return op_.step_.attempt();
  }

  // Not inlined into the coroutine: its locals must not end up in the frame, which may be gone.
  MILLRACE_NOINLINE bool suspend(std::coroutine_handle<> coroutine, token_type token,
                                 stop_slot<traits>* slot) noexcept {
    sleeper_.coroutine = coroutine;
    sleeper_.run = &resume;
    rivals_type others{std::move(token), slot};
    if (trampoline<traits>::active()) return sleeps(others);
    return sleeps_alone(others);
  }

  /// Nobody below resumes coroutines on this thread yet. Whom this operation wakes must not run inside it, so
  /// this coroutine goes first, then those.
  MILLRACE_NOINLINE bool sleeps_alone(rivals_type& others) noexcept {
    const std::coroutine_handle<> coroutine = sleeper_.coroutine;
    trampoline<traits> bottom;
    if (sleeps(others)) {
      bottom.run();
    } else {
      bottom.run(coroutine);
    }
    return true;  // *this may be gone
  }

  /// False: the coroutine goes on. True: *this may be gone.
  bool sleeps(rivals_type& others) noexcept {
    if (!op_.has_completed_) {
      const bool is_turn_over = op_.is_turn_over_;
      if constexpr (Modifiers::is_timed) {
        sleeper_.limit(others, op_.modifiers_);
      }
      op_.is_parked_ = true;
      if (sleeper_.sleep(others)) return true;
      op_.is_parked_ = false;
      if (!is_turn_over) return false;
    }
    sleeper_.run = &go_on;
    dispatch(static_cast<waiter<traits>&>(sleeper_));  // others first
    return true;
  }

  static void resume(work_item* item) noexcept {
    if (!static_cast<sleeper*>(item)->sleeps_on()) go_on(item);
  }
  static void go_on(work_item* item) noexcept {
    auto* const self = static_cast<sleeper*>(item);
    self->probe.read();
    const executor_ref home = self->home;
    trampoline<traits>::enter(self->coroutine, home);
  }

  operation<Step, Modifiers>& op_;
  union {
    sleeper sleeper_;  // made where it suspends: one that need not pays nothing for it
  };
};

/// An operation that a callback waits for: frees itself after the call.
template <class Step, class Modifiers, class F>
class started_operation : suspension<Step, typename Modifiers::token_type, Modifiers::is_timed> {
  using base = suspension<Step, typename Modifiers::token_type, Modifiers::is_timed>;

 public:
  started_operation(operation<Step, Modifiers>&& op, F&& callback)
      : base(operation_.step_), operation_(std::move(op)), callback_(std::move(callback)) {
    this->home = operation_.modifiers_.home;
    this->run = &complete;
  }

  void begin() noexcept {
    const Modifiers& asked = operation_.modifiers_;
    typename base::rivals_type others{asked.token};
    this->limit(others, asked);
    if (!this->sleep(others)) complete(this);
  }

  static void call(F& callback, typename Step::result_type&& result) noexcept { callback(std::move(result)); }

 private:
  static void complete(work_item* item) noexcept {
    auto* const self = static_cast<started_operation*>(item);
    if (self->sleeps_on()) return;
    self->probe.read();
    call(self->callback_, self->operation_.step_.take_result());
    delete self;
  }

  operation<Step, Modifiers> operation_;
  F callback_;
};

}  // namespace detail

}  // namespace millrace
