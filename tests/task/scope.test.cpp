// SPDX-License-Identifier: BSL-1.0
#include <millrace/task/scope.hpp>

#include <atomic>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/resume_on.hpp>
#include <millrace/task/sync_wait.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>
#include <millrace/wait/after.hpp>
#include <millrace/wait/select.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/counted.hpp"
#include "support/foreign_task.hpp"
#include "support/gate.hpp"
#include "support/here.hpp"
#include "support/last_words.hpp"
#include "support/manual_executor.hpp"

namespace {

using millrace::executor_ref;
using millrace::op_status;
using millrace::scope;
using millrace::sync_wait;
using millrace::task;
using support::counted;
using support::gate;

support::foreign_task note_joined(scope& work, bool& joined) {
  co_await work.join();
  joined = true;
}

task<> note_executor(executor_ref& seen) {
  seen = support::here();
  co_return;
}

task<> pass(gate& at, counted c, int& sum) {
  (void)co_await at.pass();
  sum += c.number();
}

task<> count(std::atomic<int>& n) {
  n.fetch_add(1);
  co_return;
}

task<> fail_when_passed(gate& at, const char* what) {
  (void)co_await at.pass();
  throw std::runtime_error(what);
}

task<> fail() {
  throw std::runtime_error("at once");
  co_return;
}

task<> spawn_tree(scope& work, millrace::thread_pool& pool, int depth, std::atomic<int>& leaves) {
  if (depth == 0) {
    leaves.fetch_add(1);
  } else {
    work.spawn(pool, spawn_tree(work, pool, depth - 1, leaves));
    work.spawn(spawn_tree(work, pool, depth - 1, leaves));
  }
  co_return;
}

task<> join_and_note(scope& work, std::string& log) {
  try {
    const op_status status = co_await work.join();
    log += status == op_status::ok ? "ok" : "?";
  } catch (const std::runtime_error& e) {
    log += e.what();
  }
}

/// Spawns, joins and destroys scopes one after the other, as work of the executor that awaits it.
task<int> scopes_one_by_one(millrace::thread_pool& pool, int turns) {
  int sum = 0;
  for (int i = 0; i < turns; ++i) {
    std::atomic<int> n{0};
    scope work;
    work.spawn(pool, count(n));
    work.spawn(pool, count(n));
    (void)co_await work.join();
    sum += n.load();
  }
  co_return sum;
}

task<> spawn_inline(scope& work, executor_ref& seen) {
  work.spawn(note_executor(seen));
  co_return;
}

}  // namespace

TEST_CASE("a scope that nothing was spawned into joins at once, and may go without") {
  scope work;
  CHECK(work.join().wait() == op_status::ok);
  const scope unused;
}

TEST_CASE("a spawned task starts before spawn returns") {
  gate g;
  int sum = 0;
  {
    scope work;
    work.spawn(pass(g, counted(1), sum));
    work.spawn(pass(g, counted(2), sum));
    CHECK(g.somebody_waits());
    g.open();
    CHECK(sum == 1);
    g.open();
    CHECK(work.join().wait() == op_status::ok);
  }
  CHECK(sum == 3);
  CHECK(counted::live() == 0);
}

TEST_CASE("a task is spawned on an executor, and else stays on the spawner's") {
  support::manual_executor home;
  executor_ref posted;
  executor_ref inherited;
  executor_ref none(home);
  scope work;
  work.spawn(home, note_executor(posted));
  work.spawn(home, spawn_inline(work, inherited));
  work.spawn(note_executor(none));
  CHECK_FALSE(posted);
  while (home.run_one()) {
  }
  work.join().wait();
  CHECK(posted == executor_ref(home));
  CHECK(inherited == executor_ref(home));
  CHECK_FALSE(none);
}

TEST_CASE("join ends with the last child") {
  gate g;
  int sum = 0;
  std::string log;
  scope work;
  scope watch;
  work.spawn(pass(g, counted(1), sum));
  work.spawn(pass(g, counted(1), sum));
  watch.spawn(join_and_note(work, log));
  g.open();
  CHECK(log.empty());
  g.open();
  CHECK(log == "ok");
  watch.join().wait();
}

