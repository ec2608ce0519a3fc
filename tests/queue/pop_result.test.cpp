// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/pop_result.hpp>

#include <memory>
#include <optional>
#include <utility>

#include "support/catch.hpp"

using millrace::op_status;
using millrace::pop_result;

TEST_CASE("a pop result without a message tells why") {
  for (const op_status why : {op_status::empty, op_status::closed, op_status::cancelled}) {
    pop_result<int> r(why);
    CHECK_FALSE(r);
    CHECK(r.status() == why);
    CHECK_THROWS_AS(r.value(), std::bad_optional_access);
  }
}

TEST_CASE("a pop result with a message is used like an optional") {
  pop_result<std::unique_ptr<int>> r(std::make_unique<int>(4));
  REQUIRE(r);
  CHECK(r.status() == op_status::ok);
  CHECK(**r == 4);
  CHECK(r->get() == r.value().get());
  const auto& c = r;
  CHECK(c->get() == (*c).get());
  CHECK(*c.value() == 4);
  std::unique_ptr<int> taken = *std::move(r);
  CHECK(*taken == 4);
}

TEST_CASE("a pop result converts to an optional") {
  std::optional<int> some = pop_result<int>(5);
  CHECK(some == 5);
  std::optional<int> none = pop_result<int>(op_status::closed);
  CHECK_FALSE(none.has_value());
}

TEST_CASE("a pop result is delivered or refused by who ends the wait") {
  pop_result<std::unique_ptr<int>> r;
  CHECK(r.status() == op_status::empty);
  r.refuse(op_status::closed);
  CHECK(r.status() == op_status::closed);
  r.deliver(std::make_unique<int>(1));
  CHECK(r.status() == op_status::ok);
  CHECK(*std::move(r).value() == 1);
}

TEST_CASE("a pop result is copied, moved and assigned with its message, and destroys it once") {
  const auto counted = std::make_shared<int>(6);
  const auto holders = [&] { return counted.use_count() - 1; };
  {
    pop_result<std::shared_ptr<int>> a(std::shared_ptr<int>{counted});
    pop_result<std::shared_ptr<int>> b = a;
    CHECK(holders() == 2);
    CHECK(*b == counted);
    pop_result<std::shared_ptr<int>> c = std::move(b);
    CHECK(holders() == 2);
    CHECK(*c == counted);
    pop_result<std::shared_ptr<int>> none(op_status::closed);
    none = c;
    CHECK(holders() == 3);
    CHECK(none.status() == op_status::ok);
    c = pop_result<std::shared_ptr<int>>(op_status::timeout);
    CHECK(holders() == 2);
    CHECK_FALSE(c);
    CHECK(c.status() == op_status::timeout);
    a = std::move(none);
    CHECK(holders() == 1);
    CHECK(*a == counted);
  }
  CHECK(holders() == 0);
}

TEST_CASE("a pop result without a message is copied and moved without one") {
  const pop_result<std::shared_ptr<int>> none(op_status::closed);
  CHECK_THROWS_AS(none.value(), std::bad_optional_access);
  pop_result<std::shared_ptr<int>> copy = none;
  const pop_result<std::shared_ptr<int>> moved = std::move(copy);
  CHECK(moved.status() == op_status::closed);
  CHECK_FALSE(moved);
}
