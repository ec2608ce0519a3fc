// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/callback/subscription.hpp>
#include <millrace/detail/atomic.hpp>
#include <millrace/detail/spin_lock.hpp>
#include <millrace/task/awaitable.hpp>
#include <millrace/task/detached.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/operation.hpp>
#include <millrace/wait/promise_env.hpp>
#include <millrace/wait/stop_token.hpp>
#include <millrace/wait/trampoline.hpp>
#include <millrace/wait/waiter.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace {

struct on_message_options {
  std::size_t concurrency = 1;  ///< how many calls of the callback may run at the same time
  std::size_t batch = 64;       ///< how many messages, at most, a callback is given that takes a span of them
};

namespace detail {

/// f(messages) is called with what is there.
template <class F, class T>
concept batch_callback = !std::invocable<F&, T&&> && std::invocable<F&, std::span<T>>;

/// f(message) is a coroutine's task, or anything else to be awaited.
template <class F, class T>
concept coroutine_callback = std::invocable<F&, T&&> && awaitable<std::invoke_result_t<F&, T&&>>;

/// Messages that wait for a batch_callback, or none for others.
template <class T>
class message_batch {
 public:
  explicit message_batch(std::size_t most) : most_(most) { messages_.reserve(most); }

  /// Calls f with the first message, and those that can be taken without waiting.
  template <class Queue, class F>
  void give(Queue& queue, F& f, T&& first) {
    messages_.push_back(std::move(first));
    if (most_ > 1) queue.try_pop_some(end{&messages_}, most_ - 1);
    static_cast<void>(f(std::span<T>(messages_)));
    messages_.clear();
  }

 private:
  /// Where there is room: nothing throws.
  struct end {
    std::vector<T>* to;
    end& operator*() noexcept { return *this; }
    end& operator++() noexcept { return *this; }
    end& operator=(T&& message) noexcept {
      to->push_back(std::move(message));
      return *this;
    }
  };

  const std::size_t most_;
  std::vector<T> messages_;
};

/// The consumers behind one on_message subscription.
template <class Queue, class F>
class message_subscription final : public subscription_state {
  // An agent pops on behalf of the callback, one message after the other, always on home_:
  //
  //   posted --run--> popping --message--> in the callback --> popping ...
  //   popping --nothing there--> parked in the queue --woken--> posted
  //   popping or woken --closed, or stopping_--> ended
  //   parked --disconnect() withdraws it--> ended
  //
  // An agent parks, and is withdrawn, under its lock: disconnect() finds it either parked or bound to
  // see stopping_, which it has set before it takes that lock; so the flag needs no order. A waker may post
  // the agent while that lock is still held by the parking thread, so a run begins by passing through the
  // lock. The agents hold this together; the last one closes it, destroys the callback, and lets go.
  //
  // E1  agent end -> last    all that the agents did, to who closes it.

 public:
  using traits = default_traits;

  message_subscription(Queue& queue, executor_ref home, F callback, const on_message_options& how)
      : queue_(queue),
        home_(home),
        callback_(std::in_place, std::move(callback)),
        concurrency_(how.concurrency),
        agents_(new agent[how.concurrency]) {
    if constexpr (takes_batches) {
      for (std::size_t i = 0; i < concurrency_; ++i) agents_[i].batch.emplace(how.batch);
    }
  }

  void start() noexcept {
    left_.store(concurrency_, std::memory_order_relaxed);  // relaxed: no agent runs yet
    for (std::size_t i = 0; i < concurrency_; ++i) {
      agent& a = agents_[i];
      a.owner = this;
      a.home = home_;
      a.contest = nullptr;
      a.run = &agent::resume;
      home_.post(a);
    }
  }

  void disconnect() noexcept override {
    this->retain();                                    // the callback may own the subscription
    stopping_.store(true, std::memory_order_relaxed);  // relaxed: the agents' locks carry it
    for (std::size_t i = 0; i < concurrency_; ++i) {
      agent& a = agents_[i];
      bool withdrawn = false;
      {
        const lock_guard guard(a.lock);
        withdrawn = a.parked && a.is_listed() && a.step->withdraw(a);  // else the queue may be gone
        if (withdrawn) a.parked = false;
      }
      if (withdrawn) end();
    }
    this->release();  // *this may be gone from here on
  }

  void wait() noexcept override {
    (void)operation<closed_step<traits>>(std::in_place_type<closed_step<traits>>, this).wait();
  }

 private:
  using value_type = typename Queue::value_type;
  using step_type = decltype(operation_access::take_step(std::declval<Queue&>().pop()));
  static constexpr bool takes_batches = batch_callback<F, value_type>;
  struct nothing {};

  struct agent : waiter<traits> {
    message_subscription* owner = nullptr;
    spin_lock<traits> lock;
    bool parked = false;            // guarded by lock
    std::optional<step_type> step;  // its own, and under lock while parked
    std::conditional_t<takes_batches, std::optional<message_batch<value_type>>, nothing> batch;

    static void resume(work_item* item) noexcept {
      auto& self = *static_cast<agent*>(item);
      // Whom a pop wakes runs after this agent, never inside it: it may hold its lock.
      trampoline<traits> bottom(self.home);
      self.owner->pump(self);
      bottom.run();
    }
  };

  static constexpr int budget = 64;  // messages in a row, before others have their turn

