// SPDX-License-Identifier: BSL-1.0
#include <millrace/lockfree/patience.hpp>

#include <cstdint>

#include "support/catch.hpp"

namespace {

struct counting : millrace::default_traits {
  static inline int pauses = 0;
  static void pause() noexcept { ++pauses; }
};

using patience = millrace::detail::patience<counting>;

constexpr auto never = []() noexcept { return false; };
constexpr auto at_once = []() noexcept { return true; };

constexpr std::uint64_t ticket(std::uint64_t n) { return n * 16; }

/// How many of so many blocked tickets it waits for, if no batch ever comes.
int waits_in_vain(patience& end, int blocked) {
  int waits = 0;
  for (int i = 0; i < blocked; ++i) waits += end.wait(ticket(static_cast<std::uint64_t>(i)), never);
  return waits;
}

}  // namespace

TEST_CASE("patience waits until the batch is there") {
  patience end;
  counting::pauses = 0;
  CHECK(end.wait(ticket(0), at_once));
  CHECK(counting::pauses == 0);
  CHECK(end.wait(ticket(1), []() noexcept { return counting::pauses >= 10; }));
  CHECK(counting::pauses >= 10);
  CHECK(counting::pauses < 20);
}

TEST_CASE("patience has an end") {
  patience end;
  counting::pauses = 0;
  CHECK(end.wait(ticket(0), never));
  CHECK(counting::pauses == 64);
}

TEST_CASE("patience waits once for a ticket") {
  patience end;
  CHECK(end.wait(ticket(5), at_once));
  CHECK_FALSE(end.wait(ticket(5), at_once));
  CHECK(end.wait(ticket(6), at_once));
}

TEST_CASE("patience is lost where no batch ever comes") {
  patience end;
  CHECK(waits_in_vain(end, 100) == 6);  // 1 and 1, 1 and 3, 1 and 7, ...
  CHECK(waits_in_vain(end, 25600) < 110);
  CHECK(waits_in_vain(end, 25600) >= 100);
}

TEST_CASE("patience comes back with the first batch") {
  patience end;
  waits_in_vain(end, 10000);
  std::uint64_t n = 10000;
  int blocked = 0;
  while (!end.wait(ticket(++n), at_once)) ++blocked;
  CHECK(blocked <= 255);
  CHECK(end.wait(ticket(++n), at_once));
}
