// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/promise_env.hpp>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"

namespace {

using millrace::environment;
using millrace::executor_ref;
using millrace::promise_env;

struct silent {};

struct with_member {
  support::manual_executor* home;
  environment env() const noexcept { return {executor_ref(*home)}; }
};

struct member_may_throw {
  environment env() const { return {}; }
};

struct specialized {
  support::manual_executor* loop;
};

}  // namespace

template <>
struct millrace::promise_env<specialized> {
  static environment get(const specialized& promise) noexcept {
    return {executor_ref(*promise.loop)};
  }
};

TEST_CASE("a promise that says nothing has an empty environment") {
  CHECK_FALSE(promise_env<silent>::get({}).executor);
  CHECK_FALSE(promise_env<member_may_throw>::get({}).executor);
}

TEST_CASE("a promise tells its environment by a member") {
  support::manual_executor home;
  CHECK(promise_env<with_member>::get({&home}).executor == executor_ref(home));
}

TEST_CASE("somebody else's promise is told of by a specialization") {
  support::manual_executor home;
  CHECK(promise_env<specialized>::get({&home}).executor == executor_ref(home));
}
