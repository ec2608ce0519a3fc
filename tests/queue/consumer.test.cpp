// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/consumer.hpp>

#include <utility>

#include <millrace/queue/make_channel.hpp>

#include "support/catch.hpp"

using millrace::make_channel;
using millrace::op_status;

TEST_CASE("a consumer pops in all the ways of its queue") {
  auto [tx, rx] = make_channel<int>(4);
  CHECK(rx.capacity() == 4);
  CHECK(rx.try_pop().status() == op_status::empty);
  for (int n = 0; n < 3; ++n) CHECK(tx.try_push(n) == op_status::ok);
  CHECK(rx.size_approx() == 3);
  CHECK(*rx.pop().wait() == 0);
  CHECK(*rx.try_pop() == 1);
  tx.close();
  CHECK(rx.is_closed());
  CHECK(rx.close_reason() == nullptr);
  bool drained = false;
  rx.drained().start([&](op_status) noexcept { drained = true; });
  CHECK_FALSE(drained);
  CHECK(*rx.pop().wait() == 2);
  CHECK(drained);
}

TEST_CASE("what is buffered goes with the last end") {
  auto message = std::make_shared<int>(1);
  {
    auto [tx, rx] = make_channel<std::shared_ptr<int>>(2);
    CHECK(tx.try_push(message) == op_status::ok);
    CHECK(message.use_count() == 2);
  }
  CHECK(message.use_count() == 1);
}

TEST_CASE("a downgraded consumer may become one again, as long as there is another") {
  auto [tx, rx] = millrace::make_channel<int>(4);
  auto weak = rx.downgrade();
  {
    auto again = weak.lock();
    REQUIRE(again);
    const auto last = std::move(rx);
    CHECK(tx.try_push(1) == millrace::op_status::ok);
    CHECK(*again->try_pop() == 1);
  }
  CHECK(tx.try_push(2) == millrace::op_status::closed);
  CHECK_FALSE(weak.lock());
}

TEST_CASE("a consumer pops batches, and tells the state of its queue") {
  auto [tx, rx] = millrace::make_channel<int>(4);
  for (int n = 0; n < 4; ++n) CHECK(tx.try_push(n) == millrace::op_status::ok);
  int got[4] = {};
  CHECK(rx.pop_some(got, 3).wait().count == 3);
  CHECK(rx.stats().size == 1);
  CHECK(rx.try_pop_some(got + 3, 4) == 1);
  CHECK(got[3] == 3);
}
