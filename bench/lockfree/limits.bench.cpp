// SPDX-License-Identifier: BSL-1.0

// What the machine can do at most: no queue can be faster than the atomic operations it is made of.
// Read ratios of one run, never single figures.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <benchmark/benchmark.h>

#include "support/context.hpp"
#include "support/workloads.hpp"

namespace {

[[maybe_unused]] const bool context = bench::add_context();

void fetch_add(benchmark::State& state) {
  alignas(64) std::atomic<std::uint64_t> word{0};
  for (auto _ : state) word.fetch_add(1);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(fetch_add)->Name("limit/fetch_add, one thread")->UseRealTime();

void two_cas(benchmark::State& state) {
  alignas(64) std::atomic<std::uint64_t> a{0};
  alignas(64) std::atomic<std::uint64_t> b{0};
  for (auto _ : state) {
    for (auto* word : {&a, &b}) {
      std::uint64_t seen = word->load(std::memory_order_relaxed);  // relaxed: nobody else is there
      word->compare_exchange_strong(seen, seen + 1);
    }
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(two_cas)->Name("limit/two CAS on own lines, one thread")->UseRealTime();

void contended_fetch_add(benchmark::State& state) {
  const std::uint64_t n = bench::messages();
  alignas(64) std::atomic<std::uint64_t> word{0};
  bench::crew threads(2, [&](std::size_t, auto next) {
    while (next()) {
      for (std::uint64_t i = 0; i < n / 2; ++i) word.fetch_add(1);
    }
  });
  bench::measure(state, threads, n / 2 * 2, [&] { return word.exchange(0) == n / 2 * 2; });
}
BENCHMARK(contended_fetch_add)->Name("limit/fetch_add on one word by 2 threads")->UseManualTime();

/// One thread writes odd numbers, the other answers with the next even one.
void line_round_trip(benchmark::State& state) {
  const std::uint64_t n = bench::messages() / 10;
  alignas(64) std::atomic<std::uint64_t> word{0};
  bench::crew threads(2, [&](std::size_t i, auto next) {
    while (next()) {
      for (std::uint64_t k = i; k < 2 * n; k += 2) {
        for (bench::spin wait; word.load(std::memory_order_acquire) != k;) wait();
        word.store(k + 1, std::memory_order_release);
      }
    }
  });
  bench::measure(state, threads, n, [&] { return word.exchange(0) == 2 * n; });
}
BENCHMARK(line_round_trip)->Name("limit/cache line there and back")->UseManualTime();

}  // namespace
