// SPDX-License-Identifier: BSL-1.0
#include <millrace/lockfree/claim.hpp>

#include "support/catch.hpp"

using millrace::detail::claim;

TEST_CASE("an attempt has one of three outcomes, which fit into a byte") {
  STATIC_REQUIRE(sizeof(claim) == 1);
  STATIC_REQUIRE(claim::done != claim::blocked);
  STATIC_REQUIRE(claim::done != claim::flagged);
  STATIC_REQUIRE(claim::blocked != claim::flagged);
}
