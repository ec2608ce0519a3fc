// SPDX-License-Identifier: BSL-1.0
#pragma once

// The ends of queues that can be waited for: who is woken, or hears that one is closed, may destroy it, and
// its waiter, under whoever told him.

#include <coroutine>
#include <exception>

#include <support/model.hpp>

#include <millrace/queue/pop_result.hpp>
#include <millrace/queue/push_result.hpp>
#include <millrace/wait/operation.hpp>

namespace millrace::model {

/// What the other scenarios share: a queue that holds `filled` messages (ids from 0) when they start.
template <class Queue, class Derived, int Threads>
struct with_queue : scenario<Derived, Threads> {
  box<Queue> queue;
  bool destroyed = false;

  void fill(std::size_t capacity, int filled) {
    queue.make(capacity);
    for (int id = 0; id < filled; ++id) RL_ASSERT(queue->try_push(message(id)) == op_status::ok);
  }
  void destroy() {
    queue.destroy();
    destroyed = true;
  }
  void after() {
    if (!destroyed) queue.destroy();
    RL_ASSERT(message::alive == 0);
  }
};

/// Waiters are served in the order in which they came: a popper that slept before the other began gets
/// the earlier message; the message of such a pusher comes out first.
template <class Queue, bool Pushers>
struct served_in_order : with_queue<Queue, served_in_order<Queue, Pushers>, 3> {
  int now = 0;
  int began_at[2] = {0, 0};
  int parked_at[2] = {0, 0};
  int got[2] = {-1, -1};  // when each message came out, or what each popper got

  void before() { this->fill(2, Pushers ? 2 : 0); }
  void thread(unsigned index) {
    if (index < 2) {
      began_at[index] = ++now;
      if constexpr (Pushers) {
        auto step = detail::operation_access::take_step(this->queue->push(message(static_cast<int>(index))));
        complete(step, index);
        RL_ASSERT(step.take_result());
      } else {
        auto step = detail::operation_access::take_step(this->queue->pop());
        complete(step, index);
        got[index] = step.take_result()->id();
      }
      return;
    }
    if constexpr (Pushers) {
      for (int n = 0; n < 4; ++n) {
        const int id = this->queue->pop().wait()->id();
        if (n >= 2) got[id] = n;
      }
    } else {
      for (int id : {0, 1}) RL_ASSERT(this->queue->push(message(id)).wait());
    }
  }
  template <class Step>
  void complete(Step& step, unsigned index) {
    sleeper<model_traits> w;
    if (step.attempt_fast() || !parks(step, w)) return;
    parked_at[index] = ++now;
    w.block();
  }
  void after() {
    for (int a : {0, 1}) {
      if (parked_at[a] != 0 && parked_at[a] < began_at[1 - a]) RL_ASSERT(got[a] < got[1 - a]);
    }
    this->with_queue<Queue, served_in_order, 3>::after();
  }
};

/// The receiver of the last message destroys the queue while the push that brought it returns.
template <class Queue, bool Waits>
struct destroyed_by_receiver : with_queue<Queue, destroyed_by_receiver<Queue, Waits>, 2> {
  void before() { this->fill(1, 0); }
  void thread(unsigned index) {
    if (index == 1) {
      if (Waits) {
        RL_ASSERT(this->queue->push(message(0)).wait());
      } else {
        RL_ASSERT(this->queue->try_push(message(0)) == op_status::ok);
      }
    } else {
      RL_ASSERT(this->queue->pop().wait()->id() == 0);
      this->destroy();
    }
  }
};

/// A pusher that was woken, and its message with it, destroys the queue while the pop returns.
template <class Queue>
struct destroyed_by_pusher : with_queue<Queue, destroyed_by_pusher<Queue>, 2> {
  void before() { this->fill(1, 1); }
  void thread(unsigned index) {
    if (index == 0) {
      RL_ASSERT(this->queue->push(message(1)).wait());
      this->destroy();
    } else {
      RL_ASSERT(this->queue->pop().wait()->id() == 0);
    }
  }
};

/// A coroutine, or a callback, that waits for the last message destroys the queue, and with its end its
/// waiter, while the push that brought it returns.
template <class Queue, bool Coroutine>
struct destroyed_by_resumed : with_queue<Queue, destroyed_by_resumed<Queue, Coroutine>, 2> {
  struct coroutine {
    struct promise_type {
      coroutine get_return_object() { return {}; }
      std::suspend_never initial_suspend() noexcept { return {}; }
      std::suspend_never final_suspend() noexcept { return {}; }
      void return_void() {}
      void unhandled_exception() { std::terminate(); }
    };
  };
  probe before_push;

  static coroutine consume(destroyed_by_resumed& self) {
    const auto m = co_await self.queue->pop();
    self.received(m);
  }
  void received(const pop_result<message>& m) {
    RL_ASSERT(m->id() == 0);
    before_push.read();
    this->destroy();
  }

