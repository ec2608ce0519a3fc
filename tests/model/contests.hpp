// SPDX-License-Identifier: BSL-1.0
#pragma once

// Sleeps at queues that several things may end: a delivery, a close, a stop, another queue, the end of a
// queue.

#include <iterator>

#include <model/waiting_calls.hpp>

#include <millrace/wait/select.hpp>

namespace millrace::model {

/// Two queues and a stop source; ids from 0 count the messages that were made.
template <class Queue, class Derived, int Threads>
struct with_queues : scenario<Derived, Threads> {
  box<Queue, 0> a;
  box<Queue, 1> b;
  box<basic_stop_source<model_traits>> halt;
  bool a_is_gone = false;
  bool b_is_gone = false;
  int in = 0;   // messages that went in
  int out = 0;  // and out

  void before() {
    a.make(1u);
    b.make(1u);
    halt.make();
    static_cast<Derived*>(this)->prepare();
  }
  void prepare() {}

  bool push(Queue& to, int id) {
    message m(id);
    const op_status status = to.try_push(std::move(m));
    RL_ASSERT(status == op_status::ok || m.id() == id);
    if (status == op_status::ok) ++in;
    return status == op_status::ok;
  }
  void took(const pop_result<message>& m) {
    if (m) ++out;
  }
  /// A push that ended so.
  void gave(const push_result<message>& r, int id) {
    RL_ASSERT(r.returned() == !r);
    if (r) {
      ++in;
    } else {
      RL_ASSERT(r.value().id() == id);
    }
  }
  void destroy_a() {
    a.destroy();
    a_is_gone = true;
  }
  void destroy_b() {
    b.destroy();
    b_is_gone = true;
  }

  void drain(Queue& q) {
    while (q.try_pop()) ++out;
    RL_ASSERT(q.size_approx() == 0);
    if (q.is_closed()) return;
    // Nobody is listed any more: this push would be handed to him.
    RL_ASSERT(q.try_push(message(9)) == op_status::ok);
    RL_ASSERT(q.try_pop()->id() == 9);
  }

  void after() {
    if (!a_is_gone) drain(*a), a.destroy();
    if (!b_is_gone) drain(*b), b.destroy();
    halt.destroy();
    RL_ASSERT(in == out);
    RL_ASSERT(message::alive == 0);
  }
};

/// A pop that a push, a close and a stop want to end.
template <class Queue, bool Closes>
struct stopped_pop : with_queues<Queue, stopped_pop<Queue, Closes>, 3> {
  void thread(unsigned index) {
    if (index == 0) {
      const pop_result<message> m = this->a->pop().with(this->halt->token()).wait();
      RL_ASSERT(m || m.status() == op_status::cancelled || (Closes && m.status() == op_status::closed));
      this->took(m);
    } else if (index == 1) {
      if (Closes) {
        this->a->close();
      } else {
        this->push(*this->a, 0);
      }
    } else {
      RL_ASSERT(this->halt->request_stop());
    }
  }
};

/// A push into a full queue that a pop, a close and a stop want to end.
template <class Queue, bool Closes>
struct stopped_push : with_queues<Queue, stopped_push<Queue, Closes>, 3> {
  void prepare() { this->push(*this->a, 0); }
  void thread(unsigned index) {
    if (index == 0) {
      this->gave(this->a->push(message(1)).with(this->halt->token()).wait(), 1);
    } else if (index == 1) {
      if (Closes) {
        this->a->close();
      } else {
        const pop_result<message> m = this->a->try_pop();
        RL_ASSERT(m->id() == 0);
        this->took(m);
      }
    } else {
      this->halt->request_stop();
    }
  }
};

/// A stop that comes while the queue is destroyed.
template <class Queue, bool Pushes>
struct stopped_and_destroyed : with_queues<Queue, stopped_and_destroyed<Queue, Pushes>, 3> {
  bool sleeps = false;
  void prepare() {
    if (Pushes) this->push(*this->a, 0);
  }
  void thread(unsigned index) {
    if (index == 0) {
      // The step by hand: nobody may begin an operation while the queue goes.
      if constexpr (Pushes) {
        auto op = this->a->push(message(1)).with(this->halt->token());
        this->gave(wait(std::move(op)), 1);
      } else {
        auto op = this->a->pop().with(this->halt->token());
        RL_ASSERT(!wait(std::move(op)));
      }
    } else if (index == 1) {
      while (!sleeps) model_traits::yield();
      if (Pushes) ++this->out;  // the message that goes with the queue
      this->destroy_a();
    } else {
      while (!sleeps) model_traits::yield();
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
    if (must_block) w.block();
    return step.take_result();
  }
};

/// A select of two pops; two threads push, close or stop.
enum class does { push_a, push_b, close_a, close_b, stop, take_a, take_b };

template <class Queue, bool Pushes>
struct selects : with_queues<Queue, selects<Queue, Pushes>, 3> {
  static inline does first, second;
  static inline bool same;  // both branches at one queue

