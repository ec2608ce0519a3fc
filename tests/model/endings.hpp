// SPDX-License-Identifier: BSL-1.0
#pragma once

// Scenarios for a queue that can be waited for: how sleeps end, and how the queue does.

#include <support/model.hpp>

#include <millrace/queue/pop_result.hpp>
#include <millrace/queue/push_result.hpp>
#include <millrace/wait/operation.hpp>

namespace millrace::model {

/// An empty queue, and a stop source.
template <class Queue, class Derived, int Threads>
struct with_end : scenario<Derived, Threads> {
  box<Queue> queue;
  box<basic_stop_source<model_traits>> halt;
  bool is_gone = false;

  void before() {
    queue.make();
    halt.make();
  }
  void destroy() {
    queue.destroy();
    is_gone = true;
  }
  void after() {
    if (!is_gone) queue.destroy();
    halt.destroy();
    RL_ASSERT(message::alive == 0);
  }
};

/// Who was served, or hears that the queue is closed, sees what the other one did before, and destroys the
/// queue while that one's call returns.
enum class hears { message, taken, closed_pop, closed_push, drained, is_closed };

template <class Queue, hears Who>
struct destroys : with_end<Queue, destroys<Queue, Who>, 2> {
  probe earlier;

  void thread(unsigned index) {
    if (index == 1) {
      earlier.write();
      if (Who == hears::message) {
        RL_ASSERT(this->queue->push(message(1)).wait());
      } else if (Who == hears::taken) {
        RL_ASSERT(this->queue->pop().wait()->id() == 1);
      } else {
        RL_ASSERT(this->queue->close());
      }
      return;
    }
    if (Who == hears::message) {
      RL_ASSERT(this->queue->pop().wait()->id() == 1);
    } else if (Who == hears::taken) {
      RL_ASSERT(this->queue->push(message(1)).wait());
    } else if (Who == hears::closed_pop) {
      RL_ASSERT(this->queue->pop().wait().status() == op_status::closed);
    } else if (Who == hears::closed_push) {
      RL_ASSERT(this->queue->push(message(1)).wait().status() == op_status::closed);
    } else if (Who == hears::drained) {
      RL_ASSERT(this->queue->drained().wait() == op_status::ok);
    } else {
      while (!this->queue->is_closed()) model_traits::yield();
    }
    earlier.read();
    this->destroy();
  }
};

/// A pop that a push, a close and a stop want to end; or of two, one is stopped: the message is the other's.
enum class ends_pop { push, close, push_to_two };

template <class Queue, ends_pop How>
struct stopped : with_end<Queue, stopped<Queue, How>, 3> {
  int in = 0;
  int out = 0;

  void thread(unsigned index) {
    if (index == 0) {
      const pop_result<message> m = this->queue->pop().with(this->halt->token()).wait();
      took(m);
      if (!m) {
        RL_ASSERT(m.status() == op_status::cancelled ||
                  (How == ends_pop::close && m.status() == op_status::closed));
      } else if (How == ends_pop::push_to_two) {
        push(1);
      }
    } else if (index == 1) {
      this->halt->request_stop();
      if (How == ends_pop::push_to_two) push(0);
    } else if (How == ends_pop::push_to_two) {
      took(this->queue->pop().wait());
    } else if (How == ends_pop::push) {
      in += this->queue->try_push(message(0)) == op_status::ok;
    } else {
      RL_ASSERT(this->queue->close());
    }
  }
  void push(int id) { in += this->queue->push(message(id)).wait().status() == op_status::ok; }
  void took(const pop_result<message>& m) { out += static_cast<bool>(m); }
  void after() {
    while (this->queue->try_pop()) ++out;
    RL_ASSERT(in == out);
    if (How != ends_pop::close) nobody_sleeps();
    this->with_end<Queue, stopped, 3>::after();
  }
  /// Else this push would be handed to him.
  void nobody_sleeps() {
    const bool is_in = this->queue->try_push(message(9)) == op_status::ok;
    RL_ASSERT(static_cast<bool>(this->queue->try_pop()) == is_in);
  }
};

/// The queue is destroyed over a pop or a push that sleeps; and a stop may come.
template <class Queue, bool Pushes, bool Stops>
struct destroyed_over : with_end<Queue, destroyed_over<Queue, Pushes, Stops>, Stops ? 3 : 2> {
  bool sleeps = false;

  void thread(unsigned index) {
    if (index == 0) {
      // The step by hand: nobody may begin an operation while the queue goes.
      if constexpr (Pushes) {
        auto r = wait(this->queue->push(message(1)));
        RL_ASSERT(!r && r.value().id() == 1);
      } else {
        RL_ASSERT(!wait(this->queue->pop()));
      }
      return;
    }
    while (!sleeps) model_traits::yield();
    if (index == 1) {
      this->destroy();
    } else {
      this->halt->request_stop();
    }
  }
  template <class Operation>
  auto wait(Operation&& op) {
    auto step = detail::operation_access::take_step(std::move(op));
    using step_type = decltype(step);
    detail::thread_waiter<detail::suspension<step_type, basic_stop_token<model_traits>, false>, model_traits>
        w(step);
    const bool must_block = w.sleep({this->halt->token()});
    sleeps = true;
    if (must_block) {
      w.block();
      RL_ASSERT(!step.withdraw(w));  // touches the queue no more
    }
    return step.take_result();
  }
};

}  // namespace millrace::model
