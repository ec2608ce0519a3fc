// SPDX-License-Identifier: BSL-1.0
//
// Pushers that a pusher before them lets in (bounded_core's agent), under every schedule: each is let in once,
// in the order in which they came; none sleeps beside room once the duty is done; and who is woken, or was let
// in, may see the queue destroyed before the duty is done.

#include <support/model.hpp>

#include <optional>
#include <string>

#include <millrace/queue/bounded_queue.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;

struct refilled_traits : model_traits {
  static constexpr std::size_t least_refilled = 1;
};
using queue_type = bounded_queue<message, refilled_traits>;
using push_step =
    decltype(detail::operation_access::take_step(std::declval<queue_type&>().push(std::declval<message>())));

/// A pool, whose worker is thread 0: it keeps what it is posted until the worker comes to it, or a second one.
struct pool {
  static inline bool has_two;
  work_list posted;
  model_traits::atomic<int> handed{0};  // orders what who posted did before what who runs it does

  void post(work_item& item) noexcept {
    if (has_two) handed.fetch_add(1, std::memory_order_release);
    posted.push_back(item);
  }
  /// False: there is nothing to run.
  bool run_one() {
    if (has_two) handed.fetch_add(0, std::memory_order_acquire);
    if (posted.empty()) return false;
    work_item& item = posted.pop_front();
    item.run(&item);
    return true;
  }
};

/// A push that waits for thread 0's pool to run it.
struct pusher : detail::waiter<refilled_traits> {
  std::optional<push_step> step;
  int id = 0;
  bool has_run = false;
  op_status status = op_status::empty;
  bool came_back = false;
};

enum class other {
  nothing,
  pops,
  pops_twice,
  pushes,
  pops_and_pushes,
  withdraws_first,
  withdraws_last,
  closes,
  destroys,
  works
};
constexpr const char* names[] = {
    "nothing",           "pop",   "pop pop", "push", "pop push", "withdraw the first",
    "withdraw the last", "close", "destroy", "work"};

/// A full queue of 2 with three pushers before it, or four. Thread 0 pops and then runs what it was posted,
/// `rounds` times; the other threads do something else. Where they do nothing, or it is late, it runs nothing
/// before it has popped so often.
template <int Threads>
struct served : scenario<served<Threads>, Threads> {
  static constexpr int capacity = 2;
  static constexpr int most_pushers = 4;
  static inline int pushers;
  static inline int stranger;  // which of them belongs to another pool
  static inline int rounds;
  static inline bool is_late;
  static inline other what[2];

  box<queue_type> queue;
  pool own;
  executor_ref home{own};
  pool other_pool;
  pusher waiting[most_pushers];
  model_traits::atomic<int> over{0};  // threads that make no more calls: but the duty may be undone
  bool is_gone = false;
  int in = 0;
  int out = 0;
  int last_out[Threads] = {};  // the last pusher whose message came out, for each thread

  void before() {
    queue_options<message> options;
    options.on_undelivered = [](void* self, message&& m) noexcept {
      message taken(std::move(m));
      ++static_cast<served*>(self)->out;
    };
    options.user = this;
    queue.make(static_cast<std::size_t>(capacity), options);
    for (int id = 0; id < capacity; ++id) push(10 + id);
    for (int i = 0; i < pushers; ++i) {
      pusher& w = waiting[i];
      w.id = i;
      w.home = i == stranger ? executor_ref(other_pool) : home;
      w.contest = nullptr;
      w.run = &run;
      w.step.emplace(detail::operation_access::take_step(queue->push(message(i))));
      RL_ASSERT(w.step->park(w));
    }
  }

  static void run(work_item* item) noexcept {
    auto& w = static_cast<pusher&>(static_cast<detail::waiter<refilled_traits>&>(*item));
    RL_ASSERT(!w.has_run);
    w.has_run = true;
    w.step->relieve(w);
    w.status = w.step->take_result().status();
  }
  void run_posted() {
    while (own.run_one() || other_pool.run_one()) {
    }
  }

  void push(int id) {
    message m(id);
    const op_status status = queue->try_push(std::move(m));
    RL_ASSERT(status == op_status::ok || m.id() == id);
    in += status == op_status::ok;
  }
  bool pop() {
    const pop_result<message> m = queue->try_pop();
    if (!m) return false;
    ++out;
    int& last = last_out[rl::ctx().current_thread()];
    if (m->id() >= pushers) return true;
    RL_ASSERT(m->id() >= last);
    last = m->id() + 1;
    return true;
  }

