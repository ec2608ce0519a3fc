// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/error_policy.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <millrace/pipeline/branches.hpp>
#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/running_pipeline.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/pipeline/stage.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/make_channel.hpp>
#include <millrace/task/task.hpp>

#include "support/catch.hpp"
#include "support/virtual_time.hpp"

using namespace millrace;
using namespace std::chrono_literals;
using support::virtual_time;

namespace {

/// A function that throws at messages of its choice, and remembers when it was called.
struct stubborn {
  virtual_time* time;
  std::vector<long>* calls;  // in ms
  int fails_at = 1;
  int passes_after = 1'000'000;

  int operator()(const int& n) const {
    calls->push_back(time->elapsed() / 1ms);
    if (n == fails_at && static_cast<int>(calls->size()) <= passes_after)
      throw std::runtime_error("stubborn");
    return n;
  }
};

std::vector<int> left(bounded_queue<int>& queue) {
  std::vector<int> all;
  while (const auto message = queue.try_pop()) all.push_back(*message);
  return all;
}

const retry even{.attempts = 5, .first = 10ms, .factor = 3, .jitter = 0, .most = 200ms};

/// What on_undelivered was given.
struct handed_over {
  std::vector<int>* numbers;
  void operator()(const undelivered& message) const { numbers->push_back(*message.get_if<int>()); }
};

}  // namespace

TEST_CASE("a retry follows its schedule") {
  retry six = even;
  six.attempts = 6;
  for (const bool own_workers : {false, true}) {
    virtual_time time;
    std::vector<long> calls;
    bounded_queue<int> out(8);
    const stubborn f{&time, &calls};
    auto run = own_workers
                   ? start(time, from(std::vector<int>{1}) | map(f, {.workers = 1}).on_error(six) | into(out))
                   : start(time, from(std::vector<int>{1}) | map(f).on_error(six) | into(out));
    time.advance(10s);
    CHECK(calls == std::vector<long>{0, 10, 40, 130, 330, 530});  // 10, 30, 90, and 200 at most
    CHECK_THROWS_WITH(run.wait(), "stubborn");
  }
}

TEST_CASE("a message that a later attempt takes goes on, and the next one begins anew") {
  virtual_time time;
  std::vector<long> calls;
  auto run = start(
      time, from(std::vector<int>{0, 1, 2}) | map(stubborn{&time, &calls, 1, 3}).on_error(even) | collect());
  time.advance(1s);
  CHECK(run.wait() == std::vector<int>{0, 1, 2});
  CHECK(calls == std::vector<long>{0, 0, 10, 40, 40});

  calls.clear();
  auto again = start(
      time, from(std::vector<int>{1, 1}) | map(stubborn{&time, &calls}).on_error(even, skip()) | collect());
  time.advance(2s);
  CHECK(again.wait().empty());
  REQUIRE(calls.size() == 10);
  CHECK(calls[5] == calls[4]);
  CHECK(calls[6] == calls[5] + 10);
}

TEST_CASE("jitter makes each delay longer or shorter, by no more than its part") {
  virtual_time time;
  std::vector<long> calls;
  const retry jittered{.attempts = 200, .first = 1s, .factor = 1, .jitter = 0.5};
  auto run = start(
      time, from(std::vector<int>{1}) | map(stubborn{&time, &calls}).on_error(jittered, skip()) | collect());
  time.advance(1h);
  CHECK(run.wait().empty());
  REQUIRE(calls.size() == 200);
  long shortest = 1000;
  long longest = 1000;
  for (std::size_t i = 1; i < calls.size(); ++i) {
    const long delay = calls[i] - calls[i - 1];
    if (delay < shortest) shortest = delay;
    if (delay > longest) longest = delay;
  }
  CHECK(shortest >= 499);
  CHECK(shortest < 700);  // 200 times, it is spread
  CHECK(longest <= 1501);
  CHECK(longest > 1300);
}