  void prepare() {
    if (!Pushes) return;
    this->push(*this->a, 5);
    this->push(*this->b, 6);
  }
  void thread(unsigned index) {
    if (index == 0) {
      Queue& other = same ? *this->a : *this->b;
      if constexpr (Pushes) {
        auto chosen =
            select_biased(this->a->push(message(1)), other.push(message(2))).with(this->halt->token()).wait();
        this->gave(chosen.template get<0>(), 1);
        this->gave(chosen.template get<1>(), 2);
        check(chosen, op_status::ok);
      } else {
        auto chosen = select_biased(this->a->pop(), other.pop()).with(this->halt->token()).wait();
        this->took(chosen.template get<0>());
        this->took(chosen.template get<1>());
        check(chosen, op_status::ok);
      }
      this->halt->request_stop();  // whoever came too late for that
    } else {
      act(index == 1 ? first : second, static_cast<int>(index));
    }
  }
  template <class Selected>
  void check(Selected& chosen, op_status) {
    const op_status said[] = {chosen.template get<0>().status(), chosen.template get<1>().status()};
    for (std::size_t i : {0u, 1u}) {
      if (i == chosen.index()) {
        RL_ASSERT(said[i] == op_status::ok || said[i] == op_status::closed);
      } else {
        RL_ASSERT(said[i] == op_status::cancelled);
      }
    }
  }
  void act(does what, int id) {
    switch (what) {
      case does::push_a:
        this->push(*this->a, id + 2);
        break;
      case does::push_b:
        this->push(*this->b, id + 2);
        break;
      case does::close_a:
        this->a->close();
        break;
      case does::close_b:
        this->b->close();
        break;
      case does::stop:
        this->halt->request_stop();
        break;
      case does::take_a:
        this->took(this->a->try_pop());
        break;
      case does::take_b:
        this->took(this->b->try_pop());
        break;
    }
  }
};

/// A select sleeps at two queues; one delivers or not, the other is destroyed.
template <class Queue, bool Delivers>
struct select_and_destroyed : with_queues<Queue, select_and_destroyed<Queue, Delivers>, 3> {
  bool sleeps = false;
  void thread(unsigned index) {
    if (index == 0) {
      auto step = detail::operation_access::take_step(select_biased(this->a->pop(), this->b->pop()));
      using step_type = decltype(step);
      detail::thread_waiter<detail::suspension<step_type, basic_stop_token<model_traits>, false>,
                            model_traits>
          w(step);
      const bool must_block = w.sleep({});
      RL_ASSERT(must_block || Delivers);
      sleeps = true;
      if (must_block) w.block();
      auto chosen = step.take_result();
      this->took(chosen.template get<0>());
      RL_ASSERT(!chosen.template get<1>());
      RL_ASSERT(chosen.index() == 1 ? chosen.template get<1>().status() == op_status::closed
                                    : static_cast<bool>(chosen.template get<0>()));
    } else if (index == 1) {
      while (!sleeps) model_traits::yield();
      this->destroy_b();
    } else if (Delivers) {
      this->push(*this->a, 0);
    }
  }
};

template <class Queue, bool Pushes>
void all_selects(const char* name) {
  const does calls[] = {Pushes ? does::take_a : does::push_a, Pushes ? does::take_b : does::push_b,
                        does::close_a, does::close_b, does::stop};
  for (bool same : {false, true}) {
    for (std::size_t i = 0; i < std::size(calls); ++i) {
      for (std::size_t k = i; k < std::size(calls); ++k) {
        using scenario = selects<Queue, Pushes>;
        scenario::first = calls[i];
        scenario::second = calls[k];
        scenario::same = same;
        const auto ends = [&](does d) {
          return d == does::stop || d == does::close_a || d == does::push_a || d == does::take_a ||
                 (!same && (d == does::close_b || d == does::push_b || d == does::take_b));
        };
        if (!ends(calls[i]) && !ends(calls[k])) continue;                       // nobody would wake it
        if (is_for_one_pair<Queue> && calls[i] == calls[k] && i < 2) continue;  // two producers, or consumers
        check<scenario>(name, {2, 2000});
      }
    }
  }
}

/// The contests that a queue has with one producer and one consumer.
template <class Queue>
void check_contests() {
  check<stopped_pop<Queue, false>>("pop | push | stop", {2, 20000});
  check<stopped_pop<Queue, true>>("pop | close | stop", {2, 20000});
  check<stopped_push<Queue, false>>("push | pop | stop", {2, 20000});
  check<stopped_push<Queue, true>>("push | close | stop", {2, 20000});
  check<stopped_and_destroyed<Queue, false>>("pop | ~queue | stop", {2, 20000});
  check<stopped_and_destroyed<Queue, true>>("push | ~queue | stop", {2, 20000});
  all_selects<Queue, false>("a select of pops");
  all_selects<Queue, true>("a select of pushes");
  check<select_and_destroyed<Queue, false>>("a select | ~queue", {2, 20000});
  check<select_and_destroyed<Queue, true>>("a select | ~queue | push", {2, 20000});
}

}  // namespace millrace::model
