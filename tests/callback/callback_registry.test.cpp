// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/callback_registry.hpp>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <millrace/task/run_loop.hpp>
#include <millrace/task/scope.hpp>
#include <millrace/task/task.hpp>
#include <millrace/wait/after.hpp>
#include <millrace/wait/select.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/effort.hpp"
#include "support/last_words.hpp"

namespace {

using millrace::callback_registry;
using millrace::op_status;
using millrace::subscription;
using registry = callback_registry<void(int)>;

/// Lets other threads see how far one is.
void await(const std::atomic<bool>& flag) {
  while (!flag.load()) std::this_thread::yield();
}

}  // namespace

TEST_CASE("callbacks get what is published, as long as their subscriptions live") {
  callback_registry<void(const std::string&, int&)> r;
  std::vector<std::string> seen;
  int answers = 0;
  r.publish("nobody", answers);
  {
    subscription first = r.subscribe([&](const std::string& m, int& n) { seen.push_back(m), ++n; });
    r.publish("one", answers);
    subscription second = r.subscribe([&](std::string m, int& n) { return seen.push_back(m + "!"), ++n; });
    r.publish("two", answers);
    first.disconnect();
    first.disconnect();
    r.publish("three", answers);
    CHECK(first.disconnect_and_wait());
  }
  r.publish("four", answers);
  CHECK(seen == std::vector<std::string>{"one", "two", "two!", "three!"});
  CHECK(answers == 4);
}

TEST_CASE("each of several callbacks gets a copy of its own where it asks for a value") {
  callback_registry<void(std::string)> r;
  std::string all;
  subscription a = r.subscribe([&](std::string m) { all += std::exchange(m, ""); });
  subscription b = r.subscribe([&](std::string m) { all += std::move(m); });
  r.publish("x");
  CHECK(all == "xx");
}

TEST_CASE("a callback may be move-only, and keeps its state") {
  registry r;
  int last = 0;
  subscription s = r.subscribe([&last, count = std::make_unique<int>(0)](int n) { last = *count += n; });
  r.publish(2);
  r.publish(3);
  CHECK(last == 5);
}

TEST_CASE("higher priorities come first, the same in the order of subscription") {
  registry r;
  std::string order;
  std::vector<subscription> all;
  const auto add = [&](char name, int priority) {
    all.push_back(r.subscribe([&order, name](int) { order += name; }, {.priority = priority}));
  };
  add('e', 0);
  add('c', 1);
  add('f', 0);
  add('a', 7);
  add('g', -1);
  add('d', 1);
  add('b', 7);
  r.publish(0);
  CHECK(order == "abcdefg");
  order.clear();
  all.erase(all.begin() + 4);  // 'g' was the last
  add('g', 0);
  add('h', -3);
  r.publish(0);
  CHECK(order == "abcdefgh");
}

TEST_CASE("a one-shot is called once, and its subscription is closed then") {
  registry r;
  int calls = 0;
  subscription s = r.subscribe(
      [&](int n) {
        ++calls;
        if (n != 0) r.publish(n - 1);
      },
      {.one_shot = true});
  r.publish(3);
  r.publish(0);
  CHECK(calls == 1);
  CHECK(s.closed().wait() == op_status::ok);
  CHECK_FALSE(s.block());
}

TEST_CASE("a filter decides whether a callback is called; a one-shot waits for it") {
  registry r;
  int sum = 0;
  int once = 0;
  subscription a = r.subscribe([&](int n) { sum += n; }, {.filter = [](int n) { return n % 2 == 0; }});
  subscription b = r.subscribe(
      [&](int n) { once = n; },
      {.one_shot = true, .filter = [least = std::make_unique<int>(3)](int n) { return n > *least; }});
  for (int n = 1; n <= 6; ++n) r.publish(n);
  CHECK(sum == 12);
  CHECK(once == 4);
}

