// SPDX-License-Identifier: BSL-1.0
#include <millrace/lockfree/spsc_ring.hpp>

#include <cstddef>
#include <mutex>
#include <new>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/lockfree_laws.hpp"
#include "support/lockfree_queues.hpp"
#include "support/messages.hpp"

using millrace::spsc_ring;
using support::spsc;

TEST_CASE("spsc_ring keeps the laws") {
  lockfree_laws::all_hold<spsc>(GENERATE(1u, 2u, 3u, 4u, 7u, 64u));
}

TEMPLATE_TEST_CASE("spsc_ring works like a deque of any messages", "", messages::over_aligned,
                   messages::bare) {
  const std::size_t capacity = GENERATE(1u, 2u, 3u, 4u, 64u);
  lockfree_laws::works_like_a_deque<spsc, TestType>(capacity);
}

TEST_CASE("the capacity of a spsc_ring is exact, whatever it is") {
  std::vector<std::size_t> wrong;
  for (std::size_t capacity = 1; capacity <= 300; ++capacity) {
    spsc_ring<int> ring(capacity);
    const std::vector<int> numbers(capacity + 1, 1);
    bool exact = ring.capacity() == capacity;
    for (int lap = 0; lap < 2; ++lap) {
      std::vector<int> out(capacity + 1);
      exact = exact && ring.try_push_n(numbers.begin(), capacity + 1) == capacity;
      exact = exact && ring.size_approx() == capacity;
      exact = exact && ring.try_pop_n(out.begin(), capacity + 1) == capacity;
    }
    if (!exact) wrong.push_back(capacity);
  }
  CHECK(wrong == std::vector<std::size_t>{});
}

TEST_CASE("a capacity that a spsc_ring cannot have is refused") {
  CHECK_THROWS_AS(spsc_ring<int>(0), std::invalid_argument);
  CHECK_THROWS_WITH(spsc_ring<int>(0), Catch::Matchers::Contains("1 or more"));
  CHECK_THROWS_AS(spsc_ring<int>(~std::size_t{0}), std::length_error);
  CHECK_THROWS_AS(spsc_ring<lockfree_laws::large>(std::size_t{1} << 60), std::length_error);
}

TEST_CASE("a spsc_ring that gets no memory throws, and leaks nothing") {
  const support::failing_allocations now(0);
  bool thrown = false;
  try {
    spsc_ring<int> ring(1);
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  CHECK(thrown == support::counts_allocations);
}

TEST_CASE("only the construction of a spsc_ring allocates") {
  spsc_ring<int> ring(64);
  const std::size_t before = support::allocations();
  bool all = true;
  int numbers[100] = {};
  for (int i = 0; i < 1000; ++i) {
    all = ring.try_push(int{i}) && all;
    all = ring.try_pop() == i && all;
    all = ring.try_push_n(numbers, 100) == 64 && all;
    all = ring.try_pop_n(numbers, 100) == 64 && all;
  }
  CHECK(support::allocations() == before);
  CHECK(all);
}

TEST_CASE("a producer or a consumer of a spsc_ring may hand over to another thread") {
  constexpr int n = 6000;
  spsc_ring<int> ring(3);
  std::mutex producing;
  std::mutex consuming;
  int next = 0;
  std::vector<int> got;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      for (;;) {
        {
          const std::lock_guard lock(producing);
          if (next == n) return;
          if (ring.try_push(int{next})) ++next;
        }
        std::this_thread::yield();
      }
    });
    threads.emplace_back([&] {
      for (;;) {
        {
          const std::lock_guard lock(consuming);
          if (got.size() == n) return;
          if (const auto m = ring.try_pop()) got.push_back(*m);
        }
        std::this_thread::yield();
      }
    });
  }
  for (auto& t : threads) t.join();
  std::vector<int> expected(n);
  std::iota(expected.begin(), expected.end(), 0);
  CHECK((got == expected));  // too long to show
}

TEST_CASE("threads may change the sides of a spsc_ring, one after the other") {
  spsc_ring<int> ring(5);
  int sum = 0;
  for (int round = 0; round < 20; ++round) {
    bool pushed = false;
    bool popped = false;
    std::thread([&] { pushed = ring.try_push(int{round}) && ring.try_push(int{round}); }).join();
    std::thread([&] {
      int out[2] = {};
      popped = ring.try_pop_n(out, 2) == 2;
      sum += out[0] + out[1];
    }).join();
    REQUIRE(pushed);
    REQUIRE(popped);
  }
  CHECK(sum == 2 * 190);
}
