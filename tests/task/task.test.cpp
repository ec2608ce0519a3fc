// SPDX-License-Identifier: BSL-1.0
#include <millrace/task/task.hpp>

#include <concepts>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/task/resume_on.hpp>
#include <millrace/task/run_loop.hpp>
#include <millrace/task/scope.hpp>
#include <millrace/task/sync_wait.hpp>
#include <millrace/task/thread_pool.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/counted.hpp"
#include "support/foreign_task.hpp"
#include "support/gate.hpp"
#include "support/here.hpp"
#include "support/manual_executor.hpp"
#include "support/small_stack.hpp"

namespace {

using millrace::executor_ref;
using millrace::sync_wait;
using millrace::task;
using support::counted;
using support::foreign_task;
using support::gate;
using support::manual_executor;

task<int> give(int n) {
  co_return n;
}
task<int&> refer(int& n) {
  co_return n;
}
task<std::unique_ptr<int>> give_pointer(int n) {
  co_return std::make_unique<int>(n);
}
task<std::string> convert() {
  co_return "text";
}
task<> write(std::string& log, char name) {
  log += name;
  co_return;
}
task<int> fail(int n) {
  if (n >= 0) throw std::runtime_error("failed");
  co_return n;
}
task<int> hold(counted c, gate* at) {
  if (at != nullptr) (void)co_await at->pass();
  co_return c.number();
}

task<int> use_all() {
  int n = 1;
  int& same = co_await refer(n);
  same = 2;
  const std::unique_ptr<int> pointer = co_await give_pointer(3);
  const std::string text = co_await convert();
  int caught = 0;
  try {
    caught = co_await fail(1);
  } catch (const std::runtime_error&) {
    caught = 40;
  }
  const int given = co_await give(500);
  co_return n + *pointer + static_cast<int>(text.size()) + caught + given;
}

task<> await_stored(std::string& log) {
  task<> first = write(log, 'a');
  task<> second = write(log, 'b');
  log += '(';
  co_await std::move(second);
  co_await std::move(first);
  log += ')';
}

task<long> sum(int turns) {
  long total = 0;
  for (int i = 0; i < turns; ++i) total += co_await give(1);
  co_return total;
}

task<int> nest(int depth) {
  if (depth == 0) co_return 0;
  const int below = co_await nest(depth - 1);
  co_return below + 1;
}

task<int> nest_and_fail(int depth) {
  if (depth == 0) throw std::runtime_error("deep");
  const int below = co_await nest_and_fail(depth - 1);
  co_return below + 1;
}

foreign_task sum_as_foreigner(int turns, long& total) {
  for (int i = 0; i < turns; ++i) total += co_await give(1);
}

task<int> outer_hold(gate& at) {
  const counted mine(1);
  const int inner = co_await hold(counted(2), &at);
  co_return inner + mine.number();
}

foreign_task hold_as_foreigner(gate& at, int& result) {
  result = co_await outer_hold(at);
}

task<> pass_and_note(gate& at, std::vector<executor_ref>& seen) {
  (void)co_await at.pass();
  seen.push_back(support::here());
}
task<> pass_below(gate& at, std::vector<executor_ref>& seen) {
  co_await pass_and_note(at, seen);
  seen.push_back(support::here());
}
support::homed_task pass_at_home(executor_ref, gate& at, std::vector<executor_ref>& seen) {
  co_await pass_below(at, seen);
}
foreign_task pass_anywhere(gate& at, std::vector<executor_ref>& seen) {
  co_await pass_below(at, seen);
}

template <class Executor>
task<> move_away(Executor& there, std::vector<executor_ref>& seen) {
  co_await millrace::resume_on(there);
  seen.push_back(support::here());
}

support::homed_task call_away(executor_ref, manual_executor& there, std::vector<executor_ref>& seen) {
  co_await move_away(there, seen);
  seen.push_back(support::here());
}
foreign_task follow_away(manual_executor& there, std::vector<executor_ref>& seen) {
  co_await move_away(there, seen);
  seen.push_back(support::here());
}

task<int> to_and_fro(millrace::thread_pool& pool, int turns) {
  const executor_ref home = support::here();
  std::vector<executor_ref> seen;
  int wrong = 0;
  for (int i = 0; i < turns; ++i) {
    seen.clear();
    co_await move_away(pool, seen);
    if (seen[0] != executor_ref(pool) || support::here() != home) ++wrong;
  }
  co_return wrong;
}

}  // namespace

