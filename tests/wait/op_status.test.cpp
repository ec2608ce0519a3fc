// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/op_status.hpp>

#include <set>

#include "support/catch.hpp"

TEST_CASE("each end of an operation has a status of its own, and ok is the one of zeros") {
  using enum millrace::op_status;
  CHECK(std::set{ok, empty, full, closed, cancelled, timeout}.size() == 6);
  CHECK(millrace::op_status{} == ok);
  STATIC_REQUIRE(sizeof(millrace::op_status) == 1);
}
