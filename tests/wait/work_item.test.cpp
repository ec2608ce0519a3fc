// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/work_item.hpp>

#include "support/catch.hpp"

TEST_CASE("a work list gives back in the order in which it was given") {
  millrace::work_item items[3];
  millrace::work_list list;
  CHECK(list.empty());
  for (int lap = 0; lap < 2; ++lap) {
    for (auto& item : items) list.push_back(item);
    for (auto& item : items) {
      REQUIRE_FALSE(list.empty());
      CHECK(&list.pop_front() == &item);
    }
    CHECK(list.empty());
  }
}

TEST_CASE("an item that left a work list may join another at once") {
  millrace::work_item items[2];
  millrace::work_list from;
  millrace::work_list to;
  for (auto& item : items) from.push_back(item);
  to.push_back(from.pop_front());
  CHECK(&from.pop_front() == &items[1]);
  CHECK(from.empty());
  CHECK(&to.pop_front() == &items[0]);
  CHECK(to.empty());
}
