// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/branches.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/running_pipeline.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/pipeline/stage.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>

#include "support/accounted.hpp"
#include "support/catch.hpp"
#include "support/manual_executor.hpp"
#include "support/numbers.hpp"

using namespace millrace;
using support::numbers;

namespace {

auto into_vector(std::vector<int>& to) {
  return for_each([&to](int n) { to.push_back(n); });
}

}  // namespace

TEST_CASE("each branch of a tee gets every message") {
  std::vector<int> a;
  std::vector<int> b;
  std::vector<int> c;
  thread_pool pool(2);
  start(pool, from(numbers(200)) | tee(into_vector(a), map([](int n) { return -n; }) | into_vector(b),
                                       filter([](int n) { return n % 2 == 0; }) | buffer(1) | into_vector(c)))
      .wait();
  CHECK(a == numbers(200));
  CHECK(b.back() == -199);
  CHECK(c.size() == 100);
}

TEST_CASE("a tee copies for all branches but one") {
  bounded_queue<std::shared_ptr<int>> a(2);
  bounded_queue<std::shared_ptr<int>> b(2);
  support::manual_executor home;
  std::vector<std::shared_ptr<int>> one{std::make_shared<int>(1)};
  auto run = start(home, from(std::move(one)) | map([](std::shared_ptr<int>&& p) { return std::move(p); }) |
                             tee(into(a), into(b)));
  while (home.run_one()) {
  }
  run.wait();
  const auto first = a.try_pop();
  CHECK(first->use_count() == 2);
  CHECK(b.size_approx() == 1);
}

TEST_CASE("a message that cannot be copied for a branch is handed over") {
  struct fussy {
    int n;
    explicit fussy(int number) : n(number) {}
    fussy(fussy&&) noexcept = default;
    fussy(const fussy& other) : n(other.n) {
      if (n == 1) throw std::runtime_error("no copy");
    }
  };
  bounded_queue<fussy> a(4);
  bounded_queue<fussy> b(4);
  support::manual_executor home;
  std::vector<int> lost;
  auto run = start(home, from(numbers(3)) | map([](int n) { return fussy(n); }) | tee(into(a), into(b)),
                   [&](const undelivered& message) { lost.push_back(message.get_if<fussy>()->n); });
  while (home.run_one()) {
  }
  CHECK_THROWS_WITH(run.wait(), "no copy");
  CHECK(lost == std::vector<int>{1});
  CHECK(a.size_approx() == 1);
  CHECK(b.size_approx() == 1);
}

TEST_CASE("a choice that throws fails the pipeline, and its message is handed over") {
  for (const std::size_t workers : {1u, 2u}) {
    std::vector<int> lost;
    std::vector<int> a;
    std::vector<int> b;
    support::manual_executor home;
    auto run = start(home,
                     from(numbers(3)) | map([](int n) { return n; }, {.workers = workers, .ordered = true}) |
                         partition([](int n) { return n == 1 ? throw std::runtime_error("one") : true; },
                                   into_vector(a), into_vector(b)),
                     [&](const undelivered& message) { lost.push_back(*message.get_if<int>()); });
    while (home.run_one()) {
    }
    CHECK_THROWS_WITH(run.wait(), "one");
    CHECK(a == std::vector<int>{0});
    CHECK(b.empty());
    CHECK(lost.front() == 1);
  }
}

TEST_CASE("where one branch ends, all end, and nothing is lost") {
  support::ledger book;
  {
    bounded_queue<int> closed(1);
    closed.close();
    bounded_queue<support::accounted> rest(4);
    support::manual_executor home;
    auto run = start(home,
                     from(numbers(100)) | map([&](int n) { return support::accounted(book, n); }) |
                         partition([](const support::accounted& m) { return m.number() % 3 == 0; },
                                   map([](support::accounted& m) {
                                     m.settle();
                                     return 0;
                                   }) | into(closed),
                                   into(rest)),
                     [](const undelivered& message) {
                       if (auto* const m = message.get_if<support::accounted>()) m->settle();
                     });
    while (home.run_one()) {
      if (auto m = rest.try_pop()) m->settle();
    }
    run.wait();
    CHECK(rest.is_closed());
    while (auto m = rest.try_pop()) m->settle();
  }
  CHECK(book.made > 0);
  CHECK(book.is_balanced());
}

TEST_CASE("a partition gives each message to one of its branches") {
  std::vector<int> even;
  std::vector<int> odd;
  thread_pool pool(2);
  start(pool, from(numbers(300)) | map([](int n) { return n; }, {.workers = 2, .ordered = true}) |
                  partition([](int n) { return n % 2 == 0; }, into_vector(even), into_vector(odd)))
      .wait();
  CHECK(even.size() == 150);
  CHECK(std::is_sorted(even.begin(), even.end()));
  CHECK(odd.size() == 150);
  CHECK(std::all_of(odd.begin(), odd.end(), [](int n) { return n % 2 == 1; }));
}

