// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/queue_stats.hpp>

#include <cstddef>
#include <string>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/rendezvous_queue.hpp>
#include <millrace/queue/unbounded_queue.hpp>

#include "support/catch.hpp"

using millrace::op_status;

TEST_CASE("a queue tells its state from its tickets") {
  millrace::bounded_queue<int> q(3, {.name = "three"});
  int pushed = 0;
  for (int lap = 0; lap < 5; ++lap) {
    for (int n = 0; n < 3; ++n) REQUIRE(q.try_push(n) == op_status::ok);
    pushed += 3;
    CHECK(q.stats().pushed == static_cast<std::size_t>(pushed));
    CHECK(q.stats().size == 3);
    for (int n = 0; n < 3; ++n) REQUIRE(q.try_pop());
    CHECK(q.stats().popped == static_cast<std::size_t>(pushed));
  }
  CHECK(q.stats().capacity == 3);
  CHECK(q.stats().name == std::string("three"));
  CHECK_FALSE(q.stats().is_closed);
  q.close();
  CHECK(q.stats().is_closed);
  CHECK(q.stats().pushed == 15);
}

TEST_CASE("an unbounded queue tells its state too") {
  millrace::unbounded_queue<int> q({.name = "long"});
  for (int n = 0; n < 1000; ++n) REQUIRE(q.try_push(n) == op_status::ok);
  for (int n = 0; n < 400; ++n) REQUIRE(q.try_pop());
  CHECK(q.stats().pushed == 1000);
  CHECK(q.stats().popped == 400);
  CHECK(q.stats().size == 600);
  CHECK(q.stats().name == std::string("long"));
}

TEST_CASE("a rendezvous holds nothing") {
  millrace::rendezvous_queue<int> q({.name = "here"});
  CHECK(q.stats().size == 0);
  CHECK(q.stats().capacity == 0);
  CHECK(q.stats().name == std::string("here"));
}
