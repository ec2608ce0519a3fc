// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/broadcast.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <millrace/queue/bounded_queue.hpp>
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
#include "support/foreign_task.hpp"
#include "support/manual_executor.hpp"
#include "support/messages.hpp"

namespace {

using millrace::broadcast;
using millrace::broadcast_policy;
using millrace::broadcast_subscriber;
using millrace::op_status;
using millrace::task;
using std::chrono_literals::operator""ms;

constexpr broadcast_policy policies[] = {broadcast_policy::gate, broadcast_policy::lag};
constexpr std::size_t capacities[] = {1, 2, 3, 4, 64};

task<int> sum_of(broadcast_subscriber<int>& s) {
  int sum = 0;
  while (auto m = co_await s.pop()) sum += *m;
  co_return sum;
}

task<int> push_all(broadcast<int>& b, int n) {
  int in = 0;
  for (int i = 1; i <= n; ++i) {
    const auto r = co_await b.push(i);
    in += static_cast<bool>(r);
  }
  b.close();
  co_return in;
}

/// Its copies can be told to throw, from the k-th on; its objects are counted.
class fragile {
 public:
  static inline int live = 0;
  static inline int copies_left = -1;  // negative: any number

  explicit fragile(int n) noexcept : n_(n) { ++live; }
  fragile(const fragile& other) : n_(other.n_) {
    if (copies_left == 0) throw std::runtime_error("copy");
    if (copies_left > 0) --copies_left;
    ++live;
  }
  fragile(fragile&& other) noexcept : n_(std::exchange(other.n_, -1)) { ++live; }
  fragile& operator=(const fragile&) = delete;
  ~fragile() { --live; }
  int number() const noexcept { return n_; }

 private:
  int n_;
};

/// Positions that wrap.
using near_wrap = support::near_wrap<millrace::default_traits>;
using chaotic = support::near_wrap<support::chaos_traits>;

}  // namespace

TEST_CASE("each subscriber gets a copy of each message, in order, from where it came") {
  for (const broadcast_policy policy : policies) {
    for (const std::size_t capacity : capacities) {
      broadcast<std::string> b(capacity, {.policy = policy});
      CHECK(b.capacity() == capacity);
      CHECK(b.try_push("nobody is there") == op_status::ok);
      auto first = b.subscribe();
      for (int n = 0; n < 200; ++n) {
        CHECK(b.try_push("one " + std::to_string(n)) == op_status::ok);
        CHECK(*first.try_pop() == "one " + std::to_string(n));
        CHECK(first.try_pop().status() == op_status::empty);
      }
      auto second = b.subscribe();
      CHECK(second.try_pop().status() == op_status::empty);
      const std::string both = "both";
      CHECK(b.try_push(both) == op_status::ok);
      CHECK(*first.try_pop() == both);
      CHECK(*second.try_pop() == both);
      CHECK(first.missed() == 0);
      CHECK(second.missed() == 0);
    }
  }
}

TEST_CASE("messages of many kinds") {
  broadcast<messages::over_aligned> aligned(3);
  auto a = aligned.subscribe();
  CHECK(aligned.try_emplace(7) == op_status::ok);
  const auto m = a.try_pop();
  CHECK(m->n == 7);
  CHECK(reinterpret_cast<std::uintptr_t>(&*m) % alignof(messages::over_aligned) == 0);
  broadcast<messages::bare> bare(1, {.policy = broadcast_policy::lag});
  auto b = bare.subscribe();
  for (int n = 0; n < 3; ++n) CHECK(bare.try_emplace(n) == op_status::ok);
  CHECK(b.try_pop()->n == 2);
}

TEST_CASE("gate: the slowest subscriber holds back") {
  broadcast<int> b(2);
  auto fast = b.subscribe();
  auto slow = b.subscribe();
  CHECK(b.try_push(1) == op_status::ok);
  CHECK(b.try_push(2) == op_status::ok);
  CHECK(b.try_push(3) == op_status::full);
  CHECK(*fast.try_pop() == 1);
  CHECK(*fast.try_pop() == 2);
  CHECK(b.try_push(3) == op_status::full);
  std::vector<int> in;
  for (int n = 3; n < 6; ++n) {
    b.push(n).start([&in, n](auto r) {
      CHECK(r);
      in.push_back(n);
    });
  }
  CHECK(in.empty());
  CHECK(*slow.try_pop() == 1);
  CHECK(in == std::vector<int>{3});
  CHECK(b.try_push(9) == op_status::full);
  CHECK(*slow.pop().wait() == 2);
  CHECK(in == std::vector<int>{3, 4});
  slow.unsubscribe();  // fast has 3 and 4 to read
  CHECK(in.size() == 2);
  CHECK(*fast.try_pop() == 3);
  CHECK(in == std::vector<int>{3, 4, 5});
  fast.unsubscribe();
  for (int n = 0; n < 10; ++n) CHECK(b.try_push(n) == op_status::ok);
}

