// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/steps.hpp>

#include <memory>
#include <utility>

#include <millrace/queue/bounded_core.hpp>

#include "support/catch.hpp"

namespace {

using millrace::op_status;
using core = millrace::detail::bounded_core<std::unique_ptr<int>, millrace::default_traits>;

}  // namespace

TEST_CASE("a push step carries its message there, or back") {
  core queue(1);
  millrace::detail::push_step<core> first(queue, std::make_unique<int>(1));
  CHECK(first.attempt_fast());
  CHECK(first.take_result());

  millrace::detail::push_step<core> second(queue, std::make_unique<int>(2));
  CHECK_FALSE(second.attempt_fast());
  CHECK_FALSE(second.attempt());
  queue.close(nullptr);
  CHECK(second.attempt());
  auto result = second.take_result();
  CHECK(result.status() == op_status::closed);
  CHECK(*result.value() == 2);
}

TEST_CASE("a push_from step moves from the caller's message only when it is in") {
  core queue(1);
  auto message = std::make_unique<int>(1);
  millrace::detail::push_from_step<core> step(queue, message);
  CHECK(step.attempt_fast());
  CHECK(step.take_result() == op_status::ok);
  CHECK(message == nullptr);
  message = std::make_unique<int>(2);
  millrace::detail::push_from_step<core> again(queue, message);
  CHECK_FALSE(again.attempt());
  CHECK(*message == 2);
}

TEST_CASE("a pop step that finds nothing parks, and can be taken back once") {
  core queue(1);
  millrace::detail::pop_step<core> step(queue);
  millrace::detail::waiter<millrace::default_traits> waiter;
  waiter.contest = nullptr;
  CHECK_FALSE(step.attempt_fast());
  CHECK_FALSE(step.attempt());
  CHECK(step.park(waiter));
  CHECK(step.withdraw(waiter));
  CHECK_FALSE(step.withdraw(waiter));
  auto message = std::make_unique<int>(1);
  CHECK(queue.push_fast(millrace::detail::source_of(message)));  // nobody waits any more
  CHECK(step.attempt_fast());
  CHECK(**step.take_result() == 1);
}

TEST_CASE("a drained step completes when the queue is closed and empty") {
  core queue(1);
  millrace::detail::drained_step<core> step(queue);
  CHECK_FALSE(step.attempt_fast());
  CHECK_FALSE(step.attempt());
  queue.close(nullptr);
  CHECK(step.attempt());
  CHECK(step.take_result() == op_status::ok);
}
