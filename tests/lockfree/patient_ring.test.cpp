// SPDX-License-Identifier: BSL-1.0
#include <millrace/lockfree/patient_ring.hpp>

#include <cstddef>
#include <functional>
#include <utility>

#include "support/catch.hpp"

// What it does beyond ring_core. That it works as a queue is shown by mpmc_ring.test.cpp.

namespace {

using millrace::detail::claim;

/// Another thread, as it were, that comes while this one pauses.
struct visited : millrace::default_traits {
  static inline int pauses = 0;
  static inline std::function<void()> visitor;
  static void pause() noexcept {
    ++pauses;
    if (visitor) std::exchange(visitor, nullptr)();
  }
};

struct ring : millrace::detail::patient_ring<int, visited, millrace::dense_slots> {
  explicit ring(std::size_t capacity) : patient_ring(capacity) { visited::pauses = 0; }

  std::size_t put(std::size_t n) {
    std::size_t done = 0;
    while (done < n && try_put(static_cast<int>(done)) == claim::done) ++done;
    return done;
  }
  std::size_t take(std::size_t n) {
    std::size_t done = 0;
    while (done < n && try_take([](int&&) noexcept {}) == claim::done) ++done;
    return done;
  }
};

}  // namespace

TEST_CASE("a patient ring that is full looks again") {
  const std::size_t capacity = GENERATE(64u, 100u, 1024u);
  ring full(capacity);
  REQUIRE(full.put(capacity) == capacity);
  REQUIRE(visited::pauses == 0);
  visited::visitor = [&] { full.take(capacity); };
  CHECK(full.try_put(1) == claim::done);
  CHECK(visited::pauses > 0);
  CHECK(visited::pauses < 64);
  CHECK(full.size_approx() == 1);
}

TEST_CASE("a patient ring that is empty looks again") {
  const std::size_t capacity = GENERATE(64u, 100u, 1024u);
  ring empty(capacity);
  visited::visitor = [&] { empty.put(capacity); };
  CHECK(empty.take(1) == 1);
  CHECK(visited::pauses > 0);
  CHECK(visited::pauses < 64);
  CHECK(empty.size_approx() == capacity - 1);
}

TEST_CASE("a patient ring takes the one message that came") {
  ring empty(64);
  visited::visitor = [&] { empty.put(1); };
  CHECK(empty.take(1) == 1);
  CHECK(visited::pauses == 64);
}

TEST_CASE("a patient ring gives up, and waits no second time") {
  ring empty(64);
  CHECK(empty.take(1) == 0);
  CHECK(visited::pauses == 64);
  CHECK(empty.take(1) == 0);
  CHECK(visited::pauses == 64);
  CHECK(empty.put(65) == 64);
  CHECK(visited::pauses == 128);
  CHECK(empty.put(1) == 0);
  CHECK(visited::pauses == 128);
}

TEST_CASE("a ring below 64 messages is not patient") {
  ring small(63);
  CHECK(small.take(1) == 0);
  CHECK(small.put(64) == 63);
  CHECK(visited::pauses == 0);
}
