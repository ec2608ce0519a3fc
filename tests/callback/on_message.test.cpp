// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/on_message.hpp>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/make_channel.hpp>
#include <millrace/task/resume_on.hpp>
#include <millrace/task/run_loop.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>
#include <millrace/wait/operation.hpp>
#include <millrace/wait/waiter.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/effort.hpp"

namespace {

using millrace::bounded_queue;
using millrace::on_message;
using millrace::op_status;
using millrace::subscription;

/// A bounded_queue that lets something happen when a pop has found it empty, and when a pop that sleeps is
/// about to be taken back.
class interrupted_queue {
 public:
  using value_type = int;

  explicit interrupted_queue(std::size_t capacity) : q(capacity) {}

  bounded_queue<int> q;
  std::function<void()> found_empty;
  std::function<void()> before_withdrawal;

 private:
  using access = millrace::detail::operation_access;
  using base_step = decltype(access::take_step(std::declval<bounded_queue<int>&>().pop()));

  class step : public base_step {
    using waiter = millrace::detail::waiter<traits>;

   public:
    explicit step(interrupted_queue& self) noexcept
        : base_step(access::take_step(self.q.pop())), self_(&self) {}
    bool attempt() noexcept {
      const bool did = base_step::attempt();
      if (!did) once(self_->found_empty);
      return did;
    }
    bool withdraw(waiter& w) noexcept {
      once(self_->before_withdrawal);
      return base_step::withdraw(w);
    }

   private:
    static void once(std::function<void()>& hook) {
      if (hook) std::exchange(hook, nullptr)();
    }
    interrupted_queue* self_;
  };

 public:
  auto pop() noexcept { return millrace::operation<step>(std::in_place_type<step>, *this); }
};

/// Runs all that has been posted to the loop.
void run_posted(millrace::run_loop& loop) {
  loop.finish();
  loop.run();
}

}  // namespace

TEST_CASE("a callback gets every message in order, whether it waits for them or they for it") {
  millrace::run_loop loop;
  bounded_queue<std::unique_ptr<int>> q(8);
  std::vector<int> seen;
  for (int n = 0; n < 3; ++n) CHECK(q.try_push(std::make_unique<int>(n)) == op_status::ok);
  auto s = on_message(q, loop, [&](std::unique_ptr<int> m) { seen.push_back(*m); });
  CHECK(seen.empty());  // the executor calls back, not on_message
  run_posted(loop);
  CHECK(seen == std::vector<int>{0, 1, 2});
  CHECK(q.try_push(std::make_unique<int>(3)) == op_status::ok);
  CHECK(seen.size() == 3);
  run_posted(loop);
  CHECK(seen == std::vector<int>{0, 1, 2, 3});
  q.close();
  run_posted(loop);
  CHECK(s.disconnect_and_wait());
}

TEST_CASE("a disconnected callback takes no further message") {
  millrace::run_loop loop;
  bounded_queue<int> q(8);
  int calls = 0;
  SECTION("while it waits for one") {
    auto s = on_message(q, loop, [&](int) { ++calls; }, {.concurrency = 3});
    run_posted(loop);
    s.disconnect();
    CHECK(s.disconnect_and_wait());
    CHECK(q.try_push(1) == op_status::ok);
    run_posted(loop);
    CHECK(calls == 0);
    CHECK(*q.try_pop() == 1);
  }
  SECTION("but one that it has taken is still given to it") {
    auto s = on_message(q, loop, [&](int) { ++calls; });
    run_posted(loop);
    CHECK(q.try_push(1) == op_status::ok);  // handed over: the callback is on its way
    CHECK(q.try_push(2) == op_status::ok);
    s.disconnect();
    run_posted(loop);
    CHECK(calls == 1);
    CHECK(*q.try_pop() == 2);
  }
}

TEST_CASE("a message that comes while its callback is being disconnected is given to it") {
  millrace::run_loop loop;
  interrupted_queue queue(8);
  std::vector<int> seen;
  auto s = on_message(queue, loop, [&](int n) { seen.push_back(n); });
  run_posted(loop);
  queue.before_withdrawal = [&] {
    for (int n = 0; n < 2; ++n) (void)queue.q.try_push(n);
  };
  s.disconnect();
  run_posted(loop);
  CHECK(s.disconnect_and_wait());
  CHECK(seen == std::vector<int>{0});
  CHECK(*queue.q.try_pop() == 1);
}

