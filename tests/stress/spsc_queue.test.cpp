// SPDX-License-Identifier: BSL-1.0

// An spsc_queue between threads and coroutines that wait for each other, stop waiting, poll and take batches,
// and is closed, emptied or destroyed in the middle of that: each message ends in exactly one place.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include <millrace/queue/spsc_queue.hpp>
#include <millrace/task/scope.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>
#include <millrace/wait/stop_token.hpp>

#include "support/catch.hpp"
#include "support/chaos.hpp"
#include "support/effort.hpp"

namespace {

using millrace::op_status;
using message = std::unique_ptr<std::uint32_t>;  // move-only, and a double delivery would crash

/// Biased again so soon that the bias comes and goes all the time.
template <class Base, class Fence>
struct restless : Base {
  using fence = Fence;
  static constexpr unsigned rebias_after = 3;
};
using by_kernel = restless<millrace::default_traits, millrace::detail::asymmetric_fence>;
using by_fence = restless<millrace::default_traits, millrace::detail::symmetric_fence>;
using chaotic = restless<support::chaos_traits, millrace::detail::asymmetric_fence>;

/// What the two sides did. Each has its own, the main thread reads both.
struct book {
  std::vector<std::uint32_t> seen;
  std::size_t returned = 0;
  std::size_t wrong = 0;
};

template <class Queue>
void give_back(book& b, std::uint32_t id, millrace::push_result<message>&& r) {
  if (r) {
    b.seen.push_back(id);
  } else if (r.returned() && *r.value() == id) {
    ++b.returned;
  } else {
    ++b.wrong;
  }
}

/// Pushes in every way, until the queue is closed: `seen` is what went in.
template <class Queue>
void produce(Queue& q, std::uint32_t n, book& b) {
  using namespace std::chrono_literals;
  for (std::uint32_t id = 0; id < n; ++id) {
    switch (support::thread_random() % 4) {
      case 0: {
        message m = std::make_unique<std::uint32_t>(id);
        if (q.try_push(std::move(m)) == op_status::ok) {
          b.seen.push_back(id);
        } else if (m != nullptr && *m == id) {
          ++b.returned;
        } else {
          ++b.wrong;
        }
        break;
      }
      case 1:
        give_back<Queue>(b, id, q.push(std::make_unique<std::uint32_t>(id)).within(20us).wait());
        break;
      default:
        give_back<Queue>(b, id, q.push(std::make_unique<std::uint32_t>(id)).wait());
        break;
    }
  }
}

/// Pops in every way, until the queue is closed and empty.
template <class Queue>
void consume(Queue& q, book& b) {
  using namespace std::chrono_literals;
  for (;;) {
    op_status how = op_status::ok;
    switch (support::thread_random() % 4) {
      case 0: {
        auto m = q.try_pop();
        how = m.status();
        if (m) b.seen.push_back(**m);
        break;
      }
      case 1: {
        auto m = q.pop().within(20us).wait();
        how = m.status();
        if (m) b.seen.push_back(**m);
        break;
      }
      case 2: {
        message some[3];
        const auto got = q.pop_some(some, 3).wait();
        how = got.status;
        for (std::size_t i = 0; i < got.count; ++i) b.seen.push_back(*some[i]);
        break;
      }
      default: {
        auto m = q.pop().wait();
        how = m.status();
        if (m) b.seen.push_back(**m);
        break;
      }
    }
    if (how == op_status::closed) return;
  }
}

}  // namespace

