// SPDX-License-Identifier: BSL-1.0
#include <millrace/task/owned_work_list.hpp>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include <millrace/detail/atomic.hpp>

#include "support/catch.hpp"

namespace {

using list = millrace::detail::owned_work_list<millrace::default_traits>;
using millrace::work_item;

struct counted_item : work_item {
  int taken = 0;  // each is taken by one thread
};

}  // namespace

TEST_CASE("an owned list gives back in the order in which it was given, and counts") {
  work_item items[3];
  list l;
  CHECK(l.pop() == nullptr);
  CHECK(l.take() == nullptr);
  for (auto& item : items) l.push(item);
  CHECK_FALSE(l.looks_empty());
  CHECK(l.pop() == &items[0]);
  CHECK(l.take() == &items[1]);
  CHECK(l.pushed() == 3);
  CHECK(l.popped() == 2);
  CHECK(l.pop() == &items[2]);
  CHECK(l.looks_empty());
}

TEST_CASE("an owned list is as before once others have taken from it, and long after") {
  work_item items[2];
  list l;
  l.push(items[0]);
  CHECK(l.take() == &items[0]);
  for (unsigned i = 0; i < 4 * millrace::default_traits::rebias_list_after; ++i) {
    l.push(items[i % 2]);
    CHECK(l.pop() == &items[i % 2]);
  }
  CHECK(l.pop() == nullptr);
}
TEST_CASE("who steals gets the older half, in order") {
  for (unsigned n = 0; n <= 5; ++n) {
    CAPTURE(n);
    work_item items[6];
    list victim;
    list thief;
    thief.push(items[5]);
    for (unsigned i = 0; i < n; ++i) victim.push(items[i]);
    thief.steal(victim);
    CHECK(thief.pop() == &items[5]);
    const unsigned stolen = (n + 1) / 2;
    for (unsigned i = 0; i < stolen; ++i) CHECK(thief.pop() == &items[i]);
    CHECK(thief.pop() == nullptr);
    for (unsigned i = stolen; i < n; ++i) CHECK(victim.pop() == &items[i]);
    CHECK(victim.pop() == nullptr);
    CHECK(victim.looks_empty());
    CHECK(thief.looks_empty());
  }
}

TEST_CASE("threads that push, pop and steal take each item once") {
  constexpr std::size_t each = 20000;
  std::vector<counted_item> items(2 * each);
  list lists[2];
  std::atomic<std::size_t> left{items.size()};
  const auto work = [&](std::size_t mine) {
    list& own = lists[mine];
    for (std::size_t i = 0; i < each; ++i) {
      own.push(items[mine * each + i]);
      if (i % 3 == 0) continue;  // the list grows
      if (work_item* const item = own.pop()) {
        ++static_cast<counted_item*>(item)->taken;
        left.fetch_sub(1);
      }
      if (i % 64 == 1) own.steal(lists[1 - mine]);
    }
    while (left.load() != 0) {
      if (work_item* const item = own.pop()) {
        ++static_cast<counted_item*>(item)->taken;
        left.fetch_sub(1);
      } else {
        own.steal(lists[1 - mine]);
        std::this_thread::yield();
      }
    }
  };
  std::thread other(work, 1);
  work(0);
  other.join();
  int wrong = 0;
  for (const auto& item : items) wrong += item.taken != 1;
  CHECK(wrong == 0);
}