TEST_CASE("a callback that is disconnected while it goes to sleep does not sleep") {
  millrace::run_loop loop;
  interrupted_queue queue(8);
  int calls = 0;
  auto s = on_message(queue, loop, [&](int) { ++calls; });
  queue.found_empty = [&] { s.disconnect(); };
  run_posted(loop);
  CHECK(s.disconnect_and_wait());
  CHECK(queue.q.try_push(1) == op_status::ok);
  run_posted(loop);
  CHECK(calls == 0);
  CHECK(*queue.q.try_pop() == 1);
}

TEST_CASE("a message that comes while its callback goes to sleep is given to it at once") {
  millrace::run_loop loop;
  interrupted_queue queue(8);
  std::vector<int> seen;
  auto s = on_message(queue, loop, [&](int n) { seen.push_back(n); });
  queue.found_empty = [&] { (void)queue.q.try_push(7); };
  run_posted(loop);
  CHECK(seen == std::vector<int>{7});
  s.disconnect();
  CHECK(s.disconnect_and_wait());
}

TEST_CASE("a callback may disconnect, wait for, or destroy its own subscription") {
  millrace::run_loop loop;
  bounded_queue<int> q(8);
  for (int n = 0; n < 3; ++n) CHECK(q.try_push(n) == op_status::ok);
  int calls = 0;
  bool waited = true;
  std::optional<subscription> s;
  SECTION("disconnect_and_wait cannot wait for its caller, and says so") {
    s.emplace(on_message(q, loop, [&](int) {
      ++calls;
      waited = s->disconnect_and_wait();
    }));
    run_posted(loop);
    CHECK_FALSE(waited);
  }
  SECTION("destroy") {
    s.emplace(on_message(q, loop, [&, state = std::make_unique<int>(7)](int) {
      ++calls;
      s.reset();
      CHECK(*state == 7);  // the callback lives until it returns
    }));
    run_posted(loop);
  }
  CHECK(calls == 1);
  CHECK(q.size_approx() == 2);
}

TEST_CASE("a callback is destroyed once no call of it can come, be it the owner of its subscription") {
  millrace::run_loop loop;
  bounded_queue<int> q(8);
  struct owner {
    subscription s;
  };
  auto it = std::make_shared<owner>();
  const std::weak_ptr<owner> watch = it;
  subscription& s = it->s;
  s = on_message(q, loop, [it](int) {}, {.concurrency = 3});
  it.reset();
  run_posted(loop);
  CHECK_FALSE(watch.expired());
  SECTION("disconnected while it waits") {
    s.disconnect();
  }
  SECTION("disconnected while it runs") {
    CHECK(q.try_push(1) == op_status::ok);
    s.disconnect();
    CHECK_FALSE(watch.expired());
    run_posted(loop);
  }
  SECTION("the queue is closed") {
    q.close();
    run_posted(loop);
  }
  CHECK(watch.expired());
}

TEST_CASE("a subscription may outlive its queue") {
  millrace::run_loop loop;
  int calls = 0;
  subscription s;
  {
    bounded_queue<int> q(2);
    s = on_message(q, loop, [&](int) { ++calls; }, {.concurrency = 2});
    run_posted(loop);
  }
  s.disconnect();  // before its consumers have heard that the queue is closed
  run_posted(loop);
  CHECK(s.disconnect_and_wait());
  CHECK(calls == 0);
}

TEST_CASE("a long run of messages gives way to the executor's other work") {
  millrace::run_loop loop;
  bounded_queue<int> q(1000);
  for (int n = 0; n < 1000; ++n) CHECK(q.try_push(n) == op_status::ok);
  int calls = 0;
  int calls_before_other = -1;
  auto s = on_message(q, loop, [&](int) { ++calls; });
  struct other_work : millrace::work_item {
    int* calls;
    int* seen;
  } other;
  other.calls = &calls;
  other.seen = &calls_before_other;
  other.run = [](millrace::work_item* item) noexcept {
    auto* const self = static_cast<other_work*>(item);
    *self->seen = *self->calls;
  };
  loop.post(other);
  q.close();
  for (int i = 0; i < 50; ++i) run_posted(loop);
  CHECK(calls_before_other == 64);
  CHECK(calls == 1000);
}

TEST_CASE("a channel's consumer can be consumed by a callback") {
  millrace::run_loop loop;
  auto [tx, rx] = millrace::make_channel<int>(4);
  int sum = 0;
  auto s = on_message(rx, loop, [&](int n) { sum += n; });
  CHECK(tx.try_push(4) == op_status::ok);
  CHECK(tx.try_push(5) == op_status::ok);
  tx.close();
  run_posted(loop);
  CHECK(sum == 9);
}