TEST_CASE("a lifetime is held during the call, and disconnects the callback once it has expired") {
  registry r;
  auto owner = std::make_shared<int>(0);
  const std::weak_ptr<int> watch = owner;
  bool held = false;
  subscription s = r.subscribe(
      [&](int) {
        owner.reset();
        held = !watch.expired();
      },
      {.lifetime = watch});
  subscription never = r.subscribe([](int) { FAIL("it has expired"); }, {.lifetime = std::weak_ptr<int>()});
  r.publish(0);
  CHECK(held);
  CHECK(watch.expired());
  held = false;
  r.publish(0);
  CHECK_FALSE(held);
  CHECK(s.closed().wait() == op_status::ok);
}

TEST_CASE("a blocked callback is not called until it is unblocked") {
  registry r;
  int calls = 0;
  subscription s = r.subscribe([&](int) { ++calls; });
  CHECK(s.block());
  CHECK(s.block());
  r.publish(0);
  CHECK(calls == 0);
  CHECK(s.unblock());
  CHECK(s.unblock());
  r.publish(0);
  CHECK(calls == 1);
  CHECK(s.block());
  s.disconnect();
  CHECK_FALSE(s.unblock());
  r.publish(0);
  CHECK(calls == 1);
}

TEST_CASE("exceptions keep nobody from being called") {
  int calls = 0;
  const auto fill = [&](registry& r, std::vector<subscription>& all) {
    for (int i = 0; i < 4; ++i) {
      all.push_back(r.subscribe([&calls, i](int) {
        ++calls;
        if (i % 2 == 1) throw std::runtime_error(std::to_string(i));
      }));
    }
  };
  std::vector<subscription> all;
  SECTION("the first one is rethrown") {
    registry r;
    fill(r, all);
    CHECK_THROWS_WITH(r.publish(0), "1");
    CHECK(calls == 4);
    CHECK_THROWS_WITH(r.publish(0), "1");
    CHECK(calls == 8);
  }
  SECTION("all are collected") {
    registry r({.errors = millrace::callback_errors::collect});
    fill(r, all);
    std::vector<std::string> seen;
    try {
      r.publish(0);
    } catch (const millrace::callbacks_failed& failed) {
      for (const std::exception_ptr& e : failed.errors()) {
        try {
          std::rethrow_exception(e);
        } catch (const std::exception& one) {
          seen.push_back(one.what());
        }
      }
    }
    CHECK(seen == std::vector<std::string>{"1", "3"});
    CHECK(calls == 4);
  }
  SECTION("or handed to a sink") {
    int sunk = 0;
    registry r({.sink = [&](const std::exception_ptr& e) { sunk += e != nullptr; }});
    fill(r, all);
    r.publish(0);
    CHECK(sunk == 2);
    CHECK(calls == 4);
  }
  SECTION("from inside another publication, too") {
    registry r;
    registry outer;
    fill(r, all);
    int later = 0;
    subscription a = outer.subscribe([&](int n) { r.publish(n); });
    subscription b = outer.subscribe([&](int) { ++later; });
    CHECK_THROWS_WITH(outer.publish(0), "1");
    CHECK(later == 1);
    CHECK(all[0].disconnect_and_wait());  // it is not inside any more
  }
}

TEST_CASE(
    "who is disconnected during a publication is not called later in it, who comes is called from the next") {
  registry r;
  std::string order;
  std::vector<subscription> late;
  std::optional<subscription> b;
  subscription a = r.subscribe([&](int n) {
    order += 'a';
    if (n != 0) return;
    b->disconnect();
    for (int i = 0; i < 40; ++i) late.push_back(r.subscribe([&](int) { order += 'x'; }));
  });
  b.emplace(r.subscribe([&](int) { order += 'b'; }));
  subscription c = r.subscribe([&](int) { order += 'c'; });
  r.publish(0);
  CHECK(order == "ac");
  order.clear();
  r.publish(1);
  CHECK(order == "ac" + std::string(40, 'x'));
}

