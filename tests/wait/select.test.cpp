// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/select.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/sync_wait.hpp>
#include <millrace/task/task.hpp>
#include <millrace/wait/stop_token.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/effort.hpp"
#include "support/foreign_task.hpp"

namespace {

using millrace::bounded_queue;
using millrace::op_status;
using millrace::select;
using millrace::select_biased;
using millrace::when;
using message = std::unique_ptr<int>;
using queue = bounded_queue<message>;

message made(int n) {
  return std::make_unique<int>(n);
}

support::foreign_task choose(queue& a, queue& b, std::size_t& index, int& got) {
  auto chosen = co_await select(a.pop(), b.pop());
  index = chosen.index();
  if (chosen.get<0>()) got = **chosen.get<0>();
  if (chosen.get<1>()) got = **chosen.get<1>();
}

constexpr std::size_t none = millrace::selected<op_status>::none;

}  // namespace

TEST_CASE("a select does the one thing that can be done, and leaves the others alone") {
  queue a(1);
  queue b(1);
  REQUIRE(b.try_push(made(1)) == op_status::ok);
  auto chosen = select(a.pop(), b.pop()).wait();
  CHECK(chosen.index() == 1);
  CHECK(chosen.get<0>().status() == op_status::cancelled);
  CHECK(**chosen.get<1>() == 1);

  REQUIRE(a.try_push(made(2)) == op_status::ok);
  auto pushed = select(a.push(made(3)), b.push(made(4))).wait();
  CHECK(pushed.index() == 1);
  CHECK(pushed.get<0>().status() == op_status::cancelled);
  CHECK(*pushed.get<0>().value() == 3);
  CHECK(pushed.get<1>());
  CHECK(**a.try_pop() == 2);
  CHECK(**b.try_pop() == 4);
  CHECK(a.try_pop().status() == op_status::empty);
}

TEST_CASE("a select that has to wait is woken by the first of its queues, and allocates nothing") {
  queue a(1);
  queue b(1);
  for (queue* first : {&a, &b}) {
    std::size_t index = none;
    int got = 0;
    const support::foreign_task f = choose(a, b, index, got);
    auto m = made(7);
    const std::size_t before = support::allocations();
    f.start();
    REQUIRE_FALSE(f.done());
    CHECK(first->try_push(std::move(m)) == op_status::ok);
    CHECK(support::allocations() == before);
    CHECK(f.done());
    CHECK(index == (first == &a ? 0 : 1));
    CHECK(got == 7);
    // It waits nowhere any more.
    for (queue* q : {&a, &b}) {
      CHECK(q->try_push(made(8)) == op_status::ok);
      CHECK(q->size_approx() == 1);
      CHECK(**q->try_pop() == 8);
    }
  }
}

TEST_CASE("a closed queue is something that a select can do") {
  queue a(1);
  queue b(1);
  b.close();
  auto chosen = select(a.pop(), b.pop()).wait();
  CHECK(chosen.index() == 1);
  CHECK(chosen.get<1>().status() == op_status::closed);

  std::size_t index = none;
  int got = 0;
  queue c(1);
  const support::foreign_task f = choose(a, c, index, got);
  f.start();
  c.close();
  CHECK(f.done());
  CHECK(index == 1);
  CHECK(got == 0);
}

TEST_CASE("a select waits for drained() too") {
  queue a(1);
  queue b(1);
  REQUIRE(b.try_push(made(1)) == op_status::ok);
  b.close();
  std::size_t index = none;
  select(a.pop(), b.drained()).start([&](auto chosen) { index = chosen.index(); });
  CHECK(index == none);
  CHECK(b.try_pop());
  CHECK(index == 1);
}

TEST_CASE("when() leaves a branch out") {
  queue a(1);
  queue b(1);
  REQUIRE(a.try_push(made(1)) == op_status::ok);
  REQUIRE(b.try_push(made(2)) == op_status::ok);
  for (int i = 0; i < 20; ++i) {
    auto chosen = select(when(false, a.pop()), when(true, b.pop())).wait();
    REQUIRE(chosen.index() == 1);
    REQUIRE(chosen.get<0>().status() == op_status::cancelled);
    REQUIRE(b.try_push(made(2)) == op_status::ok);
  }
  auto nothing = select(when(false, a.pop()), when(false, b.pop())).wait();
  CHECK(nothing.index() == nothing.none);
  CHECK(nothing.get<0>().status() == op_status::cancelled);
}

