// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/subscribe_on.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <millrace/task/run_loop.hpp>
#include <millrace/task/thread_pool.hpp>
#include <millrace/wait/work_item.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/effort.hpp"

namespace {

using millrace::callback_registry;
using millrace::op_status;
using millrace::overflow_policy;
using millrace::queued_subscription;
using millrace::subscribe_on;
using millrace::subscription;
using registry = callback_registry<void(int)>;

/// Runs all that has been posted to the loop.
void run_posted(millrace::run_loop& loop) {
  loop.finish();
  loop.run();
}

}  // namespace

TEST_CASE("a callback on an executor gets every message there, in order") {
  callback_registry<void(const std::string&)> r;
  millrace::run_loop loop;
  std::vector<std::string> seen;
  queued_subscription s = subscribe_on(r, loop, [&](std::string m) { seen.push_back(std::move(m)); });
  r.publish("one");
  r.publish("two");
  CHECK(seen.empty());
  run_posted(loop);
  CHECK(seen == std::vector<std::string>{"one", "two"});
  r.publish("three");
  CHECK(seen.size() == 2);
  run_posted(loop);
  CHECK(seen.size() == 3);
  CHECK(s.missed() == 0);
  CHECK(s.lag() == 0);
  CHECK(s.disconnect_and_wait());
  r.publish("four");
  run_posted(loop);
  CHECK(seen.size() == 3);
  CHECK(s.missed() == 0);
}

TEST_CASE("several arguments are copied, and none need be") {
  millrace::run_loop loop;
  callback_registry<void(const std::string&, int&)> two;
  callback_registry<void()> none;
  std::string all;
  int n = 1;
  auto a = subscribe_on(two, loop, [&](const std::string& m, int k) { all += m + std::to_string(k); });
  auto b = subscribe_on(none, loop, [&] { all += '!'; });
  two.publish("x", n);
  n = 2;
  none.publish();
  run_posted(loop);
  CHECK(all == "x1!");
}

TEST_CASE("a callback that lags misses messages, as its overflow policy says, and says how many") {
  registry r;
  millrace::run_loop loop;
  std::vector<int> seen;
  const auto f = [&](int n) { seen.push_back(n); };
  SECTION("the oldest, if nothing is said") {
    auto s = subscribe_on(r, loop, f, {.capacity = 3});
    for (int n = 0; n < 8; ++n) r.publish(n);
    CHECK(s.lag() == 3);
    CHECK(s.missed() == 5);
    run_posted(loop);
    CHECK(seen == std::vector<int>{5, 6, 7});
    CHECK(s.lag() == 0);
    CHECK(s.missed() == 5);
  }
  SECTION("the newest") {
    auto s = subscribe_on(r, loop, f, {.capacity = 3, .overflow = overflow_policy::reject});
    for (int n = 0; n < 8; ++n) r.publish(n);
    CHECK(s.lag() == 3);
    CHECK(s.missed() == 5);
    run_posted(loop);
    CHECK(seen == std::vector<int>{0, 1, 2});
    CHECK(s.missed() == 5);
  }
  SECTION("none, where publishers wait") {
    millrace::thread_pool pool(1);
    {
      auto s = subscribe_on(r, pool, f, {.capacity = 1, .overflow = overflow_policy::wait});
      std::thread publisher([&] {
        for (int n = 0; n < 1000; ++n) r.publish(n);
      });
      publisher.join();
      while (s.lag() != 0) std::this_thread::yield();
      CHECK(s.disconnect_and_wait());
      CHECK(s.missed() == 0);
    }
    CHECK(seen.size() == 1000);
    CHECK(seen.back() == 999);
  }
}

