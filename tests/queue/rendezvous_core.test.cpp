// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/rendezvous_core.hpp>

#include <memory>

#include <millrace/detail/atomic.hpp>
#include <millrace/wait/decision.hpp>

#include "support/catch.hpp"

namespace {

using traits = millrace::default_traits;
using millrace::op_status;
using core = millrace::detail::rendezvous_core<std::unique_ptr<int>, traits>;
using waiter = millrace::detail::waiter<traits>;

}  // namespace

TEST_CASE("waiters of both kinds stand at a rendezvous only where they are of one contest") {
  core meeting;
  millrace::detail::decision<traits> mine;
  millrace::detail::decision<traits> other;
  mine.reset();
  other.reset();
  waiter pop;
  waiter push;
  waiter third;
  pop.contest = push.contest = &mine;
  third.contest = &other;
  CHECK(meeting.park_pop(pop));
  CHECK_FALSE(meeting.park_push(third));
  third.contest = nullptr;
  CHECK_FALSE(meeting.park_push(third));
  CHECK(meeting.park_push(push));
  CHECK(meeting.withdraw_pop(pop));
  CHECK_FALSE(meeting.withdraw_pop(pop));
  CHECK(meeting.withdraw_push(push));
}

TEST_CASE("a waiter that somebody else has won is passed over, and stays until it is withdrawn") {
  core meeting;
  millrace::detail::decision<traits> lost;
  lost.reset();
  waiter pop;
  pop.contest = &lost;
  REQUIRE(meeting.park_pop(pop));
  REQUIRE(lost.take());
  auto m = std::make_unique<int>(1);
  op_status status = op_status::ok;
  CHECK_FALSE(meeting.push(millrace::detail::source_of(m), status, [](auto&&) {}));
  CHECK(status == op_status::full);
  CHECK(*m == 1);
  CHECK(pop.is_listed());
  CHECK(meeting.withdraw_pop(pop));
}
