// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/undelivered.hpp>

#include <memory>
#include <string>
#include <utility>

#include "support/catch.hpp"

TEST_CASE("an undelivered message is had by its type, and may be taken") {
  auto message = std::make_unique<int>(7);
  const millrace::undelivered lost(message, "parse");
  CHECK(lost.stage() == "parse");
  CHECK(lost.get_if<std::string>() == nullptr);
  CHECK(lost.get_if<int>() == nullptr);
  REQUIRE(lost.get_if<std::unique_ptr<int>>() != nullptr);
  const std::unique_ptr<int> taken = std::move(*lost.get_if<std::unique_ptr<int>>());
  CHECK(*taken == 7);
  CHECK(message == nullptr);
}
