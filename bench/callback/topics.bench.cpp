// SPDX-License-Identifier: BSL-1.0

// A publication to one of 1000 topics, each with one listener: through a handle that was looked up once,
// and by name. Read ratios of one run, never single figures.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include <millrace/callback/message_bus.hpp>
#include <millrace/callback/subscription.hpp>

#include "support/callbacks.hpp"

namespace {

using bench::event;
using function = std::function<void(const event&)>;

const std::vector<std::string>& names() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> made;
    for (int i = 0; i != 1000; ++i) made.push_back("orders/eu/" + std::to_string(1000 + i) + "/filled");
    return made;
  }();
  return all;
}

// What has topics is wrapped in a type that has
//   name                            how the tables call it
//   topic(name) -> what has publish(event)     or publish(name, event), or both

/// A limit: the listener of a topic is called, and nothing else.
class bare_calls {
 public:
  static constexpr const char* name = "bare call";
  struct handle {
    const function* listener;
    void publish(const event& e) const { (*listener)(e); }
  };

  bare_calls() {
    for (std::size_t i = 0; i != names().size(); ++i) {
      listeners_.emplace_back(bench::listener{i});
      where_.emplace(names()[i], i);
    }
  }
  handle topic(const std::string& topic) { return {&listeners_[where_.at(topic)]}; }

 private:
  std::vector<function> listeners_;
  std::unordered_map<std::string, std::size_t> where_;
};

/// What everybody writes first.
class locked_map {
 public:
  static constexpr const char* name = "mutex and unordered_map";

  locked_map() {
    for (std::size_t i = 0; i != names().size(); ++i) {
      topics_[names()[i]].emplace_back(bench::listener{i});
    }
  }
  void publish(const std::string& topic, const event& e) {
    const std::lock_guard lock(mutex_);
    const auto found = topics_.find(topic);
    if (found == topics_.end()) return;
    for (const function& listener : found->second) listener(e);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::vector<function>> topics_;
};

class message_bus {
 public:
  static constexpr const char* name = "millrace::message_bus";

  message_bus() {
    for (std::size_t i = 0; i != names().size(); ++i) {
      listeners_.push_back(bus_.subscribe<event>(names()[i], bench::listener{i}));
    }
  }
  auto topic(const std::string& topic) { return bus_.topic<event>(topic); }
  void publish(const std::string& topic, const event& e) { bus_.topic<event>(topic).publish(e); }

 private:
  millrace::message_bus bus_;
  std::vector<millrace::subscription> listeners_;
};

template <class Topics>
concept has_handles = requires(Topics& t, const std::string& name) { t.topic(name); };
template <class Topics>
concept has_names = requires(Topics& t, const std::string& name, const event& e) { t.publish(name, e); };

/// publish(mine, topic, message), where topic(message) tells which.
void measure_publications(benchmark::State& state, auto topic, auto publish) {
  bench::emitter mine(names().size());
  state.counters["allocations"] = bench::allocations_of([&] { publish(mine, 0, 0); });
  std::uint64_t n = 0;
  for (auto _ : state) {
    publish(mine, topic(n), n);
    ++n;
  }
  std::vector<std::uint64_t> sums(names().size());
  for (bench::message m = 0; m != n; ++m) sums[topic(m)] += m;
  for (std::size_t i = 0; i != sums.size(); ++i) {
    if (mine.sum(i) != sums[i]) state.SkipWithError("calls lost");
  }
  state.SetItemsProcessed(state.iterations());
}

template <class Topics>
void through_handle(benchmark::State& state) {
  static constexpr std::size_t which = 123;
  Topics topics;
  auto handle = topics.topic(names()[which]);
  auto* address = &handle;
  benchmark::DoNotOptimize(address);
  measure_publications(
      state, [](std::uint64_t) { return which; },
      [&](bench::emitter& mine, std::size_t, bench::message m) { mine.publish(handle, m); });
}

/// All topics in turn, neighbours in time far from each other.
template <class Topics>
void by_name(benchmark::State& state) {
  struct named {
    Topics& topics;
    const std::string& name;
    void publish(const event& e) const { topics.publish(name, e); }
  };
  Topics topics;
  auto* address = &topics;
  benchmark::DoNotOptimize(address);
  measure_publications(
      state, [](std::uint64_t n) { return static_cast<std::size_t>(n * 619 % names().size()); },
      [&](bench::emitter& mine, std::size_t topic, bench::message m) {
        mine.publish(named{topics, names()[topic]}, m);
      });
}

template <class Topics>
void register_topics() {
  const auto row = [](const char* shape, auto work) {
    const std::string name = std::string("topics/publish/1000 topics/") + shape + '/' + Topics::name;
    benchmark::RegisterBenchmark(name.c_str(), work)->UseRealTime();
  };
  if constexpr (has_handles<Topics>) row("handle", through_handle<Topics>);
  if constexpr (has_names<Topics>) row("name", by_name<Topics>);
}

[[maybe_unused]] const bool registered = [] {
  register_topics<message_bus>();
  register_topics<bare_calls>();
  register_topics<locked_map>();
  return true;
}();

}  // namespace
