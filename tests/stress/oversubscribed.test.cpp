// SPDX-License-Identifier: BSL-1.0

// Up to 64 threads at one lock-free queue, unstamped: nothing but the queue orders them. What was pushed
// was delivered or is left, whole; what was given up was kept; and each consumer sees the messages of a
// producer in their order.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/chaos.hpp"
#include "support/effort.hpp"
#include "support/lockfree_queues.hpp"
#include "support/watchdog.hpp"

namespace {

/// A message of 24 bytes that shows if it was written by two or read too early.
struct sealed {
  std::uint32_t producer = 0;
  std::uint32_t number = 0;
  std::uint64_t seal = 0;
  std::uint64_t copy = 0;

  static sealed make(std::uint32_t producer, std::uint32_t number) {
    const std::uint64_t seal = hash(producer, number);
    return {producer, number, seal, ~seal};
  }
  static std::uint64_t hash(std::uint32_t producer, std::uint32_t number) {
    std::uint64_t h = (std::uint64_t{producer} << 32 | number) * 0x9e3779b97f4a7c15u + 1;
    h = (h ^ h >> 31) * 0xbf58476d1ce4e5b9u;
    return h ^ h >> 29;
  }
  bool whole() const noexcept { return seal == hash(producer, number) && copy == ~seal; }
};

/// The same, owned: what is delivered twice is freed twice.
struct boxed : std::unique_ptr<sealed> {
  static boxed make(std::uint32_t producer, std::uint32_t number) {
    return {std::make_unique<sealed>(sealed::make(producer, number))};
  }
};

const sealed& open(const sealed& m) {
  return m;
}
const sealed& open(const boxed& m) {
  return *m;
}

/// What a thread pushed, gave up or popped.
struct account {
  std::uint64_t messages = 0;
  std::uint64_t seals = 0;     // their sum
  std::uint64_t returned = 0;  // messages that found no room, and were kept
  std::uint64_t broken = 0;
  std::uint64_t out_of_order = 0;
  std::vector<std::int64_t> last;  // the number of each producer's last one

  explicit account(std::size_t producers) : last(producers, -1) {}

