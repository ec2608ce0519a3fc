// SPDX-License-Identifier: BSL-1.0
//
// Sleeps that a deadline may end, or their owner, and those that go on after a wake-up, under every schedule,
// however they are run: a thread, a coroutine, a callback. As contest.test.cpp.

#include <support/model.hpp>

#include <iterator>
#include <optional>

#include <millrace/queue/rendezvous_queue.hpp>
#include <millrace/task/run_loop.hpp>
#include <millrace/wait/select.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;

using queue_type = rendezvous_queue<message, model_traits>;
using source = basic_stop_source<model_traits>;
using loop_type = basic_run_loop<model_traits>;
using time_point = std::chrono::steady_clock::time_point;

constexpr auto long_since = time_point() - std::chrono::hours(1);  // it passes as soon as anybody looks
constexpr auto some_day = std::chrono::hours(1);                   // it passes at once, or never

/// A queue where messages meet, and what else may end a sleep. Who ends last stops those that still wait.
template <class Derived, int Threads>
struct with_queue : scenario<Derived, Threads> {
  box<queue_type, 0> a;
  box<queue_type, 1> b;
  box<source> halt;
  box<loop_type> loop;
  int in = 0;
  int out = 0;

  void before() {
    a.make();
    b.make();
    halt.make();
    loop.make();
  }
  void took(const pop_result<message>& m) {
    out += static_cast<bool>(m);
    RL_ASSERT(m || m.status() == op_status::timeout || m.status() == op_status::cancelled);
  }
  void gave(push_result<message>& r, int id) {
    in += static_cast<bool>(r);
    if (!r) RL_ASSERT(r.value().id() == id);
  }
  /// Pushes until it is taken, or nobody waits for it any more.
  void push(queue_type& to, int id) {
    auto r = to.push(message(id)).with(halt->token()).wait();
    gave(r, id);
  }
  void after() {
    RL_ASSERT(in == out);
    a.destroy();
    b.destroy();
    loop.destroy();
    halt.destroy();
    RL_ASSERT(message::alive == 0);
  }
};

/// A thread's pop, and push, with a deadline.
template <bool Pushes>
struct timed : with_queue<timed<Pushes>, 2> {
  void thread(unsigned index) {
    if ((index == 0) != Pushes) {
      auto op = this->a->pop();
      if (index == 0) {
        this->took(std::move(op).within(some_day).wait());
      } else {
        this->took(std::move(op).with(this->halt->token()).wait());
      }
    } else {
      auto op = this->a->push(message(1));
      auto r =
          index == 0 ? std::move(op).within(some_day).wait() : std::move(op).with(this->halt->token()).wait();
      this->gave(r, 1);
    }
    if (index == 0) this->halt->request_stop();
  }
};

/// A thread's select with a deadline; another pushes to one of its queues.
struct timed_select : with_queue<timed_select, 2> {
  static inline bool to_a;
  void thread(unsigned index) {
    if (index == 0) {
      auto chosen = select_biased(a->pop(), b->pop()).within(some_day).wait();
      took(chosen.get<0>());
      took(chosen.get<1>());
      const op_status lost = chosen.index() == chosen.none ? op_status::timeout : op_status::cancelled;
      if (chosen.index() != 0) RL_ASSERT(chosen.get<0>().status() == lost);
      if (chosen.index() != 1) RL_ASSERT(chosen.get<1>().status() == lost);
      halt->request_stop();
    } else {
      push(to_a ? *a : *b, 0);
    }
  }
};

/// How an operation is run on the loop of the first thread.
enum class way { coroutine, callback };

struct coroutine {
  struct promise_type {
    coroutine get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  std::coroutine_handle<promise_type> frame;
};

/// A deadline of the run loop, a push and a stop want to end a pop.
template <way Way, bool Stops>
struct on_loop : with_queue<on_loop<Way, Stops>, Stops ? 3 : 2> {
  void received(const pop_result<message>& m) {
    this->took(m);
    this->halt->request_stop();
    this->loop->finish();
  }
  static coroutine consume(on_loop& self) {
    const auto m = co_await self.a->pop().on(*self.loop).with(self.halt->token()).until(long_since);
    self.received(m);
  }
  void thread(unsigned index) {
    if (index == 0) {
      if constexpr (Way == way::coroutine) {
        consume(*this);
      } else {
        this->a->pop()
            .on(*this->loop)
            .with(this->halt->token())
            .until(long_since)
            .start([this](const pop_result<message>& m) { received(m); });
      }
      this->loop->run();
    } else if (index == 1) {
      this->push(*this->a, 0);
    } else {
      this->halt->request_stop();
    }
  }
};

/// Nothing but a deadline ends a pop.
struct deadline_alone : with_queue<deadline_alone, 1> {
  static coroutine consume(deadline_alone& self) {
    self.ended(co_await self.a->pop().on(*self.loop).until(long_since));
    self.loop->finish();
  }
  void ended(const pop_result<message>& m) {
    RL_ASSERT(m.status() == op_status::timeout);
    RL_ASSERT(a->try_push(message(0)) == op_status::full);
  }
  void thread(unsigned) {
    ended(a->pop().until(long_since).wait());
    consume(*this);
    loop->run();
    a->pop().on(*loop).until(long_since).start([this](const pop_result<message>& m) {
      ended(m);
      loop->finish();
    });
    loop->run();
  }
};

/// Timers that nobody fires.
struct idle_timers final : timer_service {
  basic_timer_queue<model_traits> queue;
  void add(timer_node& node) noexcept override { queue.add(node); }
  void remove(timer_node& node) noexcept override { queue.remove(node); }
};

/// A coroutine is destroyed while it sleeps, or after it was served and before it runs.
enum class sleeps { alone, with_rivals, in_select, for_some };

template <sleeps Where>
struct abandoned : with_queue<abandoned<Where>, 1> {
  struct executor_type {
    work_item* posted = nullptr;
    idle_timers clock;
    void post(work_item& item) noexcept { posted = &item; }
    timer_service* timers() noexcept { return &clock; }
  };
  std::optional<executor_type> home;
  std::optional<coroutine> sleeping;
  int lost = 0;

