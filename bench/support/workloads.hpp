// SPDX-License-Identifier: BSL-1.0
#pragma once

// The work that every queue is given, whatever its kind. A row of the result is named
// kind/work/capacity/shape/queue; bench/compare makes the tables from these names.
//
// A queue is wrapped in a type that has
//   name                          how the tables call it
//   a constructor (capacity)
//   producer, consumer            constructed from the wrapper, one in each thread: a token, or Self&
//   producer: push(m), and push_n(first, n) where it has bulk    consumer: pop(m), pop_n(out, n)

#include <algorithm>
#include <array>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "support/crew.hpp"

namespace bench {

using message = std::uint64_t;

inline constexpr std::size_t batch = 32;
inline constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();

struct shape {
  std::size_t producers;
  std::size_t consumers;
};
inline const std::vector<shape> all_shapes{{1, 1}, {2, 2}, {4, 4}, {8, 8}, {1, 4}, {4, 1}};

/// Messages in one run: 0, 1, 2, ... each once.
inline std::uint64_t messages() {
  static const char* const asked = std::getenv("MILLRACE_BENCH_MESSAGES");
  return asked != nullptr ? std::strtoull(asked, nullptr, 10) : 1'000'000;
}
inline std::uint64_t sum_of_messages(std::uint64_t n) {
  return n % 2 == 0 ? n / 2 * (n - 1) : (n - 1) / 2 * n;
}

/// The wrapper of a queue with the interface of millrace's.
template <class Queue>
class plain {
 public:
  using producer = plain&;
  using consumer = plain&;

  explicit plain(std::size_t capacity)
    requires std::constructible_from<Queue, std::size_t>
      : queue_(capacity) {}
  explicit plain(std::size_t) {}

  bool push(message m) { return queue_.try_push(std::move(m)); }
  bool pop(message& m) { return queue_.try_pop(m); }
  std::size_t push_n(const message* first, std::size_t n)
    requires requires(Queue q) { q.try_push_n(first, n); }
  {
    return queue_.try_push_n(first, n);
  }
  std::size_t pop_n(message* out, std::size_t n)
    requires requires(Queue q) { q.try_pop_n(out, n); }
  {
    return queue_.try_pop_n(out, n);
  }

 private:
  Queue queue_;
};

template <class Queue>
concept has_bulk = requires(std::remove_reference_t<typename Queue::producer> end, const message* first) {
  end.push_n(first, batch);
};

struct one_by_one {
  static constexpr const char* name = "item";

  static void push(auto& in, std::uint64_t from, std::uint64_t to) {
    for (message m = from; m != to; ++m) {
      for (spin wait; !in.push(m);) wait();
    }
  }
  static std::uint64_t pop(auto& out, std::uint64_t count) {
    std::uint64_t sum = 0;
    for (; count != 0; --count) {
      message m = 0;
      for (spin wait; !out.pop(m);) wait();
      sum += m;
    }
    return sum;
  }
};

struct in_bulk {
  static constexpr const char* name = "bulk";

