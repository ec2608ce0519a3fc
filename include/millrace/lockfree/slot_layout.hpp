// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>

#include <millrace/detail/cache_line.hpp>

namespace millrace {

// How mpmc_ring lays its slots out in memory: each layout gives the alignment of a slot that needs at
// least `least` bytes of it, and the place of the slot for each index below the capacity.

/// Slots side by side in the order of their tickets: the least memory, and the fastest on few cores,
/// where a line that brings four messages at once is worth more than one that is never shared.
struct dense_slots {
  static constexpr std::size_t alignment(std::size_t least) noexcept { return least; }
  static constexpr std::size_t place(std::size_t index, std::size_t) noexcept { return index; }
};

/// Each slot on cache lines of its own, for many cores and messages that take long to move.
struct padded_slots {
  static constexpr std::size_t alignment(std::size_t least) noexcept {
    return least < detail::cache_line ? detail::cache_line : least;
  }
  static constexpr std::size_t place(std::size_t index, std::size_t) noexcept { return index; }
};

/// As many slots as dense_slots in as much memory, but neighbouring tickets eight slots apart, so that
/// many cores that work on neighbouring tickets work on different lines. The slots past the last multiple
/// of 64 stay side by side.
struct scattered_slots {
  static constexpr std::size_t alignment(std::size_t least) noexcept { return least; }
  static constexpr std::size_t place(std::size_t index, std::size_t capacity) noexcept {
    if ((index | 63) >= capacity) return index;  // the last, incomplete 64
    return (index & ~std::size_t{63}) | ((index & 7) << 3) | ((index >> 3) & 7);
  }
};

}  // namespace millrace
