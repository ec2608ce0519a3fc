// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/next.hpp>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/run_loop.hpp>
#include <millrace/task/scope.hpp>
#include <millrace/task/task.hpp>
#include <millrace/wait/select.hpp>
#include <millrace/wait/stop_token.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/effort.hpp"

namespace {

using namespace std::chrono_literals;
using millrace::callback_registry;
using millrace::next;
using millrace::op_status;
using millrace::pop_result;
using millrace::subscription;
using registry = callback_registry<void(int)>;

template <class Registry>
using next_message = typename decltype(next(std::declval<Registry&>()))::result_type::value_type;
static_assert(std::is_same_v<next_message<registry>, int>);
static_assert(std::is_same_v<next_message<callback_registry<void()>>, std::tuple<>>);
static_assert(std::is_same_v<next_message<callback_registry<void(const std::string&)>>, std::string>);
static_assert(std::is_same_v<next_message<callback_registry<void(const std::string&, int&, const char*)>>,
                             std::tuple<std::string, int, const char*>>);
static_assert(sizeof(next(std::declval<registry&>())) <= 64 * 3);

/// Counts what is alive, and throws where it is told to when it is copied.
struct fragile {
  static inline int alive = 0;
  static inline int copies_until_throw = -1;
  int value;
  explicit fragile(int n) : value(n) { ++alive; }
  fragile(const fragile& other) : value(other.value) {
    if (copies_until_throw >= 0 && copies_until_throw-- == 0) throw std::runtime_error("copied");
    ++alive;
  }
  fragile(fragile&& other) noexcept : value(std::exchange(other.value, -1)) { ++alive; }
  ~fragile() { --alive; }
};

}  // namespace

TEST_CASE("next gives what is published next to all that wait, and to no callback that was not there") {
  registry r;
  std::vector<int> seen;
  const auto wait = [&] { next(r).start([&](pop_result<int> m) { seen.push_back(m.value()); }); };
  r.publish(1);  // nobody waits
  wait();
  wait();
  CHECK(seen.empty());
  r.publish(2);
  CHECK(seen == std::vector<int>{2, 2});
  r.publish(3);
  wait();
  r.publish(4);
  CHECK(seen == std::vector<int>{2, 2, 4});
}

TEST_CASE("a coroutine gets one publication after the other, and the end") {
  auto r = std::make_optional<callback_registry<void(const std::string&)>>();
  millrace::run_loop loop;
  millrace::scope tasks;
  std::vector<std::string> seen;
  op_status end = op_status::ok;
  auto consumer = [&]() -> millrace::task<> {
    while (auto m = co_await next(*r)) seen.push_back(*std::move(m));
    const auto last = co_await next(*r);
    end = last.status();
  };
  auto once = [&]() -> millrace::task<> {
    const auto m = co_await next(*r);
    end = m.status();
    loop.finish();
  };
  SECTION("the registry goes") {
    tasks.spawn(loop, once());
    CHECK(loop.run_one());
    r.reset();
    loop.run();
    CHECK(end == op_status::closed);
  }
  SECTION("messages") {
    tasks.spawn(loop, consumer());
    CHECK(loop.run_one());
    for (const char* m : {"a", "b"}) {
      r->publish(m);
      r->publish("nobody waits");
      CHECK(loop.run_one());
    }
    CHECK(seen == std::vector<std::string>{"a", "b"});
    tasks.request_stop();
    loop.finish();
    loop.run();
    CHECK(end == op_status::cancelled);
  }
  CHECK(tasks.join().wait() == op_status::ok);
}

TEST_CASE("several arguments come as a tuple of copies, none as an empty one") {
  callback_registry<void(const std::string&, int&)> two;
  callback_registry<void()> none;
  int n = 7;
  std::optional<std::tuple<std::string, int>> seen;
  bool heard = false;
  next(two).start([&](auto m) { seen = std::move(m).value(); });
  next(none).start([&](pop_result<std::tuple<>> m) { heard = static_cast<bool>(m); });
  two.publish("x", n);
  n = 8;
  none.publish();
  CHECK(seen == std::tuple<std::string, int>("x", 7));
  CHECK(heard);
}

TEST_CASE("who waits is resumed after the publication, even if there is one around it") {
  registry outer;
  registry r;
  std::string order;
  subscription a = r.subscribe([&](int) { order += 'a'; });
  subscription b = r.subscribe([&](int) { order += 'b'; });
  const auto wait = [&] {
    next(r).start([&](pop_result<int> m) {
      order += static_cast<char>('0' + *m);
      CHECK(a.disconnect_and_wait());  // it is inside nothing
    });
  };
  SECTION("of a plain thread") {
    wait();
    r.publish(1);
    CHECK(order == "ab1");
  }
  SECTION("inside another") {
    subscription c = outer.subscribe([&](int n) {
      r.publish(n);
      order += 'c';
    });
    wait();
    outer.publish(2);
    CHECK(order == "abc2");
  }
}

