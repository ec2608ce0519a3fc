// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/queue_options.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/rendezvous_queue.hpp>
#include <millrace/queue/unbounded_queue.hpp>
#include <millrace/wait/select.hpp>

#include "support/catch.hpp"
#include "support/effort.hpp"
#include "support/foreign_task.hpp"
#include "support/manual_executor.hpp"

namespace {

using millrace::bounded_queue;
using millrace::op_status;
using millrace::overflow_policy;
using millrace::queue_options;
using message = std::unique_ptr<int>;

message made(int n) {
  return std::make_unique<int>(n);
}

/// Where undelivered messages go.
struct lost_property {
  std::vector<int> found;
  queue_options<message> options(overflow_policy overflow = overflow_policy::wait) {
    return {.on_undelivered =
                [](void* self, message&& m) noexcept {
                  const message mine = std::move(m);
                  static_cast<lost_property*>(self)->found.push_back(*mine);
                },
            .user = this,
            .name = "lost",
            .overflow = overflow};
  }
};

template <class Queue>
support::homed_task pop_once(millrace::executor_ref, Queue& q, int& got) {
  auto m = co_await q.pop();
  got = m ? **m : -1;
}

template <class Operation>
support::homed_task run_once(millrace::executor_ref, Operation op) {
  static_cast<void>(co_await std::move(op));
  FAIL("it never resumes");
}

struct refusing {
  using difference_type = std::ptrdiff_t;
  refusing& operator*() { return *this; }
  refusing& operator++() { return *this; }
  refusing operator++(int) { return *this; }
  refusing& operator=(message&&) { throw std::runtime_error("refused"); }
};

}  // namespace

TEST_CASE("what is left in a queue that is destroyed is undelivered, in order") {
  lost_property office;
  {
    bounded_queue<message> q(4, office.options());
    for (int n = 0; n < 3; ++n) CHECK(q.try_push(made(n)) == op_status::ok);
    CHECK(**q.try_pop() == 0);
  }
  CHECK(office.found == std::vector<int>{1, 2});
  {
    millrace::unbounded_queue<message> q(office.options());
    for (int n = 3; n < 6; ++n) CHECK(q.try_push(made(n)) == op_status::ok);
  }
  CHECK(office.found == std::vector<int>{1, 2, 3, 4, 5});
}

TEMPLATE_TEST_CASE("what was delivered to a coroutine that never resumes is undelivered", "",
                   millrace::unbounded_queue<message>, millrace::rendezvous_queue<message>) {
  lost_property office;
  TestType q(office.options());
  support::manual_executor home;  // runs nothing any more
  int got = 0;
  {
    auto f = pop_once(home, q, got);
    f.start();
    CHECK(q.try_push(made(7)) == op_status::ok);
    f.destroy();
  }
  CHECK(got == 0);
  CHECK(office.found == std::vector<int>{7});
}

TEST_CASE("so is what was delivered to a batch, or to one of several operations, that never resumes") {
  lost_property office;
  bounded_queue<message> q(1, office.options());
  bounded_queue<message> other(1, office.options());
  const auto abandon = [&](auto op) {
    support::manual_executor home;  // runs nothing any more
    auto f = run_once(home, std::move(op));
    f.start();
    CHECK(q.try_push(made(7)) == op_status::ok);
    f.destroy();
  };
  std::vector<message> batch;
  abandon(q.pop_some(std::back_inserter(batch), 2));
  CHECK(office.found == std::vector<int>{7});
  abandon(select(other.pop(), q.pop()));
  CHECK(office.found == std::vector<int>{7, 7});
  abandon(select(q.pop(), other.pop()));
  CHECK(office.found == std::vector<int>{7, 7, 7});
}

