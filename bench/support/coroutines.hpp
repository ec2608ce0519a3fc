// SPDX-License-Identifier: BSL-1.0
#pragma once

// The work that every channel of coroutines is given. A row of the result is named
// kind/work/capacity/shape/channel, as those of workloads.hpp.
//
// A channel is wrapped in a type that has
//   name                        how the tables call it
//   world                       whose coroutines these are: task, spawn(task), join()
//   a constructor (world, capacity)
//   push(m), pop()              to be awaited; pop yields the message, or what * makes one of

#include <algorithm>
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include <millrace/task/scope.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>

#include "support/allocations.hpp"
#include "support/workloads.hpp"

namespace bench {

/// Tasks on a pool of threads.
class pool_of_tasks {
 public:
  using task = millrace::task<>;

  explicit pool_of_tasks(unsigned threads) : pool_(threads) {}
  void spawn(task work) { tasks_.spawn(pool_, std::move(work)); }
  void join() { tasks_.join().wait(); }
  millrace::thread_pool& pool() { return pool_; }

 private:
  millrace::thread_pool pool_;
  millrace::scope tasks_;
};

/// A channel of millrace's coroutines.
template <class Channel>
struct channel_of_tasks : Channel {
  using world = pool_of_tasks;

  channel_of_tasks(world&, std::size_t capacity) : Channel(capacity) {}
};

template <class Channel>
using task_of = typename Channel::world::task;

/// What a pop brought: here the message itself, elsewhere something like an optional.
template <class Result>
message message_of(Result&& m) {
  if constexpr (std::same_as<std::remove_cvref_t<Result>, message>) {
    return m;
  } else {
    return *m;
  }
}

/// One run of a workload: what it takes, from begin to end; and what it allocates, from where all
/// coroutines exist to the end.
class run {
 public:
  explicit run(bool counts) : counts_(counts) {}

  void begin() { start_ = clock::now(); }
  void all_exist() const {
    if (counts_) begin_counting_allocations();
  }
  void end() {
    seconds_ = std::chrono::duration<double>(clock::now() - start_).count();
    if (counts_) allocated_ = end_counting_allocations();
  }
  void check(bool whole) { whole_ = whole_ && whole; }

  bool counts() const { return counts_; }
  bool whole() const { return whole_; }
  double seconds() const { return seconds_; }
  double allocations() const { return static_cast<double>(allocated_.times); }

 private:
  using clock = std::chrono::steady_clock;

