// SPDX-License-Identifier: BSL-1.0
#include <millrace/lockfree/broadcast_slots.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include <millrace/detail/atomic.hpp>

#include "support/catch.hpp"

namespace {

using slots = millrace::detail::broadcast_slots<std::string, millrace::default_traits>;

auto source(const char* text) {
  return [text](auto&& sink) noexcept { return sink(text); };
}
std::string read(const slots& s, slots::place at) {
  std::string found = "nothing";
  if (!s.read(at, [&](const std::string& m) { found = m; })) CHECK(found == "nothing");
  return found;
}

}  // namespace

TEST_CASE("what is written to a slot is read by ticket, until the next lap") {
  for (const bool readers_pin : {false, true}) {
    for (const std::uint64_t first : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{1} << 47}) {
      slots s(2, first, readers_pin);
      CHECK(s.capacity() == 2);
      CHECK(s.after(0) == 1);
      CHECK(s.after(1) == 0);
      CHECK(read(s, {first, 0}) == "nothing");
      CHECK(read(s, {first - 2, 0}) == "nothing");
      s.write({first + 1, 1}, source("one"));
      CHECK(read(s, {first, 0}) == "nothing");
      CHECK(read(s, {first + 1, 1}) == "one");
      s.write({first, 0}, source("zero"));
      CHECK(read(s, {first, 0}) == "zero");
      CHECK(read(s, {first, 0}) == "zero");
      s.write({first + 2, 0}, source("two"));
      CHECK(read(s, {first, 0}) == "nothing");
      CHECK(read(s, {first + 2, 0}) == "two");
    }
  }
}

TEST_CASE("a copy that throws leaves the slot as it was") {
  for (const bool readers_pin : {false, true}) {
    slots s(1, 0, readers_pin);
    s.write({0, 0}, source("message"));
    CHECK_THROWS_WITH(s.read({0, 0}, [](const std::string&) { throw std::runtime_error("copy"); }), "copy");
    CHECK(read(s, {0, 0}) == "message");
    s.write({1, 0}, source("next"));  // waits for nobody
    CHECK(read(s, {1, 0}) == "next");
  }
}

TEST_CASE("slots beyond all memory are refused") {
  CHECK_THROWS_AS(slots(~std::size_t{0}, 0, false), std::length_error);
}

TEST_CASE("a writer waits for who copies what it overwrites, and new readers do not come in") {
  slots s(1, 0, true);
  s.write({0, 0}, source("old"));
  std::atomic<bool> is_copying{false};
  std::atomic<bool> may_end{false};
  std::string copied;
  std::thread reader([&] {
    s.read({0, 0}, [&](const std::string& m) {
      is_copying = true;
      while (!may_end) std::this_thread::yield();
      copied = m;
    });
  });
  while (!is_copying) std::this_thread::yield();
  CHECK(read(s, {0, 0}) == "old");  // beside the other one
  std::atomic<bool> is_written{false};
  std::thread writer([&] {
    s.write({1, 0}, source("new"));
    is_written = true;
  });
  while (s.read({0, 0}, [](const std::string&) {})) std::this_thread::yield();
  CHECK_FALSE(is_written);
  CHECK(read(s, {1, 0}) == "nothing");
  may_end = true;
  writer.join();
  reader.join();
  CHECK(copied == "old");
  CHECK(read(s, {1, 0}) == "new");
}
