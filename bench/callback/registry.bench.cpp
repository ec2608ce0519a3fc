// SPDX-License-Identifier: BSL-1.0

// Registries of callbacks, beside a loop over functions that is safe for nobody. Read ratios of one run,
// never single figures.

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include <millrace/callback/callback_registry.hpp>
#include <millrace/callback/single_threaded.hpp>
#include <millrace/callback/subscription.hpp>

#include "support/allocations.hpp"
#include "support/callbacks.hpp"
#include "support/context.hpp"
#include "support/crew.hpp"
#include "support/listeners.hpp"

#if BENCH_BOOST
#include <boost/signals2.hpp>
#endif

namespace {

using bench::event;

// A registry is wrapped in a type that has
//   name                       how the tables call it
//   subscribe(f) -> handle     disconnect(handle), and disconnect_and_wait(handle) where that is another
//   publish(event)
// and as a base one_thread, if listeners come and go only between two emissions.

struct one_thread {};

struct bare_loop : baseline::bare_loop<event>, one_thread {
  static constexpr const char* name = "bare loop";
};
struct mutex_listeners : baseline::mutex_listeners<event> {
  static constexpr const char* name = "mutex and vector";
};
struct copied_listeners : baseline::copied_listeners<event> {
  static constexpr const char* name = "copy-on-write vector";
};

template <class Registry>
class ours {
 public:
  using handle = millrace::subscription;

  template <class F>
  handle subscribe(F f) {
    return registry_.subscribe(std::move(f));
  }
  void disconnect(handle& who) { who.disconnect(); }
  void disconnect_and_wait(handle& who) { static_cast<void>(who.disconnect_and_wait()); }
  void publish(const event& e) { registry_.publish(e); }

 private:
  Registry registry_;
};

struct callback_registry : ours<millrace::callback_registry<void(const event&)>> {
  static constexpr const char* name = "millrace::callback_registry";
};
struct single_threaded : ours<millrace::callback_registry<void(const event&), millrace::single_threaded>>,
                         one_thread {
  static constexpr const char* name = "millrace::callback_registry, single-threaded";
};

#if BENCH_BOOST
class boost_signal {
 public:
  static constexpr const char* name = "boost::signals2";
  using handle = boost::signals2::connection;

  template <class F>
  handle subscribe(F f) {
    return signal_.connect(std::move(f));
  }
  void disconnect(handle& who) { who.disconnect(); }
  void publish(const event& e) { signal_(e); }

 private:
  boost::signals2::signal<void(const event&)> signal_;
};
#endif

template <class Registry>
concept for_one_thread = std::derived_from<Registry, one_thread>;

template <class Registry>
concept waits = requires(Registry& r, typename Registry::handle& who) { r.disconnect_and_wait(who); };

/// A registry with listeners 0, 1, ..., and how much memory they hold. Shares no cache line with another.
template <class Registry>
class alignas(128) audience {
 public:
  explicit audience(std::size_t listeners) {
    handles_.reserve(listeners);
    bench::begin_counting_allocations();
    for (std::size_t i = 0; i != listeners; ++i) handles_.push_back(registry.subscribe(bench::listener{i}));
    held_ = static_cast<double>(bench::end_counting_allocations().held);
    Registry* address = &registry;
    benchmark::DoNotOptimize(address);  // whoever has it may change the registry
  }

  double bytes_of_each() const { return held_ / static_cast<double>(handles_.size()); }

  Registry registry;

