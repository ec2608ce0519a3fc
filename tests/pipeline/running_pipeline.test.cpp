// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/running_pipeline.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/pipeline/stage.hpp>
#include <millrace/pipeline/timed_stages.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/unbounded_queue.hpp>
#include <millrace/task/sync_wait.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>

#include "support/accounted.hpp"
#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/manual_executor.hpp"

using namespace millrace;
using namespace std::chrono_literals;
using support::accounted;
using support::ledger;
using support::manual_executor;

namespace {

using accounted_queue = bounded_queue<accounted>;

void fill(accounted_queue& q, ledger& book, int n) {
  for (int i = 0; i < n; ++i) REQUIRE(q.try_push(accounted(book, i)) == op_status::ok);
}
void settle(accounted_queue& q) {
  while (auto message = q.try_pop()) message->settle();
}
void run_all(manual_executor& home) {
  while (home.run_one()) {
  }
}
const auto settles = [](const undelivered& message) { message.get_if<accounted>()->settle(); };
const auto same = [](accounted& m) { return accounted(std::move(m)); };

}  // namespace

TEST_CASE("a pipeline runs on its executor, and is finished when its source is") {
  manual_executor home;
  bounded_queue<int> in(4);
  bounded_queue<int> out(4);
  auto run = start(home, from(in) | map([](int n) { return n + 1; }) | into(out));
  CHECK(home.posted() == 1);
  REQUIRE(in.try_push(1) == op_status::ok);
  CHECK(out.size_approx() == 0);
  run_all(home);
  CHECK(*out.try_pop() == 2);
  in.close();
  run_all(home);
  CHECK(run.finished().wait() == op_status::ok);
  CHECK(run.finished().wait() == op_status::ok);
  CHECK(out.is_closed());
}

TEST_CASE("a pipeline that never has to wait lets others go first from time to time") {
  static constexpr std::size_t all = 10'000;
  const auto looks = [](auto source) {
    manual_executor home;
    unbounded_queue<int> out;
    auto run = start(home, std::move(source) | map([](int n) { return n + 1; }) | into(out));
    REQUIRE(home.run_one());
    const std::size_t done = out.size_approx();
    CHECK(done > 0);
    CHECK(done <= 256);
    run_all(home);
    run.wait();
    CHECK(out.size_approx() == all);
  };
  unbounded_queue<int> in;
  for (std::size_t i = 0; i < all; ++i) REQUIRE(in.try_push(1) == op_status::ok);
  in.close();
  looks(from(in));
  looks(from(std::vector<int>(all)));
  looks(from(std::vector<std::vector<int>>(1, std::vector<int>(all))) | unbatch());
}

TEST_CASE("finished() gives in to a deadline") {
  bounded_queue<int> in(1);
  thread_pool pool(1);
  auto run = start(pool, from(in) | collect());
  CHECK(run.finished().within(1ms).wait() == op_status::timeout);
  in.close();
  CHECK(run.wait().empty());
}

TEST_CASE("where a stage throws, finished() rethrows, what is behind ends with it, and nothing is lost") {
  ledger book;
  {
    accounted_queue in(16);
    accounted_queue out(16);
    fill(in, book, 10);
    manual_executor home;
    std::vector<std::string> where;
    auto run = start(home,
                     from(in) | map(same) | buffer(2) | map([](accounted& m) {
                       if (m.number() == 5) throw std::runtime_error("five");
                       return accounted(std::move(m));
                     }) | buffer(2) |
                         into(out),
                     [&](const undelivered& message) {
                       where.emplace_back(message.stage());
                       message.get_if<accounted>()->settle();
                     });
    run_all(home);
    CHECK_THROWS_WITH(run.wait(), "five");
    CHECK_THROWS_WITH(std::rethrow_exception(out.close_reason()), "five");
    CHECK(out.size_approx() == 5);
    REQUIRE_FALSE(where.empty());
    CHECK(where[0] == "map #3");  // it was in hand; what follows was on its way
    CHECK_FALSE(in.is_closed());
    settle(in);
    settle(out);
  }
  CHECK(book.made == 10);
  CHECK(book.is_balanced());
}

TEST_CASE("a coroutine that throws fails the pipeline, and its message is handed over") {
  for (const bool gives : {true, false}) {
    ledger book;
    {
      accounted_queue in(4);
      accounted_queue out(4);
      fill(in, book, 3);
      manual_executor home;
      const auto fails = [](accounted& m) -> task<accounted> {
        if (m.number() == 1) throw std::runtime_error("one");
        co_return std::move(m);
      };
      const auto ends = [](accounted& m) -> task<> {
        if (m.number() == 1) throw std::runtime_error("one");
        m.settle();
        co_return;
      };
      auto run = gives ? start(home, from(in) | map(fails) | into(out), settles)
                       : start(home, from(in) | for_each(ends), settles);
      run_all(home);
      CHECK_THROWS_WITH(run.wait(), "one");
      settle(in);
      settle(out);
    }
    CHECK(book.made == 3);
    CHECK(book.is_balanced());
  }
}

