// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/stop_slot.hpp>

#include <atomic>
#include <thread>

#include <millrace/detail/atomic.hpp>

#include "support/catch.hpp"

namespace {

using node = millrace::stop_node<millrace::default_traits>;
using slot = millrace::detail::stop_slot<millrace::default_traits>;

struct sleeper : node {
  int ended = 0;
  sleeper() {
    fire = [](node* self) noexcept { ++static_cast<sleeper*>(self)->ended; };
  }
};

}  // namespace

TEST_CASE("a stop ends the one operation that the chain sleeps in") {
  millrace::stop_source source;
  slot chain;
  chain.attach(source.token());
  sleeper before;
  sleeper now;
  CHECK_FALSE(chain.stop_requested());
  REQUIRE(chain.enter(before));
  chain.leave();
  REQUIRE(chain.enter(now));
  source.request_stop();
  chain.leave();
  CHECK(chain.stop_requested());
  CHECK(before.ended == 0);
  CHECK(now.ended == 1);
  chain.detach();
}

TEST_CASE("nothing goes to sleep after a stop, nor is ended by it") {
  millrace::stop_source source;
  slot chain;
  chain.attach(source.token());
  source.request_stop();
  sleeper late;
  CHECK_FALSE(chain.enter(late));
  chain.leave();
  chain.detach();
  CHECK(late.ended == 0);
}

TEST_CASE("a chain that is attached after the stop, or detached before it, hears of it by asking") {
  millrace::stop_source source;
  sleeper awake;
  {
    slot gone;
    gone.attach(source.token());
    REQUIRE(gone.enter(awake));
    gone.leave();
    gone.detach();
  }
  source.request_stop();
  slot late;
  late.attach(source.token());
  CHECK(late.stop_requested());
  CHECK_FALSE(late.enter(awake));
  late.leave();
  late.detach();
  CHECK(awake.ended == 0);
}

TEST_CASE("an operation that a stop ends may leave at once, and its chain end") {
  struct last : node {
    slot& chain;
    explicit last(slot& of) : chain(of) {
      fire = [](node* self) noexcept {
        auto* const me = static_cast<last*>(self);
        me->chain.leave();
        me->chain.detach();
      };
    }
  };
  millrace::stop_source source;
  slot chain;
  chain.attach(source.token());
  last operation(chain);
  REQUIRE(chain.enter(operation));
  CHECK(source.request_stop());
  CHECK(chain.stop_requested());
}

TEST_CASE("who leaves waits for a stop that is ending the operation") {
  struct slow : node {
    std::atomic<bool> inside{false};
    std::atomic<bool> goes_on{false};
    bool done = false;  // handed over by leave() alone
    slow() {
      fire = [](node* self) noexcept {
        auto* const me = static_cast<slow*>(self);
        me->inside.store(true);
        while (!me->goes_on.load()) std::this_thread::yield();
        for (int i = 0; i < 100; ++i) std::this_thread::yield();
        me->done = true;
      };
    }
  };
  millrace::stop_source source;
  slot chain;
  chain.attach(source.token());
  slow operation;
  REQUIRE(chain.enter(operation));
  std::thread stopper([&] { source.request_stop(); });
  while (!operation.inside.load()) std::this_thread::yield();
  operation.goes_on.store(true);
  chain.leave();
  const bool was_done = operation.done;
  stopper.join();
  CHECK(was_done);
  chain.detach();
}
