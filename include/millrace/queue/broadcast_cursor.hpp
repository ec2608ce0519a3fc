// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/cache_line.hpp>

namespace millrace::detail {

/// How far one subscriber of a broadcast has read.
///
/// Threads     its owner's, but for `position`, which pushes read, and the links, which are the core's.
template <class Core>
struct alignas(cache_line) broadcast_cursor {
  using ticket = std::uint64_t;

  Core& core;
  broadcast_cursor* next;
  broadcast_cursor* previous;
  typename Core::traits::template atomic<ticket> position;  // of the next message to read
  std::size_t index;                                        // its slot
  std::uint64_t missed = 0;
  bool is_waiting = false;  // a pop is listed, or was woken and has not copied yet

  broadcast_cursor(Core& of, ticket at, std::size_t slot) noexcept : core(of), position(at), index(slot) {}

  /// For its owner.
  ticket where() const noexcept {
    return position.load(std::memory_order_relaxed);  // relaxed: only its owner writes it
  }

  /// For its owner, under lag: where it is more than a lap behind the end, it goes on from there. Whether it
  /// was.
  bool skip(ticket end, std::size_t capacity) noexcept {
    const ticket behind = end - where();
    if (behind <= capacity) return false;
    const ticket passed = behind - capacity;
    missed += passed;
    index = (index + static_cast<std::size_t>(passed % capacity)) % capacity;
    position.store(end - capacity, std::memory_order_relaxed);  // relaxed: pushes that lag do not look
    return true;
  }
};

}  // namespace millrace::detail
