// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>

namespace millrace {

/// How an operation ended.
enum class op_status : std::uint8_t {
  ok,         ///< the message is in the queue, or here
  empty,      ///< try_pop: there was no message
  full,       ///< try_push: there was no room
  closed,     ///< the queue is closed (for a pop: and empty)
  cancelled,  ///< a stop was requested before it could complete
  timeout,    ///< its deadline passed before it could complete
};

}  // namespace millrace
