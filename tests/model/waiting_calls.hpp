// SPDX-License-Identifier: BSL-1.0
#pragma once

// Scripts of calls on a queue that can be waited for.

#include <model/history.hpp>

#include <millrace/queue/pop_result.hpp>
#include <millrace/queue/push_result.hpp>
#include <millrace/wait/operation.hpp>

namespace millrace::model {

/// What a thread of a script calls; one with a ~ takes itself back if it has to sleep.
inline constexpr const char* words[] = {"push", "try_push", "push~",   "pop",      "try_pop",
                                        "pop~", "close",    "drained", "drained~", "close_and_drain"};
enum class word { push, try_push, push_back, pop, try_pop, pop_back, close, drained, drained_back, drain };

/// Whether one thread only may push, and one only pop. They may not call drained() then, which is also how
/// others end.
template <class Queue>
inline constexpr bool is_for_one_pair = false;

/// A queue of `capacity` that holds `filled` messages when the threads begin. When all that have not
/// ended sleep, whoever notices closes the queue and empties it: so each script comes to its end. A
/// pusher may sleep then only if the queue is full, and no popper beside it: the close would hide that its
/// wake-up was lost.
template <class Queue, class Traits, int Threads>
struct calls : scenario<calls<Queue, Traits, Threads>, Threads> {
  using history_type = model::history;
  static constexpr bool is_bounded = std::constructible_from<Queue, std::size_t>;
  static inline std::size_t capacity = is_bounded ? 0 : 100;
  static inline int filled;
  static inline script<word, Threads> what;

  box<Queue> queue;
  history_type log;
  sleeper<Traits>* asleep[Threads] = {};
  bool ended[Threads] = {};
  bool pushes[Threads] = {};
  bool pops[Threads] = {};
  bool is_over = false;
  atomic<int> ends{0};   // orders what ended threads did before what others do in their stead
  std::size_t size = 0;  // where each call has ended, or sleeps

  void before() {
    if constexpr (is_bounded) {
      queue.make(capacity);
    } else {
      queue.make();
    }
    for (int id = 0; id < filled; ++id) try_push(id);
  }

  void thread(unsigned index) {
    what.run(index, [&](word call, int n) { make(call, filled + n); });
    if constexpr (is_for_one_pair<Queue>) ends.fetch_add(1, std::memory_order_acq_rel);
    ended[index] = true;
    nobody_stays();
  }

  void make(word call, int id) {
    switch (call) {
      case word::push:
        push(id, false);
        break;
      case word::try_push:
        try_push(id);
        break;
      case word::push_back:
        push(id, true);
        break;
      case word::pop:
        pop(false);
        break;
      case word::try_pop:
        try_pop();
        break;
      case word::pop_back:
        pop(true);
        break;
      case word::close:
        close();
        break;
      case word::drained:
        drained(false);
        break;
      case word::drained_back:
        drained(true);
        break;
      case word::drain:
        close_and_drain();
        break;
    }
  }

  /// False: it was taken back.
  template <class Operation>
  bool completes(Operation& step, bool takes_back, int call) {
    const bool did = sleeps_through(step, takes_back);
    log.end(call);
    return did;
  }
  template <class Operation>
  bool sleeps_through(Operation& step, bool takes_back) {
    if (step.attempt_fast()) return true;
    sleeper<Traits> w;
    if (!parks(step, w)) {
      RL_ASSERT(w.wakes() == 0);
      return true;
    }
    if (takes_back) {
      if (step.withdraw(w)) {
        RL_ASSERT(!step.withdraw(w));
        RL_ASSERT(w.wakes() == 0);
        return false;
      }
      w.block();  // for somebody is completing it
    } else {
      asleep[rl::ctx().current_thread()] = &w;
      nobody_stays();
      w.block();
      asleep[rl::ctx().current_thread()] = nullptr;
    }
    RL_ASSERT(w.wakes() == 1);
    RL_ASSERT(!step.withdraw(w));
    return true;
  }