TEST_CASE("a task gives its awaiter a value, a reference, nothing or an exception") {
  CHECK(sync_wait(use_all()) == 549);
}

TEST_CASE("tasks run when they are awaited, not before") {
  std::string log;
  auto t = await_stored(log);
  CHECK(log.empty());
  sync_wait(std::move(t));
  CHECK(log == "(ba)");
}

TEST_CASE("a task is moved, never copied") {
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<task<int>>);
  STATIC_REQUIRE(std::is_nothrow_move_assignable_v<task<int>>);
  STATIC_REQUIRE_FALSE(std::copy_constructible<task<int>>);
  STATIC_REQUIRE(std::same_as<task<int>::value_type, int>);
  task<int> one = give(1);
  task<int> two = give(2);
  one.swap(two);
  CHECK(sync_wait(std::move(one)) == 2);
  one = std::move(two);
  CHECK(sync_wait(std::move(one)) == 1);
}

TEST_CASE("a task that is never awaited destroys its parameters, also when it is assigned to") {
  {
    task<int> t = hold(counted(1), nullptr);
    CHECK(counted::live() == 1);
    t = hold(counted(2), nullptr);
    CHECK(counted::live() == 1);
    CHECK(sync_wait(std::move(t)) == 2);
  }
  CHECK(counted::live() == 0);
}

TEST_CASE("a task takes one allocation, awaiting it none") {
  std::size_t for_one = 0;
  std::size_t for_many = 0;
  std::size_t before = support::allocations();
  sync_wait(sum(1));
  for_one = support::allocations() - before;
  before = support::allocations();
  sync_wait(sum(101));
  for_many = support::allocations() - before;
  CHECK(for_many <= for_one + 100);
}

TEST_CASE("a million tasks that complete at once need no stack") {
  long total = 0;
  long foreign_total = 0;
  support::on_a_small_stack([&] {
    total = sync_wait(sum(1'000'000));
    const foreign_task f = sum_as_foreigner(1'000'000, foreign_total);
    f.start();
  });
  CHECK(total == 1'000'000);
  CHECK(foreign_total == 1'000'000);
}

