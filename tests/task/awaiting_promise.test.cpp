// SPDX-License-Identifier: BSL-1.0
#include <millrace/task/awaiting_promise.hpp>

#include <chrono>
#include <coroutine>
#include <type_traits>
#include <utility>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/run_loop.hpp>
#include <millrace/task/scope.hpp>
#include <millrace/task/sync_wait.hpp>
#include <millrace/task/task.hpp>

#include "support/catch.hpp"

namespace {

/// An awaiter that cannot be copied, and knows whether it is itself.
struct rooted {
  const rooted* self = this;
  rooted() = default;
  rooted(const rooted&) = delete;
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  bool await_resume() const noexcept { return self == this; }
};

struct member_operator {
  rooted operator co_await() const noexcept { return {}; }
};
struct lvalue_operator {
  rooted awaiter;
  rooted& operator co_await() noexcept { return awaiter; }
};
struct free_operator {};
rooted operator co_await(free_operator) noexcept {
  return {};
}

millrace::task<int> await_all() {
  rooted stored;
  lvalue_operator keeper;
  int right = 0;
  const bool a = co_await rooted{};
  const bool b = co_await stored;
  const bool c = co_await member_operator{};
  const bool d = co_await free_operator{};
  const bool e = co_await keeper;
  right = a + b + c + d + e;
  co_return right;
}

constexpr int many = 1000;
using numbers = millrace::bounded_queue<int>;

/// None of their operations has to wait.
millrace::task<> pops(numbers& queue, int& done) {
  while (auto m = co_await queue.pop()) {
    if (++done == many) break;
  }
}
millrace::task<> pops_in_time(numbers& queue, int& done) {
  while (auto m = co_await queue.pop().within(std::chrono::hours(1))) {
    if (++done == many) break;
  }
}
millrace::task<> looks(const int& done, int& seen) {
  seen = done;
  co_return;
}

}  // namespace

TEST_CASE("who never has to wait lets others go first from time to time") {
  for (const auto busy : {&pops, &pops_in_time}) {
    numbers queue(many);
    for (int n = 0; n < many; ++n) REQUIRE(queue.try_push(n) == millrace::op_status::ok);
    int done = 0;
    int seen = -1;
    millrace::run_loop loop;
    millrace::scope work;
    work.spawn(loop, busy(queue, done));
    work.spawn(loop, looks(done, seen));
    work.join().start([&](auto) { loop.finish(); });
    loop.run();
    CHECK(done == many);
    CHECK(seen >= 0);
    CHECK(seen <= 128);
  }
}

TEST_CASE("a task awaits all kinds of awaitables, and copies none") {
  CHECK(millrace::sync_wait(await_all()) == 5);
}
