// SPDX-License-Identifier: BSL-1.0
#include <millrace/task/sync_wait.hpp>

#include <concepts>
#include <coroutine>
#include <memory>
#include <new>
#include <stdexcept>
#include <thread>
#include <utility>

#include <millrace/task/resume_on.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/counted.hpp"
#include "support/gate.hpp"
#include "support/here.hpp"
#include "support/last_words.hpp"

namespace {

using millrace::sync_wait;
using millrace::task;
using support::counted;

task<int> give(int n) { co_return n; }
task<std::unique_ptr<int>> give_pointer(int n) { co_return std::make_unique<int>(n); }
task<int&> refer(int& n) { co_return n; }
task<> set(int& n) {
  n = 1;
  co_return;
}
task<int> fail() {
  throw std::runtime_error("failed");
  co_return 0;
}
task<int> hold(counted c) { co_return c.number(); }
task<int> wait_inside() { co_return sync_wait(give(1)); }

task<std::thread::id> come_back(millrace::thread_pool& pool, std::thread::id& there) {
  co_await millrace::resume_on(pool);
  there = std::this_thread::get_id();
  co_return there;
}

/// Where sync_wait runs what it awaits.
task<bool> is_on_an_executor() { co_return static_cast<bool>(support::here()); }

struct lvalue_awaiter {
  int resumed = 0;
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<>) const noexcept { return false; }
  int await_resume() noexcept { return ++resumed; }
};

struct lvalue_awaitable {
  lvalue_awaiter& awaiter;
  auto operator co_await() & {
    struct proxy {
      lvalue_awaiter& to;
      bool await_ready() const noexcept { return true; }
      void await_suspend(std::coroutine_handle<>) const noexcept {}
      int& await_resume() const noexcept { return to.resumed; }
    };
    return proxy{awaiter};
  }
};

}  // namespace

TEST_CASE("sync_wait returns what the awaitable yields") {
  CHECK(sync_wait(give(3)) == 3);
  CHECK(*sync_wait(give_pointer(4)) == 4);
  int n = 0;
  CHECK(&sync_wait(refer(n)) == &n);
  STATIC_REQUIRE(std::same_as<decltype(sync_wait(refer(n))), int&>);
  STATIC_REQUIRE(std::same_as<decltype(sync_wait(set(n))), void>);
  sync_wait(set(n));
  CHECK(n == 1);
}

TEST_CASE("sync_wait rethrows what the awaitable throws") {
  CHECK_THROWS_WITH(sync_wait(fail()), "failed");
}

TEST_CASE("sync_wait awaits an lvalue itself") {
  lvalue_awaiter a;
  CHECK(sync_wait(a) == 1);
  CHECK(sync_wait(a) == 2);
  CHECK(a.resumed == 2);
  lvalue_awaitable b{a};
  CHECK(&sync_wait(b) == &a.resumed);
}

TEST_CASE("sync_wait waits for another thread") {
  constexpr int turns = 2000;
  support::gate there;
  support::gate back;
  std::thread other([&] {
    for (int i = 0; i < turns; ++i) {
      (void)there.pass().wait();
      back.open();
    }
  });
  int wrong = 0;
  for (int i = 0; i < turns; ++i) {
    there.open();
    if (sync_wait(back.pass()) != i) ++wrong;
  }
  other.join();
  CHECK(wrong == 0);
}

TEST_CASE("sync_wait may return while the thread that ended the wait is still on its way") {
  millrace::thread_pool pool(2);
  int wrong = 0;
  for (int i = 0; i < 5000; ++i) {
    std::thread::id there;
    const std::thread::id result = sync_wait(come_back(pool, there));
    if (result != there || there == std::this_thread::get_id()) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("sync_wait is the executor of what it awaits") {
  CHECK(sync_wait(is_on_an_executor()));
  CHECK_FALSE(support::here());
}

TEST_CASE("sync_wait without memory throws, and the awaitable is gone") {
  int n = 0;
  bool ended = false;
  for (std::size_t k = 0; !ended && k < 10; ++k) {
    const support::failing_allocations later(k);
    try {
      n = sync_wait(hold(counted(5)));
      ended = true;
    } catch (const std::bad_alloc&) {
    }
  }
  CHECK(n == 5);
  CHECK(counted::live() == 0);
}

#ifndef NDEBUG
TEST_CASE("sync_wait inside a coroutine is refused in debug builds") {
  const auto said = support::last_words([] { (void)sync_wait(wait_inside()); });
  REQUIRE(said);
  CHECK_THAT(*said, Catch::Matchers::Contains("co_await instead"));
}
#endif
