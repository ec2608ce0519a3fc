// SPDX-License-Identifier: BSL-1.0
//
// What waits for work to end or to come, under every schedule: the join counter, the run loop, the
// list that the workers of a pool share, and the lock below them.

#include <support/model.hpp>

#include <optional>

#include <millrace/detail/spin_lock.hpp>
#include <millrace/task/join_counter.hpp>
#include <millrace/task/run_loop.hpp>
#include <millrace/task/owned_work_list.hpp>
#include <millrace/task/shared_work_list.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;
using traits = model_traits;

struct lock_guards : scenario<lock_guards, 3> {
  detail::spin_lock<traits> lock;
  probe guarded;
  int inside = 0;

  void thread(unsigned) {
    for (int i = 0; i < 2; ++i) {
      const detail::lock_guard guard(lock);
      RL_ASSERT(++inside == 1);
      guarded.write();
      --inside;
    }
  }
};

/// Two pieces of work in progress; each writes something that whoever joins reads.
template <class Derived, int Threads>
struct with_work : scenario<Derived, Threads> {
  box<detail::join_counter<traits>> counter;
  probe written[3];

  void before() {
    counter.make();
    counter->begin();
    counter->begin();
  }
  void end(unsigned index) {
    written[index].write();
    counter->end();
  }
  void joined(int works = 2) {
    for (int i = 0; i < works; ++i) written[i].read();
    counter.destroy();
  }
};

/// The counter is gone as soon as the wait is over, and so is the waiter.
struct ends_and_join : with_work<ends_and_join, 3> {
  void thread(unsigned index) {
    if (index < 2) return end(index);
    sleeper<traits> w;
    if (counter->park(w)) {
      w.block();
      RL_ASSERT(w.wakes() == 1);
    }
    joined();
  }
};

/// A join that takes itself back, then joins again.
struct ends_and_withdraw : with_work<ends_and_withdraw, 3> {
  void thread(unsigned index) {
    if (index < 2) return end(index);
    {
      sleeper<traits> w;
      if (counter->park(w)) {
        if (!counter->withdraw()) {
          w.block();
          return joined();
        }
        RL_ASSERT(w.wakes() == 0);
      }
    }
    sleeper<traits> again;
    if (counter->park(again)) again.block();
    joined();
  }
};

/// A stop may end a join, which then begins anew.
struct ends_and_stop : with_work<ends_and_stop, 3> {
  struct owner_type {
    using traits = model_traits;
    ends_and_stop& all;
    detail::join_counter<traits>& counter() noexcept { return *all.counter; }
    void joined() const noexcept {}
  };
  using step = detail::join_step<owner_type>;
  box<basic_stop_source<traits>> halt;
  owner_type owner{*this};

  void before() {
    with_work::before();
    halt.make();
  }
  void thread(unsigned index) {
    if (index == 0) {
      end(0);
      end(1);
    } else if (index == 1) {
      halt->request_stop();
    } else {
      if (join().with(halt->token()).wait() != op_status::ok) RL_ASSERT(join().wait() == op_status::ok);
      joined();
    }
  }
  operation<step> join() { return operation<step>(std::in_place_type<step>, owner); }
  void after() { halt.destroy(); }
};

/// Work that begins more work keeps the join waiting.
struct work_begins_work : with_work<work_begins_work, 3> {
  void thread(unsigned index) {
    if (index == 0) {
      counter->begin();
      end(0);
      written[2].write();
      counter->end();
    } else if (index == 1) {
      end(1);
    } else {
      sleeper<traits> w;
      if (counter->park(w)) w.block();
      joined(3);
    }
  }
};

/// A stranger begins work while another's end wakes who joins: nothing is lost, nobody wakes twice.
struct stranger_begins : with_work<stranger_begins, 3> {
  void thread(unsigned index) {
    if (index == 0) {
      counter->end();
      counter->end();
    } else if (index == 1) {
      counter->begin();
      counter->end();
    } else {
      sleeper<traits> w;
      if (counter->park(w)) {
        w.block();
        RL_ASSERT(w.wakes() == 1);
      }
    }
  }
  void after() {
    RL_ASSERT(counter->idle());
    counter.destroy();
  }
};

