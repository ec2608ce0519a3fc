// SPDX-License-Identifier: BSL-1.0
#include <millrace/task/run_loop.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/here.hpp"

namespace {

using millrace::run_loop;
using millrace::work_item;

/// A work item that writes its name into a log, and may then post another item.
struct note : work_item {
  std::string& log;
  char name;
  run_loop* loop = nullptr;
  work_item* then = nullptr;
  note(std::string& out, char letter) : log(out), name(letter) {
    run = [](work_item* self) noexcept {
      auto* const me = static_cast<note*>(self);
      me->log += me->name;
      if (me->then != nullptr) me->loop->post(*me->then);
    };
  }
};

struct numbered : work_item {
  std::vector<int>* out = nullptr;
  int n = 0;
  numbered() {
    run = [](work_item* self) noexcept {
      auto* const me = static_cast<numbered*>(self);
      me->out->push_back(me->n);
    };
  }
};

using clock_type = millrace::timer_node::clock;
using namespace std::chrono_literals;

/// A timer that calls a function.
template <class F>
struct timer : millrace::timer_node {
  F f;
  timer(clock_type::time_point when, F function) : f(std::move(function)) {
    deadline = when;
    fire = [](timer_node* self) noexcept { static_cast<timer*>(self)->f(); };
  }
};

}  // namespace

TEST_CASE("a loop runs items in the order in which they were posted, never inside post") {
  std::string log;
  note a(log, 'a');
  note b(log, 'b');
  note c(log, 'c');
  run_loop loop;
  a.loop = &loop;
  a.then = &c;
  loop.post(a);
  loop.post(b);
  CHECK(log.empty());
  for (const char* expected : {"a", "ab", "abc"}) {
    CHECK(loop.run_one());
    CHECK(log == expected);
  }
}

TEST_CASE("run ends once what was posted before finish has run") {
  std::string log;
  note a(log, 'a');
  note b(log, 'b');
  note late(log, 'l');
  run_loop loop;
  b.loop = &loop;
  b.then = &late;
  loop.post(a);
  loop.post(b);
  loop.finish();
  loop.run();
  CHECK(log == "ab");
  loop.finish();
  loop.run();
  CHECK(log == "abl");
  loop.finish();
  CHECK_FALSE(loop.run_one());
}

TEST_CASE("an item knows which loop runs it") {
  struct spy : work_item {
    millrace::executor_ref seen;
    spy() {
      run = [](work_item* self) noexcept { static_cast<spy*>(self)->seen = support::here(); };
    }
  };
  run_loop loop;
  spy item;
  loop.post(item);
  CHECK(loop.run_one());
  CHECK(item.seen == millrace::executor_ref(loop));
  CHECK_FALSE(support::here());
}

TEST_CASE("each thread's items run once and in its order") {
  constexpr std::size_t threads = 3;
  constexpr int each = 20000;
  std::vector<numbered> items[threads];
  std::vector<int> ran[threads];
  run_loop loop;
  std::vector<std::thread> posters;
  for (std::size_t t = 0; t < threads; ++t) {
    items[t] = std::vector<numbered>(each);
    for (int i = 0; i < each; ++i) {
      items[t][static_cast<std::size_t>(i)].n = i;
      items[t][static_cast<std::size_t>(i)].out = &ran[t];
    }
    posters.emplace_back([&loop, &mine = items[t]] {
      for (auto& item : mine) loop.post(item);
    });
  }
  for (std::size_t i = 0; i < threads * each; ++i) loop.run_one();
  for (auto& p : posters) p.join();
  for (const auto& mine : ran) {
    REQUIRE(mine.size() == each);
    int wrong = 0;
    for (int i = 0; i < each; ++i) wrong += mine[static_cast<std::size_t>(i)] != i;
    CHECK(wrong == 0);
  }
}

TEST_CASE("a sleeping loop is woken by each post, and may go once it has run the item") {
  constexpr int turns = 20000;
  std::atomic<run_loop*> shared{nullptr};
  int written = 0;  // handed over by the loops alone
  std::thread poster([&] {
    for (int i = 0; i < turns; ++i) {
      run_loop* loop = nullptr;
      while ((loop = shared.exchange(nullptr)) == nullptr) std::this_thread::yield();
      written = i + 1;
      loop->finish();
    }
  });
  int wrong = 0;
  for (int i = 0; i < turns; ++i) {
    auto loop = std::make_unique<run_loop>();
    shared.store(loop.get());
    loop->run();
    loop.reset();
    if (written != i + 1) ++wrong;
  }
  poster.join();
  CHECK(wrong == 0);
}

