// SPDX-License-Identifier: BSL-1.0
#include <millrace/lockfree/segment_core.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

#include <millrace/detail/atomic.hpp>

#include "support/catch.hpp"
#include "support/chaos.hpp"
#include "support/counted.hpp"

namespace {

using millrace::default_traits;
using millrace::detail::claim;

/// Segments of two cells, counted; `allowed` more can be had.
struct two_cells : support::near_wrap<support::tiny_segments<default_traits>> {
  static inline int outstanding = 0;
  static inline int allowed = -1;

  static void* allocate(std::size_t bytes, std::size_t alignment) {
    if (allowed == 0) throw std::bad_alloc();
    if (allowed > 0) --allowed;
    ++outstanding;
    return default_traits::allocate(bytes, alignment);
  }
  static void deallocate(void* memory, std::size_t alignment) noexcept {
    --outstanding;
    default_traits::deallocate(memory, alignment);
  }
};

template <class T>
using core = millrace::detail::segment_core<T, two_cells>;

/// Takes one message; -1: none.
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

/// An argument that looks at the queue while the message is built in its cell.
template <class Look>
struct spy {
  Look& look;
  operator int() const noexcept {
    look();
    return 0;
  }
};

}  // namespace

TEST_CASE("messages cross the ends of segments, one by one and in batches, in order") {
  std::vector<int> given(12);
  for (int i = 0; i < 12; ++i) given[static_cast<std::size_t>(i)] = i;
  for (int offset = 0; offset < 4; ++offset) {
    for (std::size_t n = 1; n <= 7; ++n) {
      core<int> q;
      for (int i = 0; i < offset; ++i) REQUIRE(q.try_put(i) == claim::done);
      for (int i = 0; i < offset; ++i) REQUIRE(take(q) == i);
      for (std::size_t at = 0; at < 12; at += n) {
        const std::size_t here = n < 12 - at ? n : 12 - at;
        REQUIRE(q.try_put_n(given.data() + at, here) == here);
        REQUIRE(q.size_approx() == at + here);
      }
      REQUIRE(take_n(q, 5) == std::vector<int>(given.begin(), given.begin() + 5));
      REQUIRE(take(q) == 5);
      REQUIRE(take_n(q, 99) == std::vector<int>(given.begin() + 6, given.end()));
      REQUIRE(take_n(q, 1).empty());
      REQUIRE(take(q) == -1);
      REQUIRE(q.size_approx() == 0);
    }
  }
}

TEST_CASE("a push in flight blocks pops from its message on, and no push, wherever its cell is") {
  for (int offset = 0; offset < 4; ++offset) {
    CAPTURE(offset);
    core<int> q;
    for (int i = 0; i < offset; ++i) REQUIRE(q.try_put(i + 100) == claim::done);
    int before = 0;
    int blocked = 0;
    std::size_t size = 0;
    auto look = [&] {
      while (take(q) >= 100) ++before;
      for (int i = 1; i < 6; ++i) static_cast<void>(q.try_put(i));
      blocked = take(q);
      size = q.size_approx();
    };
    CHECK(q.try_put(spy<decltype(look)>{look}) == claim::done);
    CHECK(before == offset);
    CHECK(blocked == -1);
    CHECK(size == 6);
    CHECK(take_n(q, 9) == std::vector<int>{0, 1, 2, 3, 4, 5});
  }
}

TEST_CASE("a pop in flight keeps its segment from being used again, and nothing else") {
  for (int offset = 0; offset < 4; ++offset) {
    CAPTURE(offset);
    core<std::unique_ptr<int>> q;
    for (int i = 0; i < offset; ++i) {
      REQUIRE(q.try_put(std::make_unique<int>(i)) == claim::done);
      REQUIRE(q.try_take([](std::unique_ptr<int>&&) noexcept {}) == claim::done);
    }
    REQUIRE(q.try_put(std::make_unique<int>(77)) == claim::done);
    int sum = 0;
    int in_hand = 0;
    int most = 0;
    q.try_take([&](std::unique_ptr<int>&& message) noexcept {
      for (int i = 1; i <= 20; ++i) {
        static_cast<void>(q.try_put(std::make_unique<int>(i)));
        q.try_take([&](std::unique_ptr<int>&& other) noexcept { sum += *other; });
      }
      in_hand = *message;
      most = two_cells::outstanding;
    });
    CHECK(in_hand == 77);
    CHECK(sum == 210);
    CHECK(most <= 4);  // the pinned one, and those that go round
  }
  CHECK(two_cells::outstanding == 0);
}

TEST_CASE("a push without memory touches neither its argument nor the queue") {
  core<std::unique_ptr<int>> q;
  auto message = std::make_unique<int>(1);
  two_cells::allowed = 0;
  CHECK(q.try_put(std::make_unique<int>(0)) == claim::done);  // the first segment has room for one
  CHECK_THROWS_AS(q.try_put(std::move(message)), std::bad_alloc);
  REQUIRE(message);
  CHECK(q.size_approx() == 1);
  CHECK(q.try_take([](std::unique_ptr<int>&&) noexcept {}) == claim::done);
  CHECK(q.try_take([](std::unique_ptr<int>&&) noexcept {}) == claim::blocked);
  two_cells::allowed = -1;
  CHECK(q.try_put(std::move(message)) == claim::done);
  CHECK_FALSE(message);
}

TEST_CASE("a batch without memory says how many went in, and throws only if none did") {
  const int given[] = {0, 1, 2, 3, 4, 5, 6};
  core<int> q;
  two_cells::allowed = 2;
  CHECK(q.try_put_n(given, 7) == 4);  // three segments have six cells, but the last one needs a successor
  CHECK(q.try_put_n(given + 4, 1) == 1);
  CHECK_THROWS_AS(q.try_put_n(given + 5, 2), std::bad_alloc);
  two_cells::allowed = -1;
  CHECK(q.try_put_n(given + 5, 2) == 2);
  CHECK(take_n(q, 9) == std::vector<int>(given, given + 7));
}

TEST_CASE("a queue that ends destroys its messages and frees its segments, at every fill and place") {
  for (int offset = 0; offset < 5; ++offset) {
    for (int fill = 0; fill < 6; ++fill) {
      {
        core<support::counted> q;
        for (int i = 0; i < offset; ++i) {
          REQUIRE(q.try_put(1) == claim::done);
          REQUIRE(q.try_take([](support::counted&&) noexcept {}) == claim::done);
        }
        for (int i = 0; i < fill; ++i) REQUIRE(q.try_put(1) == claim::done);
        REQUIRE(support::counted::live() == fill);
      }
      REQUIRE(support::counted::live() == 0);
      REQUIRE(two_cells::outstanding == 0);
    }
  }
}

TEST_CASE("there is always room in a segmented queue") {
  STATIC_REQUIRE(core<int>::sees_room());
}

TEST_CASE("a batch of an empty queue is none") {
  core<int> queue;
  int out[2];
  CHECK(queue.try_take_n(out, 2) == 0);
}