  void thread(unsigned index) {
    if (index == 0) {
      refilled_traits::this_thread().worker = this;
      refilled_traits::this_thread().executor = &home;
      for (int i = 0; i < rounds; ++i) {
        if (is_alone()) nobody_sleeps_for_a_message();
        const bool found = pop();
        if (is_alone()) RL_ASSERT(found);
        if (!is_alone() && !is_late && i + 1 < rounds) run_posted();
      }
      over.fetch_add(1, std::memory_order_acq_rel);
      run_posted();
      return;
    }
    switch (what[index - 1]) {
      case other::nothing:
        break;
      case other::pops_twice:
        pop();
        [[fallthrough]];
      case other::pops:
        pop();
        break;
      case other::pops_and_pushes:
        pop();
        [[fallthrough]];
      case other::pushes:
        push(20);
        break;
      case other::withdraws_first:
        withdraw(waiting[0]);
        break;
      case other::withdraws_last:
        withdraw(waiting[pushers - 1]);
        break;
      case other::closes:
        queue->close();
        break;
      case other::destroys:
        while (over.load(std::memory_order_acquire) != Threads - 1) model_traits::yield();
        while (queue->try_pop()) ++out;
        destroy();
        return;
      case other::works:
        while (over.load(std::memory_order_acquire) != 1) {
          if (!own.run_one()) model_traits::yield();
        }
        return;
    }
    over.fetch_add(1, std::memory_order_acq_rel);
  }
  static bool is_alone() { return what[0] == other::nothing; }
  /// While pushers wait to be let in, whether or not their agent has run.
  void nobody_sleeps_for_a_message() {
    auto step = detail::operation_access::take_step(queue->pop());
    sleeper<refilled_traits> w;
    RL_ASSERT(!step.park(w));
  }
  void withdraw(pusher& w) {
    if (w.step->withdraw(w)) w.came_back = true;
  }
  void destroy() {
    queue.destroy();
    is_gone = true;
  }

  void after() {
    run_posted();
    bool sleeps = false;
    for (int i = 0; i < pushers; ++i) {
      const pusher& w = waiting[i];
      RL_ASSERT(!w.has_run || !w.came_back);
      sleeps |= !w.has_run && !w.came_back;
    }
    if (!is_gone) {
      if (sleeps) RL_ASSERT(queue->size_approx() == capacity);
      while (queue->try_pop()) {
        ++out;
        run_posted();
      }
      destroy();
    }
    for (int i = 0; i < pushers; ++i) {
      RL_ASSERT(waiting[i].has_run || waiting[i].came_back);
      in += waiting[i].status == op_status::ok;
    }
    RL_ASSERT(in == out);
    for (pusher& w : waiting) w.step.reset();
    RL_ASSERT(message::alive == 0);
  }
};

/// How a scenario differs: see served.
struct with {
  int pushers = 3;
  int stranger = -1;
  bool is_late = false;
};

template <int Threads>
void prepare(int rounds, const with& variant) {
  using scenario = served<Threads>;
  scenario::rounds = rounds;
  scenario::pushers = variant.pushers;
  scenario::stranger = variant.stranger;
  scenario::is_late = variant.is_late;
}

void two(int rounds, other what, search depth, const with& variant = {}) {
  using scenario = served<2>;
  prepare<2>(rounds, variant);
  scenario::what[0] = what;
  pool::has_two = what == other::works;
  std::string name = std::to_string(rounds) + " rounds | " + names[static_cast<int>(what)];
  if (variant.pushers != 3) name += ", " + std::to_string(variant.pushers) + " pushers";
  if (variant.stranger >= 0) name += ", one of another pool";
  if (variant.is_late) name += ", run late";
  check<scenario>(name.c_str(), depth);
}
void three(int rounds, other a, other b, search depth) {
  using scenario = served<3>;
  prepare<3>(rounds, {});
  scenario::what[0] = a;
  scenario::what[1] = b;
  check<scenario>((std::to_string(rounds) + " rounds | " + names[static_cast<int>(a)] + " | " +
                   names[static_cast<int>(b)])
                      .c_str(),
                  depth);
}

}  // namespace

int main() {
  const unsigned deep = std::getenv("MILLRACE_FULL") != nullptr ? 2 : 1;
  two(served<2>::capacity + 3, other::nothing, {1, 0});
  two(served<2>::capacity + 1, other::nothing, {1, 0}, {.stranger = 1});
  for (const other what : {other::pops, other::pops_twice, other::pushes, other::pops_and_pushes,
                           other::withdraws_first, other::withdraws_last, other::closes, other::destroys}) {
    two(1, what, {3, 5000});
    two(2, what, {3, 5000});
  }
  two(2, other::works, {2, 5000}, {.is_late = true});
  two(2, other::destroys, {1, 1000}, {.is_late = true});
  two(4, other::destroys, {1, 1000}, {.pushers = 4, .is_late = true});
  three(1, other::pops_twice, other::pushes, {deep, 10000});
  three(1, other::pops, other::destroys, {deep, 10000});
  three(1, other::pops_and_pushes, other::withdraws_last, {deep, 10000});
  three(1, other::withdraws_first, other::withdraws_last, {deep, 10000});
  three(1, other::pops_twice, other::closes, {deep, 10000});
  return result();
}