 private:
  std::vector<typename Registry::handle> handles_;  // gone before the registry is
  double held_ = 0;
};

/// One thread emits.
template <class Registry>
void emit(benchmark::State& state, std::size_t listeners) {
  audience<Registry> all(listeners);
  bench::emitter mine(listeners);
  state.counters["allocations"] = bench::allocations_of([&] { mine.publish(all.registry, 0); });
  std::uint64_t n = 0;
  for (auto _ : state) mine.publish(all.registry, n++);
  if (!mine.whole(n)) state.SkipWithError("calls lost");
  state.SetItemsProcessed(state.iterations());
}

/// Emitters with 10 listeners, and beside them, where that is asked for, a thread that connects and
/// disconnects all the time: a registry that cannot bear it has another one for that thread, which takes
/// as much of the processors.
template <class Registry>
void emit_together(benchmark::State& state, std::size_t emitters, bool churn) {
  constexpr std::size_t listeners = 10;
  const std::uint64_t n = bench::messages() / emitters;
  audience<Registry> all(listeners);
  audience<Registry> others(listeners);
  std::atomic<std::size_t> emitting{emitters};
  std::atomic<bool> whole{true};
  bench::crew threads(emitters + (churn ? 1 : 0), [&](std::size_t i, auto next) {
    if (i == emitters) {
      auto& changing = for_one_thread<Registry> ? others.registry : all.registry;
      while (next()) {
        while (emitting != 0) {
          auto who = changing.subscribe(bench::visitor{listeners});
          changing.disconnect(who);
        }
      }
    } else {
      bench::emitter mine(listeners);
      while (next()) {
        for (bench::message m = 0; m != n; ++m) mine.publish(all.registry, m);
        if (mine.visits() > n || !mine.whole(n)) whole = false;
        --emitting;
      }
    }
  });
  bench::measure(state, threads, n * emitters, [&] {
    emitting = emitters;
    return whole.load();
  });
}

/// Somebody connects and disconnects, while so many others stay. What is left of him goes afterwards:
/// a handle may wait for emissions when it is destroyed, which is what `Waiting` measures.
template <class Registry, bool Waiting>
void connect(benchmark::State& state, std::size_t present) {
  using clock = std::chrono::steady_clock;
  constexpr std::size_t together = 128;
  audience<Registry> all(present);
  auto& registry = all.registry;
  std::vector<typename Registry::handle> gone;
  gone.reserve(together);
  for (auto _ : state) {
    const auto start = clock::now();
    for (std::size_t i = 0; i != together; ++i) {
      if constexpr (Waiting) {
        auto who = registry.subscribe(bench::visitor{present});
        registry.disconnect_and_wait(who);
      } else {
        gone.push_back(registry.subscribe(bench::visitor{present}));
        registry.disconnect(gone.back());
      }
    }
    state.SetIterationTime(std::chrono::duration<double>(clock::now() - start).count());
    gone.clear();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(together) * state.iterations());
  if (present >= 100) state.counters["listener"] = all.bytes_of_each();

  bench::emitter mine(present);
  auto who = registry.subscribe(bench::visitor{present});
  mine.publish(registry, 0);
  registry.disconnect(who);
  mine.publish(registry, 1);
  if (mine.visits() != 1 || !mine.whole(2)) state.SkipWithError("calls lost, or too many");
}

/// What connecting and disconnecting is measured by: 60 ns on the machine where that was set.
void thirteen_fetch_adds(benchmark::State& state) {
  alignas(64) std::atomic<std::uint64_t> word{0};
  for (auto _ : state) {
    for (int i = 0; i != 13; ++i) word.fetch_add(1);
  }
  state.SetItemsProcessed(state.iterations());
}

template <class... Registries>
void register_registries() {
  const auto row = [](const std::string& name, const char* registry, auto work) {
    return benchmark::RegisterBenchmark(("callbacks/" + name + '/' + registry).c_str(), work);
  };

  for (const std::size_t listeners : {0, 1, 10, 100}) {
    (row("emit/one thread/" + std::to_string(listeners), Registries::name,
         [=](benchmark::State& state) { emit<Registries>(state, listeners); })
         ->UseRealTime(),
     ...);
  }

  const auto together = [&]<class Registry>(std::type_identity<Registry>, std::size_t emitters, bool churn) {
    if (for_one_thread<Registry> && !std::same_as<Registry, bare_loop>) return;
    row("emitters/10 listeners/" + std::to_string(emitters) + (churn ? "e+churn" : "e"), Registry::name,
        [=](benchmark::State& state) { emit_together<Registry>(state, emitters, churn); })
        ->UseManualTime();
  };
  (together(std::type_identity<Registries>{}, 1, false), ...);
  (together(std::type_identity<Registries>{}, 2, false), ...);
  (together(std::type_identity<Registries>{}, 2, true), ...);

  benchmark::RegisterBenchmark("limit/13 fetch_add, one thread", thirteen_fetch_adds)->UseRealTime();
  const auto connecting = [&]<class Registry>(std::type_identity<Registry>, std::size_t present) {
    const std::string shape = "connect/one thread/" + std::to_string(present);
    row(shape, Registry::name, [=](benchmark::State& state) {
      connect<Registry, false>(state, present);
    })->UseManualTime();
    if constexpr (waits<Registry>) {
      row(shape + "+wait", Registry::name, [=](benchmark::State& state) {
        connect<Registry, true>(state, present);
      })->UseManualTime();
    }
  };
  for (const std::size_t present : {10, 1000}) (connecting(std::type_identity<Registries>{}, present), ...);
}

[[maybe_unused]] const bool registered = [] {
  bench::add_context();
  std::thread([] {}).join();  // until there was a first one, a shared_ptr counts without atomics
  register_registries<callback_registry, single_threaded, bare_loop,
#if BENCH_BOOST
                      boost_signal,
#endif
                      mutex_listeners, copied_listeners>();
  return true;
}();

}  // namespace