TEST_CASE("who disconnects lets a publisher that waits for room go on") {
  registry r;
  millrace::run_loop loop;  // nobody runs it
  std::atomic<bool> is_waiting{false};
  bool is_called = false;
  auto s = subscribe_on(r, loop, [](int) {}, {.capacity = 2, .overflow = overflow_policy::wait});
  subscription after = r.subscribe([&](int n) { is_called |= n == 3; });
  subscription before = r.subscribe([&](int n) { is_waiting = n == 3; }, {.priority = 1});
  std::thread publisher([&] {
    for (int n = 1; n <= 3; ++n) r.publish(n);
  });
  while (!is_waiting.load()) std::this_thread::yield();
  s.disconnect();
  publisher.join();
  run_posted(loop);
  CHECK(s.disconnect_and_wait());
  CHECK(is_called);
  CHECK(s.missed() >= 2);  // the third may have come after the disconnection
}

TEST_CASE("what is queued at a disconnection is missed, and destroyed at once") {
  callback_registry<void(const std::shared_ptr<int>&)> r;
  millrace::run_loop loop;
  const auto message = std::make_shared<int>(0);
  int calls = 0;
  auto s = subscribe_on(r, loop, [&](const std::shared_ptr<int>&) { ++calls; });
  SECTION("queued before the callback was there") {
    for (int n = 0; n < 5; ++n) r.publish(message);
    s.disconnect();
    CHECK(message.use_count() == 1);
    CHECK(s.missed() == 5);
    run_posted(loop);
    CHECK(calls == 0);
  }
  SECTION("one that the executor already has is given to it") {
    run_posted(loop);
    for (int n = 0; n < 5; ++n) r.publish(message);
    CHECK(s.lag() == 4);
    s.disconnect();
    CHECK(message.use_count() == 2);
    CHECK(s.missed() == 4);
    run_posted(loop);
    CHECK(calls == 1);
  }
  CHECK(s.lag() == 0);
  CHECK(s.disconnect_and_wait());
  CHECK(message.use_count() == 1);
}

TEST_CASE("who is told that it is closed finds all counted that was missed") {
  callback_registry<void(const std::shared_ptr<int>&)> r;
  millrace::run_loop loop;
  std::optional<std::uint64_t> missed_when_closed;
  auto s = subscribe_on(r, loop, [](const std::shared_ptr<int>&) {});
  s.closed().start([&](op_status) { missed_when_closed = s.missed(); });
  for (int n = 0; n < 3; ++n) {
    r.publish(std::shared_ptr<int>(new int(n), [&](const int* gone) {
      delete gone;
      for (int i = 0; i < 2; ++i) run_posted(loop);  // the executor is quick
    }));
  }
  s.disconnect();
  for (int i = 0; i < 2; ++i) run_posted(loop);
  CHECK(missed_when_closed == 3u);
}

TEST_CASE("what is queued when the registry is destroyed is still given to the callback; then it is closed") {
  auto r = std::make_optional<registry>();
  millrace::run_loop loop;
  int sum = 0;
  auto witness = std::make_shared<int>(0);
  const std::weak_ptr<int> watch = witness;
  auto s = subscribe_on(*r, loop, [&, kept = std::move(witness)](int n) { sum += n + *kept; });
  r->publish(1);
  r->publish(2);
  r.reset();
  bool is_closed = false;
  s.closed().start([&](op_status) { is_closed = true; });
  CHECK_FALSE(is_closed);
  run_posted(loop);
  CHECK(sum == 3);
  CHECK(s.missed() == 0);
  run_posted(loop);
  CHECK(is_closed);
  CHECK(watch.expired());
}

