// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdlib>

#include "support/allocations.hpp"

namespace support {

/// How much of n a test with threads does in this run: `full` times n where the environment has MILLRACE_FULL;
/// else a fraction of it in a build that is slow.
inline std::size_t effort(std::size_t n, std::size_t full) {
  static const bool is_full = std::getenv("MILLRACE_FULL") != nullptr;
  if (is_full) return n * full;
  if (!counts_allocations) return n / 4 + 1;  // a sanitizer
#if defined(__OPTIMIZE__)
  return n;
#else
  return n / 2 + 1;
#endif
}

}  // namespace support
