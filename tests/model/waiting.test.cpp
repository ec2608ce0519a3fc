// SPDX-License-Identifier: BSL-1.0
//
// Operations of bounded_queue that sleep, under every schedule: who sleeps is woken, once; a message
// that was pushed is delivered, once, or left, or handed back; and whoever is woken may destroy the
// queue, its waiter, or both. A lost wake-up is a deadlock, which the checker reports.

#include <support/model.hpp>

#include <millrace/queue/bounded_queue.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;

/// What all scenarios share: a queue that holds `filled` messages (ids from 0) when they start.
template <class Derived, int Threads, class Traits = model_traits>
struct with_queue : scenario<Derived, Threads> {
  using queue_type = bounded_queue<message, Traits>;
  using sleeper_type = sleeper<Traits>;

  box<queue_type> queue;
  bool destroyed = false;
  journal log;
  int closes = 0;

  void fill(std::size_t capacity, int filled) {
    queue.make(capacity);
    for (int id = 0; id < filled; ++id) {
      log.began_push(id);
      RL_ASSERT(queue->try_push(message(id)) == op_status::ok);
      log.pushed(id);
    }
  }

  op_status push(int id) {
    log.began_push(id);
    push_result<message> r = queue->push(message(id)).wait();
    finish(id, r);
    return r.status();
  }
  void finish(int id, push_result<message>& r) {
    RL_ASSERT(r.returned() == !r);
    if (r) {
      log.pushed(id);
    } else {
      RL_ASSERT(r.value().id() == id);
      log.returned(id);
    }
  }

  op_status try_push(int id) {
    message m(id);
    log.began_push(id);
    const op_status status = queue->try_push(std::move(m));
    if (status == op_status::ok) {
      log.pushed(id);
    } else {
      RL_ASSERT(m.id() == id);
      log.returned(id);
    }
    return status;
  }

  /// The id, or -1.
  int pop() {
    const int began = log.now();
    return finish(queue->pop().wait(), began);
  }
  int try_pop() {
    const int began = log.now();
    return finish(queue->try_pop(), began);
  }
  int finish(const pop_result<message>& m, int began) {
    if (!m) {
      RL_ASSERT(m.status() == op_status::closed || m.status() == op_status::empty);
      return -1;
    }
    RL_ASSERT(m.status() == op_status::ok);
    const int id = m->id();
    log.popped(id, began);
    return id;
  }

  bool close() {
    const bool did = queue->close();
    RL_ASSERT(queue->is_closed());
    closes += did;
    return did;
  }

  void destroy() {
    queue.destroy();
    destroyed = true;
  }

  void after() {
    if (!destroyed) {
      while (try_pop() != -1) {
      }
      RL_ASSERT(closes == (queue->is_closed() ? 1 : 0));
      RL_ASSERT(queue->size_approx() == 0);
      destroy();
      log.check();
    }
    RL_ASSERT(message::alive == 0);
  }
};

/// Pushers push `each` messages, poppers pop them all, and sleep where they must.
template <class Traits, int Pushers, int Poppers>
struct streams : with_queue<streams<Traits, Pushers, Poppers>, Pushers + Poppers, Traits> {
  static inline std::size_t capacity;
  static inline int each;
  int to_pop = Pushers * each;

  void before() { this->fill(capacity, 0); }
  void thread(unsigned index) {
    if (index < Pushers) {
      for (int i = 0; i < each; ++i) {
        RL_ASSERT(this->push(static_cast<int>(index) * each + i) == op_status::ok);
      }
    } else {
      while (to_pop > 0) {
        --to_pop;
        RL_ASSERT(this->pop() != -1);
      }
    }
  }
};

/// try_pop never says empty, and try_push never says full, because others sleep: two messages are
/// there and a pusher sleeps, so two tries must both succeed; then there is room for another.
struct tries_among_sleepers : with_queue<tries_among_sleepers, 3> {
  void before() { fill(2, 2); }
  void thread(unsigned index) {
    if (index == 0) {
      RL_ASSERT(push(2) == op_status::ok);
    } else {
      RL_ASSERT(try_pop() != -1);
    }
  }
  void after() {
    RL_ASSERT(try_push(3) == op_status::ok);
    with_queue::after();
  }
};

