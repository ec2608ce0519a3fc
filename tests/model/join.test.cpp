// SPDX-License-Identifier: BSL-1.0
//
// What waits for work to end or to come, under every schedule: the join counter, the run loop, the
// list that the workers of a pool share, and the lock below them.

#include <support/model.hpp>

#include <millrace/detail/spin_lock.hpp>
#include <millrace/task/join_counter.hpp>
#include <millrace/task/run_loop.hpp>
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
    if (counter->park(&w) == detail::progress::parked) {
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
      if (counter->park(&w) == detail::progress::parked) {
        if (!counter->withdraw()) {
          w.block();
          return joined();
        }
        RL_ASSERT(w.wakes() == 0);
      }
    }
    sleeper<traits> again;
    if (counter->park(&again) == detail::progress::parked) again.block();
    joined();
  }
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
      if (counter->park(&w) == detail::progress::parked) w.block();
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
      if (counter->park(&w) == detail::progress::parked) {
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

/// A poster, a thief and the owner: each item is taken once, and not before its poster is done with it.
struct stealing : scenario<stealing, 3> {
  detail::shared_work_list<traits> list;
  detail::shared_work_list<traits> other;
  item items[3];
  int posted = 0;
  int taken = 0;

  void thread(unsigned index) {
    if (index == 0) {
      for (item& i : items) {
        i.payload.write();
        list.push(i, [this] { return ++posted; });
      }
    } else if (index == 1) {
      list.steal_into(other);
      while (work_item* w = other.pop_now()) run(*w);
    } else {
      if (work_item* w = list.pop()) run(*w);
      if (work_item* w = list.pop_now()) run(*w);
    }
  }
  void run(work_item& w) {
    RL_ASSERT(++taken <= posted);
    w.run(&w);
  }
  void after() {
    while (work_item* w = list.pop_now()) run(*w);
    RL_ASSERT(taken == 3);
    for (item& i : items) RL_ASSERT(i.runs == 1);
    RL_ASSERT(list.looks_empty() && other.looks_empty());
  }
};

/// Who takes an item may destroy the list, for what its poster does beside the push it has done before.
struct taker_destroys : scenario<taker_destroys, 2> {
  box<detail::shared_work_list<traits>> list;
  item posted;

  void before() { list.make(); }
  void thread(unsigned index) {
    if (index == 0) {
      list->push(posted, [this] { return list->pushed(); });
    } else {
      while (list->pop_now() == nullptr) model::yield();
      list.destroy();
    }
  }
};

/// A thief comes away with something where there is something, be it one item, and may share its list.
struct stealing_the_last : scenario<stealing_the_last, 2> {
  detail::shared_work_list<traits> list;
  detail::shared_work_list<traits> other;
  item items[3];

  void before() { list.push(items[0]); }
  void thread(unsigned index) {
    if (index == 0) {
      other.push(items[1]);
      list.push(items[2]);
    } else {
      list.steal_into(other);
      RL_ASSERT(other.pop_now() != nullptr);
    }
  }
  void after() {
    RL_ASSERT(list.pushed() + other.pushed() == 4);  // one of them stolen
    for (auto* each : {&list, &other}) {
      while (each->pop_now() != nullptr) {
      }
      RL_ASSERT(each->looks_empty());
    }
  }
};

}  // namespace

int main() {
  check<lock_guards>("a spin lock lets one in", {2, 50000});
  check<ends_and_join>("join waits for both ends", {3, 100000});
  check<ends_and_withdraw>("a join is withdrawn or over", {2, 100000});
  check<work_begins_work>("work that begins work is joined", {2, 100000});
  check<stranger_begins>("work may begin while a join ends", {2, 100000});
  check<post_and_run<1>>("a run loop runs what one thread posts", {3, 50000});
  check<post_and_run<2>>("a run loop runs what two threads post", {2, 100000});
  check<item_finishes>("the loop goes while post() returns", {3, 50000});
  check<run_in_order>("items run in order", {3, 50000});
  check<stealing>("a stolen item runs once", {2, 100000});
  check<taker_destroys>("who takes an item destroys the list", {3, 20000});
  check<stealing_the_last>("a thief leaves no single item", {3, 20000});
  return result();
}
