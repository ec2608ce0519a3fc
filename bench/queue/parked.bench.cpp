// SPDX-License-Identifier: BSL-1.0

// Coroutines that sleep: what each costs, how fast they are woken, and what they leave to the processor
// when all of them sleep.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <exception>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/thread_pool.hpp>
#include <millrace/wait/promise_env.hpp>

#include "support/allocations.hpp"
#include "support/coroutines.hpp"
#include "support/mutex_channel.hpp"

namespace {

using bench::message;
using bounded_queue = millrace::bounded_queue<message>;
using mutex_channel = baseline::mutex_channel<message>;

/// Counts what several threads do, each on a line of its own.
class tally {
 public:
  [[gnu::noinline]] void add() {
    thread_local const std::size_t mine = threads_++ % counts_.size();
    auto& count = counts_[mine].value;
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
  std::uint64_t total() const {
    std::uint64_t sum = 0;
    for (const auto& count : counts_) sum += count.value.load(std::memory_order_acquire);
    return sum;
  }

 private:
  struct alignas(64) line {
    std::atomic<std::uint64_t> value{0};
  };
  static inline std::atomic<std::size_t> threads_{0};
  std::array<line, 1024> counts_;
};

/// A coroutine that keeps its frame until its owner goes, and is counted at its end.
class sleeper {
 public:
  struct promise_type {
    sleeper get_return_object() { return sleeper(handle::from_promise(*this)); }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    auto final_suspend() const noexcept {
      struct count {
        bool await_ready() const noexcept { return false; }
        void await_suspend(handle self) const noexcept { self.promise().ended->add(); }  // may be gone
        void await_resume() const noexcept {}
      };
      return count{};
    }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
    millrace::environment env() const noexcept { return {home}; }

    millrace::executor_ref home;
    tally* ended = nullptr;
  };

  sleeper(sleeper&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  sleeper& operator=(sleeper&&) = delete;
  ~sleeper() {
    if (coroutine_) coroutine_.destroy();
  }

  /// Runs it on this thread until it sleeps; it wakes on `home`.
  void start(millrace::executor_ref home, tally& ended) {
    coroutine_.promise().home = home;
    coroutine_.promise().ended = &ended;
    coroutine_.resume();
  }

 private:
  using handle = std::coroutine_handle<promise_type>;

  explicit sleeper(handle coroutine) : coroutine_(coroutine) {}

  handle coroutine_;
};

template <class Channel>
sleeper sleep(Channel& from) {
  static_cast<void>(co_await from.pop());
}

template <class Channel>
millrace::task<> wake(Channel& to, std::uint64_t n) {
  for (message m = 0; m != n; ++m) static_cast<void>(co_await to.push(m));
}

/// All are parked in pop; then a coroutine pushes a message for each.
template <class Channel>
void wake_all(benchmark::State& state, std::size_t sleepers) {
  const std::size_t n = std::min<std::uint64_t>(sleepers, bench::messages());
  bench::pool_of_tasks world(2);
  double frame = 0;
  double beyond = 0;
  bench::measure_runs(state, n, [&](bench::run& it) {
    Channel channel(1024);
    tally woken;
    std::vector<sleeper> all;
    all.reserve(n);
    const auto bytes_of_each = [n](auto work) {
      bench::begin_counting_allocations();
      work();
      return static_cast<double>(bench::end_counting_allocations().bytes) / static_cast<double>(n);
    };
    frame = bytes_of_each([&] {
      for (std::size_t i = 0; i < n; ++i) all.push_back(sleep(channel));
    });
    beyond = bytes_of_each([&] {
      for (sleeper& one : all) one.start(world.pool(), woken);
    });
    it.begin();
    world.spawn(wake(channel, n));
    it.all_exist();
    while (woken.total() != n) std::this_thread::sleep_for(std::chrono::microseconds(20));
    it.end();
    world.join();
  });
  state.counters["beyond"] = beyond;
  state.counters["frame"] = frame;
}

/// How much of a processor everybody asleep uses.
void idle(benchmark::State& state) {
  const auto time = std::chrono::milliseconds(bench::messages() < 1'000'000 ? 50 : 2000);
  const auto used = [] {
    std::timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  };
  millrace::thread_pool pool(2);
  bounded_queue channel(1024);
  tally woken;
  std::vector<sleeper> all;
  for (int i = 0; i < 1000; ++i) {
    all.push_back(sleep(channel));
    all.back().start(pool, woken);
  }
  std::thread thread([&] { static_cast<void>(channel.pop().wait()); });
  for (int i = 0; i < 10; ++i) static_cast<void>(channel.try_push(0));  // the pool has been at work
  double share = 0;
  for (auto _ : state) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const double before = used();
    std::this_thread::sleep_for(time);
    const double seconds = std::chrono::duration<double>(time).count();
    share = (used() - before) / seconds;
    state.SetIterationTime(seconds);
  }
  state.counters["fact"] = 100 * share;
  channel.close();
  thread.join();
  while (woken.total() != all.size()) std::this_thread::yield();
}

template <class Channel>
void register_wake(std::size_t sleepers, const std::string& shape, const char* name) {
  benchmark::RegisterBenchmark(("waiting/wake/1024/" + shape + '/' + name).c_str(),
                               [=](benchmark::State& state) { wake_all<Channel>(state, sleepers); })
      ->UseManualTime();
}

void register_fact(const std::string& what, double value) {
  benchmark::RegisterBenchmark(("fact/" + what).c_str(), [value](benchmark::State& state) {
    for (auto _ : state) state.SetIterationTime(1);
    state.counters["fact"] = value;
  })->UseManualTime();
}

template <class Operation>
void register_size(const std::string& what) {
  using awaiter = decltype(std::declval<Operation>().operator co_await());
  register_fact("operation " + what + ", bytes", sizeof(Operation));
  register_fact("awaiter of " + what + ", bytes", sizeof(awaiter));
}

[[maybe_unused]] const bool registered = [] {
  for (const auto& [sleepers, shape] : {std::pair{100'000, "100k"}, {1'000'000, "1M"}}) {
    register_wake<bounded_queue>(sleepers, shape, "millrace::bounded_queue");
    register_wake<mutex_channel>(sleepers, shape, "mutex channel");
  }
  benchmark::RegisterBenchmark("fact/processor used while all sleep, %", idle)->UseManualTime();
  register_size<bounded_queue::pop_operation>("pop()");
  register_size<bounded_queue::push_operation>("push(m)");
  register_size<bounded_queue::push_from_operation>("push_from(m)");
  return true;
}();

}  // namespace
