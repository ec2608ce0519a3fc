// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/push_result.hpp>

#include <memory>
#include <optional>
#include <utility>

#include "support/catch.hpp"

using millrace::op_status;
using millrace::push_result;

TEST_CASE("a push result is true where the message is in the queue") {
  push_result<std::unique_ptr<int>> r(op_status::ok);
  CHECK(r);
  CHECK(r.status() == op_status::ok);
  CHECK_FALSE(r.returned());
  CHECK_THROWS_AS(r.value(), std::bad_optional_access);
}

TEST_CASE("a push result holds the message that was handed back") {
  push_result<std::unique_ptr<int>> r(op_status::closed, std::make_unique<int>(3));
  CHECK_FALSE(r);
  CHECK(r.status() == op_status::closed);
  REQUIRE(r.returned());
  CHECK(*r.value() == 3);
  CHECK(*std::as_const(r).value() == 3);
  std::unique_ptr<int> back = std::move(r).value();
  CHECK(*back == 3);
}