TEST_CASE("a callback may end its own subscription") {
  registry r;
  std::optional<subscription> s;
  int calls = 0;
  int later = 0;
  bool waited = true;
  SECTION("disconnect, twice") {
    s.emplace(r.subscribe([&](int) { ++calls, s->disconnect(), s->disconnect(); }));
  }
  SECTION("disconnect_and_wait cannot wait for its caller, and says so") {
    s.emplace(r.subscribe([&](int) { ++calls, waited = s->disconnect_and_wait(); }));
    r.publish(0);
    CHECK_FALSE(waited);
  }
  SECTION("destroy") {
    s.emplace(r.subscribe([&, state = std::make_unique<int>(7)](int) {
      ++calls;
      s.reset();
      CHECK(*state == 7);  // the callable lives until it returns
    }));
  }
  SECTION("destroy, inside a publication of its own") {
    s.emplace(r.subscribe([&, state = std::make_unique<int>(7)](int n) {
      ++calls;
      if (n == 0) return s.reset();
      r.publish(0);
      --calls;
      CHECK(*state == 7);
    }));
    r.publish(1);
  }
  subscription other = r.subscribe([&](int) { ++later; });
  r.publish(0);
  r.publish(0);
  CHECK(calls == 1);
  CHECK(later == 2);
}

TEST_CASE("a handle removed twice inside a callback costs nobody else its place") {
  registry r;
  std::string order;
  std::optional<subscription> b;
  subscription a = r.subscribe([&](int) {
    order += 'a';
    if (b) {
      b->disconnect();
      b->disconnect();
      b.reset();
    }
  });
  b.emplace(r.subscribe([&](int) { order += 'b'; }));
  subscription c = r.subscribe([&](int) { order += 'c'; });
  subscription d = r.subscribe([&](int) { order += 'd'; });
  r.publish(0);
  r.publish(0);
  CHECK(order == "acdacd");
}

TEST_CASE("publishing inside callbacks goes as deep as one likes") {
  registry r;
  int calls = 0;
  subscription a = r.subscribe([&](int n) {
    ++calls;
    if (n != 0) r.publish(n - 1);
  });
  subscription b = r.subscribe([&](int) { ++calls; });
  r.publish(100);
  CHECK(calls == 202);
  CHECK(a.disconnect_and_wait());
}

TEST_CASE("a registry may be destroyed inside its own callback, and by its subscriptions' end") {
  auto r = std::make_optional<registry>();
  auto witness = std::make_shared<int>(0);
  const std::weak_ptr<int> watch = witness;
  int calls = 0;
  int later = 0;
  subscription a = r->subscribe([&, kept = std::move(witness)](int) {
    ++calls;
    r.reset();
    CHECK(kept != nullptr);
  });
  subscription b = r->subscribe([&](int) { ++later; });
  r->publish(0);
  CHECK(calls == 1);
  CHECK(later == 0);
  CHECK(watch.expired());  // the callable went as soon as it had returned
  CHECK(a.closed().wait() == op_status::ok);
  CHECK(b.disconnect_and_wait());
}

TEST_CASE("a program may end inside a callback") {
  const auto said = support::last_words([] {
    struct farewell {
      ~farewell() {
        std::fputs("ended", stderr);
        std::abort();
      }
    };
    alarm(60);  // for what hangs
    static const farewell last;
    static registry r;
    static const subscription s = r.subscribe([](int) { std::exit(1); });
    r.publish(1);
  });
  CHECK(said == "ended");
}

TEST_CASE("a subscription may outlive its registry") {
  subscription s;
  auto witness = std::make_shared<int>(0);
  const std::weak_ptr<int> watch = witness;
  {
    registry r;
    s = r.subscribe([kept = std::move(witness)](int) {});
  }
  CHECK(watch.expired());
  CHECK_FALSE(s.block());
  CHECK(s.closed().wait() == op_status::ok);
  s.disconnect();
  CHECK(s.disconnect_and_wait());
}