TEST_CASE("who begins to wait inside a callback waits for the next publication") {
  registry r;
  std::vector<int> seen;
  subscription s = r.subscribe([&](int n) {
    if (n == 1) next(r).start([&](pop_result<int> m) { seen.push_back(*m); });
  });
  r.publish(1);
  CHECK(seen.empty());
  r.publish(2);
  CHECK(seen == std::vector<int>{2});
  next(r).start([&](pop_result<int> m) {
    seen.push_back(*m);
    next(r).start([&](pop_result<int> n) { seen.push_back(*n); });
  });
  r.publish(3);
  CHECK(seen == std::vector<int>{2, 3});
  r.publish(4);
  CHECK(seen == std::vector<int>{2, 3, 4});
}

TEST_CASE("a stop, a deadline or another branch may come first; then nothing was taken") {
  registry r;
  std::optional<op_status> how;
  const auto note = [&](pop_result<int> m) { how = m.status(); };
  millrace::stop_source halt;
  SECTION("a stop while it waits") {
    next(r).with(halt.token()).start(note);
    CHECK_FALSE(how.has_value());
    halt.request_stop();
    CHECK(how == op_status::cancelled);
    r.publish(1);
    CHECK(how == op_status::cancelled);
  }
  SECTION("a stop before it waits") {
    halt.request_stop();
    next(r).with(halt.token()).start(note);
    CHECK(how == op_status::cancelled);
  }
  SECTION("a message before the stop") {
    next(r).with(halt.token()).start(note);
    r.publish(1);
    CHECK(how == op_status::ok);
    halt.request_stop();
  }
  SECTION("a deadline") {
    const pop_result<int> m = next(r).within(0ms).wait();
    CHECK(m.status() == op_status::timeout);
    CHECK(next(r).within(1ms).wait().status() == op_status::timeout);
    r.publish(1);
  }
  SECTION("a select that takes something else") {
    millrace::bounded_queue<int> q(1);
    int from_queue = 0;
    select(next(r), q.pop()).start([&](auto chosen) {
      how = chosen.template get<0>().status();
      from_queue = chosen.template get<1>().value();
    });
    CHECK(q.try_push(5) == op_status::ok);
    CHECK(how == op_status::cancelled);
    CHECK(from_queue == 5);
    r.publish(1);
  }
  SECTION("a select that takes the publication") {
    millrace::bounded_queue<int> q(1);
    registry other;
    std::size_t index = 0;
    select(q.pop(), next(other), next(r)).start([&](auto chosen) {
      index = chosen.index();
      how = chosen.template get<2>().status();
    });
    r.publish(1);
    other.publish(1);
    CHECK(index == 2);
    CHECK(how == op_status::ok);
    CHECK(q.try_push(5) == op_status::ok);
    CHECK(q.size_approx() == 1);
  }
}

TEST_CASE("who waits where the registry is destroyed is told, after the publication that does it") {
  auto r = std::make_optional<registry>();
  std::string order;
  subscription s = r->subscribe([&](int) {
    next(*r).start([&](pop_result<int> m) { order += m.status() == op_status::closed ? 'c' : '?'; });
    r.reset();
    order += 'd';
  });
  next(*r).start([&](pop_result<int> m) { order += m ? 'm' : '?'; });
  r->publish(1);
  CHECK(order == "dmc");
  registry idle;  // one that is destroyed with nobody waiting, and one where somebody has given up
  millrace::stop_source halt;
  auto other = std::make_optional<registry>();
  next(*other).with(halt.token()).start([&](pop_result<int>) { order += 's'; });
  halt.request_stop();
  other.reset();
  CHECK(order == "dmcs");
}

TEST_CASE("what copying throws is for who waits, not for the publisher or the callbacks") {
  {
    callback_registry<void(const fragile&)> r;
    millrace::run_loop loop;
    millrace::scope tasks;
    int calls = 0;
    std::string order;
    subscription s = r.subscribe([&](const fragile&) { ++calls; });
    auto waits = [&]() -> millrace::task<> {
      try {
        const auto m = co_await next(r);
        order += m ? 'm' : '?';
      } catch (const std::runtime_error&) {
        order += 't';
      }
    };
    tasks.spawn(loop, waits());
    tasks.spawn(loop, waits());
    CHECK(loop.run_one());
    CHECK(loop.run_one());
    fragile::copies_until_throw = 0;
    CHECK_NOTHROW(r.publish(fragile(1)));
    fragile::copies_until_throw = -1;
    CHECK(calls == 1);
    loop.finish();
    loop.run();
    CHECK(order == "tm");
    CHECK(tasks.join().wait() == op_status::ok);
  }
  CHECK(fragile::alive == 0);
}

