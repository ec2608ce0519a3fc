// SPDX-License-Identifier: BSL-1.0
//
// Operations of bounded_queue, asleep and awake, under every schedule: some order of them explains what
// they said; who sleeps is woken, once; each message is delivered, once, or handed back; and whoever is
// woken may destroy the queue, its waiter, or both. A lost wake-up is a deadlock, which the checker
// reports.

#include <model/history.hpp>

#include <string>

#include <millrace/queue/bounded_queue.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;

/// What a thread of a script calls; one with a ~ takes itself back if it has to sleep.
constexpr const char* words[] = {"push", "try_push", "push~",   "pop",      "try_pop",
                                 "pop~", "close",    "drained", "drained~", "close_and_drain"};
enum class word { push, try_push, push_back, pop, try_pop, pop_back, close, drained, drained_back, drain };

/// A queue of `capacity` that holds `filled` messages when the threads begin. When all that have not
/// ended sleep, whoever notices closes the queue and empties it: so each script comes to its end. A
/// pusher may sleep then only if the queue is full: the close would hide that its wake-up was lost.
template <class Traits, int Threads>
struct calls : scenario<calls<Traits, Threads>, Threads> {
  using history_type = model::history;
  static inline std::size_t capacity;
  static inline int filled;
  static inline script<word, Threads> what;

  box<bounded_queue<message, Traits>> queue;
  history_type log;
  sleeper<Traits>* asleep[Threads] = {};
  bool ended[Threads] = {};
  bool pushes[Threads] = {};
  std::size_t size = 0;  // where each call has ended, or sleeps

  void before() {
    queue.make(capacity);
    for (int id = 0; id < filled; ++id) try_push(id);
  }

