// SPDX-License-Identifier: BSL-1.0
#include <millrace/task/resume_on.hpp>

#include <vector>

#include <millrace/task/scope.hpp>
#include <millrace/task/task.hpp>

#include "support/catch.hpp"
#include "support/foreign_task.hpp"
#include "support/gate.hpp"
#include "support/here.hpp"
#include "support/manual_executor.hpp"

namespace {

using millrace::executor_ref;
using millrace::resume_on;
using support::gate;
using support::here;
using support::manual_executor;

millrace::task<> move_to(manual_executor& there, gate& at, std::vector<executor_ref>& seen) {
  seen.push_back(here());
  co_await resume_on(there);
  seen.push_back(here());
  (void)co_await at.pass();
  seen.push_back(here());
}

support::foreign_task move_once(manual_executor& there, gate& at, std::vector<executor_ref>& seen) {
  co_await resume_on(there);
  seen.push_back(here());
  (void)co_await at.pass();
  seen.push_back(here());
}

millrace::task<> move_by_reference(executor_ref there, int& turns) {
  for (int i = 0; i < 3; ++i) {
    co_await resume_on(there);
    ++turns;
  }
}

}  // namespace

TEST_CASE("a task that moved belongs to its new executor") {
  gate g;
  manual_executor there;
  std::vector<executor_ref> seen;
  millrace::scope work;
  work.spawn(move_to(there, g, seen));
  CHECK(seen == std::vector<executor_ref>{{}});
  CHECK(there.run_one());
  CHECK(seen.size() == 2);
  g.open();
  CHECK(seen.size() == 2);
  CHECK(there.run_one());
  work.join().wait();
  CHECK(seen == std::vector<executor_ref>{{}, there, there});
}

TEST_CASE("a coroutine of another type is moved this once") {
  gate g;
  manual_executor there;
  std::vector<executor_ref> seen;
  const support::foreign_task f = move_once(there, g, seen);
  f.start();
  CHECK(seen.empty());
  CHECK(there.run_one());
  CHECK(there.posted() == 1);
  g.open();
  CHECK(f.done());
  CHECK(seen == std::vector<executor_ref>{there, {}});
}

TEST_CASE("a coroutine that moves to where it is lets others go first") {
  manual_executor there;
  int turns = 0;
  millrace::scope work;
  work.spawn(move_by_reference(there, turns));
  for (int i = 0; i < 3; ++i) {
    CHECK(turns == i);
    CHECK(there.run_one());
  }
  work.join().wait();
  CHECK(turns == 3);
  CHECK(there.posted() == 3);
}
