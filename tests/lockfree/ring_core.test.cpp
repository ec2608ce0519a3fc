// SPDX-License-Identifier: BSL-1.0
#include <millrace/lockfree/ring_core.hpp>

#include <cstddef>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/counted.hpp"

namespace {

using millrace::default_traits;
using millrace::detail::claim;
using core = millrace::detail::ring_core<std::unique_ptr<int>, default_traits>;
using ticket = core::ticket;

claim put(core& ring, int n) {
  return ring.try_put(std::make_unique<int>(n));
}

claim take(core& ring, int& n) {
  return ring.try_take([&](std::unique_ptr<int>&& m) noexcept {
    n = *m;
    m.reset();
  });
}

}  // namespace

TEST_CASE("a step through the tickets visits every index, then the next lap") {
  for (const std::size_t capacity : {1u, 2u, 3u, 4u, 5u, 7u, 64u, 65u}) {
    CAPTURE(capacity);
    const core ring(capacity);
    ticket at = core::place(ring.tail());
    for (int lap = 0; lap < 3; ++lap) {
      const ticket begin = at;
      std::set<ticket> seen;
      for (std::size_t i = 0; i < capacity; ++i) {
        seen.insert(at);
        REQUIRE(core::place(at) == at);
        at = ring.next(at);
      }
      REQUIRE(seen.size() == capacity);
      REQUIRE(at == ring.lap_after(begin));
    }
  }
}

TEST_CASE("a flag in a ticket word stops claims at that end only") {
  for (ticket flag = 1; flag <= core::flag_bits; flag *= 2) {
    core ring(2);
    int n = 0;
    REQUIRE(put(ring, 1) == claim::done);

    ticket tail = ring.tail();
    REQUIRE(ring.change_tail(tail, tail | flag));
    auto kept = std::make_unique<int>(2);
    CHECK(ring.try_put(std::move(kept)) == claim::flagged);
    CHECK(*kept == 2);
    CHECK(take(ring, n) == claim::done);
    CHECK(n == 1);
    CHECK(take(ring, n) == claim::blocked);
    ring.unlock_tail(tail);
    CHECK(ring.try_put(std::move(kept)) == claim::done);

    ticket head = ring.head();
    REQUIRE(ring.change_head(head, head | flag));
    CHECK(take(ring, n) == claim::flagged);
    CHECK(put(ring, 3) == claim::done);
    CHECK(put(ring, 4) == claim::blocked);
    ring.unlock_head(head);
    CHECK(take(ring, n) == claim::done);
    CHECK(n == 2);
  }
}

TEST_CASE("a flag is seen where the ring is full, and where it is empty") {
  core ring(1);
  int n = 0;
  ticket head = ring.head();
  REQUIRE(ring.change_head(head, head | 4));
  CHECK(take(ring, n) == claim::flagged);
  ring.unlock_head(head);
  REQUIRE(put(ring, 1) == claim::done);
  ticket tail = ring.tail();
  REQUIRE(ring.change_tail(tail, tail | 8));
  CHECK(put(ring, 2) == claim::flagged);
}

TEST_CASE("a change of a ticket word that comes too late tells what the word is") {
  core ring(2);
  ticket stale = ring.tail();
  REQUIRE(put(ring, 1) == claim::done);
  const ticket old = stale;
  CHECK_FALSE(ring.change_tail(stale, old | 1));
  CHECK(stale == ring.tail());
  CHECK(stale == ring.next(old));
}

TEST_CASE("who locks the head claims the oldest message and frees its cell") {
  core ring(1);
  int n = 0;
  for (int lap = 0; lap < 3; ++lap) {
    REQUIRE(put(ring, lap) == claim::done);
    ticket head = ring.head();
    REQUIRE(ring.is_published(head));
    REQUIRE(ring.change_head(head, head | 1));
    const ticket at = core::place(head);
    ring.unlock_head(ring.next(at));
    const std::unique_ptr<int> taken = std::move(ring.claimed(at));
    CHECK(*taken == lap);
    CHECK(put(ring, -1) == claim::blocked);
    ring.free_claimed(at);
    CHECK(take(ring, n) == claim::blocked);
    CHECK_FALSE(ring.is_published(core::place(ring.head())));
    CHECK(ring.size_approx() == 0);
  }
}