TEST_CASE("join rethrows the exception that came first, once, and the scope goes on") {
  gate first;
  gate second;
  scope work;
  work.spawn(fail_when_passed(first, "first"));
  work.spawn(fail_when_passed(second, "second"));
  second.open();
  first.open();
  CHECK_THROWS_WITH(work.join().wait(), "second");
  CHECK(work.join().wait() == op_status::ok);
  work.spawn(fail());
  CHECK_THROWS_WITH(work.join().wait(), "at once");

  std::string log;
  scope watch;
  work.spawn(fail_when_passed(first, "third"));
  watch.spawn(join_and_note(work, log));
  first.open();
  CHECK(log == "third");
  watch.join().wait();
  CHECK(work.join().wait() == op_status::ok);
}

TEST_CASE("children spawn children on a pool, and all are joined") {
  millrace::thread_pool pool(2);
  std::atomic<int> leaves{0};
  scope work;
  for (int lap = 1; lap <= 3; ++lap) {
    work.spawn(pool, spawn_tree(work, pool, 10, leaves));
    work.join().wait();
    CHECK(leaves.load() == lap * 1024);
  }
}

TEST_CASE("ten thousand children run once each") {
  millrace::thread_pool pool(2);
  std::atomic<int> n{0};
  scope work;
  for (int i = 0; i < 10'000; ++i) work.spawn(pool, count(n));
  work.join().wait();
  CHECK(n.load() == 10'000);
}

TEST_CASE("a scope may go as soon as it is joined") {
  millrace::thread_pool pool(2);
  CHECK(sync_wait(scopes_one_by_one(pool, 5000)) == 10'000);
}

TEST_CASE("a frame that is destroyed while it joins takes its wait back") {
  gate g;
  int sum = 0;
  bool joined = false;
  scope work;
  work.spawn(pass(g, counted(1), sum));
  {
    const support::foreign_task waits = note_joined(work, joined);
    waits.start();
    CHECK_FALSE(waits.done());
  }
  g.open();
  work.join().wait();
  CHECK(sum == 1);
  CHECK_FALSE(joined);
}

TEST_CASE("a spawn without memory throws, and the scope is as it was") {
  std::size_t k = 0;
  for (bool spawned = false; !spawned && k < 10; ++k) {
    gate g;
    int sum = 0;
    {
      scope work;
      {
        const support::failing_allocations later(k);
        try {
          work.spawn(pass(g, counted(1), sum));
          spawned = true;
        } catch (const std::bad_alloc&) {
        }
      }
      g.open();
      work.join().wait();
    }
    CHECK(sum == (spawned ? 1 : 0));
    CHECK(counted::live() == 0);
  }
  CHECK(k < 10);
}

TEST_CASE("a scope that is destroyed with live children ends the program") {
  CHECK(support::last_words([] {
    gate g;
    int sum = 0;
    scope work;
    work.spawn(pass(g, counted(1), sum));
  }));
}

namespace {

using ints = millrace::bounded_queue<int>;

/// Goes on inside request_stop(), and then where `last` is pushed to.
task<> cleans_up(ints& never, ints& tell, ints& last) {
  static_cast<void>(co_await never.pop());
  static_cast<void>(tell.try_push(1));
  static_cast<void>(co_await last.pop().with({}));
}
task<> goes_between(ints& told, std::atomic<int>& told_so_far, ints& other) {
  static_cast<void>(co_await told.pop());
  ++told_so_far;
  while (told_so_far.load() != 2) std::this_thread::yield();  // both of those sleep again
  static_cast<void>(other.try_push(1));
}

}  // namespace

TEST_CASE("two stops do not wait for each other where each ends what the other one began") {
  ints never(1), tell_first(1), tell_second(1), first_last(1), second_last(1);
  std::atomic<int> told{0};
  scope first, second, others;
  first.spawn(cleans_up(never, tell_first, first_last));
  second.spawn(cleans_up(never, tell_second, second_last));
  others.spawn(goes_between(tell_first, told, second_last));
  others.spawn(goes_between(tell_second, told, first_last));
  std::thread stops_first([&] { first.request_stop(); });
  std::thread stops_second([&] { second.request_stop(); });
  stops_first.join();
  stops_second.join();
  first.join().wait();
  second.join().wait();
  others.join().wait();
  CHECK(told == 2);
}

TEST_CASE("a join may have a deadline, and be one of several operations") {
  gate g;
  int sum = 0;
  scope work;
  work.spawn(pass(g, counted(1), sum));
  CHECK(work.join().within(std::chrono::milliseconds(1)).wait() == millrace::op_status::timeout);
  auto either = select(millrace::after(std::chrono::milliseconds(1)), work.join()).wait();
  CHECK(either.index() == 0);
  g.open();
  CHECK(select(millrace::after(std::chrono::hours(1)), work.join()).wait().index() == 1);
  CHECK(sum == 1);
}
