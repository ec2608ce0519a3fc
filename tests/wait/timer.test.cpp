// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/timer.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/effort.hpp"
#include "support/small_stack.hpp"

namespace {

using millrace::timer_node;
using millrace::timer_queue;
using time_point = timer_queue::time_point;

/// Made-up points in time.
constexpr time_point at(long n) {
  return time_point() + std::chrono::seconds(n);
}
constexpr time_point never = time_point::max();

/// A timer that calls a function.
template <class F>
struct calls : timer_node {
  F f;
  calls(time_point when, F function) : f(std::move(function)) {
    deadline = when;
    fire = [](timer_node* self) noexcept { static_cast<calls*>(self)->f(); };
  }
};

/// A timer that writes its deadline into a log.
struct logged : timer_node {
  std::vector<time_point>* log = nullptr;
  logged() {
    fire = [](timer_node* self) noexcept {
      auto* const me = static_cast<logged*>(self);
      me->log->push_back(me->deadline);
    };
  }
};

/// Lets the other threads run, if they can, for a good while.
void linger() {
  for (int i = 0; i < 200; ++i) std::this_thread::yield();
}

}  // namespace

TEST_CASE("a queue without timers has no deadline and nothing to fire") {
  timer_queue queue;
  CHECK(queue.earliest() == never);
  CHECK(queue.earliest_now() == never);
  CHECK(queue.expire(never) == 0);
}

TEST_CASE("add says whether the timer is the earliest, by itself or to a function") {
  timer_queue queue;
  logged nodes[5];
  const auto add = [&](std::size_t i, long when) {
    nodes[i].deadline = at(when);
    return queue.add(nodes[i]);
  };
  CHECK(add(0, 5));
  CHECK_FALSE(add(1, 6));
  CHECK_FALSE(add(2, 5));
  CHECK(add(3, 4));
  CHECK(queue.earliest() == at(4));
  CHECK(queue.earliest_now() == at(4));

  int called = 0;
  const auto tell = [&] { return ++called; };
  nodes[4].deadline = at(7);
  CHECK(queue.add(nodes[4], tell) == 0);
  CHECK(called == 0);
  queue.remove(nodes[4]);
  nodes[4].deadline = at(3);
  CHECK(queue.add(nodes[4], tell) == 1);
  CHECK(called == 1);
  for (auto& node : nodes) queue.remove(node);
  CHECK(queue.earliest() == never);
}

TEST_CASE("expire fires what is due, in the order of the deadlines") {
  std::vector<time_point> log;
  std::vector<logged> nodes(6);
  timer_queue queue;
  const long when[] = {5, 1, 4, 2, 6, 3};
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    nodes[i].deadline = at(when[i]);
    nodes[i].log = &log;
    queue.add(nodes[i]);
  }
  CHECK(queue.expire(at(0)) == 0);
  CHECK(queue.expire(at(3)) == 3);
  CHECK(log == std::vector<time_point>{at(1), at(2), at(3)});
  CHECK(queue.earliest() == at(4));
  CHECK(queue.expire(at(3)) == 0);
  CHECK(queue.expire(at(100)) == 3);
  CHECK(log == std::vector<time_point>{at(1), at(2), at(3), at(4), at(5), at(6)});
  CHECK(queue.earliest() == never);
}

TEST_CASE("a deadline may lie before the clock's zero, or never come") {
  std::vector<time_point> log;
  logged nodes[3];
  const time_point when[] = {time_point::min(), at(-3), never};
  timer_queue queue;
  for (std::size_t i = 0; i < 3; ++i) {
    nodes[i].deadline = when[i];
    nodes[i].log = &log;
    queue.add(nodes[i]);
  }
  CHECK(queue.earliest() == time_point::min());
  CHECK(queue.expire(at(-2)) == 2);
  CHECK(queue.expire(never) == 0);
  CHECK(log == std::vector<time_point>{time_point::min(), at(-3)});
  queue.remove(nodes[2]);
}

TEST_CASE("a removed timer is not fired; it may be removed twice, fired or not, and added again") {
  std::vector<time_point> log;
  logged nodes[4];
  timer_queue queue;
  for (std::size_t i = 0; i < 4; ++i) {
    nodes[i].deadline = at(static_cast<long>(i));
    nodes[i].log = &log;
    queue.remove(nodes[i]);
    queue.add(nodes[i]);
  }
  queue.remove(nodes[0]);
  CHECK(queue.earliest() == at(1));
  queue.remove(nodes[2]);
  queue.remove(nodes[2]);
  CHECK(queue.expire(at(9)) == 2);
  CHECK(log == std::vector<time_point>{at(1), at(3)});
  queue.remove(nodes[1]);
  for (const std::size_t i : {1u, 2u}) queue.add(nodes[i]);
  CHECK(queue.expire(at(9)) == 2);
  CHECK(log == std::vector<time_point>{at(1), at(3), at(1), at(2)});
}

