// SPDX-License-Identifier: BSL-1.0

// Coroutines that wait on channels. Read ratios of one run, never single figures.

#include <cstdint>

#include <benchmark/benchmark.h>

#include <millrace/lockfree/mpmc_ring.hpp>
#include <millrace/queue/bounded_queue.hpp>

#include "support/context.hpp"
#include "support/coroutines.hpp"
#include "support/mutex_channel.hpp"

#if BENCH_ASIO
#include "support/asio_channel.hpp"
#endif

namespace {

using bench::channel_of_tasks;
using bench::message;

struct bounded_queue : channel_of_tasks<millrace::bounded_queue<message>> {
  static constexpr const char* name = "millrace::bounded_queue";
  using channel_of_tasks::channel_of_tasks;
};
struct mutex_channel : channel_of_tasks<baseline::mutex_channel<message>> {
  static constexpr const char* name = "mutex channel";
  using channel_of_tasks::channel_of_tasks;
};

/// The limit of a coroutine's push and pop.
template <class Queue>
void try_pair(benchmark::State& state) {
  Queue queue(1024);
  std::uint64_t sum = 0;
  std::uint64_t n = 0;
  for (auto _ : state) {
    static_cast<void>(queue.try_push(n++));
    sum += *queue.try_pop();
  }
  if (sum != bench::sum_of_messages(n)) state.SkipWithError("messages lost");
  state.SetItemsProcessed(state.iterations());
}

[[maybe_unused]] const bool registered = [] {
  bench::add_context();
  benchmark::RegisterBenchmark("limit/mpmc_ring, try_push and try_pop, one thread",
                               try_pair<millrace::mpmc_ring<message>>)
      ->UseRealTime();
  benchmark::RegisterBenchmark("limit/bounded_queue, try_push and try_pop, one thread",
                               try_pair<millrace::bounded_queue<message>>)
      ->UseRealTime();
  bench::register_coroutines<bounded_queue,
#if BENCH_ASIO
                             bench::asio_channel,
#endif
                             mutex_channel>();
  return true;
}();

}  // namespace
