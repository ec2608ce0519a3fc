// SPDX-License-Identifier: BSL-1.0
//
// Operations of unbounded_queue, asleep and awake, under every schedule, on segments of two cells: as
// waiting.test.cpp.

#include <model/endings.hpp>
#include <model/waiting_calls.hpp>

#include <string>

#include <millrace/queue/unbounded_queue.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;

using queue_type = unbounded_queue<message, model_traits>;

const bool is_full = std::getenv("MILLRACE_FULL") != nullptr;
const unsigned deep = is_full ? 2 : 1;    // preemptions, of three threads
const unsigned deeper = is_full ? 3 : 2;  // of two

/// The pop of the last message wakes a drained(), which destroys the queue while the pop returns. The close
/// may not have returned either.
struct destroyed_when_drained : with_end<queue_type, destroyed_when_drained, 2> {
  bool sleeps = false;

  void thread(unsigned index) {
    if (index == 0) {
      auto step = detail::operation_access::take_step(queue->drained());
      sleeper<model_traits> w;
      RL_ASSERT(parks(step, w));
      sleeps = true;
      w.block();
      RL_ASSERT(step.take_result() == op_status::ok);
      destroy();
    } else {
      RL_ASSERT(queue->try_push(message(0)) == op_status::ok);
      while (!sleeps) model_traits::yield();
      queue->close();
      RL_ASSERT(queue->pop().wait()->id() == 0);
    }
  }
};

/// The same, where drained() goes on inside the pop that wakes it.
struct destroyed_inside_the_last_pop : with_end<queue_type, destroyed_inside_the_last_pop, 2> {
  struct destroyer : detail::waiter<model_traits> {
    destroyed_inside_the_last_pop* self;
  };

  void thread(unsigned index) {
    if (index != 0) return;
    RL_ASSERT(queue->try_push(message(0)) == op_status::ok);
    auto step = detail::operation_access::take_step(queue->drained());
    destroyer w;
    w.contest = nullptr;
    w.run = [](work_item* item) noexcept {
      static_cast<destroyer&>(static_cast<detail::waiter<model_traits>&>(*item)).self->destroy();
    };
    w.self = this;
    RL_ASSERT(step.park(w));
    queue->close();
    RL_ASSERT(queue->pop().wait()->id() == 0);
    RL_ASSERT(is_gone);
  }
};

/// The destructor ends a drained(), although nobody takes the messages.
struct destroyed_over_drained : with_end<queue_type, destroyed_over_drained, 2> {
  static inline bool closed_before;
  bool sleeps = false;

  void thread(unsigned index) {
    if (index == 0) {
      auto step = detail::operation_access::take_step(queue->drained());
      sleeper<model_traits> w;
      RL_ASSERT(parks(step, w));
      sleeps = true;
      w.block();
      RL_ASSERT(!step.withdraw(w));  // touches the queue no more
      RL_ASSERT(step.take_result() == op_status::closed);
    } else {
      RL_ASSERT(queue->try_push(message(0)) == op_status::ok);
      while (!sleeps) model_traits::yield();
      if (closed_before) queue->close();
      destroy();
    }
  }
};

void ends() {
  check<destroys<queue_type, hears::message>>("a receiver destroys the queue", {deeper, 2000});
  check<destroys<queue_type, hears::closed_pop>>("a pop hears closed, and destroys the queue",
                                                 {deeper, 2000});
  check<destroys<queue_type, hears::drained>>("drained() ends, and destroys the queue", {deeper, 2000});
  check<destroys<queue_type, hears::is_closed>>("is_closed() hears it too", {deeper, 2000});
  check<destroyed_when_drained>("drained() destroys the queue under the last pop", {deeper, 2000});
  check<destroyed_inside_the_last_pop>("drained() destroys the queue inside the last pop", {1, 0});
  for (const bool closed_before : {false, true}) {
    destroyed_over_drained::closed_before = closed_before;
    check<destroyed_over_drained>("the destructor ends drained()", {deeper, 2000});
  }
  check<stopped<queue_type, ends_pop::push>>("pop | push | stop", {deep, 2000});
  check<stopped<queue_type, ends_pop::close>>("pop | close | stop", {deep, 2000});
  check<stopped<queue_type, ends_pop::push_to_two>>("pop | pop | stop, push", {deep, 2000});
  check<destroyed_over<queue_type, false, false>>("pop | ~queue", {deeper, 2000});
  check<destroyed_over<queue_type, false, true>>("pop | ~queue | stop", {deep, 2000});
}

template <int Threads>
void run(const std::string& text, int filled, search depth) {
  using scenario = calls<queue_type, model_traits, Threads>;
  scenario::filled = filled;
  scenario::what = {text.c_str(), words};
  check<scenario>((text + ", " + std::to_string(filled)).c_str(), depth);
}

/// Every call beside every other.
void pairs() {
  for (const int filled : {0, 1, 2}) {
    for (const std::string a : words) {
      for (const std::string b : words) {
        if (a <= b && b != "close_and_drain") run<2>(a + " | " + b, filled, {deeper, 0});
      }
    }
  }
}

void scripts() {
  run<2>("push push push | pop pop pop", 0, {deeper, 5000});
  run<2>("push push push push | pop pop pop pop", 1, {deeper, 5000});
  run<2>("push push | close_and_drain", 1, {deeper, 5000});
  run<2>("try_pop | close try_pop", 1, {deeper, 5000});
  run<3>("push | pop | close", 0, {deep, 5000});
  run<3>("push | pop | close", 1, {deep, 5000});
  run<3>("push push | pop pop | close", 1, {deep, 5000});
  run<3>("pop | pop | close", 0, {deep, 5000});
  run<3>("pop | pop | push push", 0, {deep, 5000});
  run<3>("pop~ | pop | push push", 0, {deep, 5000});
  run<3>("pop~ | pop~ | push", 0, {deep, 5000});
  run<3>("drained | pop | close", 1, {deep, 5000});
  run<3>("drained | pop pop | close", 2, {deep, 5000});
  run<3>("drained | pop pop pop | close", 3, {deep, 5000});
  run<3>("drained | push pop | close", 0, {deep, 5000});
  run<3>("drained~ | pop | close", 1, {deep, 5000});
  run<3>("drained~ | drained | close", 0, {deep, 5000});
  run<3>("push | push | close_and_drain", 0, {deep, 5000});
  run<4>("push push | push push | pop pop | pop pop", 0, {0, 20000});
  run<4>("push | drained | pop pop | close", 1, {0, 20000});
}

}  // namespace

int main() {
  ends();
  pairs();
  scripts();
  return result();
}
