// SPDX-License-Identifier: BSL-1.0

// The bare ring beside a mutex and a deque: a pair of operations on one thread, and a stream between
// spinning threads (16 pauses, then yield). Read ratios of one run, never single figures.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include <millrace/lockfree/mpmc_ring.hpp>

#include "support/mutex_queue.hpp"

namespace {

using ring = millrace::mpmc_ring<std::uint64_t>;
using locked = baseline::mutex_queue<std::uint64_t>;

/// The machine's limit: two compare-exchanges, each on a line of its own.
void two_cas(benchmark::State& state) {
  alignas(64) std::atomic<std::uint64_t> a{0};
  alignas(64) std::atomic<std::uint64_t> b{0};
  for (auto _ : state) {
    for (auto* word : {&a, &b}) {
      std::uint64_t seen = word->load(std::memory_order_relaxed);
      word->compare_exchange_strong(seen, seen + 1);
    }
  }
}
BENCHMARK(two_cas);

template <class Queue>
void pair_on_one_thread(benchmark::State& state) {
  Queue q(1024);
  std::uint64_t n = 0;
  for (auto _ : state) {
    if (!q.try_push(std::uint64_t{n})) state.SkipWithError("full");
    auto m = q.try_pop();
    n += *m;
  }
  benchmark::DoNotOptimize(n);
}
BENCHMARK_TEMPLATE(pair_on_one_thread, ring);
BENCHMARK_TEMPLATE(pair_on_one_thread, locked);

class spin {
 public:
  void operator()() {
    if (++turns_ <= 16) {
      millrace::detail::cpu_pause();
    } else {
      std::this_thread::yield();
    }
  }

 private:
  int turns_ = 0;
};

template <class Queue>
void stream(benchmark::State& state) {
  const auto side = static_cast<std::size_t>(state.range(0));
  constexpr std::uint64_t messages = 400'000;
  for (auto _ : state) {
    Queue q(1024);
    std::atomic<std::uint64_t> sum{0};
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < side; ++t) {
      threads.emplace_back([&] {
        for (std::uint64_t i = 0; i < messages / side; ++i) {
          for (spin wait; !q.try_push(std::uint64_t{i});) wait();
        }
      });
      threads.emplace_back([&] {
        std::uint64_t mine = 0;
        for (std::uint64_t i = 0; i < messages / side; ++i) {
          for (spin wait;; wait()) {
            if (auto m = q.try_pop()) {
              mine += *m;
              break;
            }
          }
        }
        sum.fetch_add(mine);
      });
    }
    for (auto& t : threads) t.join();
    const std::uint64_t each = messages / side;
    if (sum.load() != side * (each * (each - 1) / 2)) state.SkipWithError("messages lost");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * messages));
}
BENCHMARK_TEMPLATE(stream, ring)->Arg(1)->Arg(2)->Arg(4)->Arg(8)->UseRealTime();
BENCHMARK_TEMPLATE(stream, locked)->Arg(1)->Arg(2)->Arg(4)->Arg(8)->UseRealTime();

}  // namespace
