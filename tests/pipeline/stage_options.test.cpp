// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/stage_options.hpp>

#include <stdexcept>

#include "support/catch.hpp"

TEST_CASE("a stage that could never work is refused, by its name") {
  millrace::detail::check({.workers = 1, .capacity = 1}, "parse");
  CHECK_THROWS_WITH(millrace::detail::check({.workers = 0}, "parse"),
                    "millrace: parse with 0 workers would never do anything: ask for 1 or more");
  CHECK_THROWS_WITH(
      millrace::detail::check({.capacity = 0}, "parse"),
      "millrace: parse behind a queue of capacity 0 would never get a message: ask for 1 or more");
}
