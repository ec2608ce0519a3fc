// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/rendezvous_queue.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include <millrace/wait/select.hpp>
#include <millrace/wait/stop_token.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/effort.hpp"
#include "support/foreign_task.hpp"

namespace {

using millrace::op_status;
using millrace::rendezvous_queue;
using message = std::unique_ptr<int>;
using queue = rendezvous_queue<message>;

message made(int n) {
  return std::make_unique<int>(n);
}

}  // namespace

TEST_CASE("a rendezvous without a partner does not happen") {
  queue q;
  auto m = made(1);
  CHECK(q.try_push(std::move(m)) == op_status::full);
  CHECK(*m == 1);
  CHECK(q.try_pop().status() == op_status::empty);
  CHECK(q.size_approx() == 0);
}

TEST_CASE("a push meets the pop that waits, and a pop the push") {
  queue q;
  int got = 0;
  q.pop().start([&](auto m) { got = **m; });
  CHECK(q.try_push(made(1)) == op_status::ok);
  CHECK(got == 1);

  bool pushed = false;
  q.push(made(2)).start([&](auto r) { pushed = static_cast<bool>(r); });
  CHECK_FALSE(pushed);
  CHECK(q.size_approx() == 0);
  CHECK(**q.try_pop() == 2);
  CHECK(pushed);
}

TEST_CASE("who waits at a rendezvous is served in the order of coming") {
  queue q;
  std::vector<int> got;
  for (int i = 0; i < 3; ++i) q.pop().start([&, i](auto m) { got.push_back(10 * i + **m); });
  for (int n = 0; n < 3; ++n) CHECK(q.try_push(made(n)) == op_status::ok);
  CHECK(got == std::vector<int>{0, 11, 22});
}

TEST_CASE("close ends who waits at a rendezvous, with the messages back") {
  queue q;
  int back = 0;
  bool drained = false;
  q.push(made(1)).start([&](auto r) {
    CHECK(r.status() == op_status::closed);
    back = *r.value();
  });
  q.drained().start([&](op_status how) { drained = how == op_status::ok; });
  CHECK(q.close());
  CHECK_FALSE(q.close());
  CHECK(back == 1);
  CHECK(drained);
  CHECK(q.is_closed());
  CHECK(q.try_pop().status() == op_status::closed);
  CHECK(q.try_push(made(2)) == op_status::closed);
  CHECK(q.pop().wait().status() == op_status::closed);
  CHECK(q.push(made(3)).wait().status() == op_status::closed);
}

TEST_CASE("the destructor ends who waits at a rendezvous") {
  op_status popped = op_status::ok;
  {
    queue q;
    q.pop().start([&](auto m) { popped = m.status(); });
  }
  CHECK(popped == op_status::closed);
}

TEST_CASE("a stop takes back who waits at a rendezvous") {
  queue q;
  millrace::stop_source halt;
  op_status popped = op_status::ok;
  q.pop().with(halt.token()).start([&](auto m) { popped = m.status(); });
  halt.request_stop();
  CHECK(popped == op_status::cancelled);
  CHECK(q.try_push(made(1)) == op_status::full);
}

TEST_CASE("a select does not meet itself, but another one") {
  queue x;
  queue y;
  std::size_t first = 9;
  std::size_t second = 9;
  select(x.push(made(1)), x.pop(), y.pop()).start([&](auto chosen) {
    first = chosen.index();
    if (first == 2) CHECK(**chosen.template get<2>() == 2);
  });
  CHECK(first == 9);
  select(y.push(made(2)), y.pop()).start([&](auto chosen) { second = chosen.index(); });
  CHECK(first == 2);
  CHECK(second == 0);
  CHECK(x.try_pop().status() == op_status::empty);
  CHECK(y.try_pop().status() == op_status::empty);
}

TEST_CASE("threads at a rendezvous lose nothing") {
  const std::uint64_t rounds = support::effort(3000, 10);
  rendezvous_queue<std::uint64_t> q;
  std::uint64_t sums[2] = {0, 0};
  std::vector<std::thread> threads;
  for (int p = 0; p < 2; ++p) {
    threads.emplace_back([&] {
      for (std::uint64_t i = 1; i <= rounds; ++i) (void)q.push(i).wait();
    });
  }
  for (auto& sum : sums) {
    threads.emplace_back([&] {
      for (std::uint64_t i = 0; i < rounds; ++i) sum += *q.pop().wait();
    });
  }
  for (auto& t : threads) t.join();
  CHECK(sums[0] + sums[1] == rounds * (rounds + 1));
}

TEST_CASE("two threads of selects that face each other over two rendezvous lose nothing") {
  const int rounds = static_cast<int>(support::effort(3000, 10));
  queue x;
  queue y;
  int moved[2] = {0, 0};
  std::thread other([&] {
    for (int i = 0; i < rounds; ++i) {
      auto chosen = select(x.pop(), y.push(made(i))).wait();
      if (chosen.index() == 0) ++moved[0];
    }
  });
  for (int i = 0; i < rounds; ++i) {
    auto chosen = select(x.push(made(i)), y.pop()).wait();
    if (chosen.index() == 0) ++moved[1];
  }
  other.join();
  CHECK(moved[0] == moved[1]);
}

TEST_CASE("a rendezvous has nothing to take without waiting for it") {
  queue q;
  message out[2];
  CHECK(q.try_pop_some(out, 2) == 0);
}
