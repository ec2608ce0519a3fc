// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/listener_list.hpp>

#include <cstddef>
#include <vector>

#include <millrace/detail/atomic.hpp>

#include "support/callbacks.hpp"
#include "support/catch.hpp"

namespace {

using millrace::subscription;
using support::bare_list;
using support::bare_listener;

subscription add(bare_list& list, int& drops, int priority = 0) {
  auto* const l = new bare_listener(list, drops, priority);
  list.append(*l);
  return subscription(l);
}

std::size_t count(const bare_list& list) {
  std::size_t n = 0;
  list.emit([](auto&) {}, [&](bare_listener::call_type, auto&) { ++n; });
  return n;
}

}  // namespace

TEST_CASE("a list goes with its last listener, or when it is closed") {
  int freed = 0;
  int drops = 0;
  auto& list = *new bare_list(&freed);
  {
    const subscription s = add(list, drops);
    CHECK(count(list) == 1);
    list.close();
    CHECK(drops == 1);
  }
  CHECK(freed == 1);
}

TEST_CASE("a list that is closed inside its own emission goes after it, and calls nobody else") {
  int freed = 0;
  int drops = 0;
  auto& list = *new bare_list(&freed);
  const subscription a = add(list, drops);
  const subscription b = add(list, drops);
  int calls = 0;
  list.emit([](auto&) {},
            [&](bare_listener::call_type, auto&) {
              ++calls;
              list.close();
              CHECK(freed == 0);
              CHECK(drops == 1);  // the other one
            });
  CHECK(calls == 1);
  CHECK(drops == 2);
  CHECK(freed == 1);
}

TEST_CASE("listeners come and go in any number and order, while others stay") {
  int drops = 0;
  int freed = 0;
  auto& list = *new bare_list(&freed);
  {
    std::vector<subscription> all;
    for (int i = 0; i < 300; ++i) all.push_back(add(list, drops, i % 3));
    CHECK(count(list) == 300);
    for (std::size_t i = 0; i < 300; ++i) {
      if (i % 7 != 0) all[i].disconnect();
    }
    CHECK(count(list) == 43);
    for (int i = 0; i < 1000; ++i) all.push_back(add(list, drops));
    CHECK(count(list) == 1043);
  }
  CHECK(count(list) == 0);
  list.close();
  CHECK(drops == 1300);
  CHECK(freed == 1);
}
