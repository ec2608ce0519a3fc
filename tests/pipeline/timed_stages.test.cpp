// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/timed_stages.hpp>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include <millrace/pipeline/branches.hpp>
#include <millrace/pipeline/error_policy.hpp>
#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/running_pipeline.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/pipeline/stage.hpp>
#include <millrace/queue/bounded_queue.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"
#include "support/virtual_time.hpp"

using namespace millrace;
using support::numbers;
using namespace std::chrono_literals;
using support::virtual_time;

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

TEST_CASE(
    "a batch that has begun waits for a message between two attempts, also where its source is at its end") {
  virtual_time time;
  std::vector<int> fails{1};
  const auto once = [&](const int& n) { return n == 1 && !std::exchange(fails, {}).empty() ? throw 1 : n; };
  const retry later{.attempts = 2, .first = 1s, .jitter = 0};
  const auto two = [](int) { return numbers(2); };
  auto run = start(time, from(numbers(1)) | flat_map(two) | map(once).on_error(later) | batch(3) | collect());
  time.advance(500ms);
  time.advance(1s);
  CHECK(run.wait() == std::vector<std::vector<int>>{{0, 1}});
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
