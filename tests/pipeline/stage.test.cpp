// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/stage.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <millrace/pipeline/branches.hpp>
#include <millrace/pipeline/error_policy.hpp>
#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/running_pipeline.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/manual_executor.hpp"
#include "support/virtual_time.hpp"

using namespace millrace;
using namespace std::chrono_literals;
using support::virtual_time;

namespace {

std::vector<int> numbers(int n) {
  std::vector<int> v;
  for (int i = 0; i < n; ++i) v.push_back(i);
  return v;
}

/// What comes out of the stage, which is given 0 to n - 1.
template <class Stage>
auto through(int n, Stage&& stage) {
  thread_pool pool(2);
  return start(pool, from(numbers(n)) | std::forward<Stage>(stage) | collect()).wait();
}

}  // namespace

TEST_CASE("stages follow each other") {
  std::vector<int> seen;
  thread_pool pool(1);
  auto run =
      start(pool, from(numbers(10)) | map([](int n) { return n * 10; }) |
                      filter([](int n) { return n % 20 == 0; }) | tap([&](int n) { seen.push_back(n); }) |
                      flat_map([](int n) { return std::vector<int>{n, n + 1}; }) | batch(4) | unbatch() |
                      map([](int n) { return std::to_string(n); }) | collect());
  CHECK(run.wait() == std::vector<std::string>{"0", "1", "20", "21", "40", "41", "60", "61", "80", "81"});
  CHECK(seen == std::vector<int>{0, 20, 40, 60, 80});
}

TEST_CASE("a stage with workers of its own gives every result, in any order") {
  auto given = through(1000, map([](int n) { return n * 2; }, {.workers = 4, .capacity = 8}));
  std::sort(given.begin(), given.end());
  REQUIRE(given.size() == 1000);
  for (int i = 0; i < 1000; ++i) CHECK(given[static_cast<std::size_t>(i)] == 2 * i);
}

TEST_CASE("an ordered stage gives its results in order, however long each takes") {
  const auto spin = [](int n) {
    volatile int left = (n * 7919) % 2000;
    while (left > 0) left = left - 1;
    return n;
  };
  for (const std::size_t workers : {1u, 2u, 64u}) {
    for (const std::size_t capacity : {1u, 3u, 128u}) {
      CHECK(through(500, map(spin, {.workers = workers, .ordered = true, .capacity = capacity})) ==
            numbers(500));
    }
  }
}

TEST_CASE("one message that takes long does not keep others from being worked on") {
  bounded_queue<int> gate(1);
  std::atomic<int> done{0};
  const auto first_waits = [&](int n) -> task<int> {
    if (n == 0) static_cast<void>(co_await gate.pop());
    ++done;
    co_return n;
  };
  bounded_queue<int> out(16);
  support::manual_executor home;
  auto run = start(
      home, from(numbers(12)) | map(first_waits, {.workers = 2, .ordered = true, .capacity = 8}) | into(out));
  const auto run_all = [&] {
    while (home.run_one()) {
    }
  };
  run_all();
  CHECK(done == 7);  // what the window holds, but for the first
  CHECK(out.size_approx() == 0);
  REQUIRE(gate.try_push(0) == op_status::ok);
  run_all();
  CHECK(done == 12);
  for (int n = 0; n < 12; ++n) CHECK(*out.try_pop() == n);
  run.wait();
}

TEST_CASE("ordered stages follow each other, and one that throws loses nothing") {
  const auto add = [](int n) { return n + 1; };
  thread_pool pool(2);
  auto run =
      start(pool, from(numbers(300)) | map(add, {.workers = 3, .ordered = true}) |
                      map([](int n) -> task<int> { co_return n + 1; }, {.workers = 2, .ordered = true}) |
                      collect());
  const std::vector<int> given = run.wait();
  REQUIRE(given.size() == 300);
  for (int i = 0; i < 300; ++i) CHECK(given[static_cast<std::size_t>(i)] == i + 2);

  for (const int fails : {0, 5, 9}) {
    bounded_queue<int> out(16);
    support::manual_executor home;
    std::vector<int> seen;
    const auto throws = [=](int n) { return n == fails ? throw std::runtime_error("no") : n; };
    auto failing = start(
        home, from(numbers(10)) | map(throws, {.workers = 3, .ordered = true, .capacity = 4}) | into(out),
        [&](const undelivered& message) {
          CHECK(message.stage() == "map #1");
          seen.push_back(*message.get_if<int>());
        });
    while (home.run_one()) {
    }
    CHECK_THROWS_WITH(failing.wait(), "no");
    while (const auto message = out.try_pop()) seen.push_back(*message);
    std::sort(seen.begin(), seen.end());
    CHECK(std::unique(seen.begin(), seen.end()) == seen.end());
    CHECK(std::find(seen.begin(), seen.end(), fails) != seen.end());
  }
}

