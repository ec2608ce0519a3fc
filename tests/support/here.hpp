// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <millrace/detail/atomic.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/trampoline.hpp>

namespace support {

/// The executor whose work the calling thread runs; empty: none.
inline millrace::executor_ref here() noexcept {
  return millrace::detail::trampoline<millrace::default_traits>::current_executor();
}

}  // namespace support
