// SPDX-License-Identifier: BSL-1.0
#include <millrace/task/outcome.hpp>

#include <exception>
#include <stdexcept>
#include <utility>

#include "support/catch.hpp"
#include "support/counted.hpp"

namespace {

using millrace::detail::outcome;

std::exception_ptr error() { return std::make_exception_ptr(std::runtime_error("failed")); }

}  // namespace

TEST_CASE("an outcome gives its value away") {
  {
    outcome<support::counted> o;
    CHECK(support::counted::live() == 0);
    o.set(support::counted(3));
    CHECK_FALSE(o.failed());
    CHECK(o.take().number() == 3);
  }
  CHECK(support::counted::live() == 0);
}

TEST_CASE("an outcome that is a reference refers to the very object") {
  int n = 1;
  outcome<int&> o;
  o.set(n);
  CHECK(&o.take() == &n);
  outcome<const int&> constant;
  constant.set(n);
  CHECK(&constant.take() == &n);
}

TEST_CASE("an outcome that failed throws, once") {
  outcome<void> nothing;
  nothing.take();
  nothing.fail(error());
  CHECK(nothing.failed());
  CHECK_THROWS_WITH(nothing.take(), "failed");
  CHECK_FALSE(nothing.failed());
  nothing.take();

  outcome<int> value;
  value.fail(error());
  CHECK(value.failed());
  CHECK_THROWS_WITH(value.take(), "failed");
  CHECK_FALSE(value.failed());
}
