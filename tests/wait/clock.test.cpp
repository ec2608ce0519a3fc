// SPDX-License-Identifier: BSL-1.0
#include <type_traits>

#include <millrace/wait/clock.hpp>

#include "support/catch.hpp"

TEST_CASE("there are durations with literals, time points and clocks") {
  using namespace std::chrono_literals;
  CHECK(std::chrono::ceil<std::chrono::milliseconds>(1500us) == 2ms);
  CHECK(std::chrono::duration_cast<std::chrono::seconds>(1h).count() == 3600);
  CHECK(std::chrono::steady_clock::now() - 1s < std::chrono::steady_clock::now());
  CHECK(std::is_same_v<std::chrono::system_clock::time_point::clock, std::chrono::system_clock>);
}
