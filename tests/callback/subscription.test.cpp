// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/subscription.hpp>

#include <functional>
#include <utility>

#include <millrace/task/run_loop.hpp>
#include <millrace/task/scope.hpp>
#include <millrace/task/sync_wait.hpp>
#include <millrace/task/task.hpp>

#include "support/catch.hpp"

namespace {

using millrace::op_status;

/// What became of a fake_state.
struct life {
  int disconnects = 0;
  int waits = 0;
  int destroyed = 0;
};

class fake_state final : public millrace::detail::subscription_state {
 public:
  explicit fake_state(life& l) : life_(l) {}
  ~fake_state() override { ++life_.destroyed; }

  void disconnect() noexcept override { ++life_.disconnects; }
  void wait() noexcept override { ++life_.waits; }

  void call(const std::function<void()>& f) {
    const inside here(*this);
    f();
  }
  using millrace::detail::subscription_state::close;

 private:
  life& life_;
};

}  // namespace

TEST_CASE("a subscription disconnects and waits when it goes, and what it shares goes with the last") {
  life l;
  auto* const state = new fake_state(l);
  {
    millrace::subscription s(state);
    millrace::subscription moved(std::move(s));
    CHECK(l.disconnects == 0);
  }
  CHECK(l.disconnects == 1);
  CHECK(l.waits == 1);
  CHECK(l.destroyed == 0);
  state->release();
  CHECK(l.destroyed == 1);
}

TEST_CASE("disconnecting alone does not wait") {
  life l;
  auto* const state = new fake_state(l);
  {
    millrace::subscription s(state);
    s.disconnect();
    CHECK(l.disconnects == 1);
    CHECK(l.waits == 0);
    state->release();
    CHECK(l.destroyed == 0);
  }
  CHECK(l.destroyed == 1);
}

TEST_CASE("assigning a subscription ends the one that it was") {
  life first;
  life second;
  auto* const one = new fake_state(first);
  auto* const two = new fake_state(second);
  millrace::subscription s(one);
  s = millrace::subscription(two);
  CHECK(first.waits == 1);
  CHECK(second.disconnects == 0);
  one->release();
  two->release();
}

TEST_CASE("an empty subscription has nothing to wait for") {
  millrace::subscription s;
  s.disconnect();
  CHECK(s.disconnect_and_wait());
  CHECK(s.closed().wait() == op_status::ok);
  CHECK_FALSE(s.block());
  CHECK_FALSE(s.unblock());
}

TEST_CASE("a thread knows which callbacks it is inside of") {
  life l;
  auto* const outer = new fake_state(l);
  auto* const inner = new fake_state(l);
  {
    millrace::subscription s(outer);
    outer->call([&] {
      inner->call([&] {
        CHECK(outer->is_inside());
        CHECK(inner->is_inside());
        CHECK_FALSE(s.disconnect_and_wait());
      });
      CHECK_FALSE(inner->is_inside());
    });
    CHECK_FALSE(outer->is_inside());
    CHECK(l.waits == 0);
  }
  outer->release();
  inner->release();
  inner->release();
}

TEST_CASE("closed() is heard by all that wait for it, and outlives the subscription") {
  life l;
  auto* const state = new fake_state(l);
  millrace::run_loop loop;
  int heard = 0;
  {
    millrace::subscription s(state);
    auto waits = [&heard](auto operation) -> millrace::task<> {
      const op_status how = co_await std::move(operation);
      heard += how == op_status::ok;
    };
    millrace::scope tasks;
    millrace::stop_source halt;
    op_status stopped = op_status::ok;
    tasks.spawn(loop, waits(s.closed()));
    tasks.spawn(loop, waits(s.closed()));
    s.closed().with(halt.token()).start([&](op_status how) { stopped = how; });
    while (loop.run_one() && heard == 0) {
      if (halt.request_stop()) {
        CHECK(stopped == op_status::cancelled);
        continue;
      }
      s = millrace::subscription();
      state->close();
    }
    CHECK(s.closed().wait() == op_status::ok);
    loop.finish();
    loop.run();
    CHECK(heard == 2);
    CHECK(tasks.join().wait() == op_status::ok);
  }
  CHECK(l.destroyed == 0);
  state->release();
  CHECK(l.destroyed == 1);
}
