// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>

namespace bench {

struct allocated {
  std::size_t times;
  std::size_t bytes;
  std::ptrdiff_t held;  // bytes, those that malloc adds included, less what was freed meanwhile
};

/// Counts the calls of operator new and delete, by all threads, from begin to end: nothing else is
/// slowed down.
void begin_counting_allocations() noexcept;
allocated end_counting_allocations() noexcept;

}  // namespace bench