TEST_CASE("a stage with one worker of its own keeps the order") {
  CHECK(through(100, map([](int n) { return n; }, {.capacity = 1})) == numbers(100));
}

TEST_CASE("a stage of coroutines keeps the order, and joins the stages before it") {
  const auto twice = [](int n) -> task<int> { co_return 2 * n; };
  CHECK(through(5, map(twice)) == std::vector<int>{0, 2, 4, 6, 8});
  CHECK(through(3, map(twice, {.workers = 1})) == std::vector<int>{0, 2, 4});
  thread_pool pool(2);
  auto run =
      start(pool, from(numbers(3)) | map([](int n) { return n + 1; }) | map(twice) | map(twice) | collect());
  CHECK(run.wait() == std::vector<int>{4, 8, 12});
}

TEST_CASE("workers have copies of their function, one stage after the other has its own") {
  std::atomic<int> copies{0};
  struct counts {
    std::atomic<int>* copies;
    explicit counts(std::atomic<int>& c) : copies(&c) {}
    counts(const counts& other) : copies(other.copies) { ++*copies; }
    counts(counts&& other) noexcept = default;
    int operator()(int n) const { return n; }
  };
  auto given = through(10, map(counts(copies), {.workers = 3}));
  CHECK(given.size() == 10);
  CHECK(copies == 2);

  int calls = 0;  // by one worker, although the stage before has two
  thread_pool pool(2);
  auto run = start(pool, from(numbers(1000)) | map([](int n) { return n; }, {.workers = 2}) | map([&](int n) {
                           ++calls;
                           return n;
                         }) | collect());
  CHECK(run.wait().size() == 1000);
  CHECK(calls == 1000);
}

TEST_CASE("a function that cannot be copied is refused where each worker needs one") {
  const auto stage = [](std::size_t workers) {
    return map([one = std::make_unique<int>(1)](int n) { return n + *one; },
               {.workers = workers, .name = "add"});
  };
  CHECK(through(2, stage(1)) == std::vector<int>{1, 2});
  CHECK_THROWS_WITH(from(numbers(1)) | stage(2),
                    "millrace: add has 2 workers, so its function must be one that can be copied");
}

TEST_CASE("stages that could never work are refused, where they are added") {
  const auto same = [](int n) { return n; };
  CHECK_THROWS_AS(from(numbers(1)) | map(same, {.workers = 0}), std::invalid_argument);
  CHECK_THROWS_AS(from(numbers(1)) | map(same, {.capacity = 0}), std::invalid_argument);
  CHECK_THROWS_WITH(
      from(numbers(1)) | map(same) | buffer(0),
      "millrace: buffer #2 behind a queue of capacity 0 would never get a message: ask for 1 or more");
  CHECK_THROWS_WITH(from(numbers(1)) | batch(0),
                    "millrace: batch #1 of 0 messages would never be full: ask for 1 or more");
}

TEST_CASE("a buffer separates its sides") {
  CHECK(through(100, buffer(3)) == numbers(100));
}

TEST_CASE("what a full buffer does not keep is handed over") {
  for (const auto overflow : {overflow_policy::displace_oldest, overflow_policy::reject}) {
    bounded_queue<int> out(2);
    support::manual_executor home;
    std::vector<int> lost;
    {
      auto run =
          start(home, from(numbers(10)) | buffer(3, overflow) | into(out), [&](const undelivered& message) {
            CHECK(message.stage() == "buffer #1");
            lost.push_back(*message.get_if<int>());
          });
      while (home.run_one()) {
        while (out.try_pop()) {
        }
      }
    }
    REQUIRE(lost.size() == 7);
    CHECK(lost == (overflow == overflow_policy::reject ? std::vector<int>{3, 4, 5, 6, 7, 8, 9}
                                                       : std::vector<int>{0, 1, 2, 3, 4, 5, 6}));
  }
}

