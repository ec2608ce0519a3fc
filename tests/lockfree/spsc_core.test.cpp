// SPDX-License-Identifier: BSL-1.0
#include <millrace/lockfree/spsc_core.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#include <millrace/detail/atomic.hpp>

#include "support/catch.hpp"
#include "support/chaos.hpp"
#include "support/counted.hpp"

namespace {

using millrace::default_traits;
using millrace::detail::claim;

struct counting_traits : support::near_wrap<default_traits> {
  static inline int outstanding = 0;
  static void* allocate(std::size_t bytes, std::size_t alignment) {
    ++outstanding;
    return default_traits::allocate(bytes, alignment);
  }
  static void deallocate(void* memory, std::size_t alignment) noexcept {
    --outstanding;
    default_traits::deallocate(memory, alignment);
  }
};

template <class T>
using core = millrace::detail::spsc_core<T, counting_traits>;

int take(core<int>& q) {
  int n = -1;
  q.try_take([&](int&& m) noexcept { n = m; });
  return n;
}

std::vector<int> take_n(core<int>& q, std::size_t n) {
  std::vector<int> out(n);
  out.resize(q.try_take_n(out.data(), n));
  return out;
}

template <class Look>
struct spy {
  Look& look;
  operator int() const noexcept {
    look();
    return 7;
  }
};

}  // namespace

TEST_CASE("batches go around the wrap of an spsc ring, and stop at full and empty") {
  constexpr std::size_t most = 40;
  std::vector<int> given(most + 1);
  for (std::size_t i = 0; i <= most; ++i) given[i] = static_cast<int>(i);
  bool all = true;
  for (std::size_t capacity = 1; capacity <= most; ++capacity) {
    core<int> q(capacity);
    for (std::size_t lap = 0; lap < 3 * capacity; ++lap) {
      // Each lap begins one slot further on.
      const std::size_t part = 1 + lap % capacity;
      all = all && q.try_put_n(given.data(), part) == part;
      all = all && q.try_put_n(given.data() + part, most) == capacity - part;
      all = all && q.try_put_n(given.data(), 1) == 0 && q.try_put(5) == claim::blocked;
      all = all && q.size_approx() == capacity && !q.sees_room();
      all = all && take_n(q, part) == std::vector<int>(given.begin(), given.begin() + int(part));
      all = all && q.size_approx() == capacity - part && q.sees_room();
      all = all &&
            take_n(q, most) == std::vector<int>(given.begin() + int(part), given.begin() + int(capacity));
      all = all && take_n(q, 1).empty() && take(q) == -1 && q.size_approx() == 0;
      all = all && q.try_put(9) == claim::done && take(q) == 9;
      if (!all) break;
    }
    CAPTURE(capacity);
    REQUIRE(all);
  }
}

TEST_CASE("a push in flight cannot be popped, and one that is done can, at once") {
  core<int> q(2);
  int during = 0;
  auto look = [&] { during = take(q); };
  CHECK(q.try_put(spy<decltype(look)>{look}) == claim::done);
  CHECK(during == -1);
  CHECK(take(q) == 7);
}

TEST_CASE("the slot of a pop in flight is not free, and one that is done is, at once") {
  core<int> q(1);
  for (int lap = 0; lap < 3; ++lap) {
    REQUIRE(q.try_put(1) == claim::done);
    claim during = claim::done;
    q.try_take([&](int&&) noexcept { during = q.try_put(2); });
    CHECK(during == claim::blocked);
    CHECK(q.try_put(3) == claim::done);
    CHECK(take(q) == 3);
  }
}

TEST_CASE("room is seen exactly while an spsc ring has some") {
  core<int> q(2);
  CHECK(q.sees_room());
  REQUIRE(q.try_put(1) == claim::done);
  CHECK(q.sees_room());
  REQUIRE(q.try_put(2) == claim::done);
  CHECK_FALSE(q.sees_room());
  REQUIRE(take(q) == 1);
  CHECK(q.sees_room());
}

TEST_CASE("an spsc ring that ends destroys its messages and frees its memory, at every fill and place") {
  for (const std::size_t capacity : {1u, 2u, 9u, 20u}) {
    for (std::size_t offset = 0; offset <= 2 * capacity; ++offset) {
      for (std::size_t fill = 0; fill <= capacity; ++fill) {
        {
          core<support::counted> q(capacity);
          for (std::size_t i = 0; i < offset; ++i) {
            REQUIRE(q.try_put(1) == claim::done);
            REQUIRE(q.try_take([](support::counted&&) noexcept {}) == claim::done);
          }
          for (std::size_t i = 0; i < fill; ++i) REQUIRE(q.try_put(1) == claim::done);
          REQUIRE(support::counted::live() == static_cast<int>(fill));
          REQUIRE(counting_traits::outstanding == 1);
        }
        REQUIRE(support::counted::live() == 0);
        REQUIRE(counting_traits::outstanding == 0);
      }
    }
  }
}

TEST_CASE("an spsc ring knows how full it is, and counts what went through it, at every place") {
  for (const std::size_t capacity : {1u, 2u, 7u, 20u}) {
    core<int> q(capacity);
    std::uint64_t in = 0;
    std::uint64_t out = 0;
    bool all = true;
    for (std::size_t turn = 0; turn < 5000; ++turn) {
      const std::size_t fill = turn * 7 % (capacity + 1);
      while (in - out < fill) all = all && q.try_put(1) == claim::done && ++in != 0;
      while (in - out > fill) all = all && take(q) == 1 && ++out != 0;
      all = all && q.pushed() == in && q.popped() == out && q.is_empty() == (fill == 0) &&
            q.sees_message() == (fill != 0) && q.was_full() == (fill == capacity);
    }
    CAPTURE(capacity);
    REQUIRE(all);
  }
}
