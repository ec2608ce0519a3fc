// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/after.hpp>

#include <chrono>
#include <future>
#include <vector>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/resume_on.hpp>
#include <millrace/task/scope.hpp>
#include <millrace/task/sync_wait.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>
#include <millrace/wait/select.hpp>
#include <millrace/wait/stop_token.hpp>

#include "support/catch.hpp"
#include "support/foreign_task.hpp"
#include "support/virtual_time.hpp"

namespace {

using namespace std::chrono_literals;
using millrace::after;
using millrace::op_status;
using clock = std::chrono::steady_clock;

support::foreign_task wait_long(op_status& how) {
  how = co_await after(1h);
}

millrace::task<clock::duration> sleep_twice(std::chrono::milliseconds span) {
  const auto begin = clock::now();
  (void)co_await millrace::sleep_for(span);
  (void)co_await millrace::sleep_for(span);
  co_return clock::now() - begin;
}

millrace::task<> sleep_then(std::chrono::milliseconds span, support::virtual_time& time,
                            std::vector<int>& woken) {
  (void)co_await millrace::sleep_for(span);
  woken.push_back(static_cast<int>(time.elapsed() / 1ms));
}
millrace::task<> wait_within(std::chrono::milliseconds span, support::virtual_time& time,
                             std::vector<int>& woken) {
  millrace::bounded_queue<int> empty(1);
  const auto none = co_await empty.pop().within(span);
  if (none.status() == op_status::timeout) woken.push_back(-static_cast<int>(time.elapsed() / 1ms));
}

}  // namespace

TEST_CASE("after() and within() count by the time of the executor's timers") {
  support::virtual_time time;
  std::vector<int> woken;
  millrace::scope scope;
  scope.spawn(time, sleep_then(40ms, time, woken));
  scope.spawn(time, sleep_then(10ms, time, woken));
  scope.spawn(time, wait_within(25ms, time, woken));
  time.advance(9ms);
  CHECK(woken.empty());
  time.advance(1h);
  CHECK(woken == std::vector<int>{10, -25, 40});
  CHECK(time.elapsed() == 1h + 9ms);
  after(15ms).on(time).start([&](op_status) { woken.clear(); });
  time.advance(14ms);
  CHECK(woken.size() == 3);
  time.advance(1ms);
  CHECK(woken.empty());
  scope.join().wait();
}

TEST_CASE("after() completes when its time has come, run in any way") {
  const auto begin = clock::now();
  CHECK(after(2ms).wait() == op_status::ok);
  CHECK(clock::now() - begin >= 2ms);
  CHECK(after(0ms).wait() == op_status::ok);
  CHECK(after(-1h).wait() == op_status::ok);
  std::promise<clock::duration> called;
  const auto again = clock::now();
  after(2ms).start([&](op_status) { called.set_value(clock::now() - again); });
  CHECK(called.get_future().get() >= 2ms);
  CHECK(millrace::sync_wait(sleep_twice(1ms)) >= 2ms);
}

TEST_CASE("a pause that is destroyed, or stopped, does not end later") {
  op_status how = op_status::empty;
  {
    auto f = wait_long(how);
    f.start();
    f.destroy();
  }
  CHECK(how == op_status::empty);
  millrace::stop_source halt;
  after(1h).with(halt.token()).start([&](op_status s) { how = s; });
  halt.request_stop();
  CHECK(how == op_status::cancelled);
}

TEST_CASE("after() limits a select") {
  millrace::bounded_queue<int> q(1);
  auto late = select(q.pop(), after(2ms)).wait();
  CHECK(late.index() == 1);
  CHECK(late.get<0>().status() == op_status::cancelled);
  CHECK(late.get<1>() == op_status::ok);
  CHECK(q.try_push(1) == op_status::ok);
  auto soon = select(q.pop(), after(1h)).wait();
  CHECK(soon.index() == 0);
  CHECK(*soon.get<0>() == 1);
  CHECK(soon.get<1>() == op_status::cancelled);
  std::size_t index = 9;
  select(q.pop(), after(1h)).start([&](auto chosen) { index = chosen.index(); });
  CHECK(q.try_push(2) == op_status::ok);
  CHECK(index == 0);
}

TEST_CASE("pauses end on the executor of their coroutine, by its own timers") {
  millrace::thread_pool pool(1);
  CHECK(millrace::sync_wait([](millrace::thread_pool& p) -> millrace::task<clock::duration> {
          co_await millrace::resume_on(p);
          co_return co_await sleep_twice(1ms);
        }(pool)) >= 2ms);
}

TEST_CASE("a pause that is left out of a select does not end it") {
  millrace::bounded_queue<int> q(1);
  millrace::op_status paused = millrace::op_status::ok;
  int got = 0;
  select(millrace::when(false, millrace::after(std::chrono::hours(1))), q.pop()).start([&](auto chosen) {
    paused = chosen.template get<0>();
    got = *chosen.template get<1>();
  });
  CHECK(q.try_push(3) == millrace::op_status::ok);
  CHECK(got == 3);
  CHECK(paused == millrace::op_status::cancelled);
}
