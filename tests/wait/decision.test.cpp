// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/decision.hpp>

#include <millrace/detail/atomic.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/waiter.hpp>

#include "support/catch.hpp"

namespace {

using traits = millrace::default_traits;
using millrace::op_status;

/// A waiter with its decision, which counts what is done to it.
struct sleeper : millrace::detail::waiter<traits>, millrace::detail::decision<traits> {
  int settled = 0;
  int woken = 0;

  sleeper() noexcept {
    contest = this;
    run = [](millrace::work_item* self) noexcept { ++static_cast<sleeper*>(self)->woken; };
    begin([](millrace::detail::decision<traits>& d) noexcept -> millrace::detail::waiter<traits>& {
      auto& self = static_cast<sleeper&>(d);
      ++self.settled;
      return self;
    });
  }
};

}  // namespace

TEST_CASE("a decision is taken once") {
  sleeper s;
  CHECK(s.contest->take());
  CHECK_FALSE(s.contest->take());
  s.reset();
  CHECK(s.contest->take());
}

TEST_CASE("who concludes after the owner has armed settles and wakes it") {
  sleeper s;
  CHECK_FALSE(s.arm());
  REQUIRE(s.contest->take());
  CHECK(s.settled == 0);
  s.conclude(nullptr, op_status::timeout);
  CHECK(s.settled == 1);
  CHECK(s.woken == 1);
  CHECK(s.winner() == nullptr);
  CHECK(s.how() == op_status::timeout);
}

TEST_CASE("an owner that arms too late settles itself, and does not sleep") {
  sleeper s;
  millrace::detail::waiter<traits> branch;
  REQUIRE(s.contest->take());
  s.conclude(&branch, op_status::ok);
  CHECK(s.settled == 0);
  CHECK(s.arm());
  CHECK(s.settled == 1);
  CHECK(s.woken == 0);
  CHECK(s.winner() == &branch);
  CHECK(s.how() == op_status::ok);
}