TEST_CASE("a callable that owns its own subscription goes with it") {
  registry r;
  struct owner {
    subscription s;
  };
  auto it = std::make_shared<owner>();
  const std::weak_ptr<owner> watch = it;
  auto& s = it->s;
  s = r.subscribe([it](int) {});
  it.reset();
  CHECK_FALSE(watch.expired());
  s.disconnect_and_wait();
  CHECK(watch.expired());
}

TEST_CASE("closed() completes when the callback is disconnected and has returned") {
  registry r;
  millrace::run_loop loop;
  millrace::scope tasks;
  std::string order;
  std::optional<subscription> s;
  auto waits = [&]() -> millrace::task<> {
    const op_status how = co_await s->closed();
    order += how == op_status::ok ? 'w' : '?';
  };
  s.emplace(r.subscribe([&](int) {
    s->disconnect();
    s->closed().start([&](op_status) { order += 's'; });
    order += 'c';
  }));
  subscription after = r.subscribe([&](int) { order += 'd'; });
  tasks.spawn(loop, waits());
  while (loop.run_one()) {
    if (order.empty()) r.publish(0);
    if (order.size() == 4) loop.finish();
  }
  // What has no executor of its own runs after the publication, not inside it.
  CHECK(order == "cdsw");
  CHECK(tasks.join().wait() == op_status::ok);
}

TEST_CASE("closed() may be one of several operations") {
  registry r;
  subscription s = r.subscribe([](int) {});
  CHECK(select(s.closed(), millrace::after(std::chrono::milliseconds(1))).wait().index() == 1);
  s.disconnect();
  CHECK(select(millrace::after(std::chrono::hours(1)), s.closed()).wait().index() == 1);
}

TEST_CASE("who waits for closed() runs after the coroutine that published, not inside its publication") {
  registry r;
  millrace::run_loop loop;
  millrace::scope tasks;
  std::string order;
  subscription s;
  s = r.subscribe([&](int) {
    s.disconnect();
    s.closed().start([&](op_status) { order += 's'; });
    order += 'c';
  });
  subscription after = r.subscribe([&](int) { order += 'd'; });
  auto publishes = [&]() -> millrace::task<> {
    r.publish(0);
    order += 'p';
    co_return;
  };
  tasks.spawn(loop, publishes());
  tasks.join().start([&](op_status) { loop.finish(); });
  loop.run();
  CHECK(order == "cdps");
}

TEST_CASE("a callable that throws when it is moved is not subscribed") {
  struct throws_at_third {
    throws_at_third() = default;
    throws_at_third(throws_at_third&& other) : moves(other.moves + 1) {
      if (moves == 3) throw std::runtime_error("moved too often");
    }
    void operator()(int) { FAIL("it was never subscribed"); }
    int moves = 0;
  };
  registry r;
  int thrown = 0;
  for (int moves = 0; moves < 3; ++moves) {
    throws_at_third f;
    f.moves = moves;
    try {
      subscription s = r.subscribe(std::move(f));
    } catch (const std::runtime_error&) {
      ++thrown;
    }
  }
  CHECK(thrown >= 2);  // once it is passed, and once it is kept
  r.publish(0);
}

TEST_CASE("publishing allocates nothing, and what was disconnected does not pile up") {
  if (!support::counts_allocations) return;
  registry r;
  int sum = 0;
  std::vector<subscription> all;
  for (int i = 0; i < 20; ++i) all.push_back(r.subscribe([&](int n) { sum += n; }));
  r.publish(1);
  const std::size_t before = support::allocations();
  for (int i = 0; i < 1000; ++i) r.publish(1);
  CHECK(support::allocations() == before);
  CHECK(sum == 20020);
  // One allocation each; the list is copied now and then.
  for (int i = 0; i < 1000; ++i) subscription s = r.subscribe([&](int n) { sum += n; });
  CHECK(support::allocations() - before <= 1000 + 1000 / 16);
}