TEST_CASE("stages without options cost no queue, and no allocation for a message") {
  const auto allocations = [](int n) {
    bounded_queue<int> out(static_cast<std::size_t>(n));
    support::manual_executor home;
    std::vector<int> messages = numbers(n);
    const std::size_t before = support::allocations();
    auto run =
        start(home, from(std::move(messages)) | map([](int x) { return x + 1; }) |
                        filter([](int) { return true; }) | map([](int x) { return x * 2; }) | into(out));
    while (home.run_one()) {
    }
    CHECK(out.size_approx() == static_cast<std::size_t>(n));
    return support::allocations() - before;
  };
  CHECK(allocations(1) == allocations(1000));
}

TEST_CASE("a batch leaves when it is full, or its time is over") {
  virtual_time time;
  bounded_queue<int> in(16);
  bounded_queue<std::vector<int>> out(16);
  auto run = start(time, from(in) | batch(3, 50ms) | into(out));
  const auto push = [&](int n) { REQUIRE(in.try_push(n) == op_status::ok); };
  const auto given = [&] {
    auto message = out.try_pop();
    return message ? *std::move(message) : std::vector<int>{};
  };
  time.advance(1s);
  CHECK(given().empty());  // none is empty
  push(1);
  time.advance(30ms);
  push(2);
  time.advance(19ms);
  CHECK(given().empty());
  time.advance(1ms);
  CHECK(given() == std::vector<int>{1, 2});  // 50 ms after the first
  for (int n = 3; n < 7; ++n) push(n);
  time.advance(49ms);
  CHECK(given() == std::vector<int>{3, 4, 5});
  CHECK(given().empty());
  time.advance(1ms);
  CHECK(given() == std::vector<int>{6});
  push(7);
  time.advance(0s);
  in.close();
  time.advance(0s);
  CHECK(given() == std::vector<int>{7});
  run.wait();
}

TEST_CASE("a batch's time is over also where messages keep coming") {
  virtual_time time;
  bounded_queue<int> in(16);
  bounded_queue<std::vector<int>> out(16);
  auto run = start(time, from(in) | batch(100, 10ms) | into(out));
  for (int n = 0; n < 12; ++n) {
    REQUIRE(in.try_push(n) == op_status::ok);
    time.advance(3ms);
  }
  CHECK(out.try_pop()->size() == 4);
  CHECK(out.try_pop()->size() == 4);
  in.close();
  time.advance(0s);
  run.wait();
}

TEST_CASE("a timed stage keeps its time behind any source, and behind stages that pause") {
  virtual_time time;
  bounded_queue<int> in(16);
  std::vector<int> fails{1};
  const auto once = [&](const int& n) { return n == 1 && !std::exchange(fails, {}).empty() ? throw 1 : n; };
  const auto groups = [&](auto&& before) {
    auto run = start(time, std::forward<decltype(before)>(before) | batch(10, 50ms) | collect());
    time.advance(2s);
    in.close();
    time.advance(0s);
    return run.wait();
  };
  for (int n = 0; n < 3; ++n) REQUIRE(in.try_push(n) == op_status::ok);
  const retry later{.attempts = 2, .first = 1s, .jitter = 0};
  CHECK(groups(from(in) | map(once).on_error(later)) == std::vector<std::vector<int>>{{0}, {1, 2}});
  CHECK(groups(from(numbers(3))) == std::vector<std::vector<int>>{{0, 1, 2}});
  CHECK(groups(from(numbers(2)) | map([](int n) { return n; }, {.workers = 1})) ==
        std::vector<std::vector<int>>{{0, 1}});
  CHECK(groups(from(numbers(2)) | by_key([](int) { return 0; }, 1)) == std::vector<std::vector<int>>{{0, 1}});
}

