// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/bounded_queue.hpp>

#include <coroutine>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <millrace/task/scope.hpp>
#include <millrace/task/sync_wait.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>
#include <millrace/task/when_all.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/foreign_task.hpp"
#include "support/messages.hpp"
#include "support/queue_laws.hpp"

namespace {

using millrace::bounded_queue;
using millrace::op_status;

/// Tickets that wrap within a few laps.
struct tiny : millrace::default_traits {
  using ticket = std::uint16_t;
  static constexpr ticket first_ticket = 4000;
};

struct near_wrap : millrace::default_traits {
  static constexpr ticket first_ticket = (~ticket{0} >> 4) - 100;
};

}  // namespace

TEMPLATE_TEST_CASE("the laws of a bounded queue hold", "", int, messages::move_only, messages::over_aligned,
                   messages::bare) {
  laws::all_hold<bounded_queue<TestType>>();
}

TEMPLATE_TEST_CASE("the laws of a bounded queue hold when its tickets wrap", "", tiny, near_wrap) {
  laws::all_hold<bounded_queue<int, TestType>>();
}

TEST_CASE("capacity 0 is refused, and the message says what to do") {
  CHECK_THROWS_AS(bounded_queue<int>(0), std::invalid_argument);
  CHECK_THROWS_WITH(bounded_queue<int>(0), Catch::Matchers::Contains("ask for 1 or more"));
}

TEST_CASE("a capacity beyond all memory is refused") {
  CHECK_THROWS_AS(bounded_queue<int>(~std::size_t{0}), std::length_error);
}

TEST_CASE("push_from moves the message only if it is in the queue") {
  bounded_queue<std::unique_ptr<int>> q(1);
  auto message = std::make_unique<int>(1);
  CHECK(q.push_from(message).wait() == op_status::ok);
  CHECK(message == nullptr);
  message = std::make_unique<int>(2);
  q.close();
  CHECK(q.push_from(message).wait() == op_status::closed);
  REQUIRE(message != nullptr);
  CHECK(*message == 2);
}

TEST_CASE("emplace builds the message from its arguments") {
  bounded_queue<std::string> q(2);
  CHECK(q.emplace(3u, 'x').wait());
  CHECK(q.try_emplace(2u, 'y') == op_status::ok);
  CHECK(q.try_emplace(1u, 'z') == op_status::full);
  CHECK(*q.try_pop() == "xxx");
  CHECK(*q.try_pop() == "yy");
  q.close();
  CHECK(q.try_emplace(1u, 'z') == op_status::closed);
}

namespace {

/// Counts how many were built; the k-th construction throws.
struct throwing {
  static inline int built = 0;
  static inline int alive = 0;
  static inline int throws_at = -1;

  explicit throwing(int) {
    if (built++ == throws_at) throw std::runtime_error("no");
    ++alive;
  }
  throwing(throwing&&) noexcept { ++alive; }
  ~throwing() { --alive; }
};

struct counted {
  static inline int built = 0;
  explicit counted(int) noexcept { ++built; }
  counted(counted&&) noexcept = default;
};

}  // namespace

TEST_CASE("a constructor that throws leaves the queue as it was") {
  for (int k = 0; k < 4; ++k) {
    throwing::built = 0;
    throwing::throws_at = k;
    {
      bounded_queue<throwing> q(8);
      int in = 0;
      int thrown = 0;
      for (int i = 0; i < 4; ++i) {
        try {
          if (i % 2 == 0) {
            in += q.try_emplace(i) == op_status::ok;
          } else {
            in += static_cast<bool>(q.emplace(i).wait());
          }
        } catch (const std::runtime_error&) {
          ++thrown;
        }
      }
      CHECK(thrown == 1);
      CHECK(in == 3);
      CHECK(q.size_approx() == 3);
      CHECK(q.try_pop());
    }
    CHECK(throwing::alive == 0);
  }
}