  void pump(agent& a) noexcept {
    bool woken = false;
    {
      const lock_guard guard(a.lock);
      woken = std::exchange(a.parked, false);
    }
    for (int turn = 0;; ++turn) {
      if (!woken) {
        if (stopping_.load(std::memory_order_relaxed)) {  // relaxed: looked at again under the lock
          return end();
        }
        if (turn >= budget) return home_.post(a);
        a.step.emplace(operation_access::take_step(queue_.pop()));
        while (!a.step->attempt_fast() && !a.step->attempt()) {
          const lock_guard guard(a.lock);
          if (stopping_.load(std::memory_order_relaxed)) break;  // relaxed: the lock carries it
          a.parked = true;
          if (a.step->park(a)) return;  // the guard's unlock is the last touch
          a.parked = false;
        }
      }
      woken = false;
      auto message = a.step->take_result();
      if (!message) break;
      const inside here(*this);
      if constexpr (takes_batches) {
        a.batch->give(queue_, *callback_, *std::move(message));
      } else {
        static_cast<void>((*callback_)(*std::move(message)));
      }
    }
    end();
  }

  /// One agent has ended: *this may be gone when it returns.
  void end() noexcept {
    if (left_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;  // E1 publish, E1 observe
    this->close();
    callback_.reset();
    this->release();
  }

  Queue& queue_;
  const executor_ref home_;
  std::optional<F> callback_;
  const std::size_t concurrency_;
  const std::unique_ptr<agent[]> agents_;
  traits::atomic<std::size_t> left_{0};
  traits::atomic<bool> stopping_{false};
};

/// The same where the callback is a coroutine.
template <class Queue, class F>
class coroutine_subscription final : public subscription_state {
  // A consumer pops and awaits the callback, one message after the other. disconnect() stops the pops, not the
  // callbacks. The consumers hold this together; the last one closes it and lets go.
  //
  // E2  consumer end -> last   all that the consumers did, to who closes it.

 public:
  using traits = default_traits;

  coroutine_subscription(Queue& queue, executor_ref home, F callback, const on_message_options& how)
      : queue_(queue), home_(home), callback_(std::move(callback)), left_(how.concurrency) {
    consumers_.reserve(how.concurrency);
    for (std::size_t i = 0; i < how.concurrency; ++i) consumers_.push_back(consume(*this));
  }

  void start() noexcept {
    for (detached& consumer : consumers_)
      std::move(consumer).post({.executor = home_, .token = {}}, &ended, this);
  }

  void disconnect() noexcept override { stop_.request_stop(); }
  /// Not where the callback may be queued behind the caller.
  bool can_wait() const noexcept override { return trampoline<traits>::current_executor() != home_; }
  void wait() noexcept override { this->block(); }

 private:
  static detached consume(coroutine_subscription& self) {
    while (auto message = co_await self.queue_.pop().with(self.stop_.token())) {
      co_await self.callback_(*std::move(message));
    }
  }

  /// One consumer has ended: the subscription may be gone when it returns.
  static void ended(void* of) noexcept {
    auto& self = *static_cast<coroutine_subscription*>(of);
    if (self.left_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;  // E2 publish, E2 observe
    self.close();
    self.release();
  }

  Queue& queue_;
  const executor_ref home_;
  F callback_;
  stop_source stop_;
  std::vector<detached> consumers_;
  traits::atomic<std::size_t> left_;
};

}  // namespace detail

/// Consumes a queue with a callback: f(message) is called on `home` for each message that this
/// competing consumer takes, by at most `concurrency` threads at a time. Where f takes a std::span<T> instead,
/// it is given all that is there at a time, up to `batch`, and may move from it. Where f(message) is a task, or
/// anything else that can be awaited, it is awaited before the next message.
///
/// Threads     f is called by the executor's threads.
/// Ordering    with concurrency 1, in the order of the queue.
/// Errors      std::invalid_argument on concurrency 0, or batch 0; std::bad_alloc. f must not throw: that ends
///             the program.
/// Complexity  as pop, and no allocation for a message but what f makes. After 64 calls in a row the executor's
///             other work has its turn.
/// Resumption  a coroutine that f is goes on at `home`. Disconnecting does not stop what it waits for; and what
///             waits for that (disconnect_and_wait, ~subscription) on a thread that runs home's work does not wait.
/// Lifetime    the executor outlives the subscription. The queue is destroyed when no callback runs and
///             no disconnect() is in progress; the subscription may go later. f is destroyed once no call of it
///             can come any more; one that is a coroutine, with the subscription.
template <class Queue, executor E, class F>
subscription on_message(Queue& queue, E& home, F f, on_message_options options = {}) {
  using T = typename Queue::value_type;
  static_assert(
      std::invocable<F&, T&&> || std::invocable<F&, std::span<T>>,
      "millrace: on_message(queue, executor, f): f cannot be called with the queue's messages: it takes "
      "T, T&&, const T& or std::span<T>");
  if (options.concurrency == 0) {
    throw std::invalid_argument("millrace: on_message with concurrency 0 would never call back");
  }
  if (options.batch == 0) {
    throw std::invalid_argument("millrace: on_message with batches of 0 messages would never call back");
  }
  using state = std::conditional_t<detail::coroutine_callback<F, T>, detail::coroutine_subscription<Queue, F>,
                                   detail::message_subscription<Queue, F>>;
  auto* const shared = new state(queue, executor_ref(home), std::move(f), options);
  subscription s(shared);
  shared->start();
  return s;
}

}  // namespace millrace