TEST_CASE("gate: pushers that wait go on when the subscriber that held them leaves") {
  broadcast<int> b(1);
  auto s = std::make_optional(b.subscribe());
  CHECK(b.try_push(0) == op_status::ok);
  int in = 0;
  for (int n = 0; n < 5; ++n) b.push(n).start([&](auto r) { in += static_cast<bool>(r); });
  CHECK(in == 0);
  s.reset();
  CHECK(in == 5);
}

TEST_CASE("lag: a push never waits") {
  broadcast<int> b(2, {.policy = broadcast_policy::lag});
  auto s = b.subscribe();
  int in = 0;
  for (int n = 0; n < 7; ++n) b.push(n).start([&](auto r) { in += static_cast<bool>(r); });
  CHECK(in == 7);
  CHECK(*s.pop().wait() == 5);
  CHECK(s.missed() == 5);
  CHECK(*s.pop().wait() == 6);
  CHECK(s.missed() == 5);
}

TEST_CASE("a subscriber is awaited, blocked on, called back, selected, and given up") {
  for (const broadcast_policy policy : policies) {
    broadcast<int> b(64, {.policy = policy});
    auto one = b.subscribe();
    auto two = b.subscribe();
    const auto [sum, other, in] =
        millrace::sync_wait(millrace::when_all(sum_of(one), sum_of(two), push_all(b, 50)));
    CHECK(sum == 50 * 51 / 2);
    CHECK(other == sum);
    CHECK(in == 50);
  }
  broadcast<int> b(2);
  auto s = b.subscribe();
  std::vector<int> got;
  s.pop().start([&](auto m) { got.push_back(*m); });
  CHECK(got.empty());
  CHECK(b.try_push(1) == op_status::ok);
  CHECK(got == std::vector<int>{1});
  CHECK(s.pop().within(0ms).wait().status() == op_status::timeout);
  CHECK(s.pop().within(1ms).wait().status() == op_status::timeout);
  millrace::stop_source halt;
  op_status how = op_status::ok;
  s.pop().with(halt.token()).start([&](auto m) { how = m.status(); });
  halt.request_stop();
  CHECK(how == op_status::cancelled);
  CHECK(b.try_push(2) == op_status::ok);
  CHECK(s.pop().with(halt.token()).wait().status() == op_status::cancelled);
  CHECK(*s.pop().within(std::chrono::hours(1)).wait() == 2);
}

TEST_CASE("a select takes one message, and leaves the others where they are") {
  broadcast<int> b(2);
  auto one = b.subscribe();
  auto two = b.subscribe();
  millrace::bounded_queue<int> q(1);
  std::size_t index = 9;
  select_biased(q.pop(), one.pop(), two.pop()).start([&](auto chosen) {
    index = chosen.index();
    CHECK(*chosen.template get<1>() == 1);
    CHECK(chosen.template get<2>().status() == op_status::cancelled);
  });
  CHECK(b.try_push(1) == op_status::ok);
  CHECK(index == 1);
  CHECK(one.try_pop().status() == op_status::empty);
  CHECK(*two.try_pop() == 1);

  CHECK(b.try_push(2) == op_status::ok);
  CHECK(b.try_push(3) == op_status::ok);
  auto chosen = select_biased(b.push(4), q.pop(), one.pop()).wait();
  CHECK(chosen.index() == 2);
  CHECK(*chosen.get<2>() == 2);
  CHECK(chosen.get<0>().value() == 4);
  index = 9;
  select_biased(b.push(5), q.pop()).start([&](auto c) { index = c.index(); });
  CHECK(index == 9);
  CHECK(*two.try_pop() == 2);
  CHECK(index == 0);
  CHECK(*one.try_pop() == 3);
  CHECK(*one.try_pop() == 5);
}

TEST_CASE("a stop takes back a push that waits, with its message") {
  broadcast<std::string> b(1);
  auto s = b.subscribe();
  CHECK(b.try_push("first") == op_status::ok);
  millrace::stop_source halt;
  std::string back;
  b.push("second").with(halt.token()).start([&](auto r) {
    CHECK(r.status() == op_status::cancelled);
    back = r.value();
  });
  halt.request_stop();
  CHECK(back == "second");
  CHECK(*s.try_pop() == "first");
  CHECK(s.try_pop().status() == op_status::empty);
}