TEST_CASE("tasks nest 100,000 deep without a stack, and so do exceptions") {
  int depth = 0;
  std::string caught;
  support::on_a_small_stack([&] {
    depth = sync_wait(nest(100'000));
    try {
      depth += sync_wait(nest_and_fail(100'000));
    } catch (const std::runtime_error& e) {
      caught = e.what();
    }
  });
  CHECK(depth == 100'000);
  CHECK(caught == "deep");
}

TEST_CASE("a coroutine of another type awaits tasks") {
  gate g;
  int result = 0;
  {
    const foreign_task f = hold_as_foreigner(g, result);
    f.start();
    CHECK_FALSE(f.done());
    g.open();
    CHECK(f.done());
  }
  CHECK(result == 3);
  CHECK(counted::live() == 0);
}

TEST_CASE("a tree of tasks that is destroyed while it waits takes its operation back") {
  gate g;
  int result = 0;
  {
    const foreign_task f = hold_as_foreigner(g, result);
    f.start();
    CHECK(g.somebody_waits());
  }
  CHECK_FALSE(g.somebody_waits());
  CHECK(counted::live() == 0);
  CHECK(result == 0);
}

TEST_CASE("a task inherits the executor of its awaiter") {
  gate g;
  manual_executor home;
  std::vector<executor_ref> seen;
  const support::homed_task f = pass_at_home(home, g, seen);
  f.start();
  g.open();
  CHECK(home.posted() == 1);
  CHECK(seen.empty());
  CHECK(home.run_one());
  CHECK(f.done());
  CHECK(seen == std::vector<executor_ref>{home, home});
  CHECK(home.posted() == 1);  // who is at home already does not travel
}

TEST_CASE("a task whose awaiter has no executor goes on where it is woken") {
  gate g;
  std::vector<executor_ref> seen;
  const foreign_task f = pass_anywhere(g, seen);
  f.start();
  g.open();
  CHECK(f.done());
  CHECK(seen == std::vector<executor_ref>{{}, {}});
}

TEST_CASE("an awaiter goes on at home, wherever its task went") {
  manual_executor home;
  manual_executor there;
  std::vector<executor_ref> seen;
  const support::homed_task f = call_away(home, there, seen);
  f.start();
  CHECK(there.run_one());
  CHECK(seen == std::vector<executor_ref>{there});
  CHECK(home.run_one());
  CHECK(seen == std::vector<executor_ref>{there, home});
  CHECK(f.done());
}

TEST_CASE("an awaiter without a home goes on where its task ended") {
  manual_executor there;
  std::vector<executor_ref> seen;
  const foreign_task f = follow_away(there, seen);
  f.start();
  CHECK(there.run_one());
  CHECK(f.done());
  CHECK(seen == std::vector<executor_ref>{there, there});
}

TEST_CASE("tasks go to a pool and back between threads") {
  millrace::thread_pool pool(2);
  CHECK(sync_wait(to_and_fro(pool, 5000)) == 0);
}

namespace {

task<int> count_passes(gate& at, int most) {
  int passed = 0;
  while (passed < most) {
    const int n = co_await at.pass();
    if (n < 0) break;
    ++passed;
  }
  co_return passed;
}

task<> count_and_tell(gate& at, int most, int& passed, const int& others, int& seen) {
  passed = co_await count_passes(at, most);
  seen = others;
}

task<> note_turns(int& turns) {
  ++turns;
  co_return;
}

task<> pass_shielded(gate& at, int& result) {
  result = co_await at.pass().with({});
}

}  // namespace

TEST_CASE("a task that is stopped takes nothing more, also of what is there") {
  gate g;
  for (int i = 0; i < 10; ++i) g.open();
  millrace::scope work;
  int passed = -1;
  int none = 0;
  int seen = 0;
  SECTION("before it begins") {
    work.request_stop();
    work.spawn(count_and_tell(g, 100, passed, none, seen));
    CHECK(passed == 0);
  }
  SECTION("while it waits, in a task that it awaits") {
    work.spawn(count_and_tell(g, 100, passed, none, seen));
    CHECK(passed == -1);
    work.request_stop();
    CHECK(passed == 10);
  }
  CHECK(work.join().wait() == millrace::op_status::ok);
  CHECK_FALSE(g.somebody_waits());
}

TEST_CASE("with({}) shields an operation from the stop of its task") {
  gate g;
  millrace::scope work;
  int result = -1;
  work.request_stop();
  work.spawn(pass_shielded(g, result));
  CHECK(result == -1);
  g.open();
  CHECK(result == 0);
  work.join().wait();
}

TEST_CASE("a task for which all is ready lets others have their turn") {
  gate g;
  for (int i = 0; i < 10000; ++i) g.open();
  millrace::run_loop loop;
  millrace::scope work;
  int passed = 0;
  int turns = 0;
  int seen = 0;
  work.spawn(loop, count_and_tell(g, 10000, passed, turns, seen));
  work.spawn(loop, note_turns(turns));
  while (passed == 0) loop.run_one();
  CHECK(passed == 10000);
  CHECK(seen == 1);
  work.join().wait();
}
