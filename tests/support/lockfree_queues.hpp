// SPDX-License-Identifier: BSL-1.0
#pragma once

// The queues of lockfree/, for tests that run over all of them: one entry each.

#include <concepts>
#include <cstddef>

#include <millrace/detail/atomic.hpp>
#include <millrace/lockfree/mpmc_ring.hpp>
#include <millrace/lockfree/segmented_queue.hpp>
#include <millrace/lockfree/slot_layout.hpp>
#include <millrace/lockfree/spsc_ring.hpp>

#include "support/chaos.hpp"

namespace support {

struct mpmc {
  static constexpr const char* name = "mpmc_ring";
  static constexpr bool many = true;  // threads on each side
  static constexpr bool bounded = true;
  template <class T, class Traits>
  using queue = millrace::mpmc_ring<T, Traits>;
};

struct scattered_mpmc : mpmc {
  static constexpr const char* name = "mpmc_ring, scattered";
  template <class T, class Traits>
  using queue = millrace::mpmc_ring<T, Traits, millrace::scattered_slots>;
};

struct spsc {
  static constexpr const char* name = "spsc_ring";
  static constexpr bool many = false;
  static constexpr bool bounded = true;
  template <class T, class Traits>
  using queue = millrace::spsc_ring<T, Traits>;
};

struct segmented {
  static constexpr const char* name = "segmented_queue";
  static constexpr bool many = true;
  static constexpr bool bounded = false;
  template <class T, class Traits>
  using queue = millrace::segmented_queue<T, Traits>;
};

/// A queue of this capacity, where it has one.
template <class Queue>
Queue make_queue(std::size_t capacity) {
  if constexpr (std::constructible_from<Queue, std::size_t>) {
    return Queue(capacity);
  } else {
    return Queue();
  }
}

/// Calls f with each of the traits under which a queue is put to the test, and their name.
template <class F>
void with_each_traits(F f) {
  using plain = millrace::default_traits;
  using chaotic = tiny_segments<chaos_traits>;
  f(plain{}, "default traits");
  f(near_wrap<plain>{}, "default traits near the wrap");
  f(chaotic{}, "chaos");
  f(near_wrap<chaotic>{}, "chaos near the wrap");
}

}  // namespace support