TEST_CASE("a stage that skips hands the message over and goes on") {
  virtual_time time;
  std::vector<long> calls;
  std::vector<int> handed;
  auto run =
      start(time, from(std::vector<int>{0, 1, 2}) | map(stubborn{&time, &calls}).on_error(skip()) | collect(),
            handed_over{&handed});
  time.advance(0s);
  CHECK(run.wait() == std::vector<int>{0, 2});
  CHECK(handed == std::vector<int>{1});
}

TEST_CASE("a dead letter has the message, why, how often, and where") {
  virtual_time time;
  std::vector<long> calls;
  bounded_queue<failed<int>> letters(4);
  auto run =
      start(time, from(std::vector<int>{0, 1, 2}) |
                      map(stubborn{&time, &calls}, {.name = "parse"}).on_error(even, dead_letter(letters)) |
                      collect());
  time.advance(1s);
  CHECK(run.wait() == std::vector<int>{0, 2});
  auto letter = letters.try_pop();
  REQUIRE(letter);
  CHECK(letter->message == 1);
  CHECK(letter->attempts == 5);
  CHECK(letter->stage == "parse");
  CHECK_THROWS_WITH(std::rethrow_exception(letter->error), "stubborn");
  CHECK(!letters.is_closed());
  CHECK(!letters.try_pop());
}

TEST_CASE("a full queue of dead letters holds the stage back, a closed one hands the message over") {
  virtual_time time;
  std::vector<long> calls;
  bounded_queue<int> out(8);
  bounded_queue<failed<int>> letters(1);
  std::vector<int> handed;
  auto run = start(time,
                   from(std::vector<int>{1, 1, 2, 1, 3}) |
                       map(stubborn{&time, &calls}).on_error(dead_letter(letters)) | into(out),
                   handed_over{&handed});
  time.advance(0s);
  CHECK(left(out).empty());  // the second 1 waits
  CHECK(letters.try_pop()->message == 1);
  time.advance(0s);
  CHECK(left(out) == std::vector<int>{2});
  letters.close();
  time.advance(0s);
  run.wait();
  CHECK(left(out) == std::vector<int>{3});
  CHECK(handed == std::vector<int>{1});
  CHECK(letters.try_pop()->message == 1);
  CHECK(!letters.try_pop());
}

TEST_CASE("a stage keeps its producer of dead letters") {
  virtual_time time;
  std::vector<long> calls;
  auto [letters, box] = make_channel<failed<int>>(4);
  {
    auto run = start(
        time, from(std::vector<int>{1}) |
                  map(stubborn{&time, &calls}, {.workers = 2}).on_error(dead_letter(std::move(letters))) |
                  collect());
    time.advance(0s);
    CHECK(run.wait().empty());
    CHECK(box.try_pop()->message == 1);
    CHECK(!box.is_closed());
  }
  CHECK(box.is_closed());
}