TEST_CASE("of messages that follow each other soon, debounce gives the last one") {
  virtual_time time;
  bounded_queue<int> in(16);
  bounded_queue<int> out(16);
  auto run = start(time, from(in) | debounce(30ms) | into(out));
  for (int n = 0; n < 4; ++n) {
    REQUIRE(in.try_push(n) == op_status::ok);
    time.advance(29ms);
    CHECK(out.size_approx() == 0);
  }
  time.advance(1ms);
  CHECK(*out.try_pop() == 3);
  REQUIRE(in.try_push(4) == op_status::ok);
  time.advance(1ms);
  in.close();
  time.advance(0s);
  CHECK(*out.try_pop() == 4);
  CHECK(!out.try_pop());
  run.wait();
}

TEST_CASE("timed stages follow each other, and a stop gives back what they keep") {
  virtual_time time;
  bounded_queue<int> in(16);
  bounded_queue<std::vector<int>> out(16);
  std::vector<int> handed;
  auto run = start(time, from(in) | debounce(10ms) | batch(5, 100ms) | into(out),
                   [&](const undelivered& message) { handed.push_back(*message.get_if<int>()); });
  for (int n = 0; n < 3; ++n) {
    REQUIRE(in.try_push(n) == op_status::ok);
    time.advance(20ms);
  }
  CHECK(out.size_approx() == 0);
  time.advance(70ms);
  CHECK(*out.try_pop() == std::vector<int>{0, 1, 2});
  REQUIRE(in.try_push(3) == op_status::ok);
  time.advance(20ms);
  REQUIRE(in.try_push(4) == op_status::ok);
  time.advance(5ms);
  run.stop();
  time.advance(0s);
  std::sort(handed.begin(), handed.end());
  CHECK(handed == std::vector<int>{3, 4});
  CHECK(!out.try_pop());
}

TEST_CASE("a throttle lets a burst pass, and then a rate") {
  virtual_time time;
  bounded_queue<int> out(64);
  bounded_queue<int> in(64);
  auto run = start(time, from(in) | throttle(10, 3) | into(out));
  for (int n = 0; n < 8; ++n) REQUIRE(in.try_push(n) == op_status::ok);
  const auto passed = [&] {
    int n = 0;
    while (out.try_pop()) ++n;
    return n;
  };
  time.advance(0s);
  CHECK(passed() == 3);
  time.advance(99ms);
  CHECK(passed() == 0);
  time.advance(1ms);
  CHECK(passed() == 1);
  time.advance(400ms);
  CHECK(passed() == 4);
  time.advance(200ms);  // it saves for two of a burst
  for (int n = 0; n < 8; ++n) REQUIRE(in.try_push(n) == op_status::ok);
  time.advance(0s);
  CHECK(passed() == 2);
  in.close();
  time.advance(10s);
  CHECK(passed() == 6);
  run.wait();
}

TEST_CASE("a throttle keeps the order, and a stop gives back the message that waits") {
  virtual_time time;
  std::vector<int> handed;
  bounded_queue<int> out(64);
  auto run = start(time, from(numbers(5)) | by_key([](int n) { return n; }, 1) | throttle(1) | into(out),
                   [&](const undelivered& message) { handed.push_back(*message.get_if<int>()); });
  time.advance(1500ms);
  CHECK(*out.try_pop() == 0);
  CHECK(*out.try_pop() == 1);
  CHECK(!out.try_pop());
  run.stop();
  time.advance(0s);
  std::sort(handed.begin(), handed.end());
  CHECK(handed == std::vector<int>{2, 3, 4});
}

TEST_CASE("times and rates that make no sense are refused") {
  CHECK_THROWS_WITH(from(numbers(1)) | batch(3, 0s),
                    "millrace: batch #1 with a time of 0 ns: ask for more than 0");
  CHECK_THROWS_WITH(from(numbers(1)) | debounce(-1ns),
                    "millrace: debounce #1 with a time of -1 ns: ask for more than 0");
  CHECK_THROWS_WITH(
      from(numbers(1)) | throttle(0),
      "millrace: throttle #1 of 0.000000 messages a second, 1 at once, would never let any pass: ask "
      "for more than 0");
  CHECK_THROWS_WITH(
      from(numbers(1)) | throttle(1, 0),
      "millrace: throttle #1 of 1.000000 messages a second, 0 at once, would never let any pass: ask "
      "for more than 0");
}
