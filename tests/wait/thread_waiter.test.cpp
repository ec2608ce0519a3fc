// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/thread_waiter.hpp>

#include <atomic>
#include <thread>

#include <millrace/detail/atomic.hpp>

#include "support/catch.hpp"

using traits = millrace::default_traits;
using thread_waiter = millrace::detail::thread_waiter<millrace::detail::waiter<traits>, traits>;

TEST_CASE("a thread that is woken before it blocks does not block") {
  thread_waiter w;
  w.contest = nullptr;
  millrace::detail::wake(w);
  w.block();
  CHECK(w.home == millrace::executor_ref(w));
}

TEST_CASE("a thread blocks until it is woken, and sees what was written before") {
  constexpr int turns = 10000;
  std::atomic<thread_waiter*> shared{nullptr};
  int written = 0;  // handed over by the waiters alone
  std::thread waker([&] {
    for (int i = 1; i <= turns; ++i) {
      thread_waiter* w = nullptr;
      while ((w = shared.exchange(nullptr)) == nullptr) std::this_thread::yield();
      written = i;
      millrace::detail::wake(*w);  // it is on a stack that goes on at once
    }
  });
  int wrong = 0;
  for (int i = 1; i <= turns; ++i) {
    thread_waiter w;
    w.contest = nullptr;
    shared.store(&w);
    w.block();
    if (written != i) ++wrong;
  }
  waker.join();
  CHECK(wrong == 0);
}
