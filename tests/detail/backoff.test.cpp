// SPDX-License-Identifier: BSL-1.0
#include <millrace/detail/backoff.hpp>

#include "support/catch.hpp"

namespace {

struct counting {
  static inline int pauses = 0;
  static inline int yields = 0;
  static void pause() noexcept { ++pauses; }
  static void yield() noexcept { ++yields; }
  static void reset() { pauses = yields = 0; }
};

using backoff = millrace::detail::backoff<counting>;

}  // namespace

TEST_CASE("a back-off pauses a few times, then only yields") {
  counting::reset();
  backoff wait;
  wait();
  CHECK(counting::pauses == 1);
  CHECK(counting::yields == 0);
  for (int i = 0; i < 99; ++i) wait();
  CHECK(counting::pauses + counting::yields == 100);
  CHECK(counting::pauses < 50);
  const int pauses = counting::pauses;
  wait();
  CHECK(counting::pauses == pauses);
}

TEST_CASE("who lost a race stays away without giving up the processor") {
  counting::reset();
  backoff::lost_race();
  CHECK(counting::pauses > 1);
  CHECK(counting::yields == 0);
}
