// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/batch_steps.hpp>

#include <cstddef>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/rendezvous_queue.hpp>
#include <millrace/queue/unbounded_queue.hpp>
#include <millrace/task/scope.hpp>
#include <millrace/task/task.hpp>
#include <millrace/wait/select.hpp>
#include <millrace/wait/stop_token.hpp>

#include "support/catch.hpp"

namespace {

using millrace::op_status;
using message = std::unique_ptr<int>;

struct bounded : millrace::bounded_queue<message> {
  bounded() : millrace::bounded_queue<message>(4) {}
};
using unbounded = millrace::unbounded_queue<message>;

message made(int n) {
  return std::make_unique<int>(n);
}

std::vector<int> numbers(const std::vector<message>& messages) {
  std::vector<int> all;
  for (const auto& m : messages) all.push_back(*m);
  return all;
}

/// Throws at the message with this number.
struct picky {
  using difference_type = std::ptrdiff_t;
  std::vector<int>* into;
  int refused;
  picky& operator*() { return *this; }
  picky& operator++() { return *this; }
  picky operator++(int) { return *this; }
  picky& operator=(message&& m) {
    if (*m == refused) throw std::runtime_error("refused");
    into->push_back(*m);
    return *this;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("pop_some takes what is there, in order, and no more than was asked for", "", bounded,
                   unbounded) {
  TestType q;
  for (int n = 0; n < 4; ++n) REQUIRE(q.try_push(made(n)) == op_status::ok);
  std::vector<message> fixed(3);
  const auto taken = q.pop_some(fixed.begin(), 3).wait();
  CHECK(taken.count == 3);
  CHECK(taken.status == op_status::ok);
  CHECK(numbers(fixed) == std::vector<int>{0, 1, 2});
  std::vector<message> grown;
  CHECK(q.pop_some(std::back_inserter(grown), 3).wait().count == 1);
  CHECK(numbers(grown) == std::vector<int>{3});
  CHECK(q.try_pop_some(grown.begin(), 1) == 0);
  CHECK(q.pop_some(grown.begin(), 0).wait().count == 0);
  for (int n = 4; n < 8; ++n) REQUIRE(q.try_push(made(n)) == op_status::ok);
  CHECK(q.try_pop_some(std::back_inserter(grown), 9) == 4);
  CHECK(numbers(grown) == std::vector<int>{3, 4, 5, 6, 7});
}

TEMPLATE_TEST_CASE("pop_some waits for one message, and ends when the queue is closed", "", bounded,
                   unbounded, millrace::rendezvous_queue<message>) {
  TestType q;
  std::vector<message> got;
  std::vector<millrace::batch_result> results;
  const auto note = [&](millrace::batch_result r) { results.push_back(r); };
  q.pop_some(std::back_inserter(got), 2).start(note);
  CHECK(results.empty());
  CHECK(q.try_push(made(1)) == op_status::ok);
  REQUIRE(results.size() == 1);
  CHECK(results[0].count == 1);
  millrace::stop_source halt;
  q.pop_some(std::back_inserter(got), 2).with(halt.token()).start(note);
  halt.request_stop();
  REQUIRE(results.size() == 2);
  CHECK(results[1].count == 0);
  CHECK(results[1].status == op_status::cancelled);
  q.pop_some(std::back_inserter(got), 2).start(note);
  q.close();
  REQUIRE(results.size() == 3);
  CHECK(results[2].count == 0);
  CHECK(results[2].status == op_status::closed);
  CHECK(numbers(got) == std::vector<int>{1});
}

TEST_CASE("pop_some of none takes none, in a select neither") {
  bounded q;
  CHECK(q.try_push(made(0)) == op_status::ok);
  std::vector<message> out;
  CHECK(q.pop_some(std::back_inserter(out), 0).wait().status == op_status::ok);
  auto chosen = select(q.pop_some(std::back_inserter(out), 0)).wait();
  CHECK(chosen.get<0>().status == op_status::ok);
  CHECK(out.empty());
  CHECK(**q.try_pop() == 0);
}

TEST_CASE("pop_some lets in the pushes that wait, in their order") {
  millrace::bounded_queue<message> q(2);
  REQUIRE(q.try_push(made(0)) == op_status::ok);
  REQUIRE(q.try_push(made(1)) == op_status::ok);
  int entered = 0;
  for (int n = 2; n < 5; ++n) q.push(made(n)).start([&](auto r) { entered += static_cast<bool>(r); });
  std::vector<message> got;
  CHECK(q.pop_some(std::back_inserter(got), 10).wait().count == 5);
  CHECK(numbers(got) == std::vector<int>{0, 1, 2, 3, 4});
  CHECK(entered == 3);
}

TEST_CASE("what pop_some has not written stays in the queue") {
  unbounded q;
  for (int n = 0; n < 4; ++n) REQUIRE(q.try_push(made(n)) == op_status::ok);
  std::vector<int> got;
  CHECK_THROWS_WITH(q.pop_some(picky{&got, 1}, 4).wait(), "refused");
  CHECK(got == std::vector<int>{0});
  CHECK(q.size_approx() == 2);
  CHECK(**q.try_pop() == 2);
}

TEMPLATE_TEST_CASE("push_range pushes all, in order", "", bounded, unbounded) {
  TestType q;
  std::vector<message> source;
  for (int n = 0; n < 4; ++n) source.push_back(made(n));
  const auto pushed =
      q.push_range(std::make_move_iterator(source.begin()), std::make_move_iterator(source.end())).wait();
  CHECK(pushed.status == op_status::ok);
  CHECK(pushed.count == 4);
  CHECK(pushed.next.base() == source.end());
  for (const auto& m : source) CHECK(m == nullptr);
  for (int n = 0; n < 4; ++n) CHECK(**q.try_pop() == n);
}

TEST_CASE("push_range waits for room as often as it takes") {
  millrace::bounded_queue<int> q(2);
  const std::vector<int> source{0, 1, 2, 3, 4, 5, 6};
  SECTION("called back") {
    std::size_t count = 0;
    q.push_range(source.begin(), source.end()).start([&](auto r) { count = r.count; });
    for (int n = 0; n < 7; ++n) {
      CHECK(count == (n < 5 ? 0 : 7));
      CHECK(*q.try_pop() == n);
    }
    CHECK(count == 7);
  }
  SECTION("a thread") {
    std::vector<int> got;
    std::thread other([&] {
      while (auto m = q.pop().wait()) got.push_back(*m);
    });
    CHECK(q.push_range(source.begin(), source.end()).wait().count == 7);
    q.close();
    other.join();
    CHECK(got == source);
  }
  SECTION("a coroutine") {
    std::vector<int> got;
    millrace::scope work;
    work.spawn([](auto& to, const auto& from) -> millrace::task<> {
      const auto pushed = co_await to.push_range(from.begin(), from.end());
      CHECK(pushed.count == from.size());
      to.close();
    }(q, source));
    while (auto m = q.pop().wait()) got.push_back(*m);
    work.join().wait();
    CHECK(got == source);
  }
}

TEST_CASE("what push_range has not pushed is still the caller's") {
  millrace::bounded_queue<message> q(2);
  std::vector<message> source;
  for (int n = 0; n < 5; ++n) source.push_back(made(n));
  millrace::stop_source halt;
  op_status how = op_status::ok;
  std::size_t count = 0;
  q.push_range(std::make_move_iterator(source.begin()), std::make_move_iterator(source.end()))
      .with(halt.token())
      .start([&](auto r) {
        how = r.status;
        count = r.count;
        CHECK(r.next.base() == source.begin() + 3);
      });
  CHECK(**q.try_pop() == 0);
  SECTION("stopped") {
    halt.request_stop();
    CHECK(how == op_status::cancelled);
  }
  SECTION("closed") {
    q.close();
    CHECK(how == op_status::closed);
  }
  CHECK(count == 3);
  REQUIRE(source[3] != nullptr);
  CHECK(*source[3] == 3);
  CHECK(*source[4] == 4);
  CHECK(**q.try_pop() == 1);
  CHECK(**q.try_pop() == 2);
}

TEST_CASE("a range is not pushed into a closed queue") {
  millrace::bounded_queue<int> q(1);
  q.close();
  int numbers[] = {1, 2};
  const auto r = q.push_range(numbers, numbers + 2).wait();
  CHECK(r.status == op_status::closed);
  CHECK(r.next == numbers);
}

TEST_CASE("a range does the duty that its waiter was left with, once") {
  millrace::bounded_queue<int> q(1);
  int numbers[] = {1, 2};
  auto step = millrace::detail::operation_access::take_step(q.push_range(numbers, numbers + 2));
  millrace::detail::waiter<millrace::default_traits> w;
  w.appoint();
  step.relieve(w);
  CHECK_FALSE(w.relieve());
}

TEST_CASE("a batch may be one of several operations, and wait") {
  millrace::bounded_queue<int> q(2);
  millrace::bounded_queue<int> other(2);
  int out[2] = {};
  std::size_t count = 0;
  select(q.pop_some(out, 2), other.pop()).start([&](auto chosen) { count = chosen.template get<0>().count; });
  CHECK(q.try_push(5) == op_status::ok);
  CHECK(count == 1);
  CHECK(out[0] == 5);
}