TEST_CASE("close ends who waits; what is there is read first") {
  for (const broadcast_policy policy : policies) {
    broadcast<int> b(1, {.policy = policy});
    auto slow = b.subscribe();
    CHECK(b.try_push(1) == op_status::ok);
    auto fast = b.subscribe();
    op_status popped = op_status::ok;
    op_status pushed = op_status::ok;
    fast.pop().start([&](auto m) { popped = m.status(); });
    if (policy == broadcast_policy::gate) b.push(2).start([&](auto r) { pushed = r.status(); });
    CHECK(b.close());
    CHECK_FALSE(b.close());
    CHECK(b.is_closed());
    CHECK(popped == op_status::closed);
    CHECK((policy == broadcast_policy::lag || pushed == op_status::closed));
    CHECK(b.try_push(3) == op_status::closed);
    CHECK(b.push(3).wait().value() == 3);
    int mine = 4;
    CHECK(b.push_from(mine).wait() == op_status::closed);
    CHECK(*slow.pop().wait() == 1);
    CHECK(slow.pop().wait().status() == op_status::closed);
    CHECK(slow.missed() == 0);
    auto late = b.subscribe();
    CHECK(late.try_pop().status() == op_status::closed);
  }
}

TEST_CASE("the destructor ends who waits at a broadcast") {
  broadcast_subscriber<int> holds;
  broadcast_subscriber<int> waits;
  op_status popped = op_status::ok;
  op_status pushed = op_status::ok;
  {
    broadcast<int> b(1);
    holds = b.subscribe();
    CHECK(b.try_push(1) == op_status::ok);
    waits = b.subscribe();
    waits.pop().start([&](auto m) { popped = m.status(); });
    b.push(2).start([&](auto r) { pushed = r.status(); });
  }
  CHECK(popped == op_status::closed);
  CHECK(pushed == op_status::closed);
  CHECK(*holds.try_pop() == 1);
}

TEST_CASE("a copy that throws is told, and leaves the message to the next pop") {
  for (const broadcast_policy policy : policies) {
    {
      broadcast<fragile> b(2, {.policy = policy});
      auto s = b.subscribe();
      auto other = b.subscribe();
      CHECK(b.try_emplace(1) == op_status::ok);
      CHECK(b.try_emplace(2) == op_status::ok);
      fragile::copies_left = 0;
      CHECK_THROWS_WITH(s.try_pop(), "copy");
      CHECK_THROWS_WITH(s.pop().wait(), "copy");
      CHECK_THROWS_WITH(select_biased(s.pop(), other.pop()).wait(), "copy");
      if (policy == broadcast_policy::lag) CHECK(b.try_emplace(3) == op_status::ok);  // over the first
      fragile::copies_left = -1;
      s.unsubscribe();
      CHECK(other.missed() == (policy == broadcast_policy::lag ? 1 : 0));
      CHECK(other.try_pop()->number() == (policy == broadcast_policy::lag ? 2 : 1));
      auto late = b.subscribe();
      bool threw = false;
      // asleep, it throws where the message is taken: in await_resume
      const auto waits = [&]() -> task<> {
        try {
          const auto m = co_await late.pop();
          static_cast<void>(m);
        } catch (const std::runtime_error&) {
          threw = true;
        }
      };
      const auto pushes = [&]() -> task<> {
        static_cast<void>(other.try_pop());
        fragile::copies_left = 0;
        const auto r = co_await b.emplace(4);
        CHECK(r);
      };
      millrace::sync_wait(millrace::when_all(waits(), pushes()));
      fragile::copies_left = -1;
      CHECK(threw);
      CHECK(late.pop().wait()->number() == 4);
    }
    CHECK(fragile::live == 0);
  }
}

TEST_CASE("a copy that throws while it is pushed pushes nothing") {
  {
    broadcast<fragile> b(1);
    auto s = b.subscribe();
    const fragile m(1);
    fragile::copies_left = 0;
    CHECK_THROWS_WITH(b.try_push(m), "copy");
    fragile::copies_left = -1;
    CHECK(s.size_approx() == 0);
    CHECK(b.try_push(m) == op_status::ok);
    CHECK(b.try_push(m) == op_status::full);
    CHECK(s.try_pop()->number() == 1);
    b.close();
    CHECK(b.try_push(m) == op_status::closed);
  }
  CHECK(fragile::live == 0);
}

