// SPDX-License-Identifier: BSL-1.0
#include <millrace/task/shared_work_list.hpp>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include <millrace/detail/atomic.hpp>

#include "support/catch.hpp"

namespace {

using list = millrace::detail::shared_work_list<millrace::default_traits>;
using millrace::work_item;

struct counted_item : work_item {
  int taken = 0;  // each is taken by one thread
};

void push(list& l, work_item& item) {
  l.push(item, [] { return 0; });
}

}  // namespace

TEST_CASE("a shared list gives back in the order in which it was given") {
  work_item items[3];
  list l;
  CHECK(l.pop() == nullptr);
  CHECK(l.pop_now() == nullptr);
  for (auto& item : items) push(l, item);
  CHECK(l.pop() == &items[0]);
  CHECK(l.pop_now() == &items[1]);
  CHECK(l.pop() == &items[2]);
  CHECK(l.pop() == nullptr);
  CHECK(l.pop_now() == nullptr);
}

TEST_CASE("what a push does besides is done before anybody can take the item") {
  work_item item;
  list l;
  CHECK(l.push(item, []() noexcept { return 2; }) == 2);
  std::atomic<bool> taken{false};
  std::thread taker;
  work_item late;
  CHECK(l.pop() == &item);
  const bool too_early = l.push(late, [&]() noexcept {
    taker = std::thread([&] {
      while (l.pop_now() == nullptr) std::this_thread::yield();
      taken.store(true);
    });
    for (int i = 0; i < 100; ++i) std::this_thread::yield();
    return taken.load();
  });
  taker.join();
  CHECK_FALSE(too_early);
  CHECK(taken.load());
}

TEST_CASE("threads that share a list take each item once") {
  constexpr std::size_t each = 20000;
  std::vector<counted_item> items(2 * each);
  list l;
  std::atomic<std::size_t> left{items.size()};
  const auto work = [&](std::size_t mine) {
    for (std::size_t i = 0; i < each; ++i) {
      push(l, items[mine * each + i]);
      if (i % 3 == 0) continue;  // the list grows
      if (work_item* const item = l.pop()) {
        ++static_cast<counted_item*>(item)->taken;
        left.fetch_sub(1);
      }
    }
    while (left.load() != 0) {
      if (work_item* const item = l.pop_now()) {
        ++static_cast<counted_item*>(item)->taken;
        left.fetch_sub(1);
      } else {
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
