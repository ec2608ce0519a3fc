// SPDX-License-Identifier: BSL-1.0
//
// The edges of headers that the model checker does not reach: what one thread writes plainly, another
// reads after the step that is to carry it. Only ThreadSanitizer can tell whether it did. (Not in locals:
// clang does not watch those of which it thinks that nobody else sees them.)

#include <atomic>
#include <coroutine>
#include <memory>
#include <thread>
#include <vector>

#include <millrace/callback/callback_registry.hpp>
#include <millrace/callback/subscription.hpp>
#include <millrace/callback/tap.hpp>
#include <millrace/callback/topic.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/make_channel.hpp>
#include <millrace/queue/unbounded_queue.hpp>
#include <millrace/task/run_loop.hpp>
#include <millrace/task/sync_wait.hpp>
#include <millrace/task/when_all.hpp>
#include <millrace/wait/work_item.hpp>

#include "support/catch.hpp"

namespace {

/// An executor with one thread.
class runner {
 public:
  runner() : thread_([this] { loop_.run(); }) {}
  ~runner() {
    loop_.finish();
    thread_.join();
  }
  millrace::run_loop& loop() { return loop_; }

 private:
  millrace::run_loop loop_;
  std::thread thread_;
};

struct signal : millrace::work_item {
  std::atomic<bool> given{false};
  signal() {
    this->run = [](millrace::work_item* self) noexcept {
      static_cast<signal*>(self)->given.store(true, std::memory_order_relaxed);
    };
  }
};

/// An awaitable whose awaiter has ended on another thread before it has suspended on its own. What lets the
/// latter go on orders nothing.
class ends_elsewhere {
 public:
  ends_elsewhere(millrace::run_loop& loop, signal& after) : loop_(loop), after_(after) {}

  struct awaiter : millrace::work_item {
    millrace::run_loop& loop;
    signal& after;
    std::coroutine_handle<> coroutine;

    awaiter(millrace::run_loop& l, signal& a) : loop(l), after(a) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) noexcept {
      coroutine = handle;
      this->run = [](millrace::work_item* self) noexcept { static_cast<awaiter*>(self)->coroutine.resume(); };
      millrace::run_loop& there = loop;
      signal& ended = after;
      there.post(*this);  // *this may be gone from here on
      there.post(ended);
      while (!ended.given.load(std::memory_order_relaxed)) std::this_thread::yield();
    }
    int await_resume() const noexcept { return 1; }
  };
  awaiter operator co_await() const noexcept { return awaiter(loop_, after_); }

 private:
  millrace::run_loop& loop_;
  signal& after_;
};

}  // namespace

TEST_CASE("who hears that the last end is gone sees what went before each") {
  for (int round = 0; round < 200; ++round) {
    constexpr int ends = 3;
    std::vector<int> written(ends);
    auto channel = millrace::make_channel<int>(1);
    std::atomic<bool> go{false};  // for dropping ours, a count of owners, would carry what came before
    std::vector<std::thread> threads;
    for (int& mine : written) {
      threads.emplace_back([&mine, &go, tx = channel.tx]() mutable {
        while (!go.load(std::memory_order_acquire)) std::this_thread::yield();
        mine = 1;
        {
          const auto gone = std::move(tx);
        }
      });
    }
    {
      const auto gone = std::move(channel.tx);
    }
    go.store(true, std::memory_order_release);
    CHECK(channel.rx.pop().wait().status() == millrace::op_status::closed);
    int sum = 0;
    for (const int& each : written) sum += each;
    for (std::thread& t : threads) t.join();
    CHECK(sum == ends);
  }
}

TEST_CASE("who awaits all sees what each of them left, wherever it ended") {
  runner a;
  runner b;
  int sum = 0;
  for (int round = 0; round < 200; ++round) {
    millrace::bounded_queue<int> one(1);
    millrace::bounded_queue<int> two(1);
    int pushed = 0;
    std::thread pusher([&] {
      pushed += one.push(1).wait().status() == millrace::op_status::ok;
      pushed += two.push(2).wait().status() == millrace::op_status::ok;
    });
    const auto [x, y] =
        millrace::sync_wait(millrace::when_all(one.pop().on(a.loop()), two.pop().on(b.loop())));
    sum += *x + *y;
    pusher.join();
    CHECK(pushed == 2);
  }
  CHECK(sum == 200 * 3);
}

TEST_CASE("who awaits all sees what they left, too, where they have ended before it suspends") {
  std::vector<signal> signals(200);
  runner elsewhere;
  int sum = 0;
  for (signal& after : signals) {
    const auto [x] = millrace::sync_wait(millrace::when_all(ends_elsewhere(elsewhere.loop(), after)));
    sum += x;
  }
  CHECK(sum == 200);
}

