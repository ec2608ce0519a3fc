// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/erased_function.hpp>

#include <memory>
#include <type_traits>
#include <utility>

#include "support/catch.hpp"

using millrace::erased_function;

TEST_CASE("an erased function calls what it holds, move-only callables too") {
  erased_function<int(int)> f;
  CHECK_FALSE(f);
  f = [base = std::make_unique<int>(40)](int n) { return *base + n; };
  REQUIRE(f);
  CHECK(f(2) == 42);
  const erased_function<int(int)> g = std::move(f);
  CHECK(g(3) == 43);
}

TEST_CASE("an erased function passes references and drops what nobody asked for") {
  const erased_function<void(int&)> f = [](int& n) { return ++n; };
  int n = 1;
  f(n);
  CHECK(n == 2);
}

static_assert(!std::is_constructible_v<erased_function<bool(int)>, int>);
static_assert(!std::is_copy_constructible_v<erased_function<bool(int)>>);
