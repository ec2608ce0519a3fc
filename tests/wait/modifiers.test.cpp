// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/modifiers.hpp>

#include <chrono>

#include <millrace/detail/atomic.hpp>

#include "support/catch.hpp"

namespace {

using millrace::stop_token;
using modified = millrace::detail::modified<stop_token>;
using clock = std::chrono::steady_clock;
constexpr auto never = clock::time_point::max();

}  // namespace

TEST_CASE("an operation without a limit has no deadline") {
  CHECK(millrace::detail::unmodified<millrace::default_traits>::deadline(nullptr) == never);
  CHECK(modified{}.deadline(nullptr) == never);
  CHECK(!millrace::detail::unmodified<millrace::default_traits>::is_limited());
  CHECK(!modified{}.is_limited());
  CHECK(modified{}.within(std::chrono::hours(1)).is_limited());
}

TEST_CASE("within() counts from when the operation runs, until() does not") {
  const modified within = modified{}.within(std::chrono::hours(1));
  const auto before = clock::now();
  const auto deadline = within.deadline(nullptr);
  const auto after = clock::now();
  CHECK(deadline >= before + std::chrono::hours(1));
  CHECK(deadline <= after + std::chrono::hours(1));
  const auto time = before - std::chrono::seconds(1);
  CHECK(modified{}.until(time).deadline(nullptr) == time);
  CHECK(within.until(time).deadline(nullptr) == time);  // the last one holds
}

TEST_CASE("limits beyond all time are far away, not in the past") {
  const auto now = clock::now();
  CHECK(modified{}.within(std::chrono::hours::max()).deadline(nullptr) > now + std::chrono::hours(24 * 365));
  CHECK(modified{}.within(std::chrono::hours::min()).deadline(nullptr) < now);
  CHECK(modified{}.within(std::chrono::duration<double>(1e300)).deadline(nullptr) > now);
  CHECK(modified{}.until(std::chrono::system_clock::time_point::max()).deadline(nullptr) > now);
}

TEST_CASE("the time of another clock is turned into ours") {
  const auto deadline =
      modified{}.until(std::chrono::system_clock::now() + std::chrono::hours(1)).deadline(nullptr);
  CHECK(deadline > clock::now() + std::chrono::minutes(59));
  CHECK(deadline < clock::now() + std::chrono::minutes(61));
}

TEST_CASE("a token is kept beside a limit") {
  millrace::stop_source halt;
  const modified both = modified{}.within(std::chrono::hours(1)).with(halt.token());
  CHECK(both.has_token);
  CHECK(both.token == halt.token());
  CHECK(both.deadline(nullptr) != never);
}