namespace {

/// Does something once on another thread, and something else on this one, again and again, until that says that it
/// has seen the first. Nothing here orders what they do.
template <class Once, class Often>
void beside(Once once, Often sees) {
  std::atomic<bool> go{false};
  std::thread other([&] {
    while (!go.load(std::memory_order_relaxed)) std::this_thread::yield();
    once();
  });
  go.store(true, std::memory_order_relaxed);
  while (!sees()) std::this_thread::yield();
  other.join();
}

/// A callback that reads what its maker wrote.
struct reader {
  std::shared_ptr<int> written;
  int* seen;
  void operator()(int) const { *seen += *written; }
};

/// Says when a thread ends, after all that it has begun to use later.
struct last_words {
  std::atomic<bool>* to = nullptr;
  ~last_words() {
    if (to != nullptr) to->store(true, std::memory_order_relaxed);
  }
};

}  // namespace

TEST_CASE("who pops sees a tap that another thread has installed") {
  const auto seen = std::make_unique<int>(0);
  for (int round = 1; round <= 200; ++round) {
    millrace::bounded_queue<int> q(1);
    millrace::subscription taps[2];
    int pushed = 0;
    beside([&] { taps[0] = millrace::tap(q, reader{std::make_shared<int>(1), seen.get()}); },
           [&] {
             pushed += q.try_push(1) == millrace::op_status::ok;
             return q.try_pop() && *seen >= round;
           });
    CHECK(pushed > 0);
    *seen = round;
  }
}

TEST_CASE("of two who install a tap, the other one sees it whole") {
  for (int round = 0; round < 200; ++round) {
    millrace::bounded_queue<int> q(1);
    millrace::subscription taps[2];
    int unheard = 0;
    beside([&] { taps[0] = millrace::tap(q, [](int) {}); },
           [&] {
             taps[1] = millrace::tap(q, [&](int) { --unheard; });
             return true;
           });
    REQUIRE(q.try_push(1) == millrace::op_status::ok);
    unheard = 1;
    CHECK(q.try_pop());
    CHECK(unheard == 0);
  }
}

TEST_CASE("who publishes sees a listener that another thread has added, and what it was given") {
  const auto seen = std::make_unique<int>(0);
  for (int round = 1; round <= 200; ++round) {
    millrace::callback_registry<void(int)> registry;
    const auto first = registry.subscribe([](int) {});  // so the second one is put beside it
    millrace::subscription second;
    beside([&] { second = registry.subscribe(reader{std::make_shared<int>(1), seen.get()}); },
           [&] {
             registry.publish(1);
             return *seen >= round;
           });
    CHECK(*seen >= round);
    *seen = round;
  }
}

TEST_CASE("who publishes to a topic that retains sees how far a new listener has got") {
  const auto seen = std::make_unique<std::atomic<int>>(0);
  for (int round = 0; round < 200; ++round) {
    const millrace::topic<int> topic("edges", {.retain = true});
    topic.publish(1);
    millrace::subscription listener;
    seen->store(0, std::memory_order_relaxed);
    beside([&] { listener = topic.subscribe([&](int n) { seen->fetch_add(n, std::memory_order_relaxed); }); },
           [&] {
             topic.publish(1);
             return seen->load(std::memory_order_relaxed) > 3;
           });
    CHECK(seen->load(std::memory_order_relaxed) > 3);
  }
}

TEST_CASE("who publishes from a new thread may go on where one has ended") {
  millrace::callback_registry<void(int)> registry;
  const auto listener = registry.subscribe([](int) {});
  int published = 0;
  for (int round = 0; round < 50; ++round) {
    std::atomic<bool> has_ended{false};
    std::thread next([&] {
      while (!has_ended.load(std::memory_order_relaxed)) std::this_thread::yield();
      registry.publish(1);
    });
    std::thread first([&] {
      thread_local last_words words;
      words.to = &has_ended;
      registry.publish(1);
    });
    first.join();
    next.join();
    ++published;
  }
  CHECK(published == 50);
}

namespace {

/// Segments of one cell, for which there is no memory until another thread has done something. Nothing here orders
/// what they do.
struct slow_memory : millrace::default_traits {
  enum : int { ready, waits_once, waits };
  static inline std::atomic<int> state{ready};

  template <std::size_t>
  static constexpr std::size_t segment_cells = 1;
  static void* allocate(std::size_t bytes, std::size_t alignment) {
    int expected = waits_once;
    if (state.compare_exchange_strong(expected, waits, std::memory_order_relaxed)) {
      while (state.load(std::memory_order_relaxed) != ready) std::this_thread::yield();
    }
    return millrace::default_traits::allocate(bytes, alignment);
  }
};

}  // namespace

TEST_CASE("a push that begins a segment hands on what others did under the lock while it had none") {
  for (int round = 0; round < 20; ++round) {
    millrace::unbounded_queue<int, slow_memory> q;
    int drained = 0;
    slow_memory::state.store(slow_memory::waits_once, std::memory_order_relaxed);
    std::thread other([&] {
      while (slow_memory::state.load(std::memory_order_relaxed) != slow_memory::waits) {
        std::this_thread::yield();
      }
      q.drained().start([&](millrace::op_status how) { drained += how == millrace::op_status::ok; });
      slow_memory::state.store(slow_memory::ready, std::memory_order_relaxed);
    });
    CHECK(q.try_push(1) == millrace::op_status::ok);
    q.close();
    CHECK(q.try_pop());
    CHECK(drained == 1);
    other.join();
  }
}
