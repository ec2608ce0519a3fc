// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <coroutine>
#include <exception>
#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/task/awaiting_promise.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/promise_env.hpp>
#include <millrace/wait/trampoline.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace::detail {

/// Who wants to know when a coroutine goes to sleep in an operation.
class sleep_observer {
 public:
  virtual void sleeps() noexcept = 0;

 protected:
  ~sleep_observer() = default;
};

/// A coroutine at the root of a tree of tasks: started by hand, destroys itself at its end and
/// reports it then. Its body catches what its tasks throw, and moves its parameters into locals: only
/// those are gone when the end is reported.
class detached {
 public:
  /// Called with `context` at the end, when all of the coroutine's own objects are gone. It runs on
  /// a trampoline, and may hand over to another coroutine.
  using done_function = void (*)(void* context) noexcept;

  class promise_type : public awaiting_promise, public work_item {
   public:
    promise_type() noexcept = default;
    promise_type(const promise_type&) = delete;
    // The end is reported from here, and not from a final awaiter that destroys the frame, because
    // g++ 15.2 breaks the latter.
    ~promise_type() {
      if (slot() != nullptr) slot_.detach();
      if (done_ != nullptr) done_(context_);
    }

    detached get_return_object() noexcept {
      return detached(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }

    /// Called by an operation before it suspends the coroutine.
    void sleeps() const noexcept {
      if (observer_ != nullptr) observer_->sleeps();
    }

   private:
    friend detached;

    void begin(const environment& env) noexcept {
      if (!env.token.stop_possible()) return set_env(env, nullptr);
      slot_.attach(env.token);
      set_env(env, &slot_);
    }

    stop_slot<default_traits> slot_;
    done_function done_ = nullptr;
    void* context_ = nullptr;
    sleep_observer* observer_ = nullptr;
  };

  detached(detached&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  detached& operator=(detached&&) = delete;
  ~detached() {
    if (coroutine_) coroutine_.destroy();  // never started
  }

  /// Before it is started; not for sleeps in the tasks that it awaits.
  void observe(sleep_observer& observer) noexcept { coroutine_.promise().observer_ = &observer; }

  /// Runs it on this thread until it suspends or ends.
  void start(const environment& env, done_function done, void* context) && noexcept {
    trampoline<default_traits>{}.run(release(env, done, context));
  }

  /// Starts it on its executor.
  void post(const environment& env, done_function done, void* context) && noexcept {
    promise_type& promise = release(env, done, context).promise();
    promise.run = [](work_item* item) noexcept {
      auto& p = *static_cast<promise_type*>(item);
      const executor_ref home = p.env().executor;
      trampoline<default_traits>::enter(std::coroutine_handle<promise_type>::from_promise(p), home);
    };
    env.executor.post(promise);
  }

 private:
  explicit detached(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}

  std::coroutine_handle<promise_type> release(const environment& env, done_function done,
                                              void* context) noexcept {
    promise_type& promise = coroutine_.promise();
    promise.begin(env);
    promise.done_ = done;
    promise.context_ = context;
    return std::exchange(coroutine_, nullptr);
  }

  std::coroutine_handle<promise_type> coroutine_;
};

}  // namespace millrace::detail