/// A pop waits; a push and a close race for it.
template <class Traits>
struct push_pop_close : with_queue<push_pop_close<Traits>, 3, Traits> {
  static inline std::size_t capacity;
  static inline int filled;

  void before() { this->fill(capacity, filled); }
  void thread(unsigned index) {
    if (index == 0) {
      this->push(filled);
    } else if (index == 1) {
      const bool all = this->pop() == -1;
      if (all) RL_ASSERT(this->try_pop() == -1);  // closed and empty: for good
    } else {
      RL_ASSERT(this->close());
    }
  }
};

/// Two poppers of an empty queue, or two pushers of a full one: the close sends both home.
struct close_sends_all_home : with_queue<close_sends_all_home, 3> {
  static inline int filled;

  void before() { fill(1, filled); }
  void thread(unsigned index) {
    if (index == 2) {
      close();
    } else if (filled == 0) {
      RL_ASSERT(pop() == -1);
    } else {
      RL_ASSERT(push(static_cast<int>(index) + 1) == op_status::closed);
    }
  }
};

/// Two pushers sleep on a full queue; one pop takes the message, the close hands back the rest.
struct two_pushers_pop_close : with_queue<two_pushers_pop_close, 4> {
  void before() { fill(1, 1); }
  void thread(unsigned index) {
    if (index < 2) {
      push(static_cast<int>(index) + 1);
    } else if (index == 2) {
      RL_ASSERT(pop() == 0);
    } else {
      close();
    }
  }
};

/// Of two closes one did it; when either is over no push gets in.
struct close_against_close : with_queue<close_against_close, 3> {
  void before() { fill(1, 0); }
  void thread(unsigned index) {
    if (index == 2) {
      RL_ASSERT(pop() == -1);
    } else {
      close();
      RL_ASSERT(try_push(static_cast<int>(index)) == op_status::closed);
    }
  }
  void after() {
    RL_ASSERT(closes == 1);
    with_queue::after();
  }
};

/// What close_and_drain does not find was handed back.
struct drain_against_pushes : with_queue<drain_against_pushes, 3> {
  struct sink {
    using difference_type = std::ptrdiff_t;
    drain_against_pushes* to;
    sink& operator*() { return *this; }
    sink& operator++() { return *this; }
    sink& operator=(message&& m) {
      to->log.popped(m.id(), to->drain_began);
      return *this;
    }
  };
  int drain_began = 0;

  void before() { fill(1, 0); }
  void thread(unsigned index) {
    if (index < 2) {
      push(static_cast<int>(index));
    } else {
      drain_began = log.now();
      queue->close_and_drain(sink{this});
      ++closes;
    }
  }
  void after() {
    RL_ASSERT(try_pop() == -1);
    with_queue::after();
  }
};

/// drained() ends once the queue is closed and its last message is taken, in whichever order.
template <class Traits>
struct drained_at_last : with_queue<drained_at_last<Traits>, 3, Traits> {
  static inline int filled;

  void before() { this->fill(2, filled); }
  void thread(unsigned index) {
    if (index == 0) {
      RL_ASSERT(this->queue->drained().wait() == op_status::ok);
      RL_ASSERT(this->queue->is_closed());
      RL_ASSERT(this->queue->size_approx() == 0);
    } else if (index == 1) {
      for (int i = 0; i < filled; ++i) RL_ASSERT(this->pop() == i);
      if (filled == 0) RL_ASSERT(this->pop() == -1);
    } else {
      this->close();
    }
  }
};

/// drained() while a push is handed over, a pusher sleeps, and the queue closes.
struct drained_with_pusher : with_queue<drained_with_pusher, 4> {
  void before() { fill(1, 1); }
  void thread(unsigned index) {
    if (index == 0) {
      RL_ASSERT(queue->drained().wait() == op_status::ok);
    } else if (index == 1) {
      while (pop() != -1) {
      }
    } else if (index == 2) {
      push(1);
    } else {
      close();
    }
  }
};

/// A waiter that parks by hand, and takes itself back: the withdrawal or the completion wins, and the
/// loser leaves no trace. `Rival` does what would complete it.
enum class rival { push, pop, close, pop_then_close };

template <class Traits, rival Rival>
struct withdraw_pop : with_queue<withdraw_pop<Traits, Rival>, 3, Traits> {
  using queue_type = bounded_queue<message, Traits>;

