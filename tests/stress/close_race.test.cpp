// SPDX-License-Identifier: BSL-1.0

// Closing a queue in the middle of everything, with every way of waiting on both sides: each message
// ends in exactly one place.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include <millrace/millrace.hpp>

#include "support/catch.hpp"

namespace {

using millrace::op_status;

using message = std::unique_ptr<std::uint32_t>;  // move-only, and a double delivery would crash

/// What became of each message of a round. Workers record, the main thread asserts.
class ledger {
 public:
  explicit ledger(std::size_t messages) : delivered_(messages), returned_(messages), entered_(messages) {}

  message make(std::uint32_t id) const { return std::make_unique<std::uint32_t>(id); }

  void pushed(std::uint32_t id, millrace::push_result<message> result) {
    if (result) {
      entered_[id].fetch_add(1);
    } else if (result.status() != op_status::closed || !result.returned() || *result.value() != id) {
      wrong_.fetch_add(1);
    } else {
      returned_[id].fetch_add(1);
    }
  }
  void popped(const message& m) {
    delivered_[*m].fetch_add(1);
    total_.fetch_add(1);
  }
  std::size_t total() const { return total_.load(); }

  /// How many messages are not in exactly one place.
  std::size_t faults() const {
    std::size_t faults = wrong_.load();
    for (std::size_t id = 0; id < delivered_.size(); ++id) {
      const int in = entered_[id].load();
      if (in != delivered_[id].load() || in + returned_[id].load() != 1) ++faults;
    }
    return faults;
  }

 private:
  std::vector<std::atomic<int>> delivered_, returned_, entered_;
  std::atomic<std::size_t> total_{0};
  std::atomic<std::size_t> wrong_{0};
};

using queue = millrace::bounded_queue<message>;

millrace::task<> produce(queue& q, ledger& book, std::uint32_t from, std::uint32_t to) {
  for (std::uint32_t id = from; id < to; ++id) {
    message m = book.make(id);
    auto result = co_await q.push(std::move(m));
    book.pushed(id, std::move(result));
  }
}

millrace::task<> consume(queue& q, ledger& book) {
  while (auto m = co_await q.pop()) book.popped(*m);
}

/// Pops with one callback after the other, until the queue is closed. Each callback posts the next pop,
/// so that a run of messages which are there at once does not nest.
class callback_consumer : millrace::work_item {
 public:
  callback_consumer(queue& q, ledger& book, millrace::thread_pool& pool)
      : queue_(q), book_(book), pool_(pool) {
    run = [](millrace::work_item* self) noexcept { static_cast<callback_consumer*>(self)->pop(); };
    pool_.post(*this);
  }
  void wait() const { closed_.wait(false); }

 private:
  void pop() noexcept {
    queue_.pop().start([this](millrace::pop_result<message> m) noexcept {
      if (m) {
        book_.popped(*m);
        pool_.post(*this);
      } else {
        closed_.store(true);
        closed_.notify_one();
      }
    });
  }

  queue& queue_;
  ledger& book_;
  millrace::thread_pool& pool_;
  std::atomic<bool> closed_{false};
};

/// One round: 4 producers, 4 consumers and a closer. Returns the number of faults.
std::size_t round(millrace::thread_pool& pool, std::uint32_t number) {
  constexpr std::uint32_t each = 60;
  constexpr std::size_t capacities[] = {1, 2, 3, 64};
  ledger book(4 * each);
  queue q(capacities[number % 4]);
  std::atomic<std::uint32_t> callbacks{0};
  {
    // Consumers: two coroutines, a thread, and a callback by on_message or start().
    millrace::scope consumers;
    consumers.spawn(pool, consume(q, book));
    consumers.spawn(pool, consume(q, book));
    std::thread consumer([&] {
      while (auto m = q.pop().wait()) book.popped(*m);
    });
    millrace::subscription subscription;
    std::unique_ptr<callback_consumer> callback;
    if (number % 2 == 0) {
      subscription = millrace::on_message(q, pool, [&](message m) { book.popped(m); },
                                          {.concurrency = 2});
    } else {
      callback = std::make_unique<callback_consumer>(q, book, pool);
    }

    // Producers: two coroutines, a thread, and callbacks by start().
    millrace::scope producers;
    producers.spawn(pool, produce(q, book, 0, each));
    producers.spawn(pool, produce(q, book, each, 2 * each));
    std::thread producer([&] {
      for (std::uint32_t id = 2 * each; id < 3 * each; ++id) {
        book.pushed(id, q.push(book.make(id)).wait());
      }
    });
    std::thread starter([&] {
      for (std::uint32_t id = 3 * each; id < 4 * each; ++id) {
        q.push(book.make(id)).start([&, id](millrace::push_result<message> result) noexcept {
          book.pushed(id, std::move(result));
          callbacks.fetch_add(1);
        });
      }
    });

    // The closer strikes anywhere between the first message and a little after the last.
    std::thread closer([&] {
      const std::size_t when = (number * 7919u) % (4 * each + 1);
      while (book.total() < when) std::this_thread::yield();
      q.close();
    });

    producers.join().wait();
    producer.join();
    starter.join();
    closer.join();
    consumer.join();
    consumers.join().wait();
    if (callback) callback->wait();
    while (callbacks.load() < each) std::this_thread::yield();
    // What on_message has not taken is still in the queue: it ends by itself, at `closed`.
    while (auto m = q.pop().wait()) book.popped(*m);
    subscription.disconnect_and_wait();
  }
  return book.faults();
}

}  // namespace

TEST_CASE("every message is delivered or handed back when a queue is closed in mid-traffic") {
  constexpr std::uint32_t rounds = 1000;
  millrace::thread_pool pool(2);
  std::size_t faults = 0;
  for (std::uint32_t number = 0; number < rounds; ++number) faults += round(pool, number);
  CHECK(faults == 0);
}
