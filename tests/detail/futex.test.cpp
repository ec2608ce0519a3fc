// SPDX-License-Identifier: BSL-1.0
#include <millrace/detail/futex.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include "support/catch.hpp"

using millrace::detail::futex_wait;
using millrace::detail::futex_wait_until;
using millrace::detail::futex_wake_one;
using clock_type = std::chrono::steady_clock;
using namespace std::chrono_literals;

TEST_CASE("nobody sleeps on a word that has another value") {
  const std::atomic<std::uint32_t> word{7};
  futex_wait(word, 6);
  CHECK(futex_wait_until(word, 6, clock_type::now() + 1h));
  CHECK(futex_wait_until(word, 6, clock_type::time_point::max()));
}

TEST_CASE("a wait ends with its deadline, and not before") {
  const std::atomic<std::uint32_t> word{7};
  for (const auto past : {clock_type::time_point::min(), clock_type::time_point(), clock_type::now()}) {
    while (futex_wait_until(word, 7, past)) {
    }
    CHECK(clock_type::now() >= past);
  }
  const auto soon = clock_type::now() + 3ms;
  while (futex_wait_until(word, 7, soon)) {
  }
  CHECK(clock_type::now() >= soon);
}

TEST_CASE("a wake-up ends each kind of wait") {
  for (const auto deadline :
       {clock_type::time_point(), clock_type::now() + 1h, clock_type::time_point::max()}) {
    std::atomic<std::uint32_t> word{0};
    std::atomic<bool> started{false};
    bool in_time = true;
    std::thread sleeper([&] {
      started.store(true);
      while (word.load() == 0) {
        if (deadline == clock_type::time_point()) {
          futex_wait(word, 0);
        } else {
          in_time = in_time && futex_wait_until(word, 0, deadline);
        }
      }
    });
    while (!started.load()) std::this_thread::yield();
    for (int i = 0; i < 100; ++i) std::this_thread::yield();  // it sleeps, if it can
    word.store(1);
    futex_wake_one(word);
    sleeper.join();
    CHECK(in_time);
  }
}
