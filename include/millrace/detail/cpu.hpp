// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>

#include <millrace/detail/cache_line.hpp>

#if __has_include(<sched.h>)
#include <sched.h>
#elif defined(_WIN32)
extern "C" __declspec(dllimport) int __stdcall SwitchToThread(void);
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#endif

namespace millrace::detail {

/// Tells the processor that this thread spins: 10 to 50 ns on x86, a hint elsewhere.
inline void cpu_pause() noexcept {
#if defined(_MSC_VER) && !defined(__clang__)
  _mm_pause();
#elif defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  asm volatile("yield" ::: "memory");
#endif
}

/// Asks for the cache line of this address, to be written soon. Any address will do.
inline void cpu_prefetch_for_write([[maybe_unused]] std::uintptr_t address) noexcept {
#if defined(_MSC_VER) && !defined(__clang__)
#elif defined(__x86_64__)
  // The builtin asks for a line to read, unless the compiler is told of this instruction (-mprfchw), which all
  // x86-64 processors have, some of them as one that does nothing.
  asm volatile("prefetchw %0" : : "m"(*reinterpret_cast<const char*>(address)));
#else
  __builtin_prefetch(reinterpret_cast<const void*>(address), 1);
#endif
}

/// Asks for what the claims after this one will write, two lines or two cells ahead: the other side had it last.
/// Without it, a producer that does not meet its consumer waits for the other processor's line with each fourth
/// message of 8 bytes. It may reach behind the last cell, which does no harm.
template <class Cell>
void cpu_prefetch_after(const Cell& here) noexcept {
  constexpr std::size_t apart = sizeof(Cell) > cache_line ? sizeof(Cell) : cache_line;
  const auto there = reinterpret_cast<std::uintptr_t>(&here) + 2 * apart;
  for (std::size_t line = 0; line < sizeof(Cell); line += cache_line) cpu_prefetch_for_write(there + line);
}

/// Lets another thread have this processor: about a microsecond when nobody wants it.
inline void cpu_yield() noexcept {
#if __has_include(<sched.h>)
  ::sched_yield();
#elif defined(_WIN32)
  ::SwitchToThread();
#endif
}

}  // namespace millrace::detail
