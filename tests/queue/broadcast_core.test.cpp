// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/broadcast_core.hpp>

#include <vector>

#include <millrace/detail/atomic.hpp>
#include <millrace/queue/pop_result.hpp>
#include <millrace/wait/decision.hpp>

#include "support/catch.hpp"

namespace {

using traits = millrace::default_traits;
using millrace::op_status;
using core = millrace::detail::broadcast_core<int, traits>;
using waiter = millrace::detail::waiter<traits>;
using slot = millrace::detail::push_slot<int>;

op_status push(core& c, int message) {
  op_status status = op_status::ok;
  c.push(millrace::detail::source_of(message), status, [](int&&) noexcept {});
  return status;
}
int read(core::cursor& at) {
  millrace::pop_result<int> out;
  return at.core.read(at, out) ? *out : -1;
}

}  // namespace

TEST_CASE("a popper is listed only at the tail, a pusher only without room") {
  core* const c = core::make(1, millrace::broadcast_policy::gate);
  core::cursor* const at = c->subscribe();
  waiter pop;
  waiter push_waiter;
  pop.contest = push_waiter.contest = nullptr;
  CHECK_FALSE(c->park_push(push_waiter));
  CHECK(c->park_pop(pop, *at));
  CHECK(c->withdraw_pop(pop, *at));
  CHECK_FALSE(c->withdraw_pop(pop, *at));
  CHECK(push(*c, 1) == op_status::ok);
  CHECK_FALSE(c->park_pop(pop, *at));
  CHECK_FALSE(c->is_room_wanted());
  CHECK(c->park_push(push_waiter));
  CHECK(c->is_room_wanted());
  CHECK(c->withdraw_push(push_waiter));
  CHECK_FALSE(c->withdraw_push(push_waiter));
  CHECK_FALSE(c->is_room_wanted());
  c->close(nullptr);
  CHECK_FALSE(c->park_push(push_waiter));
  CHECK(read(*at) == 1);
  CHECK_FALSE(c->park_pop(pop, *at));
  c->end();
  c->release();
  at->core.unsubscribe(*at);
}

TEST_CASE("a newcomer lets in those who wait for room that nobody has given them yet") {
  core* const c = core::make(2, millrace::broadcast_policy::gate);
  core::cursor* const at = c->subscribe();
  CHECK(push(*c, 1) == op_status::ok);
  CHECK(push(*c, 2) == op_status::ok);
  int waiting = 3;
  slot from{&waiting, op_status::full};
  std::vector<int> woken;
  struct listed : waiter {
    std::vector<int>* log;
  } first;
  first.contest = nullptr;
  first.home = {};
  first.log = &woken;
  first.place = &from;
  first.run = [](millrace::work_item* w) noexcept { static_cast<listed*>(w)->log->push_back(3); };
  CHECK(c->park_push(first));
  CHECK(read(*at) == 1);
  CHECK(read(*at) == 2);
  int mine = 4;
  CHECK_FALSE(c->push_fast(millrace::detail::source_of(mine)));
  CHECK(push(*c, mine) == op_status::ok);
  CHECK(woken == std::vector<int>{3});
  CHECK_FALSE(c->is_room_wanted());
  CHECK(from.status == op_status::ok);
  CHECK(read(*at) == 3);
  CHECK(read(*at) == 4);
  at->core.unsubscribe(*at);
  c->end();
  c->release();
}

TEST_CASE("pushers that others have won are passed over, and the end waits for them") {
  core* const c = core::make(1, millrace::broadcast_policy::gate);
  core::cursor* const at = c->subscribe();
  CHECK(push(*c, 1) == op_status::ok);
  millrace::detail::decision<traits> contest;
  contest.reset();
  waiter lost;
  lost.contest = &contest;
  CHECK(c->park_push(lost));
  CHECK(contest.take());
  CHECK(read(*at) == 1);
  CHECK(c->is_room_wanted());
  c->serve_pushers();
  CHECK(push(*c, 2) == op_status::ok);
  CHECK(read(*at) == 2);
  CHECK(c->withdraw_push(lost));
  CHECK_FALSE(c->is_room_wanted());
  at->core.unsubscribe(*at);
  c->end();
  c->release();
}