TEST_CASE("a callback on an executor may end its own subscription") {
  registry r;
  millrace::run_loop loop;
  std::optional<queued_subscription> s;
  int calls = 0;
  bool waited = true;
  const auto publish = [&] {
    for (int n = 0; n < 3; ++n) r.publish(n);
    run_posted(loop);
  };
  SECTION("disconnect_and_wait cannot wait for its caller, and says so") {
    s.emplace(subscribe_on(r, loop, [&](int) { ++calls, waited = s->disconnect_and_wait(); }));
    publish();
    CHECK_FALSE(waited);
    CHECK(s->missed() == 2);
  }
  SECTION("destroy") {
    s.emplace(subscribe_on(r, loop, [&, state = std::make_unique<int>(7)](int) {
      ++calls;
      s.reset();
      CHECK(*state == 7);  // the callable lives until it returns
    }));
    publish();
  }
  SECTION("own it") {
    struct owner {
      queued_subscription s;
    };
    auto it = std::make_shared<owner>();
    const std::weak_ptr<owner> watch = it;
    auto& mine = it->s;
    mine = subscribe_on(r, loop, [&calls, it](int) { ++calls; });
    it.reset();
    r.publish(1);
    run_posted(loop);
    CHECK_FALSE(watch.expired());
    CHECK(mine.disconnect_and_wait());
    CHECK(watch.expired());
  }
  CHECK(calls == 1);
}

TEST_CASE("a filter is asked by the publisher, a lifetime is held by the executor") {
  registry r;
  millrace::run_loop loop;
  std::vector<int> seen;
  std::string order;
  subscription plain = r.subscribe([&](int) { order += 'p'; });
  auto owner = std::make_shared<int>(0);
  auto s = subscribe_on(r, loop, [&](int n) { seen.push_back(n); },
                        {.priority = 1,
                         .filter =
                             [&](int n) {
                               order += 'f';
                               return n % 2 == 0;
                             },
                         .lifetime = owner});
  for (int n = 0; n < 4; ++n) r.publish(n);
  CHECK(order == "fpfpfpfp");
  run_posted(loop);
  CHECK(seen == std::vector<int>{0, 2});
  for (int n = 0; n < 8; ++n) r.publish(n);
  owner.reset();
  run_posted(loop);
  CHECK(seen.size() == 2);
  CHECK(s.missed() == 4);
  CHECK(s.disconnect_and_wait());
}

TEST_CASE("what a filter or a copy throws is the registry's; nothing is queued then") {
  struct fragile {
    explicit fragile(int n) : value(n) {}
    fragile(const fragile& other) : value(other.value) {
      if (value < 0) throw std::runtime_error("copy");
    }
    fragile(fragile&& other) noexcept : value(other.value) {}
    int value;
  };
  callback_registry<void(const fragile&)> r;
  millrace::run_loop loop;
  int sum = 0;
  int calls = 0;
  auto s = subscribe_on(r, loop, [&](const fragile& m) { sum += m.value; }, {.filter = [](const fragile& m) {
                          if (m.value == 0) throw std::runtime_error("filter");
                          return true;
                        }});
  subscription other = r.subscribe([&](const fragile&) { ++calls; });
  CHECK_THROWS_WITH(r.publish(fragile(-1)), "copy");
  CHECK_THROWS_WITH(r.publish(fragile(0)), "filter");
  r.publish(fragile(5));
  run_posted(loop);
  CHECK(calls == 3);
  CHECK(sum == 5);
  CHECK(s.missed() == 0);
}

TEST_CASE("topics and buses can be subscribed to on an executor, with what they retain") {
  millrace::run_loop loop;
  std::vector<std::string> seen;
  const auto f = [&](const std::string& m) { seen.push_back(m); };
  millrace::message_bus bus;
  auto t = bus.topic<std::string>("a/b", {.retain = true});
  t.publish("retained");
  auto one = subscribe_on(t, loop, f, {.capacity = 1});
  auto all = subscribe_on<std::string>(bus, "a/*", loop, f);
  t.publish("next");
  CHECK(one.missed() == 1);
  CHECK(all.missed() == 0);
  run_posted(loop);
  CHECK(seen == std::vector<std::string>{"next", "retained", "next"});
  CHECK(one.disconnect_and_wait());
  t.publish("last");
  run_posted(loop);
  CHECK(seen.size() == 4);
}

