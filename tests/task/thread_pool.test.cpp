// SPDX-License-Identifier: BSL-1.0
#include <millrace/task/thread_pool.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/here.hpp"

namespace {

using millrace::thread_pool;
using millrace::work_item;
using namespace std::chrono_literals;

/// A work item that counts how often it runs, and then posts another one.
struct chained : work_item {
  std::atomic<int> runs{0};
  thread_pool* pool = nullptr;
  chained* then = nullptr;
  chained() {
    run = [](work_item* self) noexcept {
      auto* const me = static_cast<chained*>(self);
      me->runs.fetch_add(1);
      if (me->then != nullptr) me->pool->post(*me->then);
    };
  }
};

/// `n` chains of `length` links.
std::deque<chained> chains(thread_pool& pool, std::size_t n, std::size_t length) {
  std::deque<chained> links(n * length);
  for (std::size_t i = 0; i < links.size(); ++i) {
    links[i].pool = &pool;
    if ((i + 1) % length != 0) links[i].then = &links[i + 1];
  }
  return links;
}

std::size_t not_run_once(const std::deque<chained>& links) {
  std::size_t wrong = 0;
  for (const chained& one : links) {
    if (one.runs.load() != 1) ++wrong;
  }
  return wrong;
}

/// A work item that calls a function.
template <class F>
struct call : work_item {
  F f;
  explicit call(F function) : f(std::move(function)) {
    run = [](work_item* self) noexcept { static_cast<call*>(self)->f(); };
  }
};

using clock_type = millrace::timer_node::clock;

/// A timer that calls a function.
template <class F>
struct timer : millrace::timer_node {
  F f;
  timer(clock_type::time_point when, F function) : f(std::move(function)) {
    deadline = when;
    fire = [](timer_node* self) noexcept { static_cast<timer*>(self)->f(); };
  }
};

/// Until the workers that have nothing to do are likely to sleep.
void let_them_sleep() {
  const auto until = clock_type::now() + 1ms;
  while (clock_type::now() < until) {
  }
}

/// Posts a work item to its own worker, then blocks that worker until the item has run.
struct blocker : work_item {
  struct release : work_item {
    std::promise<void> ran;
    release() {
      run = [](work_item* self) noexcept { static_cast<release*>(self)->ran.set_value(); };
    }
  };
  thread_pool& pool;
  release item;
  bool in_time = false;
  explicit blocker(thread_pool& p) : pool(p) {
    run = [](work_item* self) noexcept {
      auto* const me = static_cast<blocker*>(self);
      me->pool.post(me->item);
      me->in_time = me->item.ran.get_future().wait_for(60s) == std::future_status::ready;
    };
  }
};

}  // namespace

TEST_CASE("a pool of no threads is refused") {
  CHECK_THROWS_AS(thread_pool(0), std::invalid_argument);
  CHECK_THROWS_WITH(thread_pool(0), Catch::Matchers::Contains("run_loop"));
  CHECK(thread_pool(3).size() == 3);
}

TEST_CASE("items run on threads of the pool") {
  millrace::executor_ref seen;
  std::thread::id where;
  call note([&] {
    seen = support::here();
    where = std::this_thread::get_id();
  });
  millrace::executor_ref home;
  {
    thread_pool pool(1);
    home = pool;
    pool.post(note);
  }
  CHECK(seen == home);
  CHECK(where != std::thread::id());
  CHECK(where != std::this_thread::get_id());
}

TEST_CASE("every item runs once, posted by threads and by items") {
  const unsigned workers = GENERATE(1u, 2u, 4u);
  constexpr std::size_t threads = 3;
  constexpr std::size_t each = 2000;
  std::deque<chained> links;
  {
    thread_pool pool(workers);
    links = chains(pool, threads * each, 4);
    std::vector<std::thread> posters;
    for (std::size_t t = 0; t < threads; ++t) {
      posters.emplace_back([&, t] {
        for (std::size_t i = 0; i < each; ++i) pool.post(links[(t * each + i) * 4]);
      });
    }
    for (auto& p : posters) p.join();
  }
  CHECK(not_run_once(links) == 0);
}

TEST_CASE("the destructor runs what was posted, and what that posts") {
  std::deque<chained> links;
  {
    thread_pool pool(2);
    links = chains(pool, 3, 1000);
    for (std::size_t i = 0; i < 3; ++i) pool.post(links[i * 1000]);
  }
  CHECK(not_run_once(links) == 0);
}