  void before() {
    this->with_queue<abandoned, 1>::before();
    this->a.destroy();
    this->a.make(queue_options<message>{
        .on_undelivered = [](void* self, message&&) noexcept { ++static_cast<abandoned*>(self)->lost; },
        .user = this});
    home.emplace();
    sleeping.emplace(consume(*this));
  }
  static coroutine consume(abandoned& self) {
    message* const nowhere = nullptr;
    if constexpr (Where == sleeps::alone) {
      co_await self.a->pop().on(*self.home);
    } else if constexpr (Where == sleeps::with_rivals) {
      co_await self.a->pop().on(*self.home).with(self.halt->token()).within(some_day);
    } else if constexpr (Where == sleeps::in_select) {
      co_await select(self.b->pop(), self.a->pop()).on(*self.home);
    } else {
      co_await self.a->pop_some(nowhere, 1).on(*self.home);
    }
    RL_ASSERT(false);
  }
  void thread(unsigned) {
    const bool comes_first = rl::rand(2) != 0;
    if (!comes_first) push_one();
    sleeping->frame.destroy();
    RL_ASSERT(home->clock.queue.earliest() == time_point::max());
    this->halt->request_stop();
    if (comes_first) push_one();
    RL_ASSERT(this->in == (comes_first ? 0 : 1));
  }
  void push_one() { this->in += this->a->try_push(message(0)) == op_status::ok; }
  void after() {
    this->out = lost;
    home.reset();
    this->with_queue<abandoned, 1>::after();
  }
};

/// A range of two is pushed, one by one, and a stop or a deadline may come in between.
enum class run_by { thread, coroutine, callback };

template <run_by Who>
struct range : with_queue<range<Who>, 2> {
  static inline int pops;
  message* messages = nullptr;

  using iterator = std::move_iterator<message*>;
  using result_type = push_range_result<iterator>;

  void ended(const result_type& r) {
    RL_ASSERT(r.count == static_cast<std::size_t>(r.next.base() - messages));
    RL_ASSERT((r.count == 2) == (r.status == op_status::ok));
    for (int i = 0; i < 2; ++i) RL_ASSERT(messages[i].id() == (i < static_cast<int>(r.count) ? -1 : i));
    this->in += static_cast<int>(r.count);
    this->halt->request_stop();
    if (Who != run_by::thread) this->loop->finish();
  }
  auto operation() {
    return this->a->push_range(iterator(messages), iterator(messages + 2))
        .on(*this->loop)
        .with(this->halt->token());
  }
  static coroutine push(range& self) {
    const auto r = co_await self.operation();
    self.ended(r);
  }
  void thread(unsigned index) {
    if (index == 0) {
      message both[] = {0, 1};
      messages = both;
      if constexpr (Who == run_by::thread) {
        ended(operation().within(some_day).wait());
      } else if constexpr (Who == run_by::coroutine) {
        push(*this);
        this->loop->run();
      } else {
        operation().start([this](const result_type& r) { ended(r); });
        this->loop->run();
      }
    } else {
      for (int i = 0; i < pops; ++i) {
        const auto m = this->a->pop().with(this->halt->token()).wait();
        if (m) RL_ASSERT(m->id() == i);
        this->took(m);
      }
      if (pops < 2) this->halt->request_stop();
    }
  }
};

const unsigned deep = std::getenv("MILLRACE_FULL") != nullptr ? 3 : 2;  // preemptions, of two threads

template <run_by Who>
void ranges(const char* name) {
  for (int pops : {2, 1}) {
    range<Who>::pops = pops;
    check<range<Who>>(name, {deep - 1, 5000});
  }
}

}  // namespace

int main() {
  check<timed<false>>("pop, with a deadline | push", {deep, 5000});
  check<timed<true>>("push, with a deadline | pop", {deep, 5000});
  for (const bool to_a : {false, true}) {
    timed_select::to_a = to_a;
    check<timed_select>("select, with a deadline | push", {deep, 5000});
  }
  check<on_loop<way::coroutine, false>>("a coroutine's pop, with a deadline | push", {deep - 1, 5000});
  check<on_loop<way::coroutine, true>>("a coroutine's pop, with a deadline | push | stop", {deep - 1, 5000});
  check<on_loop<way::callback, false>>("a callback's pop, with a deadline | push", {deep - 1, 5000});
  check<on_loop<way::callback, true>>("a callback's pop, with a deadline | push | stop", {deep - 1, 5000});
  check<deadline_alone>("nothing but a deadline", {0, 200});
  check<abandoned<sleeps::alone>>("an abandoned pop", {0, 200});
  check<abandoned<sleeps::with_rivals>>("an abandoned pop with rivals", {0, 200});
  check<abandoned<sleeps::in_select>>("an abandoned select", {0, 200});
  check<abandoned<sleeps::for_some>>("an abandoned pop of some", {0, 200});
  ranges<run_by::thread>("a thread's range of two | pop");
  ranges<run_by::coroutine>("a coroutine's range of two | pop");
  ranges<run_by::callback>("a callback's range of two | pop");
  return result();
}