/// Work items that note that they ran, and are watched for races.
struct item : work_item {
  probe payload;
  int runs = 0;
  explicit item(void (*what)(work_item*) noexcept = &count) { this->run = what; }
  static void count(work_item* w) noexcept {
    auto& self = *static_cast<item*>(w);
    self.payload.write();
    ++self.runs;
  }
};

/// Threads post, the last of them finishes; the runner destroys the loop when run() has returned.
template <int Posters>
struct post_and_run : scenario<post_and_run<Posters>, Posters + 1> {
  box<basic_run_loop<traits>> loop;
  item items[2][2];
  int left = Posters;

  void before() { loop.make(); }
  void thread(unsigned index) {
    if (index == Posters) {
      loop->run();
      loop.destroy();
      for (int p = 0; p < Posters; ++p) {
        for (item& i : items[p]) RL_ASSERT(i.runs == 1);
      }
      return;
    }
    for (item& i : items[index]) {
      i.payload.write();
      loop->post(i);
    }
    if (--left == 0) loop->finish();
  }
};

/// An item that finishes the loop: the poster is still inside post() when the loop goes.
struct item_finishes : scenario<item_finishes, 2> {
  struct finisher : work_item {
    basic_run_loop<traits>* loop;
  };
  box<basic_run_loop<traits>> loop;
  finisher f;

  void before() {
    loop.make();
    f.loop = &loop.get();
    f.run = [](work_item* w) noexcept { static_cast<finisher*>(w)->loop->finish(); };
  }
  void thread(unsigned index) {
    if (index == 0) {
      loop->post(f);
    } else {
      loop->run();
      loop.destroy();
    }
  }
};

/// Items come out in the order in which one thread posted them.
struct run_in_order : scenario<run_in_order, 2> {
  struct numbered : work_item {
    int number;
    int* last;
  };
  box<basic_run_loop<traits>> loop;
  numbered items[3];
  int last = -1;

  void before() {
    loop.make();
    for (int n = 0; n < 3; ++n) {
      items[n].number = n;
      items[n].last = &last;
      items[n].run = [](work_item* w) noexcept {
        auto& self = *static_cast<numbered*>(w);
        RL_ASSERT(self.number == *self.last + 1);
        *self.last = self.number;
      };
    }
  }
  void thread(unsigned index) {
    if (index == 0) {
      for (numbered& n : items) loop->post(n);
      loop->finish();
    } else {
      for (int n = 0; n < 3; ++n) RL_ASSERT(loop->run_one());
      RL_ASSERT(!loop->run_one());
      loop.destroy();
      RL_ASSERT(last == 2);
    }
  }
};

/// A timer that posts an item.
struct poster : timer_node {
  box<basic_run_loop<traits>>& loop;
  item what;
  probe added;
  poster(box<basic_run_loop<traits>>& l, std::chrono::steady_clock::time_point when) : loop(l) {
    deadline = when;
    fire = [](timer_node* node) noexcept {
      auto& self = *static_cast<poster*>(node);
      self.added.read();
      self.loop->post(self.what);
    };
  }
};
constexpr auto always = std::chrono::steady_clock::time_point::min();
constexpr auto some_day = std::chrono::steady_clock::time_point::max() - std::chrono::hours(1);

/// The runner sleeps until some day: a timer that is due wakes it, or a post does, or nothing but the
/// deadline; and it may destroy the loop as soon as the last item has run.
template <int Timers, bool Posts>
struct timers_and_run : scenario<timers_and_run<Timers, Posts>, 1 + Timers + (Posts ? 1 : 0)> {
  box<basic_run_loop<traits>> loop;
  std::optional<poster> timers[Timers];
  std::optional<poster> late;
  item posted;

