// SPDX-License-Identifier: BSL-1.0
#include "support/chaos.hpp"

#include <atomic>
#include <cstdint>
#include <set>
#include <thread>

#include "support/catch.hpp"

using support::chaos_traits;
template <class T>
using atomic = chaos_traits::atomic<T>;

TEST_CASE("a weak compare-exchange fails now and then, and tells what is there") {
  atomic<int> word(0);
  int failed = 0;
  bool untouched = true;
  for (int i = 0; i < 1000;) {
    int found = i;
    if (word.compare_exchange_weak(found, i + 1, std::memory_order_relaxed, std::memory_order_relaxed)) {
      ++i;
    } else {
      ++failed;
      untouched = untouched && found == i;
    }
  }
  CHECK(failed > 50);
  CHECK(failed < 400);
  CHECK(untouched);
  CHECK(word.load(std::memory_order_relaxed) == 1000);
}

TEST_CASE("a strong compare-exchange fails for a cause only") {
  atomic<int> word(0);
  bool all = true;
  for (int i = 0; i < 1000; ++i) {
    int found = i;
    all = word.compare_exchange_strong(found, i + 1, std::memory_order_relaxed, std::memory_order_relaxed) &&
          all;
  }
  CHECK(all);
  int found = 1;
  CHECK_FALSE(word.compare_exchange_strong(found, 2, std::memory_order_relaxed, std::memory_order_relaxed));
  CHECK(found == 1000);
}

TEST_CASE("the other operations do what those of std::atomic do") {
  atomic<std::uint64_t> word(5);
  CHECK(word.fetch_add(3, std::memory_order_relaxed) == 5);
  CHECK(word.fetch_sub(1, std::memory_order_relaxed) == 8);
  CHECK(word.exchange(9, std::memory_order_relaxed) == 7);
  word.store(1, std::memory_order_relaxed);
  CHECK(word.load(std::memory_order_relaxed) == 1);
  STATIC_REQUIRE(sizeof(atomic<std::uint64_t>) == sizeof(std::atomic<std::uint64_t>));
}

TEST_CASE("each thread has random numbers of its own") {
  std::set<std::uint32_t> seen;
  for (int thread = 0; thread < 4; ++thread) {
    std::thread([&seen] {
      for (int i = 0; i < 100; ++i) seen.insert(support::thread_random());
    }).join();
  }
  CHECK(seen.size() > 395);
}

TEST_CASE("tickets near the wrap wrap after a thousand operations") {
  using traits = support::near_wrap<chaos_traits>;
  for (const int flag_bits : {0, 4}) {
    const traits::ticket first = traits::first_ticket << flag_bits;
    const traits::ticket before = (traits::first_ticket + 1000) << flag_bits;
    const traits::ticket after = (traits::first_ticket + 1001) << flag_bits;
    CHECK(before > first);
    CHECK(after == 0);
  }
}
