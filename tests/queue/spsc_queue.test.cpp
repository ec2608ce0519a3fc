// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/spsc_queue.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/queue/make_channel.hpp>
#include <millrace/task/scope.hpp>
#include <millrace/task/sync_wait.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>
#include <millrace/task/when_all.hpp>
#include <millrace/wait/select.hpp>
#include <millrace/wait/stop_token.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/chaos.hpp"
#include "support/effort.hpp"
#include "support/messages.hpp"
#include "support/queue_laws.hpp"

namespace {

using millrace::op_status;
using millrace::overflow_policy;
using millrace::spsc_queue;
using millrace::task;
using message = std::unique_ptr<int>;
using std::chrono_literals::operator""ms;

message made(int n) {
  return std::make_unique<int>(n);
}

/// Positions that wrap within a few laps, in lines of one slot; biased again at once.
struct tiny : millrace::default_traits {
  using ticket = std::uint16_t;
  static constexpr ticket first_ticket = 65000;
  static constexpr unsigned rebias_after = 0;
  template <std::size_t>
  static constexpr std::size_t line_slots = 1;
};
/// As where there is no membarrier.
struct fenced : support::near_wrap<millrace::default_traits> {
  using fence = millrace::detail::symmetric_fence;
};
struct never_biased_again : millrace::default_traits {
  static constexpr unsigned rebias_after = ~0u;
};

template <class Queue>
task<> produce(Queue& q, int n, std::size_t& before) {
  for (int i = 0; i < n; ++i) {
    if (i == n / 10) before = support::allocations();
    auto sent = co_await q.push(i);
    if (!sent) break;
  }
}

template <class Queue>
task<> consume(Queue& q, int n, std::size_t& after, int& count) {
  while (auto m = co_await q.pop()) {
    if (*m != count++) co_return;
    if (count == n) after = support::allocations();
  }
}

}  // namespace

TEMPLATE_TEST_CASE("the laws of a queue hold for one producer and one consumer", "", int, messages::move_only,
                   messages::over_aligned, messages::bare) {
  laws::all_hold<spsc_queue<TestType>>();
}

TEMPLATE_TEST_CASE("the laws of an spsc queue hold whatever its traits", "", tiny, fenced,
                   never_biased_again) {
  laws::all_hold<spsc_queue<int, TestType>>();
}

TEST_CASE("an spsc queue that cannot be is refused, and the message says what to do") {
  CHECK_THROWS_AS(spsc_queue<int>(0), std::invalid_argument);
  CHECK_THROWS_WITH(spsc_queue<int>(0), Catch::Matchers::Contains("ask for 1 or more"));
  CHECK_THROWS_AS(spsc_queue<int>(~std::size_t{0}), std::length_error);
  const millrace::queue_options<int> displacing{.overflow = overflow_policy::displace_oldest};
  CHECK_THROWS_AS(spsc_queue<int>(1, displacing), std::invalid_argument);
  CHECK_THROWS_WITH(spsc_queue<int>(1, displacing), Catch::Matchers::Contains("use bounded_queue"));
}

TEST_CASE("an spsc queue that rejects what it has no room for does not let its producer wait") {
  spsc_queue<message> q(1, {.overflow = overflow_policy::reject});
  CHECK(q.push(made(1)).wait());
  for (int turn = 0; turn < 2; ++turn) {
    auto rejected = q.push(made(2)).wait();
    CHECK(rejected.status() == op_status::full);
    CHECK(*rejected.value() == 2);
    auto m = made(3);
    CHECK(q.push_from(m).wait() == op_status::full);
    CHECK(*m == 3);
    if (turn == 0) {  // once more, while its lock is revoked
      CHECK(**q.try_pop() == 1);
      q.pop().start([](auto) noexcept {});
      CHECK(q.try_push(made(0)) == op_status::ok);
      CHECK(q.try_push(made(1)) == op_status::ok);
    }
  }
}

