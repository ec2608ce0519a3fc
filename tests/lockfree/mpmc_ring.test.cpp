// SPDX-License-Identifier: BSL-1.0
#include <millrace/lockfree/mpmc_ring.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/counted.hpp"
#include "support/messages.hpp"

namespace {

using messages::make;
using messages::number;
using millrace::default_traits;
using millrace::mpmc_ring;

/// 12 bits count operations: they wrap early and often.
struct tickets_16 : default_traits {
  using ticket = std::uint16_t;
  static constexpr ticket first_ticket = 4090;
};

/// 4 bits count operations, for capacities up to 3.
struct tickets_8 : default_traits {
  using ticket = std::uint8_t;
  static constexpr ticket first_ticket = 14;
};

/// Tickets of full width, a few operations below their wrap.
struct near_wrap : default_traits {
  static constexpr ticket first_ticket = (~ticket{0} >> 4) - 9;
};

/// A message that notes whether it ever lay where its alignment forbids.
struct alignas(64) aligned {
  static inline int misplaced = 0;
  int n;
  explicit aligned(int value) noexcept : n(value) { look(); }
  aligned(aligned&& other) noexcept : n(other.n) { look(); }
  void look() const noexcept {
    if (reinterpret_cast<std::uintptr_t>(this) % 64 != 0) ++misplaced;
  }
};

/// A message whose construction from an int throws, when its turn has come.
class throwing {
 public:
  static inline int until_throw = -1;

  explicit throwing(int n) : counted_(n) {
    if (until_throw >= 0 && until_throw-- == 0) throw std::runtime_error("construction");
  }
  int number() const noexcept { return counted_.number(); }

 private:
  support::counted counted_;
};

template <class Ring>
void keeps_the_laws(std::size_t capacity) {
  using T = typename Ring::value_type;
  CAPTURE(capacity);
  Ring ring(capacity);
  CHECK(ring.capacity() == capacity);
  CHECK(ring.size_approx() == 0);

  // Exactly its capacity goes in, and what does not go in is untouched.
  for (int lap = 0; lap < 3; ++lap) {
    for (std::size_t i = 0; i < capacity; ++i) {
      REQUIRE(ring.try_push(make<T>(static_cast<int>(i))));
      REQUIRE(ring.size_approx() == i + 1);
    }
    auto rejected = make<T>(99);
    REQUIRE_FALSE(ring.try_push(std::move(rejected)));
    REQUIRE(number(rejected) == 99);
    REQUIRE(ring.size_approx() == capacity);
    for (std::size_t i = 0; i < capacity; ++i) {
      auto m = ring.try_pop();
      REQUIRE(m);
      REQUIRE(number(*m) == static_cast<int>(i));
      REQUIRE(ring.size_approx() == capacity - i - 1);
    }
    REQUIRE_FALSE(ring.try_pop());
  }

  // First in, first out, over many laps and at every fill.
  std::deque<int> model;
  int next = 0;
  unsigned random = 1;
  for (int turn = 0; turn < 20000; ++turn) {
    random = random * 1103515245u + 12345u;
    if ((random >> 16) % 2 != 0) {
      const bool room = model.size() < capacity;
      REQUIRE(ring.try_push(make<T>(next)) == room);
      if (room) model.push_back(next++);
    } else {
      auto m = ring.try_pop();
      REQUIRE(m.has_value() == !model.empty());
      if (m) {
        REQUIRE(number(*m) == model.front());
        model.pop_front();
      }
    }
    REQUIRE(ring.size_approx() == model.size());
  }
}

/// What one consumer saw. Threads record, the main thread asserts.
struct record {
  std::vector<std::uint32_t> got;
  int out_of_order = 0;
};

/// Messages are p * each + i for the i-th of producer p.
template <class Traits>
void threads_lose_nothing(std::size_t capacity) {
  CAPTURE(capacity);
  constexpr std::uint32_t each = 20000;
  mpmc_ring<std::uint32_t, Traits> ring(capacity);
  std::atomic<std::uint32_t> left{2 * each};
  record records[2];
  std::vector<std::thread> threads;
  for (std::uint32_t p = 0; p < 2; ++p) {
    threads.emplace_back([&ring, p] {
      for (std::uint32_t i = 0; i < each; ++i) {
        std::uint32_t m = p * each + i;
        while (!ring.try_push(std::move(m))) std::this_thread::yield();
      }
    });
    threads.emplace_back([&ring, &left, &mine = records[p]] {
      std::int64_t last[2] = {-1, -1};
      while (left.load() != 0) {
        const std::optional<std::uint32_t> m = ring.try_pop();
        if (!m) {
          std::this_thread::yield();
          continue;
        }
        left.fetch_sub(1);
        mine.got.push_back(*m);
        std::int64_t& before = last[*m / each];
        if (*m <= before) ++mine.out_of_order;
        before = *m;
      }
    });
  }
  for (auto& t : threads) t.join();

  std::vector<int> times(2 * each, 0);
  for (const record& r : records) {
    CHECK(r.out_of_order == 0);
    for (const std::uint32_t m : r.got) ++times.at(m);
  }
  CHECK(times == std::vector<int>(2 * each, 1));
  CHECK(ring.size_approx() == 0);
  CHECK_FALSE(ring.try_pop());
}

}  // namespace

TEMPLATE_TEST_CASE("the laws of a ring hold", "", int, messages::move_only, messages::over_aligned,
                   messages::bare) {
  const std::size_t capacity = GENERATE(1u, 2u, 3u, 4u, 5u, 7u, 64u);
  keeps_the_laws<mpmc_ring<TestType>>(capacity);
}