TEST_CASE("pools start and stop at any moment") {
  std::size_t wrong = 0;
  for (unsigned cycle = 0; cycle < 300; ++cycle) {
    std::deque<chained> links;
    {
      thread_pool pool(1 + cycle % 3);
      links = chains(pool, cycle % 5, 3);
      for (std::size_t i = 0; i < cycle % 5; ++i) pool.post(links[i * 3]);
    }
    wrong += not_run_once(links);
  }
  CHECK(wrong == 0);
}

TEST_CASE("a pool may go once the last item has run, although its poster is still on its way") {
  std::atomic<thread_pool*> shared{nullptr};
  constexpr int cycles = 500;
  std::atomic<bool> ran{false};
  call note([&] { ran.store(true); });
  std::thread poster([&] {
    for (int i = 0; i < cycles; ++i) {
      thread_pool* pool = nullptr;
      while ((pool = shared.exchange(nullptr)) == nullptr) std::this_thread::yield();
      pool->post(note);
    }
  });
  for (int i = 0; i < cycles; ++i) {
    auto pool = std::make_unique<thread_pool>(2);
    ran.store(false);
    shared.store(pool.get());
    while (!ran.load()) std::this_thread::yield();
  }
  poster.join();
  CHECK(ran.load());
}

TEST_CASE("one worker runs what it posts in order") {
  std::vector<int> order;
  thread_pool* where = nullptr;
  call first([&] { order.push_back(1); });
  call second([&] { order.push_back(2); });
  call third([&] { order.push_back(3); });
  call all([&] {
    where->post(first);
    where->post(second);
    where->post(third);
    order.push_back(0);
  });
  {
    thread_pool pool(1);
    where = &pool;
    pool.post(all);
  }
  CHECK(order == std::vector<int>{0, 1, 2, 3});
}

TEST_CASE("a worker runs what it posts itself before what others have posted") {
  std::vector<char> order;
  thread_pool* where = nullptr;
  call mine([&] { order.push_back('m'); });
  call others([&] { order.push_back('o'); });
  call first([&] {
    std::thread([&] { where->post(others); }).join();
    where->post(mine);
  });
  {
    thread_pool pool(1);
    where = &pool;
    pool.post(first);
  }
  CHECK(order == std::vector<char>{'m', 'o'});
}

TEST_CASE("work that keeps a worker busy does not keep other threads' work out") {
  std::atomic<bool> stop{false};
  int turns = 0;
  thread_pool pool(1);
  struct busy : work_item {
    std::atomic<bool>& end;
    int& count;
    thread_pool& home;
    std::promise<void> ended;
    busy(std::atomic<bool>& e, int& n, thread_pool& p) : end(e), count(n), home(p) {
      run = [](work_item* self) noexcept {
        auto* const me = static_cast<busy*>(self);
        ++me->count;
        if (me->end.load() || me->count == 50'000'000) {
          me->ended.set_value();
        } else {
          me->home.post(*me);
        }
      };
    }
  } forever(stop, turns, pool);
  call end([&] { stop.store(true); });
  pool.post(forever);
  pool.post(end);
  forever.ended.get_future().wait();
  CHECK(stop.load());
}

TEST_CASE("the work of a blocked worker is taken over") {
  const unsigned workers = GENERATE(2u, 4u, 70u);
  CAPTURE(workers);
  std::deque<blocker> blockers;
  {
    thread_pool pool(workers);
    for (unsigned i = 0; i + 1 < workers; ++i) blockers.emplace_back(pool);
    for (auto& b : blockers) pool.post(b);
  }
  std::size_t late = 0;
  for (const auto& b : blockers) {
    if (!b.in_time) ++late;
  }
  CHECK(late == 0);
}

TEST_CASE("a pool wakes for each post, however long it has had nothing to do") {
  thread_pool pool(2);
  int turns = 0;
  for (int i = 0; i < 500; ++i) {
    // Up to 200 us, around the time after which workers go to sleep.
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(i % 5 * 50);
    while (std::chrono::steady_clock::now() < until) {
    }
    std::promise<void> ran;
    call note([&] { ran.set_value(); });
    pool.post(note);
    ran.get_future().wait();
    ++turns;
  }
  CHECK(turns == 500);
}

TEST_CASE("a pool without work uses little of the processor") {
  thread_pool pool(4);
  std::promise<void> ran;
  call note([&] { ran.set_value(); });
  pool.post(note);
  ran.get_future().wait();
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(200ms);
  const double used = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  CHECK(used < 0.2 * 0.2);
}

