// SPDX-License-Identifier: BSL-1.0
#include "support/watchdog.hpp"

#include <atomic>
#include <chrono>
#include <string>

#include "support/catch.hpp"

using support::stillness;
using support::watchdog;

namespace {

std::string said;
std::atomic<bool> bitten{false};

void note(const std::string& what) {
  said = what;
  bitten.store(true);
  bitten.notify_one();
}

}  // namespace

TEST_CASE("a count that moves now and then is no stillness, one that stands is") {
  stillness still(3);
  CHECK_FALSE(still.too_long(1));
  CHECK_FALSE(still.too_long(1));
  CHECK_FALSE(still.too_long(1));
  CHECK_FALSE(still.too_long(2));
  CHECK_FALSE(still.too_long(2));
  CHECK_FALSE(still.too_long(2));
  CHECK(still.too_long(2));
}

TEST_CASE("work that never begins is stillness") {
  stillness still(2);
  CHECK_FALSE(still.too_long(0));
  CHECK(still.too_long(0));
}

TEST_CASE("a watchdog bites when its workers stop, and says what it knows") {
  watchdog dog("a queue of 3", 2, std::chrono::milliseconds(20), note);
  dog.worker(1).beat();
  CHECK(dog.worker(1).beats() == 1);
  bitten.wait(false);
  CHECK(said.find("watchdog: no progress in a queue of 3; beats of each worker: 0 ") == 0);
}

TEST_CASE("a watchdog that is no longer needed goes at once") {
  bitten.store(false);
  const auto start = watchdog::clock::now();
  {
    const watchdog dog("nothing", 1, std::chrono::hours(1), note);
  }
  CHECK(watchdog::clock::now() - start < std::chrono::minutes(1));
  CHECK_FALSE(bitten.load());
}