TEST_CASE("the message in hand of an iterator that throws is undelivered, the rest stays") {
  lost_property office;
  bounded_queue<message> q(4, office.options());
  for (int n = 0; n < 4; ++n) CHECK(q.try_push(made(n)) == op_status::ok);
  CHECK_THROWS_WITH(q.try_pop_some(refusing{}, 4), "refused");
  CHECK_THROWS_WITH(q.pop_some(refusing{}, 4).wait(), "refused");
  CHECK_THROWS_WITH(q.close_and_drain(refusing{}), "refused");
  CHECK(office.found == std::vector<int>{0, 1, 2});
  CHECK(**q.try_pop() == 3);
}

TEST_CASE("a queue that rejects gives the message back") {
  bounded_queue<message> q(1, {.overflow = overflow_policy::reject});
  CHECK(q.push(made(1)).wait());
  auto r = q.push(made(2)).wait();
  CHECK(r.status() == op_status::full);
  REQUIRE(r.returned());
  CHECK(*r.value() == 2);
  auto kept = made(3);
  CHECK(q.push_from(kept).wait() == op_status::full);
  CHECK(*kept == 3);
  CHECK(q.try_push(std::move(kept)) == op_status::full);
  CHECK(*kept == 3);
  CHECK(**q.try_pop() == 1);
  CHECK(q.push(made(4)).wait());
  q.close();
  CHECK(q.push(made(5)).wait().status() == op_status::closed);
}

TEST_CASE("a queue that displaces keeps the newest, and gives back the oldest") {
  lost_property office;
  bounded_queue<message> q(2, office.options(overflow_policy::displace_oldest));
  CHECK_FALSE(q.push(made(0)).wait().returned());
  CHECK_FALSE(q.push(made(1)).wait().returned());
  for (int n = 2; n < 7; ++n) {
    auto r = q.push(made(n)).wait();
    CHECK(r);
    REQUIRE(r.returned());
    CHECK(*r.value() == n - 2);
  }
  CHECK(q.try_push(made(7)) == op_status::ok);
  auto from = made(8);
  CHECK(q.push_from(from).wait() == op_status::ok);
  CHECK(from == nullptr);
  CHECK(office.found == std::vector<int>{5, 6});
  CHECK(**q.try_pop() == 7);
  CHECK(**q.try_pop() == 8);
  q.close();
  auto r = q.push(made(9)).wait();
  CHECK(r.status() == op_status::closed);
  CHECK(*r.value() == 9);
}

TEST_CASE("racing producers that displace lose nothing") {
  const std::uint64_t rounds = support::effort(20000, 10);
  bounded_queue<std::uint64_t> q(2, {.overflow = overflow_policy::displace_oldest});
  std::uint64_t popped = 0;
  std::uint64_t displaced[2] = {0, 0};
  std::vector<std::thread> threads;
  for (auto& mine : displaced) {
    threads.emplace_back([&] {
      for (std::uint64_t n = 1; n <= rounds; ++n) {
        auto r = q.push(n).wait();
        if (r.returned()) mine += r.value();
      }
    });
  }
  std::thread consumer([&] {
    while (auto m = q.pop().wait()) popped += *m;
  });
  for (auto& t : threads) t.join();
  q.close();
  consumer.join();
  CHECK(popped + displaced[0] + displaced[1] == rounds * (rounds + 1));
}

TEST_CASE("what ends without a message, and never resumes, loses none") {
  lost_property office;
  const auto abandon = [&](auto op_of) {
    bounded_queue<message> q(1, office.options());
    support::manual_executor home;  // runs nothing any more
    auto f = run_once(home, op_of(q));
    f.start();
    CHECK(q.close());
    f.destroy();
  };
  std::vector<message> batch;
  abandon([](auto& q) { return q.pop(); });
  abandon([&](auto& q) { return q.pop_some(std::back_inserter(batch), 2); });
  CHECK(office.found.empty());
}

TEST_CASE("drained() may have a deadline") {
  bounded_queue<message> q(1);
  CHECK(q.drained().within(std::chrono::milliseconds(1)).wait() == op_status::timeout);
}