TEST_CASE("a concurrency of 0 is refused") {
  millrace::run_loop loop;
  bounded_queue<int> q(1);
  CHECK_THROWS_AS(on_message(q, loop, [](int) {}, {.concurrency = 0}), std::invalid_argument);
}

TEST_CASE("callbacks run at the same time up to their concurrency, and never more") {
  millrace::thread_pool pool(4);
  bounded_queue<int> q(16);
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  std::atomic<int> calls{0};
  std::atomic<bool> go{false};
  auto s = on_message(q, pool,
                      [&](int) {
                        const int now = running.fetch_add(1) + 1;
                        int seen = most.load();
                        while (seen < now && !most.compare_exchange_weak(seen, now)) {
                        }
                        while (!go.load()) std::this_thread::yield();
                        running.fetch_sub(1);
                        calls.fetch_add(1);
                      },
                      {.concurrency = 2});
  for (int n = 0; n < 10; ++n) CHECK(q.try_push(n) == op_status::ok);
  while (running.load() < 2) std::this_thread::yield();
  go.store(true);
  q.close();
  while (calls.load() < 10) std::this_thread::yield();
  CHECK(s.disconnect_and_wait());
  CHECK(most.load() == 2);
}

TEST_CASE("disconnecting in mid-traffic loses no message") {
  millrace::thread_pool pool(2);
  std::size_t wrong = 0;
  for (int round = 0; round < 500; ++round) {
    bounded_queue<int> q(4);
    std::vector<std::atomic<int>> seen(200);
    int rejected = 0;
    std::thread producer([&] {
      for (int n = 0; n < 200; ++n) {
        if (auto r = q.push(n).wait(); !r) ++rejected;
      }
    });
    {
      auto s = on_message(q, pool, [&](int n) { seen[static_cast<std::size_t>(n)].fetch_add(1); },
                          {.concurrency = 2});
      while (seen[static_cast<std::size_t>(round % 150)].load() == 0) std::this_thread::yield();
    }
    while (auto m = q.try_pop()) seen[static_cast<std::size_t>(*m)].fetch_add(1);
    auto rest = on_message(q, pool, [&](int n) { seen[static_cast<std::size_t>(n)].fetch_add(1); });
    producer.join();
    q.close();
    while (auto m = q.pop().wait()) seen[static_cast<std::size_t>(*m)].fetch_add(1);
    rest.disconnect_and_wait();
    for (auto& count : seen) wrong += count.load() != 1;
    wrong += rejected != 0;
  }
  CHECK(wrong == 0);
}

TEST_CASE("a callback that takes a span is given all that is there, up to a batch") {
  millrace::run_loop loop;
  bounded_queue<std::unique_ptr<int>> q(16);
  std::vector<std::size_t> sizes;
  std::vector<int> seen;
  sizes.reserve(16);
  seen.reserve(16);
  auto s = on_message(q, loop,
                      [&](std::span<std::unique_ptr<int>> some) {
                        sizes.push_back(some.size());
                        for (std::unique_ptr<int>& one : some) seen.push_back(*std::move(one));
                      },
                      {.batch = 4});
  for (int n = 0; n < 10; ++n) CHECK(q.try_push(std::make_unique<int>(n)) == op_status::ok);
  run_posted(loop);
  CHECK(sizes == std::vector<std::size_t>{4, 4, 2});
  CHECK(q.try_push(std::make_unique<int>(10)) == op_status::ok);  // to one that waits
  run_posted(loop);
  CHECK(sizes.back() == 1);
  auto last = std::make_unique<int>(11);
  const std::size_t before = support::allocations();
  q.try_push(std::move(last));
  run_posted(loop);
  CHECK(support::allocations() == before);
  std::vector<int> all(12);
  std::iota(all.begin(), all.end(), 0);
  CHECK(seen == all);
  CHECK(s.disconnect_and_wait());
}

TEST_CASE("batches of one, and of none") {
  millrace::run_loop loop;
  bounded_queue<int> q(4);
  std::vector<std::size_t> sizes;
  const auto f = [&](std::span<int> some) { sizes.push_back(some.size()); };
  CHECK_THROWS_AS(on_message(q, loop, f, {.batch = 0}), std::invalid_argument);
  auto s = on_message(q, loop, f, {.batch = 1});
  CHECK(q.try_push(1) == op_status::ok);
  CHECK(q.try_push(2) == op_status::ok);
  run_posted(loop);
  CHECK(sizes == std::vector<std::size_t>{1, 1});
}