  void before() {
    loop.make();
    for (auto& one : timers) one.emplace(loop, always);
    late.emplace(loop, some_day);
    loop->timers()->add(*late);
  }
  void thread(unsigned index) {
    if (index == 0) {
      for (int n = 0; n < Timers + (Posts ? 1 : 0); ++n) RL_ASSERT(loop->run_one());
      for (auto& one : timers) RL_ASSERT(one->what.runs == 1);
      RL_ASSERT(posted.runs == (Posts ? 1 : 0));
      loop->timers()->remove(*late);
      loop.destroy();
    } else if (index <= Timers) {
      poster& mine = *timers[index - 1];
      mine.added.write();
      loop->timers()->add(mine);
    } else {
      posted.payload.write();
      loop->post(posted);
    }
  }
};

/// A timer is removed while the runner fires it: its fire() is over, or will not be.
struct timer_removed : scenario<timer_removed, 2> {
  box<basic_run_loop<traits>> loop;
  std::optional<poster> timer;

  void before() {
    loop.make();
    timer.emplace(loop, always);
    timer->added.write();
    loop->timers()->add(*timer);
  }
  void thread(unsigned index) {
    if (index == 0) {
      loop->run();
    } else {
      loop->timers()->remove(*timer);
      timer->added.write();
      loop->finish();
    }
  }
  void after() { loop.destroy(); }
};

/// Two posters and a taker: each item is taken once, and not before its poster is done with it.
struct sharing : scenario<sharing, 3> {
  detail::shared_work_list<traits> list;
  item items[3];
  int posted = 0;
  int taken = 0;

  void thread(unsigned index) {
    if (index == 2) {
      if (work_item* w = list.pop()) run(*w);
      if (work_item* w = list.pop_now()) run(*w);
      return;
    }
    for (unsigned i = index; i < 3; i += 2) {
      items[i].payload.write();
      list.push(items[i], [this] { return ++posted; });
    }
  }
  void run(work_item& w) {
    RL_ASSERT(++taken <= posted);
    w.run(&w);
  }
  void after() {
    while (work_item* w = list.pop()) run(*w);
    RL_ASSERT(taken == 3);
    for (item& i : items) RL_ASSERT(i.runs == 1);
    RL_ASSERT(list.pop_now() == nullptr);
  }
};

/// Who takes an item may destroy the list, and what then() has looked at: the unlock is its poster's last
/// touch.
struct taker_destroys : scenario<taker_destroys, 2> {
  box<detail::shared_work_list<traits>> list;
  item posted;
  probe looked_at;

  void before() { list.make(); }
  void thread(unsigned index) {
    if (index == 0) {
      list->push(posted, [this] { return looked_at.read(), 0; });
    } else {
      while (list->pop_now() == nullptr) model::yield();
      looked_at.write();
      list.destroy();
    }
  }
};

template <class Fence>
struct fenced_traits : traits {
  using fence = Fence;
};

/// The owner of a list, and a thief: each item is taken once.
template <class Fence>
struct stealing : scenario<stealing<Fence>, 2> {
  using list_type = detail::owned_work_list<fenced_traits<Fence>>;
  list_type list;
  list_type other;
  item items[4];

  void thread(unsigned index) {
    if (index == 0) {
      for (int i = 0; i < 3; ++i) {
        items[i].payload.write();
        list.push(items[i]);
        if (i == 1) run(list.pop());
      }
      run(list.pop());
    } else {
      other.push(items[3]);
      other.steal(list);
      while (work_item* w = other.pop()) run(w);
    }
  }
  static void run(work_item* w) {
    if (w != nullptr) w->run(w);
  }
  void after() {
    while (work_item* w = list.pop()) run(w);
    for (item& i : items) RL_ASSERT(i.runs == 1);
    RL_ASSERT(list.looks_empty() && other.looks_empty());
  }
};