namespace {

/// Lets something happen at the moment when a worker says that it goes to sleep.
struct about_to_sleep : millrace::default_traits {
  static constexpr std::uint64_t goes_to_sleep = (std::uint64_t{1} << 32) - 1;
  static inline std::function<void()> before;
  static inline std::function<void()> after;

  static void once(std::function<void()>& hook) {
    if (hook) std::exchange(hook, nullptr)();
  }

  template <class T>
  struct atomic : std::atomic<T> {
    using std::atomic<T>::atomic;
    T fetch_add(T n, std::memory_order order) noexcept {
      if (n != static_cast<T>(goes_to_sleep)) return std::atomic<T>::fetch_add(n, order);
      once(before);
      const T old = std::atomic<T>::fetch_add(n, order);
      once(after);
      return old;
    }
  };
};

}  // namespace

TEST_CASE("work that comes while its worker goes to sleep is done at once") {
  millrace::basic_thread_pool<about_to_sleep> pool(1);
  auto* const before = &about_to_sleep::before;
  auto* const after = &about_to_sleep::after;
  const bool by_another = GENERATE(false, true);  // posted by another thread than the worker itself
  CAPTURE(by_another);
  for (auto* const moment : {before, after, before, after}) {
    std::promise<void> done;
    call late([&] { done.set_value(); });
    const auto post_late = [&] {
      if (by_another) {
        std::thread([&] { pool.post(late); }).join();
      } else {
        pool.post(late);
      }
    };
    call first([&] { *moment = post_late; });
    pool.post(first);
    done.get_future().wait();
    CHECK_FALSE(*moment);

    // By now it sleeps in earnest, and wakes for the next work.
    const auto until = std::chrono::steady_clock::now() + 1ms;
    while (std::chrono::steady_clock::now() < until) {
    }
    std::promise<void> woken;
    call next([&] { woken.set_value(); });
    pool.post(next);
    woken.get_future().wait();
  }
}

namespace {

/// Once it is armed, calls a function whenever a worker is in the list of sleepers and about to say so, and
/// another one where it has looked for work in vain, and sleeps.
struct listed_as_sleeper : millrace::default_traits {
  static inline std::atomic<bool> armed{false};
  static inline std::function<void()> hook;
  static inline std::function<void()> before_sleep;

  struct parker : millrace::default_traits::parker {
    using base = millrace::default_traits::parker;
    void park() noexcept {
      if (armed.load()) before_sleep();
      base::park();
    }
    template <class TimePoint>
    bool park_until(TimePoint deadline) noexcept {
      if (armed.load()) before_sleep();
      return base::park_until(deadline);
    }
  };

  template <class T>
  struct atomic : std::atomic<T> {
    using std::atomic<T>::atomic;
    T fetch_add(T n, std::memory_order order) noexcept {
      if (n == static_cast<T>(about_to_sleep::goes_to_sleep) && armed.load()) hook();
      return std::atomic<T>::fetch_add(n, order);
    }
  };
};

}  // namespace

TEST_CASE("a worker that finds work while it goes to sleep leaves those asleep who came after it") {
  constexpr int workers = 3;
  std::promise<void> keeper_sleeps;
  std::promise<void> first_listed;
  std::promise<void> second_listed;
  std::promise<void> late_runs;
  const std::shared_future<void> late_ran = late_runs.get_future().share();
  std::atomic<int> listed{0};
  std::atomic<int> asleep{0};
  std::atomic<int> together{0};
  const auto meet = [&] {
    together.fetch_add(1);
    while (together.load() < workers) std::this_thread::yield();
  };
  call late([&] { late_runs.set_value(); });
  call until_keeper([&] { keeper_sleeps.get_future().wait(); });
  call until_first([&] { first_listed.get_future().wait(); });
  call arm([&] { listed_as_sleeper::armed.store(true); });
  call one(meet);
  call two(meet);
  call three(meet);
  {
    millrace::basic_thread_pool<listed_as_sleeper> pool(workers);
    listed_as_sleeper::hook = [&] {
      const int before = listed.fetch_add(1);  // 0: the one that armed it, which will keep the time
      if (before == 1) {
        first_listed.set_value();
        second_listed.get_future().wait();
        pool.post(late);  // to its own list: nobody is awake who could take it
      } else if (before == 2) {
        second_listed.set_value();
        late_ran.wait();
      }
    };
    listed_as_sleeper::before_sleep = [&] {
      if (asleep.fetch_add(1) == 0) keeper_sleeps.set_value();
    };
    pool.post(until_keeper);
    pool.post(until_first);
    pool.post(arm);
    late_ran.wait();
    pool.post(one);  // there are still three workers to wake
    pool.post(two);
    pool.post(three);
  }
  listed_as_sleeper::armed.store(false);
  CHECK(together.load() == workers);
}