TEST_CASE("whatever is added and removed, the queue does as a sorted map would") {
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::minstd_rand random(seed + 1);
    const auto draw = [&](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
    const std::size_t size = std::size_t{1} << draw(10);
    const long span = draw(2) == 0 ? 5 : 1000000;
    const std::size_t weight = 1 + draw(9);  // of 10: how often something is added
    std::vector<time_point> log;
    std::vector<logged> nodes(size);
    for (auto& node : nodes) node.log = &log;
    std::vector<bool> pending(size);
    std::multimap<time_point, std::size_t> expected;
    timer_queue queue;
    long now = 0;
    std::size_t wrong = 0;
    for (int step = 0; step < 3000; ++step) {
      const std::size_t i = draw(size);
      if (draw(10) < weight) {
        if (pending[i]) continue;
        nodes[i].deadline = at(now + static_cast<long>(draw(static_cast<std::size_t>(span))));
        const bool is_earliest = expected.empty() || nodes[i].deadline < expected.begin()->first;
        if (queue.add(nodes[i]) != is_earliest) ++wrong;
        expected.emplace(nodes[i].deadline, i);
        pending[i] = true;
      } else if (draw(4) != 0) {
        queue.remove(nodes[i]);
        if (!pending[i]) continue;
        pending[i] = false;
        auto found = expected.find(nodes[i].deadline);
        while (found->second != i) ++found;
        expected.erase(found);
      } else if (!expected.empty()) {
        log.clear();
        now =
            std::chrono::duration_cast<std::chrono::seconds>(expected.begin()->first - time_point()).count();
        std::vector<time_point> due;
        while (!expected.empty() && expected.begin()->first <= at(now)) {
          due.push_back(expected.begin()->first);
          pending[expected.begin()->second] = false;
          expected.erase(expected.begin());
        }
        if (queue.expire(at(now)) != due.size() || log != due) ++wrong;
      }
      if (queue.earliest() != (expected.empty() ? never : expected.begin()->first)) ++wrong;
    }
    log.clear();
    std::vector<time_point> rest;
    for (const auto& one : expected) rest.push_back(one.first);
    queue.expire(never);
    CAPTURE(seed);
    CHECK(wrong == 0);
    CHECK(log == rest);
  }
}

