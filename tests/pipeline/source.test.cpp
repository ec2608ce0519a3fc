// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/source.hpp>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <millrace/wait/stop_token.hpp>

#include "support/catch.hpp"

using namespace millrace::detail;

TEST_CASE("a range source gives its elements, and ends where no more are taken in") {
  millrace::stop_source intake;
  range_source<std::vector<int>> source(std::vector<int>{1, 2});
  source.begin(intake.token());
  CHECK_FALSE(source.has_ended());
  CHECK(source.next(0).await_ready());
  CHECK(source.next(0).await_resume() == std::optional<int>(2));
  CHECK(source.next(0).await_resume() == std::nullopt);
  CHECK(source.next(0).await_resume() == std::nullopt);
  intake.request_stop();
  CHECK(source.has_ended());
  CHECK(source.close_reason() == nullptr);
}

TEST_CASE("a range source stays valid where it is moved") {
  range_source<std::vector<int>> source(std::vector<int>{1, 2});
  static_cast<void>(source.next(0));
  auto moved = std::move(source);
  CHECK(moved.next(0).await_resume() == std::optional<int>(2));
}
