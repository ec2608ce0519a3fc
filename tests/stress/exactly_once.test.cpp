// SPDX-License-Identifier: BSL-1.0

// Threads that push and pop as fast as they can: each message arrives once, and each consumer sees
// the messages of a producer in the order in which they were sent.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

#include <millrace/millrace.hpp>

#include "support/catch.hpp"

namespace {

/// Traits that give tickets a start just below the wrap of their word.
struct near_wrap : millrace::default_traits {
  static constexpr ticket first_ticket = (~ticket{0} >> 4) - 1000;
};

struct message {
  std::uint32_t producer;
  std::uint32_t number;
};

/// A queue whose threads spin.
template <class Traits>
class spinning {
 public:
  explicit spinning(std::size_t capacity) : ring_(capacity) {}
  void push(message m) {
    while (!ring_.try_push(std::move(m))) std::this_thread::yield();
  }
  std::optional<message> pop() {
    for (;;) {
      const bool last = closed_.load();
      if (auto m = ring_.try_pop()) return m;
      if (last) return {};
      std::this_thread::yield();
    }
  }
  void close() { closed_.store(true); }

 private:
  millrace::mpmc_ring<message, Traits> ring_;
  std::atomic<bool> closed_{false};
};

/// A queue whose threads sleep.
template <class Traits>
class sleeping {
 public:
  explicit sleeping(std::size_t capacity) : queue_(capacity) {}
  void push(message m) {
    if (auto result = queue_.push(m).wait(); !result) refused_.fetch_add(1);
  }
  std::optional<message> pop() { return queue_.pop().wait(); }
  void close() { queue_.close(); }
  ~sleeping() { CHECK(refused_.load() == 0); }

 private:
  millrace::bounded_queue<message, Traits> queue_;
  std::atomic<int> refused_{0};
};

struct verdict {
  std::uint64_t received = 0;
  std::uint64_t sum = 0;
  std::uint64_t out_of_order = 0;
};

template <class Queue>
void run(std::size_t capacity, std::uint32_t producers, std::uint32_t consumers, std::uint32_t each) {
  Queue q(capacity);
  std::vector<verdict> verdicts(consumers);
  std::vector<std::thread> pushing;
  std::vector<std::thread> popping;
  for (std::uint32_t c = 0; c < consumers; ++c) {
    popping.emplace_back([&q, &mine = verdicts[c], producers] {
      std::vector<std::uint32_t> next(producers, 0);
      while (auto m = q.pop()) {
        ++mine.received;
        mine.sum += m->number;
        if (m->number < next[m->producer]) ++mine.out_of_order;
        next[m->producer] = m->number + 1;
      }
    });
  }
  for (std::uint32_t p = 0; p < producers; ++p) {
    pushing.emplace_back([&q, p, each] {
      for (std::uint32_t i = 0; i < each; ++i) q.push(message{p, i});
    });
  }
  for (auto& t : pushing) t.join();
  q.close();
  for (auto& t : popping) t.join();

  verdict total;
  for (const verdict& v : verdicts) {
    total.received += v.received;
    total.sum += v.sum;
    total.out_of_order += v.out_of_order;
  }
  const std::uint64_t n = each;
  CHECK(total.received == producers * n);
  CHECK(total.sum == producers * (n * (n - 1) / 2));
  CHECK(total.out_of_order == 0);
}

}  // namespace

TEMPLATE_TEST_CASE("threads exchange every message exactly once and in order", "",
                   spinning<millrace::default_traits>, spinning<near_wrap>,
                   sleeping<millrace::default_traits>, sleeping<near_wrap>) {
  const std::size_t capacity = GENERATE(1u, 2u, 3u, 4u, 64u);
  CAPTURE(capacity);
  run<TestType>(capacity, 1, 1, 10000);
  run<TestType>(capacity, 4, 4, 2500);
  run<TestType>(capacity, 1, 3, 5000);
  run<TestType>(capacity, 3, 1, 2500);
}

TEST_CASE("64 threads on a small queue make progress") {
  run<sleeping<millrace::default_traits>>(8, 32, 32, 500);
  run<spinning<millrace::default_traits>>(8, 32, 32, 500);
}