  static void push(auto& in, std::uint64_t from, std::uint64_t to) {
    std::array<message, batch> block;
    while (from != to) {
      const std::size_t size = std::min<std::uint64_t>(batch, to - from);
      for (std::size_t i = 0; i < size; ++i) block[i] = from++;
      spin wait;
      for (std::size_t sent = 0;;) {
        const std::size_t count = in.push_n(block.data() + sent, size - sent);
        sent += count;
        if (sent == size) break;
        if (count == 0) wait();
      }
    }
  }
  static std::uint64_t pop(auto& out, std::uint64_t count) {
    std::array<message, batch> block;
    std::uint64_t sum = 0;
    while (count != 0) {
      std::size_t size = 0;
      for (spin wait; size == 0;) {
        size = out.pop_n(block.data(), std::min<std::uint64_t>(batch, count));
        if (size == 0) wait();
      }
      for (std::size_t i = 0; i < size; ++i) sum += block[i];
      count -= size;
    }
    return sum;
  }
};

/// Runs the threads as often as Google Benchmark asks; whole() tells whether that run lost nothing. A queue of which
/// it is known that it may stall counts as one that has moved a single message then.
void measure(benchmark::State& state, crew& threads, std::uint64_t items, auto whole,
             bool may_stall = false) {
  for (auto _ : state) {
    state.SetIterationTime(threads.is_stuck() ? 1 : threads.run());
    if (threads.is_stuck() && may_stall) continue;
    if (threads.is_stuck() || !whole()) {
      state.SkipWithError("messages lost");
      break;
    }
  }
  if (threads.is_stuck()) return state.SetItemsProcessed(1);
  state.SetItemsProcessed(static_cast<std::int64_t>(items) * state.iterations());
}

/// Producers and consumers, each with its share of the messages.
template <class Queue, class Way>
void stream(benchmark::State& state, std::size_t capacity, shape ends) {
  const std::uint64_t n = messages();
  Queue queue(capacity);
  std::atomic<std::uint64_t> sum{0};
  crew threads(ends.producers + ends.consumers, [&](std::size_t i, auto next) {
    if (i < ends.producers) {
      typename Queue::producer in(queue);
      while (next()) Way::push(in, n * i / ends.producers, n * (i + 1) / ends.producers);
    } else {
      i -= ends.producers;
      typename Queue::consumer out(queue);
      while (next()) sum += Way::pop(out, n * (i + 1) / ends.consumers - n * i / ends.consumers);
    }
  });
  measure(
      state, threads, n, [&] { return sum.exchange(0) == sum_of_messages(n); },
      requires { Queue::may_stall; });
}

/// One thread pushes a message and pops it.
template <class Queue>
void pair(benchmark::State& state, std::size_t capacity) {
  Queue queue(capacity);
  typename Queue::producer in(queue);
  typename Queue::consumer out(queue);
  std::uint64_t n = 0;
  std::uint64_t sum = 0;
  for (auto _ : state) {
    message m = 0;
    if (!in.push(n) || !out.pop(m)) {
      state.SkipWithError("full or empty");
      break;
    }
    sum += m;
    ++n;
  }
  if (sum != sum_of_messages(n)) state.SkipWithError("messages lost");
  state.SetItemsProcessed(state.iterations());
}

/// One thread sends a message through one queue, another sends it back through a second one.
template <class Queue>
void round_trip(benchmark::State& state, std::size_t capacity) {
  const std::uint64_t n = messages() / 10;
  Queue there(capacity);
  Queue back(capacity);
  std::atomic<std::uint64_t> sum{0};
  crew threads(2, [&](std::size_t i, auto next) {
    typename Queue::producer in(i == 0 ? there : back);
    typename Queue::consumer out(i == 0 ? back : there);
    while (next()) {
      std::uint64_t mine = 0;
      for (message k = 0; k < n; ++k) {
        if (i == 0) {
          one_by_one::push(in, k, k + 1);
          mine += one_by_one::pop(out, 1);
        } else {
          const message m = one_by_one::pop(out, 1);
          one_by_one::push(in, m, m + 1);
        }
      }
      sum += mine;
    }
  });
  measure(state, threads, n, [&] { return sum.exchange(0) == sum_of_messages(n); });
}

template <class Queue, class Way>
void register_stream(const std::string& kind, const std::string& size, std::size_t capacity, shape threads) {
  const std::string row = kind + '/' + Way::name + '/' + size + '/' + std::to_string(threads.producers) +
                          'p' + std::to_string(threads.consumers) + "c/" + Queue::name;
  benchmark::RegisterBenchmark(row.c_str(), [=](benchmark::State& state) {
    stream<Queue, Way>(state, capacity, threads);
  })->UseManualTime();
}

template <class Queue>
void register_latency(const std::string& kind, const std::string& size, std::size_t capacity) {
  const std::string row = kind + "/latency/" + size + '/';
  benchmark::RegisterBenchmark((row + "pair/" + Queue::name).c_str(), [=](benchmark::State& state) {
    pair<Queue>(state, capacity);
  })->UseRealTime();
  benchmark::RegisterBenchmark((row + "trip/" + Queue::name).c_str(), [=](benchmark::State& state) {
    round_trip<Queue>(state, capacity);
  })->UseManualTime();
}

/// All rows of these queues, those to be compared with each other in a row; the latencies once, at 1024.
template <class... Queues>
void register_rows(const std::string& kind, std::size_t capacity, const std::vector<shape>& shapes) {
  const std::string size = capacity == unbounded ? "unbounded" : std::to_string(capacity);
  for (const shape threads : shapes) {
    (register_stream<Queues, one_by_one>(kind, size, capacity, threads), ...);
  }
  const auto bulk = [&]<class Queue>(std::type_identity<Queue>, shape threads) {
    if constexpr (has_bulk<Queue>) register_stream<Queue, in_bulk>(kind, size, capacity, threads);
  };
  for (const shape threads : shapes) (bulk(std::type_identity<Queues>{}, threads), ...);
  if (capacity == 1024 || capacity == unbounded) (register_latency<Queues>(kind, size, capacity), ...);
}

}  // namespace bench
