// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/listener_array.hpp>

#include <millrace/detail/atomic.hpp>

#include "support/callbacks.hpp"
#include "support/catch.hpp"

using support::bare_list;
using support::bare_listener;

TEST_CASE("an array grows up to its capacity, and its cells keep their places when some are cleared") {
  int freed = 0;
  int drops = 0;
  auto& list = *new bare_list(&freed);
  auto& a = *new bare_listener(list, drops);
  auto& b = *new bare_listener(list, drops);
  auto& cells = *millrace::detail::listener_array<millrace::default_traits>::make(2);
  CHECK(cells.capacity() == 2);
  CHECK(cells.count() == 0);
  cells.append(a);
  CHECK(cells.count() == 1);
  cells.append(b);
  CHECK(cells.count() == 2);
  CHECK(cells.get(0) == &a);
  CHECK(cells.get(1) == &b);
  cells.clear(0);
  CHECK(cells.count() == 2);
  CHECK(cells.get(0) == nullptr);
  CHECK(cells.get(1) == &b);
  cells.destroy();
  a.abandon();
  b.abandon();
  list.close();
  CHECK(drops == 2);
  CHECK(freed == 1);
}
