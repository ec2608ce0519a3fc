// SPDX-License-Identifier: BSL-1.0
#include <millrace/task/awaitable.hpp>

#include <concepts>
#include <coroutine>
#include <string>
#include <utility>

#include <millrace/task/task.hpp>

#include "support/catch.hpp"
#include "support/gate.hpp"

namespace {

using millrace::detail::awaitable;
using millrace::detail::await_result_t;
using millrace::detail::awaiter_of;

struct plain {
  std::string text;
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  std::string& await_resume() noexcept { return text; }
};

struct by_member {
  plain operator co_await() && { return {"rvalue"}; }
  plain operator co_await() & { return {"lvalue"}; }
};

struct by_function {};
plain operator co_await(by_function) { return {"function"}; }

struct without_resume {
  bool await_ready() const noexcept { return true; }
};

}  // namespace

TEST_CASE("what can be awaited is told from what cannot") {
  STATIC_REQUIRE(awaitable<plain>);
  STATIC_REQUIRE(awaitable<plain&>);
  STATIC_REQUIRE(awaitable<by_member>);
  STATIC_REQUIRE(awaitable<by_function>);
  STATIC_REQUIRE(awaitable<std::suspend_always>);
  STATIC_REQUIRE(awaitable<millrace::task<int>>);
  STATIC_REQUIRE(awaitable<decltype(std::declval<support::gate&>().pass())>);
  STATIC_REQUIRE_FALSE(awaitable<int>);
  STATIC_REQUIRE_FALSE(awaitable<without_resume>);
}

TEST_CASE("what co_await yields is known") {
  STATIC_REQUIRE(std::same_as<await_result_t<plain>, std::string&>);
  STATIC_REQUIRE(std::same_as<await_result_t<std::suspend_never>, void>);
  STATIC_REQUIRE(std::same_as<await_result_t<millrace::task<int>>, int>);
  STATIC_REQUIRE(std::same_as<await_result_t<millrace::task<int&>>, int&>);
  using pass_operation = decltype(std::declval<support::gate&>().pass());
  STATIC_REQUIRE(std::same_as<await_result_t<pass_operation>, int>);
}

TEST_CASE("the awaiter is found as a co_await expression would find it") {
  by_member value;
  CHECK(awaiter_of(value).text == "lvalue");
  CHECK(awaiter_of(by_member()).text == "rvalue");
  CHECK(awaiter_of(by_function()).text == "function");
  plain itself{"itself"};
  CHECK(&awaiter_of(itself) == &itself);
}