TEST_CASE(
    "a callable is destroyed with its wait, or when many others were disconnected, or with the registry") {
  int alive = 0;
  struct counted {
    int* alive;
    explicit counted(int& n) : alive(&n) { ++n; }
    counted(counted&& other) noexcept : alive(other.alive) { ++*alive; }
    ~counted() { --*alive; }
    void operator()(int) const {}
  };
  {
    registry r;
    {
      subscription s = r.subscribe(counted(alive));
    }
    CHECK(alive == 0);
    std::vector<subscription> all;
    for (int i = 0; i < 63; ++i) {
      all.push_back(r.subscribe(counted(alive)));
      all.back().disconnect();
    }
    CHECK(alive <= 63);
    for (int i = 0; i < 2; ++i) {
      all.push_back(r.subscribe(counted(alive)));
      all.back().disconnect();
    }
    CHECK(alive < 65);
    all.push_back(r.subscribe(counted(alive)));
    all.push_back(r.subscribe(counted(alive)));
  }
  CHECK(alive == 0);
}

TEST_CASE("the list shrinks when most callbacks are gone") {
  registry r;
  int calls = 0;
  std::vector<subscription> all;
  for (int i = 0; i < 1000; ++i) all.push_back(r.subscribe([&](int) { ++calls; }));
  all.resize(10);
  r.publish(0);
  CHECK(calls == 10);
  for (int i = 0; i < 10; ++i) all.push_back(r.subscribe([&](int) { ++calls; }));
  r.publish(0);
  CHECK(calls == 30);
}

TEST_CASE("subscribe does nothing where memory is short") {
  if (!support::counts_allocations) return;
  registry r;
  int calls = 0;
  std::vector<subscription> all;
  all.reserve(20);
  for (int i = 0; i < 20; ++i) {
    for (std::size_t k = 0;; ++k) {
      try {
        const support::failing_allocations failing(k);
        all.push_back(r.subscribe([&](int) { ++calls; }));
        break;
      } catch (const std::bad_alloc&) {
      }
    }
  }
  r.publish(0);
  CHECK(calls == 20);
}

TEST_CASE("waiting is for this callback, not for the publication around it") {
  registry r;
  std::atomic<bool> is_inside{false};
  std::atomic<bool> go{false};
  subscription a = r.subscribe([](int) {});
  subscription b = r.subscribe([&](int) {
    is_inside = true;
    await(go);
  });
  std::thread publisher([&] { r.publish(0); });
  await(is_inside);
  const bool waited = a.disconnect_and_wait();
  bool b_has_waited = false;
  std::thread waiter([&] {
    b.disconnect_and_wait();
    b_has_waited = go.load();
  });
  go = true;
  waiter.join();
  publisher.join();
  CHECK(waited);
  CHECK(b_has_waited);
}

TEST_CASE(
    "callbacks that disconnect themselves or each other, on several threads, do not wait for each other") {
  std::size_t wrong = 0;
  for (std::size_t round = 0; round < support::effort(2000, 10); ++round) {
    registry r;
    std::optional<subscription> a;
    std::optional<subscription> b;
    std::atomic<int> inside{0};
    a.emplace(r.subscribe(
        [&](int) {
          ++inside;
          if (b->disconnect_and_wait()) ++inside;
          if (a->disconnect_and_wait()) ++inside;
        },
        {.one_shot = true}));
    b.emplace(r.subscribe(
        [&](int) {
          ++inside;
          if (a->disconnect_and_wait()) ++inside;
          if (b->disconnect_and_wait()) ++inside;
        },
        {.one_shot = true}));
    std::thread one([&] { r.publish(0); });
    std::thread two([&] { r.publish(0); });
    a->closed().wait();
    b->closed().wait();
    const int seen = inside.load();
    one.join();
    two.join();
    wrong += seen != inside.load() || seen < 1 || seen > 2;
  }
  CHECK(wrong == 0);
}

