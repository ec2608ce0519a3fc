// SPDX-License-Identifier: BSL-1.0
#include <millrace/task/join_counter.hpp>

#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include <millrace/detail/atomic.hpp>
#include <millrace/wait/thread_waiter.hpp>

#include "support/catch.hpp"
#include "support/last_words.hpp"

namespace {

using traits = millrace::default_traits;
using join_counter = millrace::detail::join_counter<traits>;

struct counting_waiter : millrace::detail::waiter<traits> {
  int woken = 0;
  counting_waiter() noexcept {
    contest = nullptr;
    run = [](millrace::work_item* self) noexcept { ++static_cast<counting_waiter*>(self)->woken; };
  }
};

/// What a join_step asks of its owner.
struct owner {
  using traits = ::traits;
  join_counter count;
  int joins = 0;
  join_counter& counter() noexcept { return count; }
  void joined() {
    if (++joins == 2) throw std::runtime_error("second");
  }
};

}  // namespace

TEST_CASE("nothing in progress is nothing to wait for") {
  join_counter c;
  counting_waiter w;
  CHECK(c.idle());
  CHECK_FALSE(c.park(w));
  c.begin();
  CHECK_FALSE(c.idle());
  c.end();
  CHECK(c.idle());
  CHECK(w.woken == 0);
}

TEST_CASE("the last end wakes the waiter, again and again") {
  join_counter c;
  for (int lap = 0; lap < 3; ++lap) {
    counting_waiter w;
    c.begin();
    c.begin();
    CHECK(c.park(w));
    c.begin();
    c.end();
    c.end();
    CHECK(w.woken == 0);
    c.end();
    CHECK(w.woken == 1);
    CHECK(c.idle());
  }
}

TEST_CASE("a waiter that is withdrawn is not woken, and makes room for another") {
  join_counter c;
  counting_waiter first;
  counting_waiter second;
  c.begin();
  CHECK_FALSE(c.withdraw());
  CHECK(c.park(first));
  CHECK(c.withdraw());
  CHECK_FALSE(c.withdraw());
  CHECK(c.park(second));
  c.end();
  CHECK(first.woken == 0);
  CHECK(second.woken == 1);
}

TEST_CASE("a join tells its owner, which may throw") {
  using step = millrace::detail::join_step<owner>;
  using join = millrace::operation<step>;
  owner o;
  CHECK(join(std::in_place_type<step>, o).wait() == millrace::op_status::ok);
  CHECK(o.joins == 1);
  CHECK_THROWS_WITH(join(std::in_place_type<step>, o).wait(), "second");
}

TEST_CASE("what ended threads wrote is there after the wait, and the counter may go at once") {
  constexpr int rounds = 1000;
  int wrong = 0;
  for (int round = 0; round < rounds; ++round) {
    auto c = std::make_unique<join_counter>();
    int written[2] = {};
    std::vector<std::thread> threads;
    for (int& mine : written) {
      c->begin();
      threads.emplace_back([&counter = *c, &mine] {
        mine = 1;
        counter.end();
      });
    }
    millrace::detail::thread_waiter<millrace::detail::waiter<traits>, traits> sleeper;
    sleeper.contest = nullptr;
    if (c->park(sleeper)) sleeper.block();
    if (written[0] + written[1] != 2) ++wrong;
    c.reset();
    for (auto& t : threads) t.join();
  }
  CHECK(wrong == 0);
}

#ifndef NDEBUG
TEST_CASE("a second waiter is refused in debug builds") {
  const auto said = support::last_words([] {
    join_counter c;
    counting_waiter first;
    counting_waiter second;
    c.begin();
    (void)c.park(first);
    (void)c.park(second);
  });
  REQUIRE(said);
  CHECK_THAT(*said, Catch::Matchers::Contains("two waiters wait for the same work"));
}
#endif