TEST_CASE("every stage that calls a function settles what it throws") {
  virtual_time time;
  const auto throws_at_1 = [](const int& n) { return n == 1 ? throw std::runtime_error("one") : n; };
  const auto passes = [=](const int& n) { return throws_at_1(n) != 5; };
  const auto twice = [=](const int& n) { return std::vector<int>(2, throws_at_1(n)); };
  const auto later = [=](int n) -> task<int> { co_return throws_at_1(n); };
  const auto through = [&](auto stage) {
    std::vector<int> handed;
    auto run =
        start(time, from(std::vector<int>{0, 1, 2}) | std::move(stage) | collect(), handed_over{&handed});
    time.advance(1s);
    CHECK(handed == std::vector<int>{1});
    return run.wait();
  };
  const std::vector<int> two{0, 2};
  CHECK(through(map(throws_at_1).on_error(skip())) == two);
  CHECK(through(filter(passes).on_error(skip())) == two);
  CHECK(through(tap(throws_at_1).on_error(skip())) == two);
  CHECK(through(flat_map(twice).on_error(skip())) == std::vector<int>{0, 0, 2, 2});
  CHECK(through(map(later).on_error(even, skip())) == two);
  CHECK(through(map(later, {.workers = 1}).on_error(even, skip())) == two);
  CHECK(through(map(later, {.workers = 3, .ordered = true}).on_error(even, skip())) == two);
  CHECK(through(map(throws_at_1, {.workers = 3, .ordered = true}).on_error(even, skip())) == two);
  CHECK(through(by_key([](int n) { return n; }, 2) | map(throws_at_1).on_error(skip()) |
                map([](int n) { return n; }, {.workers = 1})) == two);

  for (const bool own_workers : {false, true}) {
    std::vector<int> seen;
    std::vector<int> handed;
    const auto sees = [&](const int& n) { seen.push_back(throws_at_1(n)); };
    const auto sees_later = [&](int n) -> task<> {
      seen.push_back(throws_at_1(n));
      co_return;
    };
    const auto run = [&](auto sink) {
      auto running = start(time, from(std::vector<int>{0, 1, 2}) | std::move(sink), handed_over{&handed});
      time.advance(1s);
      running.wait();
    };
    if (own_workers) {
      run(for_each(sees, {.workers = 1}).on_error(skip()));
      run(for_each(sees_later, {.workers = 1}).on_error(even, skip()));
    } else {
      run(for_each(sees).on_error(skip()));
      run(for_each(sees_later).on_error(even, skip()));
    }
    CHECK(seen == std::vector<int>{0, 2, 0, 2});
    CHECK(handed == std::vector<int>{1, 1});
  }
}

TEST_CASE("an ordered stage that tries again keeps the order") {
  virtual_time time;
  std::vector<long> calls;
  const stubborn f{&time, &calls, 1, 4};
  auto run = start(time, from(std::vector<int>{0, 1, 2, 3}) |
                             map(f, {.workers = 3, .ordered = true}).on_error(even) | collect());
  time.advance(1s);
  CHECK(run.wait() == std::vector<int>{0, 1, 2, 3});
  CHECK(calls.size() > 4);
}

TEST_CASE("who is stopped between two attempts hands the message over") {
  virtual_time time;
  std::vector<long> calls;
  std::vector<int> handed;
  const auto stopped = [&](auto stage) {
    calls.clear();
    handed.clear();
    auto run = start(time, from(std::vector<int>{1}) | std::move(stage) | collect(), handed_over{&handed});
    time.advance(5ms);
    run.stop();
    time.advance(0s);
    CHECK(run.wait().empty());
    CHECK(calls == std::vector<long>{calls.front()});
    CHECK(handed == std::vector<int>{1});
  };
  const stubborn f{&time, &calls};
  stopped(map(f).on_error(even, skip()));
  stopped(map(f, {.workers = 2, .ordered = true}).on_error(even, skip()));
  stopped(map([&](int n) -> task<int> { co_return f(n); }).on_error(even, skip()));
}

TEST_CASE("a stage may drain while it waits for another attempt") {
  virtual_time time;
  std::vector<long> calls;
  bounded_queue<int> in(4);
  auto run = start(time, from(in) | map(stubborn{&time, &calls, 1, 1}).on_error(even) | collect());
  REQUIRE(in.try_push(1) == op_status::ok);
  time.advance(5ms);
  CHECK(calls.size() == 1);
  in.close();
  time.advance(1s);
  CHECK(run.wait() == std::vector<int>{1});
}

TEST_CASE("a retry that makes no sense is refused") {
  const auto same = [](int n) { return n; };
  CHECK_THROWS_WITH(map(same).on_error(retry{.attempts = 0}), "millrace: retry with attempts = 0");
  CHECK_THROWS_WITH(map(same).on_error(retry{.first = -1ns}), "millrace: retry with first (ns) = -1");
  CHECK_THROWS_WITH(map(same).on_error(retry{.most = -2ns}), "millrace: retry with most (ns) = -2");
  CHECK_THROWS_WITH(map(same).on_error(retry{.factor = 0.5}), "millrace: retry with factor < 1: 0.500000");
  CHECK_THROWS_WITH(map(same).on_error(retry{.jitter = 1.5}),
                    "millrace: retry with jitter not in 0 to 1: 1.500000");
}
