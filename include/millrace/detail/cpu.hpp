// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>

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
#if !defined(_MSC_VER) || defined(__clang__)
  __builtin_prefetch(reinterpret_cast<const void*>(address), 1);
#endif
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
