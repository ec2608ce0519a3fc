// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/listener.hpp>

#include <millrace/callback/listener_list.hpp>
#include <millrace/detail/atomic.hpp>

#include "support/callbacks.hpp"
#include "support/catch.hpp"

using millrace::subscription;
using support::bare_list;
using support::bare_listener;

TEST_CASE("a listener is dropped once nobody is inside of it, and somebody wants to know") {
  bare_list& list = *new bare_list;
  int drops = 0;
  auto* const l = new bare_listener(list, drops);
  {
    subscription s(l);
    list.append(*l);
    CHECK_FALSE(l->seek());  // it is connected
    list.emit([](auto&) {},
              [&](bare_listener::call_type, auto&) {
                s.disconnect();
                CHECK(l->call() == nullptr);
                CHECK(l->seek());
                CHECK_FALSE(s.disconnect_and_wait());
                CHECK(drops == 0);
                CHECK_FALSE(l->is_closed());
              });
    CHECK(drops == 1);
    CHECK(l->is_closed());
    CHECK(s.disconnect_and_wait());
  }
  list.close();
  CHECK(drops == 1);
}

TEST_CASE("one of two claims a one-shot") {
  bare_list& list = *new bare_list;
  int drops = 0;
  auto* const l = new bare_listener(list, drops);
  subscription s(l);
  list.append(*l);
  CHECK(l->disconnect_once());
  CHECK_FALSE(l->disconnect_once());
  list.close();
  CHECK(drops == 1);
}