TEST_CASE("a broadcast refuses capacities that make no sense") {
  CHECK_THROWS_AS(broadcast<int>(0), std::invalid_argument);
  CHECK_THROWS_WITH(broadcast<int>(0), Catch::Contains("at least one message"));
  CHECK_THROWS_AS(broadcast<int>(~std::size_t{0}), std::length_error);
}

TEST_CASE("a broadcast has so many subscribers, and not more") {
  broadcast<int> b(1, {.policy = broadcast_policy::lag});
  std::vector<broadcast_subscriber<int>> all;
  for (int i = 0; i < 32767; ++i) all.push_back(b.subscribe());
  CHECK_THROWS_AS(b.subscribe(), std::length_error);
  all.pop_back();
  CHECK(b.subscribe());
  CHECK(b.try_push(1) == op_status::ok);
  int sum = 0;
  for (auto& s : all) sum += *s.try_pop();
  CHECK(sum == 32766);
}

TEST_CASE("where there is no memory, nothing has happened") {
  if (!support::counts_allocations) return;
  for (std::size_t k = 0; k < 2; ++k) {
    const support::failing_allocations none(k);
    CHECK_THROWS_AS(broadcast<int>(4), std::bad_alloc);
  }
  broadcast<int> b(1);
  {
    const support::failing_allocations none(0);
    CHECK_THROWS_AS(b.subscribe(), std::bad_alloc);
  }
  CHECK(b.try_push(1) == op_status::ok);
  CHECK(b.try_push(2) == op_status::ok);  // nobody holds it back
}

TEST_CASE("no message and no wait allocates") {
  for (const broadcast_policy policy : policies) {
    broadcast<int> b(2, {.policy = policy});
    auto s = b.subscribe();
    support::manual_executor home;
    const std::size_t before = support::allocations();
    int sum = 0;
    for (int n = 0; n < 10; ++n) {
      CHECK(b.push(n).wait());
      sum += *s.pop().wait();
      CHECK(s.pop().within(0ms).wait().status() == op_status::timeout);
    }
    CHECK(support::allocations() - before == 0);
    CHECK(sum == 45);
  }
}

namespace {

support::homed_task pop_into(millrace::executor_ref, broadcast_subscriber<int>& s, int& got) {
  const auto m = co_await s.pop();
  got = m ? *m : -1;
}

}  // namespace

TEST_CASE("a coroutine that is destroyed while it waits, or before it resumes, takes nothing") {
  broadcast<int> b(1);
  auto s = b.subscribe();
  support::manual_executor home;
  int got = 0;
  {
    auto f = pop_into(home, s, got);
    f.start();
  }
  {
    auto f = pop_into(home, s, got);
    f.start();
    CHECK(b.try_push(7) == op_status::ok);
    CHECK(home.posted() == 1);
    f.destroy();
  }
  CHECK(got == 0);
  CHECK(*s.try_pop() == 7);
}

TEST_CASE("a range is pushed one by one") {
  broadcast<int> b(2);
  auto s = b.subscribe();
  const std::array<int, 5> all{1, 2, 3, 4, 5};
  std::size_t count = 0;
  b.push_range(all.begin(), all.end()).start([&](auto r) { count = r.count; });
  for (const int n : all) CHECK(*s.try_pop() == n);
  CHECK(count == 5);
  int x = 6;
  CHECK(b.push_from(x).wait() == op_status::ok);
  CHECK(*s.try_pop() == 6);
}

namespace {

struct tally {
  std::uint64_t popped = 0;
  std::uint64_t missed = 0;
  std::uint64_t left = 0;
  bool in_order = true;
};

/// Messages are {producer, number}. Reads until the broadcast is closed, or `most` were read.
template <class Subscriber>
tally read_all(Subscriber& s, std::uint64_t most = ~std::uint64_t{0}) {
  tally t;
  std::uint64_t last[4] = {};
  while (t.popped < most) {
    auto m = t.popped % 2 == 0 ? s.pop().wait() : s.try_pop();
    if (!m && m.status() == op_status::empty) {
      std::this_thread::yield();
      continue;
    }
    if (!m) break;
    const std::uint64_t from = *m >> 32;
    const std::uint64_t number = *m & 0xffffffff;
    t.in_order = t.in_order && number > last[from];
    last[from] = number;
    ++t.popped;
  }
  t.missed = s.missed();
  return t;
}

}  // namespace

