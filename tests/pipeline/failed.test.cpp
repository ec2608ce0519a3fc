// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/failed.hpp>

#include <exception>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "support/catch.hpp"

TEST_CASE("what failed is a message, and has the one at which a stage failed") {
  static_assert(std::is_nothrow_move_constructible_v<millrace::failed<std::unique_ptr<int>>>);
  millrace::failed<std::unique_ptr<int>> f{std::make_unique<int>(7),
                                           std::make_exception_ptr(std::runtime_error("no")), 3, "map #1"};
  const auto moved = std::move(f);
  CHECK(*moved.message == 7);
  CHECK(moved.attempts == 3);
  CHECK(moved.stage == "map #1");
  CHECK_THROWS_WITH(std::rethrow_exception(moved.error), "no");
}