TEMPLATE_TEST_CASE("the laws of a ring hold when its tickets wrap", "", tickets_16, near_wrap) {
  const std::size_t capacity = GENERATE(1u, 2u, 3u, 4u, 5u, 7u, 64u);
  keeps_the_laws<mpmc_ring<int, TestType>>(capacity);
}

TEST_CASE("the laws of a ring hold with 8-bit tickets") {
  const std::size_t capacity = GENERATE(1u, 2u, 3u);
  keeps_the_laws<mpmc_ring<int, tickets_8>>(capacity);
}

TEST_CASE("a capacity that cannot be had is refused") {
  CHECK_THROWS_AS(mpmc_ring<int>(0), std::invalid_argument);
  CHECK_THROWS_WITH(mpmc_ring<int>(0), Catch::Matchers::Contains("1 or more"));
  CHECK_THROWS_AS(mpmc_ring<int>((std::size_t{1} << 58) + 1), std::length_error);
  CHECK_THROWS_AS((mpmc_ring<int, tickets_8>(4)), std::length_error);
  CHECK_THROWS_AS((mpmc_ring<int, tickets_16>(1024)), std::length_error);
}

TEST_CASE("a ring that gets no memory throws, and leaks nothing") {
  const support::failing_allocations now(0);
  bool thrown = false;
  try {
    mpmc_ring<int> ring(1);
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  CHECK(thrown == support::counts_allocations);
}

TEST_CASE("only construction allocates") {
  mpmc_ring<int> ring(64);
  const std::size_t before = support::allocations();
  bool all = true;
  for (int i = 0; i < 1000; ++i) {
    all = ring.try_push(int{i}) && all;
    all = ring.try_pop() == i && all;
  }
  CHECK(support::allocations() == before);
  CHECK(all);
}

TEST_CASE("a copy goes in from an lvalue, and only where there is room") {
  mpmc_ring<std::string> ring(1);
  const std::string constant = "kept";
  std::string variable = "kept too";
  CHECK(ring.try_push(constant));
  CHECK_FALSE(ring.try_push(constant));
  CHECK(ring.try_pop() == "kept");
  CHECK(ring.try_push(variable));
  CHECK(variable == "kept too");
  STATIC_REQUIRE_FALSE(noexcept(ring.try_push(constant)));
}

TEST_CASE("emplace that cannot throw uses its arguments only when there is room") {
  mpmc_ring<std::unique_ptr<int>> ring(1);
  auto first = std::make_unique<int>(1);
  auto second = std::make_unique<int>(2);
  STATIC_REQUIRE(noexcept(ring.try_emplace(std::move(first))));
  CHECK(ring.try_emplace(std::move(first)));
  CHECK(first == nullptr);
  CHECK_FALSE(ring.try_emplace(std::move(second)));
  CHECK(*second == 2);
}

TEST_CASE("a pop can assign to what is there") {
  mpmc_ring<std::unique_ptr<int>> ring(1);
  auto out = std::make_unique<int>(1);
  CHECK_FALSE(ring.try_pop(out));
  CHECK(*out == 1);
  CHECK(ring.try_push(std::make_unique<int>(2)));
  CHECK(ring.try_pop(out));
  CHECK(*out == 2);
}

TEST_CASE("a construction that throws leaves the ring as it was") {
  const std::size_t capacity = GENERATE(1u, 2u, 3u);
  CAPTURE(capacity);
  for (int k = 0; k < 8; ++k) {
    {
      mpmc_ring<throwing> ring(capacity);
      std::vector<int> entered;
      std::vector<int> left;
      int thrown = 0;
      throwing::until_throw = k;
      for (int n = 0; n < 10; ++n) {
        const std::size_t before = ring.size_approx();
        try {
          if (ring.try_emplace(n)) entered.push_back(n);
        } catch (const std::runtime_error&) {
          ++thrown;
          CHECK(ring.size_approx() == before);
        }
        if (ring.size_approx() == capacity || n == 9) {
          while (auto m = ring.try_pop()) left.push_back(m->number());
        }
      }
      CHECK(thrown == 1);
      CHECK(entered.size() == 9);
      CHECK(left == entered);
      for (std::size_t i = 0; i < capacity; ++i) CHECK(ring.try_emplace(7));
      CHECK_FALSE(ring.try_emplace(7));
    }
    CHECK(support::counted::live() == 0);
  }
  throwing::until_throw = -1;
}

TEST_CASE("the destructor destroys what is left, at every fill and place") {
  for (const std::size_t capacity : {1u, 2u, 3u, 5u}) {
    for (std::size_t offset = 0; offset < 2 * capacity; ++offset) {
      for (std::size_t fill = 0; fill <= capacity; ++fill) {
        {
          mpmc_ring<support::counted, tickets_16> ring(capacity);
          for (std::size_t i = 0; i < offset; ++i) {
            REQUIRE(ring.try_emplace(1));
            REQUIRE(ring.try_pop());
          }
          for (std::size_t i = 0; i < fill; ++i) REQUIRE(ring.try_emplace(1));
          REQUIRE(support::counted::live() == static_cast<int>(fill));
        }
        REQUIRE(support::counted::live() == 0);
      }
    }
  }
}

TEST_CASE("over-aligned messages lie where they must") {
  aligned::misplaced = 0;
  for (const std::size_t capacity : {1u, 3u, 64u}) {
    mpmc_ring<aligned> ring(capacity);
    for (std::size_t i = 0; i < capacity; ++i) REQUIRE(ring.try_push(aligned(1)));
    while (ring.try_pop()) {
    }
  }
  CHECK(aligned::misplaced == 0);
}

TEMPLATE_TEST_CASE("two threads push and two pop: each message arrives once, in order", "",
                   default_traits, near_wrap) {
  for (const std::size_t capacity : {1u, 2u, 3u, 64u}) threads_lose_nothing<TestType>(capacity);
}
