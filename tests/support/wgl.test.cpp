// SPDX-License-Identifier: BSL-1.0

// The exact judge of small histories can say no: good ones are accepted, each kind of bad one is refused.

#include "support/wgl.hpp"

#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include "support/catch.hpp"

using namespace support::wgl;

namespace {

bool fits(const history& h, std::size_t capacity = 0) {
  return checker().check(h, capacity);
}

call push(std::uint64_t began, std::uint64_t ended, std::uint32_t value, bool follows = false) {
  return {began, ended, kind::push, answer::ok, follows, value};
}
call pop(std::uint64_t began, std::uint64_t ended, std::uint32_t value, bool follows = false) {
  return {began, ended, kind::pop, answer::ok, follows, value};
}
call full(std::uint64_t began, std::uint64_t ended) {
  return {began, ended, kind::push, answer::refused};
}
call empty(std::uint64_t began, std::uint64_t ended) {
  return {began, ended, kind::pop, answer::refused};
}
call close(std::uint64_t began, std::uint64_t ended) {
  return {began, ended, kind::close, answer::ok};
}
call closed_before(std::uint64_t began, std::uint64_t ended) {
  return {began, ended, kind::close, answer::refused};
}
call push_closed(std::uint64_t began, std::uint64_t ended) {
  return {began, ended, kind::push, answer::closed};
}
call pop_closed(std::uint64_t began, std::uint64_t ended) {
  return {began, ended, kind::pop, answer::closed};
}

}  // namespace

TEST_CASE("calls one after the other fit the queue that they describe") {
  CHECK(fits({}));
  CHECK(fits({empty(1, 2), push(3, 4, 0), push(5, 6, 1), pop(7, 8, 0), pop(9, 10, 1), empty(11, 12)}));
  CHECK(fits({push(1, 2, 5), full(3, 4), pop(5, 6, 5), push(7, 8, 6), pop(9, 10, 6)}, 1));
}

TEST_CASE("values that were never pushed, or come twice, or in the wrong order fit no queue") {
  CHECK_FALSE(fits({pop(1, 2, 0)}));
  CHECK_FALSE(fits({push(3, 4, 0), pop(1, 2, 0)}));
  CHECK(fits({push(2, 4, 0), pop(1, 3, 0)}));
  CHECK_FALSE(fits({push(1, 2, 0), pop(3, 4, 0), pop(3, 4, 0)}));
  CHECK_FALSE(fits({push(1, 2, 0), push(3, 4, 1), pop(5, 6, 1), pop(7, 8, 0)}));
  CHECK(fits({push(1, 3, 0), push(2, 4, 1), pop(5, 6, 1), pop(7, 8, 0)}));
  CHECK(fits({push(1, 2, 0), push(3, 4, 1), pop(5, 7, 1), pop(6, 8, 0)}));
}

TEST_CASE("the messages of a bulk call fit in their order only") {
  CHECK(fits({push(1, 4, 0), push(1, 4, 1, true), pop(2, 3, 0), pop(5, 6, 1)}));
  CHECK_FALSE(fits({push(1, 4, 0), push(1, 4, 1, true), pop(2, 3, 1), pop(5, 6, 0)}));
  CHECK_FALSE(fits({push(1, 2, 0), push(3, 4, 1), pop(5, 6, 1), pop(5, 6, 0, true)}));
}

TEST_CASE("empty fits an empty queue, or a push of the oldest message that is in flight") {
  CHECK_FALSE(fits({push(1, 2, 0), empty(3, 4)}));
  CHECK_FALSE(fits({push(1, 2, 0), push(3, 4, 1), pop(6, 7, 0), empty(3, 9)}));
  CHECK(fits({push(1, 4, 0), empty(3, 5)}));
  CHECK(fits({push(1, 9, 0), push(2, 3, 1), empty(5, 6), pop(10, 11, 0), pop(12, 13, 1)}));
  CHECK_FALSE(fits({push(1, 4, 0), push(2, 3, 1), empty(5, 6), pop(10, 11, 0), pop(12, 13, 1)}));  // over
  CHECK_FALSE(
      fits({push(4, 9, 0), push(2, 3, 1), empty(5, 6), pop(10, 11, 1), pop(12, 13, 0)}));  // not the oldest
  CHECK_FALSE(fits({push(1, 9, 0), push(2, 3, 1), pop(1, 4, 0), empty(5, 6), pop(10, 11, 1)}));  // out
  // It may be the oldest by its push, but the pops show that it is not.
  CHECK_FALSE(fits({push(1, 9, 0), push(2, 3, 1), empty(5, 6), pop(10, 11, 1), pop(12, 13, 0)}));
}

TEST_CASE("full fits a full queue, or a pop in flight that is to make room") {
  CHECK_FALSE(fits({full(1, 2)}, 1));
  CHECK_FALSE(fits({push(1, 2, 0), full(3, 4)}, 2));
  CHECK(fits({push(1, 2, 0), push(3, 4, 1), full(5, 6)}, 2));
  CHECK_FALSE(fits({push(1, 2, 0), full(3, 4)}));  // unbounded
  CHECK(fits({push(1, 2, 0), push(3, 4, 1), pop(5, 20, 0), pop(6, 7, 1), full(8, 9)}, 2));
  CHECK_FALSE(fits({push(1, 2, 0), push(3, 4, 1), pop(5, 7, 0), pop(6, 7, 1), full(8, 9)}, 2));  // over
  CHECK_FALSE(
      fits({push(1, 2, 0), push(3, 4, 1), pop(5, 6, 0), pop(5, 20, 1), full(8, 9)}, 2));  // another's room
}

