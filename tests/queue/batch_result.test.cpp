// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/batch_result.hpp>

#include "support/catch.hpp"

TEST_CASE("a batch says how many, and why not more") {
  const auto [count, status] = millrace::batch_result{3, millrace::op_status::closed};
  CHECK(count == 3);
  CHECK(status == millrace::op_status::closed);
}
