// SPDX-License-Identifier: BSL-1.0
#pragma once

// What is published to callbacks, who listens, and how it is seen that everybody was called.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <benchmark/benchmark.h>

#include "support/allocations.hpp"
#include "support/workloads.hpp"

namespace bench {

/// A message, and where who listens adds it up: memory of the emitter's own, so that two emitters share
/// nothing but what calls the listeners.
struct event {
  message value;
  std::uint64_t* sums;
};

/// Adds to a sum of its own.
struct listener {
  std::size_t index;

  void operator()(const event& e) const { e.sums[index] += e.value; }
};

/// Comes and goes; counts how often it was called. Of another type than those that stay, so that no
/// compiler can tell which function a registry calls, and do without the indirect call.
struct visitor {
  std::size_t index;

  void operator()(const event& e) const { ++e.sums[index]; }
};

/// One thread's events. There are as many listeners, and a visitor, whose index is after theirs.
class emitter {
 public:
  explicit emitter(std::size_t listeners)
      : listeners_(listeners), sums_(listeners + 1 + 2 * apart), event_{0, sums_.data() + apart} {}
  emitter(const emitter&) = delete;
  emitter& operator=(const emitter&) = delete;

  /// to.publish(event), which the compiler knows nothing about afterwards.
  void publish(auto&& to, message m) {
    event_.value = m;
    to.publish(event_);
    benchmark::ClobberMemory();
  }

  std::uint64_t sum(std::size_t listener) const { return event_.sums[listener]; }
  std::uint64_t visits() const { return sum(listeners_); }

  /// Whether each listener was called once with each of the messages 0, 1, ... n - 1. Forgets them.
  bool whole(std::uint64_t n) {
    bool all = true;
    for (std::size_t i = 0; i != listeners_; ++i) all = all && sum(i) == sum_of_messages(n);
    std::fill(sums_.begin(), sums_.end(), 0);
    return all;
  }

 private:
  static constexpr std::size_t apart = 16;  // 128 bytes from whatever is beside them

  std::size_t listeners_;
  std::vector<std::uint64_t> sums_;
  event event_;
};

/// Allocations by each call of publish(), after a first one.
double allocations_of(auto publish) {
  constexpr int times = 100;
  publish();
  begin_counting_allocations();
  for (int i = 0; i != times; ++i) publish();
  return static_cast<double>(end_counting_allocations().times) / times;
}

}  // namespace bench
