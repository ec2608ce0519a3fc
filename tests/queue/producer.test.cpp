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
