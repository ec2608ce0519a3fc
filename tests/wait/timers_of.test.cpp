// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/timers_of.hpp>

#include <millrace/task/run_loop.hpp>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"

using millrace::executor_ref;
using millrace::detail::timers_of;

TEST_CASE("an executor fires the timers of what resumes on it") {
  millrace::run_loop loop;
  const executor_ref home(loop);
  CHECK(&timers_of(home) == home.timers());
}

TEST_CASE("where there is no executor with timers, the timer thread fires them") {
  support::manual_executor plain;
  CHECK(&timers_of(executor_ref()) == &millrace::timer_thread::get());
  CHECK(&timers_of(executor_ref(plain)) == &millrace::timer_thread::get());
}

TEST_CASE("what resumes nowhere special has the timers of the executor that runs this thread") {
  millrace::run_loop loop;
  millrace::timer_service* found = nullptr;
  struct ask : millrace::work_item {
    millrace::timer_service** to;
  } item;
  item.to = &found;
  item.run = [](millrace::work_item* self) noexcept {
    *static_cast<ask*>(self)->to = &timers_of(executor_ref());
  };
  loop.post(item);
  CHECK(loop.run_one());
  CHECK(found == executor_ref(loop).timers());
}