  void pushed(std::uint64_t seal) {
    ++messages;
    seals += seal;
  }
  void popped(const sealed& m) {
    ++messages;
    seals += m.seal;
    if (!m.whole() || m.producer >= last.size()) {
      ++broken;
    } else if (m.number <= std::exchange(last[m.producer], std::int64_t{m.number})) {
      ++out_of_order;
    }
  }
  void operator+=(const account& other) {
    messages += other.messages;
    seals += other.seals;
    returned += other.returned;
    broken += other.broken;
    out_of_order += other.out_of_order;
    for (std::size_t i = 0; i < last.size(); ++i) last[i] = std::max(last[i], other.last[i]);
  }
};

constexpr std::size_t most_in_batch = 8;

/// How many the next call moves.
std::size_t batch_size() noexcept {
  const std::uint32_t random = support::thread_random();
  return random % 4 == 0 ? 1 + random / 4 % most_in_batch : 1;
}

template <class Message, class Queue>
void produce(Queue& queue, std::uint32_t producer, std::uint32_t each, account& mine, support::pulse& pulse) {
  std::vector<Message> batch;
  for (std::uint32_t number = 0; number < each; number += static_cast<std::uint32_t>(batch.size())) {
    batch.clear();
    const std::size_t size = std::min<std::size_t>(batch_size(), each - number);
    for (std::uint32_t i = 0; i < size; ++i) batch.push_back(Message::make(producer, number + i));
    const bool insists = support::thread_random() % 16 != 0;
    for (std::size_t sent = 0; sent < size;) {
      const auto rest = batch.begin() + static_cast<std::ptrdiff_t>(sent);
      const std::size_t more = size - sent == 1
                                   ? std::size_t{queue.try_push(std::move(*rest))}
                                   : queue.try_push_n(std::make_move_iterator(rest), size - sent);
      for (std::size_t i = 0; i < more; ++i) {
        mine.pushed(sealed::hash(producer, number + static_cast<std::uint32_t>(sent++)));
      }
      if (more != 0) {
        pulse.beat();
      } else if (insists) {
        std::this_thread::yield();
      } else {
        for (; sent < size; ++sent) {
          ++mine.returned;
          if (!open(batch[sent]).whole()) ++mine.broken;
        }
      }
    }
  }
}

template <class Message, class Queue>
void consume(Queue& queue, const std::atomic<bool>& over, account& mine, support::pulse& pulse) {
  Message batch[most_in_batch];
  while (!over.load(std::memory_order_relaxed)) {
    const std::size_t size = batch_size();
    const std::size_t count = size == 1 ? std::size_t{queue.try_pop(batch[0])} : queue.try_pop_n(batch, size);
    for (std::size_t i = 0; i < count; ++i) mine.popped(open(batch[i]));
    if (count != 0) {
      pulse.beat();
    } else {
      std::this_thread::yield();
    }
  }
}

template <class Message, class Queue>
void exchange(std::size_t capacity, std::uint32_t producers, std::uint32_t consumers, std::size_t messages,
              const std::string& queue_name) {
  const std::string name = queue_name + ", " + std::to_string(producers) + " to " +
                           std::to_string(consumers) + " over " + std::to_string(capacity);
  CAPTURE(name);
  support::watchdog dog(name, producers + consumers);
  Queue queue = support::make_queue<Queue>(capacity);
  std::vector<account> in(producers, account(producers));
  std::vector<account> out(consumers, account(producers));
  const auto each = static_cast<std::uint32_t>(messages / producers + 1);
  std::atomic<bool> over{false};
  std::vector<std::thread> pushing;
  std::vector<std::thread> popping;
  for (std::uint32_t c = 0; c < consumers; ++c) {
    popping.emplace_back([&, c] { consume<Message>(queue, over, out[c], dog.worker(producers + c)); });
  }
  for (std::uint32_t p = 0; p < producers; ++p) {
    pushing.emplace_back([&, p] { produce<Message>(queue, p, each, in[p], dog.worker(p)); });
  }
  for (auto& t : pushing) t.join();
  over.store(true);
  for (auto& t : popping) t.join();

  account pushed(producers);
  for (const account& one : in) pushed += one;
  account popped(producers);
  for (const account& one : out) popped += one;
  // What is left came after all that was delivered.
  account left(producers);
  left.last = popped.last;
  while (auto m = queue.try_pop()) left.popped(open(*m));

  CHECK(pushed.messages + pushed.returned == std::uint64_t{producers} * each);
  CHECK(pushed.messages == popped.messages + left.messages);
  CHECK(pushed.seals == popped.seals + left.seals);
  CHECK(pushed.broken + popped.broken + left.broken == 0);
  CHECK(popped.out_of_order + left.out_of_order == 0);
}

/// All pairs of numbers of threads that a queue is for, over small and large: so many messages in each, but
/// fewer where they can only go one by one.
template <class Kind, class Message>
void exchange_in_all_ways(std::size_t most) {
  support::with_each_traits([&](auto traits, const char* traits_name) {
    using queue = typename Kind::template queue<Message, decltype(traits)>;
    const std::string name = std::string(Kind::name) + ", " + traits_name;
    for (const std::size_t capacity : {1u, 7u, 256u}) {
      const std::size_t messages = Kind::bounded && capacity == 1 ? most / 4 : most;
      exchange<Message, queue>(capacity, 1, 1, messages, name);
      if (Kind::many) {
        exchange<Message, queue>(capacity, 2, 2, messages, name);
        exchange<Message, queue>(capacity, 8, 1, messages, name);
        exchange<Message, queue>(capacity, 1, 8, messages, name);
        exchange<Message, queue>(capacity, 8, 8, messages, name);
        exchange<Message, queue>(capacity, 32, 32, messages, name);
      }
      if (!Kind::bounded) break;
    }
  });
}

}  // namespace

TEMPLATE_TEST_CASE("2 to 64 threads at one queue lose nothing and mix up nothing", "", support::mpmc,
                   support::spsc, support::segmented) {
  exchange_in_all_ways<TestType, sealed>(support::effort(20000, 10));
}

TEMPLATE_TEST_CASE("2 to 64 threads at one queue never own the same message", "", support::mpmc,
                   support::spsc, support::segmented) {
  exchange_in_all_ways<TestType, boxed>(support::effort(5000, 10));
}
