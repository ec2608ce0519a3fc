// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/tap.hpp>

#include <atomic>
#include <cstddef>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/callback/on_message.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/rendezvous_queue.hpp>
#include <millrace/queue/spsc_queue.hpp>
#include <millrace/queue/unbounded_queue.hpp>
#include <millrace/task/run_loop.hpp>
#include <millrace/wait/select.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/effort.hpp"

namespace {

using millrace::bounded_queue;
using millrace::op_status;
using millrace::subscription;
using millrace::tap;

template <class Queue>
Queue make() {
  if constexpr (std::is_constructible_v<Queue, std::size_t>) {
    return Queue(16);
  } else {
    return Queue();
  }
}

}  // namespace

TEMPLATE_TEST_CASE("a tap sees every message that is popped, by whatever way", "", bounded_queue<int>,
                   millrace::unbounded_queue<int>, millrace::spsc_queue<int>) {
  TestType q = make<TestType>();
  std::vector<int> seen;
  CHECK(q.try_push(0) == op_status::ok);
  CHECK(q.try_pop());
  const subscription s = tap(q, [&](const int& n) { seen.push_back(n); });
  SECTION("that need not wait") {
    for (int n = 1; n <= 11; ++n) CHECK(q.try_push(int{n}) == op_status::ok);
    CHECK(*q.try_pop() == 1);
    CHECK(*q.pop().wait() == 2);
    std::vector<int> taken;
    CHECK(q.try_pop_some(std::back_inserter(taken), 2) == 2);
    int out[3] = {};
    CHECK(q.try_pop_some(out, 2) == 2);
    CHECK(q.pop_some(out, 3).wait().count == 3);
    CHECK(select(q.pop()).wait().index() == 0);
    CHECK(q.pop_some(out, 0).wait().count == 0);
    CHECK(q.close_and_drain(std::back_inserter(taken)) == 1);
    CHECK(q.try_pop().status() == op_status::closed);
    CHECK_FALSE(q.pop().wait());
    CHECK_FALSE(q.pop_some(out, 3).wait().count == 1);
    CHECK(seen == std::vector<int>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  }
  SECTION("that waits") {
    int came = 0;
    q.pop().start([&](millrace::pop_result<int> m) { came = *m; });
    CHECK(q.try_push(1) == op_status::ok);
    CHECK(came == 1);
    int out[2] = {};
    q.pop_some(out, 2).start([&](millrace::batch_result r) { came = static_cast<int>(r.count); });
    CHECK(q.try_push(2) == op_status::ok);
    CHECK(came == 1);
    q.pop().start([&](const millrace::pop_result<int>& m) { came = m ? -1 : -2; });
    q.close();
    CHECK(came == -2);
    CHECK(seen == std::vector<int>{1, 2});
  }
}

TEST_CASE("a tap of a queue that holds nothing") {
  millrace::rendezvous_queue<int> q;
  std::vector<int> seen;
  const subscription s = tap(q, [&](const int& n) { seen.push_back(n); });
  int came = 0;
  q.pop().start([&](const millrace::pop_result<int>& m) { came = *m; });
  CHECK(q.push(1).wait());
  CHECK(came == 1);
  q.push(2).start([](const millrace::push_result<int>&) {});
  CHECK(*q.pop().wait() == 2);
  q.push(3).start([](const millrace::push_result<int>&) {});
  CHECK(*q.try_pop() == 3);
  CHECK_FALSE(q.try_pop());
  CHECK(seen == std::vector<int>{1, 2, 3});
}

TEST_CASE("a tap comes before the consumer, and may use the queue") {
  millrace::run_loop loop;
  bounded_queue<int> q(4);
  std::vector<int> order;
  std::optional<subscription> s;
  s.emplace(tap(q, [&](const int& n) {
    order.push_back(n);
    if (n == 1) CHECK(q.try_push(2) == op_status::ok);
    if (n == 2) s->disconnect();
  }));
  const subscription consumer = on_message(q, loop, [&](int n) { order.push_back(-n); });
  for (int turn = 0; turn < 3; ++turn) {
    if (turn == 1) CHECK(q.try_push(1) == op_status::ok);
    loop.finish();
    loop.run();
  }
  CHECK(q.try_push(3) == op_status::ok);
  loop.finish();
  loop.run();
  CHECK(order == std::vector<int>{1, -1, 2, -2, -3});
}

TEST_CASE("several taps, with the options of a callback") {
  bounded_queue<std::unique_ptr<int>> q(4);
  std::vector<int> seen;
  auto last = tap(q, [&](const std::unique_ptr<int>& n) { seen.push_back(*n); });
  auto first = tap(q, [&](const std::unique_ptr<int>& n) { seen.push_back(-*n); },
                   {.priority = 1, .filter = [](const std::unique_ptr<int>& n) { return *n > 1; }});
  for (int n = 1; n < 4; ++n) {
    CHECK(q.try_push(std::make_unique<int>(n)) == op_status::ok);
    const auto popped = q.try_pop();
    REQUIRE(popped);
    CHECK(**popped == n);
    if (n == 2) last.disconnect();
  }
  CHECK(seen == std::vector<int>{1, -2, 2, -3});
}

TEST_CASE("a tap's subscription may outlive the queue") {
  subscription s;
  {
    bounded_queue<int> q(1);
    s = tap(q, [](const int&) {});
  }
  CHECK(s.closed().wait() == op_status::ok);
}

TEST_CASE("who taps first is no better than who taps at the same time; nothing is missed, nothing doubled") {
  const std::size_t rounds = support::effort(100, 20);
  constexpr int messages = 200;
  std::size_t wrong = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    bounded_queue<int> q(4);
    std::atomic<int> seen[2] = {};
    std::atomic<int> tapped{0};
    std::atomic<int> popped{0};
    std::vector<std::thread> workers;
    for (int i = 0; i < 2; ++i) {
      workers.emplace_back([&, i] {
        const subscription s = tap(q, [&, i](const int& n) { seen[i].fetch_add(n); });
        tapped.fetch_add(1);
        while (tapped.load() != 2) std::this_thread::yield();
        if (i == 0) {
          for (int n = 1; n <= messages; ++n) static_cast<void>(q.push(int{n}).wait());
          q.close();
        }
        while (auto m = q.pop().wait()) popped.fetch_add(*m);
        tapped.fetch_add(1);
        while (tapped.load() != 4) std::this_thread::yield();
      });
    }
    for (std::thread& one : workers) one.join();
    constexpr int sum = messages * (messages + 1) / 2;
    wrong += popped != sum || seen[0] != sum || seen[1] != sum;
  }
  CHECK(wrong == 0);
}

TEST_CASE("tapping a queue does nothing where memory is short") {
  if (!support::counts_allocations) return;
  bounded_queue<int> q(1);
  int calls = 0;
  subscription s;
  for (std::size_t k = 0;; ++k) {
    try {
      const support::failing_allocations failing(k);
      s = tap(q, [&](const int&) { ++calls; });
      break;
    } catch (const std::bad_alloc&) {
    }
  }
  CHECK(q.try_push(1) == op_status::ok);
  const std::size_t before = support::allocations();
  CHECK(q.try_pop());
  CHECK(support::allocations() == before);
  CHECK(calls == 1);
}