TEST_CASE("a callback may be a coroutine, which is awaited before the next message") {
  millrace::run_loop loop;
  bounded_queue<int> q(8);
  bounded_queue<int> answers(1);
  std::string order;
  auto s = on_message(q, loop, [&](int n) -> millrace::task<> {
    order += static_cast<char>('0' + n);
    auto answer = co_await answers.pop();
    order += answer ? static_cast<char>('a' + *answer) : '-';
  });
  for (int n = 0; n < 3; ++n) CHECK(q.try_push(int{n}) == op_status::ok);
  run_posted(loop);
  CHECK(order == "0");
  CHECK(answers.try_push(0) == op_status::ok);
  run_posted(loop);
  CHECK(order == "0a1");
  SECTION("disconnected, it goes on, and takes no further message") {
    bool closed = false;
    s.closed().start([&](op_status) { closed = true; });
    s.disconnect();
    run_posted(loop);
    CHECK(order == "0a1");
    CHECK_FALSE(closed);
    CHECK(answers.try_push(1) == op_status::ok);
    run_posted(loop);
    CHECK(order == "0a1b");
    run_posted(loop);  // who waits for closed() was posted meanwhile
    CHECK(closed);
    CHECK(*q.try_pop() == 2);
  }
  SECTION("it ends with its queue") {
    q.close();
    answers.close();
    run_posted(loop);
    CHECK(order == "0a1-2-");
    CHECK(s.disconnect_and_wait());
  }
}

TEST_CASE("a coroutine that is called back runs as often at the same time as is allowed, on any thread") {
  const int messages = static_cast<int>(support::effort(2000, 20));
  bounded_queue<int> q(16);
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  std::atomic<int> calls{0};
  std::atomic<long> sum{0};
  millrace::thread_pool pool(2);
  {
    auto s = on_message(q, pool,
                        [&](int n) -> millrace::task<> {
                          const int now = inside.fetch_add(1) + 1;
                          int seen = most.load();
                          while (seen < now && !most.compare_exchange_weak(seen, now)) {
                          }
                          co_await millrace::resume_on(pool);
                          sum += n;
                          ++calls;
                          inside.fetch_sub(1);
                        },
                        {.concurrency = 3});
    long pushed = 0;
    for (int n = 0; n < messages; ++n) {
      pushed += n;
      if (!q.push(int{n}).wait()) break;
    }
    q.close();
    CHECK(s.closed().wait() == op_status::ok);
    CHECK(sum == pushed);
  }
  CHECK(calls == messages);
  CHECK(most <= 3);
}

TEST_CASE("a coroutine may destroy the subscription that calls it") {
  millrace::run_loop loop;
  bounded_queue<int> q(8);
  std::optional<subscription> s;
  std::string order;
  s = on_message(q, loop, [&](int n) -> millrace::task<> {
    order += static_cast<char>('0' + n);
    CHECK_FALSE(s->disconnect_and_wait());
    s.reset();
    order += 'x';
    co_return;
  });
  for (int n = 0; n < 3; ++n) CHECK(q.try_push(int{n}) == op_status::ok);
  run_posted(loop);
  CHECK(order == "0x");
  CHECK(*q.try_pop() == 1);
}

TEST_CASE("disconnecting coroutines in mid-traffic loses no message") {
  millrace::thread_pool pool(2);
  std::size_t wrong = 0;
  for (std::size_t round = 0; round < support::effort(200, 20); ++round) {
    bounded_queue<int> q(4);
    std::atomic<int> called{0};
    int pushed = 0;
    {
      auto s = on_message(q, pool,
                          [&](int) -> millrace::task<> {
                            ++called;
                            co_return;
                          },
                          {.concurrency = 2});
      for (int n = 0; n < 8; ++n) pushed += q.try_push(int{n}) == op_status::ok;
      s.disconnect_and_wait();
    }
    int left = 0;
    while (q.try_pop()) ++left;
    wrong += pushed != called + left;
  }
  CHECK(wrong == 0);
}

TEST_CASE("a consumer of a queue cannot be blocked") {
  millrace::run_loop loop;
  bounded_queue<int> q(1);
  subscription s = on_message(q, loop, [](int) {});
  CHECK_FALSE(s.block());
  CHECK_FALSE(s.unblock());
  s.disconnect();
  run_posted(loop);
}