  void nobody_stays() {
    bool some = false;
    for (int t = 0; t < Threads; ++t) {
      const bool sleeps = asleep[t] != nullptr && asleep[t]->wakes() == 0;
      if (!ended[t] && !sleeps) return;
      some |= sleeps;
    }
    if (!some) return;
    for (int t = 0; t < Threads; ++t) {
      if (ended[t] || !pushes[t]) continue;
      RL_ASSERT(size == capacity);
      for (const bool other : pops) RL_ASSERT(!other);
    }
    bool pop_sleeps = false;
    for (int t = 0; t < Threads; ++t) pop_sleeps |= !ended[t] && pops[t];
    close();
    if constexpr (is_for_one_pair<Queue>) {
      if (std::exchange(is_over, true)) return;  // somebody else pops
      if (pop_sleeps) return;                    // the queue was empty, and he is the consumer
      ends.fetch_add(1, std::memory_order_acq_rel);
    }
    while (pop(false)) {
    }
  }

  void push(int id, bool takes_back) {
    const int call = log.begin();
    auto step = detail::operation_access::take_step(queue->push(message(id)));
    pushes[rl::ctx().current_thread()] = true;
    const bool did = completes(step, takes_back, call);
    pushes[rl::ctx().current_thread()] = false;
    if (!did) {
      RL_ASSERT(step.message().id() == id);
      return;
    }
    push_result<message> r = step.take_result();
    RL_ASSERT(r.status() == op_status::ok || r.status() == op_status::closed);
    RL_ASSERT(r.returned() == !r);
    if (!r) RL_ASSERT(r.value().id() == id && queue->is_closed());
    log.tell(call, history_type::push, r.status(), id);
    size += r.status() == op_status::ok;
  }

  void try_push(int id) {
    const int call = log.begin();
    message m(id);
    const op_status status = queue->try_push(std::move(m));
    log.end(call);
    if (status != op_status::ok) RL_ASSERT(m.id() == id);
    log.tell(call, history_type::push, status, id);
    size += status == op_status::ok;
  }

  bool pop(bool takes_back) {
    const int call = log.begin();
    auto step = detail::operation_access::take_step(queue->pop());
    pops[rl::ctx().current_thread()] = true;
    const bool did = completes(step, takes_back, call);
    pops[rl::ctx().current_thread()] = false;
    if (!did) return false;
    const pop_result<message> m = step.take_result();
    RL_ASSERT(m || (m.status() == op_status::closed && queue->is_closed()));
    log.tell(call, history_type::pop, m.status(), m ? m->id() : -1);
    size -= m.status() == op_status::ok;
    return static_cast<bool>(m);
  }

  bool try_pop() {
    const int call = log.begin();
    const pop_result<message> m = queue->try_pop();
    log.end(call);
    log.tell(call, history_type::pop, m.status(), m ? m->id() : -1);
    size -= m.status() == op_status::ok;
    return static_cast<bool>(m);
  }

  void close() {
    const int call = log.begin();
    const bool did = queue->close();
    log.end(call);
    RL_ASSERT(queue->is_closed());
    log.tell(call, history_type::close, did ? op_status::ok : op_status::closed);
  }

  void drained(bool takes_back) {
    const int call = log.begin();
    auto step = detail::operation_access::take_step(queue->drained());
    if (step.attempt()) {
      log.end(call);
    } else if (!completes(step, takes_back, call)) {
      return;
    }
    RL_ASSERT(step.take_result() == op_status::ok);
    RL_ASSERT(queue->is_closed());
    log.tell(call, history_type::drained, op_status::ok);
  }

  /// As close(), and a pop() for each message.
  struct sink {
    using difference_type = std::ptrdiff_t;
    history_type& log;
    int& pop;
    std::size_t& size;
    sink& operator*() { return *this; }
    sink& operator++() { return *this; }
    void operator=(message&& m) {
      log.end(pop);
      log.tell(pop, history_type::pop, op_status::ok, m.id());
      --size;
      pop = log.begin();
    }
  };
  void close_and_drain() {
    const int close = log.begin();
    int pop = log.begin();
    queue->close_and_drain(sink{log, pop, size});
    log.end(close);
    log.tell(close, history_type::close, op_status::empty);
    log.end(pop);
    log.tell(pop, history_type::pop, op_status::closed);
  }

  void after() {
    while (try_pop()) {
    }
    RL_ASSERT(queue->size_approx() == 0);
    queue.destroy();
    log.check(capacity);
    RL_ASSERT(message::alive == 0);
  }
};

}  // namespace millrace::model