TEST_CASE("try_emplace builds nothing unless ok, where building cannot throw") {
  counted::built = 0;
  bounded_queue<counted> q(1);
  CHECK(q.try_emplace(1) == op_status::ok);
  CHECK(q.try_emplace(1) == op_status::full);
  CHECK(counted::built == 1);
  CHECK(q.try_pop());
  millrace::scope work;
  auto pop_one = [](bounded_queue<counted>& from) -> millrace::task<> {
    auto m = co_await from.pop();
    (void)m;
  };
  work.spawn(pop_one(q));
  CHECK(q.try_emplace(1) == op_status::ok);  // into the waiting pop
  work.join().wait();
  q.close();
  CHECK(q.try_emplace(1) == op_status::closed);
  CHECK(counted::built == 2);
}

TEST_CASE("start calls back before it returns where it completes at once, else when woken") {
  bounded_queue<int> q(1);
  std::vector<int> seen;
  const auto note = [&](millrace::pop_result<int> m) noexcept { seen.push_back(m ? *m : -1); };
  q.pop().start(note);
  CHECK(seen.empty());
  CHECK(q.try_push(1) == op_status::ok);
  CHECK(seen == std::vector<int>{1});
  CHECK(q.try_push(2) == op_status::ok);
  q.pop().start(note);
  CHECK(seen == std::vector<int>{1, 2});
  q.pop().start(note);
  q.close();
  CHECK(seen == std::vector<int>{1, 2, -1});
}

TEST_CASE("an operation that was never run destroys what it holds") {
  bounded_queue<std::shared_ptr<int>> q(1);
  auto message = std::make_shared<int>(1);
  {
    auto op = q.push(message);
    CHECK(message.use_count() == 2);
  }
  CHECK(message.use_count() == 1);
  CHECK(q.size_approx() == 0);
}

TEST_CASE("a stored operation is awaited by giving it away") {
  bounded_queue<int> q(1);
  auto pop_stored = [](bounded_queue<int>& from) -> millrace::task<int> {
    auto op = from.pop();
    auto m = co_await std::move(op);
    co_return *m;
  };
  CHECK(q.try_push(5) == op_status::ok);
  CHECK(millrace::sync_wait(pop_stored(q)) == 5);
}

