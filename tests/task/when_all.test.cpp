// SPDX-License-Identifier: BSL-1.0
#include <millrace/task/when_all.hpp>

#include <atomic>
#include <concepts>
#include <coroutine>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <millrace/task/resume_on.hpp>
#include <millrace/task/scope.hpp>
#include <millrace/task/sync_wait.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/counted.hpp"
#include "support/foreign_task.hpp"
#include "support/gate.hpp"
#include "support/here.hpp"
#include "support/manual_executor.hpp"

namespace {

using millrace::executor_ref;
using millrace::sync_wait;
using millrace::task;
using millrace::when_all;
using support::counted;
using support::gate;

task<int> give(int n) { co_return n; }
task<std::unique_ptr<int>> give_pointer(int n) { co_return std::make_unique<int>(n); }
task<int&> refer(int& n) { co_return n; }
task<> write(std::string& log, char name) {
  log += name;
  co_return;
}
task<> write_when_passed(gate& at, std::string& log, char name) {
  log += name;
  (void)co_await at.pass();
  log += name;
}
task<> fail_when_passed(gate& at, const char* what) {
  (void)co_await at.pass();
  throw std::runtime_error(what);
}
task<int> hold(counted c, int& started) {
  ++started;
  co_return c.number();
}

task<> await_three(gate& first, gate& second, gate& third, std::string& log) {
  co_await when_all(write_when_passed(first, log, 'a'), write_when_passed(second, log, 'b'),
                    write_when_passed(third, log, 'c'));
  log += '.';
}

task<> await_failures(gate& first, gate& second, std::string& log) {
  try {
    co_await when_all(fail_when_passed(first, "left"), write_when_passed(second, log, 'm'),
                      fail_when_passed(second, "right"));
  } catch (const std::runtime_error& e) {
    log += e.what();
  }
}

support::foreign_task await_as_foreigner(gate& at, int& sum) {
  const auto [a, b] = co_await when_all(at.pass(), give(40));
  sum = a + b;
}

support::homed_task await_at_home(executor_ref, gate& at, std::vector<executor_ref>& seen) {
  co_await when_all(at.pass(), give(1));
  seen.push_back(support::here());
}

support::homed_task await_elsewhere(executor_ref, executor_ref other, gate& at,
                                    std::vector<executor_ref>& seen) {
  co_await when_all(at.pass().on(other), at.pass().on(other));
  seen.push_back(support::here());
}

task<int> add_on(millrace::thread_pool& pool, int n, std::atomic<int>& running) {
  co_await millrace::resume_on(pool);
  running.fetch_add(1);
  co_return n;
}

task<int> sum_on(millrace::thread_pool& pool, int turns, std::atomic<int>& running,
                 int& misplaced) {
  const executor_ref home = support::here();
  int sum = 0;
  for (int i = 0; i < turns; ++i) {
    const auto [a, b, c] =
        co_await when_all(add_on(pool, 1, running), give(2), add_on(pool, 3, running));
    sum += a + b + c;
    if (support::here() != home) ++misplaced;
  }
  co_return sum;
}

struct lvalue_awaiter {
  int resumed = 0;
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<>) const noexcept { return false; }
  int await_resume() noexcept { return ++resumed; }
};

}  // namespace

TEST_CASE("when_all yields a tuple of what its awaitables yield") {
  int n = 0;
  std::string log;
  auto all = sync_wait(when_all(give(1), write(log, 'w'), refer(n), give_pointer(4)));
  STATIC_REQUIRE(std::same_as<decltype(all),
                              std::tuple<int, millrace::void_result, int&, std::unique_ptr<int>>>);
  CHECK(std::get<0>(all) == 1);
  CHECK(&std::get<2>(all) == &n);
  CHECK(*std::get<3>(all) == 4);
  CHECK(log == "w");
}

TEST_CASE("when_all of nothing is an empty tuple") {
  STATIC_REQUIRE(std::same_as<decltype(sync_wait(when_all())), std::tuple<>>);
  sync_wait(when_all());
}

TEST_CASE("when_all starts from left to right and ends with the last") {
  gate a;
  gate b;
  gate c;
  std::string log;
  millrace::scope work;
  work.spawn(await_three(a, b, c, log));
  CHECK(log == "abc");
  c.open();
  a.open();
  CHECK(log == "abcca");
  b.open();
  CHECK(log == "abccab.");
  work.join().wait();
}

TEST_CASE("when_all waits for all, then throws the leftmost exception") {
  gate first;
  gate second;
  std::string log;
  millrace::scope work;
  work.spawn(await_failures(first, second, log));
  CHECK(log == "m");
  second.open();
  second.open();
  CHECK(log == "mm");
  first.open();
  CHECK(log == "mmleft");
  work.join().wait();
}

TEST_CASE("when_all awaits lvalues themselves") {
  lvalue_awaiter a;
  CHECK(sync_wait(when_all(a, give(2))) == std::tuple(1, 2));
  CHECK(a.resumed == 1);
}

TEST_CASE("a coroutine of another type awaits when_all") {
  gate g;
  int sum = 0;
  const support::foreign_task f = await_as_foreigner(g, sum);
  f.start();
  CHECK(sum == 0);
  g.open();
  CHECK(sum == 40);
  CHECK(f.done());
}

TEST_CASE("the children of when_all and its awaiter are resumed on the awaiter's executor") {
  gate g;
  support::manual_executor home;
  std::vector<executor_ref> seen;
  const support::homed_task f = await_at_home(home, g, seen);
  f.start();
  g.open();
  CHECK(seen.empty());
  while (home.run_one()) {
  }
  CHECK(f.done());
  CHECK(seen == std::vector<executor_ref>{home});
}

TEST_CASE("the awaiter goes home from where its last child ended") {
  gate g;
  support::manual_executor home;
  support::manual_executor other;
  std::vector<executor_ref> seen;
  const support::homed_task f = await_elsewhere(home, other, g, seen);
  f.start();
  g.open();
  g.open();
  CHECK(other.run_one());
  CHECK(other.run_one());
  CHECK(seen.empty());
  CHECK(home.run_one());
  CHECK(f.done());
  CHECK(seen == std::vector<executor_ref>{home});
}

TEST_CASE("children that end on other threads all count, and the awaiter goes on at home") {
  constexpr int turns = 5000;
  millrace::thread_pool pool(2);
  std::atomic<int> running{0};
  int misplaced = 0;
  CHECK(sync_wait(sum_on(pool, turns, running, misplaced)) == 6 * turns);
  CHECK(running.load() == 2 * turns);
  CHECK(misplaced == 0);
}

TEST_CASE("when_all without memory starts nothing and loses nothing") {
  int started = 0;
  int early = 0;
  bool ended = false;
  for (std::size_t k = 0; !ended && k < 20; ++k) {
    const support::failing_allocations later(k);
    try {
      ended = sync_wait(when_all(hold(counted(1), started), hold(counted(2), started))) ==
              std::tuple(1, 2);
    } catch (const std::bad_alloc&) {
      early += started;
    }
  }
  CHECK(ended);
  CHECK(started == 2);
  CHECK(early == 0);
  CHECK(counted::live() == 0);
}
