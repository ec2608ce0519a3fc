// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/bounded_core.hpp>

#include <memory>
#include <utility>

#include "support/catch.hpp"

// The waiting protocol, one thread at a time; its races are in tests/model and tests/stress.

namespace {

using millrace::op_status;
using millrace::pop_result;
using millrace::work_item;
using millrace::detail::progress;
using millrace::detail::push_slot;

using traits = millrace::default_traits;
using message = std::unique_ptr<int>;
using core = millrace::detail::bounded_core<message, traits>;

/// A waiter that counts how often it is woken.
struct counting_waiter : millrace::detail::waiter<traits> {
  int woken = 0;
  counting_waiter() {
    run = [](work_item* self) noexcept { ++static_cast<counting_waiter*>(self)->woken; };
  }
};

struct popper : counting_waiter {
  pop_result<message> out;
  progress park(core& queue) {
    place = &out;
    return queue.pop(out, this);
  }
};

struct pusher : counting_waiter {
  message m;
  push_slot<message> slot{&m, op_status::full};
  explicit pusher(int n) : m(std::make_unique<int>(n)) {}
  progress park(core& queue) {
    place = &slot;
    return queue.push(core::source_of(m), slot.status, this);
  }
};

op_status try_push(core& queue, int n) {
  auto m = std::make_unique<int>(n);
  op_status status = op_status::ok;
  queue.push(core::source_of(m), status, nullptr);
  return status;
}

pop_result<message> try_pop(core& queue) {
  pop_result<message> out;
  queue.pop(out, nullptr);
  return out;
}

}  // namespace

TEST_CASE("a push hands its message to the first popper and wakes it once") {
  core queue(2);
  popper first;
  popper second;
  CHECK(first.park(queue) == progress::parked);
  CHECK(second.park(queue) == progress::parked);
  CHECK(try_push(queue, 1) == op_status::ok);
  CHECK(first.woken == 1);
  CHECK(**first.out == 1);
  CHECK(second.woken == 0);
  CHECK(try_push(queue, 2) == op_status::ok);
  CHECK(**second.out == 2);
  CHECK(try_push(queue, 3) == op_status::ok);
  CHECK(queue.size_approx() == 1);
  CHECK(first.woken + second.woken == 2);
}

TEST_CASE("a pop puts the first pusher's message in the place of its own") {
  core queue(1);
  CHECK(try_push(queue, 1) == op_status::ok);
  pusher first(2);
  pusher second(3);
  CHECK(first.park(queue) == progress::parked);
  CHECK(second.park(queue) == progress::parked);
  CHECK(**try_pop(queue) == 1);
  CHECK(first.woken == 1);
  CHECK(first.slot.status == op_status::ok);
  CHECK(second.woken == 0);
  CHECK(queue.size_approx() == 1);
  CHECK(**try_pop(queue) == 2);
  CHECK(second.woken == 1);
  CHECK(**try_pop(queue) == 3);
  CHECK(try_pop(queue).status() == op_status::empty);
  CHECK(try_push(queue, 4) == op_status::ok);
}

TEST_CASE("withdrawing the last waiter clears the way for the fast path") {
  core queue(1);
  popper p;
  CHECK(p.park(queue) == progress::parked);
  CHECK(queue.withdraw_pop(p));
  CHECK_FALSE(queue.withdraw_pop(p));
  auto m = std::make_unique<int>(1);
  CHECK(queue.push_fast(core::source_of(m)));
  pusher blocked(2);
  CHECK(blocked.park(queue) == progress::parked);
  CHECK(queue.withdraw_push(blocked));
  CHECK_FALSE(queue.withdraw_push(blocked));
  CHECK(*blocked.m == 2);
  CHECK(queue.pop_fast(p.out));
  CHECK(p.woken + blocked.woken == 0);
}

TEST_CASE("close ends poppers, pushers and, once the queue is empty, drainers") {
  core queue(1);
  counting_waiter drainer;
  CHECK(queue.drained(&drainer) == progress::parked);
  CHECK(try_push(queue, 1) == op_status::ok);
  pusher blocked(2);
  CHECK(blocked.park(queue) == progress::parked);
  CHECK(queue.close(nullptr));
  CHECK(blocked.woken == 1);
  CHECK(blocked.slot.status == op_status::closed);
  CHECK(*blocked.m == 2);
  CHECK(drainer.woken == 0);
  pusher late(3);
  CHECK(late.park(queue) == progress::completed);
  CHECK(late.slot.status == op_status::closed);
  CHECK(**try_pop(queue) == 1);
  CHECK(drainer.woken == 1);
  popper p;
  CHECK(p.park(queue) == progress::completed);
  CHECK(p.out.status() == op_status::closed);
}