TEMPLATE_TEST_CASE("nothing is lost when an spsc queue is closed in mid-traffic", "", by_kernel, by_fence,
                   chaotic) {
  const std::size_t rounds = support::effort(150, 10);
  constexpr std::uint32_t each = 300;
  constexpr std::size_t capacities[] = {1, 2, 7, 64};
  std::size_t faults = 0;
  for (std::size_t number = 0; number < rounds; ++number) {
    millrace::spsc_queue<message, TestType> q(capacities[number % 4]);
    book in;
    book out;
    bool drained = false;
    std::atomic<bool> all_tried{false};
    std::thread consumer([&] { consume(q, out); });
    std::thread producer([&] {
      produce(q, each, in);
      all_tried.store(true, std::memory_order_relaxed);
    });
    std::thread drainer([&] { drained = q.drained().wait() == op_status::ok; });
    std::thread closer([&] {
      const std::uint64_t when = (number * 7919u) % each;
      while (q.stats().popped < when && !all_tried.load(std::memory_order_relaxed)) std::this_thread::yield();
      q.close();
    });
    producer.join();
    closer.join();
    consumer.join();
    drainer.join();
    faults += in.wrong + out.wrong;
    faults += in.seen.size() + in.returned == each ? 0 : 1;
    faults += in.seen == out.seen ? 0 : 1;
    faults += drained ? 0 : 1;
  }
  CHECK(faults == 0);
}

namespace {

// The ambient token is for queues of default_traits.
template <class Queue>
millrace::task<> pop_until_stopped(Queue& q, book& b, std::size_t most, millrace::stop_token halt) {
  while (b.seen.size() < most) {
    auto m = co_await q.pop().with(halt);
    if (!m) co_return;
    b.seen.push_back(**m);
  }
}

template <class Queue>
millrace::task<> push_until_stopped(Queue& q, book& b, std::uint32_t n, millrace::stop_token halt) {
  for (std::uint32_t id = 0; id < n; ++id) {
    message m = std::make_unique<std::uint32_t>(id);
    auto r = co_await q.push(std::move(m)).with(halt);
    give_back<Queue>(b, id, std::move(r));
    if (!r) co_return;
  }
}

}  // namespace

TEMPLATE_TEST_CASE("nothing is lost when the ends of an spsc queue are stopped, and it is destroyed", "",
                   by_kernel, by_fence) {
  const std::size_t rounds = support::effort(300, 10);
  millrace::thread_pool pool(2);
  std::size_t faults = 0;
  for (std::size_t number = 0; number < rounds; ++number) {
    std::vector<std::uint32_t> left;
    book in;
    book out;
    {
      millrace::spsc_queue<message, TestType> q(
          1 + number % 5, {.on_undelivered =
                               [](void* to, message&& m) noexcept {
                                 const message mine = std::move(m);
                                 static_cast<std::vector<std::uint32_t>*>(to)->push_back(*mine);
                               },
                           .user = &left});
      millrace::scope ends;
      ends.spawn(pool, pop_until_stopped(q, out, 50 + number % 50, ends.token()));
      ends.spawn(pool, push_until_stopped(q, in, 200, ends.token()));
      std::thread stopper([&] {
        const std::uint64_t when = number % 60;
        while (q.stats().popped < when && q.stats().size < q.capacity()) std::this_thread::yield();
        ends.request_stop();
      });
      stopper.join();
      ends.join().wait();
    }
    std::vector<std::uint32_t> all = out.seen;
    all.insert(all.end(), left.begin(), left.end());
    faults += in.wrong;
    faults += all == in.seen ? 0 : 1;
  }
  CHECK(faults == 0);
}

TEST_CASE("who pops the last message of an spsc queue may destroy it") {
  const std::size_t rounds = support::effort(2000, 20);
  std::size_t faults = 0;
  std::atomic<millrace::spsc_queue<int, by_kernel>*> shared{nullptr};
  std::atomic<bool> over{false};
  std::thread producer([&] {
    for (;;) {
      auto* const q = shared.exchange(nullptr, std::memory_order_acq_rel);
      if (q != nullptr) {
        (void)q->try_push(1);  // q is gone as soon as this can be popped
      } else if (over.load(std::memory_order_acquire)) {
        return;
      } else {
        std::this_thread::yield();
      }
    }
  });
  for (std::size_t round = 0; round < rounds; ++round) {
    auto q = std::make_unique<millrace::spsc_queue<int, by_kernel>>(1);
    shared.store(q.get(), std::memory_order_release);
    if (round % 2 == 0) {
      faults += q->pop().wait() ? 0 : 1;
    } else {
      while (!q->try_pop()) std::this_thread::yield();
    }
    q.reset();
  }
  over.store(true, std::memory_order_release);
  producer.join();
  CHECK(faults == 0);
}
