// SPDX-License-Identifier: BSL-1.0
#include <millrace/task/thread_pool.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <deque>
#include <functional>
#include <future>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

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
  struct pair {
    std::promise<void> ran;
    bool in_time = false;
    thread_pool& pool;
    call<std::function<void()>> inner{[this] { ran.set_value(); }};
    call<std::function<void()>> outer{[this] {
      pool.post(inner);  // to this worker, which now blocks
      in_time = ran.get_future().wait_for(60s) == std::future_status::ready;
    }};
    explicit pair(thread_pool& p) : pool(p) {}
  };
  std::deque<pair> pairs;
  {
    thread_pool pool(workers);
    for (unsigned i = 0; i + 1 < workers; ++i) pairs.emplace_back(pool);
    for (auto& p : pairs) pool.post(p.outer);
  }
  std::size_t late = 0;
  for (const auto& p : pairs) {
    if (!p.in_time) ++late;
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