TEST_CASE("stop() ends a pipeline, with all that is inside handed over") {
  ledger book;
  {
    accounted_queue in(16);
    accounted_queue out(2);
    fill(in, book, 12);
    manual_executor home;
    auto run = start(home,
                     from(in) | map(same) | buffer(3) | batch(2) | unbatch() |
                         map([](accounted& m) -> task<accounted> { co_return std::move(m); }) | into(out),
                     settles);
    run_all(home);  // until all is full
    CHECK(out.size_approx() == 2);
    CHECK(in.size_approx() < 8);
    run.stop();
    run_all(home);
    CHECK(run.finished().wait() == op_status::ok);
    CHECK(out.is_closed());
    settle(in);
    settle(out);
  }
  CHECK(book.made == 12);
  CHECK(book.is_balanced());
}

TEST_CASE("what a stage throws once it is stopped is no failure") {
  bounded_queue<int> in(1);
  bounded_queue<int> never(1);
  REQUIRE(in.try_push(7) == op_status::ok);
  manual_executor home;
  std::vector<int> lost;
  auto run = start(home, from(in) | map([&](int) -> task<int> {
                           auto message = co_await never.pop();
                           co_return message.value();
                         }) | collect(),
                   [&](const undelivered& message) { lost.push_back(*message.get_if<int>()); });
  run_all(home);
  run.stop();
  run_all(home);
  CHECK(run.wait().empty());
  CHECK(lost == std::vector<int>{7});
}

TEST_CASE("drain() takes no more, and lets through what is inside") {
  ledger book;
  {
    accounted_queue in(16);
    accounted_queue out(16);
    fill(in, book, 5);
    thread_pool pool(2);
    auto run = start(pool, from(in) | map(same) | buffer(2) | batch(100) | unbatch() | into(out), settles);
    const drain_report report = sync_wait(run.drain(1h));
    CHECK(report.is_complete);
    CHECK(report.undelivered == 0);
    CHECK(report.error == nullptr);
    CHECK(out.is_closed());
    CHECK_FALSE(in.is_closed());
    CHECK(in.size_approx() + out.size_approx() == 5);
    settle(in);
    settle(out);
  }
  CHECK(book.is_balanced());
}

TEST_CASE("drain() stops what does not end in time, and says how much was left") {
  ledger book;
  {
    accounted_queue in(16);
    accounted_queue out(1);
    fill(in, book, 5);
    thread_pool pool(1);
    auto run = start(pool, from(in) | buffer(2) | into(out), settles);
    out.pop().wait()->settle();
    const drain_report report = sync_wait(run.drain(1ms));
    CHECK(report.undelivered + in.size_approx() + out.size_approx() == 4);
    CHECK(report.is_complete == (report.undelivered == 0));
    settle(in);
    settle(out);
  }
  CHECK(book.is_balanced());
}

TEST_CASE("drain() tells of a failure") {
  thread_pool pool(1);
  auto run = start(pool, from(std::vector<int>{1}) | for_each([](int) { throw std::runtime_error("one"); }));
  CHECK_THROWS_WITH(run.wait(), "one");
  const drain_report report = sync_wait(run.drain(1h));
  CHECK_FALSE(report.is_complete);
  CHECK(report.undelivered == 1);
  CHECK_THROWS_WITH(std::rethrow_exception(report.error), "one");
}

TEST_CASE("who lets go of a running pipeline stops it") {
  ledger book;
  {
    accounted_queue in(16);
    accounted_queue out(16);
    fill(in, book, 5);
    thread_pool pool(2);
    {
      auto run = start(pool, from(in) | map(same, {.workers = 2}) | into(out), settles);
      auto other = std::move(run);
      run = start(pool, from(std::vector<int>{}) | map([&](int n) { return accounted(book, n); }) |
                            for_each([](accounted& m) { m.settle(); }));
      other = std::move(run);
    }
    CHECK(out.is_closed());
    settle(in);
    settle(out);
  }
  CHECK(book.is_balanced());
}

TEST_CASE("without a handler, what is left is destroyed, and counted") {
  bounded_queue<int> in(4);
  bounded_queue<int> out(1);
  for (int n : {1, 2, 3}) REQUIRE(in.try_push(n) == op_status::ok);
  manual_executor home;
  auto run = start(home, from(in) | map([](int n) { return n; }) | into(out));
  run_all(home);
  run.stop();
  run_all(home);
  const drain_report report = sync_wait(run.drain(1s));
  CHECK(report.undelivered == 1);
}

TEST_CASE("a pipeline that is not started has taken nothing") {
  ledger book;
  accounted_queue in(4);
  fill(in, book, 2);
  {
    auto never = from(in) | map(same) | for_each([](accounted& m) { m.settle(); });
    static_cast<void>(never);
  }
  CHECK(in.size_approx() == 2);
  CHECK_FALSE(in.is_closed());
  settle(in);
  CHECK(book.is_balanced());
}