TEST_CASE("a loop fires its timers after their deadlines, in order, on the thread that runs it") {
  run_loop loop;
  std::string log;
  bool early = false;
  bool elsewhere = false;
  const auto start = clock_type::now();
  const auto note = [&](char letter, clock_type::duration after) {
    return timer(start + after, [&, letter, after] {
      log += letter;
      early |= clock_type::now() < start + after;
      elsewhere |= support::here() != millrace::executor_ref(loop);
      if (log.size() == 3) loop.finish();
    });
  };
  auto c = note('c', 2ms);
  auto a = note('a', -1h);
  auto b = note('b', 1ms);
  auto hour = note('h', 1h);
  for (millrace::timer_node* node :
       {static_cast<millrace::timer_node*>(&c), static_cast<millrace::timer_node*>(&a),
        static_cast<millrace::timer_node*>(&b), static_cast<millrace::timer_node*>(&hour)}) {
    loop.timers()->add(*node);
  }
  CHECK(log.empty());
  loop.run();
  loop.timers()->remove(hour);
  CHECK(log == "abc");
  CHECK_FALSE(early);
  CHECK_FALSE(elsewhere);
  CHECK_FALSE(support::here());
}

TEST_CASE("what a timer hands on to runs on the loop") {
  struct spy : work_item {
    millrace::executor_ref seen;
    spy() {
      run = [](work_item* self) noexcept { static_cast<spy*>(self)->seen = support::here(); };
    }
  };
  run_loop loop;
  spy item;
  timer dispatches(clock_type::now(),
                   [&] { millrace::detail::trampoline<millrace::default_traits>::dispatch(item, {}); });
  loop.timers()->add(dispatches);
  CHECK(loop.run_one());
  CHECK(item.seen == millrace::executor_ref(loop));
}

TEST_CASE("a loop that sleeps until a deadline wakes for an earlier one, and for work") {
  run_loop loop;
  timer hour(clock_type::now() + 1h, [] {});
  loop.timers()->add(hour);
  for (int i = 0; i < 500; ++i) {
    timer now(clock_type::now(), [&] { loop.finish(); });
    std::thread other([&] {
      if (i % 2 == 0) {
        loop.timers()->add(now);
      } else {
        loop.finish();
      }
    });
    loop.run();
    other.join();
  }
  loop.timers()->remove(hour);
  CHECK_FALSE(hour.is_pending);
}

TEST_CASE("work that keeps a loop busy does not keep its timers from firing") {
  run_loop loop;
  bool fired = false;
  struct busy : work_item {
    run_loop& home;
    bool& end;
    int turns = 0;
    busy(run_loop& l, bool& e) : home(l), end(e) {
      run = [](work_item* self) noexcept {
        auto* const me = static_cast<busy*>(self);
        if (++me->turns < 50'000'000 && !me->end) {
          me->home.post(*me);
        } else {
          me->home.finish();
        }
      };
    }
  } forever(loop, fired);
  timer soon(clock_type::now() + 1ms, [&] { fired = true; });
  loop.timers()->add(soon);
  loop.post(forever);
  loop.run();
  CHECK(fired);

  forever.turns = 50'000'000 - 40;  // due already: it does not take 40 items
  fired = false;
  timer past(clock_type::now(), [&] { fired = true; });
  loop.timers()->add(past);
  loop.post(forever);
  loop.run();
  CHECK(forever.turns < 50'000'000 - 20);
}

TEST_CASE("a loop may go once a timer has ended it, although its add() has not returned") {
  constexpr int turns = 5000;
  std::atomic<run_loop*> shared{nullptr};
  struct ends : millrace::timer_node {
    run_loop* loop = nullptr;
    ends() {
      fire = [](timer_node* self) noexcept { static_cast<ends*>(self)->loop->finish(); };
    }
  } timers[2];
  std::thread adder([&] {
    for (int i = 0; i < turns; ++i) {
      run_loop* loop = nullptr;
      while ((loop = shared.exchange(nullptr)) == nullptr) std::this_thread::yield();
      ends& mine = timers[i % 2];
      mine.deadline = clock_type::time_point::min();
      mine.loop = loop;
      loop->timers()->add(mine);
    }
  });
  for (int i = 0; i < turns; ++i) {
    auto loop = std::make_unique<run_loop>();
    shared.store(loop.get());
    loop->run();
  }
  adder.join();
  CHECK(shared.load() == nullptr);
}