TEST_CASE("a full ring gets the next message in the place of the oldest") {
  core ring(3);
  int n = 0;
  for (int i = 0; i < 3; ++i) REQUIRE(put(ring, i) == claim::done);
  for (int i = 0; i < 10; ++i) {
    ticket head = ring.head();
    ticket tail = ring.tail();
    REQUIRE(ring.change_head(head, head | 1));
    REQUIRE(core::place(tail) == ring.lap_after(core::place(head)));
    REQUIRE(ring.change_tail(tail, ring.next(tail)));
    const ticket at = core::place(head);
    ring.unlock_head(ring.next(at));
    const std::unique_ptr<int> taken = std::move(ring.claimed(at));
    CHECK(*taken == i);
    ring.replace_claimed(at, std::make_unique<int>(i + 3));
    CHECK(ring.size_approx() == 3);
  }
  for (int i = 10; i < 13; ++i) {
    CHECK(take(ring, n) == claim::done);
    CHECK(n == i);
  }
  CHECK(put(ring, 0) == claim::done);
}

TEST_CASE("room is seen exactly while there is some") {
  core ring(2);
  int n = 0;
  CHECK(ring.sees_room());
  REQUIRE(put(ring, 1) == claim::done);
  CHECK(ring.sees_room());
  REQUIRE(put(ring, 2) == claim::done);
  CHECK_FALSE(ring.sees_room());
  REQUIRE(take(ring, n) == claim::done);
  CHECK(ring.sees_room());
}

TEST_CASE("a push in flight is counted, and blocks pops from its message on") {
  using counted_core = millrace::detail::ring_core<support::counted, default_traits>;
  /// An argument that looks at the ring while the message is built in its cell.
  struct spy {
    counted_core& ring;
    claim& taken;
    std::size_t& size;
    operator int() const noexcept {
      taken = ring.try_take([](support::counted&&) noexcept {});
      size = ring.size_approx();
      return 1;
    }
  };
  counted_core ring(2);
  claim taken = claim::done;
  std::size_t size = 0;
  CHECK(ring.try_put(spy{ring, taken, size}) == claim::done);
  CHECK(taken == claim::blocked);
  CHECK(size == 1);
  CHECK(ring.try_take([](support::counted&&) noexcept {}) == claim::done);
}

TEST_CASE("a pop in flight is counted, and blocks the push one lap later") {
  core ring(1);
  REQUIRE(put(ring, 1) == claim::done);
  claim pushed = claim::done;
  std::size_t size = 1;
  const claim taken = ring.try_take([&](std::unique_ptr<int>&&) noexcept {
    pushed = put(ring, 2);
    size = ring.size_approx();
  });
  CHECK(taken == claim::done);
  CHECK(pushed == claim::blocked);
  CHECK(size == 0);
  CHECK(put(ring, 2) == claim::done);
}

namespace {

using numbers = millrace::detail::ring_core<int, default_traits>;

/// Takes n messages at most.
std::vector<int> take_n(numbers& ring, std::size_t n) {
  std::vector<int> out(n);
  out.resize(ring.try_take_n(out.data(), n));
  return out;
}

/// A source and a sink that look at the ring between two messages.
template <class Look>
struct looking {
  Look* look;
  int n = 0;
  int operator*() const noexcept {
    (*look)();
    return n;
  }
  looking& operator++() noexcept {
    ++n;
    return *this;
  }
};
template <class Look>
struct looking_sink {
  Look* look;
  struct place {
    Look* look;
    void operator=(int&& message) const noexcept { (*look)(message); }
  };
  place operator*() const noexcept { return {look}; }
  looking_sink& operator++() noexcept { return *this; }
};

}  // namespace