  void before() { this->fill(1, 0); }
  void thread(unsigned index) {
    if (index == 1) {
      before_push.write();
      RL_ASSERT(this->queue->try_push(message(0)) == op_status::ok);
    } else if constexpr (Coroutine) {
      consume(*this);
    } else {
      this->queue->pop().start([this](const pop_result<message>& m) { received(m); });
    }
  }
  void after() {
    RL_ASSERT(this->destroyed);
    this->with_queue<Queue, destroyed_by_resumed, 2>::after();
  }
};

/// Whoever hears that the queue is closed, asleep or not, sees what the closer did before, and may
/// destroy the queue while the close returns.
enum class hears { pop, push, drained, is_closed };

template <class Queue, hears Who>
struct destroyed_when_closed : with_queue<Queue, destroyed_when_closed<Queue, Who>, 2> {
  probe before_close;

  void before() { this->fill(1, Who == hears::push ? 1 : 0); }
  void thread(unsigned index) {
    if (index == 1) {
      before_close.write();
      this->queue->close();
      return;
    }
    if constexpr (Who == hears::pop) {
      RL_ASSERT(this->queue->pop().wait().status() == op_status::closed);
    } else if constexpr (Who == hears::push) {
      RL_ASSERT(this->queue->push(message(1)).wait().status() == op_status::closed);
    } else if constexpr (Who == hears::drained) {
      RL_ASSERT(this->queue->drained().wait() == op_status::ok);
    } else {
      while (!this->queue->is_closed()) model_traits::yield();
    }
    before_close.read();
    this->destroy();
  }
};

/// The last message is taken while the queue closes: drained() then destroys it under the close.
template <class Queue>
struct destroyed_when_drained : with_queue<Queue, destroyed_when_drained<Queue>, 3> {
  bool popped = false;

  void before() { this->fill(1, 1); }
  void thread(unsigned index) {
    if (index == 0) {
      RL_ASSERT(this->queue->drained().wait() == op_status::ok);
      while (!popped) model_traits::yield();  // the pop is over; the close may not be
      this->destroy();
    } else if (index == 1) {
      RL_ASSERT(this->queue->pop().wait()->id() == 0);
      popped = true;
    } else {
      this->queue->close();
    }
  }
};

/// The pop of the last message wakes a drained(), which destroys the queue while the pop returns.
template <class Queue>
struct destroyed_by_drainer : with_queue<Queue, destroyed_by_drainer<Queue>, 2> {
  bool parked = false;

  void before() { this->fill(1, 1); }
  void thread(unsigned index) {
    if (index == 0) {
      auto step = detail::operation_access::take_step(this->queue->drained());
      sleeper<model_traits> w;
      RL_ASSERT(parks(step, w));
      parked = true;
      w.block();
      RL_ASSERT(step.take_result() == op_status::ok);
      this->destroy();
    } else {
      while (!parked) model_traits::yield();
      this->queue->close();
      RL_ASSERT(this->queue->pop().wait()->id() == 0);
    }
  }
};

/// The destructor closes: who sleeps is woken, even behind messages that nobody takes.
template <class Queue>
struct destroyed_over_sleepers : with_queue<Queue, destroyed_over_sleepers<Queue>, 3> {
  static inline bool closed_before;
  int asleep = 0;

  void before() { this->fill(1, 1); }
  template <class Operation>
  auto wait(Operation&& op) {
    auto step = detail::operation_access::take_step(std::move(op));
    sleeper<model_traits> w;
    while (!step.park(w)) model_traits::yield();  // the other one has locked an end
    ++asleep;
    w.block();
    RL_ASSERT(!step.withdraw(w));  // touches the queue no more
    return step.take_result();
  }
  void thread(unsigned index) {
    if (index == 0) {
      RL_ASSERT(wait(this->queue->push(message(1))).status() == op_status::closed);
    } else if (index == 1) {
      RL_ASSERT(wait(this->queue->drained()) == op_status::closed);
    } else {
      while (asleep < 2) model_traits::yield();
      if (closed_before) this->queue->close();
      this->destroy();
    }
  }
};

/// The ends that a queue has with one producer and one consumer.
template <class Queue>
void check_ends() {
  check<destroyed_by_receiver<Queue, false>>("the receiver destroys the queue under try_push", {3, 20000});
  check<destroyed_by_receiver<Queue, true>>("the receiver destroys the queue under push", {3, 20000});
  check<destroyed_by_pusher<Queue>>("a woken pusher destroys the queue", {3, 20000});
  check<destroyed_by_resumed<Queue, true>>("a resumed coroutine destroys the queue", {3, 20000});
  check<destroyed_by_resumed<Queue, false>>("a callback destroys the queue", {3, 20000});
  check<destroyed_when_closed<Queue, hears::pop>>("a pop hears closed, and destroys the queue", {3, 20000});
  check<destroyed_when_closed<Queue, hears::push>>("a push hears closed, and destroys the queue", {3, 20000});
  check<destroyed_when_closed<Queue, hears::is_closed>>("is_closed() hears it too", {3, 20000});
  check<destroyed_when_closed<Queue, hears::drained>>("drained() ends, and destroys the queue", {3, 20000});
  check<destroyed_when_drained<Queue>>("drained() destroys the queue after the last pop", {2, 20000});
  check<destroyed_by_drainer<Queue>>("drained() destroys the queue under the last pop", {3, 20000});
  for (bool closed_before : {false, true}) {
    destroyed_over_sleepers<Queue>::closed_before = closed_before;
    check<destroyed_over_sleepers<Queue>>("the destructor wakes who sleeps", {2, 20000});
  }
}

}  // namespace millrace::model
