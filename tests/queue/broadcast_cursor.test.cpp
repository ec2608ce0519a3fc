// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/broadcast_cursor.hpp>

#include <cstdint>

#include <millrace/detail/atomic.hpp>

#include "support/catch.hpp"

namespace {

struct core {
  using traits = millrace::default_traits;
};
using cursor = millrace::detail::broadcast_cursor<core>;

}  // namespace

TEST_CASE("a cursor that lags goes on a lap behind the end, and counts what it has passed over") {
  core at;
  for (const std::uint64_t first : {std::uint64_t{0}, ~std::uint64_t{0} - 4}) {
    cursor c(at, first, 0);
    CHECK_FALSE(c.skip(first, 3));
    CHECK_FALSE(c.skip(first + 3, 3));
    CHECK(c.skip(first + 4, 3));
    CHECK(c.where() == first + 1);
    CHECK(c.index == 1);
    CHECK(c.missed == 1);
    CHECK_FALSE(c.skip(first + 4, 3));
    CHECK(c.skip(first + 14, 3));
    CHECK(c.where() == first + 11);
    CHECK(c.index == 2);
    CHECK(c.missed == 11);
  }
}
