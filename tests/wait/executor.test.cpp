// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/executor.hpp>

#include <millrace/detail/atomic.hpp>
#include <millrace/wait/timer_service.hpp>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"

namespace {

using millrace::executor;
using millrace::executor_ref;
using support::manual_executor;

struct may_throw {
  void post(millrace::work_item&) {}
};
struct no_executor {};

/// An executor with timers, which nobody fires.
class with_timers : public manual_executor {
 public:
  millrace::timer_service* timers() noexcept { return &driver_; }

 private:
  struct driver final : millrace::detail::timer_driver<millrace::default_traits> {
    parker* sleeps_too_long() noexcept override { return nullptr; }
  } driver_;
};

struct throwing_timers : manual_executor {
  millrace::timer_service* timers() { throw 1; }
};

}  // namespace

TEST_CASE("an executor is what posts work items and cannot fail") {
  STATIC_REQUIRE(executor<manual_executor>);
  STATIC_REQUIRE(executor<executor_ref>);
  STATIC_REQUIRE_FALSE(executor<may_throw>);
  STATIC_REQUIRE_FALSE(executor<no_executor>);
  STATIC_REQUIRE(sizeof(executor_ref) == 2 * sizeof(void*));
}

TEST_CASE("a reference is empty until it refers to an executor, to which it posts") {
  CHECK_FALSE(executor_ref());
  manual_executor e;
  const executor_ref ref = e;
  REQUIRE(ref);
  CHECK(e.posted() == 0);
  millrace::work_item item;
  ref.post(item);
  CHECK(e.posted() == 1);
}

TEST_CASE("references are equal where they refer to the same executor") {
  manual_executor e[2];
  const executor_ref first(e[0]);
  executor_ref copy = first;
  CHECK(copy == first);
  CHECK(executor_ref(e[0]) == first);
  CHECK(executor_ref(e[1]) != first);
  CHECK(executor_ref() != first);
  CHECK(executor_ref() == executor_ref());
  copy = executor_ref(e[1]);
  CHECK(copy == executor_ref(e[1]));
}

TEST_CASE("a reference to a reference is a copy of it") {
  manual_executor e;
  executor_ref first(e);
  const executor_ref second(first);
  first = {};
  CHECK(second == executor_ref(e));
}

TEST_CASE("an executor may have timers") {
  with_timers own;
  manual_executor none;
  throwing_timers not_promised;
  const executor_ref ref(own);
  CHECK(ref.timers() == own.timers());
  CHECK(executor_ref(ref).timers() == own.timers());
  CHECK(executor_ref(none).timers() == nullptr);
  CHECK(executor_ref(not_promised).timers() == nullptr);
  CHECK(executor_ref().timers() == nullptr);
  millrace::work_item item;
  ref.post(item);
  CHECK(own.posted() == 1);
}
