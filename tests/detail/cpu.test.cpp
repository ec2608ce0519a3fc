// SPDX-License-Identifier: BSL-1.0
#include <millrace/detail/cpu.hpp>

#include <atomic>
#include <thread>

#include "support/catch.hpp"

TEST_CASE("a thread that pauses and yields lets another one come to its turn") {
  std::atomic<int> turn{0};
  const auto play = [&](int mine) {
    for (int i = mine; i < 1000; i += 2) {
      while (turn.load() != i) {
        millrace::detail::cpu_pause();
        millrace::detail::cpu_yield();
      }
      turn.store(i + 1);
    }
  };
  std::thread odd(play, 1);
  play(0);
  odd.join();
  CHECK(turn.load() == 1000);
}
