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
  std::uint32_t random = 2463534242u;  ///< where a choice is to be fair; never 0
};

/// The context of the calling thread. Never inlined: a compiler may keep the address of a
/// thread_local across a suspension, after which the coroutine runs on another thread (LLVM #47179).
MILLRACE_NOINLINE inline thread_context& this_thread_context() noexcept {
  static constinit thread_local thread_context context;
  return context;
}

}  // namespace millrace::detail