  void before() { this->fill(1, 0); }
  void thread(unsigned index) {
    if (index == 0) {
      auto step = detail::operation_access::take_step(this->queue->pop());
      sleeper<Traits> w;
      const int began = this->log.now();
      if (step.attempt(&w) == detail::progress::parked) {
        if (step.withdraw(w)) {
          RL_ASSERT(!step.withdraw(w));
          RL_ASSERT(w.wakes() == 0);
          return;
        }
        w.block();
        RL_ASSERT(w.wakes() == 1);
      }
      this->finish(step.take_result(), began);
    } else if (index == 1) {
      // This popper came second or first; it gets what the other does not.
      this->pop();
    } else if (Rival == rival::push) {
      RL_ASSERT(this->push(0) == op_status::ok);
      RL_ASSERT(this->push(1) == op_status::ok);
    } else {
      this->close();
    }
  }
};

template <class Traits, rival Rival>
struct withdraw_push : with_queue<withdraw_push<Traits, Rival>, 3, Traits> {
  void before() { this->fill(1, 1); }
  void thread(unsigned index) {
    if (index == 0) {
      auto step = detail::operation_access::take_step(this->queue->push(message(1)));
      sleeper<Traits> w;
      this->log.began_push(1);
      if (step.attempt(&w) == detail::progress::parked) {
        if (step.withdraw(w)) {
          RL_ASSERT(!step.withdraw(w));
          RL_ASSERT(w.wakes() == 0);
          RL_ASSERT(step.message().id() == 1);
          this->log.returned(1);
          return;
        }
        w.block();
        RL_ASSERT(w.wakes() == 1);
      }
      auto r = step.take_result();
      this->finish(1, r);
    } else if (index == 1) {
      this->push(2);  // sleeps too, before or behind the other
    } else if (Rival == rival::close) {
      this->close();
    } else {
      RL_ASSERT(this->pop() == 0);
      if (Rival == rival::pop_then_close) {
        this->close();
      } else {
        RL_ASSERT(this->pop() != -1);  // the second pusher's at the latest
      }
    }
  }
};

struct withdraw_drained : with_queue<withdraw_drained, 3> {
  void before() { fill(1, 1); }
  void thread(unsigned index) {
    if (index == 0) {
      auto step = detail::operation_access::take_step(queue->drained());
      sleeper<model_traits> w;
      if (step.attempt(&w) == detail::progress::parked) {
        if (step.withdraw(w)) {
          RL_ASSERT(!step.withdraw(w));
          RL_ASSERT(w.wakes() == 0);
          return;
        }
        w.block();
        RL_ASSERT(w.wakes() == 1);
      }
      RL_ASSERT(queue->is_closed());
    } else if (index == 1) {
      RL_ASSERT(pop() == 0);
    } else {
      close();
    }
  }
};

/// A push that was withdrawn leaves no flag behind that would end drained() before the close.
struct withdrawn_before_drained : with_queue<withdrawn_before_drained, 3> {
  void before() { fill(1, 1); }
  void thread(unsigned index) {
    if (index == 0) {
      RL_ASSERT(queue->drained().wait() == op_status::ok);
      RL_ASSERT(queue->is_closed());
    } else if (index == 1) {
      auto step = detail::operation_access::take_step(queue->push(message(1)));
      sleeper<model_traits> w;
      log.began_push(1);
      if (step.attempt(&w) == detail::progress::parked) {
        if (step.withdraw(w)) return log.returned(1);
        w.block();
      }
      auto r = step.take_result();
      finish(1, r);
    } else {
      RL_ASSERT(pop() == 0);
      close();
      while (pop() != -1) {
      }
    }
  }
};

/// Waiters are served in the order in which they came: who slept before the other began gets the
/// earlier message.
struct poppers_in_order : with_queue<poppers_in_order, 3> {
  int parked_at[2] = {0, 0};
  int began_at[2] = {0, 0};
  int got[2] = {-1, -1};