TEST_CASE("a timer that comes while its worker goes to sleep is fired at once") {
  millrace::basic_thread_pool<about_to_sleep> pool(1);
  auto* const before = &about_to_sleep::before;
  auto* const after = &about_to_sleep::after;
  for (auto* const moment : {before, after, before, after}) {
    for (const auto delay : {-1h, 0h}) {
      std::promise<void> done;
      timer late(clock_type::now() + delay, [&] { done.set_value(); });
      call first([&] { *moment = [&] { pool.timers()->add(late); }; });
      pool.post(first);
      done.get_future().wait();
      pool.timers()->remove(late);
      CHECK_FALSE(*moment);
    }
    let_them_sleep();
    std::promise<void> woken;
    timer next(clock_type::now(), [&] { woken.set_value(); });
    pool.timers()->add(next);
    woken.get_future().wait();
    pool.timers()->remove(next);
  }
}

TEST_CASE("timers fire on workers, after their deadlines, and what they hand on to runs on the pool") {
  const unsigned workers = GENERATE(1u, 2u, 4u);
  thread_pool pool(workers);
  for (int i = 0; i < 40; ++i) {
    if (i % 2 == 0) let_them_sleep();
    std::promise<millrace::executor_ref> ran;
    millrace::executor_ref seen;
    clock_type::time_point when;
    call item([&] { ran.set_value(support::here()); });
    timer one(clock_type::now() + std::chrono::microseconds(i * 50 - 100), [&] {
      seen = support::here();
      when = clock_type::now();
      millrace::detail::trampoline<millrace::default_traits>::dispatch(item, {});
    });
    pool.timers()->add(one);
    CHECK(ran.get_future().get() == millrace::executor_ref(pool));
    pool.timers()->remove(one);
    CHECK(seen == millrace::executor_ref(pool));
    CHECK(when >= one.deadline);
  }
}

TEST_CASE("sleeping workers wake for the earliest timer, and for one that is earlier still") {
  const unsigned workers = GENERATE(1u, 3u);
  thread_pool pool(workers);
  timer hour(clock_type::now() + 1h, [] {});
  pool.timers()->add(hour);
  std::atomic<int> wrong{0};
  for (int i = 0; i < 30; ++i) {
    let_them_sleep();
    std::atomic<int> fired{0};
    std::promise<void> all;
    const auto now = clock_type::now();
    const auto note = [&](int n) {
      return timer(now + std::chrono::microseconds(200 * n), [&, n] {
        if (clock_type::now() < now + std::chrono::microseconds(200 * n)) ++wrong;
        if (++fired == 3) all.set_value();
      });
    };
    auto third = note(3);
    auto second = note(2);
    auto first = note(1);
    for (auto* each : {&third, &second, &first}) pool.timers()->add(*each);
    all.get_future().wait();
    for (auto* each : {&third, &second, &first}) pool.timers()->remove(*each);
  }
  pool.timers()->remove(hour);
  CHECK(wrong.load() == 0);
}

TEST_CASE("a timer fires in time although all workers but one are blocked") {
  const unsigned workers = GENERATE(2u, 4u);
  int rounds = 0;
  thread_pool pool(workers);
  for (int i = 0; i < 20; ++i) {
    std::promise<void> fired;
    auto over = fired.get_future().share();
    struct waits : work_item {
      std::shared_future<void> end;
      std::atomic<unsigned>& ended;
      waits(std::shared_future<void> e, std::atomic<unsigned>& n) : end(std::move(e)), ended(n) {
        run = [](work_item* self) noexcept {
          auto* const me = static_cast<waits*>(self);
          auto& count = me->ended;
          me->end.wait();
          ++count;
        };
      }
    };
    std::atomic<unsigned> ended{0};
    std::deque<waits> items;
    timer one(clock_type::now() + 1ms, [&] { fired.set_value(); });
    if (i % 2 == 0) pool.timers()->add(one);
    if (i % 4 < 2) let_them_sleep();
    for (unsigned n = 0; n + 1 < workers; ++n) items.emplace_back(over, ended);
    for (auto& item : items) pool.post(item);
    if (i % 2 != 0) pool.timers()->add(one);
    over.wait();
    pool.timers()->remove(one);
    while (ended.load() + 1 < workers) std::this_thread::yield();
    ++rounds;
  }
  CHECK(rounds == 20);
}