TEST_CASE("what is left in an spsc queue is undelivered, in order") {
  std::vector<int> found;
  const auto keep = [](void* to, message&& m) noexcept {
    const message mine = std::move(m);
    static_cast<std::vector<int>*>(to)->push_back(*mine);
  };
  for (const bool closes : {false, true}) {
    found.clear();
    op_status waiting_push = op_status::ok;
    op_status drained = op_status::ok;
    {
      spsc_queue<message> q(2, {.on_undelivered = keep, .user = &found});
      for (int n = 0; n < 3; ++n) {
        if (n == 2) CHECK(**q.try_pop() == 0);
        CHECK(q.try_push(made(n)) == op_status::ok);
      }
      q.push(made(3)).start([&](auto r) noexcept { waiting_push = r.status(); });
      q.drained().start([&](op_status how) noexcept { drained = how; });
      if (closes) q.close();
    }
    CHECK(waiting_push == op_status::closed);
    CHECK(drained == op_status::closed);
    CHECK(found == std::vector<int>{1, 2});
  }
}

TEST_CASE("the stats of an spsc queue count what went through its ring") {
  spsc_queue<int> q(10, {.name = "feed"});
  std::uint64_t pushed = 0;
  std::uint64_t popped = 0;
  for (int lap = 0; lap < 40; ++lap) {
    for (int i = 0; i < 1 + lap % 10; ++i) pushed += q.try_push(i) == op_status::ok ? 1 : 0;
    REQUIRE(q.stats().pushed == pushed);
    REQUIRE(q.stats().size == pushed - popped);
    while (popped + static_cast<std::uint64_t>(lap % 3) < pushed) {
      REQUIRE(q.try_pop());
      ++popped;
    }
    REQUIRE(q.stats().popped == popped);
  }
  CHECK(q.stats().capacity == 10);
  CHECK(q.stats().name == std::string("feed"));
  CHECK_FALSE(q.stats().is_closed);
  q.close();
  CHECK(q.stats().is_closed);
}

TEST_CASE("a batch goes through an spsc queue, and waits where there is no room") {
  spsc_queue<int> q(3);
  std::vector<int> in{0, 1, 2, 3, 4, 5, 6, 7};
  std::vector<int> out(8, -1);
  std::size_t pushed = 0;
  q.push_range(in.begin(), in.end()).start([&](auto r) noexcept { pushed = r.count; });
  std::size_t got = 0;
  while (got < 8) {
    const auto some = q.pop_some(out.data() + got, 8 - got).wait();
    REQUIRE(some.count > 0);
    got += some.count;
  }
  CHECK(out == in);
  CHECK(pushed == 8);
  for (int n = 0; n < 3; ++n) CHECK(q.try_push(n) == op_status::ok);
  std::vector<int> rest;
  CHECK(q.try_pop_some(std::back_inserter(rest), 2) == 2);
  CHECK(q.close_and_drain(std::back_inserter(rest)) == 1);
  CHECK(rest == std::vector<int>{0, 1, 2});
}

namespace {

struct throwing {
  static inline int left = 0;
  int n;
  explicit throwing(int value) : n(value) {
    if (left-- == 0) throw std::runtime_error("no");
  }
  throwing(throwing&&) noexcept = default;
};

}  // namespace

TEST_CASE("a message whose construction throws leaves an spsc queue as it was") {
  spsc_queue<throwing> q(1);
  throwing::left = 0;
  CHECK_THROWS_AS(q.try_emplace(1), std::runtime_error);
  throwing::left = 0;
  CHECK_THROWS_AS(q.emplace(1), std::runtime_error);
  throwing::left = 1;
  CHECK(q.try_emplace(1) == op_status::ok);
  throwing::left = 0;
  CHECK(q.try_emplace(2) == op_status::full);
  q.pop().start([](auto) noexcept {});
  q.pop().start([](auto) noexcept {});  // waits, so that its lock is revoked
  throwing::left = 5;
  CHECK(q.try_emplace(3) == op_status::ok);
  CHECK(q.try_emplace(4) == op_status::ok);
  CHECK(q.try_emplace(5) == op_status::full);
  q.close();
  CHECK(q.try_emplace(5) == op_status::closed);
}

