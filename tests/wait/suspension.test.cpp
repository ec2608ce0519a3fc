// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/suspension.hpp>

#include <utility>

#include <millrace/wait/op_status.hpp>
#include <millrace/wait/operation.hpp>
#include <millrace/wait/stop_token.hpp>

#include "support/catch.hpp"
#include "support/gate.hpp"

namespace {

using millrace::op_status;
using millrace::stop_source;
using millrace::stop_token;
using step = support::gate::step;
constexpr int cancelled = -static_cast<int>(op_status::cancelled);
constexpr int timed_out = -static_cast<int>(op_status::timeout);

struct sleeper : millrace::detail::suspension<step, stop_token, false> {
  int woken = 0;
  explicit sleeper(step& of) noexcept : millrace::detail::suspension<step, stop_token, false>(of) {
    run = [](millrace::work_item* self) noexcept { ++static_cast<sleeper*>(self)->woken; };
  }
};

step step_of(support::gate& g) {
  return millrace::detail::operation_access::take_step(g.pass());
}

}  // namespace

TEST_CASE("who need not wait does not sleep") {
  support::gate g;
  g.open();
  stop_source halt;
  step s = step_of(g);
  sleeper w(s);
  CHECK_FALSE(w.sleep({halt.token()}));
  CHECK(w.woken == 0);
  CHECK(s.take_result() == 0);
}

TEST_CASE("a sleep that nothing else can end has no contest") {
  support::gate g;
  step s = step_of(g);
  sleeper w(s);
  REQUIRE(w.sleep({}));
  CHECK(w.contest == nullptr);
  g.open();
  CHECK(w.woken == 1);
  CHECK(s.take_result() == 0);
}

TEST_CASE("a sleep ends once, by what comes first") {
  support::gate g;
  stop_source halt;
  step s = step_of(g);
  sleeper w(s);
  REQUIRE(w.sleep({halt.token()}));
  SECTION("what it waits for") {
    g.open();
    halt.request_stop();
    w.end(op_status::timeout);
    CHECK(s.take_result() == 0);
  }
  SECTION("a stop") {
    halt.request_stop();
    CHECK_FALSE(g.somebody_waits());
    w.end(op_status::timeout);
    g.open();
    CHECK(s.take_result() == cancelled);
  }
  SECTION("its owner") {
    w.end(op_status::timeout);
    CHECK_FALSE(g.somebody_waits());
    halt.request_stop();
    g.open();
    CHECK(s.take_result() == timed_out);
  }
  CHECK(w.woken == 1);
}

TEST_CASE("a stop that was requested before ends the sleep before it begins") {
  support::gate g;
  stop_source halt;
  halt.request_stop();
  step s = step_of(g);
  sleeper w(s);
  CHECK_FALSE(w.sleep({halt.token()}));
  CHECK_FALSE(g.somebody_waits());
  CHECK(w.woken == 0);
  CHECK(s.take_result() == cancelled);
}

TEST_CASE("a sleep that is abandoned is forgotten by all") {
  support::gate g;
  stop_source halt;
  for (const stop_token& token : {stop_token{}, halt.token()}) {
    step s = step_of(g);
    sleeper w(s);
    REQUIRE(w.sleep({token}));
    w.abandon();
    CHECK_FALSE(g.somebody_waits());
    CHECK(w.woken == 0);
  }
  halt.request_stop();
  g.open();
  CHECK(g.pass().wait() == 0);
}