TEST_CASE("a wait that is destroyed is taken back") {
  registry r;
  {
    struct frame {
      struct promise_type {
        frame get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() {}
      };
      std::coroutine_handle<promise_type> handle;
    };
    bool resumed = false;
    auto waits = [&]() -> frame {
      const auto m = co_await next(r);
      resumed = m.status() != op_status::empty;
    };
    const frame f = waits();
    f.handle.destroy();
    r.publish(1);
    CHECK_FALSE(resumed);
  }
  auto never_run = next(r);
  r.publish(2);
}

TEST_CASE("topics can be waited for") {
  millrace::topic<std::string> t("t", {.retain = true});
  t.publish("retained");
  std::vector<std::string> seen;
  next(t).start([&](pop_result<std::string> m) { seen.push_back(*m); });
  CHECK(seen.empty());
  t.publish("next");
  CHECK(seen == std::vector<std::string>{"next"});
  op_status end = op_status::ok;
  next(t).start([&](pop_result<std::string> m) { end = m.status(); });
  t = millrace::topic<std::string>();
  CHECK(end == op_status::closed);
}

TEST_CASE("waiting for the next publication allocates nothing") {
  if (!support::counts_allocations) return;
  registry r;
  millrace::run_loop loop;
  millrace::scope tasks;
  int sum = 0;
  auto consumer = [&]() -> millrace::task<> {
    while (auto m = co_await next(r)) sum += *m;
  };
  tasks.spawn(loop, consumer());
  CHECK(loop.run_one());
  r.publish(1);
  CHECK(loop.run_one());
  const std::size_t before = support::allocations();
  for (int i = 0; i < 100; ++i) {
    r.publish(1);
    loop.run_one();
  }
  CHECK(support::allocations() == before);
  CHECK(sum == 101);
  tasks.request_stop();
  loop.finish();
  loop.run();
  CHECK(tasks.join().wait() == op_status::ok);
}

TEST_CASE("no publication is given twice to one that waits again and again, while several publish") {
  const std::size_t rounds = support::effort(20000, 10);
  registry r;
  std::atomic<bool> is_over{false};
  std::size_t wrong = 0;
  std::size_t got = 0;
  std::thread consumer([&] {
    int last[2] = {-1, -1};
    for (std::size_t round = 0; round < rounds; ++round) {
      const pop_result<int> m = round % 2 == 0 ? next(r).wait() : next(r).within(20us).wait();
      if (!m) {
        wrong += m.status() != op_status::timeout;
        continue;
      }
      int& before = last[*m % 2];
      wrong += *m / 2 <= before;
      before = *m / 2;
      ++got;
    }
    is_over = true;
  });
  std::vector<std::thread> publishers;
  for (int k = 0; k < 2; ++k) {
    publishers.emplace_back([&, k] {
      for (int n = 0; !is_over.load(); ++n) r.publish(2 * n + k);
    });
  }
  for (std::thread& one : publishers) one.join();
  consumer.join();
  CHECK(wrong == 0);
  CHECK(got >= rounds / 2);
}

TEST_CASE("stops, publications and the end of a registry race for those that wait") {
  std::atomic<std::size_t> wrong{0};
  for (std::size_t round = 0; round < support::effort(3000, 10); ++round) {
    auto r = std::make_unique<registry>();
    millrace::stop_source halt;
    std::atomic<int> ended{0};
    const int publications = static_cast<int>(round % 3);
    const auto wait = [&](millrace::stop_token token) {
      next(*r).with(token).start([&, token](pop_result<int> m) {
        const bool is_stopped = m.status() == op_status::cancelled && token.stop_possible();
        const bool is_told = publications == 0 ? m.status() == op_status::closed : m && *m == 1;
        if (!is_stopped && !is_told) ++wrong;
        ++ended;
      });
    };
    wait(halt.token());
    wait({});
    wait(halt.token());
    std::thread stopper([&] { halt.request_stop(); });
    for (int n = 1; n <= publications; ++n) r->publish(n);
    r.reset();
    stopper.join();
    if (ended.load() != 3) ++wrong;
  }
  CHECK(wrong == 0);
}
