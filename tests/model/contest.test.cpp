// SPDX-License-Identifier: BSL-1.0
//
// Sleeps that several things may end, a delivery, a close, a stop, another queue, the end of a queue, under
// every schedule: one of them does; a message is delivered, or back with its owner, or still in its queue;
// and what was destroyed is touched no more.

#include <model/contests.hpp>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/wait/select.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;

using queue_type = bounded_queue<message, model_traits>;
using source = basic_stop_source<model_traits>;

/// Of two sleepers, the first one is stopped: what comes is the other's.
struct stopped_before_other : with_queues<queue_type, stopped_before_other, 3> {
  void thread(unsigned index) {
    if (index == 0) {
      const pop_result<message> m = a->pop().with(halt->token()).wait();
      RL_ASSERT(!m || m->id() == 0 || m->id() == 1);
      took(m);
      halt->request_stop();  // it may not have been
      push(*a, 0);           // for the other one, if that one still waits
    } else if (index == 1) {
      took(a->pop().wait());
    } else {
      halt->request_stop();
    }
  }
};

/// Two selects over the same two queues in other orders, and one message for each.
struct two_selects : with_queues<queue_type, two_selects, 3> {
  void thread(unsigned index) {
    if (index == 2) {
      push(*a, 0);
      push(*b, 1);
      return;
    }
    if (index == 0) {
      auto chosen = select_biased(a->pop(), b->pop()).wait();
      took(chosen.get<0>());
      took(chosen.get<1>());
    } else {
      auto chosen = select_biased(b->pop(), a->pop()).wait();
      took(chosen.get<0>());
      took(chosen.get<1>());
    }
  }
  void after() {
    RL_ASSERT(out == 2);
    with_queues<queue_type, two_selects, 3>::after();
  }
};

}  // namespace

int main() {
  check_contests<queue_type>();
  check<stopped_before_other>("the message is the one's who was not stopped", {1, 20000});
  check<two_selects>("two selects, two messages", {2, 20000});
  return result();
}