TEST_CASE("no callback starts, or runs, once disconnect_and_wait has returned") {
  const std::size_t rounds = support::effort(4000, 250);
  registry r;
  std::atomic<bool> is_over{false};
  std::atomic<std::size_t> calls{0};
  std::vector<std::thread> publishers;
  for (int i = 0; i < 2; ++i) {
    publishers.emplace_back([&] {
      while (!is_over.load(std::memory_order_relaxed)) r.publish(1);
    });
  }
  std::vector<std::atomic<int>> is_alive(64);
  std::atomic<std::size_t> late{0};
  std::size_t wrong = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    std::atomic<int>& mine = is_alive[round % is_alive.size()];
    mine.store(1, std::memory_order_relaxed);
    subscription s = r.subscribe([&](int) {
      if (mine.load(std::memory_order_relaxed) != 1) late.fetch_add(1, std::memory_order_relaxed);
      calls.fetch_add(1, std::memory_order_relaxed);
      if (mine.load(std::memory_order_relaxed) != 1) late.fetch_add(1, std::memory_order_relaxed);
    });
    if (round % 64 == 0) {
      const std::size_t before = calls.load(std::memory_order_relaxed);
      while (calls.load(std::memory_order_relaxed) == before) std::this_thread::yield();
    }
    wrong += !s.disconnect_and_wait();
    mine.store(0, std::memory_order_relaxed);
    const std::size_t after = calls.load(std::memory_order_relaxed);
    if (round % 64 == 32) std::this_thread::yield();
    wrong += calls.load(std::memory_order_relaxed) != after;
  }
  is_over = true;
  for (std::thread& one : publishers) one.join();
  CHECK(wrong == 0);
  CHECK(late == 0);
  CHECK(calls > 0);
}

TEST_CASE("publishers, subscribers and what disconnects in between share a registry") {
  const std::size_t rounds = support::effort(3000, 10);
  registry r;
  std::atomic<bool> is_over{false};
  std::atomic<std::size_t> wrong{0};
  std::atomic<std::size_t> stable_calls{0};
  std::atomic<std::size_t> publications{0};
  subscription stable = r.subscribe([&](int) { stable_calls.fetch_add(1); });
  std::vector<std::thread> publishers;
  for (int i = 0; i < 2; ++i) {
    publishers.emplace_back([&] {
      while (!is_over.load()) {
        r.publish(1);
        publications.fetch_add(1);
      }
    });
  }
  std::vector<std::thread> churners;
  for (int i = 0; i < 2; ++i) {
    churners.emplace_back([&, i] {
      for (std::size_t round = 0; round < rounds; ++round) {
        auto guarded = std::make_unique<std::atomic<int>>(1);
        std::vector<subscription> mine;
        for (int k = 0; k < 5; ++k) {
          mine.push_back(r.subscribe([&wrong, at = guarded.get()](int) { wrong += at->load() != 1; },
                                     {.priority = k * i, .one_shot = k == 3}));
        }
        mine[0].disconnect();
        mine[1].block();
        mine[1].unblock();
        mine.clear();
        guarded->store(0);
      }
    });
  }
  for (std::thread& one : churners) one.join();
  is_over = true;
  for (std::thread& one : publishers) one.join();
  CHECK(wrong == 0);
  CHECK(stable_calls == publications);
}

TEST_CASE("a registry comes and goes while others are published to, on threads that come and go") {
  registry lasting;
  std::atomic<bool> is_over{false};
  subscription s = lasting.subscribe([](int) {});
  std::thread busy([&] {
    while (!is_over.load()) lasting.publish(0);
  });
  std::size_t calls = 0;
  for (std::size_t round = 0; round < support::effort(200, 10); ++round) {
    std::thread([&] {
      registry r;
      subscription a = r.subscribe([&](int n) {
        ++calls;
        if (n != 0) r.publish(n - 1);
      });
      lasting.publish(0);
      r.publish(3);
    }).join();
  }
  is_over = true;
  busy.join();
  CHECK(calls == support::effort(200, 10) * 4);
}