TEST_CASE("a stop, a deadline and a select take back what waits at an spsc queue") {
  spsc_queue<message> q(1);
  spsc_queue<message> other(1);
  millrace::stop_source halt;
  op_status popped = op_status::ok;
  q.pop().with(halt.token()).start([&](auto m) noexcept { popped = m.status(); });
  halt.request_stop();
  CHECK(popped == op_status::cancelled);
  CHECK(q.try_push(made(1)) == op_status::ok);
  CHECK(q.size_approx() == 1);
  auto late = q.push(made(2)).within(1ms).wait();
  CHECK(late.status() == op_status::timeout);
  CHECK(*late.value() == 2);
  CHECK(**q.try_pop() == 1);
  CHECK(q.pop().within(1ms).wait().status() == op_status::timeout);

  int got = -1;
  millrace::select(q.pop(), other.pop()).start([&](auto chosen) noexcept {
    got = static_cast<int>(chosen.index());
  });
  CHECK(other.try_push(made(3)) == op_status::ok);
  CHECK(got == 1);
  CHECK(q.try_push(made(4)) == op_status::ok);
  CHECK(q.size_approx() == 1);
  auto chosen = millrace::select(q.push(made(5)), q.pop()).wait();
  CHECK(chosen.index() == 1);
  CHECK(**chosen.get<1>() == 4);
  CHECK(chosen.get<0>().returned());
}

TEST_CASE("an spsc queue joins the ends of a channel") {
  auto [tx, rx] = millrace::make_channel<int, spsc_queue<int>>(3);
  static_assert(std::is_same_v<decltype(tx), millrace::producer<int, spsc_queue<int>>>);
  const auto send = [](millrace::producer<int, spsc_queue<int>> to) -> task<> {
    for (int i = 0; i < 1000; ++i) {
      auto sent = co_await to.push(i);
      if (!sent) break;
    }
  };
  const auto sum = [](millrace::consumer<int, spsc_queue<int>> from) -> task<int> {
    int total = 0;
    while (auto m = co_await from.pop()) total += *m;
    co_return total;
  };
  auto result = millrace::sync_wait(millrace::when_all(send(std::move(tx)), sum(std::move(rx))));
  CHECK(std::get<1>(result) == 999 * 500);
}

TEST_CASE("a channel over an spsc queue closes when its consumer goes") {
  auto [tx, rx] = millrace::make_channel<int, spsc_queue<int>>(1);
  CHECK(tx.try_push(1) == op_status::ok);
  std::optional<millrace::push_result<int>> result;
  tx.push(2).start([&](auto r) noexcept { result.emplace(std::move(r)); });
  CHECK_FALSE(result.has_value());
  {
    auto last = std::move(rx);
  }
  REQUIRE(result.has_value());
  CHECK(result->status() == op_status::closed);
  CHECK(result->value() == 2);
}

TEST_CASE("coroutines on two pools exchange messages through an spsc queue without allocating") {
  const int n = static_cast<int>(support::effort(100'000, 10));
  for (const std::size_t capacity : {2u, 1024u}) {
    millrace::thread_pool left(1);
    millrace::thread_pool right(1);
    spsc_queue<int> q(capacity);
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
}

TEST_CASE("an spsc queue without memory is not made") {
  if (!support::counts_allocations) return;
  const support::failing_allocations now(0);
  CHECK_THROWS_AS(spsc_queue<int>(4), std::bad_alloc);
}

TEST_CASE("a batch of numbers is taken at once, and none of none") {
  millrace::spsc_queue<int> q(4);
  int out[4] = {};
  CHECK(q.try_pop_some(out, 4) == 0);
  for (int n : {1, 2, 3}) CHECK(q.try_push(n) == millrace::op_status::ok);
  CHECK(q.try_pop_some(out, 4) == 3);
  CHECK(out[2] == 3);
}