  void thread(unsigned index) {
    what.run(index, [&](word call, int n) { make(call, filled + n); });
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
    if (step.attempt(&w) != detail::progress::parked) {
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
      if (!ended[t] && pushes[t]) RL_ASSERT(size == capacity);
    }
    close();
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
    if (!completes(step, takes_back, call)) return false;
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
    if (!completes(step, takes_back, call)) return;
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

/// What the other scenarios share: a queue that holds `filled` messages (ids from 0) when they start.
template <class Derived, int Threads>
struct with_queue : scenario<Derived, Threads> {
  box<bounded_queue<message, model_traits>> queue;
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
template <bool Pushers>
struct served_in_order : with_queue<served_in_order<Pushers>, 3> {
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
    if (step.attempt_fast() || step.attempt(&w) != detail::progress::parked) return;
    parked_at[index] = ++now;
    w.block();
  }
  void after() {
    for (int a : {0, 1}) {
      if (parked_at[a] != 0 && parked_at[a] < began_at[1 - a]) RL_ASSERT(got[a] < got[1 - a]);
    }
    this->with_queue<served_in_order, 3>::after();
  }
};

/// The receiver of the last message destroys the queue while the push that brought it returns.
template <bool Waits>
struct destroyed_by_receiver : with_queue<destroyed_by_receiver<Waits>, 2> {
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

/// A coroutine, or a callback, that waits for the last message destroys the queue, and with its end its
/// waiter, while the push that brought it returns.
template <bool Coroutine>
struct destroyed_by_resumed : with_queue<destroyed_by_resumed<Coroutine>, 2> {
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
    this->with_queue<destroyed_by_resumed, 2>::after();
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

/// The pop of the last message wakes a drained(), which destroys the queue while the pop returns.
struct destroyed_by_drainer : with_queue<destroyed_by_drainer, 2> {
  bool parked = false;

  void before() { fill(1, 1); }
  void thread(unsigned index) {
    if (index == 0) {
      auto step = detail::operation_access::take_step(queue->drained());
      sleeper<model_traits> w;
      RL_ASSERT(step.attempt(&w) == detail::progress::parked);
      parked = true;
      w.block();
      RL_ASSERT(step.take_result() == op_status::ok);
      destroy();
    } else {
      while (!parked) model_traits::yield();
      queue->close();
      RL_ASSERT(queue->pop().wait()->id() == 0);
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

template <class Traits, int Threads>
void run(const std::string& text, std::size_t capacity, int filled, search depth) {
  using scenario = calls<Traits, Threads>;
  scenario::capacity = capacity;
  scenario::filled = filled;
  scenario::what = {text.c_str(), words};
  check<scenario>((text + ", " + std::to_string(filled) + " of " + std::to_string(capacity)).c_str(), depth);
}

const bool is_full = std::getenv("MILLRACE_FULL") != nullptr;
const unsigned deep = is_full ? 2 : 1;  // preemptions, of three threads that do more than one thing each

constexpr struct {
  std::size_t capacity;
  int filled;
} states[] = {{1, 0}, {1, 1}, {2, 1}};

/// Every call beside every other.
template <class Traits>
void pairs() {
  for (const auto state : states) {
    for (const std::string a : words) {
      for (const std::string b : words) {
        if (a <= b && b != "close_and_drain")
          run<Traits, 2>(a + " | " + b, state.capacity, state.filled, {3, 0});
      }
    }
  }
}

/// Every three calls.
void triples() {
  for (const auto state : states) {
    for (const std::string a : words) {
      for (const std::string b : words) {
        for (const std::string c : words) {
          if (a > b || b > c || a == "close_and_drain" || b == "close_and_drain" || c == "close_and_drain")
            continue;
          run<model_traits, 3>(a + " | " + b + " | " + c, state.capacity, state.filled, {2, 0});
        }
      }
    }
  }
}

void scripts() {
  const auto two = [](const char* text, std::size_t capacity, int filled, search depth) {
    run<tiny_traits, 2>(text, capacity, filled, depth);
  };
  const auto three = [](const char* text, std::size_t capacity, int filled, search depth) {
    run<tiny_traits, 3>(text, capacity, filled, depth);
  };
  const auto four = [](const char* text, std::size_t capacity, int filled) {
    run<tiny_traits, 4>(text, capacity, filled, {0, 50000});
  };
  two("push push push | pop pop pop", 1, 0, {2, 20000});
  two("push push push push | pop pop pop pop", 2, 0, {2, 20000});
  two("push | close_and_drain", 1, 0, {3, 20000});
  two("push push | close_and_drain", 1, 1, {2, 20000});
  three("push | pop | close", 1, 0, {2, 20000});
  three("push | pop | close", 1, 1, {2, 20000});
  three("push | pop | drained", 1, 1, {2, 20000});
  three("push | try_pop | try_pop", 2, 2, {2, 20000});
  three("pop | try_push | try_push", 2, 0, {2, 20000});
  three("pop | pop | close", 1, 0, {2, 20000});
  three("push | push | close", 1, 1, {2, 20000});
  three("pop | close try_push | close try_push", 1, 0, {2, 20000});
  three("push | push | close_and_drain", 1, 0, {2, 20000});
  three("push push push | pop | pop pop", 1, 0, {deep, 20000});
  three("push push | push push | pop pop pop pop", 1, 0, {0, 50000});
  three("push push | push | pop pop pop", 3, 0, {deep, 20000});
  three("drained | pop | close", 2, 0, {2, 20000});
  three("drained | pop | close", 2, 1, {2, 20000});
  three("drained | pop pop | close", 2, 2, {2, 20000});
  three("drained | pop | close", 2, 2, {2, 20000});
  three("drained~ | pop | close", 1, 1, {2, 20000});
  three("drained~ | drained | close", 1, 0, {2, 20000});
  three("drained | push~ | pop close pop", 1, 1, {2, 20000});
  three("pop~ | pop | push push", 1, 0, {deep, 20000});
  three("pop~ | pop | close", 1, 0, {2, 20000});
  three("pop~ | push push push | pop", 1, 0, {2, 20000});
  three("pop~ | pop~ | push", 1, 0, {2, 20000});
  three("push~ | push | pop pop", 1, 1, {deep, 20000});
  three("push~ | push | close", 1, 1, {2, 20000});
  three("push~ | push~ | pop", 1, 1, {2, 20000});
  three("push~ | push | pop close", 1, 1, {deep, 20000});
  four("push push | push push | pop pop | pop pop", 1, 0);
  four("push | push | pop | close", 1, 1);
  four("push | drained | pop pop | close", 1, 1);
  four("push~ | drained~ | pop~ | close", 1, 1);
}

}  // namespace

int main() {
  std::printf("the ends of a queue\n");
  check<served_in_order<false>>("poppers are served in order", {2, 20000});
  check<served_in_order<true>>("pushers are served in order", {deep, 20000});
  check<destroyed_by_receiver<false>>("the receiver destroys the queue under try_push", {3, 20000});
  check<destroyed_by_receiver<true>>("the receiver destroys the queue under push", {3, 20000});
  check<destroyed_by_pusher>("a woken pusher destroys the queue", {3, 20000});
  check<destroyed_by_resumed<true>>("a resumed coroutine destroys the queue", {3, 20000});
  check<destroyed_by_resumed<false>>("a callback destroys the queue", {3, 20000});
  check<destroyed_when_closed<hears::pop>>("a pop hears closed, and destroys the queue", {3, 20000});
  check<destroyed_when_closed<hears::push>>("a push hears closed, and destroys the queue", {3, 20000});
  check<destroyed_when_closed<hears::is_closed>>("is_closed() hears it too", {3, 20000});
  check<destroyed_when_closed<hears::drained>>("drained() ends, and destroys the queue", {3, 20000});
  check<destroyed_when_drained>("drained() destroys the queue after the last pop", {2, 20000});
  check<destroyed_by_drainer>("drained() destroys the queue under the last pop", {3, 20000});
  for (bool closed_before : {false, true}) {
    destroyed_over_sleepers::closed_before = closed_before;
    check<destroyed_over_sleepers>("the destructor wakes who sleeps", {2, 20000});
  }
  std::printf("scripts, 8-bit tickets that wrap around\n");
  scripts();
  std::printf("pairs, full-width tickets\n");
  pairs<model_traits>();
  std::printf("pairs, 8-bit tickets that wrap around\n");
  pairs<tiny_traits>();
  if (is_full) {
    std::printf("triples\n");
    triples();
  }
  return result();
}