  void before() { fill(2, 0); }
  void thread(unsigned index) {
    if (index == 2) {
      RL_ASSERT(push(0) == op_status::ok);
      RL_ASSERT(push(1) == op_status::ok);
      return;
    }
    auto step = detail::operation_access::take_step(queue->pop());
    sleeper<model_traits> w;
    began_at[index] = log.now();
    if (step.attempt_fast()) {
    } else if (step.attempt(&w) == detail::progress::parked) {
      parked_at[index] = log.now();
      w.block();
    }
    got[index] = finish(step.take_result(), began_at[index]);
  }
  void after() {
    for (int a : {0, 1}) {
      if (parked_at[a] != 0 && parked_at[a] < began_at[1 - a]) RL_ASSERT(got[a] < got[1 - a]);
    }
    with_queue::after();
  }
};

/// As poppers_in_order: who slept before the other's push began is in the queue before it.
struct pushers_in_order : with_queue<pushers_in_order, 3> {
  int parked_at[2] = {0, 0};
  int began_at[2] = {0, 0};
  int out[3] = {-1, -1, -1};

  void before() { fill(1, 1); }
  void thread(unsigned index) {
    if (index == 2) {
      for (int& id : out) id = pop();
      return;
    }
    const int id = static_cast<int>(index) + 1;
    auto step = detail::operation_access::take_step(queue->push(message(id)));
    sleeper<model_traits> w;
    log.began_push(id);
    began_at[index] = log.now();
    if (step.attempt_fast()) {
    } else if (step.attempt(&w) == detail::progress::parked) {
      parked_at[index] = log.now();
      w.block();
    }
    auto r = step.take_result();
    finish(id, r);
  }
  void after() {
    RL_ASSERT(out[0] == 0);
    for (int a : {0, 1}) {
      if (parked_at[a] != 0 && parked_at[a] < began_at[1 - a]) RL_ASSERT(out[1] == a + 1);
    }
    with_queue::after();
  }
};

