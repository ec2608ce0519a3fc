// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/producer.hpp>

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <millrace/queue/make_channel.hpp>

#include "support/catch.hpp"

using millrace::make_channel;
using millrace::op_status;

TEST_CASE("a producer pushes in all the ways of its queue") {
  auto [tx, rx] = make_channel<std::string>(8);
  std::string kept = "from";
  CHECK(tx.push("a").wait());
  CHECK(tx.emplace(2u, 'b').wait());
  CHECK(tx.push_from(kept).wait() == op_status::ok);
  CHECK(tx.try_push(std::string("d")) == op_status::ok);
  const std::string constant = "e";
  CHECK(tx.try_push(constant) == op_status::ok);
  CHECK(tx.try_emplace(3u, 'f') == op_status::ok);
  CHECK(tx.size_approx() == 6);
  CHECK(tx.capacity() == 8);
  for (const char* wanted : {"a", "bb", "from", "d", "e", "fff"}) CHECK(*rx.try_pop() == wanted);
}

TEST_CASE("a producer closes for all, with a reason") {
  auto [tx, rx] = make_channel<int>(1);
  auto other = tx;
  CHECK(tx.close(std::make_exception_ptr(std::runtime_error("enough"))));
  CHECK_FALSE(other.close());
  CHECK(other.is_closed());
  CHECK_THROWS_WITH(std::rethrow_exception(rx.close_reason()), "enough");
  CHECK(other.close_reason() == rx.close_reason());
}

TEST_CASE("assigning a producer gives up the end that it was") {
  auto [tx, rx] = make_channel<int>(1);
  auto [tx2, rx2] = make_channel<int>(1);
  tx = tx2;
  CHECK(rx.is_closed());
  CHECK_FALSE(rx2.is_closed());
  auto& self = tx;
  tx = self;
  CHECK_FALSE(rx2.is_closed());
  CHECK(tx.try_push(1) == op_status::ok);
  CHECK(*rx2.try_pop() == 1);
}

TEST_CASE("a downgraded producer may become one again, as long as there is another") {
  auto [tx, rx] = millrace::make_channel<int>(4);
  auto weak = tx.downgrade();
  {
    auto again = weak.lock();
    REQUIRE(again);
    const auto last = std::move(tx);
    CHECK(again->try_push(1) == millrace::op_status::ok);
  }
  CHECK(rx.is_closed());
  CHECK_FALSE(weak.lock());
  CHECK(*rx.try_pop() == 1);
}

TEST_CASE("a producer pushes ranges, and tells the state of its queue") {
  auto [tx, rx] = millrace::make_channel<int>(4);
  const int numbers[] = {1, 2, 3};
  CHECK(tx.push_range(std::begin(numbers), std::end(numbers)).wait().count == 3);
  CHECK(tx.stats().size == 3);
}

TEST_CASE("a weak producer outlives its channel") {
  auto ends = std::make_unique<millrace::ends<int>>(millrace::make_channel<int>(4));
  const auto weak = ends->tx.downgrade();
  ends.reset();
  CHECK_FALSE(weak.lock());
}
