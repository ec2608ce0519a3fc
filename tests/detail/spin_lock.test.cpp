// SPDX-License-Identifier: BSL-1.0
#include <millrace/detail/spin_lock.hpp>

#include <thread>
#include <vector>

#include <millrace/detail/atomic.hpp>

#include "support/catch.hpp"

using millrace::detail::lock_guard;
using spin_lock = millrace::detail::spin_lock<millrace::default_traits>;

TEST_CASE("only one thread at a time is behind the lock") {
  constexpr int turns = 10000;
  spin_lock lock;
  int count = 0;  // a race, but for the lock
  const auto work = [&] {
    for (int i = 0; i < turns; ++i) {
      const lock_guard guard(lock);
      const int before = count;
      if (i % 32 == 0) millrace::detail::cpu_yield();
      count = before + 1;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back(work);
  work();
  for (auto& t : threads) t.join();
  CHECK(count == 4 * turns);
}