/// The receiver of the last message destroys the queue while the push that brought it returns.
template <bool Waits>
struct destroyed_by_receiver : with_queue<destroyed_by_receiver<Waits>, 2> {
  void before() { this->fill(1, 0); }
  void thread(unsigned index) {
    if (index == 1) {
      this->log.began_push(0);
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
struct destroyed_by_pusher : with_queue<destroyed_by_pusher, 2> {
  void before() { fill(1, 1); }
  void thread(unsigned index) {
    if (index == 0) {
      RL_ASSERT(queue->push(message(1)).wait());
      destroy();
    } else {
      RL_ASSERT(queue->pop().wait()->id() == 0);
    }
  }
};

/// Whoever hears that the queue is closed, asleep or not, sees what the closer did before, and may
/// destroy the queue while the close returns.
enum class hears { pop, push, drained, is_closed };

template <hears Who>
struct destroyed_when_closed : with_queue<destroyed_when_closed<Who>, 2> {
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
struct destroyed_when_drained : with_queue<destroyed_when_drained, 3> {
  bool popped = false;

  void before() { fill(1, 1); }
  void thread(unsigned index) {
    if (index == 0) {
      RL_ASSERT(queue->drained().wait() == op_status::ok);
      while (!popped) model_traits::yield();  // the pop is over; the close may not be
      destroy();
    } else if (index == 1) {
      RL_ASSERT(queue->pop().wait()->id() == 0);
      popped = true;
    } else {
      queue->close();
    }
  }
};

/// The destructor closes: who sleeps is woken, even behind messages that nobody takes.
struct destroyed_over_sleepers : with_queue<destroyed_over_sleepers, 3> {
  static inline bool closed_before;
  int asleep = 0;

  void before() { fill(1, 1); }
  template <class Operation>
  auto wait(Operation&& op) {
    auto step = detail::operation_access::take_step(std::move(op));
    sleeper<model_traits> w;
    RL_ASSERT(step.attempt(&w) == detail::progress::parked);
    ++asleep;
    w.block();
    RL_ASSERT(!step.withdraw(w));  // touches the queue no more
    return step.take_result();
  }
  void thread(unsigned index) {
    if (index == 0) {
      RL_ASSERT(wait(queue->push(message(1))).status() == op_status::closed);
    } else if (index == 1) {
      RL_ASSERT(wait(queue->drained()) == op_status::closed);
    } else {
      while (asleep < 2) model_traits::yield();
      if (closed_before) queue->close();
      destroy();
    }
  }
};

template <class Traits, int Pushers, int Poppers>
void stream(const char* name, std::size_t capacity, int each, search depth) {
  streams<Traits, Pushers, Poppers>::capacity = capacity;
  streams<Traits, Pushers, Poppers>::each = each;
  check<streams<Traits, Pushers, Poppers>>(name, depth);
}

template <class Traits>
void close_races(const char* name, std::size_t capacity, int filled, search depth) {
  push_pop_close<Traits>::capacity = capacity;
  push_pop_close<Traits>::filled = filled;
  check<push_pop_close<Traits>>(name, depth);
}

template <class Traits>
void all(const char* tickets) {
  std::printf("%s\n", tickets);
  stream<Traits, 1, 1>("one to one, capacity 1", 1, 3, {2, 50000});
  stream<Traits, 1, 1>("one to one, capacity 2", 2, 4, {2, 50000});
  stream<Traits, 1, 2>("one to two poppers, capacity 1", 1, 3, {1, 50000});
  stream<Traits, 2, 1>("two pushers to one, capacity 1", 1, 2, {0, 100000});
  stream<Traits, 2, 1>("two pushers to one, capacity 3", 3, 2, {1, 50000});
  stream<Traits, 2, 2>("two to two, capacity 1", 1, 2, {0, 100000});
  close_races<Traits>("push, pop and close", 1, 0, {2, 50000});
  close_races<Traits>("push, pop and close, full", 1, 1, {2, 50000});
  for (int filled : {0, 1, 2}) {
    drained_at_last<Traits>::filled = filled;
    check<drained_at_last<Traits>>("drained() after the close and the last pop", {1, 50000});
  }
  check<withdraw_pop<Traits, rival::push>>("a pop is withdrawn or brings a message", {1, 50000});
  check<withdraw_pop<Traits, rival::close>>("a pop is withdrawn or closed", {1, 50000});
  check<withdraw_push<Traits, rival::pop>>("a push is withdrawn or in", {1, 50000});
  check<withdraw_push<Traits, rival::close>>("a push is withdrawn or closed", {1, 50000});
  check<withdraw_push<Traits, rival::pop_then_close>>("a push is withdrawn, in or closed",
                                                      {1, 50000});
}

}  // namespace

int main() {
  all<model_traits>("full-width tickets");
  all<tiny_traits>("8-bit tickets that wrap around");
  std::printf("either\n");
  check<tries_among_sleepers>("a try succeeds although others sleep", {2, 50000});
  for (int filled : {0, 1}) {
    close_sends_all_home::filled = filled;
    check<close_sends_all_home>("close sends all sleepers home", {1, 50000});
  }
  check<two_pushers_pop_close>("two pushers, a pop and a close", {0, 100000});
  check<close_against_close>("one of two closes did it", {1, 50000});
  check<drain_against_pushes>("close_and_drain against two pushes", {1, 50000});
  check<drained_with_pusher>("drained() behind a sleeping pusher", {0, 100000});
  check<withdraw_drained>("drained() is withdrawn or over", {2, 50000});
  check<withdrawn_before_drained>("a withdrawn push does not end drained()", {2, 50000});
  check<poppers_in_order>("poppers are served in order", {1, 50000});
  check<pushers_in_order>("pushers are served in order", {1, 50000});
  check<destroyed_by_receiver<false>>("the receiver destroys the queue under try_push", {3, 50000});
  check<destroyed_by_receiver<true>>("the receiver destroys the queue under push", {3, 50000});
  check<destroyed_by_pusher>("a woken pusher destroys the queue", {3, 50000});
  check<destroyed_when_closed<hears::pop>>("a pop hears closed, and destroys the queue", {3, 50000});
  check<destroyed_when_closed<hears::push>>("a push hears closed, and destroys the queue", {3, 50000});
  check<destroyed_when_closed<hears::is_closed>>("is_closed() hears it too", {3, 50000});
  check<destroyed_when_closed<hears::drained>>("drained() ends, and destroys the queue", {3, 50000});
  check<destroyed_when_drained>("drained() destroys the queue after the last pop", {2, 100000});
  for (bool closed_before : {false, true}) {
    destroyed_over_sleepers::closed_before = closed_before;
    check<destroyed_over_sleepers>("the destructor wakes who sleeps", {1, 20000});
  }
  return result();
}
