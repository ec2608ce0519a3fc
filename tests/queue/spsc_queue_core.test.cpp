// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/spsc_queue_core.hpp>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <vector>

#include <millrace/detail/atomic.hpp>
#include <millrace/queue/pop_result.hpp>
#include <millrace/wait/decision.hpp>

#include "support/catch.hpp"

namespace {

using millrace::op_status;
using message = std::unique_ptr<int>;

/// Biased again after two turns.
struct traits : millrace::default_traits {
  static constexpr unsigned rebias_after = 2;
};
using core = millrace::detail::spsc_queue_core<message, traits>;
using millrace::default_traits;
using waiter = millrace::detail::waiter<traits>;

message made(int n) {
  return std::make_unique<int>(n);
}

op_status push(core& q, int n) {
  auto m = made(n);
  op_status status = op_status::cancelled;
  q.push(millrace::detail::source_of(m), status, [](auto&&) {});
  CHECK((m == nullptr) == (status == op_status::ok));
  return status;
}
int pop(core& q) {
  millrace::pop_result<message> out;
  q.pop(out);
  return out ? **out : -1;
}

}  // namespace

TEST_CASE("an spsc queue with nobody in it lets its sides in, and so again after some calm") {
  core q(2);
  waiter w;
  w.contest = nullptr;
  auto m = made(1);
  REQUIRE(q.park_pop(w));
  CHECK_FALSE(q.push_fast(millrace::detail::source_of(m)));  // a popper waits
  CHECK(q.withdraw_pop(w));
  CHECK_FALSE(q.withdraw_pop(w));
  for (int turn = 0; turn < 6; ++turn) {
    m = made(turn);
    REQUIRE(q.push_fast(millrace::detail::source_of(m)));
    CHECK_FALSE(q.park_pop(w));
    millrace::pop_result<message> out;
    REQUIRE(q.pop_fast(out));
    CHECK(**out == turn);
    CHECK_FALSE(q.park_push(w));
  }
}

TEST_CASE("a push is parked only while an spsc queue is full, a pop only while it is empty") {
  core q(1);
  waiter popper;
  popper.contest = nullptr;
  waiter pusher;
  pusher.contest = nullptr;
  CHECK_FALSE(q.park_push(pusher));
  CHECK(push(q, 1) == op_status::ok);
  CHECK(push(q, 2) == op_status::full);
  CHECK_FALSE(q.park_pop(popper));
  REQUIRE(q.park_push(pusher));
  CHECK(push(q, 2) == op_status::full);
  CHECK(q.withdraw_push(pusher));
  CHECK(pop(q) == 1);
  CHECK(pop(q) == -1);
}

TEST_CASE("waiters of an spsc queue that somebody else has won are passed over") {
  core q(1);
  millrace::detail::decision<traits> lost;
  lost.reset();
  REQUIRE(lost.take());
  waiter w;
  w.contest = &lost;
  REQUIRE(q.park_pop(w));
  CHECK(push(q, 1) == op_status::ok);
  CHECK(q.size_approx() == 1);
  CHECK(pop(q) == 1);
  CHECK(q.withdraw_pop(w));

  CHECK(push(q, 2) == op_status::ok);
  REQUIRE(q.park_push(w));
  CHECK(pop(q) == 2);
  CHECK(q.size_approx() == 0);
  CHECK(push(q, 3) == op_status::ok);
  CHECK(q.withdraw_push(w));
  CHECK(pop(q) == 3);
}

TEST_CASE("a drained() of an spsc queue does not keep its sides out") {
  core q(2);
  waiter w;
  w.contest = nullptr;
  CHECK_FALSE(q.is_drained());
  REQUIRE(q.park_drained(w));
  auto m = made(1);
  CHECK(q.push_fast(millrace::detail::source_of(m)));
  CHECK(pop(q) == 1);
  CHECK(q.withdraw_drained(w));
  q.close(nullptr);
  CHECK(q.is_drained());
  CHECK_FALSE(q.park_drained(w));
  CHECK_FALSE(q.park_pop(w));
  CHECK_FALSE(q.park_push(w));
}

TEST_CASE("a closed spsc queue gives what it has, then says so") {
  core q(3);
  for (int n = 0; n < 3; ++n) CHECK(push(q, n) == op_status::ok);
  CHECK(q.close(nullptr));
  CHECK_FALSE(q.close(nullptr));
  CHECK(push(q, 9) == op_status::closed);
  std::vector<message> run(2);
  CHECK(q.pop_run(run.data(), 2) == 0);  // not beside a lock
  for (int n = 0; n < 3; ++n) {
    CHECK_FALSE(q.is_drained());
    CHECK(pop(q) == n);
  }
  millrace::pop_result<message> out;
  CHECK(q.pop(out));
  CHECK(out.status() == op_status::closed);
}

TEST_CASE("the sides of an spsc queue, and its lock, are apart") {
  using queue = millrace::detail::spsc_queue_core<int, default_traits>;
  CHECK(sizeof(queue) == 5 * 1024);
  CHECK(alignof(queue) == 1024);
}
