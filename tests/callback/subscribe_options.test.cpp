// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/subscribe_options.hpp>

#include <concepts>
#include <memory>
#include <string>

#include "support/catch.hpp"

using millrace::subscribe_options;
using millrace::tracked_object;
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
  CHECK_FALSE(none.lifetime);
  CHECK_FALSE(none.lifetime.expired());
}

TEST_CASE("an empty weak_ptr is a lifetime that has expired, not none") {
  const subscribe_options<void(std::string)> some{.filter = [](const std::string& s) { return s.empty(); },
                                                  .lifetime = std::weak_ptr<int>()};
  CHECK(some.filter(""));
  CHECK(some.lifetime);
  CHECK(some.lifetime.expired());
  CHECK(some.lifetime.lock() == nullptr);
}

TEST_CASE("a lifetime is told by a shared_ptr, or a weak one") {
  auto object = std::make_shared<int>(1);
  const tracked_object strong = object;
  const tracked_object weak = std::weak_ptr<int>(object);
  CHECK(object.use_count() == 1);
  CHECK(strong.lock() == object);
  CHECK_FALSE(weak.expired());
  object.reset();
  CHECK(strong.expired());
  CHECK(weak.expired());
}
