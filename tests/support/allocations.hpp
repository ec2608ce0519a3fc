// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>

// Sanitizers bring an operator new of their own: nothing is counted, and nothing fails, under them.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SUPPORT_COUNTS_ALLOCATIONS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SUPPORT_COUNTS_ALLOCATIONS 0
#endif
#endif
#ifndef SUPPORT_COUNTS_ALLOCATIONS
#define SUPPORT_COUNTS_ALLOCATIONS 1
#endif

namespace support {

inline constexpr bool counts_allocations = SUPPORT_COUNTS_ALLOCATIONS != 0;

/// How often operator new has been called in this program, by any thread.
std::size_t allocations() noexcept;

/// While it lives, operator new fails on this thread from its k-th call on (the first is number 0).
class failing_allocations {
 public:
  explicit failing_allocations(std::size_t k) noexcept;
  failing_allocations(const failing_allocations&) = delete;
  failing_allocations& operator=(const failing_allocations&) = delete;
  ~failing_allocations();
};

}  // namespace support