  const bool counts_;
  bool whole_ = true;
  clock::time_point start_;
  double seconds_ = 0;
  allocated allocated_{};
};

/// Calls body(run) once to warm up and to count, then as often as Google Benchmark asks.
void measure_runs(benchmark::State& state, std::uint64_t items, auto body) {
  run first(true);
  body(first);
  state.counters["allocations"] = first.allocations() / static_cast<double>(items);
  bool whole = first.whole();
  for (auto _ : state) {
    run timed(false);
    body(timed);
    state.SetIterationTime(timed.seconds());
    whole = whole && timed.whole();
  }
  if (!whole) state.SkipWithError("messages lost");
  state.SetItemsProcessed(static_cast<std::int64_t>(items) * state.iterations());
}

// --- S1: one coroutine pushes a message and pops it ------------------------------------------------

template <class Channel>
task_of<Channel> push_and_pop(Channel& channel, std::uint64_t n, std::uint64_t& sum) {
  for (message m = 0; m != n; ++m) {
    static_cast<void>(co_await channel.push(m));
    sum += message_of(co_await channel.pop());
  }
}

template <class Channel>
void coroutine_pair(benchmark::State& state, std::size_t capacity) {
  const std::uint64_t n = messages();
  typename Channel::world world(1);
  Channel channel(world, capacity);
  measure_runs(state, n, [&](run& it) {
    std::uint64_t sum = 0;
    it.begin();
    world.spawn(push_and_pop(channel, n, sum));
    it.all_exist();
    world.join();
    it.end();
    it.check(sum == sum_of_messages(n));
  });
}

// --- C1: two coroutines on one thread send a message there and back ---------------------------------

template <class Channel>
task_of<Channel> ask(Channel& there, Channel& back, std::uint64_t n, std::uint64_t& sum) {
  for (message m = 0; m != n; ++m) {
    static_cast<void>(co_await there.push(m));
    sum += message_of(co_await back.pop());
  }
}

template <class Channel>
task_of<Channel> answer(Channel& there, Channel& back, std::uint64_t n) {
  for (; n != 0; --n) static_cast<void>(co_await back.push(message_of(co_await there.pop())));
}

template <class Channel>
void coroutine_round_trip(benchmark::State& state, std::size_t capacity) {
  const std::uint64_t n = messages() / 4;
  typename Channel::world world(1);
  Channel there(world, capacity);
  Channel back(world, capacity);
  measure_runs(state, n, [&](run& it) {
    std::uint64_t sum = 0;
    it.begin();
    world.spawn(answer(there, back, n));
    world.spawn(ask(there, back, n, sum));
    it.all_exist();
    world.join();
    it.end();
    it.check(sum == sum_of_messages(n));
  });
}

// --- C2 to C5: producers and consumers on two threads, each with its share of the messages ----------

template <class Channel>
task_of<Channel> produce(Channel& to, std::uint64_t from, std::uint64_t end) {
  for (message m = from; m != end; ++m) static_cast<void>(co_await to.push(m));
}

template <class Channel>
task_of<Channel> consume(Channel& from, std::uint64_t count, std::uint64_t& total) {
  std::uint64_t sum = 0;
  for (; count != 0; --count) sum += message_of(co_await from.pop());
  total = sum;
}

template <class Channel>
void coroutine_stream(benchmark::State& state, std::size_t capacity, shape ends) {
  const std::uint64_t n = messages();
  typename Channel::world world(2);
  Channel channel(world, capacity);
  measure_runs(state, n, [&](run& it) {
    std::vector<std::uint64_t> sums(ends.consumers);
    const auto share = [n](std::size_t i, std::size_t of) { return n * i / of; };
    it.begin();
    for (std::size_t i = 0; i < ends.consumers; ++i) {
      world.spawn(consume(channel, share(i + 1, ends.consumers) - share(i, ends.consumers), sums[i]));
    }
    for (std::size_t i = 0; i < ends.producers; ++i) {
      world.spawn(produce(channel, share(i, ends.producers), share(i + 1, ends.producers)));
    }
    it.all_exist();
    world.join();
    it.end();
    std::uint64_t sum = 0;
    for (const std::uint64_t one : sums) sum += one;
    it.check(sum == sum_of_messages(n));
  });
}

// --- C7: a source, workers that transform, a sink ---------------------------------------------------

template <class Channel>
task_of<Channel> transform(Channel& from, Channel& to, std::uint64_t count) {
  for (; count != 0; --count) static_cast<void>(co_await to.push(message_of(co_await from.pop()) + 1));
}

template <class Channel>
void coroutine_pipeline(benchmark::State& state, std::size_t capacity, std::size_t workers) {
  const std::uint64_t n = messages();
  typename Channel::world world(2);
  Channel first(world, capacity);
  Channel second(world, capacity);
  measure_runs(state, n, [&](run& it) {
    std::uint64_t sum = 0;
    it.begin();
    world.spawn(consume(second, n, sum));
    for (std::size_t i = 0; i < workers; ++i) {
      world.spawn(transform(first, second, n * (i + 1) / workers - n * i / workers));
    }
    world.spawn(produce(first, 0, n));
    it.all_exist();
    world.join();
    it.end();
    it.check(sum == sum_of_messages(n) + n);
  });
}

// --- D: stages in a chain, each waiting for the one before it; messages go through one at a time -----

/// How much stack the stages have used, those that ran on one thread: from the highest to the lowest
/// frame. Not to be inlined into a coroutine, which may go on on another thread.
class stack_use {
 public:
  static void begin() { deepest = 0; }
  [[gnu::noinline]] static void note() {
    thread_local std::uintptr_t highest = 0;
    const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    if (here > highest) highest = here;
    std::size_t before = deepest;
    while (highest - here > before && !deepest.compare_exchange_weak(before, highest - here)) {
    }
  }
  static double bytes() { return static_cast<double>(deepest.load()); }

