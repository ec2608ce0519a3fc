// SPDX-License-Identifier: BSL-1.0

// Coroutines and threads on bounded_queue, beside a mutex, a deque and condition variables. Read
// ratios of one run, never single figures.

#include <cstddef>
#include <cstdint>
#include <thread>

#include <benchmark/benchmark.h>

#include <millrace/millrace.hpp>

#include "support/mutex_queue.hpp"

namespace {

using queue = millrace::bounded_queue<std::uint64_t>;

millrace::task<std::uint64_t> push_and_pop(queue& q, std::uint64_t n) {
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    auto sent = co_await q.push(i);
    auto m = co_await q.pop();
    sum += sent ? *m : 0;
  }
  co_return sum;
}

/// The limit of the next one.
void try_pair(benchmark::State& state) {
  queue q(1024);
  for (auto _ : state) {
    const auto status = q.try_push(std::uint64_t{1});
    auto m = q.try_pop();
    benchmark::DoNotOptimize(status);
    benchmark::DoNotOptimize(*m);
  }
}
BENCHMARK(try_pair);

void coroutine_pair(benchmark::State& state) {
  constexpr std::uint64_t n = 10'000;
  queue q(1024);
  for (auto _ : state) benchmark::DoNotOptimize(millrace::sync_wait(push_and_pop(q, n)));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * n));
}
BENCHMARK(coroutine_pair);

millrace::task<> echo(queue& in, queue& out) {
  while (auto m = co_await in.pop()) {
    auto sent = co_await out.push(*m);
    if (!sent) break;
  }
}

millrace::task<> ask(queue& out, queue& in, std::uint64_t n) {
  for (std::uint64_t i = 0; i < n; ++i) {
    auto sent = co_await out.push(i);
    auto back = co_await in.pop();
    if (!sent || !back) break;
  }
  out.close();
}

void round_trip_on_one_thread(benchmark::State& state) {
  constexpr std::uint64_t n = 10'000;
  for (auto _ : state) {
    queue there(1);
    queue back(1);
    millrace::sync_wait(millrace::when_all(ask(there, back, n), echo(there, back)));
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * n));
}
BENCHMARK(round_trip_on_one_thread);

millrace::task<> produce(queue& q, std::uint64_t n) {
  for (std::uint64_t i = 0; i < n; ++i) {
    auto sent = co_await q.push(i);
    if (!sent) break;
  }
}

millrace::task<> consume(queue& q, std::uint64_t& sum) {
  while (auto m = co_await q.pop()) sum += *m;
}

/// range(0) producers and as many consumers on a pool of 2, capacity range(1).
void coroutine_stream(benchmark::State& state) {
  const auto side = static_cast<std::size_t>(state.range(0));
  constexpr std::uint64_t n = 400'000;
  millrace::thread_pool pool(2);
  for (auto _ : state) {
    queue q(static_cast<std::size_t>(state.range(1)));
    std::uint64_t sums[16] = {};
    millrace::scope producers;
    millrace::scope consumers;
    for (std::size_t i = 0; i < side; ++i) {
      consumers.spawn(pool, consume(q, sums[i]));
      producers.spawn(pool, produce(q, n / side));
    }
    producers.join().wait();
    q.close();
    consumers.join().wait();
    std::uint64_t sum = 0;
    for (const std::uint64_t s : sums) sum += s;
    if (sum != side * ((n / side) * (n / side - 1) / 2)) state.SkipWithError("messages lost");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * n));
}
BENCHMARK(coroutine_stream)->Args({1, 1024})->Args({4, 1024})->Args({4, 16})->Args({1, 1})->UseRealTime();

/// One thread to another, both sleeping when there is nothing to do; capacity 1024.
void thread_stream(benchmark::State& state) {
  constexpr std::uint64_t n = 200'000;
  for (auto _ : state) {
    queue q(1024);
    std::uint64_t sum = 0;
    std::thread consumer([&] {
      while (auto m = q.pop().wait()) sum += *m;
    });
    for (std::uint64_t i = 0; i < n; ++i) {
      if (!q.push(i).wait()) state.SkipWithError("closed");
    }
    q.close();
    consumer.join();
    if (sum != n * (n - 1) / 2) state.SkipWithError("messages lost");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * n));
}
BENCHMARK(thread_stream)->UseRealTime();

void thread_stream_mutex(benchmark::State& state) {
  constexpr std::uint64_t n = 200'000;
  for (auto _ : state) {
    baseline::mutex_queue<std::uint64_t> q(1024);
    std::uint64_t sum = 0;
    std::thread consumer([&] {
      while (auto m = q.pop()) sum += *m;
    });
    for (std::uint64_t i = 0; i < n; ++i) q.push(std::uint64_t{i});
    q.close();
    consumer.join();
    if (sum != n * (n - 1) / 2) state.SkipWithError("messages lost");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * n));
}
BENCHMARK(thread_stream_mutex)->UseRealTime();

}  // namespace
