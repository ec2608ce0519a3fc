// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/closable_lock.hpp>

#include <cstdint>
#include <thread>
#include <vector>

#include <millrace/detail/atomic.hpp>

#include "support/catch.hpp"
#include "support/effort.hpp"

namespace {

using lock = millrace::detail::closable_lock<millrace::default_traits>;

}  // namespace

TEST_CASE("a closable lock is closed by the unlock of who closes it, once and for all") {
  lock l;
  {
    lock::guard here(l);
    CHECK_FALSE(here.is_closed());
    here.close();
    CHECK_FALSE(l.is_closed());
  }
  CHECK(l.is_closed());
  {
    CHECK(lock::guard(l).is_closed());
  }
  CHECK(l.is_closed());
}

TEST_CASE("a closable lock excludes") {
  const std::uint64_t rounds = support::effort(20000, 10);
  lock l;
  std::uint64_t count = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      for (std::uint64_t i = 0; i < rounds; ++i) {
        const lock::guard here(l);
        ++count;
      }
    });
  }
  for (auto& t : threads) t.join();
  CHECK(count == 2 * rounds);
}