/// A thief comes away with something where there is something, be it one item.
template <class Fence>
struct stealing_the_last : scenario<stealing_the_last<Fence>, 2> {
  using list_type = detail::owned_work_list<fenced_traits<Fence>>;
  list_type list;
  list_type other;
  item items[2];

  void before() { list.push(items[0]); }
  void thread(unsigned index) {
    if (index == 0) {
      list.push(items[1]);
    } else {
      other.steal(list);
      RL_ASSERT(other.pop() != nullptr);
    }
  }
  void after() {
    RL_ASSERT(list.pushed() + other.pushed() >= 3);  // one of them stolen, at least
    for (auto* each : {&list, &other}) {
      while (each->pop() != nullptr) {
      }
      RL_ASSERT(each->looks_empty());
    }
  }
};

/// What a thief has added to its list, others may take from there at once.
template <class Fence>
struct stealing_the_stolen : scenario<stealing_the_stolen<Fence>, 2> {
  using list_type = detail::owned_work_list<fenced_traits<Fence>>;
  list_type list;
  list_type other;
  item stolen;

  void thread(unsigned index) {
    if (index == 0) {
      stolen.payload.write();
      list.push(stolen);
      other.steal(list);
    } else {
      take();
    }
  }
  void take() {
    if (work_item* const w = other.take()) w->run(w);
  }
  void after() {
    take();
    RL_ASSERT(stolen.runs == 1);
  }
};

/// Who is about to sleep says so, then looks; who posts looks for that after it: one sees the other.
template <class Fence>
struct sleeping : scenario<sleeping<Fence>, 2> {
  detail::owned_work_list<fenced_traits<Fence>> list;
  item items[2];
  typename traits::template atomic<bool> sleeps{false};
  int taken = 0;
  bool woken = false;

  void before() {
    list.push(items[0]);
    RL_ASSERT(list.take() == &items[0]);
  }
  void thread(unsigned index) {
    if (index == 0) {
      list.push(items[1]);
      woken = sleeps.load(std::memory_order_relaxed);
    } else {
      sleeps.store(true, std::memory_order_relaxed);
      taken += list.take() != nullptr;
    }
  }
  void after() { RL_ASSERT(woken || taken == 1); }
};

template <class Fence>
void owned_lists() {
  check<stealing<Fence>>("a stolen item runs once", {3, 20000});
  check<stealing_the_last<Fence>>("a thief leaves no single item", {3, 20000});
  check<stealing_the_stolen<Fence>>("a stolen item can be stolen", {3, 20000});
  check<sleeping<Fence>>("who goes to sleep is seen, or sees", {3, 20000});
}

}  // namespace

int main() {
  check<lock_guards>("a spin lock lets one in", {2, 50000});
  check<ends_and_join>("join waits for both ends", {3, 100000});
  check<ends_and_withdraw>("a join is withdrawn or over", {2, 100000});
  check<ends_and_stop>("a join is stopped or over", {2, 50000});
  check<work_begins_work>("work that begins work is joined", {2, 100000});
  check<stranger_begins>("work may begin while a join ends", {2, 100000});
  check<post_and_run<1>>("a run loop runs what one thread posts", {3, 50000});
  check<post_and_run<2>>("a run loop runs what two threads post", {2, 100000});
  check<item_finishes>("the loop goes while post() returns", {3, 50000});
  check<run_in_order>("items run in order", {3, 50000});
  check<timers_and_run<1, false>>("a run loop wakes for a timer, and may go", {3, 50000});
  check<timers_and_run<1, true>>("a run loop wakes for a timer and a post", {2, 100000});
  check<timers_and_run<2, false>>("a run loop wakes for two timers", {2, 100000});
  check<timer_removed>("a timer of a run loop is removed", {3, 50000});
  check<sharing>("a shared item runs once", {2, 100000});
  check<taker_destroys>("who takes an item destroys the list", {3, 20000});
  owned_lists<symmetric_fence>();
  owned_lists<asymmetric_fence>();
  return result();
}
