// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>

#include <millrace/detail/macros.hpp>

namespace millrace::detail {

/// What millrace remembers of a thread; all null on a thread that runs nothing of ours. The types
/// belong to higher floors, which are the only ones to look inside.
struct thread_context {
  void* trampoline = nullptr;          ///< the loop that resumes coroutines on this thread
  const void* executor = nullptr;      ///< the executor_ref whose work this thread is running
  void* worker = nullptr;              ///< the thread_pool worker that this thread is
  void* callback = nullptr;            ///< the subscription whose callback this thread is inside of
  void* emitter = nullptr;             ///< what tells others which listener this thread calls
  bool is_ending = false;              ///< what at_thread_exit() was told has been done
  std::uint32_t random = 2463534242u;  ///< where a choice is to be fair; never 0
};

inline constinit thread_local thread_context the_thread_context;

/// The context of the calling thread. Never inlined: a compiler may keep the address of a
/// thread_local across a suspension, after which the coroutine runs on another thread (LLVM #47179).
MILLRACE_NOINLINE inline thread_context& this_thread_context() noexcept {
  return the_thread_context;
}

/// The same without a call: only for functions that are no coroutines, and are never inlined into one.
MILLRACE_ALWAYS_INLINE thread_context& this_thread_context_inlined() noexcept {
  return the_thread_context;
}

/// Calls leave(what) when the calling thread ends: one such call for each thread, which is not ending yet.
MILLRACE_NOINLINE inline void at_thread_exit(void (*leave)(void*) noexcept, void* what) noexcept {
  struct last_call {
    void (*leave)(void*) noexcept = nullptr;
    void* what = nullptr;
    ~last_call() {
      the_thread_context.is_ending = true;
      leave(what);
    }
  };
  static thread_local last_call at_exit;
  at_exit.leave = leave;
  at_exit.what = what;
}

}  // namespace millrace::detail
