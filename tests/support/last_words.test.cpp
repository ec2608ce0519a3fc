// SPDX-License-Identifier: BSL-1.0
#include "support/last_words.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "support/catch.hpp"

using support::last_words;

TEST_CASE("what is said before an abort is heard, however long it is") {
  const auto said = last_words([] {
    for (int i = 0; i < 1000; ++i) std::fputs("farewell\n", stderr);
    std::abort();
  });
  REQUIRE(said);
  CHECK(said->size() == 9000);
  CHECK(said->substr(0, 9) == "farewell\n");
}

TEST_CASE("std::terminate is heard too") {
  CHECK(last_words([] { std::terminate(); }));
}

TEST_CASE("what ends in another way has no last words") {
  CHECK_FALSE(last_words([] { std::fputs("nothing to see here\n", stderr); }));
  CHECK_FALSE(last_words([] { _exit(1); }));
}
