// SPDX-License-Identifier: BSL-1.0
#include "support/history.hpp"

#include <atomic>
#include <cstdint>
#include <thread>

#include "support/catch.hpp"

using support::history_log;
using support::recorded;
using support::stamp;

TEST_CASE("stamps agree between threads: what is handed over was stamped before") {
  constexpr int rounds = 20000;
  std::atomic<int> turn{0};
  std::uint64_t last = 0;  // belongs to whose turn it is
  int backwards[2] = {0, 0};
  const auto play = [&](int me) {
    for (int round = me; round < rounds; round += 2) {
      while (turn.load() != round) std::this_thread::yield();
      const std::uint64_t now = stamp();
      if (now < last) ++backwards[me];
      last = stamp();
      turn.store(round + 1);
    }
  };
  std::thread other([&] { play(1); });
  play(0);
  other.join();
  CHECK(backwards[0] + backwards[1] == 0);
}

TEST_CASE("a log tells what was asked and what came") {
  history_log log(3, 8);
  const std::uint32_t values[] = {7, 8, 9};
  log.add(recorded::push, 1, 2, values, 3, 3);
  log.add(recorded::pop, 3, 4, values + 1, 1, 2);
  log.add(recorded::pop, 5, 6, values, 0, 1);
  REQUIRE(log.calls().size() == 3);
  const recorded& push = log.calls()[0];
  CHECK((push.what == recorded::push && push.count == 3 && !push.refused && push.began == 1 &&
         push.ended == 2));
  CHECK(log.values_of(push)[2] == 9);
  const recorded& pop = log.calls()[1];
  CHECK((pop.what == recorded::pop && pop.count == 1 && pop.refused));
  CHECK(log.values_of(pop)[0] == 8);
  CHECK((log.calls()[2].count == 0 && log.calls()[2].refused));
}
