// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <millrace/callback/subscription.hpp>
#include <millrace/detail/atomic.hpp>
#include <millrace/detail/spin_lock.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/operation.hpp>
#include <millrace/wait/trampoline.hpp>
#include <millrace/wait/waiter.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace {

struct on_message_options {
  std::size_t concurrency = 1;  ///< how many calls of the callback may run at the same time
};

namespace detail {

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

  message_subscription(Queue& queue, executor_ref home, F callback, std::size_t concurrency)
      : queue_(queue),
        home_(home),
        callback_(std::in_place, std::move(callback)),
        concurrency_(concurrency),
        agents_(new agent[concurrency]) {}

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
  using step_type = decltype(operation_access::take_step(std::declval<Queue&>().pop()));

  struct agent : waiter<traits> {
    message_subscription* owner = nullptr;
    spin_lock<traits> lock;
    bool parked = false;            // guarded by lock
    std::optional<step_type> step;  // its own, and under lock while parked

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
      (*callback_)(*std::move(message));
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

}  // namespace detail

/// Consumes a queue with a callback: f(message) is called on `home` for each message that this
/// competing consumer takes, by at most `concurrency` threads at a time.
///
/// Threads     f is called by the executor's threads.
/// Ordering    with concurrency 1, in the order of the queue.
/// Errors      std::invalid_argument on concurrency 0; std::bad_alloc. f must not throw: that ends the
///             program.
/// Complexity  as pop, and no allocation for a message. After 64 messages in a row the executor's
///             other work has its turn.
/// Lifetime    the executor outlives the subscription. The queue is destroyed when no callback runs and
///             no disconnect() is in progress; the subscription may go later. f is destroyed once no call of it
///             can come any more.
template <class Queue, executor E, class F>
  requires std::invocable<F&, typename Queue::value_type&&>
subscription on_message(Queue& queue, E& home, F f, on_message_options options = {}) {
  if (options.concurrency == 0) {
    throw std::invalid_argument("millrace: on_message with concurrency 0 would never call back");
  }
  using state = detail::message_subscription<Queue, F>;
  auto* const shared = new state(queue, executor_ref(home), std::move(f), options.concurrency);
  subscription s(shared);
  shared->start();
  return s;
}

}  // namespace millrace