TEST_CASE("a batch goes around the wrap, and stops where there is no room and no message") {
  const int given[] = {0, 1, 2, 3, 4, 5, 6};
  for (int offset = 0; offset < 10; ++offset) {
    CAPTURE(offset);
    numbers ring(5);
    for (int i = 0; i < offset; ++i) {
      REQUIRE(ring.try_put_n(given, 1) == 1);
      REQUIRE(take_n(ring, 1).size() == 1);
    }
    REQUIRE(ring.try_put_n(given, 3) == 3);
    REQUIRE(ring.try_put_n(given + 3, 4) == 2);
    REQUIRE(ring.try_put_n(given, 1) == 0);
    REQUIRE(take_n(ring, 2) == std::vector<int>{0, 1});
    REQUIRE(ring.try_put_n(given + 5, 2) == 2);
    REQUIRE(take_n(ring, 9) == std::vector<int>{2, 3, 4, 5, 6});
    REQUIRE(take_n(ring, 1).empty());
    REQUIRE(ring.try_put_n(given, 0) == 0);
  }
}

TEST_CASE("a batch leaves a flagged end alone") {
  for (ticket flag = 1; flag <= numbers::flag_bits; flag *= 2) {
    CAPTURE(flag);
    numbers ring(4);
    const int given[] = {1, 2};
    REQUIRE(ring.try_put_n(given, 2) == 2);
    ticket tail = ring.tail();
    ticket head = ring.head();
    REQUIRE(ring.change_tail(tail, tail | flag));
    REQUIRE(ring.change_head(head, head | flag));
    CHECK(ring.try_put_n(given, 2) == 0);
    CHECK(take_n(ring, 2).empty());
    CHECK(ring.tail() == (tail | flag));
    CHECK(ring.head() == (head | flag));
    ring.unlock_tail(tail);
    ring.unlock_head(head);
    CHECK(ring.try_put_n(given, 2) == 2);
    CHECK(take_n(ring, 4) == std::vector<int>{1, 2, 1, 2});
  }
}

TEST_CASE("the messages of a batch can be taken one by one while it goes on") {
  numbers ring(4);
  std::vector<int> taken;
  auto take = [&] { ring.try_take([&](int&& n) noexcept { taken.push_back(n); }); };
  CHECK(ring.try_put_n(looking<decltype(take)>{&take}, 3) == 3);
  CHECK(taken == std::vector<int>{0, 1});  // each once its successor was being built
  CHECK(take_n(ring, 4) == std::vector<int>{2});
}

TEST_CASE("the cells of a batch are free one by one while it goes on") {
  numbers ring(3);
  const int given[] = {0, 1, 2};
  REQUIRE(ring.try_put_n(given, 3) == 3);
  std::vector<int> put;
  auto push = [&](int message) {
    if (ring.try_put(message + 10) == claim::done) put.push_back(message + 10);
  };
  CHECK(ring.try_take_n(looking_sink<decltype(push)>{&push}, 3) == 3);
  CHECK(put == std::vector<int>{11, 12});  // each once its successor was being taken
  CHECK(take_n(ring, 3) == std::vector<int>{11, 12});
}

TEST_CASE("others that come between the claims of a batch are not overwritten") {
  numbers ring(4);
  auto put = [&] { static_cast<void>(ring.try_put(99)); };
  // From index 2 on, the batch needs two claims; the other pushes come behind the first.
  const int given[] = {0, 0};
  REQUIRE(ring.try_put_n(given, 2) == 2);
  REQUIRE(take_n(ring, 2).size() == 2);
  CHECK(ring.try_put_n(looking<decltype(put)>{&put}, 4) == 2);
  CHECK(take_n(ring, 5) == std::vector<int>{0, 1, 99, 99});
}

TEST_CASE("messages lie where the layout puts them") {
  const auto distance = [](auto& ring) {
    for (int i = 0; i < 64; ++i) REQUIRE(ring.try_put(i) == claim::done);
    const ticket first = ring.place(ring.head());
    int* const a = &ring.claimed(first);
    int* const b = &ring.claimed(ring.next(first));
    CHECK(*a == 0);
    CHECK(*b == 1);
    return reinterpret_cast<const char*>(b) - reinterpret_cast<const char*>(a);
  };
  numbers dense(64);
  millrace::detail::ring_core<int, default_traits, millrace::padded_slots> padded(64);
  millrace::detail::ring_core<int, default_traits, millrace::scattered_slots> scattered(64);
  CHECK(distance(dense) == 16);
  CHECK(distance(padded) == 64);
  CHECK(distance(scattered) == 8 * 16);
}
