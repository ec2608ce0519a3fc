// SPDX-License-Identifier: BSL-1.0
//
// Operations of rendezvous_queue, asleep and awake, under every schedule: as waiting.test.cpp, and no push
// sleeps beside a pop. And selects on both sides: none waits for itself, and those that wait for each other
// do not back out for each other for ever.

#include <model/endings.hpp>
#include <model/waiting_calls.hpp>

#include <string>

#include <millrace/queue/rendezvous_queue.hpp>
#include <millrace/wait/select.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;

using queue_type = rendezvous_queue<message, model_traits>;
using source = basic_stop_source<model_traits>;

/// A select that could serve itself does not: it waits for somebody else, or for a stop.
struct select_alone : scenario<select_alone, 2> {
  static inline int other;
  box<queue_type> queue;
  box<source> halt;
  int in = 0;
  int out = 0;

  void before() {
    queue.make();
    halt.make();
  }
  void thread(unsigned index) {
    if (index == 0) {
      auto chosen = select_biased(queue->push(message(1)), queue->pop()).with(halt->token()).wait();
      in += static_cast<bool>(chosen.get<0>());
      out += static_cast<bool>(chosen.get<1>());
      if (chosen.get<1>()) RL_ASSERT(chosen.get<1>()->id() == 2);
      return;
    }
    if (other == 0) {
      out += queue->try_pop().status() == op_status::ok;
    } else if (other == 1) {
      in += queue->try_push(message(2)) == op_status::ok;
    } else if (other == 2) {
      queue->close();
    }
    halt->request_stop();
  }
  void after() {
    RL_ASSERT(in == out);
    queue.destroy();
    halt.destroy();
    RL_ASSERT(message::alive == 0);
  }
};

/// Two selects face each other over two queues without room: each serves the other, at one of them.
struct facing_selects : scenario<facing_selects, 3> {
  static inline bool third;  // a thread beside them, which may serve either
  box<queue_type, 0> x;
  box<queue_type, 1> y;
  box<source> halt;
  int in = 0;
  int out = 0;
  int ended = 0;

  void before() {
    x.make();
    y.make();
    halt.make();
  }
  template <class Selected>
  void count(Selected&& chosen, std::size_t push, const push_result<message>& pushed,
             const pop_result<message>& popped) {
    if (pushed) ++in;
    if (popped) ++out;
    RL_ASSERT(static_cast<bool>(pushed) == (chosen.index() == push) &&
              static_cast<bool>(popped) == (chosen.index() == 1 - push));
    if (++ended == 2) halt->request_stop();
  }
  void thread(unsigned index) {
    if (index == 0) {
      auto chosen = select_biased(x->push(message(1)), y->pop()).with(halt->token()).wait();
      count(chosen, 0, chosen.get<0>(), chosen.get<1>());
    } else if (index == 1) {
      auto chosen = select_biased(x->pop(), y->push(message(2))).with(halt->token()).wait();
      count(chosen, 1, chosen.get<1>(), chosen.get<0>());
    } else if (third) {
      auto m = x->pop().with(halt->token()).wait();
      if (m) ++out;
      if (++ended == 2) halt->request_stop();
    }
  }
  void after() {
    RL_ASSERT(in == out && in == 1);
    x.destroy();
    y.destroy();
    halt.destroy();
    RL_ASSERT(message::alive == 0);
  }
};

/// Three selects in a circle: each pushes where the next one pops. Two of them meet, and stop the third.
struct circle : scenario<circle, 3> {
  box<queue_type, 0> a;
  box<queue_type, 1> b;
  box<queue_type, 2> c;
  box<source> halt;
  int in = 0;
  int out = 0;

  void before() {
    a.make();
    b.make();
    c.make();
    halt.make();
  }
  void thread(unsigned index) {
    queue_type* const at[] = {&*a, &*b, &*c};
    auto chosen =
        select_biased(at[index]->push(message(0)), at[(index + 1) % 3]->pop()).with(halt->token()).wait();
    in += static_cast<bool>(chosen.get<0>());
    out += static_cast<bool>(chosen.get<1>());
    if (in + out == 2) halt->request_stop();
  }
  void after() {
    RL_ASSERT(in == 1 && out == 1);
    a.destroy();
    b.destroy();
    c.destroy();
    halt.destroy();
    RL_ASSERT(message::alive == 0);
  }
};

template <int Threads>
void run(const std::string& text, search depth) {
  using scenario = calls<queue_type, model_traits, Threads>;
  scenario::capacity = 0;
  scenario::filled = 0;
  scenario::what = {text.c_str(), words};
  check<scenario>(text.c_str(), depth);
}

const bool is_full = std::getenv("MILLRACE_FULL") != nullptr;
const unsigned deep = is_full ? 2 : 1;    // preemptions, of three threads
const unsigned deeper = is_full ? 3 : 2;  // of two

}  // namespace

int main() {
  check<destroys<queue_type, hears::message>>("a receiver destroys the queue", {deeper, 2000});
  check<destroys<queue_type, hears::taken>>("a pusher destroys the queue", {deeper, 2000});
  check<destroys<queue_type, hears::closed_pop>>("a pop hears closed, and destroys the queue",
                                                 {deeper, 2000});
  check<destroys<queue_type, hears::closed_push>>("a push hears closed, and destroys the queue",
                                                  {deeper, 2000});
  check<destroys<queue_type, hears::drained>>("drained() ends, and destroys the queue", {deeper, 2000});
  check<destroys<queue_type, hears::is_closed>>("is_closed() hears it too", {deeper, 2000});
  for (int other = 0; other < 4; ++other) {
    select_alone::other = other;
    check<select_alone>("a select does not serve itself", {deeper, 2000});
  }
  for (const bool third : {false, true}) {
    facing_selects::third = third;
    check<facing_selects>("two selects that face each other", {third ? deep : deeper, 5000});
  }
  check<circle>("three selects in a circle", {deep, 5000});
  check<stopped<queue_type, ends_pop::push>>("pop | push | stop", {deeper, 2000});
  check<stopped<queue_type, ends_pop::close>>("pop | close | stop", {deeper, 2000});
  check<stopped<queue_type, ends_pop::push_to_two>>("pop | pop | stop, push", {deep, 5000});
  check<destroyed_over<queue_type, false, false>>("pop | ~queue", {deeper, 2000});
  check<destroyed_over<queue_type, false, true>>("pop | ~queue | stop", {deep, 5000});
  check<destroyed_over<queue_type, true, false>>("push | ~queue", {deeper, 2000});
  check<destroyed_over<queue_type, true, true>>("push | ~queue | stop", {deep, 5000});
  for (const std::string a : words) {
    for (const std::string b : words) {
      if (a <= b && b != "close_and_drain") run<2>(a + " | " + b, {deeper, 0});
    }
  }
  run<2>("push push push | pop pop pop", {deeper, 5000});
  run<2>("push push pop | pop pop push", {deeper, 5000});
  run<3>("push | pop | close", {deep, 5000});
  run<3>("push | pop | close_and_drain", {deep, 5000});
  run<3>("push push | pop | pop", {deep, 5000});
  run<3>("push~ | push | pop", {deep, 5000});
  run<3>("pop~ | pop | push", {deep, 5000});
  run<3>("pop~ | try_push | close", {deep, 5000});
  run<3>("push~ | try_pop | close", {deep, 5000});
  run<3>("drained~ | drained | close", {deep, 5000});
  run<4>("push push | push push | pop pop | pop pop", {0, 20000});
  return result();
}
