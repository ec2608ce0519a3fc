// SPDX-License-Identifier: BSL-1.0
#include <type_traits>

#include <millrace/task/void_result.hpp>

#include "support/catch.hpp"

TEST_CASE("nothing is always the same") {
  CHECK(millrace::void_result{} == millrace::void_result{});
  CHECK(std::is_empty_v<millrace::void_result>);
}