TEST_CASE("a queued subscription is moved, forgets what it ended, and can be a plain one") {
  registry r;
  millrace::run_loop loop;
  int calls = 0;
  queued_subscription none;
  CHECK(none.missed() == 0);
  CHECK(none.lag() == 0);
  CHECK(none.disconnect_and_wait());
  queued_subscription a = subscribe_on(r, loop, [&](int) { calls += 1; }, {.capacity = 1});
  queued_subscription b = subscribe_on(r, loop, [&](int) { calls += 100; });
  for (int n = 0; n < 3; ++n) r.publish(n);
  run_posted(loop);
  CHECK(calls == 301);
  b = std::move(a);
  CHECK(a.missed() == 0);  // NOLINT: what is left of it
  CHECK(b.missed() == 2);
  r.publish(1);
  run_posted(loop);
  CHECK(calls == 302);
  std::vector<subscription> all;
  all.push_back(std::move(b));
  CHECK(b.missed() == 0);  // NOLINT
  r.publish(1);
  run_posted(loop);
  CHECK(calls == 303);
  CHECK_FALSE(all[0].block());
  CHECK(all[0].disconnect_and_wait());
}

TEST_CASE("a queue or a concurrency of nothing is refused, and nothing is subscribed where memory is short") {
  registry r;
  millrace::run_loop loop;
  CHECK_THROWS_AS(subscribe_on(r, loop, [](int) {}, {.capacity = 0}), std::invalid_argument);
  CHECK_THROWS_AS(subscribe_on(r, loop, [](int) {}, {.concurrency = 0}), std::invalid_argument);
  if (!support::counts_allocations) return;
  int calls = 0;
  queued_subscription s;
  r.publish(0);
  std::size_t failed = 0;
  for (std::size_t k = 0;; ++k) {
    try {
      const support::failing_allocations failing(k);
      s = subscribe_on(r, loop, [&](int) { ++calls; });
      break;
    } catch (const std::bad_alloc&) {
      ++failed;
    }
  }
  CHECK(failed >= 5);
  r.publish(1);
  run_posted(loop);
  CHECK(calls == 1);
}

TEST_CASE("a message allocates nothing on its way to an executor") {
  if (!support::counts_allocations) return;
  registry r;
  millrace::run_loop loop;
  int sum = 0;
  auto s = subscribe_on(r, loop, [&](int n) { sum += n; }, {.capacity = 8});
  r.publish(1);
  run_posted(loop);
  const std::size_t before = support::allocations();
  for (int i = 0; i < 1000; ++i) {
    r.publish(1);
    if (i % 16 == 0) run_posted(loop);
  }
  CHECK(support::allocations() == before);
  run_posted(loop);
  CHECK(static_cast<std::uint64_t>(sum) + s.missed() == 1001);
  CHECK(s.missed() > 0);
}

TEST_CASE("every message is given to the callback, or missed, while others publish, and one disconnects") {
  millrace::thread_pool pool(2);
  std::size_t wrong = 0;
  std::size_t late = 0;
  const std::size_t rounds = support::effort(400, 10);
  for (std::size_t round = 0; round < rounds; ++round) {
    registry r;
    std::atomic<std::uint64_t> queued{0};  // what the filter let through
    std::atomic<std::uint64_t> calls{0};
    std::atomic<std::uint64_t> late_calls{0};
    std::atomic<bool> is_over{false};
    const overflow_policy overflow = static_cast<overflow_policy>(round % 3);
    const std::size_t concurrency = 1 + round % 2;
    int last[2] = {-1, -1};
    std::atomic<std::size_t> disordered{0};
    auto s = subscribe_on(
        r, pool,
        [&](int n) {
          if (is_over.load()) late_calls.fetch_add(1);
          if (concurrency == 1) {
            int& before = last[n % 2];
            if (n / 2 <= before) disordered.fetch_add(1);
            before = n / 2;
          }
          calls.fetch_add(1);
        },
        {.capacity = 1 + round % 5, .overflow = overflow, .concurrency = concurrency, .filter = [&](int) {
           if (is_over.load()) late_calls.fetch_add(1);
           queued.fetch_add(1);
           return true;
         }});
    std::vector<std::thread> publishers;
    for (int k = 0; k < 2; ++k) {
      publishers.emplace_back([&, k] {
        for (int n = 0; n < 200; ++n) r.publish(2 * n + k);
      });
    }
    if (round % 4 != 0) {
      while (queued.load() < round % 300) std::this_thread::yield();
      if (round % 4 == 1) s.disconnect();
    } else {
      for (std::thread& one : publishers) one.join();
      publishers.clear();
    }
    wrong += !s.disconnect_and_wait();
    is_over = true;
    wrong += s.missed() + calls.load() != queued.load();
    wrong += s.lag() != 0;
    for (std::thread& one : publishers) one.join();
    wrong += s.missed() + calls.load() != queued.load();
    late += late_calls.load() + disordered.load();
  }
  CHECK(wrong == 0);
  CHECK(late == 0);
}