TEST_CASE("any number of timers needs little stack") {
  constexpr long n = 100000;
  std::vector<time_point> log;
  log.reserve(n);
  std::vector<logged> nodes(n);
  for (auto& node : nodes) node.log = &log;
  std::size_t wrong = 0;
  support::on_a_small_stack([&] {
    for (int order = 0; order < 3; ++order) {
      timer_queue queue;
      log.clear();
      for (long i = 0; i < n; ++i) {
        logged& node = nodes[static_cast<std::size_t>(i)];
        node.deadline = at(order == 0 ? i : order == 1 ? n - i : i * 7919 % n);
        queue.add(node);
      }
      for (std::size_t i = 0; i < n; i += 2) queue.remove(nodes[i]);
      if (queue.expire(never) != n / 2) ++wrong;
      if (!std::is_sorted(log.begin(), log.end())) ++wrong;
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("few timers hang on the earliest, so that taking it is never much work") {
  constexpr long n = 100000;
  std::vector<logged> nodes(n);
  std::minstd_rand random;
  timer_queue queue;
  for (long i = 0; i < n; ++i) {
    logged& node = nodes[static_cast<std::size_t>(i)];
    node.deadline = at(i == 0 ? -1 : i);
    queue.add(node);
  }
  for (long i = 0; i < 2 * n; ++i) {  // as timeouts that do not fire are
    logged& node = nodes[1 + static_cast<std::size_t>(random()) % (n - 1)];
    queue.remove(node);
    node.deadline = at(n + i);
    queue.add(node);
  }
  int below = 0;
  for (const timer_node* node = nodes[0].child; node != nullptr; node = node->next) ++below;
  CHECK(below < 100);
  for (auto& node : nodes) queue.remove(node);
}

TEST_CASE("a timer may add and remove timers, itself too, and expire others") {
  timer_queue queue;
  std::string log;
  calls later(at(9), [&] { log += 'l'; });
  calls victim(at(3), [&] { log += 'v'; });
  calls due_too(at(0), [&] { log += 'd'; });
  calls nested(at(2), [&] { log += 'n'; });
  timer_node* itself = nullptr;
  calls first(at(1), [&] {
    log += '1';
    queue.remove(*itself);
    queue.remove(victim);
    queue.add(later);
    queue.add(due_too);
    CHECK(queue.expire(at(2)) == 2);
    if (log.size() < 5) {
      itself->deadline = at(4);
      queue.add(*itself);
    }
  });
  itself = &first;
  queue.add(first);
  queue.add(victim);
  queue.add(nested);
  CHECK(queue.expire(at(3)) == 1);
  CHECK(log == "1dn");
  queue.remove(later);
  CHECK(queue.earliest() == at(4));
  queue.remove(first);
  CHECK(queue.earliest() == never);
}

TEST_CASE("a timer may destroy itself, removed or not") {
  struct mayfly : timer_node {
    timer_queue& queue;
    int& fired;
    bool removes;
    mayfly(timer_queue& q, int& n, bool r) : queue(q), fired(n), removes(r) {
      deadline = at(0);
      fire = [](timer_node* node) noexcept {
        auto* const self = static_cast<mayfly*>(node);
        ++self->fired;
        if (self->removes) self->queue.remove(*self);
        delete self;
      };
    }
  };
  timer_queue queue;
  int fired = 0;
  for (const bool removes : {false, true, false, true}) queue.add(*new mayfly(queue, fired, removes));
  CHECK(queue.expire(at(0)) == 4);
  CHECK(fired == 4);
}

TEST_CASE("a removal waits for the timer that another thread is firing, also for one added again") {
  const bool adds_again = GENERATE(false, true);
  for (int turn = 0; turn < 20; ++turn) {
    timer_queue queue;
    std::atomic<bool> inside{false};
    std::atomic<bool> removing{false};
    bool done = false;  // handed over by the removal alone
    timer_node* itself = nullptr;
    calls timer(at(1), [&] {
      inside.store(true);
      if (adds_again) queue.add(*itself);
      while (!removing.load()) std::this_thread::yield();
      linger();
      done = true;
    });
    itself = &timer;
    queue.add(timer);
    std::thread driver([&] { queue.expire(at(1)); });
    while (!inside.load()) std::this_thread::yield();
    removing.store(true);
    queue.remove(timer);
    const bool was_done = done;
    driver.join();
    CHECK(was_done);
    CHECK(queue.earliest() == never);
  }
}

TEST_CASE("a slow timer keeps nobody from removing or firing others") {
  timer_queue queue;
  std::atomic<bool> inside{false};
  std::atomic<bool> over{false};
  calls slow(at(1), [&] {
    inside.store(true);
    while (!over.load()) std::this_thread::yield();
  });
  calls victim(at(1), [] { std::abort(); });
  bool fired = false;
  calls other(at(2), [&] { fired = true; });
  queue.add(slow);
  std::thread driver([&] { queue.expire(at(3)); });
  while (!inside.load()) std::this_thread::yield();
  queue.add(victim);
  queue.add(other);
  queue.remove(victim);
  CHECK(queue.expire(at(2)) == 1);
  CHECK(fired);
  over.store(true);
  driver.join();
}

TEST_CASE("each of many timers is fired once or removed before, whoever expires") {
  struct counted : timer_node {
    int fired = 0;  // handed over by the removal alone
    counted() {
      fire = [](timer_node* self) noexcept { ++static_cast<counted*>(self)->fired; };
    }
  };
  const std::size_t rounds = support::effort(20000, 10);
  timer_queue queue;
  std::atomic<std::size_t> bad{0};
  std::atomic<std::size_t> fired{0};
  std::atomic<std::size_t> seen{0};
  std::atomic<int> working{2};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(static_cast<unsigned>(t) + 1);
      for (std::size_t i = 0; i < rounds; ++i) {
        counted few[3];
        for (auto& one : few) {
          one.deadline = at(static_cast<long>(random() % 100));
          queue.add(one);
        }
        if (i % 4 == 0) std::this_thread::yield();
        for (auto& one : few) {
          queue.remove(one);
          if (one.fired > 1) ++bad;
          seen += static_cast<std::size_t>(one.fired);
        }
      }
      --working;
    });
    threads.emplace_back([&] {
      for (long now = 0; working.load() != 0; now = (now + 7) % 100) {
        fired += queue.expire(at(now));
        std::this_thread::yield();
      }
    });
  }
  for (auto& t : threads) t.join();
  CHECK(bad.load() == 0);
  CHECK(fired.load() == seen.load());
  CHECK(queue.earliest() == never);
}

TEST_CASE("timers allocate nothing") {
  const std::size_t before = support::allocations();
  timer_queue queue;
  int fired = 0;
  calls timer(at(1), [&] { ++fired; });
  queue.add(timer);
  queue.expire(at(1));
  CHECK(support::allocations() == before);
  CHECK(fired == 1);
}
