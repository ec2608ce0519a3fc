// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/bounded_core.hpp>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include <millrace/wait/trampoline.hpp>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"

// The waiting protocol, one thread at a time; its races are in tests/model and tests/stress.

namespace {

using millrace::op_status;
using millrace::pop_result;
using millrace::work_item;
using millrace::detail::push_slot;

using traits = millrace::default_traits;
using message = std::unique_ptr<int>;
using core = millrace::detail::bounded_core<message, traits>;

/// A waiter that counts how often it is woken.
struct counting_waiter : millrace::detail::waiter<traits> {
  int woken = 0;
  counting_waiter() {
    contest = nullptr;
    run = [](work_item* self) noexcept { ++static_cast<counting_waiter*>(self)->woken; };
  }
};

struct popper : counting_waiter {
  pop_result<message> out;
  bool park(core& queue) {
    place = &out;
    return queue.park_pop(*this);
  }
};

struct pusher : counting_waiter {
  message m;
  push_slot<message> slot{&m, op_status::full};
  explicit pusher(int n) : m(std::make_unique<int>(n)) {}
  bool park(core& queue) {
    place = &slot;
    return queue.park_push(*this);
  }
};

op_status try_push(core& queue, int n) {
  auto m = std::make_unique<int>(n);
  op_status status = op_status::ok;
  queue.push(millrace::detail::source_of(m), status, [](auto&&) {});
  return status;
}

pop_result<message> try_pop(core& queue) {
  pop_result<message> out;
  queue.pop(out);
  return out;
}

}  // namespace

TEST_CASE("a push hands its message to the first popper and wakes it once") {
  core queue(2);
  popper first;
  popper second;
  CHECK(first.park(queue));
  CHECK(second.park(queue));
  CHECK(try_push(queue, 1) == op_status::ok);
  CHECK(first.woken == 1);
  CHECK(**first.out == 1);
  CHECK(second.woken == 0);
  CHECK(try_push(queue, 2) == op_status::ok);
  CHECK(**second.out == 2);
  CHECK(try_push(queue, 3) == op_status::ok);
  CHECK(queue.size_approx() == 1);
  CHECK(first.woken + second.woken == 2);
}

TEST_CASE("a pop puts the first pusher's message in the place of its own") {
  core queue(1);
  CHECK(try_push(queue, 1) == op_status::ok);
  pusher first(2);
  pusher second(3);
  CHECK(first.park(queue));
  CHECK(second.park(queue));
  CHECK(**try_pop(queue) == 1);
  CHECK(first.woken == 1);
  CHECK(first.slot.status == op_status::ok);
  CHECK(second.woken == 0);
  CHECK(queue.size_approx() == 1);
  CHECK(**try_pop(queue) == 2);
  CHECK(second.woken == 1);
  CHECK(**try_pop(queue) == 3);
  CHECK(try_pop(queue).status() == op_status::empty);
  CHECK(try_push(queue, 4) == op_status::ok);
}

TEST_CASE("withdrawing the last waiter clears the way for the fast path") {
  core queue(1);
  popper p;
  CHECK(p.park(queue));
  CHECK(queue.withdraw_pop(p));
  CHECK_FALSE(queue.withdraw_pop(p));
  auto m = std::make_unique<int>(1);
  CHECK(queue.push_fast(millrace::detail::source_of(m)));
  pusher blocked(2);
  CHECK(blocked.park(queue));
  CHECK(queue.withdraw_push(blocked));
  CHECK_FALSE(queue.withdraw_push(blocked));
  CHECK(*blocked.m == 2);
  CHECK(queue.pop_fast(p.out));
  CHECK(p.woken + blocked.woken == 0);
}

TEST_CASE("close ends poppers, pushers and, once the queue is empty, drainers") {
  core queue(1);
  counting_waiter drainer;
  CHECK(queue.park_drained(drainer));
  CHECK(try_push(queue, 1) == op_status::ok);
  pusher blocked(2);
  CHECK(blocked.park(queue));
  CHECK(queue.close(nullptr));
  CHECK(blocked.woken == 1);
  CHECK(blocked.slot.status == op_status::closed);
  CHECK(*blocked.m == 2);
  CHECK(drainer.woken == 0);
  pusher late(3);
  CHECK_FALSE(late.park(queue));
  CHECK(try_push(queue, 3) == op_status::closed);
  CHECK(**try_pop(queue) == 1);
  CHECK(drainer.woken == 1);
  popper p;
  CHECK_FALSE(p.park(queue));
  CHECK(try_pop(queue).status() == op_status::closed);
}

