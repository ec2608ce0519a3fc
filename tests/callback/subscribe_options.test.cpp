// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/subscribe_options.hpp>

#include <concepts>
#include <memory>
#include <string>

#include "support/catch.hpp"

using millrace::subscribe_options;
using millrace::detail::passed_argument;

static_assert(std::same_as<passed_argument<int>, int>);
static_assert(std::same_as<passed_argument<int&>, int&>);
static_assert(std::same_as<passed_argument<std::string>, const std::string&>);
static_assert(std::same_as<passed_argument<const std::string&>, const std::string&>);

TEST_CASE("who asks for nothing has no filter, no lifetime, and priority 0") {
  const subscribe_options<void(int)> none{};
  CHECK(none.priority == 0);
  CHECK_FALSE(none.one_shot);
  CHECK_FALSE(none.filter);
  CHECK_FALSE(none.lifetime.has_value());
}

TEST_CASE("an empty weak_ptr is a lifetime that has expired, not none") {
  const subscribe_options<void(std::string)> some{.filter = [](const std::string& s) { return s.empty(); },
                                                  .lifetime = std::weak_ptr<int>()};
  CHECK(some.filter(""));
  REQUIRE(some.lifetime.has_value());
  CHECK(some.lifetime->expired());
}
