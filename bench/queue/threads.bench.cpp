// SPDX-License-Identifier: BSL-1.0

// Plain threads that block on a queue, beside a mutex and condition variables.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include <benchmark/benchmark.h>

#include <millrace/queue/bounded_queue.hpp>

#include "support/crew.hpp"
#include "support/mutex_queue.hpp"
#include "support/workloads.hpp"

namespace {

using bench::message;

struct bounded_queue : millrace::bounded_queue<message> {
  static constexpr const char* name = "millrace::bounded_queue";
  using millrace::bounded_queue<message>::bounded_queue;
  void send(message m) { static_cast<void>(push(m).wait()); }
  message receive() { return *pop().wait(); }
};
struct mutex_deque : baseline::mutex_queue<message> {
  static constexpr const char* name = "mutex and deque";
  using mutex_queue::mutex_queue;
  void send(message m) { push(std::move(m)); }
  message receive() { return *pop(); }
};

/// There and back through two queues. `slow`: the answer comes when the other thread sleeps, which is
/// a while after the question; only what is beyond that while is counted.
template <class Queue>
void round_trip(benchmark::State& state, bool slow) {
  const auto while_asleep = std::chrono::microseconds(100);
  const std::uint64_t n = bench::messages() / (slow ? 2000 : 20);
  Queue there(1);
  Queue back(1);
  const auto rest = [&] {
    if (!slow) return;
    const auto end = std::chrono::steady_clock::now() + while_asleep;
    while (std::chrono::steady_clock::now() < end) millrace::detail::cpu_pause();
  };
  std::atomic<std::uint64_t> sum{0};
  bench::crew threads(2, [&](std::size_t i, auto next) {
    while (next()) {
      std::uint64_t mine = 0;
      for (message k = 0; k < n; ++k) {
        if (i == 0) {
          rest();
          there.send(k);
          mine += back.receive();
        } else {
          const message m = there.receive();
          rest();
          back.send(m);
        }
      }
      sum += mine;
    }
  });
  const double rests =
      slow ? 2 * static_cast<double>(n) * std::chrono::duration<double>(while_asleep).count() : 0;
  for (auto _ : state) {
    state.SetIterationTime(threads.run() - rests);
    if (sum.exchange(0) != bench::sum_of_messages(n)) state.SkipWithError("messages lost");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(n) * state.iterations());
}

template <class Queue>
void stream(benchmark::State& state, std::size_t capacity) {
  const std::uint64_t n = bench::messages();
  Queue queue(capacity);
  std::atomic<std::uint64_t> sum{0};
  bench::crew threads(2, [&](std::size_t i, auto next) {
    while (next()) {
      std::uint64_t mine = 0;
      for (message k = 0; k < n; ++k) {
        if (i == 0) {
          queue.send(k);
        } else {
          mine += queue.receive();
        }
      }
      sum += mine;
    }
  });
  bench::measure(state, threads, n, [&] { return sum.exchange(0) == bench::sum_of_messages(n); });
}

template <class... Queues>
void register_threads() {
  const auto row = [](const std::string& name, const char* queue, auto work) {
    benchmark::RegisterBenchmark(("threads/" + name + '/' + queue).c_str(), work)->UseManualTime();
  };
  (row("latency/1/trip", Queues::name, [](benchmark::State& s) { round_trip<Queues>(s, false); }), ...);
  (row("latency/1/trip, asleep", Queues::name, [](benchmark::State& s) { round_trip<Queues>(s, true); }),
   ...);
  (row("stream/1024/1p1c", Queues::name, [](benchmark::State& s) { stream<Queues>(s, 1024); }), ...);
}

[[maybe_unused]] const bool registered = (register_threads<bounded_queue, mutex_deque>(), true);

}  // namespace
