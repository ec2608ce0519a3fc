// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/stage.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <millrace/pipeline/branches.hpp>
#include <millrace/pipeline/error_policy.hpp>
#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/running_pipeline.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/pipeline/timed_stages.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/manual_executor.hpp"
#include "support/numbers.hpp"

using namespace millrace;
using support::numbers;

namespace {

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

TEST_CASE("flat_map with workers gives every element, and works on several messages at a time") {
  const auto twice = [](int n) { return std::vector<int>{n, n}; };
  auto given =
      through(500, flat_map(twice, {.workers = 4, .capacity = 8}) | map([](int n) { return n + 1; }));
  std::sort(given.begin(), given.end());
  REQUIRE(given.size() == 1000);
  for (int i = 0; i < 1000; ++i) CHECK(given[static_cast<std::size_t>(i)] == i / 2 + 1);

  support::manual_executor home;
  bounded_queue<int> out(1);
  const auto forever = [](int n) { return [n]() -> std::optional<int> { return n; }; };
  auto run = start(home, from(numbers(2)) | flat_map(forever, {.workers = 2}) | into(out));
  const auto next = [&] {
    while (home.run_one()) {
    }
    return *out.try_pop();
  };
  int seen[2] = {};
  for (int i = 0; i < 10; ++i) ++seen[next()];
  CHECK(seen[0] > 0);
  CHECK(seen[1] > 0);
  run.stop();
  while (home.run_one()) {
  }
  run.wait();
}

TEST_CASE("flat_map with several workers refuses to be ordered") {
  const auto one = [](int n) { return std::vector<int>{n}; };
  CHECK(through(3, flat_map(one, {.ordered = true})) == numbers(3));
  CHECK_THROWS_WITH(
      from(numbers(3)) | flat_map(one, {.workers = 2, .ordered = true, .name = "split"}),
      "millrace: split with 2 workers cannot be ordered: let map do the work, and unbatch what that "
      "gives");
  CHECK_THROWS_WITH(from(numbers(3)) | flat_map(one, {.workers = 0, .name = "split"}),
                    "millrace: split with 0 workers would never do anything: ask for 1 or more");
}

TEST_CASE("each worker of a flat_map gives what it has kept back") {
  struct counter {
    int seen = 0;
    auto give(int n) {
      return [n]() mutable -> std::optional<int> {
        return n == 0 ? std::nullopt : std::optional(std::exchange(n, 0));
      };
    }
    auto operator()(int) {
      ++seen;
      return give(0);
    }
    auto finish() { return give(seen); }
  };
  for (const std::size_t workers : {1u, 3u}) {
    const std::vector<int> given = through(100, flat_map(counter(), {.workers = workers}));
    int sum = 0;
    for (const int n : given) sum += n;
    CHECK(sum == 100);
    CHECK(given.size() <= workers);
  }
}

TEST_CASE("what is kept back comes after a message that is tried again, itself kept back") {
  struct last {
    std::vector<int> operator()(int n) { return {n}; }
    std::vector<int> finish() { return {-1}; }
  };
  const auto fails_once = [failed = false](const std::vector<int>& some) mutable {
    if (some.size() == 1 && !std::exchange(failed, true)) throw std::runtime_error("no");
    return some.front();
  };
  const auto soon = retry{.attempts = 2, .first = std::chrono::milliseconds(1)};
  CHECK(through(3, batch(2) | map(fails_once).on_error(soon) | flat_map(last())) ==
        std::vector<int>{0, 2, -1});
}