namespace {

/// A full queue with pushers of a pool before it, and this thread as that pool's worker.
struct crowd {
  static constexpr std::size_t capacity = 16;

  std::vector<std::unique_ptr<pusher>> waiting;  // the agent is, until the queue has taken the duty off it
  support::manual_executor pool;
  millrace::executor_ref home{pool};
  core queue{capacity};
  millrace::detail::trampoline<traits> loop{home};

  explicit crowd(int pushers) {
    traits::this_thread().worker = this;
    for (std::size_t n = 0; n < capacity; ++n) CHECK(try_push(queue, -1) == op_status::ok);
    for (int n = 0; n < pushers; ++n) {
      waiting.push_back(std::make_unique<pusher>(n));
      waiting.back()->home = home;
      CHECK(waiting.back()->park(queue));
    }
  }
  ~crowd() { traits::this_thread().worker = nullptr; }

  int woken() {
    while (pool.run_one()) {
    }
    int n = 0;
    for (const auto& w : waiting) n += w->woken;
    return n;
  }
};

}  // namespace

TEST_CASE("a pusher that runs on the worker that woke it lets the others in") {
  crowd c(40);
  CHECK(try_pop(c.queue));  // the first goes in, and is the agent
  CHECK(c.woken() == 1);
  for (int n = 0; n < 10; ++n) CHECK(try_pop(c.queue));
  CHECK(c.woken() == 1);
  CHECK(c.queue.size_approx() == c.capacity - 10);
  REQUIRE(c.waiting[0]->relieve());
  c.queue.do_duty();  // one, who is the next agent
  CHECK(c.woken() == 2);
  CHECK_FALSE(c.waiting[0]->relieve());
  REQUIRE(c.waiting[1]->relieve());
  c.queue.do_duty();
  CHECK(c.woken() == 3);
  CHECK(c.queue.size_approx() == c.capacity - 8);
  CHECK(c.queue.close(nullptr));
  CHECK(c.woken() == 40);
}

TEST_CASE("newcomers overtake waiting pushers by no more than a queueful") {
  crowd c(40);
  std::size_t newcomers = 0;
  for (std::size_t n = 0; n < c.capacity; ++n) {
    CHECK(try_pop(c.queue));
    newcomers += try_push(c.queue, 100) == op_status::ok;
  }
  CHECK(newcomers == c.capacity - 1);  // the first pop let a pusher in
  CHECK(c.woken() == 1);
  CHECK(try_pop(c.queue));
  CHECK(try_pop(c.queue));  // the queue's content since the agent was appointed: now it is their turn
  CHECK(c.woken() > 1);
  CHECK(try_push(c.queue, 101) == op_status::full);
  CHECK(c.queue.close(nullptr));
}

TEST_CASE("a pop that finds nothing lets waiting pushers in") {
  crowd c(20);
  for (std::size_t n = 0; n <= c.capacity; ++n) CHECK(try_pop(c.queue));
  CHECK(c.woken() == 1);
  CHECK(c.queue.size_approx() == 0);
  popper p;
  CHECK_FALSE(p.park(c.queue));
  CHECK(**try_pop(c.queue) == 1);
  CHECK(c.woken() == 17);
  CHECK(c.queue.close(nullptr));
}

TEST_CASE("whom another thread's executor runs is not trusted to let others in") {
  crowd c(3);
  traits::this_thread().worker = nullptr;
  for (int woken = 1; woken <= 3; ++woken) {
    CHECK(try_pop(c.queue));
    CHECK(c.woken() == woken);
    CHECK(c.queue.size_approx() == c.capacity);
  }
}

TEST_CASE("a queue that is destroyed takes the duty off its agent") {
  pusher agent(1);
  pusher other(2);
  {
    crowd c(0);
    for (pusher* w : {&agent, &other}) {
      w->home = c.home;
      CHECK(w->park(c.queue));
    }
    CHECK(try_pop(c.queue));
    while (c.pool.run_one()) {
    }
  }
  CHECK(agent.woken == 1);
  CHECK_FALSE(agent.relieve());
  CHECK(other.slot.status == op_status::closed);
}