TEMPLATE_TEST_CASE("racing pushers and subscribers: pushed = popped + missed, in order", "", near_wrap,
                   chaotic) {
  const std::uint64_t rounds = support::effort(4000, 10);
  for (const broadcast_policy policy : policies) {
    for (const std::size_t capacity : {1u, 2u, 7u}) {
      broadcast<std::uint64_t, TestType> b(capacity, {.policy = policy});
      std::vector<millrace::broadcast_subscriber<std::uint64_t, TestType>> subscribers;
      for (int i = 0; i < 2; ++i) subscribers.push_back(b.subscribe());
      std::vector<tally> tallies(subscribers.size());
      std::vector<std::thread> readers;
      for (std::size_t i = 0; i < subscribers.size(); ++i) {
        readers.emplace_back([&, i] { tallies[i] = read_all(subscribers[i]); });
      }
      std::vector<std::thread> pushers;
      for (std::uint64_t p = 0; p < 2; ++p) {
        pushers.emplace_back([&, p] {
          for (std::uint64_t n = 1; n <= rounds; ++n) static_cast<void>(b.push(p << 32 | n).wait());
        });
      }
      for (auto& t : pushers) t.join();
      b.close();
      for (auto& t : readers) t.join();
      for (const tally& t : tallies) {
        CHECK(t.popped + t.missed == 2 * rounds);
        CHECK(t.in_order);
        CHECK((policy == broadcast_policy::lag || t.missed == 0));
      }
    }
  }
}

TEST_CASE("subscribers come and go beside pushers, stops and the others, and nothing is lost") {
  const std::uint64_t rounds = support::effort(4000, 10);
  for (const broadcast_policy policy : policies) {
    broadcast<std::uint64_t> b(2, {.policy = policy});
    auto stays = b.subscribe();
    tally all;
    std::uint64_t in[2] = {};
    std::uint64_t back[2] = {};
    std::atomic<bool> is_over{false};
    bool in_order[2] = {true, true};
    std::vector<std::thread> guests;
    for (bool& ordered : in_order) {
      guests.emplace_back([&] {
        for (std::uint64_t i = 0; !is_over; ++i) {
          auto s = b.subscribe();
          ordered = ordered && read_all(s, i % 4).in_order;
        }
      });
    }
    std::thread reader([&] { all = read_all(stays); });
    std::vector<std::thread> pushers;
    for (std::uint64_t p = 0; p < 2; ++p) {
      pushers.emplace_back([&, p] {
        for (std::uint64_t n = 1; n <= rounds; ++n) {
          auto r = b.push(p << 32 | n).within(n % 8 == 0 ? 0ms : 1000ms).wait();
          in[p] += static_cast<bool>(r);
          back[p] += r.returned();
        }
      });
    }
    for (auto& t : pushers) t.join();
    is_over = true;
    b.close();
    for (auto& t : guests) t.join();
    reader.join();
    CHECK(in[0] + in[1] + back[0] + back[1] == 2 * rounds);
    CHECK(all.popped + all.missed == in[0] + in[1]);
    CHECK(all.in_order);
    CHECK(in_order[0]);
    CHECK(in_order[1]);
  }
}

TEST_CASE("coroutines on a pool broadcast to coroutines, through strings and over wraps") {
  const int rounds = static_cast<int>(support::effort(3000, 10));
  for (const broadcast_policy policy : policies) {
    broadcast<std::string, near_wrap> b(3, {.policy = policy});
    std::vector<millrace::broadcast_subscriber<std::string, near_wrap>> subscribers;
    for (int i = 0; i < 4; ++i) subscribers.push_back(b.subscribe());
    std::array<std::atomic<int>, 4> read{};
    std::atomic<int> pushing{2};
    const auto reads = [&](std::size_t i) -> task<> {
      while (auto m = co_await subscribers[i].pop()) {
        if (m->size() > 30) ++read[i];
      }
    };
    const auto pushes = [&]() -> task<> {
      for (int n = 0; n < rounds; ++n) {
        const auto r = co_await b.emplace("a string that is long enough to be allocated");
        if (!r) std::terminate();
      }
      if (--pushing == 0) b.close();
    };
    millrace::thread_pool pool(2);
    millrace::scope all;
    for (std::size_t i = 0; i < 4; ++i) all.spawn(pool, reads(i));
    for (int p = 0; p < 2; ++p) all.spawn(pool, pushes());
    all.join().wait();
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK(static_cast<std::uint64_t>(read[i]) + subscribers[i].missed() ==
            static_cast<std::uint64_t>(2 * rounds));
    }
  }
}