TEST_CASE("by_key keeps the order of each key, with state for each worker") {
  struct tick {
    std::string symbol;
    int n;
    int seen = 0;
  };
  std::vector<tick> ticks;
  for (int i = 0; i < 2000; ++i) ticks.push_back({std::string(1, static_cast<char>('a' + i * i % 7)), i});
  std::map<std::string, int> count;
  for (const tick& t : ticks) ++count[t.symbol];
  thread_pool pool(2);
  auto run = start(pool, from(std::move(ticks)) | by_key([](const tick& t) { return t.symbol; }, 3) |
                             map([seen = std::map<std::string, int>()](tick& t) mutable {
                               t.seen = ++seen[t.symbol];
                               return std::move(t);
                             }) |
                             collect());
  const std::vector<tick> given = run.wait();
  REQUIRE(given.size() == 2000);
  std::map<std::string, tick> last;
  bool in_order = true;
  for (const tick& t : given) {
    in_order &= last[t.symbol].n <= t.n && last[t.symbol].seen + 1 == t.seen;
    last[t.symbol] = t;
  }
  CHECK(in_order);
  for (const auto& [symbol, t] : last) CHECK(t.seen == count[symbol]);
}

TEST_CASE("behind by_key, coroutines run for each shard, and stages that see all have a queue before them") {
  thread_pool pool(2);
  const auto key = [](int n) { return n; };
  const auto later = [](int n) -> task<int> { co_return n + 1; };
  auto sum = start(pool, from(numbers(100)) | by_key(key, 4) | map(later) | by_key(key, 2) | map(later) |
                             fold(0, [](int& so_far, int n) { so_far += n; }));
  CHECK(sum.wait() == 100 * 99 / 2 + 200);
  bounded_queue<int> out(100);
  start(pool, from(numbers(100)) | by_key(key, 3) | into(out)).wait();
  CHECK(out.size_approx() == 100);
}

TEST_CASE("by_key is refused where it could not work") {
  const auto key = [](int n) { return n; };
  CHECK_THROWS_WITH(from(numbers(1)) | by_key(key, 0),
                    "millrace: by_key #1 with 0 shards would never get a message: ask for 1 or more");
  const auto stage = [] { return map([one = std::make_unique<int>(1)](int n) { return n + *one; }); };
  CHECK_THROWS_WITH(
      from(numbers(1)) | by_key(key, 2) | stage() | collect(),
      "millrace: stages behind by_key have a copy of their functions for each shard, so those must be "
      "ones that can be copied");
  thread_pool pool(1);
  CHECK(start(pool, from(numbers(2)) | by_key(key, 1) | stage() | collect()).wait() ==
        std::vector<int>{1, 2});
}

TEST_CASE("by_key that is stopped, or fails, loses nothing") {
  for (const bool fails : {true, false}) {
    support::ledger book;
    {
      bounded_queue<support::accounted> out(3);
      support::manual_executor home;
      auto run = start(home,
                       from(numbers(300)) | map([&](int n) { return support::accounted(book, n); }) |
                           by_key([](const support::accounted& m) { return m.number(); }, 2) |
                           map([=](support::accounted& m) {
                             if (fails && m.number() == 4) throw std::runtime_error("four");
                             return support::accounted(std::move(m));
                           }) |
                           into(out),
                       [](const undelivered& message) { message.get_if<support::accounted>()->settle(); });
      for (int i = 0; i < 10 && home.run_one(); ++i) {
      }
      if (!fails) run.stop();
      while (home.run_one()) {
        while (auto m = out.try_pop()) m->settle();
      }
      if (fails) CHECK_THROWS_WITH(run.wait(), "four");
      while (auto m = out.try_pop()) m->settle();
    }
    CHECK(book.made > 0);
    CHECK(book.is_balanced());
  }
}

TEST_CASE("pipelines merge, and end when all of them have") {
  bounded_queue<int> late(4);
  thread_pool pool(2);
  auto run =
      start(pool, merge(from(numbers(100)) | map([](int n) { return n; }, {.workers = 2, .ordered = true}),
                        from(late), from(std::vector<int>{1000}) | buffer(1)) |
                      map([](int n) { return n + 1; }) | collect());
  REQUIRE(late.push(500).wait());
  CHECK(run.finished().within(std::chrono::milliseconds(1)).wait() == op_status::timeout);
  late.close();
  std::vector<int> given = run.wait();
  CHECK(given.size() == 102);
  given.erase(std::remove_if(given.begin(), given.end(), [](int n) { return n > 100; }), given.end());
  CHECK(std::is_sorted(given.begin(), given.end()));
}

TEST_CASE("a failure in one of the merged pipelines ends all of them") {
  bounded_queue<int> open(4);
  thread_pool pool(2);
  auto run = start(
      pool, merge(from(open), from(numbers(1)) | map([](int) -> int { throw std::runtime_error("no"); })) |
                collect());
  CHECK_THROWS_WITH(run.wait(), "no");
  CHECK_FALSE(open.is_closed());
}
