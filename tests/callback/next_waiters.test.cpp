// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/next_waiters.hpp>

#include <millrace/detail/atomic.hpp>
#include <millrace/wait/decision.hpp>
#include <millrace/wait/waiter.hpp>
#include <millrace/wait/work_item.hpp>

#include "support/catch.hpp"

namespace {

using traits = millrace::default_traits;
using millrace::work_list;
using millrace::detail::decision;
using millrace::detail::waiter;
using waiters = millrace::detail::next_waiters<traits>;

}  // namespace

TEST_CASE("waiters are taken all at once, in the order in which they came; and withdrawn") {
  waiters all;
  waiter<traits> w[3];
  CHECK_FALSE(all.exist());
  for (waiter<traits>& one : w) {
    one.contest = nullptr;
    all.park(one);
  }
  CHECK(all.exist());
  CHECK(all.withdraw(w[1]));
  CHECK_FALSE(all.withdraw(w[1]));
  work_list taken;
  all.take_all(taken);
  CHECK_FALSE(all.exist());
  CHECK(&taken.pop_front() == &w[0]);
  CHECK(&taken.pop_front() == &w[2]);
  CHECK(taken.empty());
  CHECK_FALSE(all.withdraw(w[0]));
}

TEST_CASE("one that something else has won is passed over, and stays until it is withdrawn") {
  waiters all;
  decision<traits> contest;
  contest.begin(nullptr);
  waiter<traits> w;
  w.contest = &contest;
  all.park(w);
  CHECK(contest.take());
  work_list taken;
  all.take_all(taken);
  CHECK(taken.empty());
  CHECK(all.exist());
  CHECK(all.withdraw(w));
  CHECK_FALSE(all.exist());
  all.close(taken);
  CHECK(taken.empty());
}
