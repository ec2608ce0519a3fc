// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/reorder_window.hpp>

#include <string>

#include "support/catch.hpp"

using window = millrace::detail::reorder_window<int, std::string, millrace::default_traits>;

TEST_CASE("results leave a window in order, and its places go round") {
  window w(2);
  CHECK(w.size() == 2);
  w.at(1).result.emplace("b");
  REQUIRE(w.finish(1));
  w.look();
  CHECK(w.next() == nullptr);  // it is the first one's turn
  CHECK(w.resign());

  w.at(0).result.emplace("a");
  REQUIRE(w.finish(0));
  w.look();
  REQUIRE(w.next() == &w.at(0));
  CHECK(w.advance() == 0);
  REQUIRE(w.next() == &w.at(1));
  CHECK(w.advance() == 1);
  CHECK(w.next() == nullptr);
  CHECK(w.resign());
}

TEST_CASE("an emitter that has missed something looks again") {
  window w(3);
  REQUIRE(w.finish(1));
  w.look();
  CHECK(w.next() == nullptr);
  CHECK_FALSE(w.finish(0));  // by another one, who leaves it to the emitter
  CHECK_FALSE(w.resign());
  w.look();
  REQUIRE(w.next() == &w.at(0));
  CHECK(w.advance() == 0);
  CHECK(w.next() == &w.at(1));
  CHECK(w.advance() == 1);
  CHECK(w.resign());
}