namespace {

/// A coroutine whose owner may destroy it at any time.
struct destructible {
  struct promise_type {
    destructible get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

destructible pop_and_note(bounded_queue<int>& q, int& got) {
  auto m = co_await q.pop();
  got = m ? *m : -1;
}

destructible push_and_note(bounded_queue<int>& q, int n, int& ok) {
  auto result = co_await q.push(n);
  ok = result ? 1 : 0;
}

destructible wait_drained(bounded_queue<int>& q, int& ok) {
  co_await q.drained();
  ok = 1;
}

}  // namespace

TEST_CASE("a frame that is destroyed while it waits takes its operation back") {
  bounded_queue<int> q(1);
  int got[3] = {0, 0, 0};
  destructible pops[] = {pop_and_note(q, got[0]), pop_and_note(q, got[1]), pop_and_note(q, got[2])};
  pops[1].handle.destroy();
  for (int n = 1; n <= 3; ++n) CHECK(q.try_push(n) == op_status::ok);
  CHECK(got[0] == 1);
  CHECK(got[1] == 0);
  CHECK(got[2] == 2);
  CHECK(q.size_approx() == 1);  // the third push found nobody waiting

  int in[3] = {-1, -1, -1};
  destructible pushes[] = {push_and_note(q, 4, in[0]), push_and_note(q, 5, in[1]),
                           push_and_note(q, 6, in[2])};
  pushes[0].handle.destroy();
  CHECK(*q.try_pop() == 3);
  CHECK(in[1] == 1);
  pushes[2].handle.destroy();
  CHECK(*q.try_pop() == 5);
  CHECK(q.try_pop().status() == op_status::empty);
  CHECK(q.try_push(7) == op_status::ok);

  int drained = 0;
  destructible waits[] = {wait_drained(q, drained), wait_drained(q, drained)};
  q.close();
  waits[0].handle.destroy();
  drained = 0;
  CHECK(*q.try_pop() == 7);
  CHECK(drained == 1);

  for (auto& c : {pops[0], pops[2], pushes[1], waits[1]}) c.handle.destroy();
}

TEST_CASE("an operation is at most three cache lines") {
  using queue = bounded_queue<std::uint64_t>;
  const auto size = []<class Operation>(std::type_identity<Operation>) {
    return sizeof(Operation) + sizeof(std::declval<Operation>().operator co_await());
  };
  CHECK(size(std::type_identity<queue::pop_operation>()) <= 192);
  CHECK(size(std::type_identity<queue::push_operation>()) <= 192);
}

namespace {

millrace::task<> echo(bounded_queue<int>& in, bounded_queue<int>& out) {
  while (auto m = co_await in.pop()) {
    auto sent = co_await out.push(*m);
    if (!sent) break;
  }
  out.close();
}

/// Sends n messages around and says how many allocations there were in all but the first ten.
millrace::task<std::size_t> ping(bounded_queue<int>& out, bounded_queue<int>& in, int n) {
  std::size_t before = 0;
  for (int i = 0; i < n; ++i) {
    if (i == 10) before = support::allocations();
    auto sent = co_await out.push(i);
    auto back = co_await in.pop();
    if (!sent || !back || *back != i) co_return 1'000'000;
  }
  const std::size_t after = support::allocations();
  out.close();
  co_return after - before;
}

millrace::task<> produce(bounded_queue<int>& q, int n, std::size_t& before) {
  for (int i = 0; i < n; ++i) {
    if (i == n / 10) before = support::allocations();
    auto sent = co_await q.push(i);
    if (!sent) break;
  }
}

millrace::task<> consume(bounded_queue<int>& q, int n, std::size_t& after, int& count) {
  while (auto m = co_await q.pop()) {
    if (++count == n) after = support::allocations();
  }
}

}  // namespace

TEST_CASE("two coroutines on one thread exchange messages without allocating") {
  bounded_queue<int> there(1);
  bounded_queue<int> back(1);
  auto result = millrace::sync_wait(millrace::when_all(ping(there, back, 10000), echo(there, back)));
  CHECK(std::get<0>(result) == 0);
}

TEST_CASE("coroutines on two pools exchange messages without allocating") {
  constexpr int n = 200'000;
  millrace::thread_pool left(1);
  millrace::thread_pool right(1);
  bounded_queue<int> q(1024);
  std::size_t before = 0;
  std::size_t after = 0;
  int count = 0;
  millrace::scope producers;
  millrace::scope consumers;
  consumers.spawn(right, consume(q, n, after, count));
  producers.spawn(left, produce(q, n, before));
  producers.join().wait();
  q.close();
  consumers.join().wait();
  CHECK(count == n);
  CHECK((before > 0) == support::counts_allocations);
  CHECK(after == before);
}

namespace {

support::foreign_task pop_and_tell(bounded_queue<int>& queue, std::string& told) {
  const auto message = co_await queue.pop();
  told += "popped " + std::to_string(*message);
}
support::foreign_task push_and_tell(bounded_queue<int>& queue, std::string& told) {
  const auto sent = co_await queue.push(7);
  told += sent ? "pushed, " : "not pushed, ";
}

}  // namespace

TEST_CASE("whom a coroutine on a bare thread meets goes on after it") {
  bounded_queue<int> queue(1);
  std::string told;
  const auto popper = pop_and_tell(queue, told);
  popper.start();
  CHECK(told.empty());
  const auto pusher = push_and_tell(queue, told);
  pusher.start();
  CHECK(told == "pushed, popped 7");
}