TEST_CASE("a message that is handed to a waiting pop takes no place") {
  // The cell that the last push would fill is still that of 0, whose pop is in flight.
  call waiting = pop(7, 12, 2);
  const history h = {push(1, 2, 0),   push(3, 4, 1), pop(5, 20, 0), pop(5, 6, 1),
                     push(10, 11, 2), waiting,       full(13, 14)};
  CHECK_FALSE(fits(h, 2));
  waiting.waits = true;
  const history handed = {push(1, 2, 0),   push(3, 4, 1), pop(5, 20, 0), pop(5, 6, 1),
                          push(10, 11, 2), waiting,       full(13, 14)};
  CHECK(fits(handed, 2));
  CHECK_FALSE(fits(handed, 4));
  waiting.began = 12;  // it came after the push
  waiting.ended = 13;
  CHECK_FALSE(fits(
      {push(1, 2, 0), push(3, 4, 1), pop(5, 20, 0), pop(5, 6, 1), push(10, 11, 2), waiting, full(14, 15)},
      2));
}

TEST_CASE("more than the capacity fits no queue") {
  CHECK_FALSE(fits({push(1, 2, 0), push(3, 4, 1)}, 1));
  CHECK(fits({push(1, 2, 0), push(3, 5, 1), pop(4, 6, 0)}, 1));
}

TEST_CASE("close happens once, and all say so from then on") {
  CHECK(fits({push(1, 2, 0), close(3, 4), closed_before(5, 6), push_closed(7, 8), pop(9, 10, 0),
              pop_closed(11, 12)}));
  CHECK(fits({close(1, 4), closed_before(2, 3)}));
  CHECK_FALSE(fits({close(3, 4), closed_before(1, 2)}));
  CHECK_FALSE(fits({close(1, 2), close(3, 4)}));
  CHECK_FALSE(fits({closed_before(1, 2)}));
  CHECK_FALSE(fits({close(1, 2), push(3, 4, 0)}));
  CHECK(fits({close(1, 4), push(3, 5, 0)}));
  CHECK_FALSE(fits({push_closed(1, 2), close(3, 4)}));
  CHECK_FALSE(fits({pop_closed(1, 2), close(3, 4)}));
  CHECK_FALSE(fits({close(1, 2), empty(3, 4)}));
  CHECK_FALSE(fits({push(1, 2, 0), close(3, 4), pop_closed(5, 6), pop(7, 8, 0)}));  // not before it is empty
  CHECK_FALSE(fits({push(1, 2, 0), close(3, 4), full(5, 6)}, 1));
  CHECK(fits({push(1, 9, 0), close(3, 4), empty(5, 6)}));  // the push is in flight
}

TEST_CASE("the search goes back where a first guess was wrong") {
  // 0 to 3 overlap, so each may be the first; the pops tell which it was.
  CHECK(fits({push(1, 9, 0), push(1, 9, 1), push(1, 9, 2), push(1, 9, 3), pop(10, 11, 3), pop(12, 13, 1),
              pop(14, 15, 0), pop(16, 17, 2), empty(18, 19)}));
  CHECK_FALSE(fits({push(1, 9, 0), push(1, 9, 1), push(1, 9, 2), push(1, 9, 3), pop(10, 11, 3),
                    pop(12, 13, 1), pop(14, 15, 0), empty(16, 17), pop(18, 19, 2)}));
}

TEST_CASE("many pushes that overlap are few states, for their pops tell the order") {
  history h;
  for (std::uint32_t i = 0; i < 16; ++i) h.push_back(push(1, 9, i));
  for (std::uint32_t i = 0; i < 8; ++i) h.push_back(pop(10 + 2 * i, 11 + 2 * i, 15 - i));
  checker c;
  CHECK(c.check(h, 0));
  CHECK(c.effort() < 1000);
  h.push_back(pop(30, 31, 15));  // twice
  CHECK_FALSE(c.check(h, 0));
  h.back() = pop(30, 31, 0);
  CHECK(c.check(h, 0));
  h.push_back(empty(32, 33));  // seven are left
  CHECK_FALSE(c.check(h, 0));
  CHECK(c.effort() < 1000);
}

TEST_CASE("a checker forgets the history before, and refuses one that is too long") {
  checker c;
  CHECK_FALSE(c.check({pop(1, 2, 0)}, 0));
  CHECK(c.check({push(1, 2, 0)}, 0));
  CHECK(c.check({push(1, 2, 0), pop(3, 4, 0)}, 0));
  CHECK_THROWS_AS(c.check(history(33, push(1, 2, 0)), 0), std::invalid_argument);
}

TEST_CASE("a description names every call") {
  CHECK(describe({push(11, 12, 7), full(13, 14), pop_closed(15, 16), close(17, 18)}) ==
        "push 7 ok from 0 to 1\npush refused from 2 to 3\npop closed from 4 to 5\nclose ok from 6 to 7\n");
}