 private:
  static inline std::atomic<std::size_t> deepest{0};
};

template <class Channel>
task_of<Channel> stage(Channel& from, Channel& to, std::uint64_t count, std::atomic<std::size_t>& sleeping,
                       bool watches_stack) {
  ++sleeping;
  for (; count != 0; --count) {
    const message m = message_of(co_await from.pop());
    if (watches_stack) stack_use::note();
    static_cast<void>(co_await to.push(m + 1));
  }
}

/// The last message ends the stages, which is not what is measured.
template <class Channel>
task_of<Channel> drive(Channel& there, Channel& back, std::uint64_t rounds, std::uint64_t& sum, run& it) {
  it.all_exist();
  it.begin();
  for (message m = 0; m <= rounds; ++m) {
    if (m == rounds) it.end();
    static_cast<void>(co_await there.push(m));
    sum += message_of(co_await back.pop());
  }
}

template <class Channel>
void coroutine_chain(benchmark::State& state, std::size_t stages) {
  const std::size_t all = std::min<std::uint64_t>(messages(), 100'000);
  const std::size_t length = std::min(stages, all);
  const std::uint64_t rounds = all / length;
  typename Channel::world world(2);
  std::deque<Channel> channels;
  for (std::size_t i = 0; i <= length; ++i) channels.emplace_back(world, 1);
  double stack = 0;
  measure_runs(state, all, [&](run& it) {
    stack_use::begin();
    std::atomic<std::size_t> sleeping{0};
    for (std::size_t i = 0; i < length; ++i) {
      world.spawn(stage(channels[i], channels[i + 1], rounds + 1, sleeping, it.counts()));
    }
    while (sleeping != length) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::uint64_t sum = 0;
    world.spawn(drive(channels.front(), channels.back(), rounds, sum, it));
    world.join();
    it.check(sum == sum_of_messages(rounds + 1) + length * (rounds + 1));
    if (it.counts()) stack = stack_use::bytes();
  });
  state.counters["stack"] = stack;
}

// --- the rows ----------------------------------------------------------------------------------------

/// One row for each channel, one after the other: works(channel type's tag, state).
template <class... Channels>
void register_channels(const std::string& group, const std::string& shape, auto work) {
  const auto one = [&]<class Channel>(std::type_identity<Channel> which) {
    const std::string row = "waiting/" + group + '/' + shape + '/' + Channel::name;
    benchmark::RegisterBenchmark(row.c_str(), [=](benchmark::State& state) {
      work(which, state);
    })->UseManualTime();
  };
  (one(std::type_identity<Channels>{}), ...);
}

template <class... Channels>
void register_coroutines() {
  const auto row = [](const std::string& group, const std::string& shape, auto work) {
    register_channels<Channels...>(group, shape, work);
  };
  const auto stream = [&](std::size_t capacity, struct shape ends) {
    row("stream/" + std::to_string(capacity),
        std::to_string(ends.producers) + 'p' + std::to_string(ends.consumers) + 'c',
        [=]<class Channel>(std::type_identity<Channel>, benchmark::State& state) {
          coroutine_stream<Channel>(state, capacity, ends);
        });
  };
  row("latency/1024", "pair", []<class Channel>(std::type_identity<Channel>, benchmark::State& state) {
    coroutine_pair<Channel>(state, 1024);
  });
  row("latency/1", "trip", []<class Channel>(std::type_identity<Channel>, benchmark::State& state) {
    coroutine_round_trip<Channel>(state, 1);
  });
  for (const shape ends : {shape{1, 1}, {4, 4}, {10, 10}, {1000, 1}}) stream(1024, ends);
  stream(1, {1, 1});
  for (const std::size_t workers : {1, 4}) {
    row("pipeline/256", std::to_string(workers) + "w",
        [=]<class Channel>(std::type_identity<Channel>, benchmark::State& state) {
          coroutine_pipeline<Channel>(state, 256, workers);
        });
  }
  for (const std::size_t stages : {1000, 100'000}) {
    row("chain/1", std::to_string(stages / 1000) + "k",
        [=]<class Channel>(std::type_identity<Channel>, benchmark::State& state) {
          coroutine_chain<Channel>(state, stages);
        });
  }
}

}  // namespace bench
