// SPDX-License-Identifier: BSL-1.0
#include <millrace/task/awaiting_promise.hpp>

#include <coroutine>
#include <type_traits>

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

}  // namespace

TEST_CASE("a task awaits all kinds of awaitables, and copies none") {
  CHECK(millrace::sync_wait(await_all()) == 5);
}
