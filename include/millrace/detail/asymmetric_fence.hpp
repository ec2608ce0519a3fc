// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <cerrno>

#include <millrace/detail/cpu.hpp>
#include <millrace/detail/macros.hpp>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__SANITIZE_THREAD__)
#define MILLRACE_FENCE_BY_RMW 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MILLRACE_FENCE_BY_RMW 1
#endif
#endif

namespace millrace::detail {

/// The fence of two threads that each store, then load what the other one stores: never do both miss the
/// other's store.
///
/// Threads     any.
/// Progress    wait-free.
/// Complexity  about 5 ns: an uncontended locked instruction.
struct symmetric_fence {
  // F1  fence -> fence   no thread's load, after its fence, misses a store that another thread made before
  //                      its own fence, unless that fence comes later: of two, one does not miss.

  static void prepare() noexcept {}
  static void light() noexcept { full(); }
  static void heavy() noexcept { full(); }

 private:
#if defined(MILLRACE_FENCE_BY_RMW)
  // ThreadSanitizer does not know fences. Each of these sees all that were before it.
  static inline constinit std::atomic<unsigned> fences_{0};
  static void full() noexcept {
    fences_.fetch_add(1, std::memory_order_acq_rel);  // F1 publish, F1 observe
  }
#else
  static void full() noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);  // F1 publish, F1 observe
  }
#endif
};

/// The same for two threads of which one does it often, and the other hardly ever: light() is free, and
/// heavy() makes all other threads of the process that are running pass a fence (Linux: membarrier). Where
/// the kernel does not offer that, both are symmetric_fence's.
///
/// Threads     any, after a prepare().
/// Progress    light() is wait-free; heavy() is a system call.
/// Complexity  light() a load and a branch; heavy() 0.2 us where no other thread runs, else some us.
/// Source      D. Dice, H. Huang, M. Yang, Asymmetric Dekker Synchronization (2001).
class asymmetric_fence {
 public:
  /// Asks the kernel, once for all.
  static void prepare() noexcept {
    if (way_.load(std::memory_order_relaxed) != way::unknown) return;  // relaxed: all find out the same
    way_.store(offers_membarrier() ? way::membarrier : way::fence,
               std::memory_order_relaxed);  // relaxed: what led to a light() came after some prepare()
  }

  MILLRACE_ALWAYS_INLINE static void light() noexcept {
    if (way_.load(std::memory_order_relaxed) == way::membarrier) [[likely]] {  // relaxed: see prepare()
      // For the compiler; for the processor, heavy() does it.
      std::atomic_signal_fence(std::memory_order_seq_cst);  // F1 publish, F1 observe
    } else {
      symmetric_fence::light();
    }
  }

  static void heavy() noexcept {
    if (way_.load(std::memory_order_relaxed) == way::membarrier) {  // relaxed: see prepare()
      if (membarrier()) return;
      // It was forbidden after prepare(). From here on all use fences; and until then no processor keeps a
      // store to itself for as long as this takes.
      way_.store(way::fence, std::memory_order_relaxed);  // relaxed: settled by the wait
      for (int turn = 0; turn < turns_until_stores_are_out; ++turn) cpu_yield();
    }
    symmetric_fence::heavy();
  }

  /// Whether light() is free.
  static bool is_asymmetric() noexcept {
    return way_.load(std::memory_order_relaxed) == way::membarrier;  // relaxed: see prepare()
  }

 private:
  enum class way : unsigned char { unknown, membarrier, fence };
  static constexpr int turns_until_stores_are_out = 5000;

#if defined(__linux__) && defined(SYS_membarrier)
  static constexpr int private_expedited = 1 << 3;           // MEMBARRIER_CMD_PRIVATE_EXPEDITED
  static constexpr int register_private_expedited = 1 << 4;  // MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED

  static bool offers_membarrier() noexcept {
    return ::syscall(SYS_membarrier, register_private_expedited, 0, 0) == 0 && membarrier();
  }
  static bool membarrier() noexcept {
    while (::syscall(SYS_membarrier, private_expedited, 0, 0) != 0) {
      if (errno != ENOMEM && errno != EINTR) return false;
      cpu_yield();
    }
    return true;
  }
#else
  static bool offers_membarrier() noexcept { return false; }
  static bool membarrier() noexcept { return false; }
#endif

  static inline constinit std::atomic<way> way_{way::unknown};
};

}  // namespace millrace::detail

#undef MILLRACE_FENCE_BY_RMW
