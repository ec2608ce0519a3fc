// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <millrace/detail/atomic.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/timer_service.hpp>
#include <millrace/wait/timer_thread.hpp>
#include <millrace/wait/trampoline.hpp>

namespace millrace::detail {

/// Who fires the timers of what resumes on `home`: that executor; else the one whose work this thread is
/// running; else, where these have no timers, the timer thread.
inline timer_service& timers_of(executor_ref home) noexcept {
  for (const executor_ref& executor : {home, trampoline<default_traits>::current_executor()}) {
    if (!executor) continue;
    if (timer_service* const timers = executor.timers()) return *timers;
  }
  return timer_thread::get();
}

}  // namespace millrace::detail
