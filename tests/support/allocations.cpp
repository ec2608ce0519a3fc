// SPDX-License-Identifier: BSL-1.0
#include "support/allocations.hpp"

#include <atomic>
#include <cstdlib>
#include <limits>
#include <new>

namespace {

constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

std::atomic<std::size_t> count{0};
constinit thread_local std::size_t allowed = no_limit;

}  // namespace

std::size_t support::allocations() noexcept { return count.load(std::memory_order_relaxed); }

support::failing_allocations::failing_allocations(std::size_t k) noexcept { allowed = k; }
support::failing_allocations::~failing_allocations() { allowed = no_limit; }

#if SUPPORT_COUNTS_ALLOCATIONS

static void* allocate(std::size_t bytes, std::size_t alignment) {
  if (allowed == 0) throw std::bad_alloc();
  if (bytes == 0) bytes = 1;
  const std::size_t padded = alignment == 0 ? bytes : (bytes + alignment - 1) / alignment * alignment;
  void* const memory =
      alignment == 0 ? std::malloc(padded) : std::aligned_alloc(alignment, padded);
  if (memory == nullptr) throw std::bad_alloc();
  if (allowed != no_limit) --allowed;
  count.fetch_add(1, std::memory_order_relaxed);
  return memory;
}

void* operator new(std::size_t bytes) { return allocate(bytes, 0); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

#endif
