// SPDX-License-Identifier: BSL-1.0
#include "support/allocations.hpp"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<bool> counting{false};
std::atomic<std::size_t> times{0};
std::atomic<std::size_t> bytes{0};
std::atomic<std::ptrdiff_t> held{0};

std::ptrdiff_t size_of(void* memory) {
  return static_cast<std::ptrdiff_t>(::malloc_usable_size(memory));
}

void* allocate(std::size_t size, std::size_t alignment) {
  const std::size_t padded = (size + alignment - 1 + (size == 0)) / alignment * alignment;
  void* const memory =
      alignment <= alignof(std::max_align_t) ? std::malloc(padded) : std::aligned_alloc(alignment, padded);
  if (memory == nullptr) throw std::bad_alloc();
  if (counting.load(std::memory_order_relaxed)) {  // relaxed: who reads the counts has joined the rest
    ++times;
    bytes += size;
    held += size_of(memory);
  }
  return memory;
}

void release(void* memory) noexcept {
  if (counting.load(std::memory_order_relaxed)) held -= size_of(memory);  // relaxed: as above
  std::free(memory);
}

}  // namespace

void bench::begin_counting_allocations() noexcept {
  times = bytes = 0;
  held = 0;
  counting = true;
}
bench::allocated bench::end_counting_allocations() noexcept {
  counting = false;
  return {times, bytes, held};
}

void* operator new(std::size_t size) {
  return allocate(size, 1);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  release(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  release(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  release(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  release(memory);
}
