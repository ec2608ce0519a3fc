// SPDX-License-Identifier: BSL-1.0
#include <millrace/lockfree/slot_layout.hpp>

#include <cstddef>
#include <set>
#include <type_traits>

#include "support/catch.hpp"

using millrace::dense_slots;
using millrace::padded_slots;
using millrace::scattered_slots;

TEMPLATE_TEST_CASE("each index has a place of its own below the capacity", "", dense_slots, padded_slots,
                   scattered_slots) {
  bool all = true;
  for (std::size_t capacity = 1; capacity <= 300; ++capacity) {
    std::set<std::size_t> places;
    for (std::size_t i = 0; i < capacity; ++i) places.insert(TestType::place(i, capacity));
    all = all && places.size() == capacity && *places.rbegin() == capacity - 1;
  }
  CHECK(all);
}

TEMPLATE_TEST_CASE("a slot is aligned at least as it needs", "", dense_slots, padded_slots, scattered_slots) {
  for (std::size_t least = 1; least <= 4096; least *= 2) {
    CHECK(TestType::alignment(least) >= least);
    CHECK(TestType::alignment(least) % least == 0);
  }
}

TEST_CASE("dense slots stand in order, as close as they can") {
  STATIC_REQUIRE(dense_slots::place(77, 100) == 77);
  STATIC_REQUIRE(dense_slots::alignment(8) == 8);
  STATIC_REQUIRE(scattered_slots::alignment(8) == 8);
}

TEST_CASE("padded slots have lines of their own") {
  STATIC_REQUIRE(padded_slots::place(77, 100) == 77);
  STATIC_REQUIRE(padded_slots::alignment(8) == 64);
  STATIC_REQUIRE(padded_slots::alignment(64) == 64);
  STATIC_REQUIRE(padded_slots::alignment(128) == 128);
}

TEST_CASE("scattered neighbours are eight slots apart, in whole blocks of 64") {
  constexpr std::size_t capacity = 2 * 64 + 5;
  for (std::size_t i = 0; i < 128; ++i) {
    const std::size_t here = scattered_slots::place(i, capacity);
    CHECK(here / 64 == i / 64);
    if (i % 8 != 7) CHECK(scattered_slots::place(i + 1, capacity) == here + 8);
  }
  for (std::size_t i = 128; i < capacity; ++i) CHECK(scattered_slots::place(i, capacity) == i);
  for (std::size_t i = 0; i < 63; ++i) CHECK(scattered_slots::place(i, 63) == i);
}
