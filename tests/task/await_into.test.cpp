// SPDX-License-Identifier: BSL-1.0
#include <millrace/task/await_into.hpp>

#include <concepts>
#include <coroutine>
#include <memory>
#include <stdexcept>
#include <utility>

#include <millrace/task/task.hpp>

#include "support/catch.hpp"
#include "support/counted.hpp"
#include "support/gate.hpp"

namespace {

using millrace::task;
using millrace::detail::await_into;
using millrace::detail::await_value_t;
using millrace::detail::outcome;
using support::counted;

task<counted> give(counted c) { co_return c; }
task<int&> refer(int& n) { co_return n; }
task<> fail() {
  throw std::runtime_error("failed");
  co_return;
}

struct end {
  bool reported = false;
  int objects_left = -1;
  static void report(void* context) noexcept {
    auto* const self = static_cast<end*>(context);
    self->reported = true;
    self->objects_left = counted::full();
  }
};

/// An awaiter that notes, in itself, that it was awaited.
struct lvalue_awaiter {
  int resumed = 0;
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<>) const noexcept { return false; }
  int await_resume() noexcept { return ++resumed; }
};

}  // namespace

TEST_CASE("a result is kept: a value, a reference, nothing") {
  STATIC_REQUIRE(std::same_as<await_value_t<task<int>>, int>);
  STATIC_REQUIRE(std::same_as<await_value_t<task<int&>>, int&>);
  STATIC_REQUIRE(std::same_as<await_value_t<task<>>, void>);
  {
    outcome<counted> value;
    end e;
    await_into(give(counted(1)), value).start({}, &end::report, &e);
    CHECK(e.reported);
    CHECK(e.objects_left == 1);  // the one in the outcome
    CHECK(value.take().number() == 1);
  }
  CHECK(counted::live() == 0);

  int n = 0;
  outcome<int&> reference;
  end e;
  await_into(refer(n), reference).start({}, &end::report, &e);
  CHECK(&reference.take() == &n);
}

TEST_CASE("an exception is kept") {
  outcome<void> nothing;
  end e;
  await_into(fail(), nothing).start({}, &end::report, &e);
  CHECK(e.reported);
  CHECK(nothing.failed());
  CHECK_THROWS_WITH(nothing.take(), "failed");
}

TEST_CASE("the awaitable is gone when the end is reported") {
  support::gate g;
  outcome<int> result;
  end e;
  await_into(g.pass(), result).start({}, &end::report, &e);
  CHECK_FALSE(e.reported);
  CHECK(counted::live() > 0);
  g.open();
  CHECK(e.reported);
  CHECK(e.objects_left == 0);
  CHECK(result.take() == 0);
}

TEST_CASE("an lvalue is awaited itself, not a copy") {
  lvalue_awaiter a;
  outcome<int> result;
  end e;
  await_into<lvalue_awaiter&>(a, result).start({}, &end::report, &e);
  CHECK(a.resumed == 1);
  CHECK(result.take() == 1);
}
