// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/callback_errors.hpp>

#include <exception>
#include <utility>

#include "support/allocations.hpp"
#include "support/catch.hpp"

namespace {

using millrace::callback_errors;
using millrace::callback_registry_options;
using millrace::detail::thrown_errors;

void fail(thrown_errors& errors, const callback_registry_options& options, int what) {
  try {
    throw what;
  } catch (...) {
    errors.caught(options);
  }
}

}  // namespace

TEST_CASE("nothing thrown, nothing rethrown") {
  thrown_errors errors;
  errors.rethrow();
}

TEST_CASE("of several errors the first is rethrown, or all of them in order") {
  thrown_errors errors;
  callback_registry_options options;
  SECTION("propagate") {
    for (int n = 1; n <= 3; ++n) fail(errors, options, n);
    try {
      errors.rethrow();
      FAIL("it returned");
    } catch (int n) {
      CHECK(n == 1);
    }
  }
  SECTION("collect") {
    options.errors = callback_errors::collect;
    for (int n = 1; n <= 3; ++n) fail(errors, options, n);
    int expected = 0;
    try {
      errors.rethrow();
    } catch (const millrace::callbacks_failed& failed) {
      CHECK(failed.errors().size() == 3);
      CHECK(failed.what() != nullptr);
      for (const std::exception_ptr& one : failed.errors()) {
        try {
          std::rethrow_exception(one);
        } catch (int n) {
          CHECK(n == ++expected);
        }
      }
    }
    CHECK(expected == 3);
  }
  SECTION("where there is no memory to collect them, the first is rethrown") {
    if (!support::counts_allocations) return;
    options.errors = callback_errors::collect;
    {
      const support::failing_allocations failing(0);
      for (int n = 1; n <= 3; ++n) fail(errors, options, n);
    }
    CHECK_THROWS_AS(errors.rethrow(), int);
  }
}

TEST_CASE("a sink gets each error at once") {
  thrown_errors errors;
  int sum = 0;
  callback_registry_options options{.sink = [&](std::exception_ptr e) {
    try {
      std::rethrow_exception(std::move(e));
    } catch (int n) {
      sum += n;
    }
  }};
  for (int n = 1; n <= 3; ++n) fail(errors, options, n);
  CHECK(sum == 6);
  errors.rethrow();
}
