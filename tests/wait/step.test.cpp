// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/step.hpp>

#include <memory>

#include <millrace/queue/bounded_core.hpp>
#include <millrace/wait/op_status.hpp>

#include "support/catch.hpp"
#include "support/gate.hpp"

namespace {

using core = millrace::detail::bounded_core<std::unique_ptr<int>, millrace::default_traits>;

/// All but refuse().
struct stubborn {
  using traits = millrace::default_traits;
  using result_type = int;
  bool attempt_fast() noexcept { return false; }
  bool attempt() noexcept { return false; }
  bool park(millrace::detail::waiter<traits>&) noexcept { return true; }
  bool withdraw(millrace::detail::waiter<traits>&) noexcept { return true; }
  int take_result() noexcept { return 0; }
  const void* parks_at() const noexcept { return this; }
};

}  // namespace

TEST_CASE("a step is what an operation needs") {
  STATIC_REQUIRE(millrace::detail::step<millrace::detail::pop_step<core>>);
  STATIC_REQUIRE(millrace::detail::step<millrace::detail::push_step<core>>);
  STATIC_REQUIRE(millrace::detail::step<millrace::detail::push_from_step<core>>);
  STATIC_REQUIRE(millrace::detail::step<millrace::detail::drained_step<core>>);
  STATIC_REQUIRE(millrace::detail::step<support::gate::step>);
  STATIC_REQUIRE_FALSE(millrace::detail::step<stubborn>);
}
