// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/broadcast_pop_step.hpp>

#include <string>
#include <type_traits>

#include <millrace/detail/atomic.hpp>
#include <millrace/queue/broadcast.hpp>
#include <millrace/queue/broadcast_core.hpp>
#include <millrace/wait/step.hpp>

#include "support/catch.hpp"
#include "support/foreign_task.hpp"

namespace {

using core = millrace::detail::broadcast_core<int, millrace::default_traits>;
using step = millrace::detail::broadcast_pop_step<core>;
using millrace::broadcast;
using millrace::broadcast_subscriber;

static_assert(millrace::detail::step<step>);
static_assert(noexcept(std::declval<step&>().take_result()));
static_assert(sizeof(broadcast_subscriber<int>::pop_operation) <= 64);

support::foreign_task push_twice(broadcast<int>& b, int& done) {
  const auto first = co_await b.push(1);
  done += static_cast<bool>(first);
  const auto second = co_await b.push(2);
  done += static_cast<bool>(second);
}

support::foreign_task pop_once(broadcast_subscriber<int>& s, const int& done, int& done_before) {
  const auto m = co_await s.pop();
  CHECK(*m == 0);
  done_before = done;
}

}  // namespace

TEST_CASE("whom a pop lets in does not run inside it") {
  broadcast<int> b(1);
  auto s = b.subscribe();
  CHECK(b.try_push(0) == millrace::op_status::ok);
  int done = 0;
  int done_before = -1;
  auto pusher = push_twice(b, done);
  pusher.start();
  auto popper = pop_once(s, done, done_before);
  popper.start();
  CHECK(done_before == 0);
  CHECK(popper.done());
  CHECK(done == 1);
  CHECK(*s.try_pop() == 1);
  CHECK(pusher.done());
}

TEST_CASE("a step that has made room serves before it completes, however it is asked") {
  core* const c = core::make(1, millrace::broadcast_policy::gate);
  core::cursor* const at = c->subscribe();
  int n = 1;
  CHECK(c->push_fast(millrace::detail::source_of(n)));
  millrace::detail::waiter<millrace::default_traits> w;
  w.contest = nullptr;
  CHECK(c->park_push(w));
  step s(*at);
  CHECK_FALSE(s.attempt_fast());
  CHECK_FALSE(s.park(w));
  CHECK(c->withdraw_push(w));
  CHECK(s.attempt());
  CHECK(*s.take_result() == 1);
  at->core.unsubscribe(*at);
  c->end();
  c->release();
}

TEST_CASE("a step whose copies may throw and have not is asked again until there is a message") {
  using text_core = millrace::detail::broadcast_core<std::string, millrace::default_traits>;
  static_assert(!std::is_nothrow_copy_constructible_v<std::string>);
  text_core* const c = text_core::make(1, millrace::broadcast_policy::gate);
  text_core::cursor* const at = c->subscribe();
  millrace::detail::broadcast_pop_step<text_core> s(*at);
  CHECK_FALSE(s.attempt());
  std::string text = "text";
  CHECK(c->push_fast(millrace::detail::source_of(text)));
  CHECK(s.attempt());
  CHECK(s.take_result().value() == "text");
  at->core.unsubscribe(*at);
  c->end();
  c->release();
}
