// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/unbounded_queue.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include <millrace/task/scope.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>
#include <millrace/wait/stop_token.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/counted.hpp"
#include "support/effort.hpp"

namespace {

using millrace::op_status;
using millrace::task;
using millrace::unbounded_queue;
using message = std::unique_ptr<int>;
using queue = unbounded_queue<message>;

message made(int n) {
  return std::make_unique<int>(n);
}

task<> pop_all(unbounded_queue<std::uint64_t>& q, std::uint64_t& sum, std::uint64_t& count) {
  while (auto m = co_await q.pop()) {
    sum += *m;
    ++count;
  }
}

task<> push_some(unbounded_queue<std::uint64_t>& q, std::uint64_t first, std::uint64_t last) {
  for (std::uint64_t n = first; n != last; ++n) {
    auto pushed = co_await q.push(n);
    if (!pushed) co_return;
  }
}

}  // namespace

TEST_CASE("an unbounded queue gives back in order, over many segments") {
  queue q;
  int next = 0;
  int expected = 0;
  for (int lap = 1; lap <= 40; ++lap) {
    for (int i = 0; i < 50 * lap; ++i) REQUIRE(q.try_push(made(next++)) == op_status::ok);
    for (int i = 0; i < 49 * lap; ++i) REQUIRE(**q.try_pop() == expected++);
    REQUIRE(q.size_approx() == static_cast<std::size_t>(next - expected));
  }
  q.close();
  while (auto m = q.try_pop()) REQUIRE(**m == expected++);
  CHECK(expected == next);
  CHECK(q.try_pop().status() == op_status::closed);
}

TEST_CASE("a push is handed to the consumer that waits longest") {
  queue q;
  std::vector<int> got;
  for (int i = 0; i < 3; ++i) q.pop().start([&, i](auto m) { got.push_back(10 * i + **m); });
  for (int n = 0; n < 3; ++n) {
    CHECK(q.push(made(n)).wait());
    CHECK(q.size_approx() == 0);
  }
  CHECK(got == std::vector<int>{0, 11, 22});
  CHECK(q.try_push(made(3)) == op_status::ok);
  CHECK(q.size_approx() == 1);
}

TEST_CASE("an unbounded queue that closes ends who waits, and keeps what it has") {
  queue q;
  op_status popped = op_status::ok;
  bool drained = false;
  q.drained().start([&](op_status how) { drained = how == op_status::ok; });
  q.pop().start([&](auto m) { popped = m.status(); });
  CHECK(q.close());
  CHECK_FALSE(q.close());
  CHECK(popped == op_status::closed);
  CHECK(drained);
  auto m = made(1);
  CHECK(q.try_push(std::move(m)) == op_status::closed);
  CHECK(*m == 1);
  auto r = q.push(made(2)).wait();
  CHECK(r.status() == op_status::closed);
  CHECK(*r.value() == 2);
}

TEST_CASE("the pop of the last message of a closed unbounded queue ends drained()") {
  queue q;
  for (int n = 0; n < 3; ++n) CHECK(q.try_push(made(n)) == op_status::ok);
  int drained = 0;
  q.close();
  q.drained().start([&](op_status) { ++drained; });
  q.drained().start([&](op_status) { ++drained; });
  CHECK(q.try_pop());
  CHECK(q.try_pop());
  CHECK(drained == 0);
  CHECK(q.try_pop());
  CHECK(drained == 2);
  CHECK(q.drained().wait() == op_status::ok);
}

TEST_CASE("the destructor of an unbounded queue ends who waits, and destroys what is left") {
  op_status drained = op_status::ok;
  {
    unbounded_queue<support::counted> q;
    for (int n = 0; n < 100; ++n) CHECK(q.try_push(support::counted(n)) == op_status::ok);
    q.drained().start([&](op_status how) { drained = how; });
  }
  CHECK(drained == op_status::closed);
  CHECK(support::counted::live() == 0);
}

TEST_CASE("a stop takes back a pop of an unbounded queue") {
  queue q;
  millrace::stop_source halt;
  op_status popped = op_status::ok;
  q.pop().with(halt.token()).start([&](auto m) { popped = m.status(); });
  halt.request_stop();
  CHECK(popped == op_status::cancelled);
  CHECK(q.try_push(made(1)) == op_status::ok);
  CHECK(q.size_approx() == 1);
}

TEST_CASE("without memory an unbounded queue is full, and gives the message back") {
  if (!support::counts_allocations) return;
  unbounded_queue<std::uint64_t> q;
  std::uint64_t in = 0;
  op_status last = op_status::ok;
  {
    const support::failing_allocations now(0);
    while ((last = q.try_push(in)) == op_status::ok) ++in;
  }
  CHECK(last == op_status::full);
  std::uint64_t out = 0;
  while (auto m = q.try_pop()) {
    REQUIRE(*m == out);
    ++out;
  }
  CHECK(out == in);
  CHECK(q.try_push(7) == op_status::ok);
  CHECK(*q.try_pop() == 7);
}

TEST_CASE("coroutines on a pool exchange messages through an unbounded queue, and lose none") {
  const std::uint64_t n = support::effort(20000, 10);
  unbounded_queue<std::uint64_t> q;
  std::uint64_t sums[2] = {0, 0};
  std::uint64_t counts[2] = {0, 0};
  {
    millrace::thread_pool pool(2);
    millrace::scope producers;
    millrace::scope consumers;
    for (int c = 0; c < 2; ++c) consumers.spawn(pool, pop_all(q, sums[c], counts[c]));
    for (std::uint64_t p = 0; p < 2; ++p) producers.spawn(pool, push_some(q, p * n, (p + 1) * n));
    producers.join().wait();
    q.close();
    consumers.join().wait();
    CHECK(q.drained().wait() == op_status::ok);
  }
  CHECK(counts[0] + counts[1] == 2 * n);
  CHECK(sums[0] + sums[1] == (2 * n - 1) * n);
}