TEST_CASE("work that keeps all workers busy does not keep timers from firing") {
  const unsigned workers = GENERATE(1u, 2u);
  thread_pool pool(workers);
  std::atomic<bool> fired{false};
  struct busy : work_item {
    std::atomic<bool>& end;
    thread_pool& home;
    std::promise<void> ended;
    int turns = 0;
    busy(std::atomic<bool>& e, thread_pool& p) : end(e), home(p) {
      run = [](work_item* self) noexcept {
        auto* const me = static_cast<busy*>(self);
        if (me->end.load() || ++me->turns == 50'000'000) {
          me->ended.set_value();
        } else {
          me->home.post(*me);
        }
      };
    }
  };
  std::deque<busy> items;
  for (unsigned i = 0; i < workers; ++i) items.emplace_back(fired, pool);
  timer soon(clock_type::now() + 1ms, [&] { fired.store(true); });
  pool.timers()->add(soon);
  for (auto& item : items) pool.post(item);
  for (auto& item : items) item.ended.get_future().wait();
  pool.timers()->remove(soon);
  CHECK(fired.load());
}

TEST_CASE("a pool stops although it sleeps until a deadline, and starts and stops among timers") {
  std::size_t wrong = 0;
  for (unsigned cycle = 0; cycle < 200; ++cycle) {
    std::deque<chained> links;
    timer hour(clock_type::now() + 1h, [] {});
    timer now(clock_type::now() + std::chrono::microseconds(cycle % 90), [] {});
    {
      thread_pool pool(1 + cycle % 3);
      pool.timers()->add(hour);
      if (cycle % 10 == 0) let_them_sleep();
      links = chains(pool, cycle % 5, 3);
      pool.timers()->add(now);
      for (std::size_t i = 0; i < cycle % 5; ++i) pool.post(links[i * 3]);
      pool.timers()->remove(hour);
      pool.timers()->remove(now);
    }
    wrong += not_run_once(links);
  }
  CHECK(wrong == 0);
}

TEST_CASE("each timer of a pool fires once or is removed before, and no work is lost among them") {
  struct counted : millrace::timer_node {
    int fired = 0;  // handed over by the removal alone
    counted() {
      fire = [](timer_node* self) noexcept { ++static_cast<counted*>(self)->fired; };
    }
  };
  const unsigned workers = GENERATE(1u, 2u, 3u);
  std::deque<chained> links;
  std::atomic<int> wrong{0};
  {
    thread_pool pool(workers);
    links = chains(pool, 600, 3);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < 2; ++t) {
      threads.emplace_back([&, t] {
        for (std::size_t i = 0; i < 300; ++i) {
          counted few[3];
          int n = 0;
          for (auto& one : few) {
            one.deadline =
                clock_type::now() + std::chrono::microseconds((i * 7 + t) % 60 * static_cast<unsigned>(n++));
            pool.timers()->add(one);
          }
          pool.post(links[(t * 300 + i) * 3]);
          if (i % 8 == 0) std::this_thread::sleep_for(std::chrono::microseconds(i % 100));
          for (auto& one : few) {
            pool.timers()->remove(one);
            if (one.fired > 1) ++wrong;
          }
        }
      });
    }
    for (auto& t : threads) t.join();
  }
  CHECK(wrong.load() == 0);
  CHECK(not_run_once(links) == 0);
}

TEST_CASE("a pool that sleeps until a deadline uses little of the processor") {
  thread_pool pool(4);
  timer hour(clock_type::now() + 1h, [] {});
  pool.timers()->add(hour);
  let_them_sleep();
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(200ms);
  const double used = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  pool.timers()->remove(hour);
  CHECK(used < 0.2 * 0.2);
}

TEST_CASE("a pool that cannot start all its threads throws, and has ended those that it started") {
  if (!support::counts_allocations) return;
  std::size_t k = 0;
  for (bool made = false; !made; ++k) {
    const support::failing_allocations later(k);
    try {
      const thread_pool pool(3);
      made = true;
    } catch (const std::bad_alloc&) {
    }
  }
  CHECK(k >= 5);  // one allocation for the pool, at least one for each thread
}
