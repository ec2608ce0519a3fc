// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/unbounded_core.hpp>

#include <memory>

#include <millrace/detail/atomic.hpp>
#include <millrace/queue/pop_result.hpp>
#include <millrace/wait/decision.hpp>

#include "support/catch.hpp"

namespace {

using traits = millrace::default_traits;
using millrace::op_status;
using message = std::unique_ptr<int>;
using core = millrace::detail::unbounded_core<message, traits>;
using waiter = millrace::detail::waiter<traits>;

}  // namespace

TEST_CASE("withdrawing the last waiter clears the way for pushes") {
  core queue;
  waiter w;
  w.contest = nullptr;
  REQUIRE(queue.park_pop(w));
  auto m = std::make_unique<int>(1);
  CHECK_FALSE(queue.push_fast(millrace::detail::source_of(m)));
  CHECK(queue.withdraw_pop(w));
  CHECK_FALSE(queue.withdraw_pop(w));
  CHECK(queue.push_fast(millrace::detail::source_of(m)));
  CHECK_FALSE(queue.park_pop(w));
}

TEST_CASE("a pop that somebody else has won is passed over") {
  core queue;
  millrace::detail::decision<traits> lost;
  lost.reset();
  waiter w;
  w.contest = &lost;
  REQUIRE(queue.park_pop(w));
  REQUIRE(lost.take());
  auto m = std::make_unique<int>(1);
  op_status status = op_status::full;
  CHECK(queue.push(millrace::detail::source_of(m), status, [](auto&&) {}));
  CHECK(status == op_status::ok);
  CHECK(queue.size_approx() == 1);
  CHECK(queue.withdraw_pop(w));
  millrace::pop_result<message> out;
  CHECK(queue.pop_fast(out));
  CHECK(**out == 1);
}

TEST_CASE("drained waits park until the queue is closed and empty") {
  core queue;
  waiter w;
  w.contest = nullptr;
  CHECK_FALSE(queue.is_drained());
  REQUIRE(queue.park_drained(w));
  CHECK(queue.withdraw_drained(w));
  queue.close(nullptr);
  CHECK(queue.is_drained());
  CHECK_FALSE(queue.park_drained(w));
}