TEST_CASE(
    "a lifetime that expires closes the subscription, even while it is being made; all is counted then") {
  millrace::thread_pool pool(2);
  millrace::topic<int> t("t", {.retain = true});
  t.publish(0);
  std::size_t wrong = 0;
  for (std::size_t round = 0; round < support::effort(1000, 10); ++round) {
    auto owner = std::make_shared<int>(0);
    const std::size_t lasts = round % 3;
    std::atomic<std::uint64_t> queued{0};
    std::atomic<std::uint64_t> calls{0};
    if (lasts == 0) owner.reset();
    auto s = subscribe_on(t, pool, [&](int) { calls.fetch_add(1); },
                          {.capacity = 4,
                           .filter =
                               [&](int) {
                                 queued.fetch_add(1);
                                 return true;
                               },
                           .lifetime = std::weak_ptr<int>(owner)});
    for (std::size_t n = 0; n < lasts * 8; ++n) {
      t.publish(1);
      if (n == 3) owner.reset();
    }
    if (lasts != 0) t.publish(2);  // so that it finds out
    wrong += s.closed().wait() != op_status::ok;
    wrong += s.missed() + calls.load() != queued.load();
  }
  CHECK(wrong == 0);
}

TEST_CASE("a callback that is disconnected before its subscription is complete is asked for nothing more") {
  // Another thread has run what was posted when post() returns.
  struct hasty_executor {
    void post(millrace::work_item& item) noexcept {
      std::thread([&] { item.run(&item); }).join();
    }
  } hasty;
  millrace::topic<int> t("t", {.retain = true});
  t.publish(0);
  int asked = 0;
  auto s = subscribe_on(t, hasty, [](int) {},
                        {.filter = [&](int) { return ++asked != 0; }, .lifetime = std::weak_ptr<int>()});
  CHECK(asked == 1);
  CHECK(s.missed() == 1);
  t.publish(1);
  CHECK(asked == 1);
  CHECK(s.disconnect_and_wait());
}

TEST_CASE("a registry goes while what it published is being given to callbacks") {
  millrace::thread_pool pool(2);
  std::size_t wrong = 0;
  for (std::size_t round = 0; round < support::effort(1000, 10); ++round) {
    std::atomic<std::uint64_t> calls{0};
    auto r = std::make_unique<registry>();
    auto s = subscribe_on(*r, pool, [&](int) { calls.fetch_add(1); }, {.capacity = 8});
    std::thread publisher([&] {
      for (int n = 0; n < 20; ++n) r->publish(n);
      r.reset();
    });
    const bool disconnects = round % 2 == 0;
    if (disconnects) {
      wrong += !s.disconnect_and_wait();
      publisher.join();
      wrong += s.missed() + calls.load() > 20;
    } else {
      publisher.join();
      wrong += s.closed().wait() != op_status::ok;
      wrong += s.missed() + calls.load() != 20;
    }
  }
  CHECK(wrong == 0);
}
