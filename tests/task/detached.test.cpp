// SPDX-License-Identifier: BSL-1.0
#include <millrace/task/detached.hpp>

#include <utility>

#include <millrace/task/resume_on.hpp>

#include "support/catch.hpp"
#include "support/counted.hpp"
#include "support/gate.hpp"
#include "support/here.hpp"
#include "support/manual_executor.hpp"

namespace {

using millrace::detail::detached;
using support::counted;
using support::gate;

struct end {
  int reports = 0;
  int objects_left = -1;
  static void report(void* context) noexcept {
    auto* const self = static_cast<end*>(context);
    ++self->reports;
    self->objects_left = counted::full();
  }
};

detached pass(gate& at, millrace::executor_ref& seen) {
  const counted local(1);
  (void)co_await at.pass();
  seen = support::here();
}

detached hold(counted) { co_return; }

detached move_to(support::manual_executor& there, gate& at, millrace::executor_ref& seen) {
  co_await millrace::resume_on(there);
  (void)co_await at.pass();
  seen = support::here();
}

}  // namespace

TEST_CASE("a detached coroutine that is never started is destroyed, and reports nothing") {
  {
    detached root = hold(counted(1));
    const detached moved = std::move(root);
    CHECK(counted::live() == 1);
  }
  CHECK(counted::live() == 0);
}

TEST_CASE("a detached coroutine reports its end once, when its own objects are gone") {
  gate g;
  end e;
  millrace::executor_ref seen;
  pass(g, seen).start({}, &end::report, &e);
  CHECK(e.reports == 0);
  CHECK(counted::live() > 0);
  g.open();
  CHECK(e.reports == 1);
  CHECK(e.objects_left == 0);
}

TEST_CASE("a detached coroutine waits for its executor, to start and to go on") {
  gate g;
  end e;
  support::manual_executor home;
  millrace::executor_ref seen;
  pass(g, seen).post({.executor = home}, &end::report, &e);
  CHECK_FALSE(g.somebody_waits());
  CHECK(home.run_one());
  CHECK(g.somebody_waits());
  g.open();
  CHECK(e.reports == 0);
  CHECK(home.run_one());
  CHECK(e.reports == 1);
  CHECK(seen == millrace::executor_ref(home));
}

TEST_CASE("a detached coroutine that moved belongs to its new executor") {
  gate g;
  end e;
  support::manual_executor there;
  millrace::executor_ref seen;
  move_to(there, g, seen).start({}, &end::report, &e);
  CHECK_FALSE(g.somebody_waits());
  CHECK(there.run_one());
  g.open();
  CHECK(e.reports == 0);
  CHECK(there.run_one());
  CHECK(e.reports == 1);
  CHECK(seen == millrace::executor_ref(there));
}