TEST_CASE("select picks among the ready ones at random, select_biased the leftmost") {
  constexpr int rounds = 3000;
  bounded_queue<int> q[3]{bounded_queue<int>(1), bounded_queue<int>(1), bounded_queue<int>(1)};
  for (auto& one : q) REQUIRE(one.try_push(1) == op_status::ok);
  std::array<int, 3> picked{};
  for (int i = 0; i < rounds; ++i) {
    const std::size_t index = select(q[0].pop(), q[1].pop(), q[2].pop()).wait().index();
    REQUIRE(index < 3);
    ++picked[index];
    REQUIRE(q[index].try_push(1) == op_status::ok);
  }
  for (const int n : picked) {
    CHECK(n > rounds / 3 - 300);  // 300 is 11 standard deviations
    CHECK(n < rounds / 3 + 300);
  }
  for (int i = 0; i < 100; ++i) {
    REQUIRE(select_biased(when(false, q[0].pop()), q[1].pop(), q[2].pop()).wait().index() == 1);
    REQUIRE(q[1].try_push(1) == op_status::ok);
  }
}

TEST_CASE("a stop ends a select, and all its results say so") {
  queue a(1);
  queue b(1);
  REQUIRE(b.try_push(made(1)) == op_status::ok);
  millrace::stop_source halt;
  op_status said[2] = {op_status::ok, op_status::ok};
  std::size_t index = 7;
  int back = 0;
  select(a.pop(), b.push(made(2))).with(halt.token()).start([&](auto chosen) {
    index = chosen.index();
    said[0] = chosen.template get<0>().status();
    said[1] = chosen.template get<1>().status();
    back = *chosen.template get<1>().value();
  });
  CHECK(index == 7);
  halt.request_stop();
  CHECK(index == none);
  CHECK(said[0] == op_status::cancelled);
  CHECK(said[1] == op_status::cancelled);
  CHECK(back == 2);
  CHECK(a.try_push(made(3)) == op_status::ok);
  CHECK(a.size_approx() == 1);
  CHECK(**b.try_pop() == 1);
  CHECK(b.size_approx() == 0);

  auto none_done = select(a.pop(), b.pop()).with(halt.token()).wait();  // not even what could be
  CHECK(none_done.index() == none);
  CHECK(a.size_approx() == 1);
}

TEST_CASE("a select takes itself back when its coroutine is destroyed") {
  queue a(1);
  queue b(1);
  std::size_t index = none;
  int got = 0;
  {
    support::foreign_task f = choose(a, b, index, got);
    f.start();
    f.destroy();
  }
  for (queue* q : {&a, &b}) {
    CHECK(q->try_push(made(1)) == op_status::ok);
    CHECK(q->size_approx() == 1);
  }
  CHECK(index == none);
}

TEST_CASE("selects over two queues lose nothing") {
  const std::uint64_t rounds = support::effort(3000, 10);
  bounded_queue<std::uint64_t> a(2);
  bounded_queue<std::uint64_t> b(2);
  std::vector<std::uint64_t> seen(2 * rounds, 0);
  std::atomic<std::uint64_t> left{2 * rounds};
  std::vector<std::thread> threads;
  for (auto* q : {&a, &b}) {
    threads.emplace_back([&, q] {
      for (std::uint64_t i = 0; i < rounds; ++i) {
        (void)q->push(q == &a ? i : rounds + i).wait();
      }
    });
  }
  std::vector<std::uint64_t> got[2];
  for (auto& mine : got) {
    threads.emplace_back([&] {
      for (;;) {
        auto chosen = select(a.pop(), b.pop()).wait();
        auto& m = chosen.index() == 0 ? chosen.get<0>() : chosen.get<1>();
        if (!m) return;
        mine.push_back(*m);
        if (--left == 0) a.close();
      }
    });
  }
  for (auto& t : threads) t.join();
  for (const auto& mine : got) {
    for (const std::uint64_t id : mine) ++seen[id];
  }
  CHECK(std::count(seen.begin(), seen.end(), 1u) == static_cast<std::ptrdiff_t>(seen.size()));
}

TEST_CASE("what was selected is got from any kind of result") {
  queue a(1);
  CHECK(a.try_push(made(1)) == op_status::ok);
  const auto chosen = select(a.pop()).wait();
  CHECK(**chosen.get<0>() == 1);
  CHECK(a.try_push(made(2)) == op_status::ok);
  CHECK(**select(a.pop()).wait().get<0>() == 2);
}
