// SPDX-License-Identifier: BSL-1.0

// Coroutines that compute something for each message: how much of two processors is left for that.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/scope.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>

#include "support/coroutines.hpp"
#include "support/crew.hpp"
#include "support/mutex_channel.hpp"

namespace {

using bench::message;
using clock_type = std::chrono::steady_clock;

/// A chain of steps, each of which waits for the one before it.
[[gnu::noinline]] void compute_steps(std::uint64_t steps) {
  std::uint64_t x = steps;
  for (; steps != 0; --steps) benchmark::DoNotOptimize(x = x * 6364136223846793005u + 1);
}

/// How many steps a nanosecond has room for, where nothing comes between.
double steps_per_ns() {
  static const double best = [] {
    constexpr std::uint64_t steps = 100'000;
    double shortest = std::numeric_limits<double>::max();
    for (int i = 0; i < 50; ++i) {
      const auto start = clock_type::now();
      compute_steps(steps);
      shortest =
          std::min(shortest, std::chrono::duration<double, std::nano>(clock_type::now() - start).count());
    }
    return static_cast<double>(steps) / shortest;
  }();
  return best;
}

void compute(double ns) {
  if (ns > 0) compute_steps(static_cast<std::uint64_t>(ns * steps_per_ns()));
}

struct labour {
  double before_push;  // ns
  double after_pop;    // ns

  std::string name() const {
    return std::to_string(static_cast<int>(before_push)) + '+' + std::to_string(static_cast<int>(after_pop));
  }
};

std::uint64_t items() {
  return bench::messages() / 5;
}

template <class Channel>
millrace::task<> produce(Channel& to, std::uint64_t from, std::uint64_t end, double ns) {
  for (message m = from; m != end; ++m) {
    compute(ns);
    static_cast<void>(co_await to.push(m));
  }
}

template <class Channel>
millrace::task<> consume(Channel& from, double ns, std::uint64_t& total) {
  std::uint64_t sum = 0;
  while (auto m = co_await from.pop()) {
    compute(ns);
    sum += *m;
  }
  total = sum;
}

/// 4 producers and 4 consumers on two threads.
template <class Channel>
void with_work(benchmark::State& state, std::size_t capacity, labour each) {
  constexpr std::size_t side = 4;
  const std::uint64_t n = items();
  millrace::thread_pool pool(2);
  bench::measure_runs(state, n, [&](bench::run& it) {
    Channel channel(capacity);
    millrace::scope producers;
    millrace::scope consumers;
    std::array<std::uint64_t, side> sums{};
    it.begin();
    for (std::size_t i = 0; i < side; ++i) {
      consumers.spawn(pool, consume(channel, each.after_pop, sums[i]));
      producers.spawn(pool, produce(channel, n * i / side, n * (i + 1) / side, each.before_push));
    }
    it.all_exist();
    producers.join().wait();
    channel.close();
    consumers.join().wait();
    it.end();
    it.check(sums[0] + sums[1] + sums[2] + sums[3] == bench::sum_of_messages(n));
  });
}

/// The ideal: two threads that share the work, and nothing else.
void work_alone(benchmark::State& state, labour each) {
  const std::uint64_t n = items() / 2 * 2;
  std::atomic<std::uint64_t> done{0};
  bench::crew threads(2, [&](std::size_t, auto next) {
    while (next()) {
      for (std::uint64_t i = 0; i < n / 2; ++i) {
        compute(each.before_push);
        compute(each.after_pop);
      }
      done += n / 2;
    }
  });
  bench::measure(state, threads, n, [&] { return done.exchange(0) == n; });
}

/// A task spawned to the pool while its parent goes on computing: the median of when it starts.
millrace::task<> fork(millrace::thread_pool& pool, std::vector<double>& us) {
  for (double& delay : us) {
    millrace::scope children;
    const auto start = clock_type::now();
    children.spawn(pool, [](clock_type::time_point from, double& passed) -> millrace::task<> {
      passed = std::chrono::duration<double, std::micro>(clock_type::now() - from).count();
      co_return;
    }(start, delay));
    compute(300e3);
    static_cast<void>(co_await children.join());
  }
}

void fork_delay(benchmark::State& state) {
  std::vector<double> us(bench::messages() < 1'000'000 ? 5 : 301);
  millrace::thread_pool pool(2);
  for (auto _ : state) {
    millrace::scope root;
    root.spawn(pool, fork(pool, us));
    root.join().wait();
    state.SetIterationTime(1);
  }
  std::sort(us.begin(), us.end());
  state.counters["fact"] = us[us.size() / 2];
}

template <class Channel>
void register_work(std::size_t capacity, labour each, const char* name) {
  const std::string row = "waiting/work/" + std::to_string(capacity) + '/' + each.name() + '/' + name;
  benchmark::RegisterBenchmark(row.c_str(), [=](benchmark::State& state) {
    with_work<Channel>(state, capacity, each);
  })->UseManualTime();
}

[[maybe_unused]] const bool registered = [] {
  for (const labour each : {labour{0, 1000}, {200, 200}, {0, 200}}) {
    benchmark::RegisterBenchmark(("limit/2 threads share " + each.name() + " ns of work").c_str(),
                                 [=](benchmark::State& state) { work_alone(state, each); })
        ->UseManualTime();
    for (const std::size_t capacity : {16, 1024}) {
      register_work<millrace::bounded_queue<message>>(capacity, each, "millrace::bounded_queue");
      register_work<baseline::mutex_channel<message>>(capacity, each, "mutex channel");
    }
  }
  benchmark::RegisterBenchmark("fact/a forked task starts after, us", fork_delay)->UseManualTime();
  return true;
}();

}  // namespace
